//! Errors of encrypted inference.

use std::fmt;

/// A network that cannot be evaluated on ciphertexts, or a message that is not what it should be.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptedError {
    /// An argument that makes no sense.
    #[error("{argument} is {got}: it must be {expected}")]
    Argument {
        /// The name of the argument.
        argument: &'static str,
        /// The value given.
        got: String,
        /// The remedy.
        expected: String,
    },
    /// A layer that is not a polynomial, or has no integer form.
    #[error("layer {layer}: {fault}")]
    Layer {
        /// The place and the type of the layer.
        layer: String,
        /// The fault, and the remedy.
        fault: String,
    },
    /// Values of a layer may be larger than any plaintext modulus that is supported.
    #[error(
        "layer {layer}: values may reach 2^{bound:.1}, and at most 2^{limit:.1} fit: use fewer levels of weights or inputs, or \
         smaller layers"
    )]
    Bound {
        /// The place and the type of the layer.
        layer: String,
        /// The logarithm to base 2 of the proven bound.
        bound: f64,
        /// The logarithm to base 2 of the largest bound that fits.
        limit: f64,
    },
    /// The noise of the ciphertexts may be too large to decrypt them, with the largest parameters.
    #[error(
        "layer {layer}: the noise may exceed what can be decrypted by {excess:.1} bits, with values up to 2^{bound:.1} and \
         the largest parameters: use fewer squares, or fewer levels of weights or inputs"
    )]
    Noise {
        /// The first layer that does not fit.
        layer: String,
        /// The bits that are missing.
        excess: f64,
        /// The logarithm to base 2 of the largest value of the network.
        bound: f64,
    },
    /// A layer is too wide for the packing of one sample.
    #[error(
        "layer {layer}: it has {width} outputs or inputs, and {limit} fit into a ciphertext: use `Packing::Batch`"
    )]
    Width {
        /// The place and the type of the layer.
        layer: String,
        /// The number of outputs or inputs.
        width: usize,
        /// The largest number that fits.
        limit: usize,
    },
    /// Samples that the network does not take.
    #[error("the samples {fault}")]
    Samples {
        /// The fault, and the remedy.
        fault: String,
    },
    /// Bytes that are not a message of this crate.
    #[error("the bytes are not a message of encrypted inference: {fault}")]
    NotAMessage {
        /// The fault.
        fault: &'static str,
    },
    /// A message of another version of this crate.
    #[error("the message has version {found}: this program reads version {known}")]
    Version {
        /// The version of the message.
        found: u16,
        /// The version of this crate.
        known: u16,
    },
    /// A message of another kind, as a reply in place of a query.
    #[error("the message is {found}: it must be {expected}")]
    Kind {
        /// The kind of the message.
        found: &'static str,
        /// The kind that is read here.
        expected: &'static str,
    },
    /// A message that is shorter or longer than it says.
    #[error("the message has {found} bytes: it must have {expected}")]
    Length {
        /// The number of bytes.
        found: usize,
        /// The number that the message states, or at least needs.
        expected: usize,
    },
    /// A message whose bytes have changed on the way.
    #[error("the checksum of the message does not fit: its bytes have changed on the way")]
    Checksum,
    /// A message with other parameters or for another network.
    #[error(
        "{kind}: made for another network or other parameters; this is setup {expected:016x}, and not {found:016x}"
    )]
    Setup {
        /// The kind of the message.
        kind: &'static str,
        /// The digest of the setup of the message.
        found: u64,
        /// The digest of the setup here.
        expected: u64,
    },
    /// A message that belongs to another secret key.
    #[error("{kind}: made with another secret key, {found:016x}, and not {expected:016x}")]
    Key {
        /// The kind of the message.
        kind: &'static str,
        /// The identifier of the key of the message.
        found: u64,
        /// The identifier of the key here.
        expected: u64,
    },
    /// A reply to another query.
    #[error("the reply answers another query")]
    OtherQuery,
    /// The contents of a message are not what they should be.
    #[error("{kind}: {fault}")]
    Malformed {
        /// The kind of the message.
        kind: &'static str,
        /// The fault.
        fault: String,
    },
    /// A ciphertext that does not decrypt: made under another key, changed, or computed wrongly.
    #[error(
        "output {output}: the noise of the ciphertext is too large to decrypt it: it was made with another key, or changed"
    )]
    Undecryptable {
        /// The first output that does not decrypt.
        output: usize,
    },
    /// The engine refused.
    #[error("the engine refused: {0}")]
    Engine(String),
}

impl From<fhe::Error> for EncryptedError {
    fn from(error: fhe::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

impl From<fhe_math::Error> for EncryptedError {
    fn from(error: fhe_math::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

/// The message: `unwrap` shows it, and so does `main` if it returns the error.
impl fmt::Debug for EncryptedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
