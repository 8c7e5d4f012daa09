//! Ranges of an axis.

use std::ops::{Range, RangeFrom, RangeFull, RangeTo};

/// Part of an axis, by Python's rules: negative bounds count from the end, bounds beyond the axis are
/// clamped, and a negative step walks backwards.
///
/// Made from a range of integers, or with [`Slice::new`]; [`step`](Self::step) takes every n-th index.
///
/// ```
/// use gradus_tensor::{Slice, Tensor};
///
/// let x = Tensor::from([0, 1, 2, 3, 4]);
/// assert_eq!(x.slice(0, 1..3), Tensor::from([1, 2]));
/// assert_eq!(x.slice(0, -2..), Tensor::from([3, 4]));
/// assert_eq!(x.slice(0, Slice::from(..).step(2)), Tensor::from([0, 2, 4]));
/// assert_eq!(x.slice(0, Slice::from(..).step(-1)), Tensor::from([4, 3, 2, 1, 0]));
/// assert_eq!(x.slice(0, Slice::new(Some(3), None, -2)), Tensor::from([3, 1]));
/// assert_eq!(Slice::from(-3..).resolve(5), (2, 3)); // 2, 3, 4
/// assert_eq!(Slice::from(-3..).indices(5), Tensor::from([2, 3, 4]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    start: Option<isize>,
    stop: Option<isize>,
    pub(crate) step: isize,
}

impl Slice {
    /// `start:stop:step`; without `start` and `stop` the slice reaches to the ends.
    ///
    /// # Panics
    /// If `step` is 0.
    #[track_caller]
    pub fn new(start: Option<isize>, stop: Option<isize>, step: isize) -> Self {
        assert!(step != 0, "slice: the step is 0; it must be positive or, to walk backwards, negative");
        Self { start, stop, step }
    }

    /// The same bounds with another step; with a negative one, `..` runs from the end to the start.
    ///
    /// # Panics
    /// If `step` is 0.
    #[track_caller]
    pub fn step(self, step: isize) -> Self {
        Self::new(self.start, self.stop, step)
    }

    /// The first index and the number of indices in an axis of this size.
    pub fn resolve(self, size: usize) -> (usize, usize) {
        let size = size as isize;
        // Backwards, the walk starts at the last index and may stop before the first.
        let (low, high) = if self.step > 0 { (0, size) } else { (-1, size - 1) };
        let bound = |bound: Option<isize>, default: isize| match bound {
            None => default,
            Some(index) if index < 0 => index.saturating_add(size).clamp(low, high),
            Some(index) => index.clamp(low, high),
        };
        let (start, stop) = if self.step > 0 {
            (bound(self.start, low), bound(self.stop, high))
        } else {
            (bound(self.start, high), bound(self.stop, low))
        };
        let distance = if self.step > 0 { stop - start } else { start - stop };
        let count = if distance <= 0 { 0 } else { (distance - 1) as usize / self.step.unsigned_abs() + 1 };
        (if count == 0 { 0 } else { start as usize }, count)
    }
}

impl From<RangeFull> for Slice {
    fn from(_: RangeFull) -> Self {
        Self { start: None, stop: None, step: 1 }
    }
}

/// A bound that is too large for an `isize` is beyond every axis.
fn saturate(bound: impl TryInto<isize>) -> isize {
    bound.try_into().unwrap_or(isize::MAX)
}

macro_rules! from_ranges {
    ($($int:ty),*) => {$(
        impl From<Range<$int>> for Slice {
            fn from(range: Range<$int>) -> Self {
                Self { start: Some(saturate(range.start)), stop: Some(saturate(range.end)), step: 1 }
            }
        }
        impl From<RangeFrom<$int>> for Slice {
            fn from(range: RangeFrom<$int>) -> Self {
                Self { start: Some(saturate(range.start)), stop: None, step: 1 }
            }
        }
        impl From<RangeTo<$int>> for Slice {
            fn from(range: RangeTo<$int>) -> Self {
                Self { start: None, stop: Some(saturate(range.end)), step: 1 }
            }
        }
    )*};
}
from_ranges!(isize, usize, i32, i64);
