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
pub(crate) use function::{binary_function, unary_function};
pub use real::{Lift, Literal, Real};
pub(crate) use traced::traced;
