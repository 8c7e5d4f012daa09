//! Strided n-dimensional arrays on the CPU.
//!
//! A [`Tensor`] is a shared buffer seen through a layout: a shape, signed strides and an offset. Views
//! ([`slice`](Tensor::slice), [`permute`](Tensor::permute), [`expand`](Tensor::expand), ...) share the
//! buffer and never copy; writing copies first if anybody else looks at the same buffer.
//!
//! This crate knows nothing of gradients.
//!
//! ```
//! use gradus_tensor::{Tensor, keepdim};
//!
//! let x = Tensor::from([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
//! let centred = &x - x.mean(keepdim(0));
//! assert_eq!(centred, Tensor::from([[-1.5, -1.5, -1.5], [1.5, 1.5, 1.5]]));
//! ```

#![deny(unsafe_code)]

mod element;
mod error;
#[doc(hidden)]
pub mod file;
#[doc(hidden)]
pub mod fused;
mod iter;
mod kernels;
mod layout;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "npy")]
pub mod npy;
mod ops;
mod print;
#[doc(hidden)]
pub mod routine;
mod runtime;
mod shape;
mod slice;
mod subscript;
mod tensor;
mod xoshiro;

pub use element::{Element, Float, Number};
pub use error::{OrPanic, TensorError};
pub use iter::Iter;
#[cfg(feature = "npy")]
pub use npy::npz;
pub use ops::conv::Conv;
pub use ops::convert::Numeric;
pub use ops::count::{Bins, Unique};
pub use ops::create::Indexing;
#[doc(hidden)]
pub use ops::int8;
pub use ops::join::SplitSizes;
pub use ops::matrix_norm::MatrixNorm;
pub use ops::pad::PadMode;
pub use ops::pool::{Pool, Pooling};
#[doc(hidden)]
pub use ops::random::{DrawCheck, with_draws_checked};
pub use ops::random::{Rng, seeded};
pub use ops::shapes;
#[doc(hidden)]
pub use runtime::memory::{Bytes, CountedFor};
pub use runtime::memory::{MemoryGroup, MemoryOrigin, MemoryReport, track_memory};
pub use runtime::{InstructionSet, num_threads, release_memory, set_num_threads};
pub use shape::{Axes, Dims, Shape, broadcast_shapes, keepdim, lane_axis};
pub use slice::Slice;
pub use subscript::Subscript::{Ellipsis, NewAxis};
pub use subscript::{Subscript, Subscripts, step};
pub use tensor::Tensor;
#[doc(hidden)]
pub use tensor::View;
pub use xoshiro::Xoshiro256PlusPlus;
