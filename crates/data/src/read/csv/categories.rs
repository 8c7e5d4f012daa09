//! Columns as classes.

use std::borrow::Cow;
use std::collections::HashMap;

use gradus_autograd::Tensor;

use super::{Table, list};
use crate::read::ReadError;

/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::Tensor;
/// use gradus::data::read::csv::Table;
///
/// let train = Table::from_bytes("species,digit\nGentoo,7\nAdelie,0\n")?;
/// let (y, names) = train.categories("species")?;
/// assert_eq!(y, Tensor::from([1, 0]));
/// // Test data get the numbers that the training data gave.
/// let test = Table::from_bytes("species\nGentoo\n")?;
/// assert_eq!(test.categories_in("species", &names)?, Tensor::from([1]));
/// assert_eq!(train.labels("digit", 10)?, Tensor::from([7, 0]));
/// // A missing category is an error, or one more category.
/// let table = Table::from_bytes("sex\nmale\nNA\nfemale\n")?;
/// assert!(table.categories("sex").is_err());
/// let (y, names) = table.categories_filled("sex", "unknown")?;
/// assert_eq!((y, names), (Tensor::from([1, 2, 0]), vec!["female".into(), "male".into(), "unknown".into()]));
/// # Ok::<(), gradus::data::read::ReadError>(())
/// ```
impl Table {
    /// The category of each row as a number, `[rows]`, and the names of the categories by their numbers: sorted, as numbers
    /// if all are numbers.
    ///
    /// # Errors
    /// If there is no such column, or a cell is missing.
    pub fn categories(&self, column: &str) -> Result<(Tensor<i64>, Vec<String>), ReadError> {
        self.sorted_categories(column, None)
    }

    /// Like [`categories`](Self::categories), with this category for rows whose cell is missing.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn categories_filled(
        &self,
        column: &str,
        missing: &str,
    ) -> Result<(Tensor<i64>, Vec<String>), ReadError> {
        self.sorted_categories(column, Some(missing))
    }

    fn sorted_categories(
        &self,
        column: &str,
        missing: Option<&str>,
    ) -> Result<(Tensor<i64>, Vec<String>), ReadError> {
        let place = self.column(column)?;
        let mut names = HashMap::<Cow<str>, usize>::new();
        for row in 0..self.len() {
            let next = names.len();
            names.entry(self.category(row, place, missing)?).or_insert(next);
        }
        let mut names: Vec<String> = names.into_keys().map(Cow::into_owned).collect();
        names.sort_unstable();
        let number = |name: &String| name.parse::<f64>().ok();
        if names.iter().all(|name| number(name).is_some()) {
            names.sort_by(|a, b| f64::total_cmp(&number(a).unwrap_or(0.0), &number(b).unwrap_or(0.0)));
        }
        Ok((self.numbered(place, &names, missing)?, names))
    }

    /// Like [`categories`](Self::categories), with a given list of categories: the list of the training data.
    ///
    /// # Errors
    /// If there is no such column, or a cell is missing or not one of the names.
    pub fn categories_in(&self, column: &str, names: &[impl AsRef<str>]) -> Result<Tensor<i64>, ReadError> {
        self.numbered(self.column(column)?, names, None)
    }

    /// The categories of a column by their place in the list.
    fn numbered(
        &self,
        column: usize,
        names: &[impl AsRef<str>],
        missing: Option<&str>,
    ) -> Result<Tensor<i64>, ReadError> {
        let numbers: HashMap<&str, i64> = (0..).zip(names).map(|(i, name)| (name.as_ref(), i)).collect();
        let class = |row| {
            let name = self.category(row, column, missing)?;
            numbers.get(&*name).copied().ok_or_else(|| {
                let fault = format!("{name:?} is not one of the categories; {}", list(&name, names));
                self.fault(row, column, fault)
            })
        };
        (0..self.len()).map(class).collect()
    }

    /// Classes that the file has as numbers from 0 on: `[rows]`.
    ///
    /// # Errors
    /// If there is no such column, or a cell is missing or not an integer from 0 to `classes - 1`.
    pub fn labels(&self, column: &str, classes: usize) -> Result<Tensor<i64>, ReadError> {
        let column = self.column(column)?;
        let label = |row| {
            let text = self.category(row, column, None)?;
            let label = text.parse::<i64>().ok().filter(|label| (0..classes as i64).contains(label));
            label.ok_or_else(|| {
                let range = match classes {
                    0 => "there are no classes".into(),
                    _ => format!("labels are integers from 0 to {}", classes - 1),
                };
                self.fault(row, column, format!("{text:?} is not a label; {range}"))
            })
        };
        (0..self.len()).map(label).collect()
    }

    /// The text of a cell, or what stands for a missing one.
    fn category<'a>(
        &'a self,
        row: usize,
        column: usize,
        missing: Option<&'a str>,
    ) -> Result<Cow<'a, str>, ReadError> {
        match missing {
            _ if !self.is_missing(row, column) => Ok(self.cell(row, column)),
            Some(name) => Ok(name.into()),
            None => {
                let fault = "the category is missing; `drop_missing` leaves such rows out, `categories_filled` makes \
                             them one more category";
                Err(self.fault(row, column, fault))
            }
        }
    }
}
