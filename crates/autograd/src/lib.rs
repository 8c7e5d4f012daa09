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
//! The modules, in the order to read them: `tape` holds variables, nodes and the contract of an operation,
//! `ops` all operations, one file a family, `scalar` the way from a function of numbers to an operation, `engine` the
//! passes over the tape: `reverse` from a result back to its origins, `gradients` the functions that users call,
//! `forward` from origins to a result, `jacobian` whole matrices of derivatives by either pass,
//! `profile` what a step does, and how long it takes. With the feature
//! `proptest`, `testing` checks gradients against differences.
//!
//! This crate knows nothing of layers.

#![forbid(unsafe_code)]

pub mod accuracy;
#[doc(hidden)]
pub mod compile;
pub mod distributions;
mod engine;
mod operators;
mod ops;
mod profile;
mod scalar;
mod tape;
#[cfg(feature = "proptest")]
pub mod testing;
#[doc(hidden)]
pub mod xml;

pub use compile::{Plan, Variables};
pub use engine::{
    Examples, Gradients, PerExampleGradients, Results, VmapPlan, batched_hessian, batched_jacobian, grad,
    grad_create_graph, gradients_per_example, hessian, hvp, jacobian, jvp, jvp_create_graph, vjp,
    vjp_create_graph, vjp_with, vmap, vmap_plan,
};
pub use gradus_tensor::{
    Axes, Bins, Conv, Dims, Element, Ellipsis, Float, Indexing, InstructionSet, MatrixNorm, MemoryGroup,
    MemoryOrigin, MemoryReport, NewAxis, Number, Numeric, OrPanic, PadMode, Pool, Pooling, Rng, Shape, Slice,
    SplitSizes, Subscript, Subscripts, Tensor, TensorError, Unique, Xoshiro256PlusPlus, broadcast_shapes,
    keepdim, lane_axis, num_threads, release_memory, seeded, set_num_threads, step,
};
#[doc(hidden)]
pub use gradus_tensor::{file, int8, shapes};
#[cfg(feature = "npy")]
pub use gradus_tensor::{npy, npz};
use ops::factors;
pub use ops::{AttentionMask, cat, checkpoint, custom_vjp, einsum, stack};
pub use profile::{Profile, ProfileRow, profile};
pub use scalar::{Binary, BinaryFunction, Expression, Lift, Literal, Real, Unary, UnaryFunction};
pub use tape::{
    AsVar, Batch, Context, Discrete, DiscreteOperation, Discreteness, Event, Fusion, Identity, Indices,
    InputGradients, Inputs, Linearity, Mask, Operand, Operation, Phase, Saves, Tape, TapeNode, Var, apply,
    decide, detect_anomaly, is_recording, keep_values, live_nodes, no_grad, scope, track_memory,
};
#[doc(hidden)]
pub use tape::{OperandValue, drawn, is_run_again, watch};
