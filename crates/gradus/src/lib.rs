//! Tensors, reverse-mode automatic differentiation and neural networks for the CPU.
//!
//! This crate re-exports the others: tensors and errors of `gradus-tensor`, variables, the tape and gradients of
//! `gradus-autograd`, layers, losses and optimizers of `gradus-nn`. Most programs start with the [`prelude`]. With the
//! feature `npy`, `gradus::npy` and `gradus::npz` read and write the files of NumPy; with the feature `ndarray`,
//! tensors are made from arrays of the crate `ndarray` and turn into them.
//!
//! ```
//! use gradus::prelude::*;
//!
//! #[derive(Module, Clone)]
//! struct Mlp {
//!     hidden: Linear,
//!     out: Linear,
//! }
//!
//! impl Mlp {
//!     fn forward(&self, x: &Var) -> Var {
//!         self.out.forward(&self.hidden.forward(x).tanh())
//!     }
//! }
//!
//! let mut rng = seeded(42);
//! let mut mlp = Mlp { hidden: Linear::new(2, 8, &mut rng), out: Linear::new(8, 1, &mut rng) };
//! let x = Var::constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);
//!
//! let mut sgd = Sgd::new(0.1).momentum(0.9);
//! for _ in 0..500 {
//!     let loss = mlp.forward(&x).mse_loss(&y);
//!     sgd.step(&mut mlp, &loss.backward());
//! }
//! assert!(mlp.forward(&x).mse_loss(&y).item() < 1e-3);
//! ```

#![forbid(unsafe_code)]

pub use gradus_autograd::*;
#[doc(hidden)]
pub use gradus_nn::Float;
pub use gradus_nn::*;

#[cfg(feature = "proptest")]
pub mod testing {
    //! Checks of the gradients of functions and layers, and random tensors for `proptest`.

    pub use gradus_autograd::testing::*;
    pub use gradus_nn::testing::check_module;

    /// The test cases of every differentiable operation and loss, named by their methods.
    pub fn cases() -> Vec<Case> {
        gradus_autograd::testing::cases().into_iter().chain(gradus_nn::testing::cases()).collect()
    }
}

pub mod prelude {
    //! The items that most programs use.

    pub use crate::Rng;
    pub use crate::{
        Adadelta, Adagrad, Adam, AdamW, Gradients, Layer, Linear, Losses, Module, Optimizer, Parameter,
        RmsProp, Schedule, Sequential, Sgd, Tape, Tensor, Var,
    };
    pub use crate::{
        cat, clip_grad_norm, clip_grad_value, einsum, grad, hvp, keepdim, no_grad, seeded, stack,
    };
}

/// The examples of the README, run as tests.
#[cfg(all(doctest, feature = "proptest"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
