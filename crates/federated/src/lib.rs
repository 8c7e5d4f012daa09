//! One model learnt from data that stay with their owners.
//!
//! A server sends a model to clients, each trains it on its own data, and the server averages what comes back. A
//! [`Client`] is code of yours; the rest is here:
//!
//! | for | there is |
//! | --- | --- |
//! | a federation in one process, to try ideas | [`Simulation`], with [`Sampling`] of clients and drop-outs |
//! | strategies of the server | [`FedAvg`], [`FedProx`], [`FedAdam`], or a [`Strategy`] of your own |
//! | uneven shares of a data set | `gradus::data::order::dirichlet` |
//! | updates that tell little of any one client | [`Privacy`] |
//! | updates that the server cannot read | `secure` and `SecureAggregation`, with the feature `secure-aggregation` |
//! | clients on other machines, beside Python | `flower`, with the feature `flower` |
//!
//! [`Simulation`] has an example.
//!
//! # What each promises, and what not
//!
//! *Federated learning by itself* keeps raw data at home, and no more: an update says much of the data it was learnt from, and
//! the server sees each. A client that lies can spoil the model; updates with NaN, with other names or shapes are left out, a
//! well-formed bad one is not noticed.
//!
//! *[`Privacy`]* bounds what the sequence of models says of any one client, by an epsilon that an accountant derives from
//! [`PrivacyRecord`]. It holds against everybody who sees the models, and with noise of the clients and masks also against
//! an honest but curious server: it knows who takes part, so the rate of sampling is 1 then, for the rounds that a client takes
//! part in. The price is accuracy: with few clients, noise that protects drowns what is learnt.
//!
//! *Secure aggregation* hides single updates from an honest but curious server, and says nothing of what their sum reveals;
//! its module has the details. The two are for different things and go together.

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
