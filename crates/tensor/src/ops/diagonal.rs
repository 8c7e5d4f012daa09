//! Diagonals of matrices, and what lies on one side of them.

use crate::element::{Element, Number};
use crate::error::{OrPanic, TensorError};
use crate::runtime::Buffer;
use crate::shape::{checked_count, resolve_axis};
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// The elements of two axes at `[i, i + offset]` (`[i - offset, i]` below the main diagonal, where the offset is
    /// negative) as a last axis, in place of these two. A view; beyond the corners it is empty.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.diagonal(0, 0, 1), Tensor::from([1, 5]));
    /// assert_eq!(x.diagonal(1, 0, 1), Tensor::from([2, 6]));
    /// assert_eq!(x.diagonal(-1, 0, 1), Tensor::from([4]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range, or both are the same.
    #[track_caller]
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Self {
        let first = resolve_axis("diagonal", axis1, self.shape()).or_panic();
        let second = resolve_axis("diagonal", axis2, self.shape()).or_panic();
        if first == second {
            TensorError::RepeatedAxis {
                operation: "diagonal",
                axes: vec![axis1, axis2],
                shape: self.shape().into(),
            }
            .panic();
        }
        let (down, right) = if offset < 0 { (offset.unsigned_abs(), 0) } else { (0, offset as usize) };
        let (rows, columns) = (self.shape()[first], self.shape()[second]);
        let length = rows.saturating_sub(down).min(columns.saturating_sub(right));
        let mut layout = self.layout().clone();
        if length > 0 {
            layout.offset = layout.offset.wrapping_add_signed(
                down as isize * layout.strides[first] + right as isize * layout.strides[second],
            );
        }
        let stride = layout.strides[first] + layout.strides[second];
        let layout = layout.remove_axis(first.max(second)).remove_axis(first.min(second));
        self.with_layout(layout.insert_axis(layout.rank(), length, stride))
    }

    /// A square matrix with these elements on a diagonal and zeros elsewhere; of a matrix, that
    /// [`diagonal`](Self::diagonal).
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1, 2]).diag(0), Tensor::from([[1, 0], [0, 2]]));
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).diag(1), Tensor::from([2]));
    /// ```
    ///
    /// # Panics
    /// Unless there are one or two axes.
    #[track_caller]
    pub fn diag(&self, diagonal: isize) -> Self {
        match *self.shape() {
            [_, _] => self.diagonal(diagonal, 0, 1),
            [length] => {
                let size = length.saturating_add(diagonal.unsigned_abs());
                let shape = [size, size];
                let count = checked_count("diag", &shape).or_panic();
                let mut data = Buffer::filled(count, T::default());
                let first = if diagonal < 0 { diagonal.unsigned_abs() * size } else { diagonal as usize };
                let elements = data.get_mut().expect("nobody else has it");
                for (i, x) in self.iter().enumerate() {
                    elements[first + i * (size + 1)] = x;
                }
                Self::from_buffer(data, &shape)
            }
            _ => TensorError::argument(
                "diag",
                "the number of axes",
                self.rank(),
                self.shape(),
                "it must be 1 or 2",
            )
            .panic(),
        }
    }

    /// The elements of the last two axes on a diagonal and below it, the others 0.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.tril(0), Tensor::from([[1, 0, 0], [4, 5, 0]]));
    /// assert_eq!(x.tril(1), Tensor::from([[1, 2, 0], [4, 5, 6]]));
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Self {
        self.triangle("tril", |row, column| column.saturating_sub(row) <= diagonal)
    }

    /// The elements of the last two axes on a diagonal and above it, the others 0.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Self {
        self.triangle("triu", |row, column| column.saturating_sub(row) >= diagonal)
    }

    #[track_caller]
    fn triangle(&self, operation: &'static str, keeps: impl Fn(isize, isize) -> bool) -> Self {
        let [.., rows, columns] = *self.shape() else { few_axes(operation, self.shape()) };
        let keeps = (0..rows * columns).map(|i| keeps((i / columns) as isize, (i % columns) as isize));
        let keeps = Tensor::<bool>::from_buffer(Buffer::collect(rows * columns, keeps), &[rows, columns]);
        self.zip(operation, &keeps, |x, keep| if keep { x } else { T::default() })
    }
}

impl<T: Number> Tensor<T> {
    /// The sum of the main diagonal of a matrix.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).trace().item(), 6);
    /// ```
    ///
    /// # Panics
    /// Unless there are two axes.
    #[track_caller]
    pub fn trace(&self) -> Self {
        if self.rank() != 2 {
            TensorError::argument("trace", "the number of axes", self.rank(), self.shape(), "it must be 2")
                .panic();
        }
        self.diagonal(0, 0, 1).sum(..)
    }
}

#[track_caller]
fn few_axes(operation: &'static str, shape: &[usize]) -> ! {
    TensorError::argument(operation, "the number of axes", shape.len(), shape, "it must be at least 2")
        .panic()
}
