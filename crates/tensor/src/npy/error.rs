//! Errors of files of NumPy.

use std::fmt::{self, Debug, Display, Formatter};
use std::path::{Path, PathBuf};

/// A file of NumPy that cannot be read or written, or an array with elements of another type than asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The system could not read or write the file; the old one is as it was.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is not as it should be, or an array cannot be written in this format.
    #[error("{action}{}: {fault}", place(path, array.as_deref()))]
    Malformed {
        /// `read` or `write`.
        action: &'static str,
        /// The file; empty for bytes in memory.
        path: PathBuf,
        /// The array in an archive.
        array: Option<String>,
        /// The fault, and where it is.
        fault: Fault,
    },
    /// The elements of an array are of another type than the tensor should have.
    #[error("the elements are {found}, not {wanted}; `Array::cast` converts")]
    Elements {
        /// The type of the array's elements.
        found: &'static str,
        /// The type asked for.
        wanted: &'static str,
    },
    /// An unsigned integer of an array is too large for a tensor of `i64`.
    #[error(
        "element {index:?}: {value} is larger than the largest `i64`, 9223372036854775807; `Array::cast` converts"
    )]
    Integer {
        /// The index of the element.
        index: Vec<usize>,
        /// The integer.
        value: u64,
    },
}

/// A fault in a file of NumPy, and its place. Bytes are counted from the start of the array's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The first bytes are other ones.
    #[error("byte 0: a file of an array begins with the byte 0x93 and `NUMPY`{}", if *.zip { "; this is an archive, which `npz::read` reads" } else { "" })]
    Magic {
        /// Whether it begins like an archive.
        zip: bool,
    },
    /// A version of the format that does not exist.
    #[error("byte 6: version {0}.{1} of the format; there are 1.0, 2.0 and 3.0")]
    Version(u8, u8),
    /// The file ends within the header.
    #[error("the file ends at byte {length}, within the header, which should end at byte {end}")]
    Truncated {
        /// The length of the file.
        length: usize,
        /// Where the header should end.
        end: u64,
    },
    /// The header is no dictionary of `descr`, `fortran_order` and `shape`.
    #[error("byte {byte}: the header should have {expected} here")]
    Header {
        /// Where it differs.
        byte: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The header lacks a key.
    #[error("the header has no {0:?}")]
    Missing(&'static str),
    /// A key that is unknown, or there twice.
    #[error("byte {byte}: the header has the key {key:?} {reason}")]
    Key {
        /// Where it is.
        byte: usize,
        /// The key.
        key: String,
        /// Why this is wrong.
        reason: &'static str,
    },
    /// Elements of a type that no tensor has.
    #[error(
        "descr: elements {0}; floats of 16, 32 and 64 bits (`<f4`, `>f8`), integers (`<i8`, `|u1`) and `|b1` can be read"
    )]
    Descr(String),
    /// A shape that no tensor has.
    #[error("shape {shape}: {reason}")]
    Shape {
        /// The shape, as far as it was read.
        shape: String,
        /// Why there is no such tensor.
        reason: &'static str,
    },
    /// The data are longer or shorter than the shape says.
    #[error("byte {start}: {needed} bytes of data should follow for shape {shape:?}; there are {found}")]
    Length {
        /// Where the data begin.
        start: usize,
        /// The shape.
        shape: Vec<usize>,
        /// The number of bytes that the shape needs.
        needed: usize,
        /// The number of bytes from there to the end.
        found: usize,
    },
    /// The archive is damaged.
    #[error("the archive: {0}")]
    Archive(String),
    /// An array in an archive cannot be unpacked.
    #[error("{0}")]
    Member(String),
    /// Two arrays of an archive have the same name.
    #[error("two arrays have this name")]
    Duplicate,
    /// An archive cannot hold the name.
    #[error("an archive cannot hold this name")]
    Name,
    /// The arrays of the archive are larger than the caller allows.
    #[error("the arrays unpack to more than {0} bytes")]
    Limit(u64),
}

impl NpyError {
    /// The same with the name of the file.
    pub(super) fn at(mut self, file: &Path) -> Self {
        if let Self::Malformed { path, .. } = &mut self {
            *path = file.into();
        }
        self
    }
}

impl Fault {
    pub(super) fn reading(self, array: Option<&str>) -> NpyError {
        self.during("read", array)
    }

    pub(super) fn writing(self, array: Option<&str>) -> NpyError {
        self.during("write", array)
    }

    fn during(self, action: &'static str, array: Option<&str>) -> NpyError {
        NpyError::Malformed { action, path: PathBuf::new(), array: array.map(String::from), fault: self }
    }
}

/// The file and the array, as far as there are names.
fn place<'a>(path: &'a Path, array: Option<&'a str>) -> impl Display + 'a {
    struct Place<'a>(&'a Path, Option<&'a str>);
    impl Display for Place<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            let Self(path, array) = self;
            if !path.as_os_str().is_empty() {
                f.write_str(" ")?;
                path.fmt(f)?;
            }
            array.map_or(Ok(()), |array| write!(f, " array {array:?}"))
        }
    }
    Place(path, array)
}
