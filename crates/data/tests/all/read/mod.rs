//! Readers of files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "csv")]
mod faults;
mod idx;
#[cfg(feature = "image")]
mod images;
#[cfg(feature = "csv")]
mod tables;

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static FOLDERS: AtomicU64 = AtomicU64::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("gradus-data-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// A new file, with the folders to it.
    fn file(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The message of an error about a file, in which the path is `FILE` and its folder `FOLDER`.
fn message<V>(result: Result<V, gradus_data::read::ReadError>, file: &Path) -> String {
    let Err(error) = result else { panic!("an error is expected") };
    let folder = file.parent().map_or(String::new(), |folder| folder.display().to_string());
    error.to_string().replace(&format!("{:?}", file.to_string_lossy()), "FILE").replace(&folder, "FOLDER")
}

#[cfg(feature = "gzip")]
fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
