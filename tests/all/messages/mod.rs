//! The exact words of every panic, and that each names the line of the caller.

mod backward;
#[path = "../../../crates/tensor/tests/all/caught.rs"]
mod caught;
mod extremes;
mod images;
mod matrices;
mod nn;
mod operations;
mod rows;

pub(crate) use caught::{caught, panic_of, panics};
use gradus::{Tensor, Var};

/// A leaf of this shape.
fn leaf(shape: &[usize]) -> Var<f64> {
    Var::leaf(Tensor::ones(shape))
}
