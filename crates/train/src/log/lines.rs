//! Logs of one line for each row.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use gradus_autograd::file;

use super::{Log, check_names};
use crate::error::TrainError;

/// Comma-separated values: a line of names, `epoch` first, then a line for each row.
///
/// Numbers are written with as few digits as read back to the same bits, `NaN`, `inf` and `-inf` so; of NaN, the sign and
/// the payload are not kept. [`Log`] says which rows of an old file are kept.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::train::{CsvLog, Log};
///
/// # let path = std::env::temp_dir().join(format!("gradus-log-{}.csv", std::process::id()));
/// let mut log = CsvLog::new(&path);
/// for (epoch, loss) in [(1, 0.5), (2, 0.25), (3, 0.125)] {
///     log.row(epoch, &[("loss", loss)])?;
/// }
/// // Resumed after the second epoch:
/// let mut log = CsvLog::new(&path);
/// log.row(3, &[("loss", 1e-9)])?;
/// assert_eq!(std::fs::read_to_string(&path)?, "epoch,loss\n1,0.5\n2,0.25\n3,1e-9\n");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CsvLog {
    lines: Lines,
    names: Vec<String>,
}

/// An object in JSON for each row, with `epoch` first, on a line of its own. Unlike in a [`CsvLog`], rows may have
/// different names.
///
/// Numbers are written with as few digits as read back to the same bits; JSON has no others than finite ones, so that
/// `"NaN"`, `"inf"` and `"-inf"` are strings. [`Log`] says which rows of an old file are kept.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::train::{JsonlLog, Log};
///
/// # let path = std::env::temp_dir().join(format!("gradus-log-{}.jsonl", std::process::id()));
/// let mut log = JsonlLog::new(&path);
/// log.row(1, &[("loss", 0.5), ("accuracy", f64::NAN)])?;
/// assert_eq!(std::fs::read_to_string(&path)?, "{\"epoch\":1,\"loss\":0.5,\"accuracy\":\"NaN\"}\n");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonlLog {
    lines: Lines,
}

impl CsvLog {
    /// In a file, which the first row touches.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { lines: Lines::new(path.into()), names: Vec::new() }
    }
}

impl JsonlLog {
    /// In a file, which the first row touches.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { lines: Lines::new(path.into()) }
    }
}

impl Log for CsvLog {
    #[track_caller]
    fn row(&mut self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        check_names(values);
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        assert!(
            self.names.is_empty() || self.names == names,
            "CsvLog: a row has the names {names:?}: the row before has {:?}",
            self.names
        );
        self.names = names.iter().map(ToString::to_string).collect();
        let header = format!("epoch,{}", names.join(","));
        let cells: Vec<String> = values.iter().map(|(_, value)| format!("{value:?}")).collect();
        let epoch_of = |line: &str| line.split(',').next()?.parse().ok();
        self.lines.append(epoch, Some(&header), &format!("{epoch},{}", cells.join(",")), epoch_of)
    }
}

impl Log for JsonlLog {
    #[track_caller]
    fn row(&mut self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        check_names(values);
        let member = |(name, value): &(&str, f64)| {
            let quote = if value.is_finite() { "" } else { "\"" };
            format!("\"{name}\":{quote}{value:?}{quote}")
        };
        let members: Vec<String> = values.iter().map(member).collect();
        let epoch_of = |line: &str| line.strip_prefix("{\"epoch\":")?.split(',').next()?.parse().ok();
        self.lines.append(epoch, None, &format!("{{\"epoch\":{epoch},{}}}", members.join(",")), epoch_of)
    }
}

/// A file of lines.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    /// Open once there was a row.
    file: Option<File>,
}

impl Lines {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    fn append(
        &mut self,
        epoch: usize,
        header: Option<&str>,
        line: &str,
        epoch_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<(), TrainError> {
        let path = &self.path;
        if self.file.is_none() {
            let old = if epoch > 1 { kept(path, epoch, header, epoch_of)? } else { String::new() };
            let start = if old.is_empty() { header.map(|header| format!("{header}\n")) } else { None };
            file::replace(path, (start.unwrap_or_default() + &old).as_bytes())
                .map_err(TrainError::io("write", path))?;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().append(true).open(path).map_err(TrainError::io("write", path))?,
        };
        file.write_all(format!("{line}\n").as_bytes()).map_err(TrainError::io("write", path))?;
        self.file = Some(file);
        Ok(())
    }
}

/// The header of the old file and its rows of earlier epochs; nothing if there is no file.
fn kept(
    path: &Path,
    epoch: usize,
    header: Option<&str>,
    epoch_of: impl Fn(&str) -> Option<usize>,
) -> Result<String, TrainError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(TrainError::io("read", path)(error)),
    };
    let fault = |line: usize, fault: String| Err(TrainError::Row { path: path.into(), line, fault });
    let mut kept = String::new();
    // A line without an end was being written when the program stopped.
    for (number, line) in (1..).zip(text.split_inclusive('\n').filter(|line| line.ends_with('\n'))) {
        match (line.trim_end(), header) {
            (text, Some(header)) if number == 1 && text != header => {
                return fault(number, format!("the columns are {text:?}, and a row has {header:?}"));
            }
            (_, Some(_)) if number == 1 => kept.push_str(line),
            (text, _) => match epoch_of(text) {
                Some(old) if old < epoch => kept.push_str(line),
                Some(_) => {}
                None => return fault(number, format!("{text:?} is not a row of such a log")),
            },
        }
    }
    Ok(kept)
}
