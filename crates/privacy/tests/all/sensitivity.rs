//! The influence of one example.

use gradus_autograd::{Conv, Examples, Gradients, Indices, Operand, Tensor, Var, seeded};
use gradus_nn::{
    Conv2d, Embedding, Flatten, Float, Linear, Losses, MaxPool2d, Module, Relu, Sequential, Tanh,
};
use gradus_privacy::{ClippedSum, Clipping, DpSgd};
use proptest::prelude::*;

pub(crate) fn cnn<T: Float>(seed: u64) -> Sequential<T> {
    let rng = &mut seeded(seed);
    Sequential::new()
        .push(Conv2d::new(1, 3, 3, Conv::new(), rng))
        .push(Relu)
        .push(MaxPool2d::new(2))
        .push(Flatten)
        .push(Linear::new(12, 6, rng))
        .push(Tanh)
        .push(Linear::new(6, 4, rng))
}

/// Images and labels of a size.
pub(crate) fn batch<T: Float>(size: usize, scale: f64, seed: u64) -> (Tensor<T>, Tensor<i64>) {
    let rng = &mut seeded(seed);
    (Tensor::randn([size, 1, 6, 6], rng) * T::from_f64(scale), Tensor::randint([size], 0..4, rng))
}

pub(crate) fn loss<T: Float>(model: &Sequential<T>, x: &Examples<T>) -> Var<T> {
    model.forward(x[0].unsqueeze(0)).cross_entropy(x.indices(1).reshape([1]))
}

pub(crate) fn clipped<T: Float>(
    private: &DpSgd,
    model: &Sequential<T>,
    (x, y): &(Tensor<T>, Tensor<i64>),
) -> ClippedSum<T> {
    let (x, y) = (Var::constant(x), Indices::constant(y));
    let inputs = [Operand::Var(&x), Operand::Indices(&y)];
    private.clipped_sum(model, loss, &inputs, &[Some(0), Some(0)]).unwrap()
}

/// The norm of the gradients of a model.
fn norm<T: Float>(model: &impl Module<T>, gradients: &Gradients<T>) -> f64 {
    let squares = model
        .parameters()
        .into_iter()
        .map(|parameter| gradients.get(parameter).unwrap().iter().map(|x| x.to_f64().powi(2)).sum::<f64>());
    squares.sum::<f64>().sqrt()
}

/// A sum, and the sum without one example, differ by the clipping norm at most.
fn one_example<T: Float>(seed: u64, size: usize, scale: f64, max_norm: f64, clipping: Clipping, slack: f64) {
    let model = cnn::<T>(seed);
    let (x, y) = batch::<T>(size, scale, seed);
    let private = DpSgd::new(100, 0.5).unwrap().max_norm(max_norm).unwrap().clipping(clipping);
    let most = max_norm * (1.0 + slack);
    let whole = clipped(&private, &model, &(x.clone(), y.clone()));
    assert!(norm(&model, whole.gradients()) <= size as f64 * most);
    let mut rest = clipped(&private, &model, &(x.slice(0, 1..), y.slice(0, 1..)));
    let apart: f64 = model
        .parameters()
        .into_iter()
        .map(|parameter| {
            let [whole, rest] = [&whole, &rest].map(|sum| sum.gradients().get(parameter).unwrap());
            (whole - rest).iter().map(|x| x.to_f64().powi(2)).sum::<f64>()
        })
        .sum();
    assert!(apart.sqrt() <= most + slack * size as f64 * max_norm, "{} {most}", apart.sqrt());
    // What was left out, added again.
    rest.accumulate(clipped(&private, &model, &(x.slice(0, ..1), y.slice(0, ..1))));
    assert_eq!(rest.batch(), size);
    for parameter in model.parameters() {
        let [whole, parts] = [&whole, &rest].map(|sum| sum.gradients().get(parameter).unwrap());
        assert!(whole.allclose(parts, slack.max(1e-12), slack * max_norm));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn one_example_changes_the_sum_by_the_norm_at_most(
        seed: u64, size in 1_usize..7, scale in 0.01..30.0, max_norm in 0.001..10.0, flat: bool,
    ) {
        let clipping = if flat { Clipping::Flat } else { Clipping::PerTensor };
        one_example::<f64>(seed, size, scale, max_norm, clipping, 1e-13);
        one_example::<f32>(seed, size, scale, max_norm, clipping, 1e-5);
    }

    /// A small gradient is not changed, and a large one ends with the norm exactly.
    #[test]
    fn clipping_reaches_the_norm(seed: u64, scale in 0.1..10.0) {
        let (model, one) = (cnn::<f64>(seed), batch::<f64>(1, scale, seed));
        let of = |max_norm, clipping| {
            let private = DpSgd::new(10, 0.5).unwrap().max_norm(max_norm).unwrap().clipping(clipping);
            clipped(&private, &model, &one)
        };
        let free = of(1e6, Clipping::Flat);
        let length = norm(&model, free.gradients());
        let half = of(length / 2.0, Clipping::Flat);
        prop_assert!((norm(&model, half.gradients()) / length - 0.5).abs() < 1e-12);
        let each = of(length / 2.0, Clipping::PerTensor);
        for parameter in model.parameters() {
            let [free, each] = [&free, &each].map(|sum| sum.gradients().get(parameter).unwrap().norm(2.0, ..).item());
            let bound = length / 2.0 / 6_f64.sqrt();
            prop_assert!((each - free.min(bound)).abs() <= 1e-12 * free);
        }
    }

    /// The gradient of this weight is the difference of two products of vectors, large and almost equal, of which rounding
    /// leaves a length of anything.
    #[test]
    fn products_that_cancel_stay_within_the_norm(seed: u64, size in 10.0..1e4_f64, apart in 0.0..1e-6) {
        let rng = &mut seeded(seed);
        let model = Linear::<f32>::new(24, 24, rng).without_bias();
        let (a, b) = (Tensor::<f32>::randn([1, 1, 24], rng), Tensor::<f32>::randn([1, 1, 24], rng));
        let [size, apart] = [size as f32, 1.0 + apart as f32];
        let x = Var::constant(Tensor::cat(&[&(&a * size), &(&a * (size * apart))], 1));
        let v = Var::constant(Tensor::cat(&[&(&b * size), &(&b * -size)], 1));
        let private = DpSgd::new(10, 0.5).unwrap();
        let loss = |model: &Linear<f32>, x: &Examples<f32>| (model.forward(&x[0]) * &x[1]).sum(..);
        let sum = private.clipped_sum(&model, loss, &[&x, &v], &[Some(0), Some(0)]).unwrap();
        prop_assert!(norm(&model, sum.gradients()) < 1.0 + 1e-5, "{}", norm(&model, sum.gradients()));
    }

    /// Rows of an embedding, with one occurring twice.
    #[test]
    fn embeddings(seed: u64, max_norm in 0.01..1.0) {
        let rng = &mut seeded(seed);
        let model = Embedding::<f64>::new(5, 3, rng);
        let letters = Indices::constant(Tensor::from([[0, 0, 1], [2, 3, 4]]));
        let private = DpSgd::new(10, 0.5).unwrap().max_norm(max_norm).unwrap();
        let loss = |model: &Embedding<f64>, x: &Examples<f64>| model.forward(x.indices(0)).square().sum(..);
        let sum = private.clipped_sum(&model, loss, &[Operand::Indices(&letters)], &[Some(0)]).unwrap();
        prop_assert!(norm(&model, sum.gradients()) <= 2.0 * max_norm * (1.0 + 1e-13));
    }
}
