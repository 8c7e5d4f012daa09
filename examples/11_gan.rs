//! A generative adversarial network (Goodfellow et al., "Generative adversarial nets", 2014): a generator learns to make points
//! that a discriminator cannot tell from points around eight centres on a circle. The picture has frames of its points, as
//! they find one centre after another.
//!
//! ```sh
//! cargo run --release --example gan
//! ```

use std::error::Error;
use std::f32::consts::TAU;

use gradus::prelude::*;
use gradus_examples::picture::{Panel, Scatter};
use gradus_examples::{Options, out, require};

const BATCH: usize = 256;
/// Points of a frame.
const FRAME: usize = 1000;

fn mlp(sizes: [usize; 4], rng: &mut impl Rng) -> Sequential {
    let mut model = Sequential::new().push(Linear::new(sizes[0], sizes[1], rng));
    for pair in sizes[1..].windows(2) {
        model = model.push(LeakyRelu::new(0.2)).push(Linear::new(pair[0], pair[1], rng));
    }
    model
}

/// Points around the centres, `[n, 2]`.
fn real(count: usize, rng: &mut impl Rng) -> Tensor {
    let angles = Tensor::randint([count], 0..8, rng).cast::<f32>() * (TAU / 8.0);
    Tensor::stack(&[&angles.cos(), &angles.sin()], 1) + Tensor::normal([count, 2], 0.0, 0.05, rng)
}

/// How many points are within four standard deviations of each centre.
fn near_centres(points: &Tensor) -> [i64; 8] {
    [0_u8, 1, 2, 3, 4, 5, 6, 7].map(|i| {
        let (y, x) = (f32::from(i) * (TAU / 8.0)).sin_cos();
        (points - Tensor::from([x, y])).norm(2.0, 1).lt(0.2).count(..).item()
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(1));
    let (mut generator, mut discriminator) = (mlp([8, 128, 128, 2], rng), mlp([2, 128, 128, 1], rng));
    let [mut of_generator, mut of_discriminator] = [(); 2].map(|()| Adam::new(5e-4).betas(0.5, 0.99));
    let mut average = AveragedModel::ema(&generator, 0.995);
    let data = real(FRAME, rng);
    let (steps, mut frames, mut counts) = (options.unless_quick(4000, 1000), Vec::new(), [0; 8]);
    for step in 0..=steps {
        let fake = generator.forward(Tensor::randn([BATCH, 8], rng));
        // The discriminator: 1 for real points, 0 for made ones, through which no gradient flows.
        let loss = discriminator.forward(real(BATCH, rng)).binary_cross_entropy_with_logits(1.0)
            + discriminator.forward(fake.detach()).binary_cross_entropy_with_logits(0.0);
        let gradients = loss.backward();
        of_discriminator.step(&mut discriminator, &gradients);
        // The generator: gradients of the discriminator come along, and are not used.
        let loss = discriminator.forward(fake).binary_cross_entropy_with_logits(1.0);
        of_generator.step(&mut generator, &loss.backward());
        average.update(&generator);
        // The frames are closer together in the beginning, when most happens.
        if [0, 100, 200, 400, 600, 1000, 2000, 4000].contains(&step) {
            let made = no_grad(|| average.module.forward(Tensor::randn([FRAME, 8], rng))).into_value();
            counts = near_centres(&made);
            let near = counts.iter().sum::<i64>() as f64 / FRAME as f64;
            println!(
                "step {step:>4}  discriminator {:.3}  {:>5.1} % near a centre, by centre {counts:?}",
                gradients.loss(),
                100.0 * near,
            );
            let label = format!("step {step}: {:.0} % near", 100.0 * near);
            frames.push(Panel { label, far: data.clone(), near: made });
        }
    }
    Scatter {
        title: "A generator finds eight centres",
        subtitle: "blue: points of the generator, grey: data; near: within 0.2 of a centre",
        reach: 1.6,
        columns: 4,
        panels: &frames,
    }
    .save(out("11_gan.svg")?)?;
    println!("frames out/11_gan.svg");
    let (rarest, near) = (counts.into_iter().min().unwrap_or(0), counts.iter().sum::<i64>());
    require(
        "the number of points near the rarest centre",
        rarest as f64,
        options.unless_quick(50.0, 10.0)..,
    )?;
    require("the part near a centre", near as f64 / FRAME as f64, options.unless_quick(0.75, 0.4)..)
}
