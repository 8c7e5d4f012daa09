//! The mean of squared differences.

use crate::element::Float;
use crate::kernels;
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// The mean of the squared differences from a tensor whose shape broadcasts with this one's: a number.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[doc(hidden)]
    #[track_caller]
    pub fn mean_squared_difference(&self, other: &Self) -> Self {
        let squares = self.zip(
            "mse_loss",
            other,
            #[inline(always)]
            |x, y| kernels::squared_difference(x, y),
        );
        let mean = squares.mean(..);
        if mean.item().is_finite() || mean.item().is_nan() {
            return mean;
        }
        let [x, y] = [self, other].map(|x| x.expand(squares.shape()).contiguous());
        Self::scalar(kernels::mean_of_large_squares(x.data(), y.data()))
    }
}
