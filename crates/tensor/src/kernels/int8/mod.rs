//! Products of 8-bit integers, summed up exactly in 32 bits.
//!
//! The left matrix has bytes without a sign, the right one with: this is what the instructions multiply. Numbers with a sign
//! on the left are moved up to begin at 0 beforehand, and a zero point is taken off afterwards, by the sums of the columns. Sums
//! wrap around on the way, which changes nothing: whatever fits in the end is exact. So every instruction set, any number of
//! threads and every layout give the same bits.

#![allow(unsafe_code, reason = "tiles through pointers, whose bounds are checked before; see SAFETY")]

pub(crate) mod conv;
pub(crate) mod convert;
mod tiles;

use std::mem::MaybeUninit;
use std::ops::Range;

use self::tiles::{HALF, Rows};
use crate::runtime::{Buffer, InstructionSet, Pointer, dispatch, for_each_piece_of};

/// The terms that are multiplied at once.
pub(crate) const QUAD: usize = 4;
/// The columns of a panel.
const PANEL: usize = 16;
/// The rows of the largest tile.
const TILE: usize = 12;
/// The bytes of the left matrix in a piece of work, if that is many rows.
const BLOCK: usize = 128 * 1024;
/// The pieces of work that rows of bytes are cut into, if they are enough for as many tiles.
const BLOCKS: usize = 32;
/// From this many multiplications on, work is shared among threads.
const SHARED: usize = 1 << 20;

/// The right matrix of products, `[terms, columns]`: panels of 16 columns, each quad of terms by quad, each quad column by
/// column; filled up with zeros.
pub(crate) struct Panels {
    terms: usize,
    columns: usize,
    data: Buffer<i8>,
    /// The sum of each column, up to the end of the last panel.
    sums: Buffer<i32>,
}

impl Panels {
    /// Of the transposed matrix, `[columns, terms]`.
    pub(crate) fn of_rows(rows: &[i8], columns: usize, terms: usize) -> Self {
        assert_eq!(rows.len(), columns * terms, "sizes differ");
        let quads = terms.div_ceil(QUAD);
        let mut data = Buffer::filled(columns.div_ceil(PANEL) * quads * PANEL * QUAD, 0_i8);
        let mut sums = Buffer::filled(columns.next_multiple_of(PANEL), 0_i32);
        let places = data.get_mut().expect("nobody else has it");
        let column_sums = sums.get_mut().expect("nobody else has it");
        for column in 0..columns {
            for term in 0..terms {
                let w = rows[column * terms + term];
                places[Self::place(quads, column, term)] = w;
                column_sums[column] += i32::from(w);
            }
        }
        Self { terms, columns, data, sums }
    }

    /// The place of an element.
    fn place(quads: usize, column: usize, term: usize) -> usize {
        let quad = column / PANEL * quads + term / QUAD;
        (quad * PANEL + column % PANEL) * QUAD + term % QUAD
    }

    /// The transposed matrix, row by row.
    pub(crate) fn to_rows(&self) -> Vec<i8> {
        let (quads, data) = (self.terms.div_ceil(QUAD), self.data.as_slice());
        let column = |column| (0..self.terms).map(move |term| data[Self::place(quads, column, term)]);
        (0..self.columns).flat_map(column).collect()
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The distance between rows of the left matrix.
    pub(crate) fn row_stride(&self) -> usize {
        self.terms.next_multiple_of(QUAD)
    }

    /// The distance between rows of a product.
    pub(crate) fn out_stride(&self) -> usize {
        self.columns.next_multiple_of(PANEL)
    }

    /// `sum over terms of (x - zero_point) * w + bias` for each row x of the left matrix. `left` makes some rows, `at_once` at most,
    /// which are [`row_stride`](Self::row_stride) apart; what lies between rows has no influence. No byte of a row is larger than
    /// `most`. The rows of the sums are [`out_stride`](Self::out_stride) apart.
    pub(crate) fn multiply(
        &self,
        (rows, at_once): (usize, usize),
        left: impl Fn(Range<usize>) -> Buffer<u8>,
        [zero_point, most]: [u8; 2],
        bias: Option<&[i32]>,
    ) -> Buffer<i32> {
        let out_stride = self.out_stride();
        let mut start = vec![0_i32; out_stride];
        for (column, (start, &sum)) in start.iter_mut().zip(self.sums.as_slice()).enumerate() {
            let bias = bias.and_then(|bias| bias.get(column)).copied().unwrap_or(0);
            *start = bias.wrapping_sub(sum.wrapping_mul(zero_point.into()));
        }
        let path = Path::of(most);
        // SAFETY: the parts cover the result, and `multiply_rows` writes each of them.
        unsafe {
            Buffer::build(rows * out_stride, |out| {
                for first in (0..rows).step_by(at_once.max(1)) {
                    let end = rows.min(first + at_once);
                    let out = &mut out[first * out_stride..end * out_stride];
                    self.multiply_rows(path, left(first..end).as_slice(), &start, out);
                }
            })
        }
    }

    /// The products of rows, added to `start`; all sums are written.
    fn multiply_rows(&self, path: Path, x: &[u8], start: &[i32], out: &mut [MaybeUninit<i32>]) {
        let (stride, out_stride) = (self.row_stride(), self.out_stride());
        let (rows, panels) = (out.len().checked_div(out_stride).unwrap_or(0), out_stride / PANEL);
        assert!(x.len() >= rows * stride, "there are fewer rows");
        let at_once = path.block_rows(rows, stride);
        let blocks = rows.div_ceil(at_once);
        // Few rows are shared panel by panel, many block by block.
        let cuts = if blocks < 8 { panels } else { 1 };
        let shared = rows * self.terms * self.columns >= SHARED;
        let out = Pointer(out.as_mut_ptr().cast());
        for_each_piece_of(blocks, shared && cuts == 1, &|block| {
            let first = block * at_once;
            let count = at_once.min(rows - first);
            let left = path.left(&x[first * stride..][..count * stride]);
            for_each_piece_of(cuts, shared && cuts > 1, &|cut| {
                for panel in cut * panels / cuts..(cut + 1) * panels / cuts {
                    // SAFETY: the block and the panel lie within the result, and belong to this piece alone.
                    let out = unsafe { out.at(first * out_stride + panel * PANEL) };
                    self.panel(path, &left, count, panel, &start[panel * PANEL..][..PANEL], out);
                }
            });
        });
    }

    /// The rows of a block times a panel.
    fn panel(&self, path: Path, left: &Left, count: usize, panel: usize, start: &[i32], out: *mut i32) {
        let (stride, out_stride, quads) = (self.row_stride(), self.out_stride(), self.terms.div_ceil(QUAD));
        let data = &self.data.as_slice()[panel * quads * PANEL * QUAD..][..quads * PANEL * QUAD];
        match left {
            Left::Bytes(x) => in_tiles(path.tile_rows(), count, |row, tile| {
                let rows = Rows {
                    first: x[row * stride..].as_ptr(),
                    stride,
                    quads,
                    // SAFETY: as many rows follow in the result as in the block.
                    out: unsafe { out.add(row * out_stride) },
                    out_stride,
                };
                // SAFETY: `Path::of` looked for the instructions and at the bytes; rows, panel, start and result have the sizes.
                unsafe { path.byte_tile(tile, &rows, data.as_ptr(), start.as_ptr()) }
            }),
            Left::Wide(x) => {
                for half in 0..2 {
                    let wide = Path::widen_half(data, half);
                    in_tiles(path.tile_rows(), count, |row, tile| {
                        let rows = Rows {
                            first: x.as_slice()[row * stride..].as_ptr(),
                            stride,
                            quads,
                            // SAFETY: as many rows follow in the result as in the block.
                            out: unsafe { out.add(row * out_stride + half * HALF) },
                            out_stride,
                        };
                        // SAFETY: as above.
                        unsafe {
                            path.wide_tile(
                                tile,
                                &rows,
                                wide.as_slice().as_ptr(),
                                start[half * HALF..].as_ptr(),
                            );
                        }
                    });
                }
            }
        }
    }
}

/// Calls `tile` with the first row and the number of rows of each tile: `largest` at first, then fewer.
#[inline(always)]
fn in_tiles(largest: usize, rows: usize, tile: impl Fn(usize, usize)) {
    let mut row = 0;
    for size in [12, 6, 4, 2, 1].into_iter().filter(|&size| size <= largest) {
        while rows - row >= size {
            tile(row, size);
            row += size;
        }
    }
}

/// The rows of a block as the tiles read them.
enum Left<'a> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only instructions of x86 read bytes"))]
    Bytes(&'a [u8]),
    Wide(Buffer<i16>),
}

/// The instructions of the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// Bytes up to 127.
    #[cfg(target_arch = "x86_64")]
    Avx2Low,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Path {
    /// The best instructions for bytes up to `most`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "only AVX2 looks at it"))]
    fn of(most: u8) -> Self {
        #[cfg(target_arch = "x86_64")]
        return match InstructionSet::current() {
            InstructionSet::Avx512 if is_x86_feature_detected!("avx512vnni") => Self::Vnni,
            InstructionSet::Avx512 | InstructionSet::Avx2 if most < 128 => Self::Avx2Low,
            InstructionSet::Avx512 | InstructionSet::Avx2 => Self::Avx2,
            InstructionSet::Portable => Self::Portable,
        };
        #[cfg(target_arch = "aarch64")]
        return Self::Neon;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Self::Portable
    }

    /// The rows of the largest tile, for which there are registers.
    fn tile_rows(self) -> usize {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Vnni {
            return TILE;
        }
        TILE / 2
    }

    /// Whether tiles read bytes, and not 16-bit integers.
    fn reads_bytes(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return matches!(self, Self::Vnni | Self::Avx2Low);
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// The rows of a piece of work: whole tiles, in pieces of about one size, which stay in the second cache as 16-bit integers.
    /// Bytes are not made wide for each block, so there may be many: a thread then has the rows that it has before and after.
    fn block_rows(self, rows: usize, stride: usize) -> usize {
        let blocks = if self.reads_bytes() { BLOCKS } else { 1 };
        let most = (BLOCK / stride.max(1)).min(rows.div_ceil(blocks)).clamp(TILE, 16 * TILE);
        rows.div_ceil(rows.div_ceil(most).max(1)).next_multiple_of(TILE).max(TILE)
    }

    /// The rows of a block as the tiles read them.
    fn left(self, x: &[u8]) -> Left<'_> {
        #[cfg(target_arch = "x86_64")]
        if self.reads_bytes() {
            return Left::Bytes(x);
        }
        Left::Wide(widened(x.len(), |wide| {
            for (wide, &x) in wide.iter_mut().zip(x) {
                wide.write(x.into());
            }
        }))
    }

    /// Half of the columns of a panel as 16-bit integers.
    fn widen_half(panel: &[i8], half: usize) -> Buffer<i16> {
        widened(panel.len() / 2, |wide| {
            let halves = panel.as_chunks::<{ HALF * QUAD }>().0.iter().skip(half).step_by(2);
            for (wide, panel) in wide.as_chunks_mut::<{ HALF * QUAD }>().0.iter_mut().zip(halves) {
                for (wide, &w) in wide.iter_mut().zip(panel) {
                    wide.write(w.into());
                }
            }
        })
    }

    /// A tile of so many rows and the columns of a panel.
    ///
    /// # Safety
    /// As [`tiles::vnni`], and the machine must have the instructions.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "there are no such tiles"))]
    unsafe fn byte_tile(self, tile: usize, rows: &Rows<u8>, panel: *const i8, start: *const i32) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's promise.
        unsafe {
            match (self, tile) {
                (Self::Vnni, 12) => tiles::vnni::<12>(rows, panel, start),
                (Self::Vnni, 6) => tiles::vnni::<6>(rows, panel, start),
                (Self::Vnni, 4) => tiles::vnni::<4>(rows, panel, start),
                (Self::Vnni, 2) => tiles::vnni::<2>(rows, panel, start),
                (Self::Vnni, _) => tiles::vnni::<1>(rows, panel, start),
                (_, 6) => tiles::avx2_low::<6>(rows, panel, start),
                (_, 4) => tiles::avx2_low::<4>(rows, panel, start),
                (_, 2) => tiles::avx2_low::<2>(rows, panel, start),
                _ => tiles::avx2_low::<1>(rows, panel, start),
            }
        }
    }

    /// A tile of so many rows and half of the columns of a panel.
    ///
    /// # Safety
    /// As [`tiles::portable`], and the machine must have the instructions.
    #[inline(always)]
    unsafe fn wide_tile(self, tile: usize, rows: &Rows<i16>, panel: *const i16, start: *const i32) {
        // SAFETY: the caller's promise.
        unsafe {
            match tile {
                6 => self.wide_rows::<6>(rows, panel, start),
                4 => self.wide_rows::<4>(rows, panel, start),
                2 => self.wide_rows::<2>(rows, panel, start),
                _ => self.wide_rows::<1>(rows, panel, start),
            }
        }
    }

    /// # Safety
    /// As [`tiles::portable`], and the machine must have the instructions.
    #[inline(always)]
    unsafe fn wide_rows<const R: usize>(self, rows: &Rows<i16>, panel: *const i16, start: *const i32) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => tiles::avx2::<R>(rows, panel, start),
                #[cfg(target_arch = "aarch64")]
                Self::Neon => tiles::neon::<R>(rows, panel, start),
                _ => tiles::portable::<R>(rows, panel, start),
            }
        }
    }
}

/// A buffer of 16-bit integers, all of which `fill` writes.
fn widened(len: usize, fill: impl FnOnce(&mut [MaybeUninit<i16>])) -> Buffer<i16> {
    // SAFETY: both users write all of them: one for each byte.
    unsafe {
        Buffer::build(len, |wide| {
            dispatch(
                #[inline(always)]
                || fill(wide),
            );
        })
    }
}
