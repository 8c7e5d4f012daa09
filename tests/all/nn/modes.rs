//! Training and evaluation modes, and buffers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradus::prelude::*;
use gradus::{BatchNorm1d, BatchNorm2d, Dropout, Member, Path};
use proptest::prelude::*;

/// The running statistics of a layer.
macro_rules! statistics {
    ($layer:ident) => {
        ($layer.running_mean.value().to_vec(), $layer.running_var.value().to_vec())
    };
}

#[derive(Module, Clone)]
struct Inner {
    norms: Vec<BatchNorm1d<f64>>,
    dropout: Option<Dropout>,
}

#[derive(Module, Clone)]
struct Outer {
    first: Sequential<f64>,
    inner: [Inner; 1],
}

fn model() -> Outer {
    let first = Sequential::new().push(BatchNorm2d::new(2)).push(Dropout::new(0.5, 0));
    Outer { first, inner: [Inner { norms: vec![BatchNorm1d::new(3)], dropout: Some(Dropout::new(0.5, 1)) }] }
}

#[test]
fn modes_reach_whatever_is_nested() {
    let mut model = model();
    assert!(model.inner[0].norms[0].training && model.inner[0].dropout.as_ref().unwrap().training);
    model.eval();
    assert!(!model.inner[0].norms[0].training && !model.inner[0].dropout.as_ref().unwrap().training);
    model.train();
    assert!(model.inner[0].norms[0].training);
}

#[test]
fn buffers_have_names() {
    let model = model();
    let names: Vec<String> = model.named_buffers().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "first.0.running_mean",
        "first.0.running_var",
        "inner.0.norms.0.running_mean",
        "inner.0.norms.0.running_var",
    ];
    assert_eq!(names, expected);
    for (_, buffer) in model.named_buffers() {
        buffer.update(|buffer| *buffer *= 0.0);
    }
    let norm = &model.inner[0].norms[0];
    assert_eq!(statistics!(norm), (vec![0.0; 3], vec![0.0; 3]));
}

#[test]
fn running_statistics_are_those_of_the_batches() {
    let mut layer = BatchNorm1d::<f64>::new(1);
    layer.momentum = 0.5;
    let x = Var::constant([[1.0], [3.0]]);
    let _ = layer.forward(&x);
    assert_eq!(statistics!(layer), (vec![1.0], vec![1.5]));
    let y = layer.evaluate(|layer| layer.forward(&x));
    assert_eq!((statistics!(layer), y.value().to_vec()[0]), ((vec![1.0], vec![1.5]), 0.0));
}

/// A batch of 0 rows, or images without pixels: in PyTorch they make the running statistics NaN.
#[test]
fn batches_of_nothing_change_no_statistics() {
    let mut layer = BatchNorm1d::<f64>::new(2);
    let x = Var::leaf(Tensor::zeros([0, 2]));
    let y = layer.forward(&x);
    assert_eq!(y.shape(), [0, 2]);
    assert_eq!(statistics!(layer), (vec![0.0, 0.0], vec![1.0, 1.0]));
    // The weight gets a gradient of 0.
    let gradients = y.sum(..).backward();
    assert_eq!(gradients.get(layer.weight.as_ref().unwrap()), Some(&Tensor::zeros([2])));
    layer.eval();
    assert!(layer.forward(Var::constant([[1.0, 1.0]])).value().iter().all(f64::is_finite));
    let layer = BatchNorm2d::<f64>::new(2);
    let _ = layer.forward(Var::constant(Tensor::zeros([3, 2, 0, 4])));
    assert_eq!(statistics!(layer), (vec![0.0, 0.0], vec![1.0, 1.0]));
}

proptest! {
    /// Empty batches among others change nothing; nor does a batch that is refused, of one element for each channel.
    #[test]
    fn statistics_are_those_of_batches_with_elements(rows in prop::collection::vec(0..4_usize, 0..6), seed: u64) {
        let rng = &mut seeded(seed);
        let (all, others) = (BatchNorm1d::<f64>::new(3), BatchNorm1d::<f64>::new(3));
        let (images, other_images) = (BatchNorm2d::<f64>::new(3), BatchNorm2d::<f64>::new(3));
        for rows in rows {
            let (x, image) = (Tensor::randn([rows, 3], rng), Tensor::randn([rows, 3, 1, 1], rng));
            let (x, image) = (Var::constant(x), Var::constant(image));
            let ended = catch_unwind(AssertUnwindSafe(|| (all.forward(&x), images.forward(&image))));
            prop_assert_eq!(ended.is_err(), rows == 1);
            if rows > 1 {
                let _ = (others.forward(&x), other_images.forward(&image));
            }
            prop_assert_eq!(statistics!(all), statistics!(others));
            prop_assert_eq!(statistics!(images), statistics!(other_images));
            prop_assert!(all.running_var.value().iter().all(f64::is_finite));
        }
    }
}

#[test]
fn dropout_repeats_itself_from_a_seed() {
    let x = Var::leaf(Tensor::<f64>::ones([1000]));
    let (one, other) = (Dropout::new(0.25, 7), Dropout::new(0.25, 7));
    let y = one.forward(&x);
    assert_eq!(y.value(), other.forward(&x).value());
    let clone = one.clone();
    let next = one.forward(&x);
    assert_ne!(y.value(), next.value());
    assert_eq!(clone.forward(&x).value(), next.value());
    assert_ne!(y.value(), Dropout::new(0.25, 8).forward(&x).value());
    assert_eq!(y.sum(..).backward().get(&x), Some(y.value())); // 0, or what the elements were divided by
}

/// A release promises the masks, for either element type.
#[test]
fn the_first_masks_of_a_seed() {
    let layer = Dropout::new(0.5, 42);
    let mask = || layer.forward(Var::constant(Tensor::<f32>::ones([24]))).value().map(|y| i64::from(y > 0.0));
    assert_eq!(mask().to_vec(), [0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1]);
    assert_eq!(mask().to_vec(), [1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1]);
    let [single, double] = [Dropout::new(0.3, 1), Dropout::new(0.3, 1)];
    let single = single.forward(Var::constant(Tensor::<f32>::ones([999]))).value().ne(0.0);
    assert_eq!(single, double.forward(Var::constant(Tensor::<f64>::ones([999]))).value().ne(0.0));
}

proptest! {
    /// Elements are dropped at the right rate, independently of their neighbours in place, pass and seed.
    #[test]
    fn dropped_with_probability_p(p in 0.0..=1.0_f64, seed: u64) {
        const COUNT: usize = 10_000;
        let x = Var::constant(Tensor::<f64>::ones([COUNT]));
        let layer = Dropout::new(p, seed);
        let mask = |layer: &Dropout| layer.forward(&x).value().map(|y| if y == 0.0 { 1.0 } else { 0.0 });
        let first = mask(&layer);
        let others = [mask(&layer), mask(&Dropout::new(p, seed.wrapping_add(1))), first.roll([1], [0])];
        let within = |got: f64, p: f64| (got - p).abs() <= 6.0 * (p * (1.0 - p) / COUNT as f64).sqrt() + 1e-12;
        prop_assert!(within(first.mean(..).item(), p));
        for other in &others {
            prop_assert!(within((&first * other).mean(..).item(), p * p));
        }
        prop_assert_eq!(mask(&Dropout::new(0.0, seed)).sum(..).item(), 0.0);
        prop_assert_eq!(mask(&Dropout::new(1.0, seed)).sum(..).item(), COUNT as f64);
    }
}

/// Modes differ from layer to layer, and are restored, even after a panic.
#[test]
fn evaluate_puts_modes_back() {
    let mut model = model();
    model.inner.eval();
    let modes = |model: &Outer| {
        let mut modes = Vec::new();
        model.visit(Path::ROOT, &mut |path, member| {
            if let Member::Mode(mode) = member {
                modes.push((path.to_string(), *mode));
            }
        });
        modes
    };
    let before = modes(&model);
    let expected = [
        ("first.0.training", true),
        ("first.1.training", true),
        ("inner.0.norms.0.training", false),
        ("inner.0.dropout.training", false),
    ];
    assert_eq!(before, expected.map(|(name, mode)| (name.to_string(), mode)));
    let x = Var::constant(Tensor::ones([2, 2, 1, 1]));
    let seen = model.evaluate(|model| {
        assert!(!model.is_training());
        model.first.forward(&x).value().clone()
    });
    assert!(seen.allclose(x.value(), 1e-4, 0.0));
    assert_eq!(modes(&model), before);
    let ended = catch_unwind(AssertUnwindSafe(|| model.evaluate(|_| panic!("on purpose"))));
    assert!(ended.is_err());
    assert_eq!(modes(&model), before);
}

/// In evaluation mode several threads can share a model, which keeps every bit.
#[test]
fn threads_share_a_model_in_evaluation() {
    fn shared<M: Send + Sync>(_: &M) {}
    let rng = &mut seeded(3);
    let mut model = Sequential::<f64>::new()
        .push(BatchNorm1d::new(4))
        .push(Dropout::new(0.5, 0))
        .push(Linear::new(4, 4, rng));
    shared(&model);
    let x = Var::constant(Tensor::randn([6, 4], rng));
    let _ = model.forward(&x);
    let state = |model: &Sequential<f64>| format!("{model:?}");
    let before = state(&model);
    model.evaluate(|model| {
        let expected = model.forward(&x);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(model.forward(&x).value(), expected.value()));
            }
        });
    });
    assert_eq!(state(&model), before);
}

/// When several threads train one layer, no batch is lost.
#[test]
fn threads_train_one_layer() {
    const THREADS: usize = 4;
    const BATCHES: usize = 50;
    let mut layer = BatchNorm1d::<f64>::new(1);
    layer.momentum = 0.01;
    let alone = layer.clone();
    let x = Var::constant([[1.0], [3.0]]);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..BATCHES).for_each(|_| drop(layer.forward(&x))));
        }
    });
    (0..THREADS * BATCHES).for_each(|_| drop(alone.forward(&x)));
    assert_eq!(statistics!(layer), statistics!(alone));
}
