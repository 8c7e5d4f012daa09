//! `copy_from`: the numbers of another model, and identities that stay.

use gradus::prelude::*;
use proptest::prelude::*;

use super::model;
use crate::messages::panics;

fn loss(model: &Sequential<f64>, batch: u64) -> Var<f64> {
    model.forward(Var::constant(Tensor::randn([5, 3], &mut seeded(batch)))).square().sum(..)
}

fn train(model: &mut Sequential<f64>, optimizer: &mut Adam<f64>, batches: std::ops::Range<u64>) {
    for batch in batches {
        let gradients = loss(model, batch).backward();
        optimizer.step(model, &gradients);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The best of several steps comes back whole, with buffers and counters, and training goes on from there as it went
    /// from there before.
    #[test]
    fn the_best_model_comes_back(seed: u64, before in 0..4_u64, between in 1..4_u64) {
        let (mut model, mut adam) = (model(seed), Adam::new(0.1));
        train(&mut model, &mut adam, 0..before);
        let (best, at_best) = (model.clone(), adam.state());
        let recorded = loss(&best.clone(), 99);
        train(&mut model, &mut adam, before..before + between);
        let went_on = model.state();
        prop_assert_ne!(&went_on, &best.state());

        let identities: Vec<_> = model.parameters().iter().map(|p| p.identity()).collect();
        let old = loss(&model.clone(), 99);
        model.eval();
        model.copy_from(&best);
        prop_assert_eq!(model.state(), best.state());
        let after: Vec<_> = model.parameters().iter().map(|p| p.identity()).collect();
        prop_assert_eq!(identities, after);
        prop_assert!(!model.is_training(), "modes stay");
        model.train();
        prop_assert_eq!(loss(&model.clone(), 99).item(), recorded.item());
        prop_assert_ne!(old.item(), recorded.item());

        adam.load_state(&at_best).unwrap();
        train(&mut model, &mut adam, before..before + between);
        prop_assert_eq!(model.state(), went_on);
        prop_assert_eq!(best.state().len(), 10);
    }
}

/// A tape from before keeps its numbers, and its gradients are gradients of this model.
#[test]
fn tapes_and_gradients_stay() {
    let (mut layer, other) = (Linear::<f64>::new(2, 1, &mut seeded(0)), Linear::new(2, 1, &mut seeded(1)));
    let expected = layer.weight.value() * 2.0;
    let y = layer.weight.square().sum(..);
    layer.copy_from(&other);
    let gradients = y.backward();
    assert_eq!(gradients.get(&layer.weight), Some(&expected));
    Sgd::new(1.0).step(&mut layer, &gradients);
    assert_eq!(layer.weight.value(), &(other.weight.value() - expected));
    // The other model does not share what this one changes.
    assert_eq!(other.weight.value(), Linear::<f64>::new(2, 1, &mut seeded(1)).weight.value());
    // A layer that is known by its trait alone.
    let mut boxed: Box<dyn gradus::Layer<f64>> = Box::new(layer);
    boxed.copy_from(&other);
    assert_eq!(boxed.state(), other.state());
}

#[test]
fn other_architectures_are_refused() {
    let mut model = model(0);
    let before = model.state();
    let rng = &mut seeded(0);
    let other = Sequential::<f64>::new()
        .push(Linear::new(3, 4, rng).without_bias())
        .push(BatchNorm1d::new(4))
        .push(gradus::Relu {})
        .push(Linear::new(5, 2, rng))
        .push(Linear::new(1, 1, rng).without_bias());
    panics(
        || model.copy_from(&other),
        "copy_from: the state of the other model does not fit this model\n  \
         0.bias: missing in the state\n  \
         2.key: missing in the state\n  \
         3.weight: shape [2, 5] in the state, [2, 4] in the model\n  \
         4.weight: not in the model",
    );
    assert_eq!(model.state(), before);
}
