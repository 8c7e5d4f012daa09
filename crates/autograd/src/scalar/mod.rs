//! Functions of numbers, written once for all that is done with them.

pub(crate) mod elementwise;
mod real;

pub use elementwise::{Binary, BinaryFunction, Unary, UnaryFunction};
pub use real::{Lift, Literal, Real};
