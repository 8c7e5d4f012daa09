//! Convolutions in two dimensions, and their gradients.
//!
//! The elements that a block of results needs are copied with their padding: for each channel one plane, or, for
//! a stride of n, n planes that each hold every n-th column (and row). Along a plane all results use a tap of the
//! kernel at one and the same distance. So a tile of results, some rows by two vectors of places, is made by one
//! walk through a table of distances, with all of its sums in registers, whatever the attributes are. Nothing is
//! copied once for every tap.
//!
//! The gradient for the input is a walk of the same kind for each remainder of its places by the stride, and
//! that for the weight sums over the places (`conv_weight`).

#![allow(unsafe_code, reason = "tiles through pointers, whose bounds are checked before; see SAFETY")]

use std::ops::Range;

use smallvec::SmallVec;

pub(crate) mod weight;

use crate::element::Float;
use crate::runtime::Buffer;
use crate::runtime::registers::{MOST_LANES, Vector, VectorLoop, dispatch_vectors, most_rows};
use crate::runtime::{Pointer, for_each_piece_of};

/// From this many multiplications on, work is shared among threads.
const SHARED: usize = 1 << 20;
/// The bytes of the planes of a block: they should stay in the second-level cache.
const BLOCK: usize = 320 << 10;
/// Into so many pieces work is cut, if there is as much of it.
pub(crate) const PIECES: usize = 8;
/// The most rows of a tile.
const MOST_ROWS: usize = 12;

/// The sizes and attributes of a convolution; pairs are of height and width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    /// The channels of a group.
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) input: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

pub(crate) fn area([height, width]: [usize; 2]) -> usize {
    height * width
}

impl Geometry {
    pub(crate) fn is_shared(&self) -> bool {
        let sizes =
            [self.batch, self.groups, self.inputs, self.outputs, area(self.kernel), area(self.output)];
        sizes.iter().fold(1_usize, |product, &size| product.saturating_mul(size)) >= SHARED
    }
}

/// A tap of the kernel along one axis: which of the planes it reads, and how far from the place of the result.
struct Tap {
    kernel: usize,
    plane: usize,
    shift: usize,
}

/// One axis of a walk over results. Result `t` lies at `start + step * t` and reads, through each tap, the source
/// at `step_of_source * (t + first + shift) + remainder`.
pub(crate) struct Walk {
    start: usize,
    step: usize,
    count: usize,
    source: usize,
    step_of_source: usize,
    first: isize,
    /// The largest shift.
    reach: usize,
    /// One for each plane.
    remainders: SmallVec<[usize; 4]>,
    taps: SmallVec<[Tap; 8]>,
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

    /// Over the input, one for each remainder of its places by the stride.
    fn backward(geometry: &Geometry, axis: usize) -> Vec<Self> {
        let Geometry { input, kernel, output, stride, padding, dilation, .. } = geometry;
        let (size, stride) = (input[axis], stride[axis]);
        let walk = |start: usize| {
            let at = |k: usize| (start + padding[axis]) as isize - (k * dilation[axis]) as isize;
            let taps = (0..kernel[axis])
                .map(move |k| (k, at(k)))
                .filter(|(_, at)| at % stride as isize == 0)
                .map(|(k, at)| (k, at / stride as isize));
            Self::new([start, stride, (size - start).div_ceil(stride)], output[axis], 1, taps)
        };
        (0..stride.min(size)).map(walk).collect()
    }
}

/// Both axes of a walk, and how it is cut into blocks.
pub(crate) struct Grid {
    y: Walk,
    x: Walk,
    channels: usize,
    /// The results of a block along each axis (the last may be smaller).
    pub(crate) block: [usize; 2],
    /// Blocks along each axis.
    blocks: [usize; 2],
    /// As many zeros at the end of a row of a plane are those at the beginning of the next one.
    overlap: usize,
}

impl Grid {
    /// For so many channels of the source, of elements of so many bytes, and so many times the same.
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
    pub(crate) fn distances(&self) -> Vec<u32> {
        let [height, width] = self.plane();
        assert!(u32::try_from(self.len()).is_ok(), "a block of more than 2^32 elements");
        let mut distances = Vec::with_capacity(self.channels * self.y.taps.len() * self.x.taps.len());
        for channel in 0..self.channels {
            for y in &self.y.taps {
                for x in &self.x.taps {
                    let row = channel * self.y.remainders.len() + y.plane;
                    let plane = row * self.x.remainders.len() + x.plane;
                    distances.push(((plane * height + y.shift) * width + x.shift) as u32);
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

/// The rows of the next tile, of so many that are left.
pub(crate) fn tile_rows(left: usize, most: usize) -> usize {
    [12, 6, 4, 2].into_iter().find(|&rows| rows <= left.min(most)).unwrap_or(1)
}

/// The convolution of `x`, `[batch, groups * inputs, ...input]`, with `weight`,
/// `[groups * outputs, inputs, ...kernel]`, plus a number for each output channel:
/// `[batch, groups * outputs, ...output]`.
pub(crate) fn conv<T: Float>(x: &[T], weight: &[T], bias: Option<&[T]>, geometry: &Geometry) -> Buffer<T> {
    let Geometry { batch, groups, inputs, outputs, .. } = *geometry;
    let [y_walk, x_walk] = [0, 1].map(|axis| Walk::forward(geometry, axis));
    let grid = Grid::new(y_walk, x_walk, inputs, size_of::<T>(), batch * groups);
    let taps = area(geometry.kernel);
    let correlation = Correlation {
        source: x,
        weight: Weight { data: weight, kernel: geometry.kernel, row: inputs * taps, channel: taps },
        bias,
        rows: outputs,
        size: geometry.output,
        grids: vec![grid],
    };
    correlation.run(batch, groups, geometry.is_shared())
}

/// The gradient of [`conv`] for its input, whose own gradient for the output is `g`.
pub(crate) fn conv_input<T: Float>(g: &[T], weight: &[T], geometry: &Geometry) -> Buffer<T> {
    let Geometry { batch, groups, inputs, outputs, .. } = *geometry;
    let mut grids = Vec::new();
    for y in 0..geometry.stride[0].min(geometry.input[0]) {
        for x in 0..geometry.stride[1].min(geometry.input[1]) {
            let [y, x] =
                [(0, y), (1, x)].map(|(axis, phase)| Walk::backward(geometry, axis).swap_remove(phase));
            grids.push(Grid::new(y, x, outputs, size_of::<T>(), batch * groups));
        }
    }
    let taps = area(geometry.kernel);
    let correlation = Correlation {
        source: g,
        weight: Weight { data: weight, kernel: geometry.kernel, row: taps, channel: inputs * taps },
        bias: None,
        rows: inputs,
        size: geometry.input,
        grids,
    };
    correlation.run(batch, groups, geometry.is_shared())
}

/// The elements of a weight, by the row of results, the channel of the source and the tap.
struct Weight<'a, T> {
    data: &'a [T],
    kernel: [usize; 2],
    row: usize,
    channel: usize,
}

impl<T: Float> Weight<'_, T> {
    /// Those of a group that a grid uses, by tile, then by channel and tap, then by row of the tile.
    fn pack(&self, grid: &Grid, group: &[T], rows: usize, most: usize) -> Buffer<T> {
        let taps = grid.y.taps.len() * grid.x.taps.len();
        let mut packed = Buffer::filled(rows * grid.channels * taps, T::ZERO);
        let mut rest = packed.get_mut().expect("nobody else has it");
        let mut row = 0;
        while row < rows {
            let tile = tile_rows(rows - row, most);
            for channel in 0..grid.channels {
                for y in &grid.y.taps {
                    for x in &grid.x.taps {
                        let out;
                        (out, rest) = rest.split_at_mut(tile);
                        let first =
                            row * self.row + channel * self.channel + y.kernel * self.kernel[1] + x.kernel;
                        for (out, row) in out.iter_mut().zip(0..) {
                            *out = group[first + row * self.row];
                        }
                    }
                }
            }
            row += tile;
        }
        packed
    }
}

/// Results that are sums over the channels of a source and the taps of a kernel.
struct Correlation<'a, T> {
    source: &'a [T],
    weight: Weight<'a, T>,
    bias: Option<&'a [T]>,
    /// The channels of the result in a group.
    rows: usize,
    /// Height and width of the result.
    size: [usize; 2],
    /// Together they cover the result.
    grids: Vec<Grid>,
}

impl<T: Float> Correlation<'_, T> {
    fn run(&self, batch: usize, groups: usize, shared: bool) -> Buffer<T> {
        let most = most_rows();
        let distances: Vec<Vec<u32>> = self.grids.iter().map(Grid::distances).collect();
        let of_group = self.weight.data.len() / groups;
        let packed: Vec<Buffer<T>> = (0..groups)
            .flat_map(|group| self.grids.iter().map(move |grid| (group, grid)))
            .map(|(group, grid)| {
                self.weight.pack(grid, &self.weight.data[group * of_group..][..of_group], self.rows, most)
            })
            .collect();
        // The number of the first block of each grid.
        let mut firsts = vec![0];
        for grid in &self.grids {
            firsts.push(firsts[firsts.len() - 1] + grid.count());
        }
        let blocks = firsts[self.grids.len()];
        let images = batch * groups;
        let (of_source, of_result) = (self.source.len() / images.max(1), self.rows * area(self.size));
        let fill = |out: &mut [std::mem::MaybeUninit<T>]| {
            if out.is_empty() {
                return;
            }
            let out = Pointer(out.as_mut_ptr().cast::<T>());
            for_each_piece_of(images * blocks, shared, &|piece| {
                let (image, block) = (piece / blocks, piece % blocks);
                let number = firsts.partition_point(|&first| first <= block) - 1;
                let (grid, group) = (&self.grids[number], image % groups);
                let block = block - firsts[number];
                let mut planes = scratch(grid.len());
                let planes = planes.get_mut().expect("nobody else has it");
                grid.fill(planes, &self.source[image * of_source..][..of_source], block);
                dispatch_vectors(Tiles {
                    grid,
                    block: grid.range(block),
                    planes,
                    distances: &distances[number],
                    weights: packed[group * self.grids.len() + number].as_slice(),
                    bias: self.bias.map(|bias| &bias[group * self.rows..][..self.rows]),
                    rows: self.rows,
                    most,
                    size: self.size,
                    // SAFETY: images are one after another.
                    out: unsafe { out.at(image * of_result) },
                });
            });
        };
        // SAFETY: the grids cover each image, and each block writes all of its results.
        unsafe { Buffer::build(images * of_result, fill) }
    }
}

/// Memory that is written before it is read.
pub(crate) fn scratch<T: Float>(len: usize) -> Buffer<T> {
    Buffer::filled(len, T::ZERO)
}

/// All results of a block.
struct Tiles<'a, T> {
    grid: &'a Grid,
    block: [Range<usize>; 2],
    planes: &'a [T],
    distances: &'a [u32],
    weights: &'a [T],
    bias: Option<&'a [T]>,
    rows: usize,
    most: usize,
    size: [usize; 2],
    /// The first result of the image.
    out: *mut T,
}

/// Lanes of a tile that are results side by side: the first, how many, and their place in a channel of the result.
type Run = (usize, usize, usize);

impl<T: Float> Tiles<'_, T> {
    /// Calls `panel` with the first place, and the runs of results among those that follow it.
    #[inline(always)]
    fn for_each_panel(&self, lanes: usize, mut panel: impl FnMut(usize, usize, &[Run])) {
        let [rows, columns] = self.block.each_ref().map(Range::len);
        let width = self.grid.plane()[1];
        let all = (rows - 1) * width + columns;
        // Places after the end of a row are computed for nothing, or else the lanes after it.
        let through = all.div_ceil(lanes) < rows * columns.div_ceil(lanes);
        let (starts, length) = if through { (1, all) } else { (rows, columns) };
        let dense = self.grid.x.step == 1;
        for start in 0..starts {
            for first in (0..length).step_by(lanes) {
                let count = lanes.min(length - first);
                let first = start * width + first;
                let (mut runs, mut number, mut lane) = ([(0, 0, 0); 2 * MOST_LANES], 0, 0);
                while lane < count {
                    let (row, column) = ((first + lane) / width, (first + lane) % width);
                    if column >= columns {
                        lane += width - column;
                        continue;
                    }
                    let length = (columns - column).min(count - lane);
                    let y = self.grid.y.start + self.grid.y.step * (self.block[0].start + row);
                    let x = self.grid.x.start + self.grid.x.step * (self.block[1].start + column);
                    let place = y * self.size[1] + x;
                    match runs[..number].last_mut() {
                        // It goes on where the last one ends.
                        Some(last) if dense && (last.0 + last.1, last.2 + last.1) == (lane, place) => {
                            last.1 += length;
                        }
                        _ => {
                            runs[number] = (lane, length, place);
                            number += 1;
                        }
                    }
                    lane += length;
                }
                panel(first, count, &runs[..number]);
            }
        }
    }

    /// Writes a tile, of which `sums` has `lanes` for each row, from a row of the result on.
    #[inline(always)]
    fn write(&self, sums: &[T], lanes: usize, row: usize, rows: usize, runs: &[Run]) {
        let step = self.grid.x.step;
        for i in 0..rows {
            for &(lane, length, place) in runs {
                let sums = &sums[i * lanes + lane..][..length];
                // SAFETY: the place is that of results of this block, which are within the image, and which no
                // other block writes.
                unsafe {
                    let out = self.out.add((row + i) * area(self.size) + place);
                    if step == 1 {
                        for (j, &sum) in sums.iter().enumerate() {
                            out.add(j).write(sum);
                        }
                    } else {
                        for (j, &sum) in sums.iter().enumerate() {
                            out.add(j * step).write(sum);
                        }
                    }
                }
            }
        }
    }
}

impl<T: Float> VectorLoop<T> for Tiles<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let [rows, columns] = self.block.each_ref().map(Range::len);
        if rows == 0 || columns == 0 {
            return;
        }
        let (width, taps) = (self.grid.plane()[1], self.distances.len());
        let farthest = self.distances.iter().max().map_or(0, |&distance| distance as usize);
        let last = (rows - 1) * width + columns - 1 + farthest;
        assert!(taps == 0 || last + 2 * MOST_LANES <= self.planes.len());
        assert_eq!(self.weights.len(), self.rows * taps);
        let mut sums = [T::ZERO; MOST_ROWS * 2 * MOST_LANES];
        self.for_each_panel(
            2 * V::LANES,
            #[inline(always)]
            |first, count, runs| {
                let wide = count > V::LANES;
                let mut row = 0;
                while row < self.rows {
                    let tile = tile_rows(self.rows - row, self.most);
                    let mut starts = [T::ZERO; MOST_ROWS];
                    if let Some(bias) = self.bias {
                        starts[..tile].copy_from_slice(&bias[row..row + tile]);
                    }
                    let weights = &self.weights[row * taps..][..tile * taps];
                    let planes = self.planes.get(first..).unwrap_or_default();
                    macro_rules! with {
                        ($($rows:literal)*) => {
                            match (tile, wide) {
                                // SAFETY: the weights are so many, and the farthest vector is within the planes,
                                // as asserted above.
                                $(
                                    ($rows, true) => unsafe {
                                        tile_of::<T, V, $rows, 2>(weights, self.distances, planes, &starts, &mut sums);
                                    },
                                    ($rows, false) => unsafe {
                                        tile_of::<T, V, $rows, 1>(weights, self.distances, planes, &starts, &mut sums);
                                    },
                                )*
                                _ => unreachable!("a tile of other rows"),
                            }
                        };
                    }
                    with!(1 2 4 6 12);
                    self.write(&sums, if wide { 2 } else { 1 } * V::LANES, row, tile, runs);
                    row += tile;
                }
            },
        );
    }
}

/// `sums[row] = starts[row] + weights x planes`, for `ROWS` rows of `WIDE` vectors.
///
/// # Safety
/// There must be `ROWS` weights for each distance, and a tile of vectors at each distance in the planes; and the
/// machine must have the instructions.
#[inline(always)]
unsafe fn tile_of<T: Float, V: Vector<T>, const ROWS: usize, const WIDE: usize>(
    weights: &[T],
    distances: &[u32],
    planes: &[T],
    starts: &[T; MOST_ROWS],
    sums: &mut [T; MOST_ROWS * 2 * MOST_LANES],
) {
    // SAFETY: the caller's promise; `sums` has room for the largest tile.
    unsafe {
        let mut tile = [[V::splat(starts.as_ptr()); WIDE]; ROWS];
        for (row, start) in tile.iter_mut().zip(starts) {
            *row = [V::splat(start); WIDE];
        }
        let (mut weight, planes) = (weights.as_ptr(), planes.as_ptr());
        for &distance in distances {
            let from = planes.add(distance as usize);
            let mut x = [V::load(from); WIDE];
            for (i, x) in x.iter_mut().enumerate().skip(1) {
                *x = V::load(from.add(i * V::LANES));
            }
            for (i, row) in tile.iter_mut().enumerate() {
                let weight = V::splat(weight.add(i));
                for (sum, &x) in row.iter_mut().zip(&x) {
                    *sum = sum.add_product(x, weight);
                }
            }
            weight = weight.add(ROWS);
        }
        let out = sums.as_mut_ptr();
        for (i, row) in tile.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                sum.store(out.add((i * WIDE + j) * V::LANES));
            }
        }
    }
}
