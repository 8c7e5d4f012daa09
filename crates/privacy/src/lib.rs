//! Training with differential privacy: a model that says next to nothing about any single example that it has learnt from.
//!
//! **The promise.** Take a data set, and the same one with an example more or less. Training with privacy (epsilon, delta) gives
//! any set of models with about the same probability on both: at most exp(epsilon) times as large, plus delta (Dwork and Roth,
//! "The algorithmic foundations of differential privacy", 2014). So whoever has the model, every model on the way, and all
//! other examples, cannot tell well whether an example was there: with epsilon 1, a guess that was right in 50 of 100 cases
//! is right in 73 at most. Delta, the probability of worse, should be far below 1 / samples.
//!
//! **The mechanism** (DP-SGD; Abadi et al., "Deep learning with differential privacy", 2016). Each batch is drawn anew, every
//! example with the same probability. The gradient of each example is clipped to a norm, which bounds what one example can do;
//! Gaussian noise in proportion to this bound hides what it did. [`DpSgd`] makes such gradients, and any optimizer takes them.
//!
//! **The bill.** [`Accountant`] counts steps and gives epsilon after any number of them, [`Plan`] before the first, and the noise
//! for an epsilon that is wanted. No value is below the true one, but for rounding, and [`Accountant::tight_epsilon`] comes
//! near to it; [`gaussian_epsilon`] is exact, without sampling.
//!
//! ```
//! use gradus_privacy::{Accountant, Plan};
//!
//! let plan = Plan { sampling_rate: 256.0 / 60_000.0, steps: 2350, delta: 1e-5 };
//! println!("ten epochs with noise 1.1: epsilon {:.2}", plan.epsilon(1.1)?);
//! println!("epsilon 1 takes noise {:.2}", plan.noise_multiplier(1.0)?);
//!
//! let mut accountant = Accountant::new();
//! accountant.add(plan.sampling_rate, 1.1, 235)?;
//! assert!(accountant.epsilon(1e-5)? < plan.epsilon(1.1)?);
//! # Ok::<(), gradus_privacy::PrivacyError>(())
//! ```
//!
//! | for | there is |
//! | --- | --- |
//! | private gradients | [`DpSgd`], [`Clipping`] |
//! | batches by independent draws | `gradus::data::PoissonBatches`, with a [`SecureRng`] |
//! | a batch that does not fit into memory | [`DpSgd::clipped_sum`], [`ClippedSum::accumulate`], [`DpSgd::add_noise`] |
//! | epsilon before, during and after training | [`Plan::epsilon`], [`DpSgd::epsilon`], [`Accountant`] |
//! | a smaller epsilon for the same steps | [`Accountant::tight_epsilon`] |
//! | the noise for an epsilon | [`Plan::noise_multiplier`] |
//! | training that goes on from a checkpoint | [`Stateful`](gradus_nn::Stateful) of [`DpSgd`] and [`Accountant`] |
//!
//! # What is not promised
//!
//! - *Neighbours* differ by one example, added or removed. To hide whether an example was replaced by another takes up to twice
//!   the epsilon; to hide a person who gave k examples, k times. Delta grows as well, to k exp((k - 1) epsilon) delta.
//! - *Losses, accuracies and errors* on the training data are not private, nor is the time that a step takes. What is looked at to
//!   choose a model, a learning rate or a number of steps has its own price, which is not counted: each run on the same
//!   data adds its epsilon.
//! - *Batches* must be drawn by `PoissonBatches` or its like; for epochs of shuffled data epsilon does
//!   not hold.
//! - *Normalisation by the batch* is refused, because it mixes examples. Statistics by which data are scaled before training
//!   (means, ranges, vocabularies) must not come from the private data either; nor may weights that were trained on them.
//! - *Rounding.* The proof is for real numbers. Noise in floating point has gaps, and from the exact bits of a result one can
//!   learn more than epsilon says (Mironov, "On significance of the least significant bits for differential privacy",
//!   2012; Holohan and Braghin, "Secure random sampling in differential privacy", 2021). Noise is added in double precision
//!   and rounded afterwards for parameters of `f32`, which makes this harder and rules nothing out. Sums are right to their
//!   rounding, about 1e-6 of the clipping norm for each example. In `f32` a clipping norm below 1e-18 bounds nothing, because
//!   squares of such numbers vanish.
//! - Memory is not wiped, and nobody has audited this crate.

#![forbid(unsafe_code)]

mod accountant;
mod clipping;
mod dp_sgd;
mod error;
mod fourier;
mod gaussian;
mod losses;
mod rdp;
mod refuse;
mod secure;

pub use accountant::{Accountant, Plan, default_orders};
pub use clipping::{ClippedSum, Clipping};
pub use dp_sgd::DpSgd;
pub use error::PrivacyError;
pub use gaussian::gaussian_epsilon;
pub use rdp::rdp;
pub use secure::SecureRng;
