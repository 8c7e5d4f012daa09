//! The tests of tensors, in one binary, so that the reference model is compiled once.

mod borders;
mod caught;
mod common;

mod compare;
mod convolution;
mod create;
mod elementwise;
mod functions;
mod indexing;
mod integers;
mod join;
mod layouts;
mod linalg;
mod matmul;
mod messages;
mod nans;
mod operators;
mod pooling;
mod print;
mod random;
mod range;
mod recurrent;
mod reduce;
mod reproducible;
mod reshape;
mod rows;
mod scans;
mod shapes;
mod subscripts;
mod sums;
mod threads;
mod views;
mod writing;
