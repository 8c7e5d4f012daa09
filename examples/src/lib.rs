//! Shared by the examples: options, data, and a folder for pictures.

use std::io;
use std::path::{Path, PathBuf};

pub mod digits;
pub mod names;
mod options;
pub mod picture;

pub use options::{Options, require};

/// A file in the folder `data` of the examples.
pub fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(file)
}

/// A file in the folder `out` at the root of the repository; the folder is made if it is not there.
///
/// # Errors
/// If the folder cannot be made.
pub fn out(file: &str) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../out");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(file))
}
