//! Reading handwritten digits: training on real data from beginning to end.
//!
//! A network with two hidden layers learns from two thirds of 1,797 scanned digits (E. Alpaydin and
//! C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998, CC BY 4.0)
//! and is then tested on the third that it has never seen. The example shows mini-batches, noise as data
//! augmentation, a learning rate that falls, and how to look at what a model gets wrong; it draws the
//! learning curve in `out/digits.svg`. On one machine, every run gives the same bits.
//!
//! ```sh
//! cargo run --release --example digits
//! ```

mod report;

use std::error::Error;
use std::process::ExitCode;

use gradus::metrics::{Accuracy, Metric};
use gradus::prelude::*;
use gradus::train::{Chart, Progress, Scale};
use gradus_examples::digits::{CLASSES, Digits, PIXELS};
use gradus_examples::out;

const SEED: u64 = 0;
const TEST_DIGITS: usize = 599;
/// An accuracy below this is a failure.
const REQUIRED: f64 = 0.97;

// Chosen by cross-validation on the training digits.
const EPOCHS: usize = 60;
const BATCH: usize = 32;
const LEARNING_RATE: f64 = 0.1;
const NOISE: f32 = 0.25;

#[derive(Module)]
struct Mlp {
    first: Linear,
    second: Linear,
    out: Linear,
}

impl Mlp {
    fn new(rng: &mut impl Rng) -> Self {
        Self {
            first: Linear::new(PIXELS, 128, rng),
            second: Linear::new(128, 64, rng),
            out: Linear::new(64, CLASSES, rng),
        }
    }

    /// Images `[n, 64]` to logits `[n, 10]`.
    fn forward(&self, images: impl AsVar) -> Var {
        let x = self.first.forward(images).relu();
        let x = self.second.forward(x).relu();
        self.out.forward(x)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let digits = Digits::load()?;
    let mut rng = seeded(SEED);
    let order = Tensor::randperm(digits.labels.len(), &mut rng).to_vec();
    let (test, train) = order.split_at(TEST_DIGITS);
    let (test, train) = (digits.select(test), digits.select(train));

    let mut mlp = Mlp::new(&mut rng);
    println!(
        "{} digits to learn from, {} to be tested on, {} parameters",
        train.labels.len(),
        test.labels.len(),
        mlp.parameter_count()
    );

    let mut sgd = Sgd::new(LEARNING_RATE).momentum(0.9).nesterov().weight_decay(1e-3);
    // Half a cosine, from the full learning rate down to 0: large steps first, then ever finer ones.
    let schedule = schedule::cosine(EPOCHS, 0.0);
    let progress = Progress::new();
    let (mut train_losses, mut test_losses) = (Vec::new(), Vec::new());
    for epoch in progress.over(0..EPOCHS) {
        sgd.follow(&schedule, epoch);
        for batch in Tensor::randperm(train.labels.len(), &mut rng).to_vec().chunks(BATCH) {
            let batch = train.select(batch);
            // No image is seen twice: fresh noise keeps the network from learning single pixels by heart.
            let noise = Tensor::randn(batch.images.shape(), &mut rng) * NOISE;
            let loss = mlp.forward(batch.images + noise).cross_entropy(&batch.labels);
            sgd.step(&mut mlp, &loss.backward());
        }
        let (train_loss, _) = evaluate(&mlp, &train);
        let (test_loss, predictions) = evaluate(&mlp, &test);
        let values = [("loss", train_loss.into()), ("test accuracy", accuracy(&predictions, &test.labels))];
        progress.report(train.labels.len(), &values);
        train_losses.push((epoch as f64 + 1.0, f64::from(train_loss)));
        test_losses.push((epoch as f64 + 1.0, f64::from(test_loss)));
    }

    let (loss, _) = evaluate(&mlp, &train);
    let (_, predictions) = evaluate(&mlp, &test);
    let accuracy = accuracy(&predictions, &test.labels);
    report::confusion_matrix(&predictions, &test.labels);
    report::misread(&predictions, &test);
    println!("training loss  {loss:?} (bits {:08x})", loss.to_bits());
    println!("test accuracy  {:.1} %", 100.0 * accuracy);

    let chart = Chart {
        title: "Learning to read digits",
        subtitle: &format!("{:.1} % of {TEST_DIGITS} test digits are read right", 100.0 * accuracy),
        x: "epoch",
        y: "cross-entropy",
        scale: Scale::Logarithmic,
        lines: &[("training digits", train_losses), ("test digits", test_losses)],
    };
    chart.save(out("digits.svg")?)?;
    println!("learning curve out/digits.svg");

    if accuracy < REQUIRED {
        return Err(format!("the test accuracy is {accuracy:.4}, below {REQUIRED}").into());
    }
    Ok(())
}

/// The mean loss, and for each image the digit it is taken for.
fn evaluate(mlp: &Mlp, digits: &Digits) -> (f32, Tensor<i64>) {
    let logits = no_grad(|| mlp.forward(&digits.images));
    (logits.cross_entropy(&digits.labels).item(), logits.value().argmax(1))
}

fn accuracy(predictions: &Tensor<i64>, labels: &Tensor<i64>) -> f64 {
    let mut accuracy = Accuracy::new();
    accuracy.update_classes(predictions, labels);
    accuracy.value()
}
