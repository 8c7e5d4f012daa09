//! Data on its way into a model: data sets, batches, scaling, and readers of files.
//!
//! A [`Dataset`] has samples with numbers; tensors, their tuples and vectors are data sets, and so are types of your own.
//! An [`order`] is a list of such numbers: shuffled, stratified, weighted, cut into parts or folds. [`Batches`] are a data
//! set in an order:
//!
//! ```
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
//! use gradus::{Linear, Losses, Module, Optimizer, Sgd, Tensor, seeded};
//! use gradus::data::{Batches, Standardize};
//!
//! # fn main() -> Result<(), gradus::data::DataError> {
//! let mut rng = seeded(0);
//! let x = Tensor::<f32>::rand([100, 2], &mut rng) * 50.0;
//! let y = x.sum(1).unsqueeze(1);
//! let scaler = Standardize::fit(&x)?;
//! let (mut model, mut sgd) = (Linear::new(2, 1, &mut rng), Sgd::new(0.1));
//! for _epoch in 0..20 {
//!     for (x, y) in Batches::of((&x, &y), 16).shuffle(&mut rng) {
//!         let loss = model.forward(scaler.transform(&x)).mse_loss(&y);
//!         sgd.step(&mut model, &loss.backward());
//!     }
//! }
//! assert!(model.forward(scaler.transform(&x)).mse_loss(&y).item() < 1e-3);
//! # Ok(())
//! # }
//! ```
//!
//! | for | there is |
//! | --- | --- |
//! | random changes of a batch, the same for any number of threads | [`Batches::augment`], [`augment`](mod@augment) |
//! | batches made on other threads | [`Batches::prefetch`] |
//! | training that stops and goes on in the middle of an epoch | [`Loader`] |
//! | parts and folds | [`order::split`], [`order::folds`], [`Subset`] |
//! | uneven parts, for clients of a federation | [`order::dirichlet`] |
//! | sequences of several lengths | [`pad_sequence`], [`Batches::bucket`] |
//! | features of one size, missing ones filled | [`Standardize`], [`MinMax`], [`Impute`] |

#![forbid(unsafe_code)]

// The derive macro refers to the facade, `gradus`.
extern crate gradus_nn as gradus;

pub mod augment;
mod batches;
mod dataset;
mod error;
mod impute;
mod loader;
pub mod order;
mod prefetch;
pub mod read;
mod scale;
mod sequences;

pub use batches::Batches;
pub use dataset::{Dataset, Subset};
pub use error::DataError;
pub use impute::Impute;
pub use loader::Loader;
pub use prefetch::Prefetch;
pub use scale::{MinMax, Standardize};
pub use sequences::{pad_sequence, unpad};
