//! Running sums and products along an axis.

use crate::element::Number;
use crate::error::{OrPanic, TensorError};
use crate::kernels;
use crate::shape::{broadcast_shapes, lane_axis, spans};
use crate::tensor::Tensor;

impl<T: Number> Tensor<T> {
    /// The running sum along an axis, each element of it as accurate as [`sum`](Self::sum) is.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).cumsum(1), Tensor::from([[1, 3, 6], [4, 9, 15]]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Self {
        let axis = lane_axis("cumsum", axis, self.shape()).or_panic();
        Self::from_buffer(kernels::running_sums(self.strided(), spans(self.shape(), axis)), self.shape())
    }

    /// The running product along an axis. A product that is in range is right even if one before it is not.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).cumprod(0), Tensor::from([[1, 2, 3], [4, 10, 18]]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn cumprod(&self, axis: isize) -> Self {
        let axis = lane_axis("cumprod", axis, self.shape()).or_panic();
        Self::from_buffer(kernels::running_products(self.strided(), spans(self.shape(), axis)), self.shape())
    }

    /// `out[i] = factors[i] * out[i - 1] + self[i]` along an axis, with nothing before the first: sums that fade, or
    /// grow. The factors are expanded to this tensor's shape. Rounding errors do not add up along the axis.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1.0, 1.0, 1.0]);
    /// assert_eq!(x.linear_recurrence(0, &Tensor::from(0.5)), Tensor::from([1.0, 1.5, 1.75]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, or the factors cannot be expanded to this shape.
    #[track_caller]
    pub fn linear_recurrence(&self, axis: isize, factors: &Self) -> Self {
        let axis = lane_axis("linear_recurrence", axis, self.shape()).or_panic();
        let common = broadcast_shapes("linear_recurrence", self.shape(), factors.shape());
        if !common.is_ok_and(|common| common[..] == *self.shape()) {
            TensorError::mismatch(
                "linear_recurrence",
                self.shape(),
                factors.shape(),
                "the second, of the factors, must expand to the first",
            )
            .panic();
        }
        let factors = factors.expand(self.shape()).contiguous();
        let factors = factors.as_slice().expect("made contiguous");
        Self::from_buffer(
            kernels::recurrence(self.strided(), factors, spans(self.shape(), axis)),
            self.shape(),
        )
    }
}
