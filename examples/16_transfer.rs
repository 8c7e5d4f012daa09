//! Transfer learning (Yosinski et al., "How transferable are features in deep neural networks?", 2014): a network that has learnt
//! the digits 0 to 6 gets a new head and learns 7 to 9 from one label each. First only the head learns, on a frozen body;
//! then the body follows with small steps. The same network from scratch has the same labels.
//!
//! ```sh
//! cargo run --release --example transfer
//! ```

use std::error::Error;

use gradus::data::augment::random_crop;
use gradus::metrics::{Accuracy, Metric};
use gradus::prelude::*;
use gradus::train::Progress;
use gradus_examples::digits::{Digits, SIDE};
use gradus_examples::{Options, require};

/// Labels of each of the digits 7 to 9.
const LABELS: usize = 1;

#[derive(Module, Clone)]
struct Cnn {
    body: Sequential,
    head: Linear,
}

impl Cnn {
    fn new(classes: usize, rng: &mut impl Rng) -> Self {
        let body = Sequential::new()
            .push(Conv2d::new(1, 16, 3, Conv::new().padding(1), rng))
            .push(BatchNorm2d::new(16))
            .push(Relu)
            .push_fn(|x| x.max_pool2d(2))
            .push(Conv2d::new(16, 32, 3, Conv::new().padding(1), rng))
            .push(BatchNorm2d::new(32))
            .push(Relu)
            .push_fn(|x| x.max_pool2d(2).flatten(1..));
        Self { body, head: Linear::new(32 * 4, classes, rng) }
    }

    /// Images `[n, 1, 8, 8]` to logits `[n, classes]`.
    fn forward(&self, images: impl AsVar) -> Var {
        self.head.forward(self.body.forward(images))
    }

    /// Trains what is not frozen.
    fn learn(&mut self, (images, labels): &Samples, epochs: usize, mut adam: AdamW, rng: &mut impl Rng) {
        for epoch in 0..epochs {
            adam.follow(&schedule::cosine(epochs, 0.0), epoch);
            for (x, y) in Batches::of((images, labels), 64).shuffle(rng) {
                let gradients = self.forward(random_crop(&x, 1, rng)).cross_entropy(&y).backward();
                adam.step(self, &gradients);
            }
        }
    }

    /// The percentage of images that are read right.
    fn accuracy(&mut self, (images, labels): &Samples) -> f64 {
        let mut accuracy = Accuracy::new();
        accuracy.update(self.evaluate(|model| no_grad(|| model.forward(images))), labels);
        100.0 * accuracy.value()
    }
}

/// Images and labels, which count from 0.
type Samples = (Tensor, Tensor<i64>);

fn main() -> Result<(), Box<dyn Error>> {
    let (options, Digits { images, labels }) = (Options::read()?, Digits::load()?);
    let images = images.reshape((-1, 1, SIDE, SIDE));
    let (seeds, epochs) = options.unless_quick((8, 20), (2, 4));
    let (names, mut results) =
        (["from scratch", "new head, frozen body", "then all, small steps"], [(); 3].map(|()| Vec::new()));
    for seed in Progress::new().over(0..seeds) {
        let rng = &mut seeded(seed);
        // Places of the digits 0 to 6; of 7 to 9 some to learn from, and the others for the test.
        let (mut low, mut few, mut test, mut seen) = (Vec::new(), Vec::new(), Vec::new(), [0; 3]);
        for place in gradus::data::order::shuffled(labels.len(), rng) {
            match labels[[place]] as usize {
                0..7 => low.push(place),
                digit => {
                    seen[digit - 7] += 1;
                    if seen[digit - 7] <= LABELS { few.push(place) } else { test.push(place) }
                }
            }
        }
        let [low, few, test] = [(low, 0), (few, 7), (test, 7)].map(|(places, first)| {
            let (x, y) = Subset::new((&images, &labels), places).all();
            (x, y - first)
        });

        let mut model = Cnn::new(3, rng);
        model.learn(&few, 100, AdamW::new(5e-3), rng);
        results[0].push(model.accuracy(&test));

        let mut model = Cnn::new(7, rng);
        model.learn(&low, epochs, AdamW::new(5e-3), rng);
        model.head = Linear::new(32 * 4, 3, rng);
        model.freeze(|name| name.starts_with("body."));
        // The running means of batch normalisation are no parameters: evaluation mode keeps them.
        model.body.eval();
        model.learn(&few, 100, AdamW::new(1e-2), rng);
        results[1].push(model.accuracy(&test));

        model.unfreeze(|_| true);
        model.body.train();
        let adam =
            AdamW::new(5e-3).group(|name| name.starts_with("body."), |group| group.learning_rate(2e-3));
        model.learn(&few, 100, adam, rng);
        results[2].push(model.accuracy(&test));
    }

    println!("digits 7 to 9 from {LABELS} label each; accuracy, {seeds} seeds");
    let mut means = Vec::new();
    for (name, accuracies) in names.iter().zip(results) {
        let accuracies: Tensor<f64> = accuracies.into_iter().collect();
        let (mean, spread) = (accuracies.mean(..).item(), accuracies.std(.., 1).item());
        println!("{name:<22} {mean:>5.1} +- {spread:.1} %");
        means.push(mean);
    }
    require("the lead over training from scratch", means[2] - means[0], options.unless_quick(3.0, 0.0)..)
}
