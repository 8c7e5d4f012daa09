//! Errors of a federation of Flower.

use std::fmt;

/// A server that cannot be reached, refuses or answers nonsense. The node still has its model, and can go on.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FlowerError {
    /// No answer, after all attempts.
    #[error("{call}: no answer from {server} in {attempts} attempts: {fault}")]
    Unreachable {
        /// The call.
        call: &'static str,
        /// The address of the server.
        server: String,
        /// The number of attempts.
        attempts: u32,
        /// The last fault.
        fault: String,
    },
    /// The server refuses a call.
    #[error("{call}: {server} refuses with status {status}: {reason}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The address of the server.
        server: String,
        /// The status of HTTP.
        status: u16,
        /// The beginning of the answer's text.
        reason: String,
    },
    /// An answer that is no message of this API, or contradicts itself.
    #[error("{call}: {server} answers nonsense: {fault}")]
    Answer {
        /// The call.
        call: &'static str,
        /// The address of the server.
        server: String,
        /// The fault.
        fault: String,
    },
    /// A server whose certificate is not signed by one of the link's, or that cannot agree on how to encrypt.
    #[error("{call}: the connection to {server} is not safe: {fault}")]
    Tls {
        /// The call.
        call: &'static str,
        /// The address of the server.
        server: String,
        /// The fault.
        fault: String,
    },
    /// An address, a key or a certificate that cannot be used.
    #[error("{operation}: {fault}")]
    Settings {
        /// The name of the function.
        operation: &'static str,
        /// The fault, and the remedy.
        fault: String,
    },
    /// The generator of the operating system gave nothing.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for FlowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
