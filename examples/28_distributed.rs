//! Training on several processes: each computes its part of every batch, and all make the same steps.
//!
//! A small network learns digits. Every process has the whole network and reads the same data; of each batch it takes its
//! part, and the gradients of the parts are summed to the whole batch's. Rank 0 writes a checkpoint after each epoch: a job
//! that was stopped goes on from it (`out/distributed.safetensors`, removed at the end). On one process it is ordinary
//! training; on several the result is the same up to rounding.
//!
//! ```sh
//! cargo run --release --features distributed --example distributed
//!
//! # With an MPI library (Debian: libopenmpi-dev openmpi-bin libclang-dev):
//! cargo build --release --features distributed,gradus-distributed/mpi --example distributed
//! GRADUS_NUM_THREADS=1 mpirun -n 2 target/release/examples/distributed
//! ```

use std::error::Error;
use std::time::Instant;

use gradus::data::order;
use gradus::distributed::{Group, run};
use gradus::metrics::{Accuracy, Metric};
use gradus::prelude::*;
use gradus_examples::digits::{CLASSES, Digits, PIXELS};
use gradus_examples::{Options, out, require};

const TEST_DIGITS: usize = 599;
const BATCH: usize = 64;

#[derive(Module)]
struct Mlp {
    hidden: Linear,
    out: Linear,
}

impl Mlp {
    /// Images `[n, 64]` to logits `[n, 10]`.
    fn forward(&self, images: impl AsVar) -> Var {
        self.out.forward(self.hidden.forward(images).relu())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    run(train)
}

fn train(group: &Group) -> Result<(), Box<dyn Error>> {
    let epochs = Options::read()?.unless_quick(40, 10);
    let digits = Digits::load()?;
    // The same generator on every rank: the same split, the same weights, the same order in each epoch.
    let rng = &mut seeded(0);
    let all = order::shuffled(digits.labels.len(), rng);
    let [test, train] = order::split(&all, [TEST_DIGITS, all.len() - TEST_DIGITS]);
    let train = Subset::new((&digits.images, &digits.labels), train);

    let mut mlp = Mlp { hidden: Linear::new(PIXELS, 128, rng), out: Linear::new(128, CLASSES, rng) };
    let mut sgd = Sgd::new(0.1).momentum(0.9).nesterov().weight_decay(1e-3);
    let sharding = group.sharding(BATCH)?;
    let mut loader = Loader::new(seeded(1), |rng| sharding.of(order::shuffled(train.len(), rng)));

    let path = out("distributed.safetensors")?;
    if let Some(checkpoint) = group.load(&path)? {
        sgd.load_state(&checkpoint.part("sgd."))?;
        loader.load_state(&checkpoint.part("loader."))?;
        mlp.load_state(&checkpoint.part("model."))?;
    }
    group.broadcast(&mut mlp)?;
    if group.is_first() {
        println!("{} ranks, {} digits, {} parameters", group.size(), train.len(), mlp.parameter_count());
        if loader.epoch() > 0 {
            println!("going on after epoch {}", loader.epoch());
        }
    }

    let (start, mut loss) = (Instant::now(), f64::NAN);
    while loader.epoch() < epochs {
        sgd.follow(&schedule::cosine(epochs, 0.0), loader.epoch());
        let (mut sum, mut seen) = (0.0, 0);
        for part in loader.by_ref() {
            let gradients = group.backward(&mlp, &part, |mlp, indices| {
                let (images, labels) = train.batch(indices);
                mlp.forward(images).cross_entropy(&labels)
            })?;
            // The mean loss of the whole batch, on every rank.
            sum += f64::from(gradients.loss()) * part.batch().len() as f64;
            seen += part.batch().len();
            sgd.step(&mut mlp, &gradients);
        }
        loss = sum / seen as f64;
        group.check_same(&mlp)?;
        group.save(&path, || {
            let mut checkpoint = State::new();
            checkpoint.insert_part("model.", &mlp.state());
            checkpoint.insert_part("sgd.", &sgd.state());
            checkpoint.insert_part("loader.", &loader.state());
            checkpoint
        })?;
    }
    let seconds = start.elapsed().as_secs_f64();

    // Each rank tests its part of the digits; the accuracy is that of all.
    let own = group.sharding(test.len())?.of(test).next().ok_or("there is nothing to test on")?;
    let (images, labels) = (&digits.images, &digits.labels).batch(own.indices());
    let mut accuracy = Accuracy::new();
    accuracy.update(no_grad(|| mlp.forward(images)).value(), &labels);
    let accuracy = group.mean(accuracy.value(), own.indices().len())?;
    if group.is_first() {
        println!("training loss  {loss:.5}, {seconds:.2} s");
        println!("test accuracy  {:.2} %", 100.0 * accuracy);
        std::fs::remove_file(&path)?;
    }
    require("the accuracy", accuracy, 0.95..)
}
