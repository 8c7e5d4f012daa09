//! The tape: its depth, its memory, threads, what it looks like, and what flows along it.

pub(crate) mod allocator;
mod anomaly;
mod chains;
mod decisions;
mod drawing;
mod flow;
mod growth;
mod memory;
mod modes;
mod printing;
mod profile;
mod program;
mod threads;
mod tracked;
mod vmap;

use gradus::{Gradients, Tensor, Var};

/// The gradient of a leaf that was reached.
#[track_caller]
fn gradient_of(gradients: &Gradients<f64>, leaf: &Var<f64>) -> Tensor<f64> {
    gradients.get(leaf).expect("the result depends on the leaf").clone()
}
