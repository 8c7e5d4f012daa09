//! All differentiable operations, one file per family, in the order of a textbook.
//!
//! Each file ends with the cases that the test suite draws from; a test fails if a method here has none.

mod activations;
mod arithmetic;
mod attention;
mod convolution;
mod diagonal;
mod einsum;
mod embedding;
mod equations;
mod functions;
mod index;
mod join;
mod linalg;
mod losses;
mod norm;
mod pad;
mod pooling;
mod recurrent;
mod reduce;
mod repeat;
mod scan;
mod shape;
mod slopes;
mod softmax;
mod sort;
mod spread;
mod vectors;

pub(crate) use arithmetic::{add, chained, div, divided, gated, mul, neg, sub};
pub use attention::AttentionMask;
pub use einsum::einsum;
pub use join::{cat, stack};

/// The test cases of every operation of this crate.
#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    [
        arithmetic::cases(),
        functions::cases(),
        activations::cases(),
        reduce::cases(),
        spread::cases(),
        scan::cases(),
        shape::cases(),
        diagonal::cases(),
        repeat::cases(),
        pad::cases(),
        join::cases(),
        linalg::cases(),
        einsum::cases(),
        equations::cases(),
        vectors::cases(),
        convolution::cases(),
        pooling::cases(),
        index::cases(),
        embedding::cases(),
        sort::cases(),
        softmax::cases(),
        norm::cases(),
        attention::cases(),
        recurrent::cases(),
        losses::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
