//! Diagonals and triangles of matrices.

use super::view::check_rank;
use crate::element::{Element, Number};
use crate::error::{OrPanic, TensorError};
use crate::layout::Layout;
use crate::runtime::Buffer;
use crate::shape::{Dims, Shape, checked_count};
use crate::tensor::Tensor;

/// Diagonals. Diagonal 1 is above the main diagonal, diagonal -1 below it.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!(x.diagonal(1, 0, 1), Tensor::from([2, 6]));
/// assert_eq!(x.diag(-1), Tensor::from([4]));
/// assert_eq!(Tensor::from([1, 2]).diag(0), Tensor::from([[1, 0], [0, 2]]));
/// assert_eq!(x.tril(0), Tensor::from([[1, 0, 0], [4, 5, 0]]));
/// assert_eq!(x.triu(1), Tensor::from([[0, 2, 3], [0, 0, 6]]));
/// assert_eq!(x.trace().item(), 6);
/// ```
///
/// # Panics
/// Every method panics if an axis is out of range, both axes are the same, or the tensor is not a matrix (`diag` takes
/// vectors, `tril` and `triu` stacks of matrices, too).
impl<T: Element> Tensor<T> {
    /// The diagonal of two axes as a new last axis, in place of these two: the elements at `[i, i + offset]`, or at
    /// `[i - offset, i]` where the offset is negative. A view; beyond the corners it is empty.
    #[track_caller]
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Self {
        self.with_layout(diagonal(self.layout(), offset, axis1, axis2).or_panic())
    }

    /// A square matrix with these elements on a diagonal and zeros elsewhere; or the
    /// [`diagonal`](Self::diagonal) of a matrix.
    #[track_caller]
    pub fn diag(&self, diagonal: isize) -> Self {
        let shape = diag_shape(self.shape(), diagonal).or_panic();
        let &[size, _] = &shape[..] else { return self.diagonal(diagonal, 0, 1) };
        let mut data = Buffer::filled(size * size, T::default());
        let first = if diagonal < 0 { diagonal.unsigned_abs() * size } else { diagonal as usize };
        let elements = data.get_mut().expect("nobody else has it");
        for (i, x) in self.iter().enumerate() {
            elements[first + i * (size + 1)] = x;
        }
        Self::from_buffer(data, &shape)
    }

    /// The elements of the last two axes on a diagonal and below it, the others 0.
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Self {
        self.triangle("tril", |row, column| column.saturating_sub(row) <= diagonal)
    }

    /// The elements of the last two axes on a diagonal and above it, the others 0.
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Self {
        self.triangle("triu", |row, column| column.saturating_sub(row) >= diagonal)
    }

    #[track_caller]
    fn triangle(&self, operation: &'static str, keeps: impl Fn(isize, isize) -> bool) -> Self {
        check_rank(operation, self.shape()).or_panic();
        let [.., rows, columns] = *self.shape() else { unreachable!("checked") };
        let keeps = (0..rows * columns).map(|i| keeps((i / columns) as isize, (i % columns) as isize));
        let keeps = Tensor::<bool>::from_buffer(Buffer::collect(rows * columns, keeps), &[rows, columns]);
        self.zip(operation, &keeps, |x, keep| if keep { x } else { T::default() })
    }
}

impl<T: Number> Tensor<T> {
    /// The sum of the main diagonal of a matrix.
    #[track_caller]
    pub fn trace(&self) -> Self {
        trace_shape(self.shape()).or_panic();
        self.diagonal(0, 0, 1).sum(..)
    }
}

fn diagonal(layout: &Layout, offset: isize, axis1: isize, axis2: isize) -> Result<Layout, TensorError> {
    let axes = Dims::from([axis1, axis2]).resolve("diagonal", &layout.shape)?;
    let (first, second) = (axes[0], axes[1]);
    let (down, right) = if offset < 0 { (offset.unsigned_abs(), 0) } else { (0, offset as usize) };
    let (rows, columns) = (layout.shape[first], layout.shape[second]);
    let length = rows.saturating_sub(down).min(columns.saturating_sub(right));
    let (row, column) = (layout.strides[first], layout.strides[second]);
    let mut view = layout.remove_axis(first.max(second)).remove_axis(first.min(second));
    if length > 0 {
        view.offset = view.offset.wrapping_add_signed(down as isize * row + right as isize * column);
    }
    Ok(view.insert_axis(view.rank(), length, row + column))
}

/// The shape of [`Tensor::diagonal`].
#[doc(hidden)]
pub fn diagonal_shape(
    shape: &[usize],
    offset: isize,
    axis1: isize,
    axis2: isize,
) -> Result<Shape, TensorError> {
    Ok(diagonal(&Layout::contiguous(shape), offset, axis1, axis2)?.shape)
}

/// The shape of [`Tensor::diag`].
#[doc(hidden)]
pub fn diag_shape(shape: &[usize], diagonal: isize) -> Result<Shape, TensorError> {
    match *shape {
        [_, _] => diagonal_shape(shape, diagonal, 0, 1),
        [length] => {
            let size = length.saturating_add(diagonal.unsigned_abs());
            checked_count("diag", &[size, size])?;
            Ok(Shape::from_slice(&[size, size]))
        }
        _ => {
            let rank = shape.len();
            Err(TensorError::argument("diag", "the number of axes", rank, shape, "it must be 1 or 2"))
        }
    }
}

/// The shape of [`Tensor::tril`] and [`Tensor::triu`], by the name of either.
#[doc(hidden)]
pub fn triangle_shape(operation: &'static str, shape: &[usize]) -> Result<Shape, TensorError> {
    check_rank(operation, shape)?;
    Ok(shape.into())
}

/// The shape of [`Tensor::trace`].
#[doc(hidden)]
pub fn trace_shape(shape: &[usize]) -> Result<Shape, TensorError> {
    if shape.len() == 2 {
        return Ok(Shape::new());
    }
    Err(TensorError::argument("trace", "the number of axes", shape.len(), shape, "it must be 2"))
}
