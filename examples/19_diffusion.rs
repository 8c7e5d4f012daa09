//! A diffusion model (DDPM: Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", 2020) of points on two moons:
//! noise is added to the data step by step until nothing else is left, and a network learns to tell the noise in a
//! point. Taken away step by step, it leads from pure noise to new points on the moons.
//!
//! ```sh
//! cargo run --release --example diffusion
//! ```

use std::error::Error;
use std::f32::consts::PI;

use gradus::prelude::*;
use gradus_examples::picture::{Panel, Scatter};
use gradus_examples::{Options, out, require};

/// Steps from data to noise.
const STEPS: usize = 100;
/// Points in a step of training.
const BATCH: usize = 512;
/// Steps at which the picture shows the points.
const SHOWN: [usize; 8] = [100, 60, 40, 25, 15, 8, 3, 0];

/// Points on two moons, `[n, 2]`, centred, and scaled to a variance of about 1.
fn moons(count: usize, rng: &mut impl Rng) -> Tensor {
    let angle = Tensor::uniform([count], 0.0, f64::from(PI), rng);
    // 1 for the upper moon, -1 for the lower one, which is the upper one turned and moved.
    let moon = Tensor::randint([count], 0..2, rng).cast::<f32>() * 2.0 - 1.0;
    let x = angle.cos() * &moon - &moon * 0.5;
    let y = (angle.sin() - 0.25) * moon;
    Tensor::stack(&[&(x * 1.15), &(y * 2.0)], 1) + Tensor::normal([count, 2], 0.0, 0.06, rng)
}

/// The noise that is added in each step, and the part of the data's variance that is left after it.
struct Noise {
    betas: Vec<f32>,
    left: Tensor,
}

impl Noise {
    /// Variances that grow from step to step, so that the last step leaves almost nothing of the data.
    fn new() -> Self {
        let betas: Tensor = Tensor::linspace(1e-3, 0.12, STEPS);
        Self { left: (1.0 - &betas).cumprod(0), betas: betas.to_vec() }
    }
}

#[derive(Module, Clone)]
struct Denoiser {
    layers: Sequential,
}

impl Denoiser {
    fn new(rng: &mut impl Rng) -> Self {
        let layers = Sequential::new()
            .push(Linear::new(2 + 8, 128, rng))
            .push(Silu)
            .push(Linear::new(128, 128, rng))
            .push(Silu)
            .push(Linear::new(128, 128, rng))
            .push(Silu)
            .push(Linear::new(128, 2, rng));
        Self { layers }
    }

    /// The noise in points `[n, 2]` at steps `[n]`. Waves of four lengths let the network tell one step from the next.
    fn forward(&self, points: &Tensor, steps: &Tensor<i64>) -> Var {
        let waves = Tensor::from([0.5, 1.0, 2.0, 4.0]) * (PI / STEPS as f32);
        let angles = steps.cast::<f32>().unsqueeze(1) * waves;
        self.layers.forward(Tensor::cat(&[points, &angles.sin(), &angles.cos()], 1))
    }

    /// New points from pure noise, and the points at the steps that are shown.
    fn sample(&self, count: usize, noise: &Noise, rng: &mut impl Rng) -> Vec<Tensor> {
        let mut points = Tensor::randn([count, 2], rng);
        let mut shown = vec![points.clone()];
        for step in (0..STEPS).rev() {
            let predicted =
                no_grad(|| self.forward(&points, &Tensor::full([count], step as i64))).into_value();
            // The mean of the step before, given this one and the noise (Ho et al., equation 11).
            let (beta, left) = (noise.betas[step], noise.left[[step]]);
            points = (points - predicted * (beta / (1.0 - left).sqrt())) / (1.0 - beta).sqrt();
            if step > 0 {
                points += Tensor::randn([count, 2], rng) * beta.sqrt();
            }
            if SHOWN.contains(&step) {
                shown.push(points.clone());
            }
        }
        shown
    }
}

/// The energy distance of two sets of points (Szekely and Rizzo, 2013), the square root of
/// `2 E|a - b| - E|a - a'| - E|b - b'|`: it approaches 0 for large sets from one and the same distribution.
fn energy_distance(a: &Tensor, b: &Tensor) -> f32 {
    let mean = |a: &Tensor, b: &Tensor| (a.unsqueeze(1) - b.unsqueeze(0)).norm(2.0, 2).mean(..).item();
    (2.0 * mean(a, b) - mean(a, a) - mean(b, b)).max(0.0).sqrt()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng, noise) = (Options::read()?, &mut seeded(0), Noise::new());
    let mut model = Denoiser::new(rng);
    let mut average = AveragedModel::ema(&model, 0.995);
    let updates = options.unless_quick(6000, 800);
    let mut adam = Adam::new(2e-3);
    for update in 1..=updates {
        adam.follow(&schedule::cosine(updates, 0.0), update - 1);
        let (points, steps) = (moons(BATCH, rng), Tensor::randint([BATCH], 0..STEPS as i64, rng));
        // All steps up to a random one at once: the sum of normal numbers is normal.
        let left = noise.left.index_select(0, &steps).unsqueeze(1);
        let added = Tensor::randn([BATCH, 2], rng);
        let noisy = points * left.sqrt() + &added * (1.0 - left).sqrt();
        let gradients = model.forward(&noisy, &steps).mse_loss(&added).backward();
        adam.step(&mut model, &gradients);
        average.update(&model);
        if update % (updates / 8) == 0 {
            println!("update {update:>4}  loss {:.3}", gradients.loss());
        }
    }

    let shown = average.module.sample(2000, &noise, rng);
    let [data, other, pure] = [moons(2000, rng), moons(2000, rng), Tensor::randn([2000, 2], rng)];
    let [made, least, most] = [&shown[shown.len() - 1], &other, &pure].map(|b| energy_distance(&data, b));
    println!("energy distance to the data: {made:.3}; of other data {least:.3}, of noise {most:.3}");
    let panels: Vec<Panel> = SHOWN
        .iter()
        .zip(&shown)
        .map(|(step, points)| Panel {
            label: if *step == 0 { "the result".into() } else { format!("{step} steps before the end") },
            far: data.slice(0, ..1000),
            near: points.slice(0, ..1000),
        })
        .collect();
    Scatter {
        title: "From noise to two moons",
        subtitle: &format!("blue: points of the model, grey: data; energy distance {made:.3} at the end"),
        reach: 3.0,
        columns: 4,
        panels: &panels,
    }
    .save(out("19_diffusion.svg")?)?;
    println!("the way from noise to data: out/19_diffusion.svg");
    require("the energy distance", made.into(), ..options.unless_quick(0.06, 0.2))
}
