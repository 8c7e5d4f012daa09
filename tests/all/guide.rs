//! Every name that the guide gives to someone who comes from PyTorch: the expressions of its tables compile and run.

use std::collections::BTreeSet;

use gradus::data::{order, pad_sequence};
use gradus::distributions::Normal;
use gradus::metrics::Accuracy;
use gradus::prelude::*;
use gradus::testing::check_gradients;
use gradus::{
    Indexing, Literal, MatrixNorm, Real, Saves, Unary, UnaryFunction, apply, num_threads, set_num_threads,
};

#[derive(Debug, Clone)]
struct Bell;

impl UnaryFunction for Bell {
    const NAME: &'static str = "bell";
    const SAVES: Saves = Saves::INPUTS;
    fn function<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        (-x.square()).exp()
    }
    fn derivative<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        -2.0 * x * (-x.square()).exp()
    }
}

/// Runs expressions, and adds their texts to a set.
macro_rules! run {
    ($seen:ident: $($expression:expr;)*) => {$(
        let _ = $expression;
        $seen.insert(without_spaces(stringify!($expression)));
    )*};
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The code of the second column of every table.
fn shown() -> BTreeSet<String> {
    let guide = include_str!("../../crates/gradus/src/guide/10_from_pytorch.md").replace("\\|", "\u{1}");
    let cells =
        guide.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(2));
    let code = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    code.map(|code| without_spaces(&code.replace('\u{1}', "|"))).collect()
}

fn tensors(seen: &mut BTreeSet<String>) {
    let rng = &mut seeded(0);
    let (x, a) = (Tensor::<f64>::rand([2, 3], rng), Tensor::from([1.0, 2.0]));
    let p = Tensor::from([0.2, 0.8]);
    run! { seen:
        Tensor::from([[1.0, 2.0]]);
        Tensor::<f64>::zeros([2, 3]);
        Tensor::<f64>::ones([2, 3]);
        Tensor::full([2, 3], 7.0);
        Tensor::<f64>::eye(3);
        x.zeros_like();
        x.ones_like();
        x.full_like(7.0);
        Tensor::arange(0, 10, 2);
        Tensor::linspace(0.0, 1.0, 5);
        Tensor::meshgrid([&a, &a], Indexing::Ij);
        seeded(0);
        Tensor::<f64>::rand([2, 3], rng);
        x.rand_like(rng);
        Tensor::<f64>::randn([2, 3], rng);
        x.randn_like(rng);
        Tensor::randint([3], 0..5, rng);
        Tensor::randperm(5, rng);
        Tensor::<f64>::normal([3], 0.0, 1.0, rng);
        p.bernoulli(rng);
        p.multinomial(4, true, rng);
        Normal::new(0.0, 1.0);
    }
}

fn shapes(seen: &mut BTreeSet<String>) {
    let [x, y] = [0, 1].map(|seed| Tensor::<f64>::rand([2, 3], &mut seeded(seed)));
    run! { seen:
        x.shape();
        x.rank();
        x.len();
        x.cast::<f32>();
        x.reshape([3, 2]);
        x.reshape((3, -1));
        x.flatten(..);
        x.flatten(1..);
        x.unflatten(1, [3, 1]);
        x.permute([1, 0]);
        x.transpose(0, 1);
        x.t();
        x.unsqueeze(0);
        x.squeeze(..);
        x.expand([4, 2, 3]);
        x.tile([2, 1]);
        x.repeat_interleave(2, 0);
        Tensor::cat(&[&x, &y], 0);
        Tensor::stack(&[&x, &y], 0);
        x.split(2, 1);
        x.chunk(2, 0);
        x.unbind(0);
        x.flip(0);
        x.roll(1, 0);
        x.pad([[0, 0], [1, 2]], PadMode::Constant(0.0));
        x.rearrange("h w -> w h", &[]);
        x.clone();
        x.contiguous();
    }
}

fn indices(seen: &mut BTreeSet<String>) {
    let [x, y] = [0, 1].map(|seed| Tensor::<f64>::rand([2, 3], &mut seeded(seed)));
    let (i, j, m) = (Tensor::from([2, 0]), Tensor::from([[0, 1, 2], [2, 1, 0]]), x.gt(0.5));
    run! { seen:
        x.index((0, 1..3));
        x.index((Ellipsis, -1));
        x.index((.., NewAxis));
        x.index((.., step(.., 2)));
        x[[0, 1]];
        x.index_put((0, ..), 5.0);
        x.slice(1, 0..2);
        x.select(0, 1);
        x.masked_select(&m);
        x.index_select(1, &i);
        m.where_(&x, &y);
        x.masked_fill(&m, 0.0);
        m.nonzero();
        x.gather(1, &j);
        x.scatter(1, &j, &y);
        x.scatter_add(1, &j, &y);
        x.index_add(1, &i, &y.slice(1, 0..2));
        i.one_hot(3);
        i.unique();
        i.bincount(0);
        x.histogram(4);
    }
}

fn mathematics(seen: &mut BTreeSet<String>) {
    let [x, y] = [0, 1].map(|seed| Tensor::<f64>::rand([2, 3], &mut seeded(seed)));
    let (v, w) = (Var::leaf(&x), Var::leaf(&y));
    let (a, b) = (Tensor::from([1.0, 2.0]), Tensor::from([[1.0], [2.0]]));
    let (s, m, n) = (Tensor::from([[2.0, 1.0], [1.0, 2.0]]), x.gt(0.5), y.gt(0.5));
    run! { seen:
        &x + &y;
        &x * 2.0;
        x.matmul(&y.t());
        einsum("ij,kj->ik", &[&v, &w]);
        a.dot(&a);
        a.outer(&a);
        v.square();
        v.pow_scalar(3.0);
        v.pow(&w);
        x.exp();
        x.log();
        x.tanh();
        x.sigmoid();
        x.clamp(0.0, 1.0);
        x.maximum(&y);
        v.relu();
        v.gelu();
        v.silu();
        x.softmax(-1);
        x.log_softmax(-1);
        x.sum(..);
        x.mean([0, 1]);
        x.sum(keepdim(1));
        x.var(1, 1);
        x.std(1, 0);
        x.max_with_indices(1);
        x.argmax(1);
        x.argsort(1, false);
        x.norm(2.0, ..);
        x.logsumexp(1);
        x.cumsum(1);
        x.cumprod(1);
        x.sort(1, false);
        x.topk(2, 1, true);
        x.median(..);
        x.quantile(0.9, ..);
        x.eq(&y);
        x == y;
        x.gt(0.0);
        !&m;
        &m & &n;
        m.all(..);
        m.any(1);
        m.count(..);
        x.allclose(&y, 1e-5, 1e-8);
        s.solve(&b);
        s.inverse();
        s.svd();
        s.matrix_norm(MatrixNorm::Nuclear);
        s.cholesky();
        s.logdet();
        x.sum(..).item();
        x.to_vec2();
        x.as_slice();
    }
}

fn gradients_of_all_kinds(seen: &mut BTreeSet<String>) {
    let rng = &mut seeded(0);
    let x = Tensor::<f64>::rand([2, 3], rng);
    let (v, model) = (Var::leaf(&x), Linear::<f64>::new(3, 2, rng));
    let [points, tangents] = [[x.clone()], [x.clone()]];
    let (loss, y_of_v) = (v.sin().sum(..), v.sin().sum(..));
    let gradients = v.sum(..).backward();
    run! { seen:
        Var::leaf(&x);
        loss.backward();
        gradients.get(&v);
        no_grad(|| model.forward(&x));
        v.detach();
        grad(&y_of_v, &[&v]);
        grad_create_graph(&y_of_v, &[&v]);
        vjp(&v.sin(), &x, &[&v]);
        jvp(&y_of_v, &[&v], &tangents);
        jacobian(&v.sin(), &v);
        hessian(&y_of_v, &v);
        hvp(|v| v[0].square().sum(..), &points, &tangents);
        v.map_gradient(|g| g * 0.5);
        detect_anomaly(|| v.sin().sum(..).backward());
        checkpoint(&[&v], |v| v[0].sin());
        check_gradients(|[v]| v.sin(), [x.clone()]);
        apply(Unary(Bell), &[&v]);
    }
}

fn models(seen: &mut BTreeSet<String>) {
    let rng = &mut seeded(0);
    let x = Tensor::<f64>::rand([2, 3], rng);
    let mut model = Linear::<f64>::new(3, 2, rng);
    let state = model.state();
    let path = std::env::temp_dir().join(format!("gradus-names-{}.safetensors", std::process::id()));
    run! { seen:
        Parameter::new(&x);
        Buffer::new(&x);
        Linear::<f64>::new(3, 2, rng);
        Conv2d::<f64>::new(1, 8, 3, Conv::new().padding(1), rng);
        MaxPool2d::new(2);
        BatchNorm2d::<f64>::new(8);
        LayerNorm::<f64>::new([3]);
        Dropout::new(0.1, 0);
        Embedding::<f64>::new(10, 4, rng);
        Lstm::<f64>::new(3, 4, 2, rng);
        Gru::<f64>::new(3, 4, 1, rng);
        MultiheadAttention::<f64>::new(8, 2, rng);
        TransformerBlock::<f64>::new(8, 2, 32, rng);
        Sequential::<f64>::new().push(Linear::new(3, 2, rng)).push(Relu);
        init::xavier_uniform::<f64>([3, 2], 1.0, rng);
        model.train();
        model.eval();
        model.named_parameters();
        model.freeze(|name| name == "bias");
        model.state();
        model.load_state(&state);
        model.save(&path);
        model.load(&path);
        model.clone();
        AveragedModel::ema(&model, 0.99);
    }
    std::fs::remove_file(&path).unwrap();
}

fn training(seen: &mut BTreeSet<String>) {
    let rng = &mut seeded(0);
    let [x, y, p] = [0, 1, 2].map(|seed| Tensor::<f64>::rand([2, 3], &mut seeded(seed)));
    let (v, a, t) = (Var::leaf(&x), Tensor::from([1.0, 2.0]), Tensor::from([2, 0]));
    let (mut model, mut sgd) = (Linear::<f64>::new(3, 2, rng), Sgd::new(0.1));
    let mut gradients = model.forward(&x).sum(..).backward();
    run! { seen:
        v.mse_loss(&x);
        v.l1_loss(&x);
        v.cross_entropy(&t);
        CrossEntropyLoss::new().label_smoothing(0.1).forward(&v, &t);
        v.binary_cross_entropy_with_logits(&p);
        Sgd::<f64>::new(0.1).momentum(0.9);
        AdamW::<f64>::new(1e-3);
        Adam::<f64>::new(0.1).group(|name| name == "bias", |group| group.weight_decay(0.0));
        sgd.step(&mut model, &gradients);
        clip_grad_norm(&mut gradients, &model, 1.0);
        schedule::cosine(100, 0.0);
        sgd.follow(&schedule::cosine(100, 0.0), 3);
        ReduceLrOnPlateau::min();
        Batches::of((&x, &y), 32).shuffle(rng);
        order::split(&order::shuffled(10, rng), [0.8, 0.2]);
        pad_sequence(&[a.clone(), a.clone()], 0.0);
        Accuracy::new();
        set_num_threads(num_threads());
    }
}

#[test]
fn every_name_exists() {
    let mut seen = BTreeSet::new();
    for run in [tensors, shapes, indices, mathematics, gradients_of_all_kinds, models, training] {
        run(&mut seen);
    }
    let shown = shown();
    let differences: Vec<_> = shown.symmetric_difference(&seen).collect();
    assert!(differences.is_empty(), "only in the guide, or only here: {differences:#?}");
    assert!(shown.len() >= 120);
}
