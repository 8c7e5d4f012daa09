//! Errors of data and of states of loaders.

use gradus_nn::StateError;

/// Data that cannot be used, or a state that does not fit.
#[derive(Debug, thiserror::Error)]
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
    /// The state is not one of such a loader, which is as it was.
    #[error("load_state: the state does not fit the loader: {0}")]
    Loader(String),
    /// A value of the state is missing, or of another form.
    #[error(transparent)]
    State(#[from] StateError),
}
