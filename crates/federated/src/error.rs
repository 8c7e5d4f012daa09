//! Errors of federated learning.

use std::fmt;

use gradus_nn::StateError;

/// The error of a client's own code, of any type.
pub type ClientError = Box<dyn std::error::Error + Send + Sync>;

/// A client, an update or a message that cannot be used. The round goes on without it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FederatedError {
    /// An argument out of range.
    #[error("{operation}: `{argument}` is {got}: it must be {expected}")]
    Argument {
        /// The name of the function.
        operation: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The value given.
        got: String,
        /// The remedy.
        expected: String,
    },
    /// A model that cannot be averaged.
    #[error("the model cannot be averaged: {name:?} {fault}")]
    Model {
        /// The name of the parameter, buffer or counter.
        name: String,
        /// The fault, and the remedy.
        fault: String,
    },
    /// An update that does not fit the model of the federation, or has numbers that are not finite.
    #[error("client {client}: its update is left out: {name:?} {fault}")]
    Update {
        /// The number of the client.
        client: u64,
        /// The name of the parameter, buffer or counter.
        name: String,
        /// The fault.
        fault: String,
    },
    /// A client whose own code failed.
    #[error("client {client}: {source}")]
    Client {
        /// The number of the client.
        client: u64,
        /// Its error.
        source: ClientError,
    },
    /// A report that no average can use.
    #[error("client {client}: its report is left out: {fault}")]
    Report {
        /// The number of the client.
        client: u64,
        /// The fault.
        fault: String,
    },
    /// Too few updates for the privacy or the secrecy that was asked for. The model is as it was.
    #[error("round {round}: {got} updates came in, and {needed} are needed: the model stays as it was")]
    TooFew {
        /// The number of the round.
        round: u64,
        /// The updates that came in.
        got: usize,
        /// The number needed.
        needed: usize,
    },
    /// Updates that are finite one by one, and whose sum is not.
    #[error("round {round}: the sum of the updates is not finite: the model stays as it was")]
    Overflow {
        /// The number of the round.
        round: u64,
    },
    /// The generator of the operating system gave nothing.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
    /// A state of another simulation.
    #[error(transparent)]
    State(#[from] StateError),
    /// A message of secure aggregation that is malformed, from another session, out of turn, or from somebody unknown.
    #[cfg(feature = "secure-aggregation")]
    #[error("secure aggregation: {0}")]
    Secure(#[from] crate::secure::SecureError),
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for FederatedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FederatedError {
    pub(crate) fn argument(
        operation: &'static str,
        argument: &'static str,
        got: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Argument { operation, argument, got: got.to_string(), expected: expected.into() }
    }
}
