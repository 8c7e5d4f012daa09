//! Rows and cells of a text, found in one pass. Nothing is copied: a cell is a range of bytes.

use super::Format;

/// The ranges of all cells, row by row.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The number of cells in each row.
    pub(super) columns: usize,
    /// Where rows begin.
    starts: Vec<usize>,
    /// Where cells end. The next cell of the row begins one byte later.
    ends: Vec<usize>,
}

/// A fault in the rows of a text.
pub(super) struct Fault {
    /// The byte where it is.
    pub(super) byte: usize,
    /// The cell of the row, from 0; all of the row if nothing.
    pub(super) column: Option<usize>,
    pub(super) text: String,
}

impl Cells {
    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.starts.len()
    }

    /// The bytes between two delimiters.
    pub(super) fn range(&self, row: usize, column: usize) -> std::ops::Range<usize> {
        let cell = row * self.columns + column;
        let start = if column == 0 { self.starts[row] } else { self.ends[cell - 1] + 1 };
        start..self.ends[cell]
    }

    /// The cells of a text from byte `at` on. Blank lines do not count; all other rows are equally long.
    pub(super) fn split(bytes: &[u8], mut at: usize, format: &Format) -> Result<Self, Fault> {
        let mut cells = Self::default();
        let mut ends_cell = [false; 256];
        for byte in [format.delimiter, b'\n', b'\r'] {
            ends_cell[usize::from(byte)] = true;
        }
        while at < bytes.len() {
            let (start, before) = (at, cells.ends.len());
            loop {
                let first = at + blanks(&bytes[at..], format.delimiter);
                let column = cells.ends.len() - before;
                let from = match bytes.get(first) {
                    Some(&quote) if quote == format.quote => closing(bytes, first, column, format)?,
                    _ => first,
                };
                let rest = &bytes[from..];
                let length = rest.iter().position(|&byte| ends_cell[usize::from(byte)]).unwrap_or(rest.len());
                at = from + length;
                cells.ends.push(at);
                if bytes.get(at) != Some(&format.delimiter) {
                    break;
                }
                at += 1;
            }
            let end = at;
            at += match bytes[at..] {
                [b'\r', b'\n', ..] => 2,
                [] => 0,
                _ => 1,
            };
            let found = cells.ends.len() - before;
            if found == 1 && start + blanks(&bytes[start..end], format.delimiter) == end {
                cells.ends.truncate(before);
            } else if cells.starts.is_empty() || found == cells.columns {
                cells.columns = found;
                cells.starts.push(start);
            } else {
                let text = format!(
                    "the row has {found} {}, the first row {}",
                    if found == 1 { "cell" } else { "cells" },
                    cells.columns
                );
                return Err(Fault { byte: start, column: None, text });
            }
        }
        Ok(cells)
    }
}

/// The number of spaces and tabs at the start, as far as they do not separate cells.
pub(super) fn blanks(bytes: &[u8], delimiter: u8) -> usize {
    let is_blank = |byte: &u8| is_blank(*byte, delimiter);
    bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len())
}

pub(super) fn is_blank(byte: u8, delimiter: u8) -> bool {
    matches!(byte, b' ' | b'\t') && byte != delimiter
}

/// The place behind the quote that closes the one at `open`, and behind spaces. A quote within is written twice.
fn closing(bytes: &[u8], open: usize, column: usize, format: &Format) -> Result<usize, Fault> {
    let fault = |text: String| Fault { byte: open, column: Some(column), text };
    let mut at = open + 1;
    loop {
        let Some(length) = bytes[at..].iter().position(|&byte| byte == format.quote) else {
            return Err(fault("the quote that opens here is never closed".into()));
        };
        at += length + 1;
        if bytes.get(at) != Some(&format.quote) {
            break;
        }
        at += 1;
    }
    at += blanks(&bytes[at..], format.delimiter);
    match bytes.get(at) {
        Some(&byte) if byte != format.delimiter && !matches!(byte, b'\r' | b'\n') => {
            let rest = &bytes[at..];
            let ends = |byte: &u8| *byte == format.delimiter || matches!(byte, b'\r' | b'\n');
            let length = rest.iter().position(ends).unwrap_or(rest.len());
            let text = String::from_utf8_lossy(&rest[..length]);
            let quote = char::from(format.quote);
            Err(fault(format!(
                "{text:?} follows the closing quote; a quote within a cell is written {quote}{quote}"
            )))
        }
        _ => Ok(at),
    }
}
