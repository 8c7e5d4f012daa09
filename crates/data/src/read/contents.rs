//! Bytes of files, inflated where they are compressed.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::ReadError;

/// The file as it is on the disk.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    fs::read(path).map_err(|error| ReadError::io(error).in_file(path))
}

/// Whether the bytes are compressed with gzip.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// A reader of the bytes, which inflates them if they are compressed with gzip. Inflated bytes come as they are read.
#[cfg_attr(feature = "gzip", expect(clippy::unnecessary_wraps, reason = "without the feature it fails"))]
pub(super) fn plain(bytes: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    if !is_gzip(bytes) {
        return Ok(Box::new(bytes));
    }
    #[cfg(feature = "gzip")]
    return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(bytes)));
    #[cfg(not(feature = "gzip"))]
    return Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "it is compressed with gzip, which the feature `gzip` inflates",
    ));
}
