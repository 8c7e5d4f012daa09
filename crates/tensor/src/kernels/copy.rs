//! Copies into logical order.
//!
//! Where logical order jumps about the memory but another axis has neighbours (a transposed matrix, a permuted
//! batch of them), the copy goes by square tiles, so that whole cache lines are read as well as written.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::array::from_fn;
use std::mem::MaybeUninit;
use std::ops::Deref;

use crate::element::Element;
use crate::kernels::parts::{SHARED, part_length, unwritten, write_parts};
use crate::kernels::runs::at;
use crate::kernels::runs::{MergedAxes, Runs, merge_axes, place};
use crate::layout::{Layout, Strided};
use crate::runtime::{Buffer, dispatch_narrow};
#[cfg(target_arch = "x86_64")]
use crate::runtime::{InstructionSet, registers::transpose_8x8};

/// The elements in logical order.
#[inline]
pub(crate) fn copy<T: Element>(x: Strided<'_, T>) -> Buffer<T> {
    T::copy_elements(x)
}

/// [`copy`], by tiles where runs would jump about the memory.
pub(crate) fn copy_elements<T: Element>(x: Strided<'_, T>) -> Buffer<T> {
    // SAFETY: all elements are written.
    unsafe { Buffer::build(x.layout.len(), |out| write_copy(x, out)) }
}

/// [`copy`] over what is in `out`.
pub(crate) fn overwrite_copy<T: Element>(x: Strided<'_, T>, out: &mut [T]) {
    // SAFETY: elements of tensors are initialised.
    write_copy(x, unsafe { unwritten(out) });
}

/// Writes the elements to `out`, which has as many.
fn write_copy<T: Element>(x: Strided<'_, T>, out: &mut [MaybeUninit<T>]) {
    assert_eq!(out.len(), x.layout.len(), "sizes differ");
    match Transposition::of(x.layout) {
        Some(transposition) => transposition.write(x.data, out),
        None => write_runs(x, out),
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

/// Writes the elements in logical order, one run after another: the runs of a range have as many elements as the range.
fn write_runs<T: Element>(x: Strided<'_, T>, out: &mut [MaybeUninit<T>]) {
    let Strided { data, layout } = x;
    let (len, runs) = (layout.len(), Runs::new(&layout.shape, [layout]));
    write_parts(out, part_length(len), &|first, out| {
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
    });
}

/// The side of a tile, which the registers hold.
const SIDE: usize = 8;
/// From this size in bytes on, results go past the caches, which would not hold them, and a line need not be read before it is
/// written.
const STREAMED: usize = 16 << 20;
/// The rows of the result that a thread takes at once.
const PART_ROWS: usize = 128;

/// A layout whose inner axis has a stride other than 1, while an outer one has stride 1.
pub(crate) struct Transposition {
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
    pub(crate) fn of(layout: &Layout) -> Option<Self> {
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

    /// Writes all elements; a part is whole rows.
    fn write<T: Element>(&self, data: &[T], out: &mut [MaybeUninit<T>]) {
        let length = if self.len < SHARED { self.len } else { PART_ROWS * self.row() };
        let streams = self.len * size_of::<T>() >= STREAMED;
        write_parts(out, length, &|start, out| self.fill_rows(data, start, out, streams));
    }

    /// The elements of a row of the result: of all axes after the one of stride 1.
    pub(crate) fn row(&self) -> usize {
        self.matrices * self.columns
    }

    /// Some whole rows, from the one on that begins with this element.
    pub(crate) fn copy_band<T: Element>(&self, data: &[T], first: usize, len: usize) -> Buffer<T> {
        assert!(len.is_multiple_of(self.row()), "a band of parts of rows");
        // SAFETY: they are whole rows.
        unsafe { Buffer::build(len, |out| self.fill_rows(data, first, out, false)) }
    }

    /// Writes all elements of whole rows, from the one on that begins with this element.
    fn fill_rows<T: Element>(&self, data: &[T], first: usize, out: &mut [MaybeUninit<T>], streams: bool) {
        dispatch_narrow(
            #[inline(always)]
            || self.copy_rows(data, first / self.row(), out, streams),
        );
    }

    /// Writes whole rows, from this one on.
    #[inline(always)]
    fn copy_rows<T: Element>(
        &self,
        data: &[T],
        mut first: usize,
        mut out: &mut [MaybeUninit<T>],
        streams: bool,
    ) {
        let row = self.row();
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
                transpose(data, (start, self.stride), band, row, [rows, self.columns], streams);
            }
            first += rows;
        }
    }
}

/// Writes `data[j * rows + i]` to `out[i * columns + j]`, all elements.
pub(crate) fn transpose_into<T: Copy>(data: &[T], out: &mut [MaybeUninit<T>], [rows, columns]: [usize; 2]) {
    assert!(data.len() == rows * columns && out.len() == rows * columns, "sizes differ");
    dispatch_narrow(
        #[inline(always)]
        || transpose(data, (0, rows as isize), out, columns, [rows, columns], false),
    );
}

/// Writes element `start + i + j * stride` to `out[i * row + j]`.
#[inline(always)]
fn transpose<T: Copy>(
    data: &[T],
    from: (usize, isize),
    out: &mut [MaybeUninit<T>],
    row: usize,
    size: [usize; 2],
    streams: bool,
) {
    // 256 bytes of a line are read, and written, one after another.
    match (const { size_of::<T>() <= 4 }, streams) {
        (true, false) => by_blocks::<T, 64, false>(data, from, out, row, size),
        (true, true) => by_blocks::<T, 64, true>(data, from, out, row, size),
        (false, false) => by_blocks::<T, 32, false>(data, from, out, row, size),
        (false, true) => by_blocks::<T, 32, true>(data, from, out, row, size),
    }
}

/// [`transpose`] by blocks that stay in the first-level cache. Rows of a large result are often a power of two apart, so
/// that few of them fit the cache at once; then a block is put together elsewhere before its rows are written.
#[inline(always)]
fn by_blocks<T: Copy, const BLOCK: usize, const STREAMS: bool>(
    data: &[T],
    (start, stride): (usize, isize),
    out: &mut [MaybeUninit<T>],
    row: usize,
    [rows, columns]: [usize; 2],
) {
    let direct = row <= 2 * BLOCK;
    let mut block = [[MaybeUninit::<T>::uninit(); BLOCK]; BLOCK];
    for i0 in (0..rows).step_by(BLOCK) {
        for j0 in (0..columns).step_by(BLOCK) {
            let size = [BLOCK.min(rows - i0), BLOCK.min(columns - j0)];
            let (from, out) = ((at(start + i0, j0, stride), stride), &mut out[i0 * row + j0..]);
            if direct {
                by_tiles(data, from, out, row, size);
                continue;
            }
            by_tiles(data, from, block.as_flattened_mut(), BLOCK, size);
            for (i, line) in block[..size[0]].iter().enumerate() {
                let out = &mut out[i * row..][..size[1]];
                // A copy of fixed length is no call.
                match <&mut [MaybeUninit<T>; BLOCK]>::try_from(&mut *out) {
                    Ok(out) if STREAMS => stream(line, out),
                    Ok(out) => *out = *line,
                    Err(_) => out.copy_from_slice(&line[..size[1]]),
                }
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    if STREAMS && !direct {
        // Such stores may come late: they have to be done before another thread is told that they are.
        // SAFETY: every processor of this kind has the instruction.
        unsafe { std::arch::x86_64::_mm_sfence() };
    }
}

/// Copies a line past the caches, if its place is the start of vectors.
#[inline(always)]
fn stream<T: Copy, const LENGTH: usize>(from: &[MaybeUninit<T>; LENGTH], to: &mut [MaybeUninit<T>; LENGTH]) {
    #[cfg(target_arch = "x86_64")]
    if InstructionSet::current() >= InstructionSet::Avx2
        && to.as_ptr().addr().is_multiple_of(32)
        && (LENGTH * size_of::<T>()).is_multiple_of(32)
    {
        use std::arch::x86_64::{_mm256_loadu_si256, _mm256_stream_si256};
        for byte in (0..LENGTH * size_of::<T>()).step_by(32) {
            // SAFETY: both lines have the vector, whose place in the second one is aligned, and the machine the instructions.
            unsafe {
                let vector = _mm256_loadu_si256(from.as_ptr().byte_add(byte).cast());
                _mm256_stream_si256(to.as_mut_ptr().byte_add(byte).cast(), vector);
            }
        }
        return;
    }
    *to = *from;
}

/// [`transpose`] by tiles.
#[inline(always)]
fn by_tiles<T: Copy>(
    data: &[T],
    (start, stride): (usize, isize),
    out: &mut [MaybeUninit<T>],
    row: usize,
    [rows, columns]: [usize; 2],
) {
    for j in (0..columns).step_by(SIDE) {
        for i in (0..rows).step_by(SIDE) {
            let (from, to) = (at(start + i, j, stride), i * row + j);
            if i + SIDE <= rows && j + SIDE <= columns {
                tile(data, (from, stride), &mut out[to..], row);
                continue;
            }
            for i in 0..SIDE.min(rows - i) {
                for j in 0..SIDE.min(columns - j) {
                    out[to + i * row + j].write(data[at(from + i, j, stride)]);
                }
            }
        }
    }
}

/// One whole tile.
#[inline(always)]
fn tile<T: Copy>(data: &[T], (start, stride): (usize, isize), out: &mut [MaybeUninit<T>], row: usize) {
    #[cfg(target_arch = "x86_64")]
    if size_of::<T>() == 4 && InstructionSet::current() >= InstructionSet::Avx2 {
        let last = at(start, SIDE - 1, stride);
        assert!(start.max(last) + SIDE <= data.len() && (SIDE - 1) * row + SIDE <= out.len());
        // SAFETY: the first and the last line lie in the data, as do those between them, and all rows in `out`; moving
        // four bytes keeps them, whatever they mean; and no instruction set is in use that the machine lacks.
        unsafe {
            transpose_8x8(data.as_ptr().add(start).cast(), stride, out.as_mut_ptr().cast(), row);
        }
        return;
    }
    shuffle(data, (start, stride), out, row);
}

/// One whole tile. Three perfect shuffles of its lines (the upper half of them interleaved with the lower)
/// transpose it; each is two vector instructions per pair of lines, which one transposition at once is not.
#[inline(always)]
fn shuffle<T: Copy>(data: &[T], (start, stride): (usize, isize), out: &mut [MaybeUninit<T>], row: usize) {
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
