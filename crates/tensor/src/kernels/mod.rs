//! The loops beneath every operation.
//!
//! Each walks its operands in logical order, axes merged where the memory allows, and works on inner runs.

mod elementwise;
pub(crate) mod functions;
mod gemm;
mod lanes;
mod runs;

pub(crate) use elementwise::{map, zip, zip_inplace, zip_many};
pub(crate) use gemm::{MatrixRef, gemm};
pub(crate) use lanes::{pairwise_sum, reduce_lanes};
pub(crate) use runs::for_each_run;
