//! The handwritten digits in `data/digits.csv.gz`; see `data/README.md` for where they come from.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use gradus::Tensor;

/// The number of pixels along one side of an image.
pub const SIDE: usize = 8;
/// The number of classes: the digits 0 to 9.
pub const CLASSES: usize = 10;

/// The number of pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
const FULL_INK: u8 = 16;

/// Images of digits, and which digits they are.
#[derive(Debug, Clone)]
pub struct Digits {
    /// `[digits, 64]`: the pixels row by row, from 0 for paper to 1 for ink.
    pub images: Tensor,
    /// `[digits]`: 0 to 9.
    pub labels: Tensor<i64>,
}

/// What can be wrong with a file of digits. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
pub enum DigitsError {
    /// The file is no text that was compressed with gzip.
    #[error("the digits cannot be read: {0}")]
    Read(#[from] io::Error),
    /// There is nothing to learn from.
    #[error("there is not one line of digits")]
    Empty,
    /// A line is too short or too long.
    #[error("line {line}: there are {found} columns, not {PIXELS} pixels and a label")]
    Columns {
        /// The line.
        line: usize,
        /// How many columns it has.
        found: usize,
    },
    /// A cell is no integer, or out of range.
    #[error("line {line}, column {column}: {cell:?} is not an integer from 0 to {largest}")]
    Cell {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
        /// What is there.
        cell: String,
        /// What would have been the largest value allowed.
        largest: u8,
    },
}

impl Digits {
    /// The 1,797 digits that come with the examples.
    ///
    /// # Errors
    /// None, unless somebody has changed the file.
    pub fn load() -> Result<Self, DigitsError> {
        let mut csv = String::new();
        GzDecoder::new(include_bytes!("../data/digits.csv.gz").as_slice()).read_to_string(&mut csv)?;
        Self::parse(&csv)
    }

    /// Digits from lines of 64 pixels, 0 to 16, and a label, 0 to 9, with commas between them.
    ///
    /// # Errors
    /// [`DigitsError`] names the line and column of the first mistake.
    pub fn parse(csv: &str) -> Result<Self, DigitsError> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for (line, row) in (1..).zip(csv.lines()) {
            let cells: Vec<&str> = row.split(',').collect();
            let [pixels @ .., label] = cells.as_slice() else {
                unreachable!("split yields one cell or more")
            };
            if pixels.len() != PIXELS {
                return Err(DigitsError::Columns { line, found: cells.len() });
            }
            for (column, pixel) in (1..).zip(pixels) {
                images.push(f32::from(integer(pixel, FULL_INK, line, column)?) / f32::from(FULL_INK));
            }
            labels.push(i64::from(integer(label, CLASSES as u8 - 1, line, PIXELS + 1)?));
        }
        if labels.is_empty() {
            return Err(DigitsError::Empty);
        }
        Ok(Self { images: Tensor::from(images).reshape((-1, PIXELS)), labels: labels.into() })
    }

    /// The digits at these places, in this order.
    pub fn select(&self, places: &[i64]) -> Self {
        let places = Tensor::from(places);
        Self { images: self.images.index_select(0, &places), labels: self.labels.index_select(0, &places) }
    }
}

fn integer(cell: &str, largest: u8, line: usize, column: usize) -> Result<u8, DigitsError> {
    cell.parse().ok().filter(|&value| value <= largest).ok_or_else(|| DigitsError::Cell {
        line,
        column,
        cell: cell.into(),
        largest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line of digits: blank but for the cells given by their column.
    fn line(cells: &[(usize, &str)]) -> String {
        let mut row = vec!["0"; PIXELS + 1];
        for &(column, cell) in cells {
            row[column - 1] = cell;
        }
        row.join(",")
    }

    #[test]
    fn the_digits_that_come_with_the_examples() -> Result<(), DigitsError> {
        let digits = Digits::load()?;
        assert_eq!((digits.images.shape(), digits.labels.shape()), (&[1797, 64][..], &[1797][..]));
        assert_eq!((digits.images.min(..).item(), digits.images.max(..).item()), (0.0, 1.0));
        // Two lines of the source, counted from its end.
        assert_eq!(digits.labels.slice(0, -2..), Tensor::from([9, 8]));
        Ok(())
    }

    #[test]
    fn a_bad_file_is_an_error_that_says_where() {
        let message = |csv: &str| Digits::parse(csv).expect_err("the file is bad").to_string();
        let good = line(&[(65, "7")]);
        assert_eq!(message(""), "there is not one line of digits");
        assert_eq!(
            message(&format!("{good}\n1,2,3")),
            "line 2: there are 3 columns, not 64 pixels and a label"
        );
        assert_eq!(
            message(&format!("{good}\n{good}\n{}", line(&[(5, "ink")]))),
            "line 3, column 5: \"ink\" is not an integer from 0 to 16"
        );
        assert_eq!(message(&line(&[(64, "17")])), "line 1, column 64: \"17\" is not an integer from 0 to 16");
        assert_eq!(message(&line(&[(65, "10")])), "line 1, column 65: \"10\" is not an integer from 0 to 9");
    }
}
