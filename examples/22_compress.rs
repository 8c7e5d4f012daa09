//! A convolutional network made smaller in five ways and in all of them together: pruned weights (Zhu and Gupta, "To prune, or
//! not to prune", 2017), pruned channels (Molchanov et al., "Importance estimation for neural network pruning", 2019), layers of
//! low rank, few values that all weights share (Han et al., "Deep compression", 2015), and a small network that learns from
//! the large one (Hinton et al., "Distilling the knowledge in a neural network", 2015).
//!
//! ```sh
//! cargo run --release --features compress --example compress -- [--data FOLDER] [--quick]
//! ```
//!
//! The folder has MNIST's `t10k` files, as for `cnn`. Without it the committed digits of 8 x 8 pixels are learnt.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use gradus::compress::{
    Gradual, LowRankConv2d, LowRankLinear, Masks, Scope, Scores, Shared, Unit, keep_channels, rank_for,
};
use gradus::data::{augment, order, read::idx};
use gradus::metrics::Accuracy;
use gradus::prelude::*;
use gradus_examples::digits::{Digits, SIDE};
use gradus_examples::{Options, require};

const BATCH: usize = 64;

/// The network, whose second convolution and first dense layer may be of low rank.
#[derive(Debug, Clone, Module)]
struct Cnn<C = Conv2d, D = Linear> {
    conv1: Conv2d,
    norm1: BatchNorm2d,
    conv2: C,
    norm2: BatchNorm2d,
    dense: D,
    out: Linear,
}

impl Cnn {
    /// For square images.
    fn new(side: usize, [first, second, hidden]: [usize; 3], rng: &mut impl Rng) -> Self {
        Self {
            conv1: Conv2d::new(1, first, 3, Conv::new().padding(1), rng),
            norm1: BatchNorm2d::new(first),
            conv2: Conv2d::new(first, second, 3, Conv::new().padding(1), rng),
            norm2: BatchNorm2d::new(second),
            dense: Linear::new(second * (side / 4).pow(2), hidden, rng),
            out: Linear::new(hidden, 10, rng),
        }
    }

    /// Leaves out channels and features whose loss the loss of the model would feel least.
    fn narrow(&mut self, scores: &Scores, rate: f64) -> Result<(), Box<dyn Error>> {
        let masks = Masks::prune(scores, rate, Scope::Each)?;
        let kept = |name: &str| masks.kept(name);
        let (first, second, hidden) = (kept("conv1.weight")?, kept("conv2.weight")?, kept("dense.weight")?);
        keep_channels(&mut self.conv1, &mut [&mut self.norm1], &mut [&mut self.conv2], &first)?;
        keep_channels(&mut self.conv2, &mut [&mut self.norm2], &mut [&mut self.dense], &second)?;
        keep_channels(&mut self.dense, &mut [], &mut [&mut self.out], &hidden)?;
        Ok(())
    }

    /// The same network in layers of the rank that leaves out this part of the norm of their weights.
    fn of_low_rank(self, error: f64) -> Result<Cnn<LowRankConv2d, LowRankLinear>, Box<dyn Error>> {
        let Self { conv1, norm1, conv2, norm2, dense, out } = self;
        let ranks = [rank_for(conv2.weight.value(), error)?, rank_for(dense.weight.value(), error)?];
        let (conv2, dense) = (LowRankConv2d::new(&conv2, ranks[0])?, LowRankLinear::new(&dense, ranks[1])?);
        println!(
            "ranks {ranks:?}: weights differ by {:.2} and {:.2} of their norm",
            conv2.error, dense.error
        );
        Ok(Cnn { conv1, norm1, conv2, norm2, dense, out })
    }
}

/// A model of images.
trait Classifier: Module + Clone {
    /// Images `[n, 1, side, side]` to logits `[n, 10]`.
    fn logits(&self, images: &Tensor) -> Var;
}

impl<C: Layer + Clone, D: Layer + Clone> Classifier for Cnn<C, D> {
    fn logits(&self, images: &Tensor) -> Var {
        let x = self.norm1.forward(self.conv1.forward(images)).relu().max_pool2d(2);
        let x = self.norm2.forward(self.conv2.forward(&x)).relu().max_pool2d(2);
        self.out.forward(self.dense.forward(&x.flatten(1..)).relu())
    }
}

struct Data {
    train: (Tensor, Tensor<i64>),
    test: (Tensor, Tensor<i64>),
    side: usize,
}

/// Four fifths of the images to learn, the others to test.
fn data(folder: Option<&Path>, rng: &mut impl Rng) -> Result<Data, Box<dyn Error>> {
    let (images, labels) = if let Some(folder) = folder {
        let images = idx::read::<f32>(folder.join("t10k-images-idx3-ubyte.gz"))? / 255.0;
        (images.unsqueeze(1), idx::read(folder.join("t10k-labels-idx1-ubyte.gz"))?)
    } else {
        let Digits { images, labels } = Digits::load()?;
        (images.reshape((-1, 1, SIDE, SIDE)), labels)
    };
    let parts = order::split(&order::shuffled(labels.len(), rng), [0.8, 0.2]);
    let [train, test] = parts.map(|places| {
        let places: Tensor<i64> = places.iter().map(|&place| place as i64).collect();
        (images.index_select(0, &places), labels.index_select(0, &places))
    });
    Ok(Data { side: images.shape()[2], train, test })
}

/// Trains a model, on labels and, if there is a teacher, on what it says; `after` is called with the number of each step.
fn train<M: Classifier>(
    model: &mut M,
    data: &Data,
    (epochs, rate): (usize, f64),
    teacher: Option<&Cnn>,
    rng: &mut Xoshiro256PlusPlus,
    mut after: impl FnMut(&mut M, usize) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (mut adam, mut step) = (Adam::new(rate), 0);
    // Eight pixels leave no room to move a digit.
    let shift = data.side / 14;
    model.train();
    for epoch in 0..epochs {
        adam.follow(&schedule::cosine(epochs, rate * 0.01), epoch);
        let batches = Batches::of((&data.train.0, &data.train.1), BATCH)
            .shuffle(rng)
            .augment(rng, |(x, y), rng| (augment::random_crop(&x, shift, rng), y));
        for (x, y) in batches {
            let logits = model.logits(&x);
            let mut loss = logits.cross_entropy(&y);
            if let Some(teacher) = teacher {
                loss = loss * 0.3 + logits.distillation_loss(no_grad(|| teacher.logits(&x)), 3.0) * 0.7;
            }
            adam.step(model, &loss.backward());
            after(model, step)?;
            step += 1;
        }
    }
    model.eval();
    Ok(())
}

fn accuracy(model: &impl Classifier, data: &Data) -> f64 {
    let mut accuracy = Accuracy::new();
    for (x, y) in Batches::of((&data.test.0, &data.test.1), 500) {
        accuracy.update(no_grad(|| model.logits(&x)), &y);
    }
    accuracy.value()
}

fn is_weight(name: &str) -> bool {
    name.ends_with("weight") && !name.contains("norm")
}

/// Scores of channels, summed over some batches of training data.
fn channel_scores(model: &Cnn, data: &Data) -> Scores {
    let batches = Batches::of((&data.train.0, &data.train.1), BATCH).take(16);
    let scores = batches.map(|(x, y)| {
        let gradients = model.logits(&x).cross_entropy(&y).backward();
        Scores::taylor(model, &gradients, Unit::Channel, is_weight)
    });
    let add = |mut sum: Scores, scores: Scores| {
        sum.add(&scores);
        sum
    };
    scores.reduce(add).expect("there is a batch")
}

/// The weights of a model, each tensor with a few values of its own; a step of training moves the values.
struct SharedWeights(BTreeMap<String, Shared>);

impl SharedWeights {
    fn new(model: &impl Module, values: usize) -> Result<Self, Box<dyn Error>> {
        let named = model.named_parameters().into_iter().filter(|(name, _)| is_weight(name));
        let shared = named.map(|(name, weight)| Ok((name, Shared::new(weight.value(), values)?)));
        shared.collect::<Result<_, _>>().map(Self)
    }

    fn write(&self, model: &mut impl Module) {
        let names: Vec<String> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
        for (name, parameter) in names.iter().zip(model.parameters_mut()) {
            if let Some(shared) = self.0.get(name) {
                parameter.set(shared.tensor());
            }
        }
    }

    /// Moves the values against their gradients for an epoch.
    fn tune<M: Classifier>(&mut self, model: &mut M, data: &Data, rate: f32, rng: &mut impl Rng) {
        for (x, y) in Batches::of((&data.train.0, &data.train.1), BATCH).shuffle(rng) {
            let gradients = model.logits(&x).cross_entropy(&y).backward();
            for (name, parameter) in model.named_parameters() {
                if let (Some(shared), Some(gradient)) = (self.0.get_mut(&name), gradients.get(parameter)) {
                    let changes: Vec<f32> = shared.gradient(gradient).iter().map(|g| -rate * g).collect();
                    shared.add(&changes);
                }
            }
            self.write(model);
        }
    }

    /// The bytes of the weights, and of everything else as numbers of 4 bytes.
    fn bytes(&self, model: &impl Module) -> usize {
        let shared: usize = self.0.values().map(|shared| shared.bytes().len()).sum();
        let named = model.named_parameters().into_iter().filter(|(name, _)| !is_weight(name));
        let others: usize = named.map(|(_, parameter)| parameter.len()).sum();
        shared + 4 * (others + buffer_count(model))
    }
}

fn buffer_count(model: &impl Module) -> usize {
    model.named_buffers().iter().map(|(_, buffer)| buffer.value().len()).sum()
}

/// A row of the table.
struct Row {
    name: &'static str,
    parameters: usize,
    bytes: usize,
    multiply_adds: u64,
    microseconds: f64,
    accuracy: f64,
}

impl Row {
    fn of(name: &'static str, model: &impl Classifier, data: &Data, bytes: Option<usize>) -> Self {
        let image = data.test.0.slice(0, ..1);
        // So few that other programs seldom get in between.
        let images = data.test.0.slice(0, ..32);
        let run = || {
            let start = Instant::now();
            drop(no_grad(|| model.logits(&images)));
            start.elapsed().as_secs_f64() * 1e6 / images.shape()[0] as f64
        };
        let weights = model.parameters().into_iter().flat_map(|parameter| parameter.value());
        Self {
            name,
            parameters: weights.filter(|x| *x != 0.0).count(),
            bytes: bytes.unwrap_or(4 * (model.parameter_count() + buffer_count(model))),
            multiply_adds: summary_with(model, |model| model.logits(&image)).multiply_adds,
            microseconds: (0..50).map(|_| run()).fold(f64::INFINITY, f64::min),
            accuracy: accuracy(model, data),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(0));
    let data = data(options.data.as_deref(), rng)?;
    let (epochs, again) = (options.unless_quick(12, 4), options.unless_quick(8, 3));
    let keep = |_: &mut Cnn, _: usize| Ok(());
    let mut rows = Vec::new();

    let mut whole = Cnn::new(data.side, [32, 64, 128], rng);
    train(&mut whole, &data, (epochs, 2e-3), None, rng, keep)?;
    rows.push(Row::of("the network", &whole, &data, None));

    // Nine weights of ten, more and more of them during half of the training.
    let mut pruned = whole.clone();
    let steps = data.train.1.len().div_ceil(BATCH) * again;
    let rates = Gradual::new(0.2, 0.9, steps / 2)?;
    train(&mut pruned, &data, (again, 1e-3), None, rng, |model, step| {
        let scores = Scores::magnitude(model, Unit::Weight, is_weight);
        Ok(Masks::prune(&scores, rates.at(step), Scope::Global)?.apply(model)?)
    })?;
    // A bit for each parameter, and four bytes for those that are not 0.
    let left = pruned.parameters().into_iter().flat_map(|x| x.value()).filter(|x| *x != 0.0).count();
    let bytes = pruned.parameter_count().div_ceil(8) + 4 * (left + buffer_count(&pruned));
    rows.push(Row::of("weights pruned", &pruned, &data, Some(bytes)));

    let mut narrow = whole.clone();
    narrow.narrow(&channel_scores(&whole, &data), 0.5)?;
    train(&mut narrow, &data, (again, 1e-3), None, rng, keep)?;
    rows.push(Row::of("channels pruned", &narrow, &data, None));

    let mut low = whole.clone().of_low_rank(0.5)?;
    train(&mut low, &data, (again, 1e-3), None, rng, |_, _| Ok(()))?;
    rows.push(Row::of("low rank", &low, &data, None));

    let mut shared = whole.clone();
    let mut values = SharedWeights::new(&shared, 16)?;
    values.write(&mut shared);
    values.tune(&mut shared, &data, 1e-4, rng);
    rows.push(Row::of("16 values shared", &shared, &data, Some(values.bytes(&shared))));

    let mut student = Cnn::new(data.side, [8, 16, 32], rng);
    train(&mut student, &data, (epochs, 2e-3), Some(&whole), rng, keep)?;
    rows.push(Row::of("distilled, a quarter as wide", &student, &data, None));

    // Half of the channels of the trained network, low rank, half of the weights that are left, and 16 values.
    let mut all = narrow.of_low_rank(0.4)?;
    let rates = Gradual::new(0.1, 0.5, steps / 2)?;
    train(&mut all, &data, (again, 1e-3), Some(&whole), rng, |model, step| {
        let scores = Scores::magnitude(model, Unit::Weight, is_weight);
        Ok(Masks::prune(&scores, rates.at(step), Scope::Global)?.apply(model)?)
    })?;
    let mut values = SharedWeights::new(&all, 16)?;
    values.write(&mut all);
    values.tune(&mut all, &data, 1e-4, rng);
    rows.push(Row::of("channels, rank, weights, values", &all, &data, Some(values.bytes(&all))));

    println!("\n{:<32} parameters    bytes  smaller  multiply-adds  us/image  accuracy", "");
    let first = &rows[0];
    for row in &rows {
        println!(
            "{:<32} {:>10} {:>8} {:>7.1}x {:>14} {:>9.1} {:>7.2} %",
            row.name,
            row.parameters,
            row.bytes,
            first.bytes as f64 / row.bytes as f64,
            row.multiply_adds,
            row.microseconds,
            100.0 * row.accuracy
        );
    }
    let last = rows.last().expect("there are rows");
    require("the test accuracy", first.accuracy, options.unless_quick(0.98, 0.95)..)?;
    require("times smaller", first.bytes as f64 / last.bytes as f64, 10.0..)?;
    require("the accuracy that is lost", first.accuracy - last.accuracy, ..options.unless_quick(0.01, 0.03))
}
