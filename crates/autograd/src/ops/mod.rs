//! All differentiable operations, one file per family, in the order of a textbook.
//!
//! Each file ends with the cases that the test suite draws from; a test fails if a method here has none.

mod activations;
mod arithmetic;
mod functions;
mod index;
mod join;
mod linalg;
mod losses;
mod norm;
mod reduce;
mod shape;
mod softmax;

pub(crate) use arithmetic::{add, div, mul, neg, sub};
pub use join::{cat, stack};

/// The test cases of every operation of this crate.
#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    [
        arithmetic::cases(),
        functions::cases(),
        activations::cases(),
        reduce::cases(),
        shape::cases(),
        join::cases(),
        linalg::cases(),
        index::cases(),
        softmax::cases(),
        norm::cases(),
        losses::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
