//! Operations that do several things in one pass, against the same made of other operations: in values, and in
//! gradients of first and second order.

use gradus::prelude::*;
use gradus::testing::shapes;
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
}
