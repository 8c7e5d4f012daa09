//! Embedding: rows of a table, and one-hot vectors.

use super::index::places;
use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::layout::place_of;
use crate::runtime::Buffer;
use crate::shape::{Shape, checked_count};
use crate::tensor::Tensor;

/// Rows of a table.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let table = Tensor::from([[1, 2], [3, 4], [5, 6]]);
/// let index = Tensor::from([[2, 0]]);
/// assert_eq!(table.embedding(&index), Tensor::from([[[5, 6], [1, 2]]]));
/// assert_eq!(index.one_hot(3), Tensor::from([[[0, 0, 1], [1, 0, 0]]]));
/// ```
impl<T: Element> Tensor<T> {
    /// The rows of this table at `index`, of any shape; the shape of the result is the shape of `index`, then the shape of a
    /// row.
    ///
    /// # Panics
    /// If the table is 0-d, or an index is out of range.
    #[track_caller]
    pub fn embedding(&self, index: &Tensor<i64>) -> Self {
        let shape = embedding_shape(self.shape(), index.shape()).or_panic();
        let rows = self.shape()[0];
        let place = |i: i64| usize::try_from(i).ok().filter(|&i| i < rows);
        let places: Option<Vec<usize>> = index.iter().map(place).collect();
        let Some(places) = places else {
            let (number, wrong) =
                index.iter().enumerate().find(|(_, i)| place(*i).is_none()).expect("one of them");
            let at = place_of(number, index.shape());
            let allowed = if rows == 0 {
                "the table has no rows".into()
            } else {
                format!("allowed are 0 to {}", rows - 1)
            };
            panic!(
                "embedding: index {wrong} at {at:?} is out of bounds for a table of shape {:?}: {allowed}",
                self.shape()
            )
        };
        self.select_slices(0, &places, &shape)
    }
}

impl Tensor<i64> {
    /// One-hot vectors along a new last axis of size `num_classes`: 1 at the index, 0 elsewhere.
    ///
    /// # Panics
    /// If an index is negative, or not less than `num_classes`.
    #[track_caller]
    pub fn one_hot(&self, num_classes: usize) -> Self {
        let shape = one_hot_shape(self.shape(), num_classes).or_panic();
        let places = places("one_hot", &shape, self.rank(), self).or_panic();
        let mut hot = Buffer::filled(shape.iter().product(), 0);
        let data = hot.get_mut().expect("nobody else has it");
        for (i, place) in places.into_iter().enumerate() {
            data[i * num_classes + place] = 1;
        }
        Self::from_buffer(hot, &shape)
    }
}

/// The shape of [`Tensor::embedding`].
#[doc(hidden)]
pub fn embedding_shape(table: &[usize], index: &[usize]) -> Result<Shape, TensorError> {
    let [_, row @ ..] = table else {
        let argument = "the number of axes of the table";
        return Err(TensorError::argument("embedding", argument, "0", table, "it must be at least 1"));
    };
    let shape: Shape = index.iter().chain(row).copied().collect();
    checked_count("embedding", &shape)?;
    Ok(shape)
}

/// The shape of [`Tensor::one_hot`].
#[doc(hidden)]
pub fn one_hot_shape(index: &[usize], num_classes: usize) -> Result<Shape, TensorError> {
    let mut shape = Shape::from_slice(index);
    shape.push(num_classes);
    checked_count("one_hot", &shape)?;
    Ok(shape)
}
