//! The allocations of a compiled step.

use gradus::prelude::*;
use gradus::{Compiled, Indices, Optimizers, Var, set_num_threads};

use crate::allocator::{allocations_of_thread, alone};

/// The allocations of a call that comes after some others, on one thread. The result lives until then, as a loss that is
/// printed would.
fn of_step<O: Optimizer<f32> + Optimizers<f32> + 'static>(
    layers: impl FnOnce(&mut Xoshiro256PlusPlus) -> Sequential,
    mut optimizer: O,
    shape: &[usize],
) -> usize {
    let rng = &mut seeded(0);
    let mut model = layers(rng);
    let x = Var::from(Tensor::<f32>::randn(shape, rng));
    let targets = Indices::from(Tensor::arange(0, shape[0] as i64, 1).map(|i| i % 10));
    let mut step =
        Compiled::new(|model: &mut Sequential, optimizer: &mut O, (x, targets): (Var, Indices)| {
            let loss = model.forward(&x).cross_entropy(&targets);
            optimizer.step(model, &loss.clone().backward());
            loss
        });
    let mut counts = Vec::with_capacity(8);
    for _ in 0..8 {
        let before = allocations_of_thread();
        let loss = step.call(&mut model, &mut optimizer, (x.clone(), targets.clone()));
        counts.push(allocations_of_thread() - before);
        assert!(loss.item().is_finite());
    }
    assert_eq!(counts[5..7], counts[6..], "{counts:?}");
    counts[7]
}

/// A step has its memory from the steps before: the memory of its values, and blocks that wait for scratch. Even the loss lies in
/// memory of the plan, as the one of the step before is gone. The workspaces of `gemm` are not counted.
#[test]
fn a_compiled_step_allocates_nothing() {
    set_num_threads(1);
    alone(|| {
        let mlp = |rng: &mut Xoshiro256PlusPlus| {
            let model =
                Sequential::new().push(Linear::new(40, 96, rng)).push(Relu).push(Linear::new(96, 96, rng));
            model.push(Tanh).push(Linear::new(96, 10, rng))
        };
        assert_eq!(of_step(mlp, Sgd::new(0.1), &[64, 40]), 0);
        // The product with the first weight is turned as a whole.
        let wide = |rng: &mut Xoshiro256PlusPlus| {
            Sequential::new().push(Linear::new(784, 512, rng)).push(Linear::new(512, 10, rng))
        };
        assert_eq!(of_step(wide, Sgd::new(0.1), &[32, 784]), 0);
        let cnn = |rng: &mut Xoshiro256PlusPlus| {
            let conv = Sequential::new().push(Conv2d::new(1, 8, 3, Conv::new(), rng)).push(Relu);
            let conv = conv.push(MaxPool2d::new(2)).push(Conv2d::new(8, 16, 3, Conv::new(), rng)).push(Relu);
            conv.push(MaxPool2d::new(2)).push(Flatten).push(Linear::new(400, 10, rng))
        };
        assert_eq!(of_step(cnn, Adam::new(0.01), &[16, 1, 28, 28]), 0);
        let norm = |rng: &mut Xoshiro256PlusPlus| {
            let model =
                Sequential::new().push(Linear::new(40, 96, rng)).push(LayerNorm::new([96])).push(Gelu);
            model.push(Linear::new(96, 96, rng)).push(LayerNorm::new([96])).push(Linear::new(96, 10, rng))
        };
        assert_eq!(of_step(norm, Adam::new(0.01), &[64, 40]), 0);
    });
}

/// An operation that runs alone takes memory anew in each call: the memory of its last result, once that is gone.
#[test]
fn a_result_that_is_gone_makes_room() {
    set_num_threads(1);
    alone(|| {
        let x = Var::from(Tensor::<f32>::randn([512, 512], &mut seeded(0)));
        let mut sum =
            Compiled::new(|_: &mut Sequential, (): &mut (), x: Var| &x + Tensor::<f32>::ones([512]));
        let mut model = Sequential::new();
        let mut place =
            || sum.call(&mut model, &mut (), x.clone()).value().as_slice().expect("contiguous").as_ptr();
        let places: Vec<_> = (0..6).map(|_| place()).collect();
        assert_eq!(places[2..5], places[3..], "{places:?}");
    });
}
