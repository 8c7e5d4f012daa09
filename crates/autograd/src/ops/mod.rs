//! All differentiable operations, one file per family, in the order of a textbook.
//!
//! Each file ends with the cases that the test suite draws from; a test fails if a method here has none.

mod activations;
mod arithmetic;
mod attention;
mod checkpoint;
mod compare;
mod conv;
mod custom;
mod decompositions;
mod diagonal;
mod dropout;
mod einsum;
mod embedding;
mod functions;
mod hook;
mod index;
mod join;
mod linalg;
mod loss;
mod matmul;
mod norm;
mod operations;
mod pad;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod repeat;
mod scan;
mod slopes;
mod softmax;
mod sort;
mod stats;
mod subscript;
mod view;

pub(crate) use arithmetic::{add, chained, div, divided, mul, neg, sub};
pub use attention::AttentionMask;
pub use checkpoint::checkpoint;
pub use custom::custom_vjp;
pub use einsum::einsum;
pub use join::{cat, stack};
pub(crate) use matmul::factors;

/// The test cases of every operation of this crate.
#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    [
        arithmetic::cases(),
        functions::cases(),
        activations::cases(),
        reduce::cases(),
        stats::cases(),
        scan::cases(),
        view::cases(),
        subscript::cases(),
        diagonal::cases(),
        repeat::cases(),
        pad::cases(),
        join::cases(),
        matmul::cases(),
        einsum::cases(),
        linalg::cases(),
        decompositions::cases(),
        conv::cases(),
        pool::cases(),
        index::cases(),
        embedding::cases(),
        sort::cases(),
        softmax::cases(),
        norm::cases(),
        dropout::cases(),
        attention::cases(),
        recurrent::cases(),
        loss::cases(),
        quantize::cases(),
        hook::cases(),
        checkpoint::cases(),
        custom::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
