//! Tables as text, with a delimiter between the cells of a row.
//!
//! ```
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
//! use gradus::Tensor;
//! use gradus::data::read::csv::{Fill, Table};
//!
//! let text = "species,bill,mass,island\nAdelie,39.1,3750,Dream\nGentoo,46.1,,Biscoe\nAdelie,40.3,3250,Dream\n";
//! let table = Table::from_bytes(text)?; // or Table::read("penguins.csv")?
//! let bills = table.numbers::<f32>(["bill"])?;
//! assert_eq!(bills, Tensor::from([[39.1], [46.1], [40.3]]));
//! let (classes, names) = table.categories("species")?;
//! assert_eq!((classes, names), (Tensor::from([0, 1, 0]), vec!["Adelie".to_string(), "Gentoo".to_string()]));
//!
//! // A missing number is an error, unless a rule says what to do.
//! assert!(table.numbers::<f32>(["bill", "mass"]).is_err());
//! let x = table.numbers_filled::<f32>(["bill", "mass"], Fill::Mean)?;
//! assert_eq!(x, Tensor::from([[39.1, 3750.0], [46.1, 3500.0], [40.3, 3250.0]]));
//! assert_eq!(table.drop_missing(["mass"])?.len(), 2);
//!
//! // Categories as features: a column for each.
//! let (islands, names) = table.categories("island")?;
//! let x = Tensor::cat(&[&x, &islands.one_hot(names.len()).cast()], 1);
//! assert_eq!(x.shape(), [3, 4]);
//! # Ok::<(), gradus::data::read::ReadError>(())
//! ```
//!
//! # The text
//! The first row is a header, unless [`Format`] says otherwise. Cells are separated by commas, rows by ends of lines of any
//! system. A cell in double quotes may contain delimiters and ends of lines, and a quote written twice. Spaces and tabs
//! around a cell do not count, nor do blank lines, nor a byte-order mark. All rows have equally many cells. The text is UTF-8,
//! and may be compressed with gzip.

mod categories;
mod decimal;
mod format;
mod numbers;
mod split;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use format::Format;
pub use numbers::Fill;

use self::split::{Cells, Row, is_blank};
use super::{Place, ReadError};

/// A table that has been read: its rows are known to be equally long, and its cells are turned into numbers, classes or
/// texts when they are asked for, by the names of their columns. A clone shares the text.
#[derive(Debug, Clone)]
pub struct Table {
    text: Arc<Text>,
    /// The rows of the text that are in the table; all if nothing.
    rows: Option<Vec<usize>>,
}

#[derive(Debug)]
struct Text {
    path: PathBuf,
    /// UTF-8.
    source: Vec<u8>,
    cells: Cells,
    /// 1 if the first row is a header, otherwise 0.
    header: usize,
    names: Vec<String>,
    format: Format,
}

impl Table {
    /// Reads a file with a header and commas between the cells. [`Format`] reads others.
    ///
    /// # Errors
    /// If the file cannot be read or is empty, a row is longer or shorter than the first, or a quote is not closed.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Format::new().read(path)
    }

    /// Like [`read`](Self::read), from the contents of a file: bytes or a `str`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, ReadError> {
        Format::new().from_bytes(bytes)
    }

    /// The names of the columns, in the order of the file.
    ///
    /// ```
    /// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
    /// use gradus::data::read::csv::Table;
    ///
    /// let table = Table::from_bytes("x,y,label\n1,2,0\n")?;
    /// let features = table.numbers::<f64>(&table.names()[..2])?;
    /// assert_eq!(features.to_vec(), [1.0, 2.0]);
    /// # Ok::<(), gradus::data::read::ReadError>(())
    /// ```
    pub fn names(&self) -> &[String] {
        &self.text.names
    }

    /// The number of rows without the header.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.text.cells.rows() - self.text.header, Vec::len)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table without the rows in which one of these columns has no value.
    ///
    /// # Errors
    /// If there is no column of a name.
    pub fn drop_missing<N: AsRef<str>>(
        &self,
        columns: impl IntoIterator<Item = N>,
    ) -> Result<Self, ReadError> {
        let columns = self.columns(columns)?;
        let is_whole = |&row: &usize| columns.iter().all(|&column| !self.is_missing(row, column));
        let rows = (0..self.len()).filter(is_whole).map(|row| self.row(row)).collect();
        Ok(Self { text: self.text.clone(), rows: Some(rows) })
    }

    /// The cells of a column as they are in the file, without quotes and the spaces around them; marks of missing values
    /// included.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn texts(&self, column: &str) -> Result<Vec<String>, ReadError> {
        let column = self.column(column)?;
        Ok((0..self.len()).map(|row| self.cell(row, column).into_owned()).collect())
    }

    /// The row of the text that is in this row of the table.
    fn row(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row + self.text.header, |rows| rows[row])
    }

    fn is_missing(&self, row: usize, column: usize) -> bool {
        self.text.format.is_missing(&self.cell(row, column))
    }

    /// The content of a cell.
    #[inline]
    fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        self.text.content(self.row(row), column)
    }

    /// A fault of a cell.
    fn fault(&self, row: usize, column: usize, fault: impl Into<String>) -> ReadError {
        let text = &self.text;
        let place = text.place(text.cells.row(self.row(row)).range(column).start, Some(column));
        ReadError::Malformed { path: text.path.clone(), place: Some(place), fault: fault.into() }
    }

    /// The numbers of columns.
    fn columns<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Result<Vec<usize>, ReadError> {
        names.into_iter().map(|name| self.column(name.as_ref())).collect()
    }

    /// The number of a column.
    fn column(&self, name: &str) -> Result<usize, ReadError> {
        let names = &self.text.names;
        let mut places = names.iter().enumerate().filter(|(_, other)| *other == name).map(|(place, _)| place);
        let fault = match (places.next(), places.next()) {
            (Some(place), None) => return Ok(place),
            (Some(first), Some(second)) => {
                let (first, second) = (first + 1, second + 1);
                format!(
                    "columns {first} and {second} are both named {name:?}; `Format::names` gives other names"
                )
            }
            (None, _) => {
                // A header of one name with another delimiter in it was split at the wrong one.
                let delimiter =
                    [';', '\t', ','].into_iter().find(|&other| names.len() == 1 && names[0].contains(other));
                let remedy = delimiter.map_or_else(String::new, |other| {
                    format!("; `Format::delimiter({other:?})` makes more columns of it")
                });
                format!("there is no column {name:?}; {}{remedy}", list(name, names))
            }
        };
        Err(ReadError::fault(fault).in_file(&self.text.path))
    }
}

impl Text {
    /// The content of a cell, without quotes and the spaces around them.
    #[inline]
    fn content(&self, row: usize, column: usize) -> Cow<'_, str> {
        let cell = self.trimmed(self.cells.row(row), column);
        let cell = str::from_utf8(cell).expect("the text is UTF-8, and cells end at characters of ASCII");
        let quote = char::from(self.format.quote);
        if !cell.starts_with(quote) {
            return Cow::Borrowed(cell);
        }
        let inner = &cell[1..cell.len() - 1];
        if inner.contains(quote) {
            Cow::Owned(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
        } else {
            Cow::Borrowed(inner)
        }
    }

    /// The bytes of a cell, without the spaces around it.
    #[inline]
    fn trimmed(&self, row: Row, column: usize) -> &[u8] {
        let mut cell = &self.source[row.range(column)];
        let delimiter = self.format.delimiter;
        while let [first, rest @ ..] = cell
            && is_blank(*first, delimiter)
        {
            cell = rest;
        }
        while let [rest @ .., last] = cell
            && is_blank(*last, delimiter)
        {
            cell = rest;
        }
        cell
    }

    /// The place of a byte in a cell.
    fn place(&self, byte: usize, column: Option<usize>) -> Place {
        let name = column.and_then(|column| self.names.get(column)).cloned();
        let name = name.filter(|_| self.format.has_names());
        Place { line: line(&self.source, byte), column: column.map(|column| column + 1), name }
    }
}

/// The line of a byte, from 1.
fn line(bytes: &[u8], byte: usize) -> usize {
    let is_end = |&at: &usize| match bytes[at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    1 + (0..byte).filter(is_end).count()
}

/// The names that there are in place of a wrong one, and the one that may be meant.
fn list(name: &str, names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 40;
    let quoted = names.iter().take(SHOWN).map(|name| format!("{:?}", name.as_ref()));
    let list = quoted.collect::<Vec<_>>().join(", ");
    let start =
        nearest(name, names).map_or("there are".into(), |near| format!("did you mean {near:?}? There are"));
    if names.len() > SHOWN {
        format!("{start} {list} and {} more", names.len() - SHOWN)
    } else {
        format!("{start} {list}")
    }
}

/// The name that differs least, if it differs by a third of its letters or fewer.
fn nearest<'a>(name: &str, names: &'a [impl AsRef<str>]) -> Option<&'a str> {
    let distances = names.iter().map(|other| (distance(name, other.as_ref()), other.as_ref()));
    let (distance, near) = distances.min_by_key(|(distance, _)| *distance)?;
    (3 * distance <= near.chars().count()).then_some(near)
}

/// The smallest number of letters to insert, delete or replace (V. Levenshtein, 1966), whatever their case, and with all
/// other characters alike.
fn distance(from: &str, to: &str) -> usize {
    let letters = |text: &str| {
        let alike = |c: char| if c.is_alphanumeric() { c } else { '_' };
        text.chars().flat_map(char::to_lowercase).map(alike).collect::<Vec<_>>()
    };
    let (from, to) = (letters(from), letters(to));
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
