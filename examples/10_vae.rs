//! A variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014) of the digits: images are
//! encoded as normal distributions on a plane, and points of the plane decoded into new images.
//!
//! ```sh
//! cargo run --release --example vae
//! ```

use std::error::Error;

use gradus::distributions::{Bernoulli, Normal, kl_divergence};
use gradus::prelude::*;
use gradus_examples::digits::{Digits, PIXELS, SIDE};

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

    /// Minus the evidence lower bound of each image: the code's divergence from the standard normal distribution, less
    /// the log-probability of the image.
    fn loss(&self, images: &Tensor, rng: &mut impl Rng) -> Var {
        let code = self.encode(images);
        let standard = Normal::new(0.0, 1.0).expand(code.shape());
        let log_prob = Bernoulli::from_logits(self.decoder.forward(code.rsample(rng))).log_prob(images);
        (kl_divergence(&code, &standard).sum(1) - log_prob.sum(1)).mean(..)
    }
}

/// Layers of these sizes.
fn mlp(sizes: [usize; 3], rng: &mut impl Rng) -> Sequential {
    let [first, second] = [0, 1].map(|i| Linear::new(sizes[i], sizes[i + 1], rng));
    Sequential::new().push(first).push(Silu).push(second)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (images, rng) = (Digits::load()?.images.round(), &mut seeded(0));
    let mut model = Vae { encoder: mlp([PIXELS, 128, 4], rng), decoder: mlp([2, 128, PIXELS], rng) };
    let (mut adam, mut losses) = (Adam::new(2e-3), Vec::new());
    for epoch in 1..=60 {
        for places in Tensor::randperm(images.shape()[0], rng).split(64, 0) {
            let gradients = model.loss(&images.index_select(0, &places), rng).backward();
            adam.step(&mut model, &gradients);
            losses.push(gradients.loss());
        }
        if epoch % 10 == 0 {
            let epoch_loss: Tensor = losses.drain(..).collect();
            println!("epoch {epoch}  {:.2} nats an image", epoch_loss.mean(..).item());
        }
    }
    println!("a walk through the plane:");
    let walk: Tensor = Tensor::linspace(-1.5, 1.5, 8).unsqueeze(1).expand([8, 2]);
    let pixels = no_grad(|| model.decoder.forward(walk).sigmoid()).into_value().reshape((-1, SIDE, SIDE));
    for line in pixels.permute([1, 0, 2]).flatten(1..).rows() {
        println!("{}", line.iter().map(|p| [' ', '.', 'o', '#'][(p * 3.99) as usize]).collect::<String>());
    }
    let loss = no_grad(|| model.loss(&images, rng)).item();
    assert!(loss < 22.0, "the loss is {loss}: the network has not learnt to draw");
    Ok(())
}
