//! Errors of private training.

use std::fmt;

use gradus_nn::StateError;

/// A step that would not be private, or a promise that cannot be kept; the message says what would be right.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PrivacyError {
    /// A number is out of range.
    #[error("{name} is {value}: it must be {expected}")]
    Argument {
        /// `sampling_rate`, for example.
        name: &'static str,
        /// The number.
        value: f64,
        /// The right numbers.
        expected: &'static str,
    },
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers, and without them there is no privacy: {0}")]
    NoRandomness(String),
    /// A layer keeps statistics of the examples.
    #[error(
        "the layer `{name}` ({kind}) is in training mode and keeps statistics of the examples, which would leave training \
         without noise: use GroupNorm or LayerNorm in its place, or set the layer to evaluation"
    )]
    Layer {
        /// The name of the layer in the model; empty for the model itself.
        name: String,
        /// Its type.
        kind: String,
    },
    /// The forward pass changed a buffer of the model, which is as it was.
    #[error(
        "the forward pass changes the buffer `{name}`: numbers made of the examples would leave training without noise"
    )]
    Buffer {
        /// The name of the buffer.
        name: String,
    },
    /// Gradients of examples are NaN or infinite, or their norms overflow.
    #[error(
        "the gradients of {count} of {batch} examples are not finite, first of example {first}: nothing was added up, and \
         the step does not count"
    )]
    NotFinite {
        /// The number of these examples.
        count: usize,
        /// The size of the batch.
        batch: usize,
        /// The place of the first of them in the batch.
        first: usize,
    },
    /// A batch has more examples than the data set.
    #[error(
        "the batch has {batch} examples, the data set {samples}: an example may be in a batch once at most"
    )]
    Batch {
        /// The size of the batch.
        batch: usize,
        /// The size of the data set.
        samples: usize,
    },
    /// No amount of noise brings epsilon down to what is wanted.
    #[error(
        "epsilon {epsilon} at delta {delta} cannot be met: with a noise multiplier of {most} it is still {smallest}, the \
         least that the orders of the accountant can show at this delta; ask for more, or take a larger delta"
    )]
    Unreachable {
        /// The wanted epsilon.
        epsilon: f64,
        /// The delta.
        delta: f64,
        /// The largest noise multiplier.
        most: f64,
        /// The epsilon with it.
        smallest: f64,
    },
    /// A value of a state is missing, or of another form.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for PrivacyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

pub(crate) type Result<T> = std::result::Result<T, PrivacyError>;

/// The number, if it is right.
pub(crate) fn checked(name: &'static str, value: f64, is_right: bool, expected: &'static str) -> Result<f64> {
    if is_right { Ok(value) } else { Err(PrivacyError::Argument { name, value, expected }) }
}

/// A probability with which an example joins a batch.
pub(crate) fn rate(value: f64) -> Result<f64> {
    checked("sampling_rate", value, (0.0..=1.0).contains(&value), "from 0 to 1")
}

/// A standard deviation of noise in units of the clipping norm.
pub(crate) fn noise(value: f64) -> Result<f64> {
    checked("noise_multiplier", value, value >= 0.0, "0 or larger")
}

/// The probability with which the promise of epsilon may fail.
pub(crate) fn probability(value: f64) -> Result<f64> {
    checked("delta", value, value > 0.0 && value < 1.0, "between 0 and 1, and far below 1 / samples")
}

/// An order of Renyi differential privacy. Closer to 1, differences cancel.
pub(crate) fn order(value: f64) -> Result<f64> {
    checked("order", value, (1.000_001..=65536.0).contains(&value), "from 1.000001 to 65536")
}
