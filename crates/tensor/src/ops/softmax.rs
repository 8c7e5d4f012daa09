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
/// assert_eq!(logits.cross_entropy(1, &targets, None).item(), 2.0_f64.ln() / 2.0);
/// let gradient = logits.softmax_minus_one_hot(1, &targets, None, 0.5);
/// assert_eq!(gradient, Tensor::from([[-0.25, 0.25], [0.0, 0.0]]));
///
/// let targets = Tensor::from([0, -1]);
/// assert_eq!(logits.cross_entropy(1, &targets, Some(-1)).item(), 2.0_f64.ln());
/// ```
///
/// # Panics
/// Every method panics if the axis is out of range, the shape of the targets does not fit, or a target is neither an index
/// along the axis nor `ignore_index`.
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

    /// The mean of -log(softmax) at the places that `targets`, of this shape without the axis, names along the axis. Lanes
    /// whose target is `ignore_index` do not count. NaN over nothing.
    #[track_caller]
    pub fn cross_entropy(&self, axis: isize, targets: &Tensor<i64>, ignore_index: Option<i64>) -> Self {
        cross_entropy_shape(self.shape(), axis, targets.shape()).or_panic();
        let axis = from_front(axis, self.rank());
        let targets = self.indices(axis, targets, ignore_index);
        let targets = targets.as_slice();
        let count = targets.iter().filter(|target| target.is_some()).count();
        let lanes = self.moved_axis(axis, self.rank() - 1).contiguous();
        let losses = T::cross_entropy_rows(lanes.data(), self.shape()[axis], targets);
        Self::from_buffer(losses, &[targets.len()]).sum(..) / T::from_f64(count as f64)
    }

    /// `scale * (softmax(self) - one_hot(targets))`: for each lane along the axis the softmax, less 1 at its target; zeros
    /// for lanes whose target is `ignore_index`. See [`cross_entropy`](Self::cross_entropy).
    #[track_caller]
    pub fn softmax_minus_one_hot(
        &self,
        axis: isize,
        targets: &Tensor<i64>,
        ignore_index: Option<i64>,
        scale: T,
    ) -> Self {
        softmax_minus_one_hot_shape(self.shape(), axis, targets.shape()).or_panic();
        let targets = self.indices(from_front(axis, self.rank()), targets, ignore_index);
        let rows = |x: &[T], length| T::softmax_minus_one_hot_rows(x, length, targets.as_slice(), scale);
        self.map_lanes("softmax_minus_one_hot", axis, rows)
    }

    /// The targets of [`cross_entropy`](Self::cross_entropy) as indices, if they are not ignored.
    #[track_caller]
    fn indices(
        &self,
        axis: usize,
        targets: &Tensor<i64>,
        ignore_index: Option<i64>,
    ) -> Buffer<Option<usize>> {
        let classes = self.shape()[axis];
        let is_ignored = |target: i64| ignore_index == Some(target);
        let targets = targets.contiguous();
        let targets = targets.data();
        let is_valid = |target: i64| is_ignored(target) || (0..classes as i64).contains(&target);
        if let Some(&target) = targets.iter().find(|target| !is_valid(**target)) {
            panic!("{}", invalid_target("cross_entropy", target, self.shape(), classes, ignore_index))
        }
        let index = |&target: &i64| (!is_ignored(target)).then_some(target as usize);
        Buffer::collect(targets.len(), targets.iter().map(index))
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

/// The error for a target that is no class.
#[doc(hidden)]
pub fn invalid_target(
    operation: &'static str,
    target: i64,
    shape: &[usize],
    classes: usize,
    ignore_index: Option<i64>,
) -> TensorError {
    let ignored = match ignore_index {
        Some(ignored) => format!(", and `ignore_index`, {ignored}"),
        None => String::new(),
    };
    let last = classes as i64 - 1;
    let fault = format!(
        "target {target} is out of range for logits of shape {shape:?}: with {classes} classes, allowed are 0 to \
         {last}{ignored}"
    );
    TensorError::invalid(operation, fault)
}

/// There must be a target for each lane along the axis.
#[doc(hidden)]
pub fn check_targets(
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
         without axis {axis}, which has the classes"
    );
    Err(TensorError::invalid(operation, fault))
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
    check_targets("cross_entropy", shape, axis, targets)?;
    Ok(shape.into())
}
