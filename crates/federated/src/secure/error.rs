//! Errors of secure aggregation.

use std::fmt;

/// A message that is malformed, foreign, out of turn or from somebody unknown, or a step that too few clients have reached.
/// A server that refuses a message is as it was before, and goes on with the others.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SecureError {
    /// Bytes that are no message of this protocol.
    #[error("a message of {expected}: {fault}")]
    Malformed {
        /// The kind of message that was expected.
        expected: &'static str,
        /// The fault.
        fault: String,
    },
    /// A message of another session.
    #[error("a message of {expected} belongs to another session")]
    Session {
        /// The kind of message that was expected.
        expected: &'static str,
    },
    /// A message whose sender, or a client it names, does not belong to this step.
    #[error("client {client}: {fault}")]
    Client {
        /// The number of the client.
        client: u64,
        /// The fault.
        fault: String,
    },
    /// Fewer clients than the threshold: the sum cannot be had, or would say too much.
    #[error("{step}: {got} clients, and the threshold is {threshold}")]
    TooFew {
        /// The step that cannot be.
        step: &'static str,
        /// The number of clients.
        got: usize,
        /// The number needed.
        threshold: usize,
    },
    /// A number that has no form in fixed point.
    #[error("element {index} is {value}: it must be finite, and at most {limit} either way")]
    Range {
        /// The place in the vector.
        index: usize,
        /// The number.
        value: f64,
        /// The largest number.
        limit: f64,
    },
    /// An argument out of range.
    #[error("{operation}: `{argument}` is {got}: it must be {expected}")]
    Argument {
        /// The name of the function.
        operation: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The value given.
        got: usize,
        /// The remedy.
        expected: &'static str,
    },
    /// The generator of the operating system gave nothing.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for SecureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl SecureError {
    pub(super) fn client(client: u64, fault: impl Into<String>) -> Self {
        Self::Client { client, fault: fault.into() }
    }
}
