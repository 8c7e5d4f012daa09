//! Functions of numbers, each written once for all its readings.

pub(crate) mod elementwise;
mod expression;
mod function;
mod real;
mod traced;
mod vocabulary;

pub use elementwise::{Binary, Unary};
pub use expression::Expression;
pub use function::{BinaryFunction, UnaryFunction};
pub use real::{Lift, Literal, Real};
#[cfg(feature = "proptest")]
pub(crate) use traced::traced;
