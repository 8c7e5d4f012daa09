//! Operations that do several things in one pass, against the same made of other operations: in values, and in
//! gradients of first and second order.

use gradus::prelude::*;
use gradus::testing::{axes_of, shapes};
use gradus::{grad, grad_create_graph};
use proptest::prelude::*;

/// A value, the gradient of its product with a random tensor, and the gradient of a function of that.
fn jet(f: &dyn Fn(&[Var<f64>]) -> Var<f64>, inputs: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
    let leaves: Vec<Var<f64>> = inputs.iter().map(Var::leaf).collect();
    let leaves: Vec<&Var<f64>> = leaves.iter().collect();
    let y = f(&leaves.iter().map(|&leaf| leaf.clone()).collect::<Vec<_>>());
    let weights = Tensor::<f64>::randn(y.shape(), &mut seeded(1));
    let loss = (&y * &weights).sum(..) + y.square().sum(..);
    let first = grad_create_graph(&loss, &leaves);
    let slope = first.iter().fold(Var::from(0.0), |sum, gradient| sum + gradient.sin().sum(..));
    let second = grad(&slope, &leaves);
    let plain = grad(&loss, &leaves);
    let gradients = [first, second, plain].concat();
    std::iter::once(y).chain(gradients).map(Var::into_value).collect()
}

fn agree(
    inputs: &[Tensor<f64>],
    fused: impl Fn(&[Var<f64>]) -> Var<f64>,
    composed: impl Fn(&[Var<f64>]) -> Var<f64>,
) -> Result<(), TestCaseError> {
    for (got, expected) in jet(&fused, inputs).iter().zip(jet(&composed, inputs)) {
        prop_assert_eq!(got.shape(), expected.shape());
        let scale = expected.abs().sum(..).item().max(1.0);
        prop_assert!(got.allclose(&expected, 1e-11, 1e-11 * scale), "{:?} {:?}", got, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn linear(front in shapes(0..=3, 0..=3), inner in 1..4_usize, out in 1..4_usize, bias: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let mut inputs = vec![Tensor::randn([&front[..], &[inner]].concat(), rng), Tensor::randn([out, inner], rng)];
        if bias {
            inputs.push(Tensor::randn([out], rng));
        }
        let composed = |x: &[Var<f64>]| {
            let product = x[0].matmul(&x[1].t());
            x.get(2).map_or(product.clone(), |bias| product + bias)
        };
        agree(&inputs, |x| x[0].linear(&x[1], x.get(2)), composed)?;
    }

    #[test]
    fn cross_entropy((shape, axis) in axes_of(1), size in 0.1..10.0, seed: u64) {
        let rng = &mut seeded(seed);
        let x: Tensor<f64> = Tensor::randn(shape.as_slice(), rng) * size;
        let mut rest = shape.clone();
        let classes = rest.remove(axis.rem_euclid(shape.len() as isize) as usize);
        let targets: Tensor<i64> = (Tensor::<f64>::rand(rest, rng) * classes as f64).cast();
        let composed = |x: &[Var<f64>]| {
            -x[0].log_softmax(axis).gather(axis, &targets.unsqueeze(axis)).mean(..)
        };
        if !x.is_empty() {
            agree(&[x], |x| x[0].softmax_cross_entropy(axis, &targets), composed)?;
        }
    }

    #[test]
    fn mse_loss(shape in shapes(0..=3, 1..=4), seed: u64) {
        let rng = &mut seeded(seed);
        let inputs = [Tensor::randn(shape.as_slice(), rng), Tensor::randn(shape, rng)];
        agree(&inputs, |x| x[0].mean_squared_error(&x[1]), |x| (&x[0] - &x[1]).square().mean(..))?;
    }

    #[test]
    fn layer_norm(front in shapes(0..=2, 0..=3), last in shapes(1..=2, 1..=4), weight: bool, bias: bool, seed: u64) {
        let rng = &mut seeded(seed);
        let shape = [&front[..], &last].concat();
        let axes: Vec<usize> = (front.len()..shape.len()).collect();
        let inputs = [Tensor::randn(shape, rng), Tensor::randn(last.as_slice(), rng), Tensor::randn(last.as_slice(), rng)];
        let composed = |x: &[Var<f64>]| {
            let centred = &x[0] - x[0].mean(keepdim(axes.as_slice()));
            let variance = x[0].var(keepdim(axes.as_slice()), 0);
            let normal = centred / (variance + 0.1).sqrt();
            let scaled = if weight { normal * &x[1] } else { normal + &x[1] * 0.0 };
            if bias { scaled + &x[2] } else { scaled + &x[2] * 0.0 }
        };
        let fused = |x: &[Var<f64>]| {
            let y = x[0].layer_norm(&last, weight.then_some(&x[1]), bias.then_some(&x[2]), 0.1);
            y + &x[1] * 0.0 + &x[2] * 0.0
        };
        agree(&inputs, fused, composed)?;
    }

    #[test]
    fn gelu_tanh(shape in shapes(0..=2, 0..=4), size in 0.1..10.0, seed: u64) {
        let x: Tensor<f64> = Tensor::randn(shape, &mut seeded(seed)) * size;
        let composed = |x: &[Var<f64>]| {
            let u = (&x[0] + x[0].pow_scalar(3.0) * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
            &x[0] * 0.5 * (1.0 + u.tanh())
        };
        agree(&[x], |x| x[0].gelu_tanh(), composed)?;
    }

    /// The softmax of tensors, in a pass of its own, is that of its definition.
    #[test]
    fn softmax((shape, axis) in axes_of(1), seed: u64) {
        let x = Tensor::<f64>::randn(shape, &mut seeded(seed));
        let composed = |x: &[Var<f64>]| x[0].exp() / x[0].exp().sum(keepdim(axis));
        agree(&[x], |x| x[0].softmax(axis), composed)?;
    }
}
