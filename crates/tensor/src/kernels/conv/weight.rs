//! The gradient of a convolution for its weight: sums over the places of a block, in one of two ways.
//!
//! With many output channels, these lie side by side in a vector, and each tap of each input channel is a row of a
//! tile: what it reads is repeated in all lanes. With few, most lanes would be empty; then places lie side by side,
//! and each lane has a sum of its own until the end.

#![allow(unsafe_code, reason = "tiles through pointers, whose bounds are checked before; see SAFETY")]

use std::ops::Range;

use super::grid::{Grid, Walk};
use super::tiles::tile_rows;
use super::{Geometry, PIECES, area, scratch};
use crate::element::Float;
use crate::runtime::Buffer;
use crate::runtime::registers::{MOST_LANES, Vector, VectorLoop, dispatch_vectors};
use crate::runtime::{Pointer, for_each_piece_of};

/// The gradient of a convolution for its weight, where `g` is that for the output.
pub(crate) fn conv_weight<T: Float>(x: &[T], g: &[T], geometry: &Geometry) -> Buffer<T> {
    let Geometry { kernel, output, outputs, dilation, .. } = geometry;
    let lanes = outputs.next_multiple_of(MOST_LANES);
    let width = output[1] + (kernel[1] - 1) * dilation[1];
    if 2 * outputs * width <= lanes * output[1] {
        let gradient = sum_up(x, g, geometry, true);
        // Between the rows of a plane zeros are multiplied with numbers that do not belong there. Where those are
        // infinite or NaN, it shows.
        if gradient.as_slice().iter().all(|sum| sum.is_finite()) {
            return gradient;
        }
    }
    sum_up(x, g, geometry, false)
}

/// Samples are added up in parts that depend on the sizes alone, and the parts one after another.
fn sum_up<T: Float>(x: &[T], g: &[T], geometry: &Geometry, lanes_are_places: bool) -> Buffer<T> {
    /// The most elements in all parts together, if there are several.
    const PARTS: usize = 1 << 18;
    let Geometry { batch, groups, inputs, outputs, .. } = *geometry;
    let taps = area(geometry.kernel);
    let padded = outputs.next_multiple_of(MOST_LANES);
    // The sums of a tap, and how many of them belong to one output channel.
    let (of_tap, of_output) = if lanes_are_places { (outputs * MOST_LANES, MOST_LANES) } else { (padded, 1) };
    let (of_group, of_channel) = (inputs * taps * of_tap, taps * of_tap);
    let wanted = PIECES.div_ceil(groups.max(1));
    let parts = (PARTS / (groups * of_group).max(1)).clamp(1, wanted.min(batch).max(1));
    // What is left to be cut is cut along the channels.
    let channels = inputs.div_ceil(wanted.div_ceil(parts)).max(1);
    let cuts = inputs.div_ceil(channels);
    let samples = batch.div_ceil(parts).max(1);
    let [of_x, of_g] = [inputs * area(geometry.input), outputs * area(geometry.output)];
    let mut sums = scratch(parts * groups * of_group);
    let all = Pointer(sums.get_mut().expect("nobody else has it").as_mut_ptr());
    for_each_piece_of(parts * groups * cuts, geometry.is_shared(), &|piece| {
        let (part, group, cut) = (piece / cuts / groups, piece / cuts % groups, piece % cuts);
        let channels = cut * channels..((cut + 1) * channels).min(inputs);
        let start = (part * groups + group) * of_group + channels.start * of_channel;
        // SAFETY: the channels of a group of a part are one after another, and no other piece has them.
        let sums = unsafe { std::slice::from_raw_parts_mut(all.at(start), channels.len() * of_channel) };
        let [y_walk, x_walk] = [0, 1].map(|axis| Walk::forward(geometry, axis));
        let grid = Grid::new(y_walk, x_walk, channels.len(), size_of::<T>(), PIECES);
        let distances = grid.distances();
        let distances = distances.as_slice();
        let width = grid.plane()[1];
        let mut planes = scratch(grid.len());
        let planes = planes.get_mut().expect("nobody else has it");
        let room = if lanes_are_places {
            outputs * (grid.block[0] * width).next_multiple_of(MOST_LANES)
        } else {
            area(grid.block) * padded
        };
        let mut arranged = scratch(room);
        let arranged = arranged.get_mut().expect("nobody else has it");
        for sample in part * samples..((part + 1) * samples).min(batch) {
            let image = sample * groups + group;
            let x = &x[image * of_x + channels.start * area(geometry.input)..];
            let g = &g[image * of_g..][..of_g];
            for block in 0..grid.count() {
                grid.fill(planes, x, block);
                let range = grid.range(block);
                if lanes_are_places {
                    let length = align(arranged, g, geometry.output, &range, width);
                    let g = &arranged[..outputs * length];
                    dispatch_vectors(DotTiles { planes, distances, g, length, outputs, sums });
                } else {
                    turn(arranged, g, geometry.output, &range, padded);
                    dispatch_vectors(WeightTiles {
                        planes,
                        distances,
                        width,
                        size: range.map(|range| range.len()),
                        turned: arranged,
                        outputs,
                        padded,
                        sums,
                    });
                }
            }
        }
    });
    // By output channel first, and all lanes and parts added up.
    let sums = sums.as_slice();
    let element = |i: usize| {
        let (row, tap) = (i / (inputs * taps), i % (inputs * taps));
        let place = row / outputs * of_group + tap * of_tap + row % outputs * of_output;
        let part = |part: usize| {
            let lanes = &sums[part * groups * of_group + place..][..of_output];
            lanes[1..].iter().fold(lanes[0], |sum, &lane| sum + lane)
        };
        (1..parts).fold(part(0), |sum, number| sum + part(number))
    };
    let len = groups * outputs * inputs * taps;
    Buffer::collect(len, (0..len).map(element))
}

/// The elements of a block, each channel with its rows `width` apart, as in a plane, and zeros between them;
/// and the length of a channel, which is whole vectors.
fn align<T: Float>(
    out: &mut [T],
    g: &[T],
    size: [usize; 2],
    [rows, columns]: &[Range<usize>; 2],
    width: usize,
) -> usize {
    if rows.is_empty() || columns.is_empty() {
        return 0;
    }
    let length = ((rows.len() - 1) * width + columns.len()).next_multiple_of(MOST_LANES);
    for (out, g) in out.chunks_exact_mut(length).zip(g.chunks_exact(area(size))) {
        // The last row has room for what a vector needs, which may be more or less than for the others.
        for (row, line) in rows.clone().zip(0..) {
            let start = line * width;
            let end = if row + 1 == rows.end { length } else { start + width };
            let (line, gap) = out[start..end].split_at_mut(columns.len());
            line.copy_from_slice(&g[row * size[1]..][columns.clone()]);
            gap.fill(T::ZERO);
        }
    }
    length
}

/// The contribution of a block to the gradient for a weight: for each channel and tap, and for each output channel, a vector.
struct DotTiles<'a, T> {
    planes: &'a [T],
    distances: &'a [u32],
    /// A row of `length` places for each output channel.
    g: &'a [T],
    length: usize,
    outputs: usize,
    sums: &'a mut [T],
}

impl<T: Float> VectorLoop<T> for DotTiles<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        if self.length == 0 || self.outputs == 0 {
            return;
        }
        // As many sums as there are registers for.
        let most = if V::LANES * size_of::<T>() == 64 { 4 } else { 2 };
        let farthest = self.distances.iter().max().map_or(0, |&distance| distance as usize);
        assert!(self.length.is_multiple_of(V::LANES) && self.length + farthest <= self.planes.len());
        assert_eq!(self.g.len(), self.outputs * self.length);
        assert_eq!(self.sums.len(), self.distances.len() * self.outputs * MOST_LANES);
        let mut tap = 0;
        while tap < self.distances.len() {
            let wide =
                [4, 2].into_iter().find(|&wide| wide <= most.min(self.distances.len() - tap)).unwrap_or(1);
            let distances = &self.distances[tap..tap + wide];
            let mut row = 0;
            while row < self.outputs {
                let rows = [6, 2].into_iter().find(|&rows| rows <= self.outputs - row).unwrap_or(1);
                let g = &self.g[row * self.length..(row + rows) * self.length];
                let sums = &mut self.sums[(tap * self.outputs + row) * MOST_LANES..];
                let block = (self.planes, g, self.length, self.outputs);
                macro_rules! with {
                    ($($rows:literal by $($wide:literal)*;)*) => {
                        match (rows, wide) {
                            // SAFETY: rows and planes have whole vectors up to the farthest place, as asserted above;
                            // there is a vector of sums for each tap and output channel.
                            $($(
                                ($rows, $wide) => unsafe { dot_tile::<T, V, $rows, $wide>(block, distances, sums) },
                            )*)*
                            _ => unreachable!("a tile of other rows"),
                        }
                    };
                }
                with!(1 by 1 2 4; 2 by 1 2 4; 6 by 1 2 4;);
                row += rows;
            }
            tap += wide;
        }
    }
}

/// Adds, for `ROWS` output channels and `WIDE` taps, the products of the places, each in the lane of the place.
///
/// # Safety
/// There must be `ROWS` rows of `length` elements, whole vectors; as many in the planes from each distance on; and
/// the machine must have the instructions.
#[inline(always)]
unsafe fn dot_tile<T: Float, V: Vector<T>, const ROWS: usize, const WIDE: usize>(
    (planes, g, length, outputs): (&[T], &[T], usize, usize),
    distances: &[u32],
    sums: &mut [T],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = T::ZERO;
        let mut tile = [[V::splat(&raw const zero); WIDE]; ROWS];
        let mut from = [planes.as_ptr(); WIDE];
        for (from, &distance) in from.iter_mut().zip(distances) {
            *from = from.add(distance as usize);
        }
        for place in (0..length).step_by(V::LANES) {
            let x: [V; WIDE] = std::array::from_fn(|j| V::load(from[j].add(place)));
            for (i, row) in tile.iter_mut().enumerate() {
                let g = V::load(g.as_ptr().add(i * length + place));
                for (sum, &x) in row.iter_mut().zip(&x) {
                    *sum = sum.add_product(g, x);
                }
            }
        }
        for (i, row) in tile.iter().enumerate() {
            for (j, &sum) in row.iter().enumerate() {
                let out = sums[(j * outputs + i) * MOST_LANES..][..MOST_LANES].as_mut_ptr();
                V::load(out).add(sum).store(out);
            }
        }
    }
}

/// The elements of a block with their channels side by side, `padded` for each place.
fn turn<T: Float>(out: &mut [T], g: &[T], size: [usize; 2], block: &[Range<usize>; 2], padded: usize) {
    const SIDE: usize = MOST_LANES;
    let [rows, columns] = block;
    let channels = g.len() / area(size).max(1);
    for (i, row) in rows.clone().enumerate() {
        let out = &mut out[i * columns.len() * padded..][..columns.len() * padded];
        for channel in (0..channels).step_by(SIDE) {
            for column in (0..columns.len()).step_by(SIDE) {
                // Tiles of fixed size, for loops without checks.
                let mut tile = [[T::ZERO; SIDE]; SIDE];
                let length = SIDE.min(columns.len() - column);
                let from = row * size[1] + columns.start + column;
                for (lane, channel) in tile.iter_mut().zip(channel..channels) {
                    lane[..length].copy_from_slice(&g[channel * area(size) + from..][..length]);
                }
                for (j, out) in out[column * padded..].chunks_exact_mut(padded).take(length).enumerate() {
                    let out = &mut out[channel..channel + SIDE];
                    for (out, lane) in out.iter_mut().zip(&tile) {
                        *out = lane[j];
                    }
                }
            }
        }
    }
}

/// The contribution of a block to the gradient for a weight: for each channel and tap a row, for each output channel a column.
struct WeightTiles<'a, T> {
    planes: &'a [T],
    distances: &'a [u32],
    /// From one row of a plane to the next.
    width: usize,
    size: [usize; 2],
    turned: &'a [T],
    outputs: usize,
    padded: usize,
    sums: &'a mut [T],
}

impl<T: Float> VectorLoop<T> for WeightTiles<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let [rows, columns] = self.size;
        if rows == 0 || columns == 0 {
            return;
        }
        let farthest = self.distances.iter().max().map_or(0, |&distance| distance as usize);
        assert!((rows - 1) * self.width + columns + farthest <= self.planes.len());
        assert!(rows * columns * self.padded <= self.turned.len());
        assert_eq!(self.sums.len(), self.distances.len() * self.padded);
        let mut column = 0;
        while column < self.outputs {
            let wide = self.outputs - column > V::LANES;
            let mut row = 0;
            while row < self.distances.len() {
                let tile = tile_rows(self.distances.len() - row, V::ROWS);
                let distances = &self.distances[row..row + tile];
                let sums = &mut self.sums[row * self.padded + column..];
                let block = (self.planes, self.width, self.size, &self.turned[column..], self.padded);
                macro_rules! with {
                    ($($rows:literal)*) => {
                        match (tile, wide) {
                            // SAFETY: the planes and what is turned have an element for each place, and columns
                            // are padded to whole vectors, as asserted above.
                            $(
                                ($rows, true) if const { $rows <= V::ROWS } => unsafe { weight_tile::<T, V, $rows, 2>(block, distances, sums) },
                                ($rows, false) if const { $rows <= V::ROWS } => unsafe { weight_tile::<T, V, $rows, 1>(block, distances, sums) },
                            )*
                            _ => unreachable!("a tile of other rows"),
                        }
                    };
                }
                with!(1 2 4 6 12);
                row += tile;
            }
            column += if wide { 2 } else { 1 } * V::LANES;
        }
    }
}

/// Adds to `ROWS` rows of `WIDE` vectors the products of each place: the element of a plane at the row's distance
/// times the output channels.
///
/// # Safety
/// There must be an element for each place at each distance in the planes, and a vector in `turned` and in each
/// row of the sums; and the machine must have the instructions.
#[inline(always)]
unsafe fn weight_tile<T: Float, V: Vector<T>, const ROWS: usize, const WIDE: usize>(
    (planes, width, [rows, columns], turned, padded): (&[T], usize, [usize; 2], &[T], usize),
    distances: &[u32],
    sums: &mut [T],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = T::ZERO;
        let mut tile = [[V::splat(&raw const zero); WIDE]; ROWS];
        let mut from = [planes.as_ptr(); ROWS];
        for (from, &distance) in from.iter_mut().zip(distances) {
            *from = from.add(distance as usize);
        }
        let mut g = turned.as_ptr();
        for row in 0..rows {
            for column in 0..columns {
                let place = row * width + column;
                let mut lanes = [V::load(g); WIDE];
                for (i, lanes) in lanes.iter_mut().enumerate().skip(1) {
                    *lanes = V::load(g.add(i * V::LANES));
                }
                for (row, from) in tile.iter_mut().zip(&from) {
                    let x = V::splat(from.add(place));
                    for (sum, &lanes) in row.iter_mut().zip(&lanes) {
                        *sum = sum.add_product(lanes, x);
                    }
                }
                // Only up to the end of what is turned, so that the pointer stays inside.
                g = g.wrapping_add(padded);
            }
        }
        for (i, row) in tile.iter().enumerate() {
            for (j, &sum) in row.iter().enumerate() {
                let out = sums.as_mut_ptr().add(i * padded + j * V::LANES);
                V::load(out).add(sum).store(out);
            }
        }
    }
}
