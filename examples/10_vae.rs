//! A variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014) of the digits: an image is encoded
//! as a normal distribution on a plane, from which a point is drawn and decoded. So the plane has no gaps, and any point of it
//! is an image. One picture shows where the digits lie, another one what the plane decodes to.
//!
//! ```sh
//! cargo run --release --example vae
//! ```

use std::{error::Error, fs};

use gradus::distributions::{Bernoulli, Normal, kl_divergence};
use gradus::metrics::Mean;
use gradus::prelude::*;
use gradus_examples::digits::{Digits, PIXELS, SIDE};
use gradus_examples::picture::{self, Plot};
use gradus_examples::{Options, out, require};

/// Images along each side of the picture of the plane.
const GRID: usize = 15;

#[derive(Module)]
struct Vae {
    encoder: Sequential,
    decoder: Sequential,
}

impl Vae {
    fn encode(&self, images: impl AsVar) -> Normal {
        let halves = self.encoder.forward(images).chunk(2, 1);
        Normal::new(&halves[0], halves[1].softplus(1.0, 20.0) + 1e-3)
    }

    /// Minus the evidence lower bound of an image: the code's divergence from the standard normal distribution, less
    /// the log-probability of the image.
    fn loss(&self, images: &Tensor, rng: &mut impl Rng) -> Var {
        let code = self.encode(images);
        let standard = Normal::new(0.0, 1.0).expand(code.shape());
        // `rsample` draws in such a way that gradients flow through the draw.
        let log_prob = Bernoulli::from_logits(self.decoder.forward(code.rsample(rng))).log_prob(images);
        (kl_divergence(&code, &standard).sum(1) - log_prob.sum(1)).mean(..)
    }
}

/// Layers of these sizes.
fn mlp(sizes: [usize; 4], rng: &mut impl Rng) -> Sequential {
    let [first, second, third] = [0, 1, 2].map(|i| Linear::new(sizes[i], sizes[i + 1], rng));
    Sequential::new().push(first).push(Silu).push(second).push(Silu).push(third)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let epochs = options.unless_quick(200, 15);
    let (Digits { images, labels }, rng) = (Digits::load()?, &mut seeded(0));
    // Pixels are black or white here, as the Bernoulli distribution has them.
    let images = images.round();
    let mut model = Vae { encoder: mlp([PIXELS, 128, 64, 4], rng), decoder: mlp([2, 64, 128, PIXELS], rng) };
    let mut adam = Adam::new(2e-3);
    for epoch in 0..epochs {
        adam.follow(&schedule::cosine(epochs, 0.0), epoch);
        let mut loss = Mean::new();
        for batch in Batches::of(&images, 64).shuffle(rng) {
            let gradients = model.loss(&batch, rng).backward();
            adam.step(&mut model, &gradients);
            loss.update(gradients.loss(), batch.shape()[0]);
        }
        if (epoch + 1) % 20 == 0 {
            println!("epoch {:>3}  {:.2} nats an image", epoch + 1, loss.value());
        }
    }

    let means = no_grad(|| model.encode(&images).mean()).into_value();
    let place = |i: usize| (f64::from(means[[i, 0]]), f64::from(means[[i, 1]]));
    let of_digit = |digit: i64| (0..labels.len()).filter(|&i| labels[[i]] == digit).map(place).collect();
    Plot {
        title: "Where the digits lie on the plane",
        subtitle: "1,797 digits at the means of their codes; the network was never told which digit is which",
        x: "first number of the code",
        y: "second number of the code",
        points: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
            .map(|name| (name, of_digit(name.parse().unwrap_or(0)))),
        lines: &[],
    }
    .save(out("10_vae_codes.svg")?)?;

    // The plane from -2 to 2, upwards and to the right as in the other picture.
    let along = Tensor::linspace(-2.0, 2.0, GRID);
    let row = |y: f32| {
        let codes = Tensor::stack(&[&along, &Tensor::full([GRID], y)], 1);
        no_grad(|| model.decoder.forward(codes).sigmoid()).into_value().reshape((-1, SIDE, SIDE))
    };
    let rows: Vec<(&str, Tensor)> = along.flip(0).iter().map(|y| ("", row(y))).collect();
    let subtitle = "The plane from -2 to 2, decoded: one digit turns into another";
    fs::write(out("10_vae_plane.svg")?, picture::images("Every point is an image", subtitle, &rows))?;

    let loss = no_grad(|| model.loss(&images, rng)).item();
    require("the loss", loss.into(), ..options.unless_quick(22.0, 26.0))
}
