//! Norms of matrices.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::ops::decompositions::matrix;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// A norm of matrices, or a number like one; in brackets the `ord` of NumPy and PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixNorm {
    /// The root of the sum of the squares of all elements ("fro").
    Frobenius,
    /// The sum of the singular values ("nuc").
    Nuclear,
    /// The largest singular value (2).
    Spectral,
    /// The smallest singular value (-2).
    SmallestSingular,
    /// The largest sum of magnitudes in a column (1).
    LargestColumn,
    /// The smallest sum of magnitudes in a column (-1).
    SmallestColumn,
    /// The largest sum of magnitudes in a row (infinity).
    LargestRow,
    /// The smallest sum of magnitudes in a row (minus infinity).
    SmallestRow,
}

impl<T: Float> Tensor<T> {
    /// A norm of each matrix, `[..., m, n]` to `[...]`. If an element is NaN or infinite, the norms that are made of
    /// singular values are NaN, of all matrices of the stack.
    ///
    /// ```
    /// use gradus_tensor::{MatrixNorm, Tensor};
    ///
    /// let a = Tensor::from([[3.0, 0.0], [0.0, -4.0]]);
    /// assert_eq!(a.matrix_norm(MatrixNorm::Frobenius).item(), 5.0);
    /// assert_eq!(a.matrix_norm(MatrixNorm::Nuclear).item(), 7.0);
    /// assert_eq!(a.matrix_norm(MatrixNorm::Spectral).item(), 4.0);
    /// assert_eq!(a.matrix_norm(MatrixNorm::SmallestRow).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// If there are no two axes, or a matrix without elements is asked for a largest or a smallest number.
    #[track_caller]
    pub fn matrix_norm(&self, norm: MatrixNorm) -> Self {
        matrix_norm_shape(self.shape(), norm).or_panic();
        let singular = || {
            let [.., m, n] = *self.shape() else { unreachable!("matrices have two axes") };
            let shape = [&self.shape()[..self.rank() - 2], &[m.min(n)]].concat();
            self.svdvals().unwrap_or_else(|_| Self::full(shape, T::NAN))
        };
        let sums = |axis: isize| self.abs().sum(axis);
        match norm {
            MatrixNorm::Frobenius => self.norm(2.0, [-2, -1]),
            MatrixNorm::Nuclear => singular().sum(-1),
            MatrixNorm::Spectral => singular().max(-1),
            MatrixNorm::SmallestSingular => singular().min(-1),
            MatrixNorm::LargestColumn => sums(-2).max(-1),
            MatrixNorm::SmallestColumn => sums(-2).min(-1),
            MatrixNorm::LargestRow => sums(-1).max(-1),
            MatrixNorm::SmallestRow => sums(-1).min(-1),
        }
    }
}

/// The shape of [`Tensor::matrix_norm`].
#[doc(hidden)]
pub fn matrix_norm_shape(shape: &[usize], norm: MatrixNorm) -> Result<Shape, TensorError> {
    let [m, n] = matrix("matrix_norm", shape)?;
    if !matches!(norm, MatrixNorm::Frobenius | MatrixNorm::Nuclear) && m * n == 0 {
        return Err(TensorError::invalid(
            "matrix_norm",
            format!("the shape is {shape:?}: matrices without elements have no largest or smallest number"),
        ));
    }
    Ok(shape[..shape.len() - 2].into())
}
