//! Embedding: rows of a table, and one-hot vectors.

use super::index::places;
use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::layout::row_major;
use crate::runtime::Buffer;
use crate::shape::{Shape, checked_count};
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// The rows of this table at `index`, of any shape: the result has the shape of `index`, then that of a row.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let table = Tensor::from([[1, 2], [3, 4], [5, 6]]);
    /// let rows = table.embedding(&Tensor::from([[2, 0]]));
    /// assert_eq!(rows, Tensor::from([[[5, 6], [1, 2]]]));
    /// ```
    ///
    /// # Panics
    /// If the table is 0-d, or an index is out of range.
    #[track_caller]
    pub fn embedding(&self, index: &Tensor<i64>) -> Self {
        let Some((&rows, row)) = self.shape().split_first() else {
            TensorError::argument(
                "embedding",
                "the number of axes of the table",
                "0",
                self.shape(),
                "it must be at least 1",
            )
            .panic()
        };
        let place = |i: i64| usize::try_from(i).ok().filter(|&i| i < rows);
        let places: Option<Vec<usize>> = index.iter().map(place).collect();
        let Some(places) = places else {
            let (number, wrong) =
                index.iter().enumerate().find(|(_, i)| place(*i).is_none()).expect("one of them");
            let strides = row_major(index.shape());
            let at: Vec<usize> = strides
                .iter()
                .zip(index.shape())
                .map(|(&stride, &size)| number / stride as usize % size)
                .collect();
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
        let shape: Shape = index.shape().iter().chain(row).copied().collect();
        checked_count("embedding", &shape).or_panic();
        self.select_slices(0, &places, &shape)
    }
}

impl Tensor<i64> {
    /// One-hot vectors along a new last axis of size `num_classes`: 1 at the index, 0 elsewhere.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([2, 0]).one_hot(3), Tensor::from([[0, 0, 1], [1, 0, 0]]));
    /// ```
    ///
    /// # Panics
    /// If an index is negative, or not less than `num_classes`.
    #[track_caller]
    pub fn one_hot(&self, num_classes: usize) -> Self {
        let mut shape = Shape::from_slice(self.shape());
        shape.push(num_classes);
        let count = checked_count("one_hot", &shape).or_panic();
        let places = places("one_hot", &shape, self.rank(), self).or_panic();
        let mut hot = Buffer::filled(count, 0);
        let data = hot.get_mut().expect("nobody else has it");
        for (i, place) in places.into_iter().enumerate() {
            data[i * num_classes + place] = 1;
        }
        Self::from_buffer(hot, &shape)
    }
}
