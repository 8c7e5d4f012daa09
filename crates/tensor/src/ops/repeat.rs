//! Elements repeated, and moved around.

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::shape::{Axes, Dims, Shape, checked_count, resolve_axis};
use crate::slice::Slice;
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// The whole tensor repeated, `repeats[i]` times along axis `i`; the shorter one of shape and repeats is filled
    /// up with ones in front.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1, 2]).tile([2]), Tensor::from([1, 2, 1, 2]));
    /// assert_eq!(Tensor::from([1, 2]).tile([2, 1]), Tensor::from([[1, 2], [1, 2]]));
    /// ```
    ///
    /// # Panics
    /// If the result has more elements than a machine can hold.
    #[track_caller]
    pub fn tile(&self, repeats: impl AsRef<[usize]>) -> Self {
        let repeats = repeats.as_ref();
        let rank = self.rank().max(repeats.len());
        let padded = |list: &[usize]| {
            let ones = std::iter::repeat_n(1, rank - list.len());
            ones.chain(list.iter().copied()).collect::<Shape>()
        };
        let (shape, repeats) = (padded(self.shape()), padded(repeats));
        // Each axis behind another one along which it is repeated.
        let pairs = |first: &[usize]| first.iter().zip(&shape).flat_map(|(&a, &b)| [a, b]).collect::<Shape>();
        let tiled: Shape = repeats.iter().zip(&shape).map(|(&a, &b)| a.saturating_mul(b)).collect();
        checked_count("tile", &pairs(&repeats)).and(checked_count("tile", &tiled)).or_panic();
        self.reshape(pairs(&Shape::from_elem(1, rank))).expand(pairs(&repeats)).reshape(tiled)
    }

    /// Each slice of an axis, or each element in logical order for `..`, repeated in its place.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.repeat_interleave(2, 0), Tensor::from([[1, 2], [1, 2], [3, 4], [3, 4]]));
    /// assert_eq!(x.repeat_interleave(2, ..), Tensor::from([1, 1, 2, 2, 3, 3, 4, 4]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, or there are several.
    #[track_caller]
    pub fn repeat_interleave(&self, repeats: usize, axis: impl Into<Axes>) -> Self {
        let axis = axis.into();
        let Some(list) = axis.named() else { return self.flatten().repeat_interleave(repeats, 0) };
        let &[axis] = list.as_slice() else {
            panic!("repeat_interleave: the axes are {:?}: allowed are one axis, or `..`", list.as_slice())
        };
        let axis = resolve_axis("repeat_interleave", axis, self.shape()).or_panic();
        let mut shape = Shape::from_slice(self.shape());
        shape[axis] = shape[axis].saturating_mul(repeats);
        let mut repeated = Shape::from_slice(self.shape());
        repeated.insert(axis + 1, repeats);
        checked_count("repeat_interleave", &repeated).or_panic();
        self.unsqueeze(axis as isize + 1).expand(repeated).reshape(shape)
    }

    /// The elements moved on by `shifts[i]` along `axes[i]`, those beyond the end to the start; for `..` and one
    /// shift, in logical order.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.roll(1, 1), Tensor::from([[3, 1, 2], [6, 4, 5]]));
    /// assert_eq!(x.roll([1, -1], [0, 1]), Tensor::from([[5, 6, 4], [2, 3, 1]]));
    /// assert_eq!(x.roll(1, ..), Tensor::from([[6, 1, 2], [3, 4, 5]]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice, or there is not a shift for each.
    #[track_caller]
    pub fn roll(&self, shifts: impl Into<Dims>, axes: impl Into<Axes>) -> Self {
        let (shifts, axes) = (shifts.into(), axes.into());
        let count = axes.named().map_or(1, |axes| axes.as_slice().len());
        if shifts.as_slice().len() != count {
            TensorError::argument(
                "roll",
                "shifts",
                format!("{:?}", shifts.as_slice()),
                self.shape(),
                format!("there must be {count} of them, one for each axis, or one for `..`"),
            )
            .panic();
        }
        let Some(named) = axes.named() else {
            return self.flatten().roll_axis(0, shifts.as_slice()[0]).reshape(self.shape());
        };
        let axes = named.resolve("roll", self.shape()).or_panic();
        axes.iter().zip(shifts.as_slice()).fold(self.clone(), |x, (&axis, &shift)| x.roll_axis(axis, shift))
    }

    fn roll_axis(&self, axis: usize, shift: isize) -> Self {
        let size = self.shape()[axis] as isize;
        if self.is_empty() || shift % size == 0 {
            return self.clone();
        }
        let cut = size - shift.rem_euclid(size);
        let part = |part: Slice| self.slice(axis as isize, part);
        Self::cat(&[&part((cut..).into()), &part((..cut).into())], axis as isize)
    }
}
