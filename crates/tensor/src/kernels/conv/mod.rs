//! Convolutions in two dimensions, and their gradients.
//!
//! The elements that a block of results needs are copied with their padding: for each channel one plane, or, for
//! a stride of n, n planes that each hold every n-th column (and row). Along a plane all results use a tap of the
//! kernel at one and the same distance. So a tile of results, some rows by two vectors of places, is made by one
//! walk through a table of distances, with all of its sums in registers, whatever the attributes are. Nothing is
//! copied once for every tap.
//!
//! The gradient for the input is a walk of the same kind for each remainder of its places by the stride, and
//! the gradient for the weight sums over the places (`weight`).

#![allow(unsafe_code, reason = "tiles through pointers, whose bounds are checked before; see SAFETY")]

mod grid;
mod tiles;
pub(crate) mod weight;

use smallvec::SmallVec;

use self::grid::{Grid, Walk};
use self::tiles::{Tiles, tile_rows};
use crate::element::Float;
use crate::runtime::Buffer;
use crate::runtime::registers::{dispatch_vectors, most_rows};
use crate::runtime::{Pointer, for_each_piece_of};

/// From this many multiplications on, work is shared among threads.
const SHARED: usize = 1 << 20;
/// The number of pieces that large work is cut into.
pub(crate) const PIECES: usize = 8;

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
        grids: SmallVec::from_buf([grid]),
    };
    correlation.run(batch, groups, geometry.is_shared())
}

/// The gradient of [`conv`] for its input, whose own gradient for the output is `g`.
pub(crate) fn conv_input<T: Float>(g: &[T], weight: &[T], geometry: &Geometry) -> Buffer<T> {
    let Geometry { batch, groups, inputs, outputs, .. } = *geometry;
    let mut grids = SmallVec::new();
    for y in 0..geometry.stride[0].min(geometry.input[0]) {
        for x in 0..geometry.stride[1].min(geometry.input[1]) {
            let [y, x] = [(0, y), (1, x)].map(|(axis, phase)| Walk::backward(geometry, axis, phase));
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
    /// The elements of a group that a grid uses, by tile, then by channel and tap, then by row of the tile.
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
    grids: SmallVec<[Grid; 1]>,
}

impl<T: Float> Correlation<'_, T> {
    fn run(&self, batch: usize, groups: usize, shared: bool) -> Buffer<T> {
        let most = most_rows();
        let distances: SmallVec<[Buffer<u32>; 4]> = self.grids.iter().map(Grid::distances).collect();
        let of_group = self.weight.data.len() / groups;
        let packed: SmallVec<[Buffer<T>; 4]> = (0..groups)
            .flat_map(|group| self.grids.iter().map(move |grid| (group, grid)))
            .map(|(group, grid)| {
                self.weight.pack(grid, &self.weight.data[group * of_group..][..of_group], self.rows, most)
            })
            .collect();
        // The number of the first block of each grid.
        let mut firsts: SmallVec<[usize; 5]> = SmallVec::from_slice(&[0]);
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
                    distances: distances[number].as_slice(),
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
