//! Training and evaluation, and what belongs to a model beside its parameters.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradus::prelude::*;
use gradus::testing::check_module;
use gradus::{BatchNorm1d, BatchNorm2d, Dropout, Lstm, TransformerBlock};
use proptest::prelude::*;

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
    let x = Var::constant(Tensor::ones([2, 2, 1, 1]));
    assert_eq!(model.first.forward(&x).shape(), [2, 2, 1, 1]); // which panics in training
    model.train();
    assert!(model.inner[0].norms[0].training);
}

#[test]
fn buffers_have_names() {
    let mut model = model();
    let names: Vec<String> = model.named_buffers().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "first.0.running_mean",
        "first.0.running_var",
        "inner.0.norms.0.running_mean",
        "inner.0.norms.0.running_var",
    ];
    assert_eq!(names, expected);
    model.visit_buffers_mut(gradus::Path::ROOT, &mut |_, buffer| *buffer *= 0.0);
    assert!(model.named_buffers().iter().all(|(_, buffer)| buffer.to_vec().iter().all(|&x: &f64| x == 0.0)));
}

#[test]
fn running_statistics_are_those_of_the_batches() {
    let mut layer = BatchNorm1d::<f64>::new(1);
    layer.momentum = 0.5;
    let x = Var::constant([[1.0], [3.0]]);
    let _ = layer.forward_mut(&x);
    assert_eq!((layer.running_mean.item(), layer.running_var.item()), (1.0, 1.5));
    layer.eval();
    let before = layer.running_mean.clone();
    let y = layer.forward_mut(&x);
    assert_eq!((layer.running_mean, y.value().to_vec()[0]), (before, 0.0));
}

/// The running statistics of a layer.
macro_rules! statistics {
    ($layer:ident) => {
        ($layer.running_mean.to_vec(), $layer.running_var.to_vec())
    };
}

/// A batch of 0 rows, or images without pixels: in PyTorch they make the running statistics NaN.
#[test]
fn batches_of_nothing_change_no_statistics() {
    let mut layer = BatchNorm1d::<f64>::new(2);
    let x = Var::leaf(Tensor::zeros([0, 2]));
    let y = layer.forward_mut(&x);
    assert_eq!(y.shape(), [0, 2]);
    assert_eq!(statistics!(layer), (vec![0.0, 0.0], vec![1.0, 1.0]));
    // The weight gets a gradient, which is 0.
    let gradients = y.sum(..).backward();
    assert_eq!(gradients.get(layer.weight.as_ref().unwrap()), Some(&Tensor::zeros([2])));
    layer.eval();
    assert!(layer.forward(&Var::constant([[1.0, 1.0]])).value().iter().all(f64::is_finite));
    let mut layer = BatchNorm2d::<f64>::new(2);
    let _ = layer.forward_mut(&Var::constant(Tensor::zeros([3, 2, 0, 4])));
    assert_eq!(statistics!(layer), (vec![0.0, 0.0], vec![1.0, 1.0]));
}

proptest! {
    /// Empty batches among others are as if they were not there; nor does a batch that is refused, of one element for
    /// each channel, leave anything behind.
    #[test]
    fn statistics_are_those_of_batches_with_elements(rows in prop::collection::vec(0..4_usize, 0..6), seed: u64) {
        let rng = &mut seeded(seed);
        let (mut all, mut others) = (BatchNorm1d::<f64>::new(3), BatchNorm1d::<f64>::new(3));
        let (mut images, mut other_images) = (BatchNorm2d::<f64>::new(3), BatchNorm2d::<f64>::new(3));
        for rows in rows {
            let (x, image) = (Tensor::randn([rows, 3], rng), Tensor::randn([rows, 3, 1, 1], rng));
            let (x, image) = (Var::constant(x), Var::constant(image));
            let ended = catch_unwind(AssertUnwindSafe(|| (all.forward_mut(&x), images.forward_mut(&image))));
            prop_assert_eq!(ended.is_err(), rows == 1);
            if rows > 1 {
                let _ = (others.forward_mut(&x), other_images.forward_mut(&image));
            }
            prop_assert_eq!(statistics!(all), statistics!(others));
            prop_assert_eq!(statistics!(images), statistics!(other_images));
            prop_assert!(all.running_var.iter().all(f64::is_finite));
        }
    }
}

#[test]
fn dropout_repeats_itself_from_a_seed() {
    let x = Var::leaf(Tensor::<f64>::ones([1000]));
    let (mut one, mut other) = (Dropout::new(0.25, 7), Dropout::new(0.25, 7));
    let y = one.forward_mut(&x);
    assert_eq!(y.value(), other.forward_mut(&x).value());
    assert_ne!(y.value(), one.forward_mut(&x).value());
    assert_eq!(y.sum(..).backward().get(&x), Some(y.value())); // 0, or what the elements were divided by
}

#[test]
fn recurrent_and_transformer_layers_have_gradients() {
    let rng = &mut seeded(0);
    let lstm = Lstm::<f64>::new(2, 3, 2, rng).batch_first();
    let x = Tensor::randn([2, 3, 2], rng);
    check_module(&lstm, |lstm, [x]| lstm.forward(x, None).0, [x]).unwrap();
    let block = TransformerBlock::<f64>::new(4, 2, 6, rng);
    check_module(&block, |block, [x]| block.forward(x, None, true), [Tensor::randn([2, 3, 4], rng)]).unwrap();
}
