//! A forward pass of a model, looked at from inside: paths, shapes, multiply-adds.

use gradus::prelude::*;
use gradus::testing::convolutions;
use gradus::{ForwardSummary, Member, Path, layer_scope, name_layers, profile, scope, summary_with};
use proptest::prelude::*;

/// The multiply-adds of the model, after a look at the sum of the rows of its parts.
fn products(summary: &ForwardSummary) -> u64 {
    assert_eq!(summary.rows[0].multiply_adds, summary.multiply_adds);
    summary.multiply_adds
}

fn of<R>(run: impl FnOnce() -> R) -> u64 {
    profile(run).1.multiply_adds()
}

/// LeNet-5 (`LeCun` et al., 1998), whose convolutions and dense layers have 61,706 parameters and 416,520 multiply-adds.
#[test]
fn lenet() {
    let rng = &mut seeded(0);
    let model = Sequential::<f32>::new()
        .push(Conv2d::new(1, 6, 5, Conv::new().padding(2), rng))
        .push(Tanh)
        .push(AvgPool2d::new(2))
        .push(Conv2d::new(6, 16, 5, Conv::new(), rng))
        .push(Tanh)
        .push(AvgPool2d::new(2))
        .push(Flatten)
        .push(Linear::new(400, 120, rng))
        .push(Tanh)
        .push(Linear::new(120, 84, rng))
        .push(Tanh)
        .push(Linear::new(84, 10, rng));
    let summary = summary(&model, Tensor::<f32>::ones([1, 1, 28, 28]));
    assert_eq!((summary.parameters, products(&summary)), (61_706, 416_520));
    let of = |path: &str| summary.rows.iter().find(|row| row.path == path).unwrap();
    let row = |path: &str| (of(path).parameters, of(path).multiply_adds);
    assert_eq!(
        ["0", "3", "7", "9", "11"].map(row),
        [(156, 117_600), (2416, 240_000), (48_120, 48_000), (10_164, 10_080), (850, 840)]
    );
    assert_eq!(of("3").output, Some(vec![1, 16, 10, 10]));
    let paths: Vec<String> = std::iter::once(String::new()).chain((0..12).map(|i| i.to_string())).collect();
    assert_eq!(summary.rows.iter().map(|row| row.path.clone()).collect::<Vec<_>>(), paths);
    // Twice the batch, twice the work.
    assert_eq!(products(&gradus::summary(&model, Tensor::<f32>::ones([2, 1, 28, 28]))), 833_040);
}

/// Layers without fields have one address; each has its path all the same, however deep the ones before it are.
#[test]
fn paths_of_layers_without_fields() {
    let rng = &mut seeded(0);
    let inner = Sequential::<f32>::new().push(Linear::new(2, 3, rng)).push(Relu);
    let model = Sequential::new().push(inner).push(Relu).push(Linear::new(3, 4, rng)).push(Relu);
    let summary = summary(&model, Tensor::<f32>::ones([5, 2]));
    let rows: Vec<(&str, &str)> = summary.rows.iter().map(|row| (&*row.path, &*row.layer)).collect();
    let (linear, relu) = ("Linear", "Relu");
    assert_eq!(
        rows,
        [
            ("", "Sequential"),
            ("0", "Sequential"),
            ("0.0", linear),
            ("0.1", relu),
            ("1", relu),
            ("2", linear),
            ("3", relu)
        ]
    );
    assert_eq!(summary.rows[4].output, Some(vec![5, 3]));
    // A scope of one's own does not hide the layer around it.
    let (_, profile) = profile(|| {
        name_layers(&model);
        scope("mine", || model.forward(Tensor::<f32>::ones([5, 2])))
    });
    let paths: Vec<&str> = profile.operations().map(|event| &*event.path).collect();
    assert_eq!(paths, ["mine > 0.0", "mine > 0.1", "mine > 1", "mine > 2", "mine > 3"]);
}

#[test]
fn a_panic_leaves_statistics_as_they_were() {
    let rng = &mut seeded(0);
    let model = Sequential::<f32>::new().push(BatchNorm1d::new(2)).push(Linear::new(3, 1, rng));
    let (before, x) = (model.state(), Tensor::randn([8, 2], rng));
    let pass = std::panic::AssertUnwindSafe(|| summary_with(&model, |model| model.forward(&x)));
    assert!(std::panic::catch_unwind(pass).is_err());
    let names: Vec<&str> = before.names().collect();
    assert!(!names.is_empty());
    assert!(names.iter().all(|name| model.state().get(name) == before.get(name)));
}

proptest! {
    #[test]
    fn products_of_matrices([batch, m, k, n] in [1..4_usize, 0..5, 1..5, 0..5]) {
        let (x, y) = (Var::leaf(Tensor::<f64>::ones([batch, m, k])), Var::leaf(Tensor::<f64>::ones([batch, k, n])));
        let expected = (batch * m * k * n) as u64;
        prop_assert_eq!(of(|| x.matmul(&y)), expected);
        prop_assert_eq!(of(|| x.matmul(&y.select(0, 0))), expected);
        prop_assert_eq!(of(|| x.linear(&y.select(0, 0).t(), None)), expected);
        prop_assert_eq!(of(|| einsum("bij,bjk->bik", &[&x, &y])), expected);
        // The gradients of a product are two products.
        let loss = x.matmul(&y).sum(..);
        prop_assert_eq!(of(|| loss.backward()), 2 * expected);
        let (rows, columns) = (Var::leaf(Tensor::<f64>::ones([m])), Var::leaf(Tensor::<f64>::ones([k])));
        prop_assert_eq!(of(|| rows.outer(&columns)), (m * k) as u64);
        prop_assert_eq!(of(|| columns.dot(&columns)), k as u64);
    }

    #[test]
    fn products_of_convolutions(p in convolutions(2)) {
        let [x, w] = [&p.x, &p.weight].map(|shape| Var::leaf(Tensor::<f64>::ones(&shape[..])));
        // Each output is a sum over a group of channels and the kernel.
        let expected = (p.y.iter().product::<usize>() * p.weight[1..].iter().product::<usize>()) as u64;
        prop_assert_eq!(of(|| x.conv2d(&w, None, p.conv.clone())), expected);
        let g = Var::leaf(Tensor::<f64>::ones(&p.y[..]));
        prop_assert_eq!(of(|| g.conv2d_input(&p.x, &w, p.conv.clone())), expected);
        prop_assert_eq!(of(|| x.conv2d_weight(&p.weight, &g, p.conv.clone())), expected);
    }

    #[test]
    fn products_of_attention_and_recurrent_layers(
        [batch, steps, keys] in [1..3_usize, 1..4, 1..4], [width, heads, hidden] in [1..3_usize, 1..3, 1..4], seed: u64,
    ) {
        let rng = &mut seeded(seed);
        let query = Var::leaf(Tensor::<f64>::ones([batch, steps, width]));
        let key = Var::leaf(Tensor::<f64>::ones([batch, keys, width]));
        let attention = of(|| query.scaled_dot_product_attention(&key, &key, None, false, None));
        prop_assert_eq!(attention, (batch * steps * keys * 2 * width) as u64);
        let features = width * heads;
        let layer = MultiheadAttention::<f64>::new(features, heads, rng);
        let x = Tensor::<f64>::ones([batch, steps, features]);
        let expected = batch * steps * (4 * features * features + 2 * steps * features);
        prop_assert_eq!(products(&summary_with(&layer, |layer| layer.forward(&x, None, true))), expected as u64);
        let x = Tensor::<f64>::ones([steps, batch, features]);
        let one = (steps * batch * hidden * (features + hidden)) as u64;
        let [lstm, gru, rnn] = [
            products(&summary_with(&Lstm::<f64>::new(features, hidden, 1, rng), |layer| layer.forward(&x, None))),
            products(&summary_with(&Gru::<f64>::new(features, hidden, 1, rng), |layer| layer.forward(&x, None))),
            products(&summary_with(&Rnn::<f64>::new(features, hidden, 1, rng), |layer| layer.forward(&x, None))),
        ];
        prop_assert_eq!([lstm, gru, rnn], [4 * one, 3 * one, one]);
    }
}

#[derive(Module, Clone)]
struct Block {
    attention: MultiheadAttention<f64>,
    dense: Vec<Linear<f64>>,
    drop: Dropout,
}

#[derive(Module, Clone)]
struct Model {
    embedding: Embedding<f64>,
    encoder: Vec<Block>,
    norm: BatchNorm1d<f64>,
    activations: (Relu, Tanh, Relu),
    head: Sequential<f64>,
}

impl Block {
    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        let scope = layer_scope(self);
        let x = x + self.attention.forward(x, None, false);
        scope.gives(self.drop.forward(self.dense.iter().fold(x, |x, layer| layer.forward(x))))
    }
}

impl Model {
    fn new() -> Self {
        let rng = &mut seeded(0);
        let mut block = || Block {
            attention: MultiheadAttention::new(4, 2, rng),
            dense: vec![Linear::new(4, 4, rng), Linear::new(4, 4, rng)],
            drop: Dropout::new(0.5, 0),
        };
        let encoder = vec![block(), block()];
        Self {
            embedding: Embedding::new(10, 4, rng),
            encoder,
            norm: BatchNorm1d::new(4),
            activations: (Relu, Tanh, Relu),
            head: Sequential::new().push(Linear::new(4, 4, rng)).push(Relu).push_fn(|x| x * 2.0).push(Relu),
        }
    }

    fn forward(&self, words: &Tensor<i64>) -> Var<f64> {
        let x = self.encoder.iter().fold(self.embedding.forward(words), |x, block| block.forward(&x)).mean(1);
        let (first, second, third) = &self.activations;
        let x = third.forward(second.forward(first.forward(self.norm.forward(x))));
        scope("head part", || self.head.forward(x))
    }
}

fn words() -> Tensor<i64> {
    Tensor::from([[1, 2, 3], [4, 5, 6]])
}

#[test]
fn layers_of_a_model_have_their_paths() {
    let model = Model::new();
    let before = model.state();
    let summary = summary_with(&model, |model| model.forward(&words()));
    let rows: Vec<(&str, &str)> = summary.rows.iter().map(|row| (&*row.path, &*row.layer)).collect();
    assert_eq!(
        rows,
        [
            ("", "Model"),
            ("embedding", "Embedding"),
            ("encoder.0", "Block"),
            ("encoder.0.attention", "MultiheadAttention"),
            ("encoder.0.attention.out_proj", "Linear"),
            ("encoder.0.dense.0", "Linear"),
            ("encoder.0.dense.1", "Linear"),
            ("encoder.0.drop", "Dropout"),
            ("encoder.1", "Block"),
            ("encoder.1.attention", "MultiheadAttention"),
            ("encoder.1.attention.out_proj", "Linear"),
            ("encoder.1.dense.0", "Linear"),
            ("encoder.1.dense.1", "Linear"),
            ("encoder.1.drop", "Dropout"),
            ("norm", "BatchNorm1d"),
            ("activations.0", "Relu"),
            ("activations.1", "Tanh"),
            ("activations.2", "Relu"),
            ("head part", "head part"),
            ("head part > head", "Sequential"),
            ("head part > head.0", "Linear"),
            ("head part > head.1", "Relu"),
            ("head part > head.2", "Function"),
            ("head part > head.3", "Relu"),
        ]
    );
    // Every layer that a visit shows has run.
    let mut visited = 0;
    model.visit(Path::ROOT, &mut |_, member| visited += usize::from(matches!(member, Member::Layer(_))));
    assert_eq!(visited + 1, rows.len());
    // A parameter counts for all layers around it; rows of the model's parts add up.
    let parts = ["embedding", "encoder.0", "encoder.1", "norm", "head part > head"];
    let parts = summary.rows.iter().filter(|row| parts.contains(&&*row.path)).map(|row| row.parameters);
    assert_eq!(parts.sum::<usize>(), model.parameter_count());
    assert_eq!(summary.parameters, model.parameter_count());
    // Counters and running statistics are as they were.
    assert_eq!(model.state(), before);
    let last = summary.to_string();
    assert!(last.contains("(model)") && last.lines().count() == rows.len() + 2, "{last}");
}

/// A step of an optimizer tells the paths, and is in the profile with its time.
#[test]
fn a_step_of_training() {
    use gradus::Phase::{Backward, Forward, Update};

    let mut model = Model::new();
    let mut adam = Adam::new(1e-3);
    let targets = Tensor::from([0, 1]);
    let ((), profile) = profile(|| {
        let mut gradients = model.forward(&words()).cross_entropy(&targets).backward();
        clip_grad_norm(&mut gradients, &model, 1.0);
        adam.step(&mut model, &gradients);
    });
    let has = |name: &str, path: &str, phase: gradus::Phase| {
        profile.operations().any(|event| event.name == name && *event.path == *path && event.phase == phase)
    };
    assert!(has("linear", "encoder.1.dense.0", Forward) && has("linear", "encoder.1.dense.0", Backward));
    assert!(has("add", "encoder.0", Forward) && has("mean", "", Forward));
    assert!(
        has("cross_entropy", "cross_entropy", Forward) && has("cross_entropy", "cross_entropy", Backward)
    );
    assert!(has("clip_grad_norm", "", Update) && has("AdamRule", "", Update));
    let lines = profile.by_line();
    assert!(lines.iter().all(|row| row.name.starts_with(file!())), "{lines:?}");
}

/// Outside of a look, nothing is known, and nothing is kept from one look to the next.
#[test]
fn names_last_as_long_as_the_look() {
    let model = Model::new();
    name_layers(&model);
    let paths = |named: bool| {
        let (_, profile) = profile(|| {
            if named {
                name_layers(&model);
            }
            model.norm.forward(Tensor::<f64>::ones([3, 4]))
        });
        profile.operations().map(|event| event.path.to_string()).next().unwrap()
    };
    assert_eq!([paths(false), paths(true), paths(false)], ["BatchNorm1d", "norm", "BatchNorm1d"]);
}
