//! Copies into logical order.
//!
//! Where logical order jumps about the memory but another axis has neighbours (a transposed matrix, a permuted
//! batch of them), the copy goes by square tiles, so that whole cache lines are read as well as written.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::array::from_fn;
use std::mem::MaybeUninit;
use std::ops::Deref;

use crate::element::Element;
use crate::kernels::parts::{SHARED, fill_parts, part_length};
use crate::kernels::runs::at;
use crate::kernels::runs::{MergedAxes, Runs, merge_axes, place};
use crate::layout::{Layout, Strided};
use crate::runtime::{Buffer, dispatch_narrow};

/// The elements in logical order.
#[inline]
pub(crate) fn copy<T: Element>(x: Strided<'_, T>) -> Buffer<T> {
    T::copy_elements(x)
}

/// [`copy`], by tiles where runs would jump about the memory.
pub(crate) fn copy_elements<T: Element>(x: Strided<'_, T>) -> Buffer<T> {
    match Transposition::of(x.layout) {
        Some(transposition) => transposition.copy(x.data),
        None => copy_runs(x),
    }
}

/// Elements where they lie, or a copy of them.
pub(crate) enum Elements<'a, T> {
    Borrowed(&'a [T]),
    Copied(Buffer<T>),
}

impl<T: Element> Deref for Elements<'_, T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Borrowed(elements) => elements,
            Self::Copied(buffer) => buffer.as_slice(),
        }
    }
}

/// The elements in logical order, copied if they do not lie so.
#[inline]
pub(crate) fn in_order<'a, T: Element>(data: &'a [T], layout: &Layout) -> Elements<'a, T> {
    match layout.neighbours() {
        Some(places) => Elements::Borrowed(&data[places]),
        None => Elements::Copied(copy(Strided { data, layout })),
    }
}

/// The elements in logical order, one run after another.
fn copy_runs<T: Element>(x: Strided<'_, T>) -> Buffer<T> {
    let Strided { data, layout } = x;
    let (len, runs) = (layout.len(), Runs::new(&layout.shape, [layout]));
    // SAFETY: the runs of a range have as many elements as the range; those of `out` are written in order.
    unsafe {
        fill_parts(len, part_length(len), &|first, out| {
            let (range, mut rest) = (first..first + out.len(), out);
            runs.for_each(range, |[start], length| {
                let out;
                (out, rest) = std::mem::take(&mut rest).split_at_mut(length);
                if let [1] = runs.strides() {
                    for (out, &x) in out.iter_mut().zip(&data[start..start + length]) {
                        out.write(x);
                    }
                } else {
                    for (i, out) in out.iter_mut().enumerate() {
                        out.write(data[at(start, i, runs.strides()[0])]);
                    }
                }
            });
        })
    }
}

/// The side of a tile, which the registers hold.
const SIDE: usize = 8;
/// The rows of the result that are written side by side, so that lines are read whole and one after another.
const BAND: usize = 16;
/// The rows of the result that a thread takes at once.
const PART_ROWS: usize = 128;
/// The columns that a band goes on by, so that the lines it writes to are full before they leave the cache.
const STRIP: usize = 32;

/// A layout whose inner axis has a stride other than 1, while an outer one has stride 1.
struct Transposition {
    /// The axes before the one of stride 1, their number of indices, and its size.
    outer: MergedAxes,
    rows: usize,
    /// The axes between the two, and their number of indices.
    between: MergedAxes,
    matrices: usize,
    /// The inner axis: its size and stride.
    columns: usize,
    stride: isize,
    offset: usize,
    len: usize,
}

impl Transposition {
    fn of(layout: &Layout) -> Option<Self> {
        // Below this, finding the way costs more than jumping.
        const LARGE: usize = 256;
        let len = layout.len();
        if len < LARGE {
            return None;
        }
        let mut axes = merge_axes(layout.shape.iter().copied().zip(layout.strides.iter().copied()));
        let (columns, stride) = axes.pop().filter(|(_, stride)| !matches!(stride, 0 | 1))?;
        let along = axes.iter().position(|&(size, stride)| stride == 1 && size >= SIDE)?;
        let between = MergedAxes::from_slice(&axes[along + 1..]);
        let rows = axes[along].0;
        axes.truncate(along);
        let matrices = between.iter().map(|(size, _)| size).product();
        Some(Self { outer: axes, rows, between, matrices, columns, stride, offset: layout.offset, len })
    }

    fn copy<T: Element>(&self, data: &[T]) -> Buffer<T> {
        let row = self.matrices * self.columns;
        let length = if self.len < SHARED { self.len } else { PART_ROWS * row };
        // SAFETY: a part is whole rows, of which each matrix's columns are written.
        unsafe {
            fill_parts(self.len, length, &|start, out| {
                dispatch_narrow(
                    #[inline(always)]
                    || self.copy_rows(data, start / row, out),
                );
            })
        }
    }

    /// Writes whole rows, from this one on.
    #[inline(always)]
    fn copy_rows<T: Element>(&self, data: &[T], mut first: usize, mut out: &mut [MaybeUninit<T>]) {
        let row = self.matrices * self.columns;
        while !out.is_empty() {
            // A band may run over several indices of the outer axes.
            let (index, skipped) = (first / self.rows, first % self.rows);
            let rows = (self.rows - skipped).min(out.len() / row);
            let band;
            (band, out) = out.split_at_mut(rows * row);
            let start = place(self.offset, &self.outer, index) + skipped;
            for matrix in 0..self.matrices {
                let start = place(start, &self.between, matrix);
                let band = &mut band[matrix * self.columns..];
                transpose(data, (start, self.stride), band, row, [rows, self.columns]);
            }
            first += rows;
        }
    }
}

/// Writes element `start + i + j * stride` to `out[i * row + j]`.
#[inline(always)]
fn transpose<T: Copy>(
    data: &[T],
    (start, stride): (usize, isize),
    out: &mut [MaybeUninit<T>],
    row: usize,
    [rows, columns]: [usize; 2],
) {
    for i0 in (0..rows).step_by(BAND) {
        for j0 in (0..columns).step_by(STRIP) {
            let (i1, j1) = (rows.min(i0 + BAND), columns.min(j0 + STRIP));
            for j in (j0..j1).step_by(SIDE) {
                for i in (i0..i1).step_by(SIDE) {
                    let (from, to) = (at(start + i, j, stride), i * row + j);
                    if i + SIDE <= i1 && j + SIDE <= j1 {
                        tile(data, (from, stride), &mut out[to..], row);
                        continue;
                    }
                    for i in 0..SIDE.min(i1 - i) {
                        for j in 0..SIDE.min(j1 - j) {
                            out[to + i * row + j].write(data[at(from + i, j, stride)]);
                        }
                    }
                }
            }
        }
    }
}

/// One whole tile. Three perfect shuffles of its lines (the upper half of them interleaved with the lower)
/// transpose it; each is two vector instructions per pair of lines, which one transposition at once is not.
#[inline(always)]
fn tile<T: Copy>(data: &[T], (start, stride): (usize, isize), out: &mut [MaybeUninit<T>], row: usize) {
    const HALF: usize = SIDE / 2;
    let mut lines: [[T; SIDE]; SIDE] =
        from_fn(|j| *data[at(start, j, stride)..].first_chunk().expect("a whole line"));
    for _ in 0..SIDE.ilog2() {
        let halves = lines;
        for i in 0..HALF {
            let (upper, lower) = (halves[i], halves[i + HALF]);
            for k in 0..HALF {
                lines[2 * i][2 * k] = upper[k];
                lines[2 * i][2 * k + 1] = lower[k];
                lines[2 * i + 1][2 * k] = upper[k + HALF];
                lines[2 * i + 1][2 * k + 1] = lower[k + HALF];
            }
        }
    }
    for (i, line) in lines.into_iter().enumerate() {
        for (out, x) in out[i * row..][..SIDE].iter_mut().zip(line) {
            out.write(x);
        }
    }
}
