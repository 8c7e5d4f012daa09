//! Logs: rows of numbers by epoch, in files.

mod lines;
mod tensorboard;

pub use lines::{CsvLog, JsonlLog};
pub use tensorboard::TensorBoardLog;

use crate::error::TrainError;

/// A file, or another place, that takes a row of named numbers for each epoch.
///
/// A run that is resumed goes on with its log: the first row that is written, of some epoch, keeps the rows of earlier
/// epochs and drops the others, which the run that ended had written after its last checkpoint. A first row of epoch 1
/// starts the log anew.
pub trait Log {
    /// Writes the numbers of an epoch (1, 2, ...); they are in the file when it returns.
    ///
    /// # Errors
    /// If the file cannot be read or written, or has other rows.
    ///
    /// # Panics
    /// If there are no numbers, a name is not fit for the file, or the names differ from the row before.
    #[track_caller]
    fn row(&mut self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError>;
}

/// One log for several runs, one after another.
impl<L: Log + ?Sized> Log for &mut L {
    #[track_caller]
    fn row(&mut self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        (**self).row(epoch, values)
    }
}

/// Panics at the caller's line, unless the names are fit for every log.
#[track_caller]
fn check_names(values: &[(&str, f64)]) {
    assert!(!values.is_empty(), "row: there are no numbers: there must be one or more");
    for (name, _) in values {
        let bad = |letter: char| letter.is_control() || [',', '"', '\\'].contains(&letter);
        assert!(
            !name.is_empty() && !name.contains(bad),
            "row: a name is {name:?}: it must have letters, and no comma, quote, backslash or control character"
        );
    }
}
