//! Errors of compression.

use std::fmt;

use gradus_autograd::TensorError;

/// A model that cannot be compressed in this way.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// A number that makes no sense.
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
    /// A name or a shape that the model does not have.
    #[error("{operation}: {name:?} {fault}")]
    Parameter {
        /// The name of the function.
        operation: &'static str,
        /// The name of the parameter.
        name: String,
        /// The fault, and the remedy.
        fault: String,
    },
    /// A layer that has no such form.
    #[error("{operation}: {fault}")]
    Layer {
        /// The name of the function.
        operation: &'static str,
        /// The fault, and the remedy.
        fault: String,
    },
    /// A matrix that cannot be decomposed.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// The message: `unwrap` shows it, and so does `main` if it returns the error.
impl fmt::Debug for CompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl CompressError {
    pub(crate) fn argument(
        operation: &'static str,
        argument: &'static str,
        got: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Argument { operation, argument, got: got.to_string(), expected: expected.into() }
    }

    pub(crate) fn parameter(operation: &'static str, name: &str, fault: impl Into<String>) -> Self {
        Self::Parameter { operation, name: name.into(), fault: fault.into() }
    }
}

/// A share of weights, channels or time: from 0 to less than 1.
pub(crate) fn check_rate(
    operation: &'static str,
    argument: &'static str,
    rate: f64,
) -> Result<(), CompressError> {
    if (0.0..1.0).contains(&rate) {
        return Ok(());
    }
    Err(CompressError::argument(operation, argument, rate, "at least 0 and less than 1"))
}
