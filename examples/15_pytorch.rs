//! A model that PyTorch trained. `examples/pytorch/digits_cnn.py` defines a network, trains it on the digits and writes its
//! weights as safetensors; the same fields in Rust give the weights the same names, so the file loads as it is. The
//! logits of the test digits, which PyTorch wrote as well, say whether the two networks compute the same function.
//!
//! ```sh
//! cargo run --release --example pytorch
//! ```

use std::error::Error;
use std::path::Path;

use gradus::metrics::{Accuracy, Metric};
use gradus::prelude::*;
use gradus_examples::digits::{Digits, SIDE};
use gradus_examples::require;

/// The fields of the Python class, in their order.
#[derive(Module)]
struct DigitsCnn {
    conv1: Conv2d,
    norm: BatchNorm2d,
    conv2: Conv2d,
    gru: Gru,
    out: Linear,
    dropout: Dropout,
}

impl DigitsCnn {
    /// The numbers that the layers begin with do not matter: all will be replaced.
    fn new(rng: &mut impl Rng) -> Self {
        Self {
            conv1: Conv2d::new(1, 8, 3, Conv::new().padding(1), rng),
            norm: BatchNorm2d::new(8),
            conv2: Conv2d::new(8, 16, 3, Conv::new().padding(1), rng),
            gru: Gru::bidirectional(64, 32, 1, rng).batch_first(),
            out: Linear::new(64, 10, rng),
            dropout: Dropout::new(0.2, 0),
        }
    }

    /// Images `[n, 1, 8, 8]` to logits `[n, 10]`, line by line as in Python.
    fn forward(&self, images: impl AsVar) -> Var {
        let x = self.norm.forward(self.conv1.forward(images)).relu();
        let x = self.conv2.forward(x).gelu();
        let rows = x.max_pool2d(2).permute([0, 2, 3, 1]).flatten(2..);
        let (states, _) = self.gru.forward(rows, None);
        self.out.forward(self.dropout.forward(states.max(1)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pytorch");
    let weights = State::read(folder.join("digits_cnn.safetensors"))?;
    let mut model = DigitsCnn::new(&mut seeded(0));

    // A name that does not fit is an error which lists all of them, here for a file without the last layer.
    let mut cut = weights.clone();
    cut.remove("out.bias");
    let error = model.load_state(&cut).expect_err("the bias is missing");
    println!("without `out.bias`: {error}\n");

    model.load_state(&weights)?;
    println!("{}\n", model.summary());

    let Digits { images, labels } = Digits::load()?;
    let (images, labels) = (images.slice(0, -400..).reshape((-1, 1, SIDE, SIDE)), labels.slice(0, -400..));
    let logits = model.evaluate(|model| no_grad(|| model.forward(images))).into_value();

    let theirs = State::read(folder.join("digits_cnn_logits.safetensors"))?;
    let theirs: &Tensor = theirs.tensor("logits").ok_or("the file has no logits in single precision")?;
    let difference = (&logits - theirs).abs().max(..).item();
    let other_digits = logits.argmax(1).ne(theirs.argmax(1)).count(..).item();
    let [ours, theirs] = [&logits, theirs].map(|logits| {
        let mut accuracy = Accuracy::new();
        accuracy.update(logits, &labels);
        100.0 * accuracy.value()
    });
    println!("of {} test digits, read right: {ours:.2} % here, {theirs:.2} % by PyTorch", labels.len());
    println!("largest difference of a logit: {difference:.1e}; digits read otherwise: {other_digits}");
    require("the difference of a logit", difference.into(), ..1e-4)?;
    require("the accuracy", ours / 100.0, 0.93..)
}
