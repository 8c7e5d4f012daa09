//! Memory, threads and instruction sets: what loops need, and nothing of what they compute.

mod buffer;
#[cfg(target_arch = "x86_64")]
mod first_lanes;
pub(crate) mod memory;
mod pages;
pub(crate) mod registers;
mod simd;
mod threads;

pub(crate) use buffer::Buffer;
pub use buffer::release_memory;
pub(crate) use registers::Lane;
pub use simd::InstructionSet;
pub(crate) use simd::{dispatch, dispatch_functions, dispatch_narrow};
pub(crate) use threads::{Pointer, for_each_part, for_each_part_of, for_each_piece_of, for_each_piece_with};
pub use threads::{num_threads, set_num_threads};
