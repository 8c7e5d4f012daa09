//! How a text is written.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::split::{Cells, Fault};
use super::{Table, Text, line};
use crate::read::{Place, ReadError, contents};

/// How a table is written, where it differs from a header, commas, decimal points and double quotes.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::Tensor;
/// use gradus::data::read::csv::{Fill, Format};
///
/// let format = Format::new().delimiter(';').decimal(',').names(["height", "weight"]).missing(["-"]);
/// let table = format.from_bytes("1,75;70,5\n1,8;-\n")?;
/// let x = table.numbers_filled::<f64>(["height", "weight"], Fill::Value(0.0))?;
/// assert_eq!(x, Tensor::from([[1.75, 70.5], [1.8, 0.0]]));
/// # Ok::<(), gradus::data::read::ReadError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Format {
    pub(super) delimiter: u8,
    pub(super) decimal: u8,
    pub(super) quote: u8,
    header: Header,
    missing: Marks,
}

/// The contents of cells that stand for a missing value.
#[derive(Debug, Clone)]
struct Marks {
    marks: Vec<String>,
    /// The first bytes of marks, by which most cells are told apart.
    first: [bool; 256],
}

impl Marks {
    fn new(marks: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let marks: Vec<String> = marks.into_iter().map(Into::into).collect();
        let mut first = [false; 256];
        marks
            .iter()
            .filter_map(|mark| mark.as_bytes().first())
            .for_each(|&byte| first[usize::from(byte)] = true);
        Self { marks, first }
    }
}

#[derive(Debug, Clone)]
enum Header {
    /// The first row.
    Row,
    /// There is no header; columns are named by their numbers.
    None,
    /// There is no header.
    Names(Vec<String>),
}

impl Default for Format {
    fn default() -> Self {
        Self::new()
    }
}

impl Format {
    /// A header, commas between cells, decimal points, double quotes; empty cells, `NA`, `NaN` and `nan` are missing.
    pub fn new() -> Self {
        let missing = Marks::new(["", "NA", "NaN", "nan"]);
        Self { delimiter: b',', decimal: b'.', quote: b'"', header: Header::Row, missing }
    }

    /// The character between cells: `';'`, `'\t'`.
    ///
    /// # Panics
    /// If it is not an ASCII character, or ends a line.
    #[must_use]
    #[track_caller]
    pub fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = ascii("delimiter", delimiter);
        self
    }

    /// The character before the fraction of a number: `','`. Where it is the delimiter as well, numbers with a fraction
    /// are in quotes.
    ///
    /// # Panics
    /// If it is not an ASCII character, or ends a line.
    #[must_use]
    #[track_caller]
    pub fn decimal(mut self, mark: char) -> Self {
        self.decimal = ascii("decimal", mark);
        self
    }

    /// The character around cells that contain delimiters: `'\''`.
    ///
    /// # Panics
    /// If it is not an ASCII character, or ends a line.
    #[must_use]
    #[track_caller]
    pub fn quote(mut self, quote: char) -> Self {
        self.quote = ascii("quote", quote);
        self
    }

    /// The first row has data. Columns are named by their numbers: `"1"`, `"2"`, ...
    #[must_use]
    pub fn no_header(mut self) -> Self {
        self.header = Header::None;
        self
    }

    /// The first row has data, and these are the names of the columns.
    #[must_use]
    pub fn names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.header = Header::Names(names.into_iter().map(Into::into).collect());
        self
    }

    /// The contents of a cell that stand for a missing value, in place of `""`, `"NA"`, `"NaN"` and `"nan"`.
    #[must_use]
    pub fn missing<M: Into<String>>(mut self, marks: impl IntoIterator<Item = M>) -> Self {
        self.missing = Marks::new(marks);
        self
    }

    /// Reads a file, which may be compressed with gzip.
    ///
    /// # Errors
    /// If the file cannot be read or is empty, a row is longer or shorter than the first, or a quote is not closed.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table, ReadError> {
        let path = path.as_ref();
        self.table(contents::read(path)?, path).map_err(|error| error.in_file(path))
    }

    /// Like [`read`](Self::read), from the contents of a file: bytes or a `str`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    #[allow(clippy::wrong_self_convention, reason = "named like the functions of the other readers")]
    pub fn from_bytes(&self, bytes: impl Into<Vec<u8>>) -> Result<Table, ReadError> {
        self.table(bytes.into(), Path::new(""))
    }

    /// Like [`read`](Self::read), from a stream to its end.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    #[allow(clippy::wrong_self_convention, reason = "named like the functions of the other readers")]
    pub fn from_reader(&self, mut reader: impl Read) -> Result<Table, ReadError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(ReadError::io)?;
        self.from_bytes(bytes)
    }

    fn table(&self, mut bytes: Vec<u8>, path: &Path) -> Result<Table, ReadError> {
        if contents::is_gzip(&bytes) {
            let mut inflated = Vec::new();
            let read = contents::plain(&bytes).and_then(|mut plain| plain.read_to_end(&mut inflated));
            read.map_err(ReadError::io)?;
            bytes = inflated;
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(ReadError::fault("the text is UTF-16; save it as UTF-8"));
        }
        let (path, header) = (PathBuf::from(path), usize::from(matches!(self.header, Header::Row)));
        let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let plain = Cells::split_plain(&bytes, start, self);
        if !plain.as_ref().is_some_and(|(_, is_ascii)| *is_ascii)
            && let Err(error) = str::from_utf8(&bytes)
        {
            let place = Place { line: line(&bytes, error.valid_up_to()), column: None, name: None };
            let fault = "the text is not UTF-8, in which it should be saved".into();
            return Err(ReadError::Malformed { path, place: Some(place), fault });
        }
        let cells = match plain {
            Some((cells, _)) => cells,
            None => Cells::split(&bytes, start, self).map_err(|Fault { byte, column, text: fault }| {
                let column = column.map(|column| column + 1);
                let place = Some(Place { line: line(&bytes, byte), column, name: None });
                ReadError::Malformed { path: path.clone(), place, fault }
            })?,
        };
        if cells.rows() == 0 {
            let needed = if header == 1 { "a header" } else { "a row" };
            return Err(ReadError::fault(format!("the text is empty; it should have {needed}")));
        }
        let mut text = Text { path, source: bytes, cells, header, names: vec![], format: self.clone() };
        let columns = text.cells.columns;
        text.names = match &self.header {
            Header::Row => (0..columns).map(|column| text.content(0, column).into_owned()).collect(),
            Header::None => (1..=columns).map(|column| column.to_string()).collect(),
            Header::Names(names) if names.len() == columns => names.clone(),
            Header::Names(names) => {
                let fault = format!("there are {columns} columns, and {} names for them", names.len());
                return Err(ReadError::fault(fault));
            }
        };
        Ok(Table { text: Arc::new(text), rows: None })
    }

    /// Whether the columns have names other than their numbers.
    pub(super) fn has_names(&self) -> bool {
        !matches!(self.header, Header::None)
    }

    /// Whether a cell that begins like this may stand for a missing value, or is in quotes.
    #[inline]
    pub(super) fn is_special(&self, first: u8) -> bool {
        self.missing.first[usize::from(first)] || first == self.quote
    }

    /// Whether the content of a cell stands for a missing value.
    #[inline]
    pub(super) fn is_missing(&self, content: &str) -> bool {
        let possible = content.as_bytes().first().is_none_or(|&byte| self.missing.first[usize::from(byte)]);
        possible && self.missing.marks.iter().any(|mark| mark == content)
    }
}

#[track_caller]
fn ascii(argument: &str, character: char) -> u8 {
    let is_end = matches!(character, '\r' | '\n');
    assert!(
        character.is_ascii() && !is_end,
        "{argument}: {character:?} cannot be it; it must be an ASCII character that does not end a line"
    );
    character as u8
}
