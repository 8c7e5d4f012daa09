//! Errors of data and of states of loaders.

use gradus_nn::StateError;
use std::fmt;

/// Data that cannot be used, or a state that does not fit.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A number among the data to fit a scaler to is NaN or infinite.
    #[error(
        "fit: the number at {index:?} is {value}: all numbers must be finite; replace it or leave out its row"
    )]
    NotFinite {
        /// The place in the tensor.
        index: Vec<usize>,
        /// NaN or an infinity.
        value: f64,
    },
    /// A feature has no value from which missing ones could be filled.
    #[error("fit: feature {feature} has no value from which missing ones could be filled; leave it out")]
    NoValue {
        /// The place along the last axis.
        feature: usize,
    },
    /// The numbers of a feature are so far apart that their differences are infinite.
    #[error(
        "fit: the numbers of the feature at {index:?} reach from {low} to {high}, and their differences are too large for \
         the type: divide them by a number before"
    )]
    Range {
        /// The place in the shape of the scaler.
        index: Vec<usize>,
        /// The least number.
        low: f64,
        /// The largest number.
        high: f64,
    },
    /// A value of the state is missing, or of another form.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
