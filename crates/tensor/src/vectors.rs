//! Products of vectors.

use crate::element::Number;
use crate::error::TensorError;
use crate::tensor::Tensor;

impl<T: Number> Tensor<T> {
    /// The product of each element with each of another: `out[i, j] = self[i] * other[j]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let product = Tensor::from([1, 2]).outer(&Tensor::from([3, 4, 5]));
    /// assert_eq!(product, Tensor::from([[3, 4, 5], [6, 8, 10]]));
    /// ```
    ///
    /// # Panics
    /// Unless both have one axis.
    #[track_caller]
    pub fn outer(&self, other: &Self) -> Self {
        if self.rank() != 1 || other.rank() != 1 {
            vectors("outer", self.shape(), other.shape(), "both must have one axis");
        }
        self.unsqueeze(1).zip("outer", other, T::wrapping_mul)
    }

    /// The inner product of two vectors: the sum of the products of their elements.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1, 2]).dot(&Tensor::from([3, 4])).item(), 11);
    /// ```
    ///
    /// # Panics
    /// Unless both have one axis, of the same size.
    #[track_caller]
    pub fn dot(&self, other: &Self) -> Self {
        if self.rank() != 1 || self.shape() != other.shape() {
            vectors("dot", self.shape(), other.shape(), "both must have one axis, of the same size");
        }
        self.zip("dot", other, T::wrapping_mul).sum(..)
    }
}

#[track_caller]
fn vectors(operation: &'static str, left: &[usize], right: &[usize], expected: &'static str) -> ! {
    TensorError::Mismatch { operation, left: left.into(), right: right.into(), expected }.panic()
}
