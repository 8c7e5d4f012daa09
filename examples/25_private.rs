//! Training with differential privacy (Abadi et al., "Deep learning with differential privacy", 2016): a small CNN reads digits, and
//! says next to nothing about any single one that it has learnt from. The smaller epsilon, the stronger the promise, and the
//! more noise there is in each step. The table and the picture show what it costs.
//!
//! ```sh
//! cargo run --release --features privacy --example private -- [--data FOLDER] [--quick]
//! ```
//!
//! The folder has MNIST's `t10k` files, as for `cnn`. Without it the committed digits of 8 x 8 pixels are learnt. Weights begin
//! the same in each run; the noise does not, as it comes from the operating system.

use std::error::Error;
use std::path::Path;

use gradus::data::{PoissonBatches, order, read::idx};
use gradus::metrics::Accuracy;
use gradus::prelude::*;
use gradus::privacy::{DpSgd, Plan, SecureRng};
use gradus::{Examples, Operand};
use gradus_examples::digits::{Digits, SIDE};
use gradus_examples::picture::Plot;
use gradus_examples::{Options, out, require};

struct Data {
    train: (Tensor, Tensor<i64>),
    test: (Tensor, Tensor<i64>),
}

impl Data {
    /// Images `[n, 1, side, side]` from -1 to 1 and labels, four fifths to learn and the others to test.
    fn load(folder: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let (images, labels) = if let Some(folder) = folder {
            let images = idx::read::<f32>(folder.join("t10k-images-idx3-ubyte.gz"))? / 255.0;
            (images.unsqueeze(1), idx::read(folder.join("t10k-labels-idx1-ubyte.gz"))?)
        } else {
            let Digits { images, labels } = Digits::load()?;
            (images.reshape((-1, 1, SIDE, SIDE)), labels)
        };
        let data = (images * 2.0 - 1.0, labels);
        let parts = order::split(&order::shuffled(data.1.len(), &mut seeded(0)), [0.8, 0.2]);
        let [train, test] = parts.map(|places| Subset::new((&data.0, &data.1), places).all());
        Ok(Self { train, test })
    }
}

/// A network without batch normalisation, which would mix the examples of a batch. `tanh` keeps activations, and with them
/// gradients, small (Papernot et al., "Tempered sigmoid activations for deep learning with differential privacy", 2021).
fn network(side: usize, rng: &mut impl Rng) -> Sequential {
    let padding = || Conv::new().padding(1);
    Sequential::new()
        .push(Conv2d::new(1, 8, 3, padding(), rng))
        .push(Tanh)
        .push(MaxPool2d::new(2))
        .push(Conv2d::new(8, 16, 3, padding(), rng))
        .push(Tanh)
        .push(MaxPool2d::new(2))
        .push(Flatten)
        .push(Linear::new(16 * (side / 4).pow(2), 10, rng))
}

/// The loss of one example.
fn loss(model: &Sequential, example: &Examples) -> Var {
    model.forward(example[0].unsqueeze(0)).cross_entropy(example.indices(1).reshape([1]))
}

/// The percentage of test images that are read right.
fn accuracy(model: &Sequential, (x, y): &(Tensor, Tensor<i64>)) -> f64 {
    let mut accuracy = Accuracy::new();
    for (x, y) in Batches::of((x, y), 500) {
        accuracy.update(no_grad(|| model.forward(x)), &y);
    }
    100.0 * accuracy.value()
}

/// A run.
struct Row {
    wanted: f64,
    noise: f64,
    epsilon: f64,
    tight: f64,
    /// The accuracy after each epoch.
    curve: Vec<(f64, f64)>,
}

impl Row {
    fn accuracy(&self) -> f64 {
        self.curve.last().expect("there is an epoch").1
    }
}

/// Trains to an epsilon.
fn train(data: &Data, plan: Plan, wanted: f64) -> Result<Row, Box<dyn Error>> {
    let (images, labels) = &data.train;
    let noise = plan.noise_multiplier(wanted)?;
    // The more noise, the smaller the steps.
    let rate = 8.0 / (2.0 + noise);
    let mut private = DpSgd::new(labels.len(), plan.sampling_rate)?.max_norm(1.0)?.noise_multiplier(noise)?;
    let mut model = network(images.shape()[2], &mut seeded(1));
    let mut sgd = Sgd::new(rate);
    let mut curve = Vec::new();
    let steps_of_epoch = (1.0 / plan.sampling_rate).round() as usize;
    let batches = PoissonBatches::new((images, labels), plan.sampling_rate, SecureRng::new()?);
    for (step, (x, y)) in batches.take(plan.steps).enumerate() {
        sgd.follow(&schedule::cosine(plan.steps, rate * 0.05), step);
        let (x, y) = (Var::constant(x), Indices::constant(y));
        let inputs = [Operand::Var(&x), Operand::Indices(&y)];
        let gradients = private.gradients(&model, loss, &inputs, &[Some(0), Some(0)])?;
        sgd.step(&mut model, &gradients);
        if (step + 1).is_multiple_of(steps_of_epoch) {
            curve.push((((step + 1) / steps_of_epoch) as f64, accuracy(&model, &data.test)));
        }
    }
    let epsilon = private.epsilon(plan.delta)?;
    let tight = private.steps().tight_epsilon(plan.delta)?;
    Ok(Row { wanted, noise, epsilon, tight, curve })
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let data = Data::load(options.data.as_deref())?;
    let samples = data.train.1.len();
    let small = options.data.is_none();
    // Delta is well below 1 / samples.
    let (batch, epochs, delta) = if small {
        (240.0, options.unless_quick(40, 15), 1e-4)
    } else {
        (400.0, options.unless_quick(30, 4), 1e-5)
    };
    let sampling_rate = batch / samples as f64;
    let steps = epochs * (1.0 / sampling_rate).round() as usize;
    let plan = Plan { sampling_rate, steps, delta };
    println!("{samples} digits, {steps} steps with {batch} of them on average, delta {delta}\n");
    println!("epsilon    noise  RDP says  tighter   test accuracy");
    let mut rows = Vec::new();
    for wanted in [1.0, 3.0, 8.0, f64::INFINITY] {
        let row = train(&data, plan, wanted)?;
        println!(
            "{:>7} {:8.3} {:9.3} {:8.3} {:13.2} %",
            row.wanted,
            row.noise,
            row.epsilon,
            row.tight,
            row.accuracy()
        );
        rows.push(row);
    }

    let names: Vec<String> = rows.iter().map(|row| format!("epsilon {}", row.wanted)).collect();
    let lines: Vec<(&str, Vec<(f64, f64)>)> =
        names.iter().zip(&rows).map(|(name, row)| (name.as_str(), row.curve.clone())).collect();
    Plot {
        title: "Privacy has its price in accuracy",
        subtitle: &format!(
            "{samples} digits, delta {delta}; the smaller epsilon, the less the model says about each"
        ),
        x: "epochs",
        y: "digits read right, %",
        points: &[],
        lines: &lines,
    }
    .save(out("private.svg")?)?;

    for row in &rows {
        require(&format!("epsilon {}", row.wanted), row.epsilon, ..=row.wanted)?;
        require(&format!("the tighter epsilon {}", row.wanted), row.tight, ..=row.epsilon)?;
    }
    let [strict, .., free] = &rows[..] else { unreachable!("there are four rows") };
    require("the accuracy with epsilon 1", strict.accuracy(), options.unless_quick(75.0, 55.0)..)?;
    require("the accuracy without noise", free.accuracy(), options.unless_quick(95.0, 90.0)..)
}
