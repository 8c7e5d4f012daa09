//! The elements of an array, as bytes.

use half::f16;

use super::Array;
use super::error::Fault;
use super::header::{Header, Kind};
use crate::element::Element;
use crate::runtime::Buffer;
use crate::tensor::Tensor;

/// The array in the contents of a file.
pub(super) fn read(file: &[u8]) -> Result<Array, Fault> {
    let (header, data) = Header::split(file)?;
    let integers = |tensor| Ok(Array::I64(tensor));
    match (header.kind, header.width) {
        (Kind::Bool, _) => Ok(Array::Bool(elements(&header, data, |[byte]| byte != 0))),
        (Kind::Signed, 1) => integers(elements(&header, data, |bytes| i8::from_le_bytes(bytes).into())),
        (Kind::Signed, 2) => integers(elements(&header, data, |bytes| i16::from_le_bytes(bytes).into())),
        (Kind::Signed, 4) => integers(elements(&header, data, |bytes| i32::from_le_bytes(bytes).into())),
        (Kind::Signed, _) => integers(elements(&header, data, i64::from_le_bytes)),
        (Kind::Unsigned, 1) => integers(elements(&header, data, |[byte]| byte.into())),
        (Kind::Unsigned, 2) => integers(elements(&header, data, |bytes| u16::from_le_bytes(bytes).into())),
        (Kind::Unsigned, 4) => integers(elements(&header, data, |bytes| u32::from_le_bytes(bytes).into())),
        (Kind::Unsigned, _) => Ok(Array::U64(elements(&header, data, i64::from_le_bytes))),
        (Kind::Float, 2) => {
            Ok(Array::F32(elements(&header, data, |bytes| f16::from_le_bytes(bytes).to_f32())))
        }
        (Kind::Float, 4) => Ok(Array::F32(elements(&header, data, f32::from_le_bytes))),
        (Kind::Float, _) => Ok(Array::F64(elements(&header, data, f64::from_le_bytes))),
    }
}

/// The tensor of elements of `N` bytes each, given to `element` with the least significant byte first.
fn elements<const N: usize, E: Element>(
    header: &Header,
    data: &[u8],
    element: impl Fn([u8; N]) -> E,
) -> Tensor<E> {
    let chunks = data.as_chunks().0.iter();
    let reversed = |bytes: &[u8; N]| {
        let mut bytes = *bytes;
        bytes.reverse();
        element(bytes)
    };
    let elements = if header.big_endian {
        Buffer::collect(chunks.len(), chunks.map(reversed))
    } else {
        Buffer::collect(chunks.len(), chunks.map(|&bytes| element(bytes)))
    };
    let mut shape = header.shape.clone();
    let axes = (0..shape.len() as isize).rev().collect::<Vec<_>>();
    if header.fortran_order {
        shape.reverse();
    }
    let tensor = Tensor::from_buffer(elements, &shape);
    if header.fortran_order { tensor.permute(axes) } else { tensor }
}

/// The contents of a file.
pub(super) fn write(array: &Array) -> Result<Vec<u8>, Fault> {
    match array {
        Array::F32(tensor) => bytes("<f4", tensor, f32::to_le_bytes),
        Array::F64(tensor) => bytes("<f8", tensor, f64::to_le_bytes),
        Array::I64(tensor) => bytes("<i8", tensor, i64::to_le_bytes),
        Array::U64(tensor) => bytes("<u8", tensor, i64::to_le_bytes),
        Array::Bool(tensor) => bytes("|b1", tensor, |truth| [truth.into()]),
    }
}

fn bytes<const N: usize, E: Element>(
    descr: &str,
    tensor: &Tensor<E>,
    element: impl Fn(E) -> [u8; N],
) -> Result<Vec<u8>, Fault> {
    let mut bytes = Header::write(descr, tensor.shape())?;
    bytes.reserve_exact(N * tensor.len());
    bytes.extend(tensor.iter().flat_map(element));
    Ok(bytes)
}
