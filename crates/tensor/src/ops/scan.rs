//! Running sums and products along an axis.

use crate::element::Number;
use crate::error::{OrPanic, TensorError};
use crate::kernels;
use crate::shape::{Shape, expands, from_front, lane_axis, spans};
use crate::tensor::Tensor;

/// Running sums and products along an axis; [`Number`] says how integers overflow.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!(x.cumsum(1), Tensor::from([[1, 3, 6], [4, 9, 15]]));
/// assert_eq!(x.cumprod(0), Tensor::from([[1, 2, 3], [4, 10, 18]]));
/// let faded = Tensor::from([1.0, 1.0, 1.0]).linear_recurrence(0, &Tensor::from(0.5));
/// assert_eq!(faded, Tensor::from([1.0, 1.5, 1.75]));
/// ```
///
/// # Panics
/// Every method panics if the axis is out of range, or the factors cannot be expanded to the tensor's shape.
impl<T: Number> Tensor<T> {
    /// The running sum along an axis, each element as accurate as a [`sum`](Self::sum).
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Self {
        let axis = lane_axis("cumsum", axis, self.shape()).or_panic();
        Self::from_buffer(kernels::running_sums(self.strided(), spans(self.shape(), axis)), self.shape())
    }

    /// The running product along an axis. A product that is in range is right even if one before it is not.
    #[track_caller]
    pub fn cumprod(&self, axis: isize) -> Self {
        let axis = lane_axis("cumprod", axis, self.shape()).or_panic();
        Self::from_buffer(kernels::running_products(self.strided(), spans(self.shape(), axis)), self.shape())
    }

    /// The linear recurrence `out[i] = factors[i] * out[i - 1] + self[i]` along an axis, starting at `out[-1] = 0`. The
    /// factors are expanded to this tensor's shape. Rounding errors do not add up along the axis.
    #[track_caller]
    pub fn linear_recurrence(&self, axis: isize, factors: &Self) -> Self {
        linear_recurrence_shape(self.shape(), axis, factors.shape()).or_panic();
        let factors = factors.expand(self.shape()).contiguous();
        let lanes = spans(self.shape(), from_front(axis, self.rank()));
        Self::from_buffer(kernels::recurrence(self.strided(), factors.data(), lanes), self.shape())
    }
}

/// The shape of [`Tensor::linear_recurrence`].
#[doc(hidden)]
pub fn linear_recurrence_shape(
    shape: &[usize],
    axis: isize,
    factors: &[usize],
) -> Result<Shape, TensorError> {
    lane_axis("linear_recurrence", axis, shape)?;
    if expands(factors, shape) {
        return Ok(shape.into());
    }
    let expected = "the second, of the factors, must expand to the first";
    Err(TensorError::mismatch("linear_recurrence", shape, factors, expected))
}

/// The shape of operations that work along one axis lane by lane, by the name of one of them: `softmax`, `log_softmax`,
/// `cumsum`, `cumprod` and `sort`.
#[doc(hidden)]
pub fn lanes_shape(operation: &'static str, shape: &[usize], axis: isize) -> Result<Shape, TensorError> {
    lane_axis(operation, axis, shape)?;
    Ok(shape.into())
}
