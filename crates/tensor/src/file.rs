//! Files that are replaced at once.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells apart the temporary files of threads that write at the same time.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Replaces a file by another one with these contents: if the program or the machine stops on the way, the old file or the
/// new one is there, whole. The new file has the old one's permissions. A pipe or a device is not replaced: the contents are
/// written into it.
///
/// # Errors
/// If the file cannot be written. The old one is as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link keeps pointing at the file.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::IsADirectory, "it has no file name"))?;
    let old = fs::metadata(&path).ok();
    let permissions = match old {
        Some(old) if old.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        Some(old) if !old.is_file() => return OpenOptions::new().write(true).open(&path)?.write_all(bytes),
        // Its folder would let it be replaced.
        Some(old) if old.permissions().readonly() => {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file may only be read"));
        }
        old => old.map(|old| old.permissions()),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temporary = name.to_os_string();
    temporary.push(format!(".{}-{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let temporary = folder.join(temporary);
    // Only Unix opens folders. A folder that cannot be opened is found before anything is written.
    let opened = if cfg!(unix) { Some(File::open(folder)?) } else { None };
    let written = write_new(&temporary, bytes, permissions).and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The new name is on disk once its folder is.
    opened.map_or(Ok(()), |folder| folder.sync_all())
}

fn write_new(path: &Path, bytes: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}
