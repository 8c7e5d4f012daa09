//! Automatic differentiation, in reverse and in forward mode.
//!
//! A [`Tensor`] is numbers. A [`Var`] is numbers that may remember where they came
//! from. An [`Operation`] is one item: it computes, and it says how its gradient flows back.
//!
//! ```
//! use gradus_autograd::{Tensor, Var};
//!
//! let x = Var::leaf(Tensor::from([1.0_f64, 2.0, 3.0]));
//! let y = (&x * &x).sum(..);
//! let gradients = y.backward();
//! assert_eq!(gradients.get(&x), Some(&Tensor::from([2.0, 4.0, 6.0])));
//! ```
//!
//! The modules, in the order to read them: `var` is what users hold, `entry` one line of the tape,
//! `operation` the contract of an operation, `elementwise` how a scalar function becomes one, `ops` all that
//! there are, `walk` the way back over the tape, `backward` what users ask of it, `forward` the way from inputs
//! to results, `jacobian` whole matrices of derivatives by either way, `tape` the tape as a list to look at. With
//! the feature `proptest`, `testing` checks gradients against differences.
//!
//! This crate knows nothing of layers.

#![forbid(unsafe_code)]

pub mod accuracy;
mod backward;
mod elementwise;
mod entry;
mod forward;
mod jacobian;
mod mode;
mod operation;
mod operators;
mod ops;
mod real;
mod saves;
mod tape;
#[cfg(feature = "proptest")]
pub mod testing;
mod var;
mod walk;

pub use backward::{Gradients, grad, grad_create_graph, hvp, vjp, vjp_create_graph};
pub use elementwise::{Binary, BinaryFunction, Unary, UnaryFunction};
pub use entry::live_entries;
pub use forward::{jvp, jvp_create_graph};
pub use gradus_tensor::{
    Axes, Conv, Dims, Element, Float, InstructionSet, Number, OrPanic, PadMode, Pool, Pooling, Rng, Shape,
    Slice, Tensor, TensorError, Xoshiro256PlusPlus, broadcast_shapes, keepdim, lane_axis, num_threads,
    release_memory, seeded, set_num_threads,
};
pub use jacobian::{batched_hessian, batched_jacobian, hessian, jacobian};
pub use mode::{is_recording, keep_values, no_grad};
pub use operation::{Context, Linearity, Operation, apply};
pub use ops::{AttentionMask, cat, einsum, stack};
pub use real::{Lift, Literal, Real};
pub use saves::Saves;
pub use tape::{Tape, TapeEntry};
pub use var::{Identity, Var};
