//! The share of training in the time of a loop that also makes its batches.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use gradus::data::augment::{random_crop, random_flip};
use gradus::prelude::*;

use crate::bench::Bench;
use crate::training::LeNet;

const IMAGES: usize = 12_800;
const BATCH: usize = 64;

/// Trains a small CNN on images that are cropped and mirrored at random, for an epoch with batches that are made when they
/// are asked for, and for one each with one and two threads that make them ahead.
pub(crate) fn shares(bench: &Bench) -> ExitCode {
    gradus::set_num_threads(bench.threads());
    let rng = &mut seeded(0);
    let images = Tensor::<f32>::randn([IMAGES, 1, 28, 28], rng);
    let labels = Tensor::randint([IMAGES], 0..10, rng);
    let (mut model, mut sgd) = (LeNet::new(rng), Sgd::new(0.05));
    for ahead in [0, 1, 2] {
        let mut batches = Batches::of((images.clone(), labels.clone()), BATCH)
            .shuffle(rng)
            .augment(rng, |(x, y), rng| (random_flip(&random_crop(&x, 2, rng), 0.5, rng), y))
            .prefetch(ahead);
        let (start, mut waited) = (Instant::now(), Duration::ZERO);
        loop {
            let asked = Instant::now();
            let batch = batches.next();
            waited += asked.elapsed();
            let Some((x, y)) = batch else { break };
            let gradients = model.forward(&Var::constant(x)).cross_entropy(&y).backward();
            sgd.step(&mut model, &gradients);
        }
        let (whole, waited) = (start.elapsed().as_secs_f64(), waited.as_secs_f64());
        println!(
            "{ahead} threads ahead: {:.1} % of {whole:.2} s is training, {:.1} % is waiting for batches",
            100.0 * (1.0 - waited / whole),
            100.0 * waited / whole
        );
    }
    ExitCode::SUCCESS
}
