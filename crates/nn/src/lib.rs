//! Layers, losses, initialisation and optimizers.
//!
//! A layer is a struct with public fields; a model is a struct of layers that derives [`Module`], which
//! gives its parameters names. `forward` is an ordinary method. Parameters are plain values that the model
//! owns, and an [`Optimizer`] changes them through `&mut`.
//!
//! This crate knows nothing of kernels.
//!
//! ```
//! use gradus_nn::{Linear, Losses, Module, Optimizer, Sgd};
//! use gradus_autograd::{Tensor, Var, seeded};
//!
//! let mut layer = Linear::new(2, 1, &mut seeded(0));
//! let (x, y) = (Var::constant([[0.0_f32, 1.0], [1.0, 1.0]]), Tensor::from([[1.0_f32], [2.0]]));
//! let mut sgd = Sgd::new(0.1);
//! for _ in 0..300 {
//!     let loss = layer.forward(&x).mse_loss(&y);
//!     sgd.step(&mut layer, &loss.backward());
//! }
//! assert!(layer.forward(&x).mse_loss(&y).item() < 1e-6);
//! ```

#![forbid(unsafe_code)]

// The derive macro names the facade, under which this crate is known to its users.
extern crate self as gradus;

mod buffer;
pub mod init;
mod layers;
mod loss;
mod module;
mod optim;
mod parameter;
mod path;
#[cfg(feature = "proptest")]
pub mod testing;

pub use buffer::Buffer;
pub use gradus_autograd::{Float, Tensor};
pub use gradus_derive::Module;
pub use layers::*;
pub use loss::{
    BceLoss, BceWithLogitsLoss, ClassTargets, CrossEntropyLoss, HuberLoss, KlDivLoss, L1Loss, Losses,
    MseLoss, NllLoss, Reduction, SmoothL1Loss,
};
pub use module::{Member, MemberMut, Module};
pub use optim::{
    Adadelta, AdadeltaRule, Adagrad, AdagradRule, Adam, AdamRule, AdamW, Descent, LearningRate, Optimizer,
    ReduceLrOnPlateau, RmsProp, RmsPropRule, Rule, Schedule, Sgd, SgdRule, Step, clip_grad_norm,
    clip_grad_value, schedule,
};
pub use parameter::Parameter;
pub use path::Path;
