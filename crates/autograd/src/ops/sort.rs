//! Sorting, the most extreme elements, each with the indices, and elements at a place of the order.

use gradus_tensor::shapes::{extreme_shape, lanes_shape, quantile_shape, topk_shape};
use gradus_tensor::{Axes, Float, OrPanic, Shape, Tensor, TensorError, lane_axis};

use super::reduce::Reduced;
use crate::tape::{Batch, DiscreteOperation, Indices, Inputs, Var, decide};

#[derive(Debug)]
struct Argsort {
    axis: isize,
    descending: bool,
}

impl<T: Float> DiscreteOperation<T, i64> for Argsort {
    fn name(&self) -> &'static str {
        "argsort"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(lanes_shape("sort", inputs[0], self.axis))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        inputs[0].sort(self.axis, self.descending).1
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Indices<T>> {
        Some(batch.decide(Self { axis: behind_batch(self.axis), descending: self.descending }))
    }
}

/// The indices of the most extreme elements.
#[derive(Debug)]
struct Topk {
    k: usize,
    axis: isize,
    largest: bool,
}

impl<T: Float> DiscreteOperation<T, i64> for Topk {
    fn name(&self) -> &'static str {
        "topk"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(topk_shape(inputs[0], self.k, self.axis))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        inputs[0].topk(self.k, self.axis, self.largest).1
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Indices<T>> {
        Some(batch.decide(Self { k: self.k, axis: behind_batch(self.axis), largest: self.largest }))
    }
}

/// The indices of the two elements of each lane, the last axis, between which a quantile lies.
#[derive(Debug)]
struct QuantileIndices {
    q: f64,
}

impl<T: Float> DiscreteOperation<T, i64> for QuantileIndices {
    fn name(&self) -> &'static str {
        "quantile_indices"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        let mut shape = Shape::from_slice(inputs[0]);
        *shape.last_mut()? = 2;
        Some(Ok(shape))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        inputs[0].quantile_indices(self.q)
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Indices<T>> {
        Some(batch.decide(Self { q: self.q }))
    }
}

/// An axis of a tensor with the axis of a batch in front; from the end it stays the same.
fn behind_batch(axis: isize) -> isize {
    if axis < 0 { axis } else { axis + 1 }
}

/// The two elements over the axes between which a quantile lies, and the weight of the second.
fn neighbours<T: Float>(x: &Var<T>, q: f64, over: &Reduced) -> ([Var<T>; 2], f64) {
    let kept: Shape = (0..x.rank()).filter(|axis| !over.axes.contains(axis)).collect();
    let order: Shape = kept.iter().chain(&over.axes).copied().collect();
    let count = over.count(x.shape());
    let mut sizes: Shape = kept.iter().map(|&axis| x.shape()[axis]).collect();
    sizes.push(count);
    let lanes = x.permute(order).reshape(sizes);
    let both = lanes.gather(-1, decide(QuantileIndices { q }, &[&lanes]));
    let place = q * count.saturating_sub(1) as f64;
    ([0, 1].map(|i| both.select(-1, i)), place - place.floor())
}

impl<T: Float> Var<T> {
    /// The elements in rising order along an axis, or falling if `descending`, and the index of each. Equal elements
    /// stay in their order, so that each gets the gradient of its own place; NaN counts as larger than all numbers.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([3.0, 1.0, 2.0]));
    /// let (values, indices) = x.sort(0, false);
    /// assert_eq!(values.value(), &Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(indices, Tensor::from([1, 2, 0]));
    /// let gradients = values.backward_with(&Tensor::from([10.0, 20.0, 30.0]));
    /// assert_eq!(gradients.get(&x), Some(&Tensor::from([30.0, 10.0, 20.0])));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn sort(&self, axis: isize, descending: bool) -> (Self, Indices<T>) {
        let indices = decide(Argsort { axis, descending }, &[self]);
        (self.gather(axis, &indices), indices)
    }

    /// The indices that [`sort`](Self::sort) gives.
    ///
    /// See [`Tensor::argsort`](gradus_tensor::Tensor::argsort) for shapes and panics.
    #[track_caller]
    pub fn argsort(&self, axis: isize, descending: bool) -> Indices<T> {
        lane_axis("argsort", axis, self.shape()).or_panic();
        decide(Argsort { axis, descending }, &[self])
    }

    /// The element in the middle of the order over the axes; of two in the middle the lower. It has the whole gradient,
    /// or among equal elements the one of them that a stable sort brings to the middle.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([4.0, 1.0, 3.0, 2.0]));
    /// let y = x.median(..);
    /// assert_eq!(y.item(), 2.0);
    /// assert_eq!(y.backward().get(&x), Some(&Tensor::from([0.0, 0.0, 0.0, 1.0])));
    /// ```
    ///
    /// See [`Tensor::median`](gradus_tensor::Tensor::median) for shapes and panics.
    #[track_caller]
    pub fn median(&self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        let shape = extreme_shape("median", self.shape(), &axes).or_panic();
        // Below the middle of the order lies the lower element.
        let ([lower, _], _) = neighbours(self, 0.5, &Reduced::new("median", axes, self.shape()));
        lower.reshape(shape)
    }

    /// The number below which a part `q` of the elements over the axes lies, by linear interpolation between two
    /// elements, which share the gradient as they share the number.
    ///
    /// See [`Tensor::quantile`](gradus_tensor::Tensor::quantile) for shapes and panics.
    #[track_caller]
    pub fn quantile(&self, q: f64, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        let shape = quantile_shape(self.shape(), q, &axes).or_panic();
        let ([lower, upper], weight) = neighbours(self, q, &Reduced::new("quantile", axes, self.shape()));
        if weight == 0.0 {
            return lower.reshape(shape);
        }
        let distance = &upper - &lower;
        let between = lower.lerp(upper, T::from_f64(weight));
        // There is no distance between equal infinities.
        Var::where_(distance.eq(&distance), between, lower).reshape(shape)
    }

    /// The `k` largest elements along an axis, or the smallest unless `largest`, the most extreme first, and the
    /// index of each. The first of equals come first, and have the gradient; NaN counts as larger than all numbers.
    ///
    /// See [`Tensor::topk`](gradus_tensor::Tensor::topk) for shapes and panics.
    #[track_caller]
    pub fn topk(&self, k: usize, axis: isize, largest: bool) -> (Self, Indices<T>) {
        let indices = decide(Topk { k, axis, largest }, &[self]);
        (self.gather(axis, &indices), indices)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{axes_of, case, reductions};
    use proptest::prelude::*;
    vec![
        case!(
            "sort", ((shape, axis), descending) in (axes_of(0), any::<bool>()), [shape],
            |x| x.sort(axis, descending).0
        ),
        case!("median", (shape, axes) in reductions(1), [shape], |x| x.median(axes)),
        case!(
            "quantile", ((shape, axes), q) in (reductions(1), 0.0..=1.0), [shape],
            |x| x.quantile(q, axes)
        ),
        case!(
            "topk", ((shape, axis), k, largest) in (axes_of(0), 0..=4_usize, any::<bool>()), [shape],
            |x| {
                let size = x.shape()[axis.rem_euclid(x.rank() as isize) as usize];
                x.topk(k.min(size), axis, largest).0
            }
        ),
    ]
}
