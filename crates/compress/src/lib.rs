//! Smaller models with nearly the same outputs.
//!
//! | way | what is saved | items |
//! | --- | --- | --- |
//! | pruning of weights | zeros, which a sparse file leaves out | [`Scores`], [`Masks`], [`Gradual`] |
//! | pruning of channels | parameters, memory and time | [`Scores`], [`shrink`] of a `Sequential`, [`keep_channels`] |
//! | low rank | parameters and time | [`LowRankLinear`], [`LowRankConv2d`] |
//! | shared weights | bits a weight | [`Shared`] |
//! | distillation | a smaller model learns from a large one | `DistillationLoss` of the losses |
//! | adapters | parameters that fine-tuning trains and keeps | [`Lora`] |
//!
//! Each works on plain layers and models, and they combine: prune channels, factorise what is left, train on, and share the
//! weights.
//!
//! ```
//! use gradus_autograd::seeded;
//! use gradus_compress::{Masks, Scores, Scope, Unit};
//! use gradus_nn::{Linear, Module, Sequential};
//!
//! let rng = &mut seeded(0);
//! let mut model = Sequential::<f32>::new().push(Linear::new(8, 8, rng)).push(Linear::new(8, 2, rng));
//! let scores = Scores::magnitude(&model, Unit::Weight, |name| name.ends_with("weight"));
//! let masks = Masks::prune(&scores, 0.75, Scope::Global)?;
//! masks.apply(&mut model)?; // again after each step of training
//! let zeros = |model: &Sequential| model.parameters().iter().flat_map(|p| p.value()).filter(|x| *x == 0.0).count();
//! assert_eq!(zeros(&model), 60);
//! # Ok::<(), gradus_compress::CompressError>(())
//! ```

#![forbid(unsafe_code)]

// The derive macro refers to the facade, `gradus`.
extern crate gradus_nn as gradus;

mod bits;
mod channels;
mod error;
mod lora;
mod low_rank;
mod prune;
mod sequential;
mod share;

pub use channels::{Channels, keep_channels};
pub use error::CompressError;
pub use lora::Lora;
pub use low_rank::{LowRankConv2d, LowRankLinear, rank_for};
pub use prune::{Gradual, Masks, Scope, Scores, Unit};
pub use sequential::{prunable, shrink};
pub use share::Shared;
