//! A convolutional network with batch normalisation and dropout (LeCun et al., "Gradient-based learning applied to document
//! recognition", 1998): its filters look at small parts of an image, wherever these are. With a folder that has MNIST's `t10k`
//! files it learns four fifths of these 10,000 images and is tested on the others.
//!
//! ```sh
//! cargo run --release --example cnn -- [--data FOLDER]
//! ```
//!
//! The files are `t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz` of <http://yann.lecun.com/exdb/mnist/> or one of its
//! mirrors. Without them the committed digits of 8 x 8 pixels are learnt.

use std::error::Error;
use std::path::Path;

use gradus::data::{augment, order, read::idx};
use gradus::metrics::{Accuracy, Mean};
use gradus::prelude::*;
use gradus::train::Progress;
use gradus_examples::digits::{Digits, SIDE};
use gradus_examples::{Options, require};

const BATCH: usize = 64;

#[derive(Module)]
struct Cnn {
    conv1: Conv2d,
    norm1: BatchNorm2d,
    conv2: Conv2d,
    norm2: BatchNorm2d,
    dropout: Dropout,
    out: Linear,
}

impl Cnn {
    /// For square images.
    fn new(side: usize, rng: &mut impl Rng) -> Self {
        Self {
            conv1: Conv2d::new(1, 32, 3, Conv::new().padding(1), rng),
            norm1: BatchNorm2d::new(32),
            conv2: Conv2d::new(32, 64, 3, Conv::new().padding(1), rng),
            norm2: BatchNorm2d::new(64),
            dropout: Dropout::new(0.25, 0),
            out: Linear::new(64 * (side / 4).pow(2), 10, rng),
        }
    }

    /// Images `[n, 1, side, side]` to logits `[n, 10]`.
    fn forward(&self, images: impl AsVar) -> Var {
        let x = self.norm1.forward(self.conv1.forward(images)).relu().max_pool2d(2);
        let x = self.norm2.forward(self.conv2.forward(x)).relu().max_pool2d(2);
        self.out.forward(self.dropout.forward(x.flatten(1..)))
    }
}

/// Images `[n, 1, side, side]` from 0 to 1, and labels.
fn data(folder: Option<&Path>) -> Result<(Tensor, Tensor<i64>), Box<dyn Error>> {
    let Some(folder) = folder else {
        let Digits { images, labels } = Digits::load()?;
        return Ok((images.reshape((-1, 1, SIDE, SIDE)), labels));
    };
    let images = idx::read::<f32>(folder.join("t10k-images-idx3-ubyte.gz"))? / 255.0;
    Ok((images.unsqueeze(1), idx::read(folder.join("t10k-labels-idx1-ubyte.gz"))?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let ((images, labels), rng) = (data(options.data.as_deref())?, &mut seeded(0));
    let parts = order::split(&order::shuffled(labels.len(), rng), [0.8, 0.2]);
    let [train, test] = parts.map(|places| Subset::new((&images, &labels), places));
    let side = images.shape()[2];
    let mut model = Cnn::new(side, rng);
    println!("{}", model.summary());

    let epochs = options.unless_quick(10, 4);
    // A digit stays the same digit a little to the left: each epoch sees the images elsewhere. Eight pixels leave no room.
    let shift = side / 14;
    let (mut adam, mut accuracy) = (Adam::new(2e-3), Accuracy::new());
    let progress = Progress::new();
    for epoch in 0..epochs {
        adam.follow(&schedule::cosine(epochs, 2e-5), epoch);
        let mut loss = Mean::new();
        let batches = Batches::of(&train, BATCH)
            .shuffle(rng)
            .augment(rng, |(x, y), rng| (augment::random_crop(&x, shift, rng), y));
        for (x, y) in progress.over(batches) {
            let gradients = model.forward(x).cross_entropy(&y).backward();
            adam.step(&mut model, &gradients);
            loss.update(gradients.loss(), y.len());
            progress.report(y.len(), &[("loss", loss.value())]);
        }
        accuracy.reset();
        for (x, y) in Batches::of(&test, 500) {
            accuracy.update(model.evaluate(|model| no_grad(|| model.forward(x))), &y);
        }
        let percent = 100.0 * accuracy.value();
        println!(
            "epoch {:>2}  training loss {:.4}  {percent:.2} % of {} test images",
            epoch + 1,
            loss.value(),
            test.len()
        );
    }
    require("the test accuracy", accuracy.value(), options.unless_quick(0.985, 0.96)..)
}
