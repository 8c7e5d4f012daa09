//! A convolutional network with batch normalisation and dropout. Without an argument it learns the committed digits of
//! 8 x 8 pixels; with a folder that has MNIST's `t10k` files, four fifths of these 10,000 images.
//!
//! ```sh
//! cargo run --release --example cnn -- [--data FOLDER]
//! ```

use std::error::Error;

use gradus::data::{order, read::idx};
use gradus::metrics::Accuracy;
use gradus::prelude::*;
use gradus_examples::{
    Options,
    digits::{Digits, SIDE},
    require,
};

#[derive(Module)]
struct Cnn {
    conv1: Conv2d,
    norm: BatchNorm2d,
    conv2: Conv2d,
    dropout: Dropout,
    out: Linear,
}

impl Cnn {
    /// Images `[n, 1, side, side]` to logits `[n, 10]`.
    fn forward(&self, images: impl AsVar) -> Var {
        let x = self.norm.forward(self.conv1.forward(images)).relu().max_pool2d(2);
        let x = self.conv2.forward(x).relu().max_pool2d(2);
        self.out.forward(self.dropout.forward(x.flatten(1..)))
    }
}

/// Images and labels.
fn data() -> Result<(Tensor, Tensor<i64>), Box<dyn Error>> {
    let Some(folder) = Options::read()?.data else {
        let Digits { images, labels } = Digits::load()?;
        return Ok((images.reshape((-1, 1, SIDE, SIDE)), labels));
    };
    let images = idx::read::<f32>(folder.join("t10k-images-idx3-ubyte.gz"))? / 255.0;
    Ok((images.unsqueeze(1), idx::read(folder.join("t10k-labels-idx1-ubyte.gz"))?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let ((images, labels), rng) = (data()?, &mut seeded(0));
    let parts = order::split(&order::shuffled(labels.len(), rng), [0.8, 0.2]);
    let [train, test] = parts.map(|places| Subset::new((&images, &labels), places));
    let mut model = Cnn {
        conv1: Conv2d::new(1, 16, 3, Conv::new().padding(1), rng),
        norm: BatchNorm2d::new(16),
        conv2: Conv2d::new(16, 32, 3, Conv::new().padding(1), rng),
        dropout: Dropout::new(0.25, 0),
        out: Linear::new(32 * (images.shape()[2] / 4).pow(2), 10, rng),
    };
    println!("{}", model.summary());
    let (mut adam, mut accuracy) = (Adam::new(2e-3), Accuracy::new());
    for epoch in 1..=8 {
        for (x, y) in Batches::of(&train, 64).shuffle(rng) {
            let gradients = model.forward(x).cross_entropy(&y).backward();
            adam.step(&mut model, &gradients);
        }
        let (x, y) = test.all();
        accuracy.reset();
        accuracy.update(model.evaluate(|model| no_grad(|| model.forward(x))), &y);
        println!("epoch {epoch}  {:.2} % of {} test images", 100.0 * accuracy.value(), y.len());
    }
    require("the test accuracy", accuracy.value(), 0.97..)
}
