//! Softmax and its logarithm, without overflow.

use crate::dims::resolve_axis;
use crate::element::Float;
use crate::error::OrPanic;
use crate::kernels::{self, Buffer};
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// e^x / sum(e^x) along an axis: positive numbers that add up to 1.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1000.0_f32, 1000.0]).softmax(0), Tensor::from([0.5, 0.5]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Self {
        self.map_lanes("softmax", axis, kernels::softmax_rows)
    }

    /// The logarithm of [`softmax`](Self::softmax), accurate where that is nearly 0 or 1.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([0.0_f32, -1000.0]).log_softmax(0), Tensor::from([0.0, -1000.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Self {
        self.map_lanes("log_softmax", axis, kernels::log_softmax_rows)
    }

    /// Lanes along the axis replaced by others of the same length.
    #[track_caller]
    fn map_lanes(
        &self,
        operation: &'static str,
        axis: isize,
        rows: impl Fn(&[T], usize) -> Buffer<T>,
    ) -> Self {
        let axis = resolve_axis(operation, axis, self.shape()).or_panic() as isize;
        let lanes = self.transpose(axis, -1).contiguous();
        let data = lanes.as_slice().expect("just made contiguous");
        let length = lanes.shape()[lanes.rank() - 1];
        Self::from_buffer(rows(data, length), lanes.shape()).transpose(axis, -1).contiguous()
    }
}
