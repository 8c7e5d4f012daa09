//! The results of the functions that a run is given.

use std::error::Error;

use gradus_autograd::{Float, Var};

use crate::error::TrainError;

/// Named numbers of an epoch.
pub type Row = Vec<(&'static str, f64)>;

/// The loss of a batch: a variable, or one with the number of samples that it is the mean of (1 if nothing is said), by which
/// batches of different sizes are weighted in the loss of an epoch and in accumulated gradients; or a result of these, whose
/// error ends the run.
pub trait Loss<T: Float> {
    /// The variable, and the number of samples.
    ///
    /// # Errors
    /// If a batch cannot be read, for example.
    fn into_parts(self) -> Result<(Var<T>, usize), TrainError>;
}

impl<T: Float> Loss<T> for Var<T> {
    fn into_parts(self) -> Result<(Var<T>, usize), TrainError> {
        Ok((self, 1))
    }
}

impl<T: Float> Loss<T> for (Var<T>, usize) {
    fn into_parts(self) -> Result<(Var<T>, usize), TrainError> {
        Ok(self)
    }
}

impl<T: Float, L: Loss<T>, E: Into<Box<dyn Error + Send + Sync>>> Loss<T> for Result<L, E> {
    fn into_parts(self) -> Result<(Var<T>, usize), TrainError> {
        self.map_err(|error| TrainError::Loss(error.into()))?.into_parts()
    }
}

/// Named numbers of an epoch, or a result of them, whose error ends the run.
pub trait IntoRow {
    /// The numbers.
    ///
    /// # Errors
    /// If data cannot be read, for example.
    fn into_row(self) -> Result<Row, TrainError>;
}

impl IntoRow for Row {
    fn into_row(self) -> Result<Row, TrainError> {
        Ok(self)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> IntoRow for Result<Row, E> {
    fn into_row(self) -> Result<Row, TrainError> {
        self.map_err(|error| TrainError::Validation(error.into()))
    }
}
