//! Arrays in files of NumPy: `.npy`, and `.npz` in [`npz`]. With the feature `npy`.
//!
//! ```
//! use gradus_tensor::{Tensor, npy};
//!
//! let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
//! let file = npy::to_bytes(&x)?;
//! let array = npy::from_bytes(&file)?;
//! assert_eq!(Tensor::<f32>::try_from(array.clone())?, x);
//! assert_eq!(array.cast::<f64>(), x.cast::<f64>());
//! # Ok::<(), npy::NpyError>(())
//! ```
//!
//! # Types
//! | in the file | read as |
//! | --- | --- |
//! | `float16` | `f32`, which has all its numbers |
//! | `float32`, `float64` | `f32`, `f64`, bit by bit |
//! | `int8` to `int64`, `uint8` to `uint32` | `i64` |
//! | `uint64` | [`Array::U64`], which becomes a tensor of `i64` if every number fits |
//! | `bool` | `bool`; each byte other than 0 is true |
//! | everything else: pickled objects, text, complex numbers, dates, structures | an error |
//!
//! Either order of bytes and either order of axes can be read, in versions 1, 2 and 3 of the format. Files are written
//! with the first byte least significant, in row-major order, in version 1.
//!
//! # Files from strangers
//! Nothing of a file is executed. A header is held against the length of the file before memory is taken for the elements,
//! so that reading takes the file and at most 8 bytes for each element that is there.

mod data;
mod error;
mod header;
pub mod npz;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

pub use error::{Fault, NpyError};

use self::data::Source;
use self::header::Header;

use crate::element::{Element, Number};
use crate::file;
use crate::layout::place_of;
use crate::ops::convert::Numeric;
use crate::tensor::Tensor;

/// An array of a file: a tensor with elements of one of five types.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_tensor::npy::Array;
///
/// let hashes = [7, u64::MAX];
/// let array = Array::U64(Tensor::from(hashes.map(u64::cast_signed)));
/// assert_eq!(array.cast::<f64>(), Tensor::from([7.0, 2.0_f64.powi(64)]));
/// let error = Tensor::<i64>::try_from(array).unwrap_err().to_string();
/// assert!(error.starts_with("element [1]: 18446744073709551615 is larger than the largest `i64`"));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named after their elements")]
pub enum Array {
    F32(Tensor<f32>),
    F64(Tensor<f64>),
    I64(Tensor<i64>),
    /// Each number as the `i64` of the same bits, from which [`i64::cast_unsigned`] makes it again.
    U64(Tensor<i64>),
    Bool(Tensor<bool>),
}

impl Array {
    /// The sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(tensor) => tensor.shape(),
            Self::F64(tensor) => tensor.shape(),
            Self::I64(tensor) | Self::U64(tensor) => tensor.shape(),
            Self::Bool(tensor) => tensor.shape(),
        }
    }

    /// The name of the type of the elements: `"f32"`, `"f64"`, `"i64"`, `"u64"` or `"bool"`.
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => f32::NAME,
            Self::F64(_) => f64::NAME,
            Self::I64(_) => i64::NAME,
            Self::U64(_) => "u64",
            Self::Bool(_) => bool::NAME,
        }
    }

    /// The elements converted to numbers of one type, as [`Tensor::cast`] does; 1 for true and 0 for false. An unsigned
    /// integer becomes the nearest number.
    pub fn cast<T: Number>(&self) -> Tensor<T> {
        match self {
            Self::F32(tensor) => tensor.cast(),
            Self::F64(tensor) => tensor.cast(),
            Self::I64(tensor) => tensor.cast(),
            Self::U64(tensor) => tensor.map(|bits| bits.cast_unsigned().to_element()),
            Self::Bool(tensor) => tensor.cast(),
        }
    }
}

/// Conversions between arrays and tensors of one type; the buffer is shared.
macro_rules! conversions {
    ($($element:ident $variant:ident $(, $other:pat => $converted:expr)?;)*) => {$(
        impl From<Tensor<$element>> for Array {
            fn from(tensor: Tensor<$element>) -> Self {
                Self::$variant(tensor)
            }
        }

        impl From<&Tensor<$element>> for Array {
            fn from(tensor: &Tensor<$element>) -> Self {
                Self::$variant(tensor.clone())
            }
        }

        /// The tensor, if its elements are of this type.
        impl TryFrom<Array> for Tensor<$element> {
            type Error = NpyError;
            fn try_from(array: Array) -> Result<Self, NpyError> {
                match array {
                    Array::$variant(tensor) => Ok(tensor),
                    $($other => $converted,)?
                    other => Err(NpyError::Elements { found: other.dtype(), wanted: $element::NAME }),
                }
            }
        }
    )*};
}
conversions! {
    f32 F32;
    f64 F64;
    i64 I64, Array::U64(tensor) => signed(tensor);
    bool Bool;
}

/// Unsigned integers, if `i64` has all of them.
fn signed(tensor: Tensor<i64>) -> Result<Tensor<i64>, NpyError> {
    match tensor.iter().enumerate().find(|(_, element)| *element < 0) {
        Some((number, element)) => {
            let index = place_of(number, tensor.shape()).to_vec();
            Err(NpyError::Integer { index, value: element.cast_unsigned() })
        }
        None => Ok(tensor),
    }
}

impl From<&Array> for Array {
    /// Shares the buffer.
    fn from(array: &Array) -> Self {
        array.clone()
    }
}

/// Reads a file `.npy`.
///
/// # Errors
/// If the file cannot be read, is damaged, has bytes behind the array, or holds elements that no [`Array`] has.
pub fn read(path: impl AsRef<Path>) -> Result<Array, NpyError> {
    let path = path.as_ref();
    if let Some(array) = large(path) {
        return Ok(array);
    }
    from_bytes(&contents(path)?).map_err(|error| error.at(path))
}

/// Like [`read`], from the contents of a file.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8]) -> Result<Array, NpyError> {
    data::read(bytes).map_err(|fault| fault.reading(None))
}

/// Writes a file `.npy`, at once: if the program or the machine stops on the way, the old file or the new one is there,
/// whole.
///
/// # Errors
/// If the file cannot be written, or the array has more than 64 axes. The old file is as it was.
pub fn write(path: impl AsRef<Path>, array: impl Into<Array>) -> Result<(), NpyError> {
    let path = path.as_ref();
    replace(path, &to_bytes(array).map_err(|error| error.at(path))?)
}

/// The contents of a file `.npy`.
///
/// # Errors
/// If the array has more than 64 axes.
pub fn to_bytes(array: impl Into<Array>) -> Result<Vec<u8>, NpyError> {
    data::write(&array.into()).map_err(|fault| fault.writing(None))
}

/// The array of a large file, whose elements go into the tensor without all bytes of the file in memory. Nothing if the file
/// is small or bad, which the way of all other files finds out.
fn large(path: &Path) -> Option<Array> {
    /// Few headers are longer.
    const HEAD: usize = 1 << 16;
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let length =
        usize::try_from(metadata.len()).ok().filter(|&length| metadata.is_file() && length > HEAD)?;
    let mut head = vec![0; HEAD];
    file.read_exact(&mut head).ok()?;
    let (header, start) = Header::read(&head, length).ok()?;
    data::array(&header, &Source::File(path), start).ok()
}

fn contents(path: &Path) -> Result<Vec<u8>, NpyError> {
    fs::read(path).map_err(|source| NpyError::Io { action: "read", path: path.into(), source })
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), NpyError> {
    file::replace(path, bytes).map_err(|source| NpyError::Io { action: "write", path: path.into(), source })
}
