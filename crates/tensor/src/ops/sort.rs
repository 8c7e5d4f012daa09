//! Sorting along an axis, and numbers at a place in the order.

use std::cmp::Ordering;

use super::reduce::extreme_shape;
use crate::element::{Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::shape::{Axes, Shape, from_front, lane_axis};
use crate::tensor::Tensor;

/// Smaller numbers before larger ones, and NaN last.
pub(super) fn ascending<T: Number>(x: T, y: T) -> Ordering {
    x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
}

/// The indices of the elements at these places of the rising order, equal elements in their order; of the first NaN, if
/// there is one.
fn ranked<T: Number, const N: usize>(lane: &[T], places: [usize; N]) -> [usize; N] {
    if let Some(nan) = lane.iter().position(|x| x.is_nan()) {
        return [nan; N];
    }
    let mut indices: Vec<usize> = (0..lane.len()).collect();
    places.map(|place| {
        *indices.select_nth_unstable_by(place, |&i, &j| ascending(lane[i], lane[j]).then(i.cmp(&j))).1
    })
}

/// The places in the order of n elements between which a quantile lies, and the weight of the second.
fn places_of_quantile(q: f64, n: usize) -> ([usize; 2], f64) {
    let place = q * n.saturating_sub(1) as f64;
    ([place.floor() as usize, place.ceil() as usize], place - place.floor())
}

/// Sorting along an axis, with the indices of the sorted elements; and the elements at a place of the order, over
/// [`Axes`].
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([3, 1, 2]);
/// assert_eq!(x.sort(0, false), (Tensor::from([1, 2, 3]), Tensor::from([1, 2, 0])));
/// assert_eq!(x.argsort(0, true), Tensor::from([0, 2, 1]));
/// assert_eq!(x.topk(2, 0, true), (Tensor::from([3, 2]), Tensor::from([0, 2])));
/// assert_eq!(Tensor::from([[7, 1], [3, 9], [2, 5], [4, 4]]).median(0), Tensor::from([3, 4]));
/// assert_eq!(Tensor::from([1.0, 4.0, 2.0, 3.0]).quantile(0.5, ..).item(), 2.5);
/// ```
///
/// # Panics
/// Every method panics if an axis is out of range, or has fewer than `k` elements; `median` and `quantile` also if a
/// lane is empty.
impl<T: Number> Tensor<T> {
    /// The elements in ascending or descending order along an axis, and the index of each. Equal elements stay in their
    /// order; NaN counts as larger than all numbers.
    #[track_caller]
    pub fn sort(&self, axis: isize, descending: bool) -> (Self, Tensor<i64>) {
        let axis = lane_axis("sort", axis, self.shape()).or_panic();
        let size = self.shape().get(axis).copied().unwrap_or(1);
        self.in_order(axis, size, |lane, places| {
            if descending {
                places.sort_by(|&i, &j| ascending(lane[j as usize], lane[i as usize]));
            } else {
                places.sort_by(|&i, &j| ascending(lane[i as usize], lane[j as usize]));
            }
        })
    }

    /// The indices that [`sort`](Self::sort) gives: taken in this order, the elements along the axis rise, or fall if
    /// `descending`.
    #[track_caller]
    pub fn argsort(&self, axis: isize, descending: bool) -> Tensor<i64> {
        lane_axis("argsort", axis, self.shape()).or_panic();
        self.sort(axis, descending).1
    }

    /// The element in the middle of the order over the axes; of two in the middle the lower, as in PyTorch, so that it
    /// is always one of the elements. NaN if there is one. The mean of the two is [`quantile(0.5,
    /// ..)`](Self::quantile).
    #[track_caller]
    pub fn median(&self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        extreme_shape("median", self.shape(), &axes).or_panic();
        self.reduce("median", axes, |lane| lane[ranked(lane, [(lane.len() - 1) / 2])[0]])
    }

    /// The `k` largest elements along an axis, or the `k` smallest unless `largest`, the most extreme first, and the
    /// index of each. Equal elements stay in their order; NaN counts as larger than all numbers.
    #[track_caller]
    pub fn topk(&self, k: usize, axis: isize, largest: bool) -> (Self, Tensor<i64>) {
        topk_shape(self.shape(), k, axis).or_panic();
        let axis = from_front(axis, self.rank());
        let size = self.shape().get(axis).copied().unwrap_or(1);
        self.in_order(axis, k, |lane, places| {
            let order = |i: &i64, j: &i64| {
                let (x, y) = (lane[*i as usize], lane[*j as usize]);
                (if largest { ascending(y, x) } else { ascending(x, y) }).then(i.cmp(j))
            };
            if (1..size).contains(&k) {
                places.select_nth_unstable_by(k - 1, order);
                places.truncate(k);
            }
            places.sort_unstable_by(order);
        })
    }

    /// The first `count` elements of each lane, and their indices, in the order into which `arrange` brings the indices
    /// of a lane.
    fn in_order(
        &self,
        axis: usize,
        count: usize,
        arrange: impl Fn(&[T], &mut Vec<i64>),
    ) -> (Self, Tensor<i64>) {
        let (last, lanes) = self.lanes(axis);
        let mut shape = Shape::from_slice(lanes.shape());
        let size = match shape.last_mut() {
            Some(size) => std::mem::replace(size, count),
            None => 1,
        };
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        let mut places = Vec::with_capacity(size);
        for lane in lanes.data().chunks_exact(size.max(1)) {
            places.clear();
            places.extend(0..size as i64);
            arrange(lane, &mut places);
            values.extend(places[..count].iter().map(|&i| lane[i as usize]));
            indices.extend_from_slice(&places[..count]);
        }
        (
            Self::from_slice(&values, &shape).moved_axis(last, axis).contiguous(),
            Tensor::from_slice(&indices, &shape).moved_axis(last, axis).contiguous(),
        )
    }
}

impl<T: Float> Tensor<T> {
    /// The number below which a part `q` of the elements over the axes lies, for `q` from 0 (the smallest) to 1 (the
    /// largest), by linear interpolation: the place q (n - 1) in the rising order of n elements is between two of them,
    /// unless it is an integer. NaN if there is one, or between minus infinity and a larger number.
    ///
    /// # Panics
    /// If `q` is not between 0 and 1.
    #[track_caller]
    pub fn quantile(&self, q: f64, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        quantile_shape(self.shape(), q, &axes).or_panic();
        self.reduce("quantile", axes, |lane| {
            let (places, weight) = places_of_quantile(q, lane.len());
            let [lower, upper] = ranked(lane, places).map(|i| lane[i]);
            let (distance, weight) = (upper - lower, T::from_f64(weight));
            if weight == T::ZERO || distance.is_nan() {
                lower
            } else if distance.is_finite() || !lower.is_finite() || !upper.is_finite() {
                lower + distance * weight
            } else {
                // The distance of two numbers may be larger than every number.
                lower * (T::ONE - weight) + upper * weight
            }
        })
    }

    /// For each lane, the last axis, the indices of the two elements between which a quantile lies: `[..., n]` gives
    /// `[..., 2]`.
    #[doc(hidden)]
    pub fn quantile_indices(&self, q: f64) -> Tensor<i64> {
        let (last, lanes) = self.lanes(self.rank() - 1);
        let (places, _) = places_of_quantile(q, self.shape()[last]);
        let mut shape = Shape::from_slice(self.shape());
        let size = std::mem::replace(&mut shape[last], 2);
        let lanes = lanes.data().chunks_exact(size.max(1));
        let indices: Vec<i64> = lanes.flat_map(|lane| ranked(lane, places).map(|i| i as i64)).collect();
        Tensor::from_slice(&indices, &shape)
    }
}

/// The shape of [`Tensor::quantile`].
#[doc(hidden)]
pub fn quantile_shape(shape: &[usize], q: f64, axes: &Axes) -> Result<Shape, TensorError> {
    if !(0.0..=1.0).contains(&q) {
        return Err(TensorError::argument("quantile", "q", q, shape, "it must be between 0 and 1"));
    }
    extreme_shape("quantile", shape, axes)
}

/// The shape of [`Tensor::topk`].
#[doc(hidden)]
pub fn topk_shape(shape: &[usize], k: usize, axis: isize) -> Result<Shape, TensorError> {
    let axis = lane_axis("topk", axis, shape)?;
    let mut taken = Shape::from_slice(shape);
    let size = taken.get_mut(axis).map_or(1, |size| std::mem::replace(size, k));
    if k <= size && !(shape.is_empty() && k == 0) {
        return Ok(taken);
    }
    let expected = match shape {
        [] => "a tensor without axes has one element: allowed is 1".into(),
        _ => format!("along axis {axis}, allowed are 0 to {size}"),
    };
    Err(TensorError::argument("topk", "k", k, shape, expected))
}
