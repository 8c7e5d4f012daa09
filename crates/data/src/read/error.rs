//! Errors of files with data.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// A file that cannot be read.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// # #[cfg(feature = "csv")] {
/// use gradus::data::read::{ReadError, csv::Table};
///
/// let table = Table::from_bytes("age,name\n36,Ada\nold,Bob\n").unwrap();
/// let error = table.numbers::<f32>(["age"]).unwrap_err();
/// assert_eq!(error.to_string(), r#"read: line 3, column 1 ("age"): "old" is not a number"#);
/// let ReadError::Malformed { place: Some(place), .. } = error else { unreachable!() };
/// assert_eq!((place.line, place.column), (3, Some(1)));
/// # }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system could not read the file, or it is compressed and damaged.
    #[error("read{}: {source}", file(path))]
    Io {
        /// The file or folder; empty for bytes in memory.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("read{}: {}{fault}", file(path), at(place.as_ref()))]
    Malformed {
        /// The file or folder; empty for bytes in memory.
        path: PathBuf,
        /// The place in a text.
        place: Option<Place>,
        /// The fault, and what would be right.
        fault: String,
    },
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A place in a text. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line; a header and blank lines count.
    pub line: usize,
    /// The number of the cell in its row.
    pub column: Option<usize>,
    /// The name of the column, if the file has a header.
    pub name: Option<String>,
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ", column {column}"))?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " ({name:?})"))
    }
}

impl ReadError {
    /// A fault of the whole file, whose name is added later.
    pub(super) fn fault(fault: impl Into<String>) -> Self {
        Self::Malformed { path: PathBuf::new(), place: None, fault: fault.into() }
    }

    /// A fault of bytes in memory that the decoder found.
    pub(super) fn io(source: std::io::Error) -> Self {
        Self::Io { path: PathBuf::new(), source }
    }

    /// The same with the name of the file.
    pub(super) fn in_file(mut self, file: &Path) -> Self {
        let (Self::Io { path, .. } | Self::Malformed { path, .. }) = &mut self;
        *path = file.into();
        self
    }
}

/// The name of the file, if there is one.
fn file(path: &Path) -> String {
    if path.as_os_str().is_empty() { String::new() } else { format!(" {:?}", path.to_string_lossy()) }
}

fn at(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!("{place}: "))
}
