//! Several layouts of one shape, walked side by side.

use std::ops::Range;

use smallvec::SmallVec;

use crate::layout::Layout;

/// One axis after merging: its size and each operand's stride.
#[derive(Clone, Copy)]
struct Axis<const N: usize> {
    size: usize,
    strides: [isize; N],
}

/// The stretches of a shape in logical order, along which every operand keeps its stride.
pub(crate) struct Runs<const N: usize> {
    /// Outermost first.
    outer: SmallVec<[Axis<N>; 4]>,
    inner: Axis<N>,
    starts: [usize; N],
    /// The number of elements.
    len: usize,
}

impl<const N: usize> Runs<N> {
    /// Drops axes of size 1 and merges neighbours that every operand walks as one.
    pub(crate) fn new(shape: &[usize], layouts: [&Layout; N]) -> Self {
        let mut axes: SmallVec<[Axis<N>; 4]> = SmallVec::new();
        for (i, &size) in shape.iter().enumerate().filter(|(_, size)| **size != 1) {
            let strides = layouts.map(|layout| layout.strides[i]);
            match axes.last_mut() {
                Some(outer) if (0..N).all(|k| outer.strides[k] == strides[k] * size as isize) => {
                    *outer = Axis { size: outer.size * size, strides };
                }
                _ => axes.push(Axis { size, strides }),
            }
        }
        let inner = axes.pop().unwrap_or(Axis { size: 1, strides: [1; N] });
        let starts = layouts.map(|layout| layout.offset);
        Self { outer: axes, inner, starts, len: shape.iter().product() }
    }

    /// Each operand's step from one element of a run to the next.
    pub(crate) fn strides(&self) -> [isize; N] {
        self.inner.strides
    }

    /// Calls `run(starts, length)` for consecutive stretches of the elements in `range`, counted in logical
    /// order: operand `k`'s elements lie at `starts[k] + i * strides()[k]` for `i` below `length`.
    #[inline(always)]
    pub(crate) fn for_each(&self, range: Range<usize>, mut run: impl FnMut([usize; N], usize)) {
        if range.is_empty() {
            return;
        }
        let mut column = range.start % self.inner.size;
        let mut left = range.len();
        let (mut index, mut starts) = self.place(range.start / self.inner.size);
        loop {
            let length = (self.inner.size - column).min(left);
            run(step(starts, column, self.inner.strides), length);
            left -= length;
            if left == 0 {
                return;
            }
            column = 0;
            self.advance(&mut index, &mut starts);
        }
    }

    /// The index along the outer axes of the run of this number, and where it starts.
    fn place(&self, run: usize) -> (SmallVec<[usize; 4]>, [usize; N]) {
        let mut index = SmallVec::from_elem(0, self.outer.len());
        let (mut rest, mut starts) = (run, self.starts);
        if run > 0 {
            for (i, axis) in self.outer.iter().enumerate().rev() {
                index[i] = rest % axis.size;
                rest /= axis.size;
                starts = step(starts, index[i], axis.strides);
            }
        }
        (index, starts)
    }

    /// Goes on to the next run.
    #[inline(always)]
    fn advance(&self, index: &mut [usize], starts: &mut [usize; N]) {
        for (i, axis) in self.outer.iter().enumerate().rev() {
            index[i] += 1;
            if index[i] < axis.size {
                *starts = step(*starts, 1, axis.strides);
                return;
            }
            index[i] = 0;
            let back = axis.strides.map(|stride| -stride);
            *starts = step(*starts, axis.size - 1, back);
        }
    }
}

/// Places `count` steps further on.
#[inline(always)]
fn step<const N: usize>(starts: [usize; N], count: usize, strides: [isize; N]) -> [usize; N] {
    std::array::from_fn(|k| starts[k].wrapping_add_signed(count as isize * strides[k]))
}

/// Sizes and strides of the axes of one operand, outermost first.
pub(crate) type MergedAxes = SmallVec<[(usize, isize); 4]>;

/// Drops axes of size 1 and merges neighbours that are walked as one.
pub(crate) fn merge_axes(axes: impl IntoIterator<Item = (usize, isize)>) -> MergedAxes {
    let mut merged = MergedAxes::new();
    for (size, stride) in axes.into_iter().filter(|(size, _)| *size != 1) {
        match merged.last_mut() {
            Some(outer) if outer.1 == stride * size as isize => *outer = (outer.0 * size, stride),
            _ => merged.push((size, stride)),
        }
    }
    merged
}

/// Where the index of this number lies, counted in logical order of the axes.
#[inline(always)]
pub(crate) fn place(start: usize, axes: &[(usize, isize)], number: usize) -> usize {
    if let [(_, stride)] = *axes {
        return start.wrapping_add_signed(number as isize * stride);
    }
    let (mut rest, mut place) = (number, start);
    for &(size, stride) in axes.iter().rev() {
        place = place.wrapping_add_signed((rest % size) as isize * stride);
        rest /= size;
    }
    place
}

/// Calls `run(starts, length, strides)` for consecutive stretches of the common shape, in logical order; see
/// [`Runs::for_each`].
pub(crate) fn for_each_run<const N: usize>(
    shape: &[usize],
    layouts: [&Layout; N],
    mut run: impl FnMut([usize; N], usize, [isize; N]),
) {
    let runs = Runs::new(shape, layouts);
    runs.for_each(0..runs.len, |starts, length| run(starts, length, runs.inner.strides));
}

/// The place of element `i` of a run.
#[inline(always)]
pub(crate) fn at(start: usize, i: usize, stride: isize) -> usize {
    start.wrapping_add_signed(i as isize * stride)
}
