//! Contrastive learning (`SimCLR`: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020):
//! an encoder learns from digits without labels that two distorted copies of one image belong together. A linear classifier
//! on its frozen features, trained with a few labels, is then compared with the same network trained from scratch on
//! the same labels and the same distortions.
//!
//! ```sh
//! cargo run --release --example contrastive
//! ```

use std::error::Error;

use gradus::data::order;
use gradus::metrics::{Accuracy, Metric};
use gradus::prelude::*;
use gradus::train::Progress;
use gradus_examples::digits::{CLASSES, Digits, PIXELS, SIDE};
use gradus_examples::{Options, require};

const FEATURES: usize = 128;
/// Similarities are divided by this before the softmax.
const TEMPERATURE: f32 = 0.5;
/// Labels of each class in the comparison.
const LABELS: [usize; 4] = [1, 2, 5, 10];

#[derive(Module, Clone)]
struct Encoder {
    first: Conv2d,
    first_norm: BatchNorm2d,
    second: Conv2d,
    second_norm: BatchNorm2d,
    out: Linear,
}

impl Encoder {
    fn new(rng: &mut impl Rng) -> Self {
        Self {
            first: Conv2d::new(1, 24, 3, Conv::new().padding(1), rng),
            first_norm: BatchNorm2d::new(24),
            second: Conv2d::new(24, 48, 3, Conv::new().padding(1), rng),
            second_norm: BatchNorm2d::new(48),
            out: Linear::new(48 * 4, FEATURES, rng),
        }
    }

    /// Images `[n, 64]` to features `[n, FEATURES]`.
    fn forward(&self, images: &Tensor) -> Var {
        let x = self.first.forward(images.reshape((-1, 1, SIDE, SIDE)));
        let x = self.first_norm.forward(x).relu().max_pool2d(2);
        let x = self.second_norm.forward(self.second.forward(x)).relu().max_pool2d(2);
        self.out.forward(x.flatten(1..)).relu()
    }
}

/// Each image under a small affine map of its own (turned, stretched, sheared and moved, with bilinear interpolation), with
/// more or less ink, and noise.
fn distort(images: &Tensor, rng: &mut impl Rng) -> Tensor {
    let mut draw =
        |around: f32, range: f64| Tensor::uniform([images.shape()[0], 1], -range, range, rng) + around;
    let [yy, yx, xy, xx] = [1.0, 0.0, 0.0, 1.0].map(|entry| draw(entry, 0.35));
    let ([move_y, move_x], ink) = ([0.0; 2].map(|zero| draw(zero, 1.2)), draw(1.0, 0.3));
    // The place of each pixel, from the middle of the image, and where the map takes its ink from.
    let middle = (SIDE as f32 - 1.0) / 2.0;
    let pixel = Tensor::arange(0, PIXELS as i64, 1);
    let [y, x] =
        [&pixel / SIDE as i64, pixel.remainder(SIDE as i64)].map(|place| place.cast::<f32>() - middle);
    let from_y = yy * &y + yx * &x + move_y;
    let from_x = xy * &y + xx * &x + move_x;
    // The weight of each pixel there, `[n, to, from]`: 1 at the place itself, 0 from a distance of one pixel on.
    let near = |from: Tensor, at: &Tensor| (1.0 - (from.unsqueeze(2) - at).abs()).maximum(0.0);
    let moved = (near(from_y, &y) * near(from_x, &x)).matmul(&images.unsqueeze(2)).squeeze(2);
    moved * ink + Tensor::randn(images.shape(), rng) * 0.2
}

/// The loss NT-Xent of projections `[2 n, d]` of two copies of `n` images: each copy has to find the other one, by the
/// cosine of the angle between them, among all.
fn nt_xent(projections: &Var) -> Var {
    let count = projections.shape()[0];
    let z = projections / projections.norm(2.0, keepdim(1));
    let itself = Tensor::eye(count).eq(1.0);
    let similarities = (z.matmul(&z.t()) / TEMPERATURE).masked_fill(&itself, f32::NEG_INFINITY);
    similarities.cross_entropy(Tensor::arange(0, count as i64, 1).roll(count as isize / 2, 0))
}

/// Images and labels.
type Samples = (Tensor, Tensor<i64>);

/// An encoder trained without labels.
fn pretrain(images: &Tensor, epochs: usize, rng: &mut impl Rng) -> Encoder {
    let mut model = (
        Encoder::new(rng),
        Sequential::new().push(Linear::new(FEATURES, 64, rng)).push(Relu).push(Linear::new(64, 32, rng)),
    );
    let mut adam = Adam::new(2e-3);
    for epoch in 0..epochs {
        adam.follow(&schedule::cosine(epochs, 0.0), epoch);
        for batch in Batches::of(images, 64).shuffle(rng) {
            let copies = Tensor::cat(&[&distort(&batch, rng), &distort(&batch, rng)], 0);
            let gradients = nt_xent(&model.1.forward(model.0.forward(&copies))).backward();
            adam.step(&mut model, &gradients);
        }
    }
    model.0
}

/// The accuracy on the test digits after training a classifier on a few; a frozen encoder stays as it is.
fn classify(mut encoder: Encoder, train: &Samples, test: &Samples, rng: &mut impl Rng) -> f64 {
    let frozen = encoder.trainable_parameter_count() == 0;
    encoder.set_training(!frozen);
    let mut model = (encoder, Linear::new(FEATURES, CLASSES, rng));
    let mut adam = AdamW::new(5e-3).weight_decay(1e-2);
    for step in 0..200 {
        adam.follow(&schedule::cosine(200, 0.0), step);
        let features = model.0.forward(&distort(&train.0, rng));
        let gradients = model.1.forward(features).cross_entropy(&train.1).backward();
        adam.step(&mut model, &gradients);
    }
    let mut accuracy = Accuracy::new();
    let scores = model.evaluate(|(encoder, head)| no_grad(|| head.forward(encoder.forward(&test.0))));
    accuracy.update(scores, &test.1);
    accuracy.value()
}

/// The first samples of each class, as many as asked for.
fn first_of_each_class((images, labels): &Samples, count: usize) -> Samples {
    let mut seen = [0; CLASSES];
    let mut is_wanted = |&place: &usize| {
        let seen = &mut seen[labels[[place]] as usize];
        *seen += 1;
        *seen <= count
    };
    let places: Vec<usize> = (0..labels.len()).filter(&mut is_wanted).collect();
    Subset::new((images, labels), places).all()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, digits) = (Options::read()?, Digits::load()?);
    let (seeds, epochs) = options.unless_quick((4, 120), (1, 6));
    // For each number of labels: accuracies from frozen features and from scratch, one a seed.
    let mut results = LABELS.map(|_| [Vec::new(), Vec::new()]);
    let progress = Progress::new();
    for seed in progress.over(0..seeds) {
        let rng = &mut seeded(seed);
        let [test, train] = order::split(&order::stratified(&digits.labels, rng), [600, 1197])
            .map(|places| Subset::new((&digits.images, &digits.labels), places).all());
        let mut encoder = pretrain(&train.0, epochs, rng);
        encoder.freeze(|_| true);
        for (labels, [probe, scratch]) in LABELS.iter().zip(&mut results) {
            let few = first_of_each_class(&train, *labels);
            probe.push(classify(encoder.clone(), &few, &test, rng));
            scratch.push(classify(Encoder::new(rng), &few, &test, rng));
        }
    }

    println!("labels   frozen features     from scratch   (accuracy on 600 test digits, {seeds} seeds)");
    let percent = |accuracies: &[f64]| {
        let accuracies: Tensor<f64> = accuracies.iter().map(|accuracy| accuracy * 100.0).collect();
        (accuracies.mean(..).item(), if seeds > 1 { accuracies.std(.., 1).item() } else { 0.0 })
    };
    for (labels, [probe, scratch]) in LABELS.iter().zip(&results) {
        let ((mean, spread), (scratch_mean, scratch_spread)) = (percent(probe), percent(scratch));
        println!(
            "{:>6}   {mean:>6.1} +- {spread:<4.1} %   {scratch_mean:>6.1} +- {scratch_spread:<4.1} %",
            labels * CLASSES
        );
    }
    let lead = |row: usize| percent(&results[row][0]).0 - percent(&results[row][1]).0;
    require(
        "the accuracy from a hundred labels",
        percent(&results[3][0]).0,
        options.unless_quick(92.0, 70.0)..,
    )?;
    require("the lead over training from scratch", lead(0).min(lead(1)), options.unless_quick(6.0, -20.0)..)
}
