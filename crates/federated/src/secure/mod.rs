//! Sums of vectors that nobody sees one by one.
//!
//! Secure aggregation by pairwise masks (Bonawitz et al., "Practical secure aggregation for privacy-preserving machine
//! learning", 2017, the protocol for an honest but curious server): every two clients agree on a mask that one adds to its
//! vector and the other takes away; in the sum the masks cancel. Each client also adds a mask of its own. Shares of all
//! secrets lie with the other clients, so that `threshold` of them can help to take away the masks of the clients that
//! stayed, and the halves of pairs whose other half has gone.
//!
//! | step | client | server |
//! | --- | --- | --- |
//! | public keys | [`SecureClient::new`] | [`SecureServer::<Keys>::receive`](SecureServer), `close` gives the roster |
//! | shares of secrets, sealed | `share` | `receive`, `close` gives the inboxes |
//! | masked vectors | `mask` | `receive`, `close` gives the survivors |
//! | shares of the right secrets | `reveal` | `receive`, `sum` |
//!
//! Each step is a type that uses up the one before; messages are bytes with a version and the number of the session.
//! Agreement is X25519, keys are derived by HKDF-SHA256, masks are streams of ChaCha20, letters are sealed with
//! ChaCha20-Poly1305, shares are Shamir's over the prime `2^61 - 1`.
//!
//! # What it promises, and what not
//!
//! The server, and any group of clients smaller than the threshold, learn nothing of the vector of another client but what the
//! sum says, *if the server follows the protocol*. A server that lies can do more: it can invent clients (there is no
//! directory of identities here, and public keys are not signed), or tell clients different lists of survivors, and uncover a
//! vector. Let messages travel over authenticated channels, and let an honest server publish the roster.
//! The sum itself may say much: with two clients, each knows the other's vector. Combine it with [`Privacy`](crate::Privacy).
//! Nothing stops a client from sending a wrong vector: under the masks nobody can check it, not even for its size.
//! Keys and seeds are not wiped from memory, and this implementation has had no independent audit.

mod client;
mod error;
mod fixed;
mod keys;
mod messages;
mod server;
mod shamir;
mod simulated;

pub use client::{Advertised, Masked, SecureClient, Shared};
pub use error::SecureError;
pub use fixed::FixedPoint;
pub use server::{Inboxes, Keys, Letters, Reveals, SecureServer, Vectors};
pub use simulated::SecureAggregation;

/// The terms on which clients and server agree before they begin, by other means than the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    session: [u8; 16],
    threshold: usize,
    len: usize,
}

impl Terms {
    /// A session, never used before; the number of clients that must stay to the end, who together could also uncover a
    /// vector; and the length of the vectors. More than half of the clients is a good threshold.
    ///
    /// # Errors
    /// If the threshold is less than 2: a sum of one vector hides nothing.
    pub fn new(session: [u8; 16], threshold: usize, len: usize) -> Result<Self, SecureError> {
        if threshold < 2 {
            return Err(SecureError::Argument {
                operation: "Terms::new",
                argument: "threshold",
                got: threshold,
                expected: "at least 2: a sum of one vector hides nothing",
            });
        }
        Ok(Self { session, threshold, len })
    }

    fn enough(&self, step: &'static str, got: usize) -> Result<(), SecureError> {
        if got >= self.threshold {
            return Ok(());
        }
        Err(SecureError::TooFew { step, got, threshold: self.threshold })
    }

    fn check_len(&self, client: u64, len: usize) -> Result<(), SecureError> {
        if len == self.len {
            return Ok(());
        }
        Err(SecureError::client(
            client,
            format!("has a vector of {len} words, and the terms say {}", self.len),
        ))
    }
}
