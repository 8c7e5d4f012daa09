//! The way of a convolution through its source, in blocks.

use std::ops::Range;

use smallvec::SmallVec;

use super::{Geometry, PIECES, area};
use crate::element::Float;
use crate::runtime::Buffer;
use crate::runtime::registers::MOST_LANES;

/// The bytes of the planes of a block: they should stay in the second-level cache.
const BLOCK: usize = 320 << 10;

/// A tap of the kernel along one axis: which of the planes it reads, and how far from the place of the result.
pub(crate) struct Tap {
    pub(crate) kernel: usize,
    plane: usize,
    shift: usize,
}

/// One axis of a walk over results. Result `t` lies at `start + step * t` and reads, through each tap, the source
/// at `step_of_source * (t + first + shift) + remainder`.
pub(crate) struct Walk {
    pub(crate) start: usize,
    pub(crate) step: usize,
    count: usize,
    source: usize,
    step_of_source: usize,
    first: isize,
    /// The largest shift.
    reach: usize,
    /// One for each plane.
    remainders: SmallVec<[usize; 4]>,
    pub(crate) taps: SmallVec<[Tap; 8]>,
}

impl Walk {
    /// Taps are given with the place in the source that they read for result 0.
    fn new(
        [start, step, count]: [usize; 3],
        source: usize,
        step_of_source: usize,
        taps: impl Iterator<Item = (usize, isize)> + Clone,
    ) -> Self {
        let step = (step, step_of_source as isize);
        let first = taps.clone().map(|(_, at)| at.div_euclid(step.1)).min().unwrap_or(0);
        let mut remainders: SmallVec<[usize; 4]> =
            taps.clone().map(|(_, at)| at.rem_euclid(step.1) as usize).collect();
        remainders.sort_unstable();
        remainders.dedup();
        let tap = |(kernel, at): (usize, isize)| Tap {
            kernel,
            plane: remainders.partition_point(|&other| other < at.rem_euclid(step.1) as usize),
            shift: (at.div_euclid(step.1) - first) as usize,
        };
        let taps: SmallVec<[Tap; 8]> = taps.map(tap).collect();
        let reach = taps.iter().map(|tap| tap.shift).max().unwrap_or(0);
        Self { start, step: step.0, count, source, step_of_source, first, reach, remainders, taps }
    }

    /// Of zeros before and after what it reads of the source, the fewer ones, as far as taps reach.
    fn overlap(&self) -> usize {
        let padding = |remainder: &usize| {
            let end = self.source.saturating_sub(*remainder).div_ceil(self.step_of_source) as isize;
            let after = self.first + (self.count + self.reach) as isize - end;
            (-self.first).min(after).max(0) as usize
        };
        self.remainders.iter().map(padding).min().unwrap_or(0).min(self.reach)
    }

    /// Over the output.
    pub(crate) fn forward(geometry: &Geometry, axis: usize) -> Self {
        let Geometry { input, kernel, output, stride, padding, dilation, .. } = geometry;
        let taps = (0..kernel[axis]).map(|k| (k, (k * dilation[axis]) as isize - padding[axis] as isize));
        Self::new([0, 1, output[axis]], input[axis], stride[axis], taps)
    }

    /// Over the places of the input with this remainder by the stride.
    pub(crate) fn backward(geometry: &Geometry, axis: usize, start: usize) -> Self {
        let Geometry { input, kernel, output, stride, padding, dilation, .. } = geometry;
        let (size, stride) = (input[axis], stride[axis]);
        let at = |k: usize| (start + padding[axis]) as isize - (k * dilation[axis]) as isize;
        let taps = (0..kernel[axis])
            .map(move |k| (k, at(k)))
            .filter(|(_, at)| at % stride as isize == 0)
            .map(|(k, at)| (k, at / stride as isize));
        Self::new([start, stride, (size - start).div_ceil(stride)], output[axis], 1, taps)
    }
}

/// Both axes of a walk, and how it is cut into blocks.
pub(crate) struct Grid {
    pub(crate) y: Walk,
    pub(crate) x: Walk,
    pub(crate) channels: usize,
    /// The results of a block along each axis (the last may be smaller).
    pub(crate) block: [usize; 2],
    /// Blocks along each axis.
    blocks: [usize; 2],
    /// As many zeros at the end of a row of a plane are those at the beginning of the next one.
    overlap: usize,
}

impl Grid {
    /// For a source of `channels`, of elements of `bytes` bytes, walked `times` times.
    pub(crate) fn new(y: Walk, x: Walk, channels: usize, bytes: usize, times: usize) -> Self {
        const NARROW: usize = 256;
        let planes = (channels * y.remainders.len() * x.remainders.len()).max(1);
        let limit = BLOCK / bytes / planes;
        let cut = |size: usize, most: usize| {
            let parts = size.div_ceil(most.max(1)).max(1);
            (size.div_ceil(parts).max(1), parts)
        };
        let most = (limit / (y.reach + 1)).saturating_sub(x.reach).max(NARROW);
        let (width, across) = cut(x.count, most);
        let fitting = (limit / (width + x.reach)).saturating_sub(y.reach).max(y.reach + 1);
        // Enough of them for some threads.
        let wanted = PIECES.div_ceil((times * across).max(1));
        let (height, down) = cut(y.count, fitting.min(y.count.div_ceil(wanted)));
        let overlap = if across == 1 { x.overlap() } else { 0 };
        Self { y, x, channels, block: [height, width], blocks: [down, across], overlap }
    }

    pub(crate) fn count(&self) -> usize {
        self.blocks[0] * self.blocks[1]
    }

    /// The results of a block along both axes.
    pub(crate) fn range(&self, block: usize) -> [Range<usize>; 2] {
        let part = |block: usize, length: usize, count: usize| {
            (block * length).min(count)..((block + 1) * length).min(count)
        };
        let [down, across] = [block / self.blocks[1], block % self.blocks[1]];
        [part(down, self.block[0], self.y.count), part(across, self.block[1], self.x.count)]
    }

    /// Rows of a plane, and how far they are from each other.
    pub(crate) fn plane(&self) -> [usize; 2] {
        [self.block[0] + self.y.reach, self.block[1] + self.x.reach - self.overlap]
    }

    /// All elements of the planes, with room behind them for a vector that begins at the last one.
    pub(crate) fn len(&self) -> usize {
        let planes = self.channels * self.y.remainders.len() * self.x.remainders.len();
        planes * area(self.plane()) + self.overlap + 2 * MOST_LANES
    }

    /// How far from the place of a result the elements are that it uses: by channel, then by tap.
    pub(crate) fn distances(&self) -> Buffer<u32> {
        let [height, width] = self.plane();
        assert!(u32::try_from(self.len()).is_ok(), "a block of more than 2^32 elements");
        let mut distances = Buffer::filled(self.channels * self.y.taps.len() * self.x.taps.len(), 0);
        let mut rest = distances.get_mut().expect("nobody else has it").iter_mut();
        for channel in 0..self.channels {
            for y in &self.y.taps {
                for (x, distance) in self.x.taps.iter().zip(&mut rest) {
                    let row = channel * self.y.remainders.len() + y.plane;
                    let plane = row * self.x.remainders.len() + x.plane;
                    *distance = ((plane * height + y.shift) * width + x.shift) as u32;
                }
            }
        }
        distances
    }

    /// Copies what a block uses of a source, with zeros beyond its edges.
    pub(crate) fn fill<T: Float>(&self, planes: &mut [T], source: &[T], block: usize) {
        let [rows, columns] = self.range(block).map(|range| range.start as isize);
        let [height, width] = self.plane();
        let mut rest = planes;
        for source in source.chunks_exact((self.y.source * self.x.source).max(1)).take(self.channels) {
            for y in &self.y.remainders {
                for x in &self.x.remainders {
                    let plane;
                    (plane, rest) = rest.split_at_mut(height * width);
                    let first = rows + self.y.first;
                    for (out, t) in plane.chunks_exact_mut(width).zip(first..) {
                        let row = t * self.y.step_of_source as isize + *y as isize;
                        if row < 0 || row >= self.y.source as isize {
                            out.fill(T::ZERO);
                        } else {
                            let source = &source[row as usize * self.x.source..][..self.x.source];
                            fill_row(out, source, columns + self.x.first, self.x.step_of_source, *x);
                        }
                    }
                }
            }
        }
        rest.fill(T::ZERO);
    }
}

/// Every `step`-th element of a row: `out[j] = source[(first + j) * step + remainder]`, 0 beyond the edges.
fn fill_row<T: Float>(out: &mut [T], source: &[T], first: isize, step: usize, remainder: usize) {
    // Those with a place in the source.
    let places = source.len().saturating_sub(remainder).div_ceil(step) as isize;
    let start = (-first).clamp(0, out.len() as isize) as usize;
    let end = (places - first).clamp(start as isize, out.len() as isize) as usize;
    out[..start].fill(T::ZERO);
    out[end..].fill(T::ZERO);
    if start < end {
        let from = (first + start as isize) as usize * step + remainder;
        let out = &mut out[start..end];
        if step == 1 {
            out.copy_from_slice(&source[from..from + out.len()]);
        } else {
            for (out, &x) in out.iter_mut().zip(source[from..].iter().step_by(step)) {
                *out = x;
            }
        }
    }
}
