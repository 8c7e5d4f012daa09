//! Elements in order of size, and where they came from.

use std::cmp::Ordering;

use crate::element::Number;
use crate::error::{OrPanic, TensorError};
use crate::shape::lane_axis;
use crate::tensor::Tensor;

/// Smaller before larger, and NaN after all.
fn ascending<T: Number>(x: T, y: T) -> Ordering {
    x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
}

impl<T: Number> Tensor<T> {
    /// The elements in rising order along an axis, or falling if `descending`, and the index of each. Equal elements
    /// stay in their order; NaN counts as larger than all numbers.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (values, indices) = Tensor::from([3, 1, 2]).sort(0, false);
    /// assert_eq!((values, indices), (Tensor::from([1, 2, 3]), Tensor::from([1, 2, 0])));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
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

    /// The `k` largest elements along an axis, or the smallest unless `largest`, the most extreme first, and the index
    /// of each. The first of equals come first; NaN counts as larger than all numbers.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (values, indices) = Tensor::from([3, 1, 2]).topk(2, 0, true);
    /// assert_eq!((values, indices), (Tensor::from([3, 2]), Tensor::from([0, 2])));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, or has fewer than `k` elements.
    #[track_caller]
    pub fn topk(&self, k: usize, axis: isize, largest: bool) -> (Self, Tensor<i64>) {
        let axis = lane_axis("topk", axis, self.shape()).or_panic();
        let size = self.shape().get(axis).copied().unwrap_or(1);
        if k > size || self.rank() == 0 && k == 0 {
            TensorError::argument(
                "topk",
                "k",
                k,
                self.shape(),
                match self.rank() {
                    0 => "a tensor without axes has one element: allowed is 1".into(),
                    _ => format!("along axis {axis}, allowed are 0 to {size}"),
                },
            )
            .panic();
        }
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

    /// The first `count` elements of each lane in an order that `arrange` gives the indices of one, and those.
    fn in_order(
        &self,
        axis: usize,
        count: usize,
        arrange: impl Fn(&[T], &mut Vec<i64>),
    ) -> (Self, Tensor<i64>) {
        let (last, lanes) = self.lanes(axis);
        let mut shape = crate::Shape::from_slice(lanes.shape());
        let size = match shape.last_mut() {
            Some(size) => std::mem::replace(size, count),
            None => 1,
        };
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        let mut places = Vec::with_capacity(size);
        for lane in lanes.as_slice().expect("made contiguous").chunks_exact(size.max(1)) {
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
