//! Tiles of results, whose sums are in registers.

#![allow(unsafe_code, reason = "tiles through pointers, whose bounds are checked before; see SAFETY")]

use std::ops::Range;

use super::area;
use super::grid::Grid;
use crate::element::Float;
use crate::runtime::registers::{MOST_LANES, Vector, VectorLoop};

/// The most rows of a tile.
const MOST_ROWS: usize = 12;

/// The rows of the next tile, if `left` rows are left.
pub(crate) fn tile_rows(left: usize, most: usize) -> usize {
    [12, 6, 4, 2].into_iter().find(|&rows| rows <= left.min(most)).unwrap_or(1)
}

/// All results of a block.
pub(crate) struct Tiles<'a, T> {
    pub(crate) grid: &'a Grid,
    pub(crate) block: [Range<usize>; 2],
    pub(crate) planes: &'a [T],
    pub(crate) distances: &'a [u32],
    pub(crate) weights: &'a [T],
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) rows: usize,
    pub(crate) most: usize,
    pub(crate) size: [usize; 2],
    /// The first result of the image.
    pub(crate) out: *mut T,
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
                let planes = self.planes.get(first..).unwrap_or_default();
                let (mut row, mut packed) = (0, 0..0);
                while row < self.rows {
                    if row == packed.end {
                        packed = row..row + tile_rows(self.rows - row, self.most);
                    }
                    // Another instruction set may have been selected since weights were packed.
                    let tile = tile_rows(packed.end - row, V::ROWS);
                    let mut starts = [T::ZERO; MOST_ROWS];
                    if let Some(bias) = self.bias {
                        starts[..tile].copy_from_slice(&bias[row..row + tile]);
                    }
                    let weights = &self.weights[packed.start * taps..packed.end * taps];
                    let weights = (weights.get(row - packed.start..).unwrap_or_default(), packed.len());
                    macro_rules! with {
                        ($($rows:literal)*) => {
                            match (tile, wide) {
                                // SAFETY: the weights are so many, and the farthest vector is within the planes,
                                // as asserted above.
                                $(
                                    ($rows, true) if const { $rows <= V::ROWS } => unsafe {
                                        tile_of::<T, V, $rows, 2>(weights, self.distances, planes, &starts, &mut sums);
                                    },
                                    ($rows, false) if const { $rows <= V::ROWS } => unsafe {
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
/// There must be `ROWS` weights for each distance, this far from the next ones, and a tile of vectors at each distance in the planes; and the
/// machine must have the instructions.
#[inline(always)]
unsafe fn tile_of<T: Float, V: Vector<T>, const ROWS: usize, const WIDE: usize>(
    (weights, step): (&[T], usize),
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
            // Only up to the end of the weights, so that the pointer stays inside.
            weight = weight.wrapping_add(step);
        }
        let out = sums.as_mut_ptr();
        for (i, row) in tile.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                sum.store(out.add((i * WIDE + j) * V::LANES));
            }
        }
    }
}
