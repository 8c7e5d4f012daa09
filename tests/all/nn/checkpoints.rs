//! Layers that run again for the backward pass: the same numbers, gradients, masks and statistics.

use gradus::prelude::*;
use gradus::testing::{check_module, tensors};
use gradus::{Tape, checkpoint_layer};
use proptest::prelude::*;

/// A block with parameters, counters, buffers and masks.
fn block(seed: u64) -> Sequential<f64> {
    let rng = &mut seeded(seed);
    Sequential::new()
        .push(Linear::new(3, 5, rng))
        .push(BatchNorm1d::new(5))
        .push(Tanh)
        .push(Dropout::new(0.4, seed))
        .push(Linear::new(5, 2, rng))
}

fn batches() -> impl Strategy<Value = Tensor<f64>> {
    (2..=5_usize).prop_flat_map(|rows| tensors(Just(vec![rows, 3]), -2.0..2.0))
}

proptest! {
    /// Training with checkpoints is training without, to the last bit.
    #[test]
    fn training(x in batches(), seed: u64, frozen: bool) {
        let mut plain = block(seed);
        if frozen {
            plain.freeze(|name| name.ends_with("bias"));
        }
        let mut thrifty = plain.clone();
        let (mut first, mut second) = (Sgd::new(0.1), Sgd::new(0.1));
        for _ in 0..3 {
            let loss = plain.forward(&x).square().sum(..);
            let checkpointed = checkpoint_layer(&thrifty, &x, |layer, x| layer.forward(x)).square().sum(..);
            prop_assert_eq!(loss.value(), checkpointed.value());
            first.step(&mut plain, &loss.backward());
            second.step(&mut thrifty, &checkpointed.backward());
        }
        prop_assert_eq!(plain.state(), thrifty.state());
    }

    /// The gradients of inputs and parameters, in all laws and to second order.
    #[test]
    fn gradients(x in batches(), seed: u64) {
        let rng = &mut seeded(seed);
        let layer = Sequential::new().push(Linear::new(3, 4, rng)).push(Tanh).push(Linear::new(4, 2, rng));
        check_module(&layer, |layer, [x]| checkpoint_layer(layer, x, |layer, x| layer.forward(x).sin()), [x])?;
    }

    /// Blocks one after another, each a node that keeps its input and its result.
    #[test]
    fn chains(x in batches(), seed: u64) {
        let (a, rng) = (block(seed), &mut seeded(seed));
        let b = Sequential::new().push(Linear::new(2, 3, rng)).push(Relu);
        let forward = |layer: &Sequential<f64>, x: &Var<f64>| layer.forward(x);
        let start = a.clone();
        let thrifty = checkpoint_layer(&b, checkpoint_layer(&a, &x, forward), forward);
        let checkpoints = Tape::of(&thrifty).iter().filter(|node| node.operation() == "checkpoint").count();
        prop_assert_eq!(checkpoints, 2);
        let plain = b.forward(start.forward(&x));
        prop_assert_eq!(thrifty.value(), plain.value());
        let [thrifty, plain] = [thrifty, plain].map(|y| y.sum(..).backward());
        for (parameter, twin) in a.parameters().into_iter().zip(start.parameters()) {
            prop_assert_eq!(thrifty.get(parameter), plain.get(twin));
        }
        for parameter in b.parameters() {
            prop_assert_eq!(thrifty.get(parameter), plain.get(parameter));
        }
    }
}
