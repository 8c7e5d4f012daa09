//! Models: names, clones, initialisation, losses, training.

mod adam;
mod averaging;
mod checkpoints;
mod checks;
mod compiled;
mod copying;
mod derive;
mod durability;
mod embeddings;
mod freezing;
mod init;
mod inside;
mod inspection;
mod layers;
mod losses;
mod models;
mod modes;
mod optimizers;
mod plans;
mod recomputation;
mod resuming;
mod saving;
mod schedules;
mod sgd;
mod stale;
mod state;
mod tied;

use gradus::prelude::*;

/// A small model with members of all kinds: parameters, buffers, counters and modes.
fn model(seed: u64) -> Sequential<f64> {
    let rng = &mut seeded(seed);
    Sequential::new()
        .push(Linear::new(3, 4, rng))
        .push(BatchNorm1d::new(4))
        .push(Dropout::new(0.3, seed))
        .push(Linear::new(4, 2, rng))
}
