//! Columns as numbers.

use std::str::FromStr;
use std::{iter, thread};

use gradus_autograd::{Float, Tensor, num_threads};

use super::Table;
use crate::read::ReadError;

/// The number for a missing value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fill {
    /// This number.
    Value(f64),
    /// The mean of the values that the column of the table has.
    Mean,
    /// The median of the values that the column of the table has; with an even number of them, the mean of the middle two.
    Median,
    /// Not a number.
    Nan,
}

/// A thread takes this number of cells at least.
const MIN_CELLS: usize = 1 << 14;

impl Table {
    /// Columns as numbers: `[rows, columns]`, the columns in the order of the names. Each number is the nearest to what is
    /// written. `inf` is a number, `nan` is not.
    ///
    /// # Errors
    /// If there is no column of a name, a cell has no value (see [`numbers_filled`](Self::numbers_filled) and
    /// [`drop_missing`](Self::drop_missing)), or is not a number.
    pub fn numbers<T: Float + FromStr>(
        &self,
        columns: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Tensor<T>, ReadError> {
        let columns = self.columns(columns)?;
        let (numbers, missing) = self.parsed(&columns)?;
        match missing.first() {
            Some(&(row, column)) => Err(self.missing(row, columns[column])),
            None => Ok(tensor(numbers, self.len(), columns.len())),
        }
    }

    /// Like [`numbers`](Self::numbers), with a rule for missing values.
    ///
    /// The mean and the median are of the rows of this table. Test data are filled with a number of the training data, by
    /// [`Fill::Value`].
    ///
    /// # Errors
    /// If there is no column of a name, a cell is neither a number nor missing, or a mean or median is needed of a column
    /// that has no value.
    pub fn numbers_filled<T: Float + FromStr>(
        &self,
        columns: impl IntoIterator<Item = impl AsRef<str>>,
        fill: Fill,
    ) -> Result<Tensor<T>, ReadError> {
        let columns = self.columns(columns)?;
        let (mut numbers, missing) = self.parsed::<T>(&columns)?;
        let mut fills = vec![None; columns.len()];
        for (row, column) in missing {
            let value = match fills[column] {
                Some(value) => value,
                None => self.fill(&numbers, column, &columns, fill)?,
            };
            fills[column] = Some(value);
            numbers[row * columns.len() + column] = value;
        }
        Ok(tensor(numbers, self.len(), columns.len()))
    }

    /// The number for missing values of a column, in which those are still NaN.
    fn fill<T: Float>(
        &self,
        numbers: &[T],
        column: usize,
        columns: &[usize],
        fill: Fill,
    ) -> Result<T, ReadError> {
        let statistic: fn(Vec<f64>) -> f64 = match fill {
            Fill::Value(value) => return Ok(T::from_f64(value)),
            Fill::Nan => return Ok(T::NAN),
            Fill::Mean => mean,
            Fill::Median => median,
        };
        let column_of = numbers.iter().skip(column).step_by(columns.len());
        let values: Vec<f64> = column_of.map(|x| x.to_f64()).filter(|x| !x.is_nan()).collect();
        if values.is_empty() {
            let name = &self.text.names[columns[column]];
            let fault = format!("column {name:?} has no value from which missing ones could be filled");
            return Err(ReadError::fault(fault).in_file(&self.text.path));
        }
        Ok(T::from_f64(statistic(values)))
    }

    /// The numbers of columns, row by row, NaN where there is none, and the rows and columns of the latter.
    #[allow(clippy::type_complexity)]
    fn parsed<T: Float + FromStr>(
        &self,
        columns: &[usize],
    ) -> Result<(Vec<T>, Vec<(usize, usize)>), ReadError> {
        let (rows, width) = (self.len(), columns.len());
        let mut numbers = vec![T::ZERO; rows * width];
        let threads = num_threads().min(numbers.len() / MIN_CELLS).max(1);
        let length = rows.div_ceil(threads).max(1);
        let parse = |(first, numbers): (usize, &mut [T])| {
            let mut missing = vec![];
            for (row, numbers) in (first..).zip(numbers.chunks_exact_mut(width)) {
                for (place, (number, &column)) in numbers.iter_mut().zip(columns).enumerate() {
                    *number = self.number(row, column)?.unwrap_or_else(|| {
                        missing.push((row, place));
                        T::NAN
                    });
                }
            }
            Ok(missing)
        };
        // Rows in equal parts: the first error of the first part with one is the first of the table.
        let parts = iter::zip((0..rows).step_by(length), numbers.chunks_mut((length * width).max(1)));
        let missing = thread::scope(|scope| {
            let mut parts = parts.collect::<Vec<_>>().into_iter();
            let own = parts.next();
            let others: Vec<_> = parts.map(|part| scope.spawn(move || parse(part))).collect();
            let own = own.map(parse);
            let joined = others.into_iter().map(|part| part.join().expect("parsing does not panic"));
            own.into_iter().chain(joined).collect::<Result<Vec<_>, ReadError>>()
        });
        Ok((numbers, missing?.concat()))
    }

    /// The number in a cell; nothing if it is missing.
    #[inline]
    fn number<T: Float + FromStr>(&self, row: usize, column: usize) -> Result<Option<T>, ReadError> {
        let (cell, format) = (self.cell(row, column), &self.text.format);
        if format.is_missing(&cell) {
            return Ok(None);
        }
        match parse(&cell, format.decimal) {
            Some(number) => Ok(Some(number)),
            None => Err(self.not_a_number(row, column)),
        }
    }

    #[cold]
    fn not_a_number(&self, row: usize, column: usize) -> ReadError {
        let (cell, decimal) = (self.cell(row, column), self.text.format.decimal);
        let other = if decimal == b'.' { b',' } else { b'.' };
        let remedy = parse::<f64>(&cell, other).map_or_else(String::new, |_| {
            let [other, decimal] = [other, decimal].map(char::from);
            format!(" with the decimal mark {decimal:?}; `Format::decimal({other:?})` reads it")
        });
        self.fault(row, column, format!("{:?} is not a number{remedy}", String::from_utf8_lossy(&cell)))
    }

    pub(super) fn missing(&self, row: usize, column: usize) -> ReadError {
        let cell = self.cell(row, column);
        let text = String::from_utf8_lossy(&cell);
        let fault = format!(
            "the value is missing ({text:?}); `drop_missing` leaves such rows out, `numbers_filled` fills in numbers"
        );
        self.fault(row, column, fault)
    }
}

/// The number that is written in a cell.
#[inline]
fn parse<T: Float + FromStr>(cell: &[u8], decimal: u8) -> Option<T> {
    let parsed = if decimal == b'.' {
        str::from_utf8(cell).ok()?.parse()
    } else {
        let with_point = |&byte: &u8| match byte {
            b'.' => None,
            byte if byte == decimal => Some('.'),
            byte => Some(char::from(byte)),
        };
        cell.iter().map(with_point).collect::<Option<String>>()?.parse()
    };
    parsed.ok().filter(|number: &T| !number.is_nan())
}

fn mean(values: Vec<f64>) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

fn tensor<T: Float>(numbers: Vec<T>, rows: usize, columns: usize) -> Tensor<T> {
    Tensor::from_vec(numbers, [rows, columns]).expect("rows times columns numbers")
}
