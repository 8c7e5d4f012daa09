//! The elements of an array, as bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use half::f16;

use super::Array;
use super::error::Fault;
use super::header::{Header, Kind};
use crate::element::Element;
use crate::runtime::Buffer;
use crate::tensor::Tensor;

/// Where the elements of an array are.
pub(super) enum Source<'a> {
    /// The contents of a file.
    Memory(&'a [u8]),
    File(&'a Path),
}

impl Source<'_> {
    /// The bytes from one on.
    fn from(&self, byte: usize) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(&bytes[byte..])),
            Self::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(byte as u64))?;
                Ok(Box::new(file))
            }
        }
    }
}

/// The array in the contents of a file.
pub(super) fn read(file: &[u8]) -> Result<Array, Fault> {
    let (header, start) = Header::read(file, file.len())?;
    Ok(array(&header, &Source::Memory(file), start).expect("bytes in memory can be read"))
}

/// The array with this header, whose elements begin at byte `start`.
pub(super) fn array(header: &Header, source: &Source, start: usize) -> io::Result<Array> {
    let all = (header, source, start);
    Ok(match (header.kind, header.width) {
        (Kind::Bool, _) => Array::Bool(elements(all, |[byte]| byte != 0)?),
        (Kind::Signed, 1) => Array::I64(elements(all, |bytes| i8::from_le_bytes(bytes).into())?),
        (Kind::Signed, 2) => Array::I64(elements(all, |bytes| i16::from_le_bytes(bytes).into())?),
        (Kind::Signed, 4) => Array::I64(elements(all, |bytes| i32::from_le_bytes(bytes).into())?),
        (Kind::Signed, _) => Array::I64(elements(all, i64::from_le_bytes)?),
        (Kind::Unsigned, 1) => Array::I64(elements(all, |[byte]| byte.into())?),
        (Kind::Unsigned, 2) => Array::I64(elements(all, |bytes| u16::from_le_bytes(bytes).into())?),
        (Kind::Unsigned, 4) => Array::I64(elements(all, |bytes| u32::from_le_bytes(bytes).into())?),
        (Kind::Unsigned, _) => Array::U64(elements(all, i64::from_le_bytes)?),
        (Kind::Float, 2) => Array::F32(elements(all, |bytes| f16::from_le_bytes(bytes).to_f32())?),
        (Kind::Float, 4) => Array::F32(elements(all, f32::from_le_bytes)?),
        (Kind::Float, _) => Array::F64(elements(all, f64::from_le_bytes)?),
    })
}

/// Threads take this number of elements at a time.
const PART: usize = 1 << 20;

/// The bytes that are read at a time: few enough to stay in the cache until they are elements.
const CHUNK: usize = 1 << 16;

/// The tensor of elements of `N` bytes each, given to `element` with the least significant byte first.
fn elements<const N: usize, E: Element>(
    (header, source, start): (&Header, &Source, usize),
    element: impl Fn([u8; N]) -> E + Sync,
) -> io::Result<Tensor<E>> {
    let failed = Mutex::new(None);
    let fill = |first: usize, elements: &mut [E]| -> io::Result<()> {
        let mut bytes = source.from(start + N * first)?;
        let mut chunk = vec![0; CHUNK.min(N * elements.len())];
        for elements in elements.chunks_mut(CHUNK / N) {
            let chunk = &mut chunk[..N * elements.len()];
            bytes.read_exact(chunk)?;
            if header.big_endian {
                chunk.as_chunks_mut::<N>().0.iter_mut().for_each(|bytes| bytes.reverse());
            }
            for (out, &bytes) in elements.iter_mut().zip(chunk.as_chunks().0) {
                *out = element(bytes);
            }
        }
        Ok(())
    };
    let mut shape = header.shape.clone();
    let axes = (0..shape.len() as isize).rev().collect::<Vec<_>>();
    if header.fortran_order {
        shape.reverse();
    }
    let count = shape.iter().product();
    let buffer = Buffer::in_parts(count, PART, E::default(), |first, elements| {
        if let Err(error) = fill(first, elements) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let tensor = Tensor::from_buffer(buffer, &shape);
    Ok(if header.fortran_order { tensor.permute(axes) } else { tensor })
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
