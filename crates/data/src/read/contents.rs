//! Bytes of files, inflated where they are compressed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::thread;

use gradus_autograd::num_threads;

use super::ReadError;

/// The file as it is on the disk.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let read = || match File::open(path)?.metadata()? {
        file if file.is_file() && file.len() > 2 * PART as u64 => read_in_parts(path, file.len() as usize),
        _ => fs::read(path),
    };
    read().map_err(|error| ReadError::io(error).in_file(path))
}

/// Half the size from which several threads read a file: the system takes longer to find memory for it than to copy it.
const PART: usize = 1 << 22;

fn read_in_parts(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let part = length.div_ceil(num_threads());
    thread::scope(|scope| {
        let read = |(start, part): (u64, &mut [u8])| {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(part)
        };
        let parts = (0..).step_by(part).zip(bytes.chunks_mut(part));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("reading does not panic"))
    })?;
    Ok(bytes)
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
