//! The loops beneath every operation, and what they need: memory, threads, instruction sets.
//!
//! A loop walks its operands in logical order, axes merged where the memory allows, and works on inner runs.

mod additions;
mod attention;
mod buffer;
mod compiled;
mod conv;
mod conv_weight;
mod copy;
mod cuts;
mod elementwise;
mod extremes;
pub(crate) mod functions;
mod gemm;
mod lanes;
pub(crate) mod linalg;
mod narrow;
mod norm;
mod pool;
mod pool_by_two;
mod recurrent;
mod rows;
mod runs;
mod scan;
mod simd;
mod sum;
mod threads;
mod vectors;

pub(crate) use additions::Additions;
pub(crate) use attention::{Attention, Head};
pub(crate) use buffer::Buffer;
pub use buffer::release_memory;
pub(crate) use compiled::Kernels;
pub(crate) use conv::Geometry;
pub(crate) use copy::copy;
pub(crate) use elementwise::{map, map_inplace, zip, zip_inplace, zip_inplace_many, zip_many};
pub(crate) use extremes::{Extreme, Place, beats, undercuts};
pub(crate) use gemm::MatrixRef;
pub(crate) use lanes::{Fold, Product, Reduction, reduce, reduce_lanes};
pub(crate) use pool::{Window, Windows};
pub(crate) use recurrent::Sizes;
pub(crate) use rows::LogSumExp;
pub(crate) use runs::for_each_run;
pub(crate) use scan::{recurrence, running_products, running_sums};
pub use simd::InstructionSet;
pub(crate) use sum::{Sum, sum_then};
pub use threads::{num_threads, set_num_threads};
