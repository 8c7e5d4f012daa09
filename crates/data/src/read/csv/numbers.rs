//! Columns as numbers.

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gradus_autograd::{Float, Number, Tensor};

use super::Table;
use super::decimal::decimal;
use super::split::Row;
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

/// The reason why a cell has no number.
enum Fault {
    Missing,
    Text,
}

/// Threads take this number of rows at a time.
const ROWS: usize = 1 << 12;

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
            Some(&[row, column]) => Err(self.missing(row, columns[column])),
            None => Ok(numbers),
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
        for [row, column] in missing {
            let value = match fills[column] {
                Some(value) => value,
                None => self.fill(&numbers, column, &columns, fill)?,
            };
            fills[column] = Some(value);
            numbers[[row, column]] = value;
        }
        Ok(numbers)
    }

    /// The number for missing values of a column, in which those are still NaN.
    fn fill<T: Float>(
        &self,
        numbers: &Tensor<T>,
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
        let column_of = numbers.select(1, column as isize);
        let values: Vec<f64> = column_of.iter().map(Number::to_f64).filter(|x| !x.is_nan()).collect();
        if values.is_empty() {
            let name = &self.text.names[columns[column]];
            let fault = format!("column {name:?} has no value from which missing ones could be filled");
            return Err(ReadError::fault(fault).in_file(&self.text.path));
        }
        Ok(T::from_f64(statistic(values)))
    }

    /// The numbers of columns, NaN where one is missing, and the places of the missing ones.
    fn parsed<T: Float + FromStr>(
        &self,
        columns: &[usize],
    ) -> Result<(Tensor<T>, Vec<[usize; 2]>), ReadError> {
        let (rows, width) = (self.len(), columns.len());
        let missing = Mutex::new(vec![]);
        // The first cell that is not a number, which does not depend on the number of threads.
        let wrong = Mutex::new(None::<[usize; 2]>);
        let fill = |start: usize, numbers: &mut [T]| {
            for (row, numbers) in (start / width.max(1)..).zip(numbers.chunks_exact_mut(width.max(1))) {
                let cells = self.text.cells.row(self.row(row));
                for (place, (number, &column)) in numbers.iter_mut().zip(columns).enumerate() {
                    if let Some(value) = self.plain_number(cells, column) {
                        *number = value;
                        continue;
                    }
                    match self.number(row, column) {
                        Ok(value) => *number = value,
                        Err(Fault::Missing) => {
                            *number = T::NAN;
                            lock(&missing).push([row, place]);
                        }
                        Err(Fault::Text) => {
                            let mut wrong = lock(&wrong);
                            if wrong.is_none_or(|[other, _]| row < other) {
                                *wrong = Some([row, column]);
                            }
                            return;
                        }
                    }
                }
            }
        };
        let length = ROWS * width.max(1);
        let numbers = Tensor::from_parts([rows, width], length, fill);
        if let Some([row, column]) = *lock(&wrong) {
            return Err(self.not_a_number(row, column));
        }
        let mut missing = std::mem::take(&mut *lock(&missing));
        missing.sort_unstable();
        let numbers =
            numbers.map_err(|error| ReadError::fault(error.to_string()).in_file(&self.text.path))?;
        Ok((numbers, missing))
    }

    /// The number in a cell, if it is one of some digits.
    #[inline]
    fn plain_number<T: Float>(&self, row: Row, column: usize) -> Option<T> {
        let (cell, format) = (self.text.trimmed(row, column), &self.text.format);
        if format.is_special(*cell.first()?) { None } else { decimal(cell, format.decimal) }
    }

    /// The number in a cell.
    #[cold]
    fn number<T: Float + FromStr>(&self, row: usize, column: usize) -> Result<T, Fault> {
        let (cell, format) = (self.cell(row, column), &self.text.format);
        if format.is_missing(&cell) {
            return Err(Fault::Missing);
        }
        parse(&cell, format.decimal).ok_or(Fault::Text)
    }

    fn not_a_number(&self, row: usize, column: usize) -> ReadError {
        let (cell, decimal) = (self.cell(row, column), self.text.format.decimal);
        let other = if decimal == b'.' { b',' } else { b'.' };
        let remedy = parse::<f64>(&cell, other).map_or_else(String::new, |_| {
            let [other, decimal] = [other, decimal].map(char::from);
            format!(" with the decimal mark {decimal:?}; `Format::decimal({other:?})` reads it")
        });
        let is_number = |row| self.number::<f64>(row, column).is_ok();
        let remedy = if remedy.is_empty() && !(0..self.len()).any(is_number) {
            "; the column has no numbers: `categories` makes classes of texts".into()
        } else {
            remedy
        };
        self.fault(row, column, format!("{cell:?} is not a number{remedy}"))
    }

    pub(super) fn missing(&self, row: usize, column: usize) -> ReadError {
        let cell = self.cell(row, column);
        let fault = format!(
            "the value is missing ({cell:?}); `drop_missing` leaves such rows out, `numbers_filled` fills in numbers"
        );
        self.fault(row, column, fault)
    }
}

/// The number that is written in a cell.
fn parse<T: Float + FromStr>(cell: &str, decimal: u8) -> Option<T> {
    let parsed = if decimal == b'.' {
        cell.parse()
    } else {
        let with_point = |c| match c {
            '.' => None,
            c if c == char::from(decimal) => Some('.'),
            c => Some(c),
        };
        cell.chars().map(with_point).collect::<Option<String>>()?.parse()
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

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
