//! Sorting along an axis.

use std::cmp::Ordering;

use crate::element::Number;
use crate::error::{OrPanic, TensorError};
use crate::shape::{Shape, from_front, lane_axis};
use crate::tensor::Tensor;

/// Smaller numbers before larger ones, and NaN last.
fn ascending<T: Number>(x: T, y: T) -> Ordering {
    x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
}

/// Sorting along an axis, with the indices of the sorted elements.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([3, 1, 2]);
/// assert_eq!(x.sort(0, false), (Tensor::from([1, 2, 3]), Tensor::from([1, 2, 0])));
/// assert_eq!(x.topk(2, 0, true), (Tensor::from([3, 2]), Tensor::from([0, 2])));
/// ```
///
/// # Panics
/// Every method panics if the axis is out of range, or has fewer than `k` elements.
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
