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

use std::error::Error;

use gradus::data::order;
use gradus::metrics::{Accuracy, ConfusionMatrix};
use gradus::prelude::*;
use gradus::train::{Chart, Progress, Scale};
use gradus_examples::digits::{CLASSES, Digits, PIXELS, SIDE};
use gradus_examples::{out, require};

const TEST_DIGITS: usize = 599;

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

fn main() -> Result<(), Box<dyn Error>> {
    let Digits { images, labels } = Digits::load()?;
    let mut rng = seeded(0);
    let all = order::shuffled(labels.len(), &mut rng);
    let parts = order::split(&all, [TEST_DIGITS, labels.len() - TEST_DIGITS]);
    let [test, train] = parts.map(|digits| Subset::new((&images, &labels), digits));

    let mut mlp = Mlp::new(&mut rng);
    println!(
        "{} digits to learn from, {} to be tested on, {} parameters",
        train.len(),
        test.len(),
        mlp.parameter_count()
    );
    let mut sgd = Sgd::new(LEARNING_RATE).momentum(0.9).nesterov().weight_decay(1e-3);
    // Half a cosine, from the full learning rate down to 0: large steps first, then ever finer ones.
    let schedule = schedule::cosine(EPOCHS, 0.0);
    let progress = Progress::new();
    let (mut train_losses, mut test_losses) = (Vec::new(), Vec::new());
    for epoch in progress.over(0..EPOCHS) {
        sgd.follow(&schedule, epoch);
        // No image is seen twice: fresh noise keeps the network from learning single pixels by heart.
        let batches =
            Batches::of(&train, BATCH).shuffle(&mut rng).augment(&mut rng, |(images, labels), rng| {
                (&images + Tensor::randn(images.shape(), rng) * NOISE, labels)
            });
        for (images, labels) in batches {
            let loss = mlp.forward(images).cross_entropy(&labels);
            sgd.step(&mut mlp, &loss.backward());
        }
        let (train_loss, _) = evaluate(&mlp, train.all());
        let (test_loss, accuracy) = evaluate(&mlp, test.all());
        progress.report(train.len(), &[("loss", train_loss.into()), ("test accuracy", accuracy)]);
        train_losses.push((epoch as f64 + 1.0, f64::from(train_loss)));
        test_losses.push((epoch as f64 + 1.0, f64::from(test_loss)));
    }

    let (loss, _) = evaluate(&mlp, train.all());
    let (test_images, test_labels) = test.all();
    let predictions = no_grad(|| mlp.forward(&test_images)).value().argmax(1);
    let mut matrix = ConfusionMatrix::new(CLASSES);
    matrix.update_classes(&predictions, &test_labels);
    println!("\n{matrix}");
    show_misread(&test_images, &test_labels, &predictions);
    println!("training loss  {loss:?} (bits {:08x})", loss.to_bits());
    println!("test accuracy  {:.1} %", 100.0 * matrix.value());

    let chart = Chart {
        title: "Learning to read digits",
        subtitle: &format!("{:.1} % of {TEST_DIGITS} test digits are read right", 100.0 * matrix.value()),
        x: "epoch",
        y: "cross-entropy",
        scale: Scale::Logarithmic,
        lines: &[("training digits", train_losses), ("test digits", test_losses)],
    };
    chart.save(out("digits.svg")?)?;
    println!("learning curve out/digits.svg");
    require("the test accuracy", matrix.value(), 0.97..)
}

/// The mean loss, and the accuracy.
fn evaluate(mlp: &Mlp, (images, labels): (Tensor, Tensor<i64>)) -> (f32, f64) {
    let logits = no_grad(|| mlp.forward(images));
    let mut accuracy = Accuracy::new();
    accuracy.update(&logits, &labels);
    (logits.cross_entropy(&labels).item(), accuracy.value())
}

/// Draws the first four images that were taken for another digit.
fn show_misread(images: &Tensor, labels: &Tensor<i64>, predictions: &Tensor<i64>) {
    // A column of the terminal is half as wide as a line is high: two columns make a square pixel.
    const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
    let wrong: Vec<usize> = (0..labels.len()).filter(|&i| labels[[i]] != predictions[[i]]).collect();
    println!("\n{} of {} digits are misread", wrong.len(), labels.len());
    let shown = &wrong[..wrong.len().min(4)];
    for row in 0..SIDE {
        for &image in shown {
            let shade = |column| SHADES[(images[[image, row * SIDE + column]] * 4.0).round() as usize];
            print!("  {}  ", (0..SIDE).map(shade).collect::<String>());
        }
        println!();
    }
    for &i in shown {
        print!("  {:<18}", format!("true {}, read as {}", labels[[i]], predictions[[i]]));
    }
    println!("\n");
}
