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

mod attention;
mod compare;
mod convolution;
mod create;
mod diagonal;
mod dims;
mod element;
mod error;
mod gamma;
mod index;
mod inverse_hyperbolic;
mod iter;
mod join;
mod kernels;
mod layout;
mod linalg;
mod map;
mod math;
mod matmul;
mod normal;
mod normalization;
mod operators;
mod pad;
mod pooling;
mod print;
mod random;
mod range;
mod recurrent;
mod reduce;
mod repeat;
mod scan;
mod slice;
mod softmax;
mod sort;
mod spread;
mod tensor;
mod vectors;
mod view;

pub use convolution::Conv;
pub use dims::{Axes, Dims, Shape, broadcast_shapes, keepdim, lane_axis};
pub use element::{Element, Float, Number};
pub use error::{OrPanic, TensorError};
pub use iter::Iter;
pub use kernels::{InstructionSet, num_threads, release_memory, set_num_threads};
pub use matmul::matmul_shape;
pub use pad::PadMode;
pub use pooling::{Pool, Pooling};
pub use random::{Rng, Xoshiro256PlusPlus, seeded};
pub use slice::Slice;
pub use tensor::Tensor;
