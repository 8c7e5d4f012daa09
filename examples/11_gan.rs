//! A generative adversarial network (Goodfellow et al., 2014): a generator learns to make points that a discriminator cannot
//! tell from points around eight centres on a circle.
//!
//! ```sh
//! cargo run --release --example gan
//! ```

use std::f32::consts::TAU;

use gradus::prelude::*;

const BATCH: usize = 256;

fn mlp(sizes: [usize; 4], rng: &mut impl Rng) -> Sequential {
    let mut model = Sequential::new().push(Linear::new(sizes[0], sizes[1], rng));
    for pair in sizes[1..].windows(2) {
        model = model.push(LeakyRelu::new(0.2)).push(Linear::new(pair[0], pair[1], rng));
    }
    model
}

/// Points around the centres, `[n, 2]`.
fn real(rng: &mut impl Rng) -> Tensor {
    let angles = Tensor::randint([BATCH], 0..8, rng).cast::<f32>() * (TAU / 8.0);
    Tensor::stack(&[&angles.cos(), &angles.sin()], 1) + Tensor::normal([BATCH, 2], 0.0, 0.05, rng)
}

fn main() {
    let rng = &mut seeded(1);
    let (mut generator, mut discriminator) = (mlp([8, 128, 128, 2], rng), mlp([2, 128, 128, 1], rng));
    let [mut of_generator, mut of_discriminator] = [(); 2].map(|()| Adam::new(5e-4).betas(0.5, 0.99));
    let mut average = AveragedModel::ema(&generator, 0.995);
    for step in 0..=4000 {
        let fake = generator.forward(Tensor::randn([BATCH, 8], rng));
        // The discriminator: 1 for real points, 0 for made ones, through which no gradient flows.
        let loss = discriminator.forward(real(rng)).binary_cross_entropy_with_logits(1.0)
            + discriminator.forward(fake.detach()).binary_cross_entropy_with_logits(0.0);
        let gradients = loss.backward();
        of_discriminator.step(&mut discriminator, &gradients);
        // The generator: gradients of the discriminator come along, and are not used.
        let loss = discriminator.forward(fake).binary_cross_entropy_with_logits(1.0);
        of_generator.step(&mut generator, &loss.backward());
        average.update(&generator);
        if step % 500 == 0 {
            let made = no_grad(|| average.module.forward(Tensor::randn([1000, 8], rng))).into_value();
            let [x, y] = [0, 1].map(|axis| made.select(1, axis));
            let angles = y.atan2(&x).map(|angle| (angle / TAU * 8.0).round().rem_euclid(8.0));
            let near = (x.square() + y.square()).sqrt().map(|radius| (radius - 1.0).abs()).lt(0.2);
            let counts = angles.cast::<i64>().bincount(8).to_vec();
            println!(
                "step {step:>4}  discriminator {:.3}  {:>5.1} % near the circle, by centre {counts:?}",
                gradients.loss(),
                near.cast::<f32>().mean(..).item() * 100.0,
            );
            assert!(step < 4000 || counts.iter().all(|&count| count > 20), "a centre is missing");
        }
    }
}
