//! Rows and cells of a text, found in one pass. Nothing is copied: a cell is a range of bytes.

use std::ops::Range;
use std::thread;

use gradus_autograd::num_threads;
use memchr::{memchr, memchr3};

use super::Format;

mod plain;

/// A thread takes this number of bytes at least.
const MIN_BYTES: usize = 1 << 20;

/// The ranges of all cells, row by row.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The number of cells in each row.
    pub(super) columns: usize,
    /// In the order of the text.
    parts: Vec<Part>,
    rows: usize,
}

/// The rows that one thread has found.
#[derive(Debug, Default)]
struct Part {
    /// The number of rows before.
    first: usize,
    columns: usize,
    /// Where rows begin.
    starts: Vec<usize>,
    /// Where cells end, counted from the start of the row. The next cell begins one byte later.
    ends: Vec<u32>,
}

/// The cells of a row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    start: usize,
    ends: &'a [u32],
}

impl Row<'_> {
    /// The bytes between two delimiters.
    #[inline]
    pub(super) fn range(self, column: usize) -> Range<usize> {
        let first = if column == 0 { 0 } else { self.ends[column - 1] as usize + 1 };
        self.start + first..self.start + self.ends[column] as usize
    }
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
        self.rows
    }

    #[inline]
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let part =
            self.parts.iter().rev().find(|part| part.first <= row).expect("the first part begins at 0");
        let row = row - part.first;
        Row { start: part.starts[row], ends: &part.ends[row * self.columns..][..self.columns] }
    }

    /// The cells of a text from byte `at` on, cut by several threads if it is long, and whether all of it is ASCII; nothing if
    /// there are quotes or a fault. Without quotes each end of a line ends a row, so that threads can begin at any of them.
    pub(super) fn split_plain(bytes: &[u8], at: usize, format: &Format) -> Option<(Self, bool)> {
        let parts = num_threads().min((bytes.len() - at) / MIN_BYTES).max(1);
        let border = |part: usize| {
            let near = at + (bytes.len() - at) / parts * part;
            if part == 0 {
                at
            } else {
                memchr(b'\n', &bytes[near..]).map_or(bytes.len(), |end| near + end + 1)
            }
        };
        let mut borders: Vec<usize> = (0..parts).map(border).collect();
        borders.push(bytes.len());
        let split = |part: &[usize]| plain::split(&bytes[..part[1]], part[0], format);
        let parts = thread::scope(|scope| {
            let (own, others) = borders.split_at(1);
            let threads: Vec<_> = others.windows(2).map(|part| scope.spawn(move || split(part))).collect();
            let own = split(&[own[0], others[0]]);
            let others = threads.into_iter().map(|thread| thread.join().ok().flatten());
            std::iter::once(own).chain(others).collect::<Option<Vec<_>>>()
        })?;
        let (mut all, mut is_ascii) = (Self::default(), true);
        for (mut part, is_part_ascii) in parts {
            is_ascii &= is_part_ascii;
            if part.starts.is_empty() {
                continue;
            }
            if all.rows > 0 && part.columns != all.columns {
                return None;
            }
            part.first = all.rows;
            all.rows += part.starts.len();
            all.columns = part.columns;
            all.parts.push(part);
        }
        Some((all, is_ascii))
    }

    /// The cells of a text from byte `at` on. Blank lines do not count; all other rows are equally long.
    pub(super) fn split(bytes: &[u8], at: usize, format: &Format) -> Result<Self, Fault> {
        let part = Part::split(bytes, at, format)?;
        Ok(Self { columns: part.columns, rows: part.starts.len(), parts: vec![part] })
    }
}

impl Part {
    fn split(bytes: &[u8], mut at: usize, format: &Format) -> Result<Self, Fault> {
        let mut cells = Self::default();
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
                at = from + memchr3(format.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
                let end = u32::try_from(at - start);
                cells.ends.push(end.map_err(|_| Fault {
                    byte: start,
                    column: None,
                    text: "the row has more than 4 GiB".into(),
                })?);
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
            if let Err(found) = cells.end_row(&bytes[start..end], start, before, format.delimiter) {
                let noun = if found == 1 { "cell" } else { "cells" };
                let text = format!("the row has {found} {noun}, the first row {}", cells.columns);
                return Err(Fault { byte: start, column: None, text });
            }
        }
        Ok(cells)
    }

    /// Counts a row whose ends of cells are there from number `before` on, unless it is blank. If the first row has another
    /// number of cells, the error is the number of this one.
    fn end_row(&mut self, line: &[u8], start: usize, before: usize, delimiter: u8) -> Result<(), usize> {
        let found = self.ends.len() - before;
        if found == 1 && blanks(line, delimiter) == line.len() {
            self.ends.truncate(before);
        } else if self.starts.is_empty() || found == self.columns {
            self.columns = found;
            self.starts.push(start);
        } else {
            return Err(found);
        }
        Ok(())
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
        let Some(length) = memchr(format.quote, &bytes[at..]) else {
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
            let length = memchr3(format.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
            let text = String::from_utf8_lossy(&rest[..length]);
            let quote = char::from(format.quote);
            Err(fault(format!(
                "{text:?} follows the closing quote; a quote within a cell is written {quote}{quote}"
            )))
        }
        _ => Ok(at),
    }
}
