//! Softmax and its logarithm, without overflow.

use crate::element::{Element, Float};
use crate::error::{OrPanic, TensorError};
use crate::runtime::Buffer;
use crate::shape::{Shape, from_front, lane_axis, resolve_axis};
use crate::tensor::Tensor;

/// Softmax and cross-entropy along an axis.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let (logits, targets) = (Tensor::from([[0.0_f64, 0.0], [-1000.0, 0.0]]), Tensor::from([0, 1]));
/// assert_eq!(logits.softmax(1), Tensor::from([[0.5, 0.5], [0.0, 1.0]]));
/// assert_eq!(logits.log_softmax(1)[[1, 0]], -1000.0);
/// assert_eq!(logits.cross_entropy(1, &targets).item(), 2.0_f64.ln() / 2.0);
/// let gradient = logits.softmax_minus_one_hot(1, &targets, 0.5);
/// assert_eq!(gradient, Tensor::from([[-0.25, 0.25], [0.0, 0.0]]));
/// ```
///
/// # Panics
/// Every method panics if the axis is out of range, the shape of the targets does not fit, or a target is not an index along
/// the axis.
impl<T: Float> Tensor<T> {
    /// e^x / sum(e^x) along an axis: numbers that add up to 1.
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Self {
        self.map_lanes("softmax", axis, T::softmax_rows)
    }

    /// The logarithm of [`softmax`](Self::softmax), accurate even where the softmax is nearly 0 or 1.
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Self {
        self.map_lanes("log_softmax", axis, T::log_softmax_rows)
    }

    /// The mean of -log(softmax) at the places that `targets`, of this shape without the axis, names along the
    /// axis; NaN over nothing.
    #[track_caller]
    pub fn cross_entropy(&self, axis: isize, targets: &Tensor<i64>) -> Self {
        cross_entropy_shape(self.shape(), axis, targets.shape()).or_panic();
        let axis = from_front(axis, self.rank());
        let targets = self.indices(axis, targets);
        let count = T::from_f64(targets.len() as f64);
        let lanes = self.moved_axis(axis, self.rank() - 1).contiguous();
        let losses = T::cross_entropy_rows(lanes.data(), self.shape()[axis], &targets);
        Self::from_buffer(losses, &[targets.len()]).sum(..) / count
    }

    /// `scale * (softmax(self) - one_hot(targets))`: for each lane along the axis the softmax, less 1 at its
    /// target; see [`cross_entropy`](Self::cross_entropy).
    #[track_caller]
    pub fn softmax_minus_one_hot(&self, axis: isize, targets: &Tensor<i64>, scale: T) -> Self {
        softmax_minus_one_hot_shape(self.shape(), axis, targets.shape()).or_panic();
        let targets = self.indices(from_front(axis, self.rank()), targets);
        let rows = |x: &[T], length| T::softmax_minus_one_hot_rows(x, length, &targets, scale);
        self.map_lanes("softmax_minus_one_hot", axis, rows)
    }

    /// The targets of [`cross_entropy`](Self::cross_entropy) as indices.
    #[track_caller]
    fn indices(&self, axis: usize, targets: &Tensor<i64>) -> Vec<usize> {
        let shape = self.shape();
        let classes = shape[axis];
        let mut indices = Vec::with_capacity(targets.len());
        for target in targets {
            assert!(
                (0..classes as i64).contains(&target),
                "cross_entropy: target {target} is out of range for logits of shape {shape:?}: with {classes} \
                 classes, allowed are 0 to {}",
                classes as i64 - 1
            );
            indices.push(target as usize);
        }
        indices
    }

    /// The lanes along the axis replaced by `rows` of them.
    #[track_caller]
    fn map_lanes(
        &self,
        operation: &'static str,
        axis: isize,
        rows: impl Fn(&[T], usize) -> Buffer<T>,
    ) -> Self {
        let from = lane_axis(operation, axis, self.shape()).or_panic();
        let (last, lanes) = self.lanes(from);
        let length = self.shape().get(from).copied().unwrap_or(1);
        Self::from_buffer(rows(lanes.data(), length), lanes.shape()).moved_axis(last, from).contiguous()
    }
}

impl<T: Element> Tensor<T> {
    /// The last axis, and this tensor with the axis moved there, so that its lanes are contiguous.
    pub(crate) fn lanes(&self, axis: usize) -> (usize, Self) {
        let last = self.rank().saturating_sub(1);
        (last, self.moved_axis(axis, last).contiguous())
    }

    /// One axis moved to another place, the others in their order.
    pub(crate) fn moved_axis(&self, from: usize, to: usize) -> Self {
        if from == to {
            return self.clone();
        }
        let mut order: Shape = (0..self.rank()).filter(|&axis| axis != from).collect();
        order.insert(to, from);
        self.with_layout(self.layout().permute(&order))
    }
}

/// There must be a target for each lane along the axis.
fn check_targets(
    operation: &'static str,
    shape: &[usize],
    axis: isize,
    targets: &[usize],
) -> Result<(), TensorError> {
    let axis = resolve_axis(operation, axis, shape)?;
    let mut expected = Shape::from_slice(shape);
    expected.remove(axis);
    if targets == &expected[..] {
        return Ok(());
    }
    let fault = format!(
        "the logits have shape {shape:?} and the targets {targets:?}: the targets must have shape {expected:?}, \
         without the axis of classes"
    );
    Err(TensorError::invalid("cross_entropy", fault))
}

/// The shape of [`Tensor::cross_entropy`].
#[doc(hidden)]
pub fn cross_entropy_shape(shape: &[usize], axis: isize, targets: &[usize]) -> Result<Shape, TensorError> {
    check_targets("cross_entropy", shape, axis, targets)?;
    Ok(Shape::new())
}

/// The shape of [`Tensor::softmax_minus_one_hot`].
#[doc(hidden)]
pub fn softmax_minus_one_hot_shape(
    shape: &[usize],
    axis: isize,
    targets: &[usize],
) -> Result<Shape, TensorError> {
    check_targets("softmax_minus_one_hot", shape, axis, targets)?;
    Ok(shape.into())
}
