//! Errors of files and signals.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use gradus_nn::StateError;

/// A file or a signal that training needs and cannot have.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A checkpoint could not be read, written or loaded.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file could not be read or written.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A log that should go on is not one of these rows.
    #[error("read {path:?}, line {line}: {fault}")]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The fault.
        fault: String,
    },
    /// The page of a report cannot be read.
    #[error("read {path:?}: {fault}")]
    Report {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: String,
    },
    /// A batch has no loss, because it could not be read for example.
    #[error("the loss of a batch: {0}")]
    Loss(Box<dyn std::error::Error + Send + Sync>),
    /// The numbers of an epoch cannot be computed, because data could not be read for example.
    #[error("the validation: {0}")]
    Validation(Box<dyn std::error::Error + Send + Sync>),
    /// The signal of Ctrl-C cannot be listened for.
    #[error("listen for Ctrl-C: {0}")]
    Signal(io::Error),
    /// A chart cannot be drawn.
    #[error("draw a chart: {0}")]
    Chart(String),
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TrainError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source }
    }
}
