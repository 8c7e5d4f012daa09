//! Accumulated gradients equal the gradients of the whole batch.

use gradus_autograd::{Tensor, seeded};
use gradus_nn::{Linear, Losses, Module, Sequential, Tanh};
use gradus_train::MeanGradients;
use proptest::prelude::*;

proptest! {
    #[test]
    fn micro_batches_have_the_gradient_of_the_batch(seed: u64, rows in 1_usize..30, size in 1_usize..12) {
        let rng = &mut seeded(seed);
        let model = Sequential::<f64>::new().push(Linear::new(3, 4, rng)).push(Tanh).push(Linear::new(4, 2, rng));
        let (x, y) = (Tensor::<f64>::randn([rows, 3], rng), Tensor::randn([rows, 2], rng));
        let whole = model.forward(&x).mse_loss(&y).backward();
        let mut mean = MeanGradients::new();
        for (x, y) in x.split(size, 0).iter().zip(y.split(size, 0)) {
            mean.add(model.forward(x).mse_loss(y).backward(), x.shape()[0]);
        }
        prop_assert_eq!(mean.samples(), rows);
        let mean = mean.take().unwrap();
        let same = |x: f64, y: f64| if size < rows { (x - y).abs() <= 1e-12 } else { x == y };
        prop_assert!(same(mean.loss(), whole.loss()));
        for (name, gradient) in model.named_gradients(&whole) {
            let parameter = model.named_parameters().into_iter().find(|(other, _)| *other == name).unwrap().1;
            for (x, y) in mean.get(parameter).unwrap().iter().zip(gradient.iter()) {
                prop_assert!(same(x, y), "{name}: {x} {y}");
            }
        }
    }
}
