//! Federated learning.

#![forbid(unsafe_code)]

// The derive macro refers to the facade, `gradus`.
extern crate gradus_nn as gradus;

mod aggregate;
mod client;
mod error;
#[cfg(feature = "flower")]
pub mod flower;
mod layout;
mod privacy;
mod sampling;
#[cfg(feature = "secure-aggregation")]
pub mod secure;
mod simulation;
mod strategy;

pub use client::{Client, Report, Round, Setting};
pub use error::{ClientError, FederatedError};
pub use layout::Layout;
pub use privacy::{Privacy, PrivacyRecord};
pub use sampling::Sampling;
#[cfg(feature = "secure-aggregation")]
pub use secure::SecureAggregation;
pub use simulation::{Evaluation, RoundReport, Simulation};
pub use strategy::{FedAdam, FedAvg, FedProx, Strategy};
