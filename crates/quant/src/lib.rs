//! Quantised networks: numbers of 8 or 4 bits in place of 32.
//!
//! A number x is held as a level, `round(x / scale) + zero_point`. Files become a quarter as long, and products of levels
//! are exact and fast. A [`Scheme`] says which levels there are, an [`Observer`] finds the scale for what it sees, and [`Params`] are
//! what it found.

#![forbid(unsafe_code)]

// The derive macro refers to the facade, `gradus`.
extern crate gradus_nn as gradus;

mod core;
mod error;
mod fixed;
mod fold;
mod four;
mod histogram;
mod layers;
mod learned;
mod observer;
mod params;
mod prepared;
mod quantizer;
mod recurrent;

pub use error::QuantError;
pub use fold::{fold_batch_norm, fold_batch_norms};
pub use four::FourBit;
pub use layers::{QConv2d, QLinear};
pub use learned::LearnedStep;
pub use observer::Observer;
pub use params::{Params, Scheme};
pub use prepared::Prepared;
pub use quantizer::{Conversion, ConversionRow, Quantizer, Replaceable};
pub use recurrent::{QGru, QLstm, QRnn};
