//! IDX files, the format of MNIST and its kin: a shape and numbers of one type. Compressed files are recognised by their
//! first bytes.
//!
//! ```
//! use gradus_autograd::Tensor;
//! use gradus_data::read::idx;
//!
//! // Two images of one row and two pixels, as bytes (type 8) with 3 axes.
//! let file = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 255];
//! let images = idx::from_bytes::<f32>(&file)? / 255.0;
//! assert_eq!(images, Tensor::from([[[0.0, 0.2]], [[0.4, 1.0]]]));
//! // Of the real files: idx::read::<f32>("t10k-images-idx3-ubyte.gz")?, idx::read::<i64>("t10k-labels-idx1-ubyte.gz")?
//! # Ok::<(), gradus_data::read::ReadError>(())
//! ```
//!
//! The format is described on the page of MNIST (Y. `LeCun`, C. Cortes and C. J. C. Burges, *The MNIST database of handwritten
//! digits*, 1998): two bytes 0, a byte for the type, a byte for the number of axes, the sizes as unsigned integers of 32 bits,
//! the elements row by row; all with the most significant byte first.

use std::io::Read;
use std::path::Path;

use gradus_autograd::{Number, Numeric, Tensor};

use super::{ReadError, contents};

/// The elements of a file as a tensor of its shape. Unsigned and signed integers of 8 to 32 bits and floats of 32 and 64 bits
/// are read, and become the nearest number of type `T`.
///
/// # Errors
/// If the file cannot be read, is no IDX file, has fewer or more elements than its header says, or has floats where `T` is an
/// integer.
pub fn read<T: Number>(path: impl AsRef<Path>) -> Result<Tensor<T>, ReadError> {
    let path = path.as_ref();
    from_bytes(&contents::read(path)?).map_err(|error| error.in_file(path))
}

/// Like [`read`], from the contents of a file.
///
/// # Errors
/// As [`read`].
#[inline(never)]
pub fn from_bytes<T: Number>(bytes: &[u8]) -> Result<Tensor<T>, ReadError> {
    let mut file = contents::plain(bytes).map_err(ReadError::io)?;
    let Header { kind, shape } = header(&mut file)?;
    if T::INTEGER && matches!(kind, Kind::F32 | Kind::F64) {
        let fault = format!("the elements are {}; read them as `f32` or `f64`", kind.name());
        return Err(ReadError::fault(fault));
    }
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size.max(1)));
    let Some(length) = count.and_then(|count| count.checked_mul(kind.width())) else {
        return Err(ReadError::fault(format!("shape {shape:?} has more elements than a machine can hold")));
    };
    let length = if shape.contains(&0) { 0 } else { length };
    // One byte more, to find out whether there is one.
    let data = up_to(&mut file, (length as u64).saturating_add(1))?;
    if data.len() != length {
        let found = if data.len() > length { "more".into() } else { data.len().to_string() };
        let fault = format!("shape {shape:?} needs {length} bytes of data; there are {found}");
        return Err(ReadError::fault(fault));
    }
    match kind {
        Kind::U8 => tensor(&data, &shape, |[byte]| byte),
        Kind::I8 => tensor(&data, &shape, i8::from_be_bytes),
        Kind::I16 => tensor(&data, &shape, i16::from_be_bytes),
        Kind::I32 => tensor(&data, &shape, i32::from_be_bytes),
        Kind::F32 => tensor(&data, &shape, f32::from_be_bytes),
        Kind::F64 => tensor(&data, &shape, f64::from_be_bytes),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    U8,
    I8,
    I16,
    I32,
    F32,
    F64,
}

impl Kind {
    fn width(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn name(self) -> &'static str {
        if matches!(self, Self::F64) { "f64" } else { "f32" }
    }
}

struct Header {
    kind: Kind,
    shape: Vec<usize>,
}

fn header(file: &mut dyn Read) -> Result<Header, ReadError> {
    let magic = up_to(file, 4)?;
    let &[0, 0, kind, rank] = magic.as_slice() else {
        let fault =
            format!("an IDX file begins with two bytes 0, a type and a number of axes; here are {magic:?}");
        return Err(ReadError::fault(fault));
    };
    let kind = match kind {
        0x08 => Kind::U8,
        0x09 => Kind::I8,
        0x0b => Kind::I16,
        0x0c => Kind::I32,
        0x0d => Kind::F32,
        0x0e => Kind::F64,
        other => {
            let fault = format!(
                "byte 2: elements of type {other:#04x}; there are 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), \
                 0x0d (f32) and 0x0e (f64)"
            );
            return Err(ReadError::fault(fault));
        }
    };
    let length = 4 * u64::from(rank);
    let sizes = up_to(file, length)?;
    if sizes.len() as u64 != length {
        let (end, should) = (4 + sizes.len(), 4 + length);
        let fault =
            format!("the file ends at byte {end}, within the header, which should end at byte {should}");
        return Err(ReadError::fault(fault));
    }
    let shape = sizes.as_chunks().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    Ok(Header { kind, shape })
}

/// The next bytes, fewer at the end of the file.
fn up_to(file: &mut dyn Read, length: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(ReadError::io)?;
    Ok(bytes)
}

fn tensor<const N: usize, E: Numeric, T: Number>(
    data: &[u8],
    shape: &[usize],
    element: impl Fn([u8; N]) -> E,
) -> Result<Tensor<T>, ReadError> {
    let elements = data.as_chunks().0.iter().map(|&bytes| element(bytes).to_element()).collect();
    Tensor::from_vec(elements, shape).map_err(|error| ReadError::fault(error.to_string()))
}
