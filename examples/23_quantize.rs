//! Networks with integers (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
//! inference", 2018): a dense network and a CNN that read digits, and a transformer that spells names, as they are trained and with
//! weights of 8 and 4 bits. For each the table has what it gets right, the length of its file, the memory of a pass and the time.
//!
//! ```sh
//! cargo run --release --features quant --example quantize -- [--data FOLDER]
//! ```
//!
//! With a folder that has MNIST's `t10k` files, as for the example `cnn`, the CNN learns four fifths of these; without it learns the
//! committed digits of 8 x 8 pixels.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use gradus::data::{order, read::idx};
use gradus::metrics::{Accuracy, Metric};
use gradus::prelude::*;
use gradus::quant::{Conversion, Quantizer, Replaceable, fold_batch_norms};
use gradus::track_memory;
use gradus_examples::digits::{Digits, SIDE};
use gradus_examples::names::{self, LETTERS, PLACES};
use gradus_examples::{Options, require};

type Samples = (Tensor, Tensor<i64>);

/// One line of a table: the name, and what was measured.
struct Line {
    kind: &'static str,
    /// The percentage that is right, or the loss.
    score: f64,
    bytes: usize,
}

/// The forms of a trained model beside each other. `pass` runs it on a batch of so many samples, `score` tests it, and `learn` trains
/// it a little longer. The first line is the model itself, the third the static one.
fn compare<M: Module + Replaceable + Clone>(
    title: &str,
    mut float: M,
    (pass, samples): (&dyn Fn(&M) -> Var, usize),
    score: &dyn Fn(&M) -> f64,
    learn: &mut dyn FnMut(&mut M),
) -> Result<Vec<Line>, Box<dyn Error>> {
    let quantizer = Quantizer::new();
    float.eval();
    let (mut dynamic, mut fixed, mut trained, mut four) =
        (float.clone(), float.clone(), float.clone(), float.clone());
    let report: Conversion = quantizer.dynamic(&mut dynamic)?;
    println!("{title}\n{report}");

    quantizer.observe(&mut fixed);
    let _ = no_grad(|| pass(&fixed));
    quantizer.convert(&mut fixed)?;

    quantizer.train(&mut trained);
    trained.train();
    learn(&mut trained);
    trained.eval();
    quantizer.convert(&mut trained)?;

    quantizer.four_bit(&mut four, 32)?;

    println!("{:16} {:>8} {:>10} {:>12} {:>14}", "", "score", "file", "memory", "us a sample");
    let mut lines = Vec::new();
    for (kind, model) in [
        ("f32", float),
        ("dynamic int8", dynamic),
        ("static int8", fixed),
        ("trained int8", trained),
        ("4-bit weights", four),
    ] {
        let (score, bytes) = (no_grad(|| score(&model)), model.state().to_bytes()?.len());
        // Weights are in memory as in the file; what the pass needs is beside them.
        let report = track_memory(|| no_grad(|| pass(&model))).1;
        let memory = bytes + report.peak - report.before;
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let start = Instant::now();
            let _ = no_grad(|| pass(&model));
            best = best.min(start.elapsed().as_secs_f64() * 1e6 / samples as f64);
        }
        println!("{kind:16} {score:8.3} {bytes:10} {memory:12} {best:14.2}");
        lines.push(Line { kind, score, bytes });
    }
    Ok(lines)
}

/// Trains a classifier of images.
fn fit(model: &mut Sequential, (images, labels): &Samples, epochs: usize, rate: f64, rng: &mut impl Rng) {
    let mut adam = Adam::new(rate);
    for epoch in 0..epochs {
        adam.follow(&schedule::cosine(epochs, 0.0), epoch);
        for (x, y) in Batches::of((images, labels), 64).shuffle(rng) {
            let gradients = model.forward(x).cross_entropy(&y).backward();
            adam.step(model, &gradients);
        }
    }
}

/// The percentage of images that are read right.
fn accuracy(model: &Sequential, test: &Samples) -> f64 {
    let mut accuracy = Accuracy::new();
    for (x, y) in Batches::of((&test.0, &test.1), 256) {
        accuracy.update(model.forward(x), &y);
    }
    100.0 * accuracy.value()
}

/// Trains, folds and compares a classifier, and holds the static form against the goals.
fn images(
    title: &str,
    mut model: Sequential,
    [train, test]: [&Samples; 2],
    epochs: usize,
    rng: &mut impl Rng,
) -> Result<(), Box<dyn Error>> {
    fit(&mut model, train, epochs, 2e-3, rng);
    model.eval();
    fold_batch_norms(&mut model);
    let batch = train.0.slice(0, ..256);
    let lines = compare(
        title,
        model,
        (&|model| model.forward(&batch), batch.shape()[0]),
        &|model| accuracy(model, test),
        &mut |model| fit(model, train, epochs.div_ceil(4), 2e-4, rng),
    )?;
    let (float, fixed) = (&lines[0], &lines[2]);
    require(&format!("{title}: points lost by {}", fixed.kind), float.score - fixed.score, ..=0.5)?;
    require(&format!("{title}: share of the file"), fixed.bytes as f64 / float.bytes as f64, ..=0.27)
}

const WIDTH: usize = 64;
const HEADS: usize = 4;

/// A causal transformer whose dense layers can be replaced: a block has query, key and value in one layer, the layer behind the
/// attention, and two of the perceptron.
#[derive(Module, Clone)]
struct Speller {
    letters: Embedding,
    places: Embedding,
    blocks: Vec<[Box<dyn Layer>; 4]>,
    norms: Vec<[LayerNorm; 2]>,
    out: Box<dyn Layer>,
}

impl Speller {
    fn new(blocks: usize, rng: &mut impl Rng) -> Self {
        let mut dense = |inputs, outputs| -> Box<dyn Layer> { Box::new(Linear::new(inputs, outputs, rng)) };
        let blocks: Vec<[Box<dyn Layer>; 4]> = (0..blocks)
            .map(|_| {
                [(1, 3), (1, 1), (1, 4), (4, 1)]
                    .map(|(inputs, outputs)| dense(inputs * WIDTH, outputs * WIDTH))
            })
            .collect();
        let out = dense(WIDTH, LETTERS);
        Self {
            norms: blocks.iter().map(|_| [(); 2].map(|()| LayerNorm::new([WIDTH]))).collect(),
            letters: Embedding::new(LETTERS, WIDTH, rng),
            places: Embedding::new(PLACES, WIDTH, rng),
            blocks,
            out,
        }
    }

    /// Letters `[n, places]` to logits of the letters that follow, `[n, places, 27]`.
    fn forward(&self, letters: &Tensor<i64>) -> Var {
        let places = self.places.forward(Tensor::from(0..letters.shape()[1] as i64));
        let mut x = self.letters.forward(letters) + places;
        for ([qkv, mix, wide, narrow], [first, second]) in self.blocks.iter().zip(&self.norms) {
            let heads =
                qkv.forward(&first.forward(&x)).unflatten(-1, [3 * HEADS, WIDTH / HEADS]).transpose(1, 2);
            let [q, k, v] =
                [0, 1, 2].map(|part| heads.slice(1, part * HEADS as isize..(part + 1) * HEADS as isize));
            let seen = q.scaled_dot_product_attention(&k, &v, None, true, None);
            x += mix.forward(&seen.transpose(1, 2).flatten(2..));
            x = &x + narrow.forward(&wide.forward(&second.forward(&x)).gelu());
        }
        self.out.forward(&x)
    }

    /// The loss of a letter on average.
    fn loss(&self, targets: &Tensor<i64>) -> Var {
        self.forward(&names::inputs(targets)).flatten(..2).cross_entropy(targets.flatten(..))
    }

    fn fit(&mut self, rows: &Tensor<i64>, steps: usize, rate: f64, rng: &mut impl Rng) {
        let mut adam = AdamW::new(rate).weight_decay(0.1);
        for step in 0..steps {
            adam.follow(&schedule::cosine(steps, 0.0), step);
            let batch = Tensor::randint([64], 0..rows.shape()[0] as i64, rng);
            let mut gradients = self.loss(&rows.index_select(0, &batch)).backward();
            clip_grad_norm(&mut gradients, self, 1.0);
            adam.step(self, &gradients);
        }
    }
}

impl Replaceable for Speller {
    fn layers_mut(&mut self) -> Vec<(String, &mut Box<dyn Layer>)> {
        let name = |i: usize| format!("blocks.{}.{}", i / 4, i % 4);
        let blocks = self.blocks.iter_mut().flatten().enumerate().map(|(i, layer)| (name(i), layer));
        blocks.chain([("out".into(), &mut self.out)]).collect()
    }
}

/// Images `[n, 1, side, side]` from 0 to 1, and labels.
fn pictures(folder: Option<&Path>) -> Result<Samples, Box<dyn Error>> {
    let Some(folder) = folder else {
        let Digits { images, labels } = Digits::load()?;
        return Ok((images.reshape((-1, 1, SIDE, SIDE)), labels));
    };
    let images = idx::read::<f32>(folder.join("t10k-images-idx3-ubyte.gz"))? / 255.0;
    Ok((images.unsqueeze(1), idx::read(folder.join("t10k-labels-idx1-ubyte.gz"))?))
}

/// Samples to learn, and a fifth to test.
fn parts((images, labels): Samples, rng: &mut impl Rng) -> [Samples; 2] {
    order::split(&order::shuffled(labels.len(), rng), [0.8, 0.2])
        .map(|places| Subset::new((&images, &labels), places).all())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(0));

    let [train, test] = parts(pictures(None)?, rng);
    let dense = Sequential::new()
        .push(Flatten)
        .push(Linear::new(SIDE * SIDE, 256, rng))
        .push(Relu)
        .push(Linear::new(256, 256, rng))
        .push(Relu)
        .push(Linear::new(256, 10, rng));
    images("digits, dense: % right", dense, [&train, &test], options.unless_quick(20, 6), rng)?;

    let [train, test] = parts(pictures(options.data.as_deref())?, rng);
    let side = train.0.shape()[2];
    let conv = |inputs, outputs, rng: &mut _| Conv2d::new(inputs, outputs, 3, Conv::new().padding(1), rng);
    let cnn = Sequential::new()
        .push(conv(1, 32, rng))
        .push(BatchNorm2d::new(32))
        .push(Relu)
        .push(MaxPool2d(Pool::new(2)))
        .push(conv(32, 64, rng))
        .push(BatchNorm2d::new(64))
        .push(Relu)
        .push(MaxPool2d(Pool::new(2)))
        .push(Flatten)
        .push(Linear::new(64 * (side / 4).pow(2), 128, rng))
        .push(Relu)
        .push(Linear::new(128, 10, rng));
    let epochs = options.unless_quick(8, 3);
    images("CNN: % right", cnn, [&train, &test], epochs, rng)?;

    let rows = names::targets(&names::read(None)?);
    let [test, train] = order::split(&order::shuffled(rows.shape()[0], rng), [0.1, 0.9])
        .map(|places| Subset::new(&rows, places).all());
    let mut speller = Speller::new(2, rng);
    speller.fit(&train, options.unless_quick(600, 60), 3e-3, rng);
    let batch = names::inputs(&train.slice(0, ..64));
    let steps = options.unless_quick(150, 20);
    let lines = compare(
        "transformer on names: loss",
        speller,
        (&|model| model.forward(&batch), 64),
        &|model| model.loss(&test).item().into(),
        &mut |model| model.fit(&train, steps, 3e-4, rng),
    )?;
    require("the loss of the transformer", lines[0].score, ..options.unless_quick(2.1, 2.7))?;
    require("the loss that static int8 adds", lines[2].score - lines[0].score, ..0.02)
}
