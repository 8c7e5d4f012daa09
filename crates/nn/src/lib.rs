//! Layers, losses, initialisation and optimizers.
//!
//! A layer is a struct with public fields; a model is a struct of layers that derives [`Module`], which names its
//! parameters. `forward` is an ordinary method. The model owns its parameters as plain values, and an [`Optimizer`]
//! changes them through `&mut`.
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

// The derive macro refers to the facade, `gradus`.
extern crate self as gradus;

mod buffer;
mod checkpoint;
mod compiled;
mod containers;
mod counter;
#[doc(hidden)]
pub mod derived;
mod evaluating;
mod forward_summary;
mod gradients;
pub mod init;
mod inside;
mod layers;
mod loss;
mod member;
mod module;
mod optim;
#[doc(hidden)]
pub mod packed;
mod parameter;
mod path;
mod per_example;
mod state;
mod stateful;
mod summary;
#[cfg(feature = "proptest")]
pub mod testing;
mod tied;

pub use buffer::Buffer;
pub use checkpoint::{checkpoint_layer, checkpoint_sequential};
pub use compiled::{Compiled, Optimizers};
pub use counter::Counter;
pub use forward_summary::{ForwardSummary, ForwardSummaryRow, summary, summary_with};
pub use gradients::NonFiniteGradients;
pub use gradus_autograd::{Float, Tensor};
pub use gradus_derive::Module;
pub use inside::{LayerId, LayerScope, layer_scope, name_layers};
pub use layers::*;
pub use loss::{
    BceLoss, BceWithLogitsLoss, ClassTargets, CosineEmbeddingLoss, CrossEntropyLoss, DistillationLoss,
    HuberLoss, KlDivLoss, L1Loss, Losses, MseLoss, NllLoss, Reduction, SmoothL1Loss, TripletMarginLoss,
};
pub use member::{Member, MemberMut};
pub use module::Module;
pub use optim::{
    Adadelta, AdadeltaRule, Adagrad, AdagradRule, Adam, AdamRule, AdamW, AveragedModel, Descent,
    LearningRate, Optimizer, ReduceLrOnPlateau, RmsProp, RmsPropRule, Rule, Schedule, Sgd, SgdRule, Step,
    clip_grad_norm, clip_grad_value, schedule,
};
pub use packed::Packed;
pub use parameter::Parameter;
pub use path::Path;
pub use per_example::per_example_gradients;
pub use state::{Difference, Dtype, PartialLoad, State, StateError, StateTensor};
pub use stateful::Stateful;
pub use summary::{Summary, SummaryRow};
pub use tied::Tied;
