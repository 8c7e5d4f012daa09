//! Tensors, reverse-mode automatic differentiation and neural networks for the CPU.
//!
//! This crate re-exports the others: tensors and errors of `gradus-tensor`, variables, the tape and gradients of
//! `gradus-autograd`, layers, losses and optimizers of `gradus-nn`, data sets and readers of `gradus-data` ([`data`], feature `data`), and what
//! surrounds the steps of training of `gradus-train` ([`train`] and [`metrics`], feature `train`). The feature `explain` adds
//! `gradus::explain`: why a model decides as it does, `quant` and `compress` the modules for smaller networks; `privacy`, `encrypted`,
//! `federated` and `distributed` the ones for data that must not be seen and for many machines. Most programs start with the
//! [`prelude`]. With the feature `npy`, `gradus::npy` and `gradus::npz` read and write the files of NumPy; with the feature `ndarray`,
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
//!     fn forward(&self, x: impl AsVar) -> Var {
//!         self.out.forward(self.hidden.forward(x).tanh())
//!     }
//! }
//!
//! let mut rng = seeded(42);
//! let mut mlp = Mlp { hidden: Linear::new(2, 8, &mut rng), out: Linear::new(8, 1, &mut rng) };
//! let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);
//!
//! let mut sgd = Sgd::new(0.1).momentum(0.9);
//! for _ in 0..500 {
//!     let gradients = mlp.forward(&x).mse_loss(&y).backward();
//!     sgd.step(&mut mlp, &gradients);
//! }
//! assert!(mlp.forward(&x).mse_loss(&y).item() < 1e-3);
//! ```

#![forbid(unsafe_code)]

mod common;

#[doc(hidden)]
pub use common::*;
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

#[cfg(any(doc, doctest))]
pub mod guide;

#[cfg(feature = "compress")]
#[doc(inline)]
pub use gradus_compress as compress;
#[cfg(feature = "data")]
#[doc(inline)]
pub use gradus_data as data;
#[cfg(feature = "distributed")]
#[doc(inline)]
pub use gradus_distributed as distributed;
#[cfg(feature = "encrypted")]
#[doc(inline)]
pub use gradus_encrypted as encrypted;
#[cfg(feature = "explain")]
#[doc(inline)]
pub use gradus_explain as explain;
#[cfg(feature = "federated")]
#[doc(inline)]
pub use gradus_federated as federated;
#[cfg(feature = "privacy")]
#[doc(inline)]
pub use gradus_privacy as privacy;
#[cfg(feature = "quant")]
#[doc(inline)]
pub use gradus_quant as quant;
#[cfg(feature = "train")]
#[doc(inline)]
pub use gradus_train as train;
#[cfg(feature = "train")]
#[doc(inline)]
pub use gradus_train::metrics;

pub mod nn {
    //! Layers, losses, initialisation and optimizers.

    pub use gradus_nn::*;
}

pub mod prelude {
    //! The items that most programs use: everything of [`nn`](crate::nn), variables and tensors, and the functions that ask
    //! for gradients. It goes together with the prelude of proptest.

    pub use crate::Rng;
    #[cfg(feature = "data")]
    pub use crate::data::{Batches, Dataset, Impute, Loader, MinMax, Standardize, Subset};
    #[cfg(feature = "train")]
    pub use crate::metrics::Metric;
    pub use crate::nn::*;
    pub use crate::{
        AsVar, Conv, Gradients, Indices, Mask, PadMode, Pool, Tape, Tensor, Var, Xoshiro256PlusPlus,
    };
    pub use crate::{
        Ellipsis, NewAxis, cat, checkpoint, custom_vjp, detect_anomaly, einsum, grad, grad_create_graph,
        hessian, hvp, jacobian, jvp, keep_values, keepdim, no_grad, profile, seeded, stack, step, vjp, vmap,
    };
}

/// The examples of the README, run as tests.
#[cfg(all(doctest, feature = "proptest"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
