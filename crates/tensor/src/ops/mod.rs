//! The operations of a tensor, one file for each family: they check shapes, ask a kernel, and make a tensor of what it
//! gives.

mod arithmetic;
mod attention;
mod compare;
pub(crate) mod conv;
mod create;
mod diagonal;
mod embedding;
mod index;
pub(crate) mod join;
mod linalg;
mod map;
mod math;
pub(crate) mod matmul;
mod norm;
pub(crate) mod pad;
pub(crate) mod pool;
pub(crate) mod random;
mod recurrent;
mod reduce;
mod repeat;
mod scan;
mod softmax;
mod sort;
mod stats;
pub(crate) mod view;
