//! What surrounds the steps of training: metrics, early stopping, checkpoints, progress and logs.
//!
//! Each part works without the others, in a loop that is written by hand; [`Fit`] is the same loop for those who would
//! rather not. Nothing is printed or written unless asked for.
//!
//! ```
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
//! use gradus::{Linear, Losses, Module, Optimizer, Sgd, Tensor, clip_grad_norm, seeded};
//! use gradus::metrics::{Mean, Metric};
//! use gradus::train::EarlyStopping;
//!
//! let rng = &mut seeded(0);
//! let batches: Vec<Tensor> = (0..4).map(|_| Tensor::randn([8, 2], rng)).collect();
//! let (mut model, mut sgd) = (Linear::new(2, 1, rng), Sgd::new(0.1));
//! let mut stopping = EarlyStopping::min().patience(3).min_delta(1e-4);
//! for epoch in 1.. {
//!     let mut loss = Mean::new();
//!     for x in &batches {
//!         let mut gradients = model.forward(x).mse_loss(&x.sum(keepdim(1))).backward();
//!         loss.update(gradients.loss(), x.shape()[0]);
//!         clip_grad_norm(&mut gradients, &model, 1.0);
//!         sgd.step(&mut model, &gradients);
//!     }
//!     if stopping.observe(loss.value()) {
//!         break;
//!     }
//! }
//! assert!(stopping.best().unwrap() < 1e-2);
//! # use gradus::keepdim;
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "plot")]
mod chart;
mod error;
mod fit;
mod interrupt;
#[cfg(feature = "safetensors")]
mod keep;
mod log;
mod mean_gradients;
pub mod metrics;
mod predict;
#[cfg(feature = "progress")]
mod progress;
#[cfg(feature = "report")]
mod report;
mod stopping;

#[cfg(feature = "plot")]
pub use chart::{Chart, Scale};
pub use error::TrainError;
pub use fit::{End, Fit, Fitted, IntoRow, Loss, Row};
pub use gradus_nn::Stateful;
pub use interrupt::Interrupt;
#[cfg(feature = "safetensors")]
pub use keep::{BestCheckpoint, LastCheckpoints};
pub use log::{CsvLog, JsonlLog, Log, TensorBoardLog};
pub use mean_gradients::MeanGradients;
pub use predict::predict;
#[cfg(feature = "progress")]
pub use progress::{Progress, Steps};
#[cfg(feature = "report")]
pub use report::{Epoch, OperationTime, Report, Run};
pub use stopping::{EarlyStopping, Goal};
