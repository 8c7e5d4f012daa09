//! Layers that run again for the backward pass: the same numbers, gradients, masks and statistics.

use gradus::prelude::*;
use gradus::testing::{check_module, tensors};
use gradus::{Tape, checkpoint_layer, checkpoint_sequential, track_memory};
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

    /// A function that reads parameters which are not its inputs, with counters, buffers and masks: the same to the last bit.
    #[test]
    fn captured(x in batches(), seed: u64) {
        let plain = block(seed);
        let twin = std::sync::Arc::new(plain.clone());
        let scale = Var::leaf(Tensor::from(1.5));
        for _ in 0..2 {
            let start = Var::leaf(&x) * &scale;
            let (layer, between) = (std::sync::Arc::clone(&twin), start.clone());
            let thrifty = checkpoint(&[&start], move |x| layer.forward(&x[0]) + between.sum(1).unsqueeze(1));
            let loss = plain.forward(&start) + start.sum(1).unsqueeze(1);
            prop_assert_eq!(thrifty.value(), loss.value());
            let [thrifty, loss] = [thrifty, loss].map(|y| y.square().sum(..).backward());
            prop_assert_eq!(thrifty.get(&scale), loss.get(&scale));
            for (parameter, other) in twin.parameters().into_iter().zip(plain.parameters()) {
                prop_assert_eq!(thrifty.get(parameter), loss.get(other));
            }
            prop_assert_eq!(twin.state(), plain.state());
        }
    }
}

/// The memory of a chain grows with the square root of its length.
#[test]
fn memory_of_a_chain() {
    let peak = |count: usize, thrifty: bool| {
        let rng = &mut seeded(0);
        let layers: Vec<Tanh> = vec![Tanh; count];
        let x = Var::leaf(Tensor::<f64>::randn([4096], rng));
        let ((), report) = track_memory(|| {
            let forward = |layer: &Tanh, x: &Var<f64>| layer.forward(x).sin().cos();
            let y = if thrifty {
                checkpoint_sequential(&layers, &x, forward)
            } else {
                layers.iter().fold(x.clone(), |x, layer| forward(layer, &x))
            };
            drop(y.sum(..).backward());
        });
        (report.peak - report.before) as f64 / (4096.0 * 8.0)
    };
    let [short, middle, long] = [16, 64, 256].map(|count| peak(count, true));
    // Four times as long, twice the memory; without checkpoints four times.
    assert!(middle < 2.3 * short && long < 2.3 * middle, "{short} {middle} {long} activations");
    assert!(long < peak(256, false) / 6.0, "{long} activations");
}
