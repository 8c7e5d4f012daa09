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

mod compare;
mod create;
mod dims;
mod element;
mod error;
mod gamma;
mod index;
mod iter;
mod join;
mod kernels;
mod layout;
mod map;
mod math;
mod matmul;
mod normalization;
mod operators;
mod print;
mod random;
mod reduce;
mod slice;
mod softmax;
mod tensor;
mod view;

pub use dims::{Axes, Dims, Shape, broadcast_shapes, keepdim};
pub use element::{Element, Float, Number};
pub use error::{OrPanic, TensorError};
pub use iter::Iter;
pub use kernels::{InstructionSet, num_threads, release_memory, set_num_threads};
pub use matmul::matmul_shape;
pub use random::{Rng, Xoshiro256PlusPlus, seeded};
pub use slice::Slice;
pub use tensor::Tensor;
