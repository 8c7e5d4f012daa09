//! The loops beneath every operation, and what they need: memory, threads, instruction sets.
//!
//! A loop walks its operands in logical order, axes merged where the memory allows, and works on inner runs.

mod buffer;
mod elementwise;
pub(crate) mod functions;
mod gemm;
mod lanes;
mod narrow;
mod runs;
mod simd;
mod threads;

pub(crate) use buffer::Buffer;
pub use buffer::release_memory;
pub(crate) use elementwise::{copy, map, map_inplace, zip, zip_inplace, zip_inplace_many, zip_many};
pub(crate) use gemm::{MatrixRef, products};
pub(crate) use lanes::{pairwise_sum, reduce_lanes};
pub(crate) use runs::for_each_run;
pub use simd::InstructionSet;
pub use threads::{num_threads, set_num_threads};
