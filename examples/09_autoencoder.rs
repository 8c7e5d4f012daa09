//! An autoencoder (Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006): an encoder
//! squeezes each digit into a few numbers, the code, and a decoder draws it again from them. There are no labels: the target
//! is the input. The more numbers, the better the drawing.
//!
//! ```sh
//! cargo run --release --example autoencoder
//! ```

use std::{error::Error, fs};

use gradus::data::order;
use gradus::prelude::*;
use gradus_examples::digits::{Digits, PIXELS, SIDE};
use gradus_examples::{Options, out, picture, require};

const CODES: [usize; 3] = [2, 6, 16];
const SHOWN: usize = 16;

#[derive(Module)]
struct Autoencoder {
    encoder: Sequential,
    decoder: Sequential,
}

impl Autoencoder {
    fn new(code: usize, rng: &mut impl Rng) -> Self {
        let encoder = Sequential::new()
            .push(Linear::new(PIXELS, 128, rng))
            .push(Silu)
            .push(Linear::new(128, 64, rng))
            .push(Silu)
            .push(Linear::new(64, code, rng));
        let decoder = Sequential::new()
            .push(Linear::new(code, 64, rng))
            .push(Silu)
            .push(Linear::new(64, 128, rng))
            .push(Silu)
            .push(Linear::new(128, PIXELS, rng))
            .push(Sigmoid);
        Self { encoder, decoder }
    }

    /// Images `[n, 64]` to their reconstructions.
    fn forward(&self, images: impl AsVar) -> Var {
        self.decoder.forward(self.encoder.forward(images))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let epochs = options.unless_quick(120, 25);
    let (images, rng) = (Digits::load()?.images, &mut seeded(0));
    let [train, test] = order::split(&order::shuffled(images.shape()[0], rng), [0.8, 0.2])
        .map(|places| Subset::new(&images, places));
    let unseen = test.all();
    let as_images = |pixels: &Tensor| pixels.slice(0, ..SHOWN).reshape((-1, SIDE, SIDE));
    let names = CODES.map(|code| format!("{code} numbers"));
    let mut rows = vec![("64 pixels", as_images(&unseen))];

    // Who has no code draws the mean of all digits.
    let mean = train.all().mean(0);
    println!("test error without a code  {:.4}", (&unseen - mean).square().mean(..).item());
    let mut error = f32::NAN;
    for (code, name) in CODES.into_iter().zip(&names) {
        let mut model = Autoencoder::new(code, rng);
        let mut adam = Adam::new(2e-3);
        for epoch in 0..epochs {
            adam.follow(&schedule::cosine(epochs, 0.0), epoch);
            for images in Batches::of(&train, 32).shuffle(rng) {
                let gradients = model.forward(&images).mse_loss(&images).backward();
                adam.step(&mut model, &gradients);
            }
        }
        let drawn = no_grad(|| model.forward(&unseen));
        error = drawn.mse_loss(&unseen).item();
        println!("test error with {code:>2} numbers  {error:.4}");
        rows.push((name, as_images(drawn.value())));
    }
    let subtitle = "Test digits above; below, what an autoencoder draws of them from 2, 6 and 16 numbers";
    let svg = picture::images("What fits into a few numbers", subtitle, &rows);
    fs::write(out("09_autoencoder.svg")?, svg)?;
    require("the error with 16 numbers", error.into(), ..options.unless_quick(0.01, 0.025))
}
