//! Rows and cells of a text, found in one pass. Nothing is copied: a cell is a range of bytes.

use std::ops::Range;
use std::thread;

use gradus_autograd::num_threads;
use memchr::{memchr, memchr3};

use super::Format;

/// A thread takes this number of bytes at least.
const MIN_BYTES: usize = 1 << 20;

/// The ranges of all cells, row by row.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The number of cells in each row.
    pub(super) columns: usize,
    /// Where rows begin.
    starts: Vec<usize>,
    /// Where cells end, counted from the start of the row. The next cell begins one byte later.
    ends: Vec<u32>,
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
    pub(super) fn range(&self, row: usize, column: usize) -> Range<usize> {
        let (cell, start) = (row * self.columns + column, self.starts[row]);
        let first = if column == 0 { start } else { start + self.ends[cell - 1] as usize + 1 };
        first..start + self.ends[cell] as usize
    }

    /// The cells of a text from byte `at` on. Blank lines do not count; all other rows are equally long.
    pub(super) fn split(bytes: &[u8], at: usize, format: &Format) -> Result<Self, Fault> {
        // Without quotes each end of a line ends a row, so that threads can begin at any of them.
        let parts = num_threads().min((bytes.len() - at) / MIN_BYTES);
        if parts > 1
            && memchr(format.quote, bytes).is_none()
            && let Some(cells) = Self::split_in_parts(bytes, at, format, parts)
        {
            return Ok(cells);
        }
        Self::split_part(bytes, at..bytes.len(), format)
    }

    /// The cells of a text without quotes; nothing if there is a fault.
    fn split_in_parts(bytes: &[u8], at: usize, format: &Format, parts: usize) -> Option<Self> {
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
        let split = |part: &[usize]| Self::split_part(bytes, part[0]..part[1], format).ok();
        let mut parts = thread::scope(|scope| {
            let (own, others) = borders.split_at(1);
            let threads: Vec<_> = others.windows(2).map(|part| scope.spawn(move || split(part))).collect();
            let own = split(&[own[0], others[0]]);
            let others = threads.into_iter().map(|thread| thread.join().ok().flatten());
            std::iter::once(own).chain(others).collect::<Option<Vec<_>>>()
        })?
        .into_iter();
        let mut all = parts.next()?;
        for part in parts.filter(|part| part.rows() > 0) {
            if part.columns != all.columns {
                return None;
            }
            all.starts.extend(part.starts);
            all.ends.extend(part.ends);
        }
        Some(all)
    }

    fn split_part(bytes: &[u8], range: Range<usize>, format: &Format) -> Result<Self, Fault> {
        let bytes = &bytes[..range.end];
        let mut at = range.start;
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
