//! Archives of arrays, `.npz`: files of NumPy in a zip archive.
//!
//! ```
//! use gradus_tensor::npy::Array;
//! use gradus_tensor::{Tensor, npz};
//!
//! let (x, y) = (Tensor::from([[0.5_f32], [1.5]]), Tensor::from([0_i64, 1]));
//! let file = npz::to_bytes([("x", Array::from(&x)), ("y", Array::from(&y))])?;
//! let mut arrays = npz::from_bytes(&file)?;
//! assert_eq!(Tensor::<i64>::try_from(arrays.remove("y").unwrap())?, y);
//! # Ok::<(), gradus_tensor::npy::NpyError>(())
//! ```
//!
//! # Memory
//! An array unpacks to the size that the directory of the archive declares, and not to a byte more. Memory is taken while
//! the data arrive. The declared size is refused if deflation cannot have packed it into the bytes that are there: it packs at
//! most 1,032 into one. Arrays that share bytes of the archive are refused. So all arrays together take at most 1,032 times
//! the size of the file before their elements are widened, as a file of zeros does. [`read_at_most`] sets a lower limit.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use flate2::read::DeflateDecoder;
use rawzip::path::{EntryPath, ZipFilePath};
use rawzip::{
    CompressionMethod, ZipArchive, ZipArchiveWriter, ZipFileHeaderRecord, ZipSliceArchive, ZipSliceEntry,
};

use super::error::{Fault, NpyError};
use super::{Array, contents, data, replace};

/// Deflation packs at most this number of bytes into one.
const MAX_RATIO: u64 = 1032;

/// Reads a file `.npz`: arrays by their names, without the ending `.npy`.
///
/// # Errors
/// If the file cannot be read, is damaged or encrypted, has two arrays of one name, or anything in it is no array that
/// [`npy::read`](super::read) reads.
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>, NpyError> {
    read_at_most(path, u64::MAX)
}

/// Like [`read`], if all arrays together unpack to this number of bytes or fewer.
///
/// # Errors
/// As [`read`], and if they are larger.
pub fn read_at_most(path: impl AsRef<Path>, limit: u64) -> Result<BTreeMap<String, Array>, NpyError> {
    let path = path.as_ref();
    arrays(&contents(path)?, limit).map_err(|error| error.at(path))
}

/// Like [`read`], from the contents of a file.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8]) -> Result<BTreeMap<String, Array>, NpyError> {
    arrays(bytes, u64::MAX)
}

/// Writes a file `.npz` without compression, at once: if the program or the machine stops on the way, the old file or the
/// new one is there, whole.
///
/// # Errors
/// If the file cannot be written, two arrays have the same name, an archive cannot hold a name, or an array has more than 64
/// axes. The old file is as it was.
pub fn write<N: AsRef<str>, A: Into<Array>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<(), NpyError> {
    let path = path.as_ref();
    replace(path, &to_bytes(arrays).map_err(|error| error.at(path))?)
}

/// The contents of a file `.npz`.
///
/// # Errors
/// If two arrays have the same name, an archive cannot hold a name, or an array has more than 64 axes.
pub fn to_bytes<N: AsRef<str>, A: Into<Array>>(
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<Vec<u8>, NpyError> {
    let mut members = BTreeMap::new();
    for (name, array) in arrays {
        let name = name.as_ref();
        let bytes = data::write(&array.into()).map_err(|fault| fault.writing(Some(name)))?;
        if members.insert(name.to_owned(), bytes).is_some() {
            return Err(Fault::Duplicate.writing(Some(name)));
        }
    }
    let mut file = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut file);
    for (name, bytes) in &members {
        let path = member_path(name).ok_or_else(|| Fault::Name.writing(Some(name)))?;
        member(&mut archive, path, bytes)
            .map_err(|error| Fault::Archive(error.to_string()).writing(Some(name)))?;
    }
    archive.finish().map_err(|error| Fault::Archive(error.to_string()).writing(None))?;
    Ok(file)
}

/// The name of a member, if readers give the same name back.
fn member_path(name: &str) -> Option<EntryPath<'static>> {
    let path = format!("{name}.npy");
    if path.contains('\0') || path.len() > usize::from(u16::MAX) {
        None
    } else if path.is_ascii() {
        // As it is: a colon, for example, would end the name of a drive.
        Some(EntryPath::verbatim(path.into_bytes()))
    } else {
        // This writer marks a name as UTF-8 only after it has made it a relative path.
        let same = ZipFilePath::from_str(&path).as_str() == path;
        same.then(|| EntryPath::conformant(path))
    }
}

fn member(
    archive: &mut ZipArchiveWriter<&mut Vec<u8>>,
    path: EntryPath<'static>,
    bytes: &[u8],
) -> Result<(), rawzip::Error> {
    let (mut entry, config) = archive.new_file(path).start()?;
    let mut writer = config.wrap(&mut entry);
    writer.write_all(bytes)?;
    let (_, descriptor) = writer.finish()?;
    entry.finish(descriptor)?;
    Ok(())
}

/// The arrays of an archive, if they unpack to at most `limit` bytes.
fn arrays(file: &[u8], limit: u64) -> Result<BTreeMap<String, Array>, NpyError> {
    let archive = ZipArchive::from_slice(file).map_err(damaged)?;
    let members = members(&archive)?;
    let mut left = limit;
    for (name, (record, entry)) in &members {
        let (size, packed) = (record.uncompressed_size_hint(), entry.data().len() as u64);
        left = left.checked_sub(size).ok_or_else(|| Fault::Limit(limit).reading(Some(name)))?;
        let possible = match record.compression_method() {
            CompressionMethod::STORE => size == packed,
            CompressionMethod::DEFLATE => size / MAX_RATIO <= packed,
            other => {
                let fault = format!("it is packed by method {}; 0 and 8 can be read", other.as_u16());
                return Err(Fault::Member(fault).reading(Some(name)));
            }
        };
        if !possible {
            let fault = format!("{packed} bytes cannot unpack to {size}, which the directory declares");
            return Err(Fault::Member(fault).reading(Some(name)));
        }
    }
    let array = |(name, (record, entry)): (&str, (ZipFileHeaderRecord, ZipSliceEntry))| {
        let packed = entry.data();
        let bytes = if record.compression_method() == CompressionMethod::STORE {
            unpacked(entry.verifying_reader(packed))
        } else {
            unpacked(entry.verifying_reader(DeflateDecoder::new(packed)))
        };
        let array = bytes.and_then(|bytes| data::read(&bytes));
        Ok((name.to_owned(), array.map_err(|fault| fault.reading(Some(name)))?))
    };
    members.into_iter().map(array).collect()
}

type Members<'a> = BTreeMap<&'a str, (ZipFileHeaderRecord<'a>, ZipSliceEntry<'a>)>;

/// The members by name, each with its record in the directory. They lie apart in the file.
fn members<'a>(archive: &'a ZipSliceArchive<&[u8]>) -> Result<Members<'a>, NpyError> {
    let whole = |fault: &str| Fault::Archive(fault.into()).reading(None);
    let mut members = Members::new();
    for record in archive.entries() {
        let record = record.map_err(damaged)?;
        let path = str::from_utf8(record.file_path().as_bytes()).map_err(|_| whole("a name is not UTF-8"))?;
        let name = path.strip_suffix(".npy").unwrap_or(path);
        let wrong = |fault: String| Fault::Member(fault).reading(Some(name));
        let entry = archive.get_entry(record.wayfinder()).map_err(|error| wrong(error.to_string()))?;
        if entry.local_header().file_path().as_bytes() != path.as_bytes() {
            return Err(wrong("the directory of the archive has another name for it".into()));
        }
        if record.flags().is_encrypted() {
            return Err(wrong("it is encrypted".into()));
        }
        if members.insert(name, (record, entry)).is_some() {
            return Err(Fault::Duplicate.reading(Some(name)));
        }
    }
    if members.len() as u64 != archive.entries_hint() {
        return Err(whole("the directory has another number of members than it should have"));
    }
    let mut ranges: Vec<_> = members.values().map(|(_, entry)| entry.compressed_data_range()).collect();
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(whole("two arrays share bytes"));
    }
    Ok(members)
}

fn damaged(error: rawzip::Error) -> NpyError {
    Fault::Archive(error.to_string()).reading(None)
}

/// All bytes of a reader, which fails where they are more or fewer than declared, or the checksum differs.
fn unpacked(mut reader: impl Read) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|error| Fault::Member(error.to_string()))?;
    Ok(bytes)
}
