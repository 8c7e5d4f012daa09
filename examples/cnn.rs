//! A convolutional network with batch normalisation and dropout. Without an argument it learns the committed digits of
//! 8 x 8 pixels; with a folder that has MNIST's `t10k` files, four fifths of these 10,000 images.
//!
//! ```sh
//! cargo run --release --example cnn [FOLDER]
//! ```

use std::{env, error::Error, fs::File, io::Read};

use flate2::read::GzDecoder;
use gradus::prelude::*;
use gradus_examples::digits::{Digits, SIDE};

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
    let Some(folder) = env::args().nth(1) else {
        let Digits { images, labels } = Digits::load()?;
        return Ok((images.reshape((-1, 1, SIDE, SIDE)), labels));
    };
    let read = |file: &str, header: usize| -> Result<Vec<u8>, Box<dyn Error>> {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(format!("{folder}/{file}"))?).read_to_end(&mut bytes)?;
        Ok(bytes.get(header..).ok_or("a file is shorter than its header")?.to_vec())
    };
    let (pixels, labels) = (read("t10k-images-idx3-ubyte.gz", 16)?, read("t10k-labels-idx1-ubyte.gz", 8)?);
    let images = Tensor::<f32>::cast_from(&pixels, [labels.len(), 1, 28, 28])? / 255.0;
    Ok((images, Tensor::cast_from(&labels, [labels.len()])?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let ((images, labels), rng) = (data()?, &mut seeded(0));
    let batch = |places: &Tensor<i64>| (images.index_select(0, places), labels.index_select(0, places));
    let (order, tested) = (Tensor::randperm(labels.len(), rng), labels.len() as isize / 5);
    let (test, train) = (order.slice(0, ..tested), order.slice(0, tested..));
    let mut model = Cnn {
        conv1: Conv2d::new(1, 16, 3, Conv::new().padding(1), rng),
        norm: BatchNorm2d::new(16),
        conv2: Conv2d::new(16, 32, 3, Conv::new().padding(1), rng),
        dropout: Dropout::new(0.25, 0),
        out: Linear::new(32 * (images.shape()[2] / 4).pow(2), 10, rng),
    };
    println!("{}", model.summary());
    let (mut adam, mut accuracy) = (Adam::new(2e-3), 0.0);
    for epoch in 1..=8 {
        for places in train.index_select(0, &Tensor::randperm(train.len(), rng)).split(64, 0) {
            let (x, y) = batch(&places);
            let gradients = model.forward(x).cross_entropy(&y).backward();
            adam.step(&mut model, &gradients);
        }
        let (x, y) = batch(&test);
        let logits = model.evaluate(|model| no_grad(|| model.forward(x)));
        accuracy = logits.argmax(1).eq(&y).cast::<f32>().mean(..).item();
        println!("epoch {epoch}  {:.2} % of {tested} test images", 100.0 * accuracy);
    }
    (accuracy >= 0.97).then_some(()).ok_or_else(|| "the test accuracy is below 97 %".into())
}
