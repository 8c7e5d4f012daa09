//! `DeepLIFT` beyond layers and activations.

use gradus_autograd::{Tensor, Var, cat, seeded};
use gradus_explain::{DeepLift, ExplainError};
use gradus_nn::{LayerNorm, Linear, MultiheadAttention};
use proptest::prelude::*;

/// The largest error of the sum.
fn delta(model: impl Fn(&Var<f64>) -> Var<f64>, seed: u64) -> f64 {
    let rng = &mut seeded(seed);
    let (x, baseline) = (Tensor::randn([2, 4], rng), Tensor::randn([2, 4], rng));
    let explanation = DeepLift::new().baseline(baseline).explain(model, &x, 0).unwrap();
    explanation.delta.abs().max(..).item()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Products, quotients, maxima, softmax, normalisation and attention are shared without a rest.
    #[test]
    fn operations_of_several_inputs(seed in 0_u64..1000) {
        let rng = &mut seeded(seed);
        let (first, second) = (Linear::new(4, 6, rng), Linear::new(4, 6, rng));
        let gated = |x: &Var<f64>| first.forward(x) * second.forward(x);
        prop_assert!(delta(gated, seed) < 1e-12);
        let triple = |x: &Var<f64>| first.forward(x).exp() * second.forward(x) * x.sum(1).unsqueeze(1);
        prop_assert!(delta(triple, seed) < 1e-10);
        prop_assert!(delta(|x| first.forward(x).softmax(1), seed) < 1e-8);
        prop_assert!(delta(|x| first.forward(x) / (second.forward(x).square() + 1.0), seed) < 1e-8);
        let norm = LayerNorm::new([6]);
        prop_assert!(delta(|x| norm.forward(first.forward(x)), seed) < 1e-6);
        prop_assert!(delta(|x| first.forward(x).max(1).unsqueeze(1), seed) < 1e-12);
        prop_assert!(delta(|x| first.forward(x).reshape((-1, 1, 2, 3)).max_pool2d(2).flatten(1..), seed) < 1e-12);
        let attention = MultiheadAttention::new(2, 1, rng);
        let attends = |x: &Var<f64>| {
            let x = x.reshape((-1, 2, 2));
            attention.forward(&x, None, false).flatten(1..)
        };
        prop_assert!(delta(attends, seed) < 1e-8);
        // A value that is read twice.
        prop_assert!(delta(|x| cat(&[&x.relu(), &x.tanh(), x], 1).square().sum(1).unsqueeze(1), seed) < 1e-12);
    }
}

#[test]
fn a_near_baseline_takes_the_derivative() {
    let model = |x: &Var<f64>| x.tanh();
    let x = Tensor::from([[0.5]]);
    let explanation = DeepLift::new().baseline(&x + 1e-12).explain(model, &x, 0).unwrap();
    let slope = 1.0 - 0.5_f64.tanh().powi(2);
    assert!((explanation.values.item() / -1e-12 - slope).abs() < 1e-3);
}

#[test]
fn other_operations_on_the_baseline_are_an_error() {
    // A branch on the numbers.
    let model = |x: &Var<f64>| if x.value().max(..).item() > 0.0 { x.exp() } else { x.tanh() };
    let result = DeepLift::new().explain(model, &Tensor::from([[1.0]]), 0);
    assert!(matches!(result, Err(ExplainError::Tapes { .. })), "{result:?}");
}
