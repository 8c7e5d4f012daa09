//! Ranges of an axis.

use std::fmt::{self, Debug, Formatter};
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::error::TensorError;

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
/// assert_eq!(x.slice(0, 1..=3), Tensor::from([1, 2, 3]));
/// assert_eq!(x.slice(0, -2..), Tensor::from([3, 4]));
/// assert_eq!(x.slice(0, Slice::from(..).step(2)), Tensor::from([0, 2, 4]));
/// assert_eq!(x.slice(0, Slice::from(..).step(-1)), Tensor::from([4, 3, 2, 1, 0]));
/// assert_eq!(x.slice(0, Slice::new(Some(3), None, -2)), Tensor::from([3, 1]));
/// assert_eq!(Slice::from(-3..).resolve(5), (2, 3)); // 2, 3, 4
/// assert_eq!(Slice::from(-3..).indices(5), Tensor::from([2, 3, 4]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    start: Option<isize>,
    stop: Option<isize>,
    /// Whether the index `stop` belongs to the slice.
    inclusive: bool,
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
        Self { start, stop, inclusive: false, step }
    }

    /// The same bounds with another step; with a negative one, `..` runs from the end to the start.
    ///
    /// # Panics
    /// If `step` is 0.
    #[track_caller]
    pub fn step(self, step: isize) -> Self {
        Self { inclusive: self.inclusive, ..Self::new(self.start, self.stop, step) }
    }

    /// The first index and the number of indices in an axis of this size.
    pub fn resolve(self, size: usize) -> (usize, usize) {
        let size = size as isize;
        // Backwards, the walk starts at the last index and may stop before the first.
        let (low, high) = if self.step > 0 { (0, size) } else { (-1, size - 1) };
        let (first, end) = if self.step > 0 { (low, high) } else { (high, low) };
        let after = if self.inclusive { self.step.signum() } else { 0 };
        let from_front = |index: isize| if index < 0 { index.saturating_add(size) } else { index };
        let start = self.start.map_or(first, |index| from_front(index).clamp(low, high));
        let stop = self.stop.map_or(end, |index| from_front(index).saturating_add(after).clamp(low, high));
        let distance = if self.step > 0 { stop - start } else { start - stop };
        let count = if distance <= 0 { 0 } else { (distance - 1) as usize / self.step.unsigned_abs() + 1 };
        (if count == 0 { 0 } else { start as usize }, count)
    }
}

impl Slice {
    /// The axes that this range names, which must all be there; of a 0-d tensor, `..` names none.
    pub(crate) fn resolve_axes(
        self,
        operation: &'static str,
        shape: &[usize],
    ) -> Result<Range<usize>, TensorError> {
        let rank = shape.len() as isize;
        let from_front = |axis: isize| if axis < 0 { axis.saturating_add(rank) } else { axis };
        let start = self.start.map_or(0, from_front);
        let stop =
            self.stop.map_or(rank, |axis| from_front(axis).saturating_add(isize::from(self.inclusive)));
        let named = start < stop || rank == 0 && start == stop;
        if self.step == 1 && 0 <= start && named && stop <= rank {
            return Ok(start as usize..stop as usize);
        }
        let expected = format!("it must name at least one axis, and only axes of 0..{rank}");
        Err(TensorError::argument(operation, "the range of axes", format!("{self:?}"), shape, expected))
    }
}

impl From<RangeFull> for Slice {
    fn from(_: RangeFull) -> Self {
        Self::new(None, None, 1)
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
                Self::new(Some(saturate(range.start)), Some(saturate(range.end)), 1)
            }
        }
        impl From<RangeInclusive<$int>> for Slice {
            fn from(range: RangeInclusive<$int>) -> Self {
                let (start, stop) = range.into_inner();
                Self { inclusive: true, ..(start..stop).into() }
            }
        }
        impl From<RangeFrom<$int>> for Slice {
            fn from(range: RangeFrom<$int>) -> Self {
                Self::new(Some(saturate(range.start)), None, 1)
            }
        }
        impl From<RangeTo<$int>> for Slice {
            fn from(range: RangeTo<$int>) -> Self {
                Self::new(None, Some(saturate(range.end)), 1)
            }
        }
        impl From<RangeToInclusive<$int>> for Slice {
            fn from(range: RangeToInclusive<$int>) -> Self {
                Self { inclusive: true, ..(..range.end).into() }
            }
        }
    )*};
}
from_ranges!(isize, usize, i32, i64);

/// As in a program: `1..3`, `..=-2`, `step(.., 2)`.
impl Debug for Slice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bound = |bound: Option<isize>| bound.map_or(String::new(), |index| index.to_string());
        let dots = if self.inclusive { "..=" } else { ".." };
        let range = [&bound(self.start), dots, &bound(self.stop)].concat();
        if self.step == 1 { f.write_str(&range) } else { write!(f, "step({range}, {})", self.step) }
    }
}
