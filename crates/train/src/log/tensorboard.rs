//! Event files of `TensorBoard`: records of bytes, each a message of Protocol Buffers.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Log, check_names};
use crate::error::TrainError;

/// An event file for `TensorBoard`, with the epoch as the step.
///
/// Each run writes a new file in the folder; one that is resumed tells `TensorBoard` to drop the steps from its first one
/// on. The format has numbers in single precision.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::train::{Log, TensorBoardLog};
///
/// # let folder = std::env::temp_dir().join(format!("gradus-tensorboard-{}", std::process::id()));
/// let mut log = TensorBoardLog::new(&folder); // to see it: tensorboard --logdir FOLDER
/// log.row(1, &[("loss/train", 0.5), ("loss/test", 0.75)])?;
/// # assert_eq!(std::fs::read_dir(&folder)?.count(), 1);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TensorBoardLog {
    folder: PathBuf,
    /// Open once there was a row.
    file: Option<(PathBuf, File)>,
}

impl TensorBoardLog {
    /// In a folder, which the first row makes if it is not there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), file: None }
    }

    fn open(&self, epoch: usize) -> Result<(PathBuf, File), TrainError> {
        fs::create_dir_all(&self.folder).map_err(TrainError::io("write", &self.folder))?;
        let now = now();
        let (seconds, nanos) = (now.as_secs(), now.subsec_nanos());
        let name = format!("events.out.tfevents.{seconds}.{}.{nanos}", std::process::id());
        let path = self.folder.join(name);
        let mut file = File::create_new(&path).map_err(TrainError::io("write", &path))?;
        let mut start = record(&event(now.as_secs_f64(), 0, version));
        start.extend(record(&event(now.as_secs_f64(), epoch, restart)));
        file.write_all(&start).map_err(TrainError::io("write", &path))?;
        Ok((path, file))
    }
}

impl Log for TensorBoardLog {
    #[track_caller]
    fn row(&mut self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        check_names(values);
        let (path, mut file) = match self.file.take() {
            Some(open) => open,
            None => self.open(epoch)?,
        };
        let record = record(&event(now().as_secs_f64(), epoch, |bytes| scalars(bytes, values)));
        file.write_all(&record).map_err(TrainError::io("write", &path))?;
        self.file = Some((path, file));
        Ok(())
    }
}

// The forms of the values of a message.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

/// An event: the time in seconds is field 1, the step field 2, which is left out if it is 0.
fn event(seconds: f64, step: usize, content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![1 << 3 | FIXED_64];
    bytes.extend(seconds.to_le_bytes());
    if step > 0 {
        bytes.push(2 << 3 | VARINT);
        varint(&mut bytes, step);
    }
    content(&mut bytes);
    bytes
}

/// The version that knows about restarts.
fn version(bytes: &mut Vec<u8>) {
    field(bytes, 3, b"brain.Event:2");
}

/// A restart, `SessionLog::START`.
fn restart(bytes: &mut Vec<u8>) {
    field(bytes, 7, &[1 << 3 | VARINT, 1]);
}

/// A summary of scalars.
fn scalars(bytes: &mut Vec<u8>, values: &[(&str, f64)]) {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut scalar = Vec::new();
        field(&mut scalar, 1, tag.as_bytes());
        scalar.push(2 << 3 | FIXED_32);
        scalar.extend((*value as f32).to_le_bytes());
        field(&mut summary, 1, &scalar);
    }
    field(bytes, 5, &summary);
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn field(bytes: &mut Vec<u8>, number: u8, content: &[u8]) {
    bytes.push(number << 3 | BYTES);
    varint(bytes, content.len());
    bytes.extend(content);
}

/// Seven bits a byte, the last ones first; all bytes but the last have their highest bit set.
fn varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A record of a `TFRecord` file: the length, the data, and a checksum of each.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let [of_length, of_data] = [&length[..], data].map(|bytes| masked(crc32c(bytes)).to_le_bytes());
    [&length[..], &of_length, data, &of_data].concat()
}

/// A checksum of data that may hold checksums.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The cyclic redundancy check with Castagnoli's polynomial (RFC 3720), bit by bit: rows are short.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 3720, B.4.
    #[test]
    fn checksums_are_as_published() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&std::array::from_fn::<u8, 32, _>(|i| i as u8)), 0x46dd_794e);
    }

    /// The bytes of `RecordWriter` and `Event` of `TensorBoard` 2.21.
    #[test]
    fn records_are_those_of_tensorboard() {
        let hex =
            |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(
            hex(record(&event(1.5, 0, version))),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
        );
        assert_eq!(
            hex(record(&event(1.5, 300, restart))),
            "100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a"
        );
        let values = [("loss/train", 0.5), ("x", -2.0)];
        assert_eq!(
            hex(record(&event(1.5, 300, |bytes| scalars(bytes, &values)))),
            "2b00000000000000861bc34b09000000000000f83f10ac022a1d0a110a0a6c6f73732f747261696e150000003f0a080a01\
             7815000000c05b3ea6c7"
        );
    }
}
