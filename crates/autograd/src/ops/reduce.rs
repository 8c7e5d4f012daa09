//! Sums, means and extremes over any set of axes.

use gradus_tensor::fused::Reduction;
use gradus_tensor::shapes::{extreme_shape, reduced_shape};
use gradus_tensor::{Axes, Float, Shape, Tensor, TensorError};

use super::operations::operations;
use crate::tape::{Batch, DiscreteOperation, Fusion, Indices, Inputs, Var, apply, decide, is_recorded};

/// The axes of a reduction, from the front.
#[derive(Debug, Clone)]
pub(crate) struct Reduced {
    pub(super) axes: Shape,
    keepdim: bool,
}

impl Reduced {
    #[track_caller]
    pub(crate) fn new(operation: &'static str, axes: impl Into<Axes>, shape: &[usize]) -> Self {
        let axes = axes.into();
        Self { keepdim: axes.keeps_dims(), axes: axes.resolve(operation, shape) }
    }

    /// The same reduction of tensors with an axis of a batch in front.
    pub(super) fn behind_batch(&self) -> Self {
        Self { axes: behind_batch(&self.axes), keepdim: self.keepdim }
    }

    pub(super) fn axes(&self) -> Axes {
        let axes = Axes::from(self.axes.clone());
        if self.keepdim { gradus_tensor::keepdim(axes) } else { axes }
    }

    /// The number of elements in each reduction of a tensor of this shape.
    pub(super) fn count(&self, shape: &[usize]) -> usize {
        self.axes.iter().map(|&axis| shape[axis]).product()
    }

    /// A result, or its cotangent, with the reduced axes back at size 1, so that it broadcasts.
    pub(crate) fn restore<T: Float>(&self, reduced: &Var<T>, shape: &[usize]) -> Var<T> {
        let mut shape = Shape::from_slice(shape);
        for &axis in &self.axes {
            shape[axis] = 1;
        }
        if self.keepdim { reduced.clone() } else { reduced.reshape(shape) }
    }

    /// The derivative of an extreme: 1 for the winner, divided equally among several. A small change of the input
    /// does not change the winners, so it is a constant.
    fn share<T: Float>(&self, x: &Var<T>, output: &Var<T>) -> Var<T> {
        let winner = self.restore(output, x.shape());
        let won = Var::where_(x.eq(winner), T::ONE, T::ZERO);
        &won / won.sum(gradus_tensor::keepdim(self.axes.clone()))
    }
}

fn extreme(largest: bool) -> Reduction {
    if largest { Reduction::Max } else { Reduction::Min }
}

/// Axes, counted from the front, of a tensor with an axis of a batch in front.
pub(super) fn behind_batch(axes: &[usize]) -> Shape {
    axes.iter().map(|axis| axis + 1).collect()
}

operations! {
    Linear Sum(over: Reduced): "sum",
        shape |x| reduced_shape("sum", x[0], &over.axes()),
        forward |x| x[0].sum(over.axes()),
        vjp |context, _| over.restore(context.cotangent(), context.shape(0)).expand(context.shape(0)),
        batched |batch| batch.apply(Self(over.behind_batch())),
        into |x, y| x[0].reduce_into(Reduction::Sum, &over.axes, y),
        fusion Fusion::Reduce(Reduction::Sum, over.axes.clone());

    Linear Mean(over: Reduced): "mean",
        shape |x| reduced_shape("mean", x[0], &over.axes()),
        forward |x| x[0].mean(over.axes()),
        vjp |context, _| {
            let shape = context.shape(0);
            let share = context.cotangent() / T::from_f64(over.count(shape) as f64);
            over.restore(&share, shape).expand(shape)
        },
        batched |batch| batch.apply(Self(over.behind_batch())),
        into |x, y| x[0].reduce_into(Reduction::Mean, &over.axes, y),
        fusion Fusion::Reduce(Reduction::Mean, over.axes.clone());

    /// The largest or the smallest element.
    Nonlinear Extreme { largest: bool, over: Reduced }: if *largest { "max" } else { "min" },
        shape |x| extreme_shape(if *largest { "max" } else { "min" }, x[0], &over.axes()),
        forward |x| if *largest { x[0].max(over.axes()) } else { x[0].min(over.axes()) },
        vjp |context, _| {
            let share = over.share(&context.input(0), &context.output());
            share.gated(&over.restore(context.cotangent(), context.shape(0)))
        },
        jvp |context, _| {
            let share = over.share(&context.input(0), &context.output());
            share.gated(context.tangent()).sum(over.axes())
        },
        batched |batch| batch.apply(Self { largest: *largest, over: over.behind_batch() }),
        into |x, y| x[0].reduce_into(extreme(*largest), &over.axes, y),
        fusion Fusion::Reduce(extreme(*largest), over.axes.clone());

    Nonlinear LogSumExp(over: Reduced): "logsumexp",
        shape |x| reduced_shape("logsumexp", x[0], &over.axes()),
        forward |x| x[0].logsumexp(over.axes()),
        vjp |context, _| {
            let x = context.input(0);
            let [y, g] = [&context.output(), context.cotangent()].map(|y| over.restore(y, x.shape()));
            (x - y).exp().gated(&g)
        },
        jvp |context, _| {
            let x = context.input(0);
            let y = over.restore(&context.output(), x.shape());
            (x - y).exp().gated(context.tangent()).sum(over.axes())
        },
        batched |batch| batch.apply(Self(over.behind_batch()));
}

#[derive(Debug)]
struct ArgExtreme {
    largest: bool,
    over: Reduced,
}

impl<T: Float> DiscreteOperation<T, i64> for ArgExtreme {
    fn name(&self) -> &'static str {
        if self.largest { "argmax" } else { "argmin" }
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(extreme_shape(if self.largest { "argmax" } else { "argmin" }, inputs[0], &self.over.axes()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        let axes = self.over.axes();
        if self.largest { inputs[0].argmax(axes) } else { inputs[0].argmin(axes) }
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Indices<T>> {
        Some(batch.decide(Self { largest: self.largest, over: self.over.behind_batch() }))
    }
}

impl<T: Float> Var<T> {
    /// The sum over the axes; 0 over nothing.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var, keepdim};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(x.sum(..).item(), 10.0);
    /// assert_eq!(x.sum(0).value(), &Tensor::from([4.0, 6.0]));
    /// assert_eq!(x.sum(keepdim(1)).shape(), [2, 1]);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn sum(&self, axes: impl Into<Axes>) -> Self {
        apply(Sum(Reduced::new("sum", axes, self.shape())), &[self])
    }

    /// The mean over the axes; NaN over nothing.
    ///
    /// See [`Tensor::mean`](gradus_tensor::Tensor::mean) for shapes and panics.
    #[track_caller]
    pub fn mean(&self, axes: impl Into<Axes>) -> Self {
        apply(Mean(Reduced::new("mean", axes, self.shape())), &[self])
    }

    /// The largest element over the axes; NaN if there is one. Equally large elements share the derivative evenly.
    ///
    /// See [`Tensor::max`](gradus_tensor::Tensor::max) for shapes and panics.
    #[track_caller]
    pub fn max(&self, axes: impl Into<Axes>) -> Self {
        apply(Extreme { largest: true, over: Reduced::new("max", axes, self.shape()) }, &[self])
    }

    /// The smallest element over the axes; NaN if there is one. Equally small elements share the derivative evenly.
    ///
    /// See [`Tensor::min`](gradus_tensor::Tensor::min) for shapes and panics.
    #[track_caller]
    pub fn min(&self, axes: impl Into<Axes>) -> Self {
        apply(Extreme { largest: false, over: Reduced::new("min", axes, self.shape()) }, &[self])
    }

    /// log(sum(e^x)) over the axes, without overflow.
    ///
    /// See [`Tensor::logsumexp`](gradus_tensor::Tensor::logsumexp) for shapes and panics.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Into<Axes>) -> Self {
        apply(LogSumExp(Reduced::new("logsumexp", axes, self.shape())), &[self])
    }

    /// The index of the largest element along an axis, or in the logical order of several axes; of equal elements the
    /// first, and of NaN the first NaN.
    ///
    /// See [`Tensor::argmax`](gradus_tensor::Tensor::argmax) for shapes and panics.
    #[track_caller]
    pub fn argmax(&self, axes: impl Into<Axes>) -> Indices<T> {
        decide(ArgExtreme { largest: true, over: Reduced::new("argmax", axes, self.shape()) }, &[self])
    }

    /// The index of the smallest element along an axis, or in the logical order of several axes; of equal elements the
    /// first, and of NaN the first NaN.
    ///
    /// See [`Tensor::argmin`](gradus_tensor::Tensor::argmin) for shapes and panics.
    #[track_caller]
    pub fn argmin(&self, axes: impl Into<Axes>) -> Indices<T> {
        decide(ArgExtreme { largest: false, over: Reduced::new("argmin", axes, self.shape()) }, &[self])
    }

    /// The largest element over the axes and its index: [`max`](Self::max) and [`argmax`](Self::argmax).
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 4.0], [3.0, 2.0]]));
    /// let (largest, places) = x.max_with_indices(1);
    /// assert_eq!(largest.value(), &Tensor::from([4.0, 3.0]));
    /// assert_eq!(places, Tensor::from([1, 0]));
    /// ```
    #[track_caller]
    pub fn max_with_indices(&self, axes: impl Into<Axes>) -> (Self, Indices<T>) {
        let axes = axes.into();
        (self.max(axes.clone()), self.argmax(axes))
    }

    /// The smallest element over the axes and its index: [`min`](Self::min) and [`argmin`](Self::argmin).
    #[track_caller]
    pub fn min_with_indices(&self, axes: impl Into<Axes>) -> (Self, Indices<T>) {
        let axes = axes.into();
        (self.min(axes.clone()), self.argmin(axes))
    }

    /// The sum over those axes that a broadcast from `shape` to this shape adds or repeats.
    ///
    /// See [`Tensor::sum_to_size`](gradus_tensor::Tensor::sum_to_size) for shapes and panics.
    #[track_caller]
    pub fn sum_to_size(&self, shape: impl AsRef<[usize]>) -> Self {
        let shape = shape.as_ref();
        if !is_recorded(&[self]) {
            return Self::constant(self.value().sum_to_size(shape));
        }
        let fits = gradus_tensor::broadcast_shapes("sum_to_size", shape, self.shape());
        assert!(
            fits.is_ok_and(|common| common[..] == *self.shape()),
            "sum_to_size: shape {shape:?} does not broadcast to {:?}: counted from the end, its sizes must be equal or 1",
            self.shape()
        );
        let added = self.rank() - shape.len();
        let repeated = |axis: &usize| *axis < added || shape[axis - added] == 1 && self.shape()[*axis] != 1;
        let axes: Shape = (0..self.rank()).filter(repeated).collect();
        let sum = self.sum(axes);
        if sum.shape() == shape { sum } else { sum.reshape(shape) }
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case, reductions};
    vec![
        case!("sum", (shape, axes) in reductions(0), [shape], |x| x.sum(axes)),
        case!("mean", (shape, axes) in reductions(1), [shape], |x| x.mean(axes)),
        case!("max", (shape, axes) in reductions(1), [shape], |x| x.max(axes)),
        case!("min", (shape, axes) in reductions(1), [shape], |x| x.min(axes)),
        case!("max_with_indices", (shape, axes) in reductions(1), [shape], |x| x.max_with_indices(axes).0),
        case!("min_with_indices", (shape, axes) in reductions(1), [shape], |x| x.min_with_indices(axes).0),
        case!("logsumexp", (shape, axes) in reductions(1), [shape], |x| x.logsumexp(axes)),
        case!("sum_to_size", (small, large) in broadcast_pair(), [large], |x| {
            let fits = gradus_tensor::broadcast_shapes("", &small, x.shape());
            let fits = fits.is_ok_and(|common| common[..] == *x.shape());
            x.sum_to_size(if fits { &small } else { x.shape() })
        }),
    ]
}
