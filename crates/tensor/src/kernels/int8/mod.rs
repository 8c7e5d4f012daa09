//! Products of 8-bit integers, summed up exactly in 32 bits.
//!
//! The left matrix has bytes without a sign, the right one with: this is what the instructions multiply. Numbers with a sign
//! on the left are moved up by 128 beforehand, and a zero point is taken off afterwards, by the sums of the columns. Sums
//! wrap around on the way, which changes nothing: whatever fits in the end is exact. So every instruction set, any number of
//! threads and every layout give the same bits.

#![allow(unsafe_code, reason = "tiles through pointers, whose bounds are checked before; see SAFETY")]

pub(crate) mod convert;
mod tiles;

use self::tiles::{HALF, Rows};
use crate::runtime::{Buffer, InstructionSet, Pointer, dispatch, for_each_piece_of};

/// The terms that are multiplied at once.
pub(crate) const QUAD: usize = 4;
/// The columns of a panel.
const PANEL: usize = 16;
/// The rows of a piece of work: as 16-bit integers they stay in the second cache.
const BLOCK: usize = 96;
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

    /// `sum over terms of (x - zero_point) * w + bias` for the rows of `x`, which are [`row_stride`](Self::row_stride) apart; what
    /// lies between rows has no influence. The rows of `out` are [`out_stride`](Self::out_stride) apart.
    pub(crate) fn multiply(
        &self,
        x: &[u8],
        rows: usize,
        zero_point: u8,
        bias: Option<&[i32]>,
        out: &mut [i32],
    ) {
        let (stride, out_stride) = (self.row_stride(), self.out_stride());
        assert!(x.len() >= rows * stride && out.len() >= rows * out_stride, "there are fewer rows");
        let mut start = vec![0_i32; out_stride];
        for (column, (start, &sum)) in start.iter_mut().zip(self.sums.as_slice()).enumerate() {
            let bias = bias.and_then(|bias| bias.get(column)).copied().unwrap_or(0);
            *start = bias.wrapping_sub(sum.wrapping_mul(zero_point.into()));
        }
        let path = Path::current();
        let panels = out_stride / PANEL;
        // Few rows are shared panel by panel, many block by block.
        let blocks = rows.div_ceil(BLOCK);
        let cuts = if blocks < 8 { panels } else { 1 };
        let shared = rows * self.terms * self.columns >= SHARED;
        let out = Pointer(out.as_mut_ptr());
        for_each_piece_of(blocks, shared && cuts == 1, &|block| {
            let first = block * BLOCK;
            let count = BLOCK.min(rows - first);
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
            #[cfg(not(target_arch = "x86_64"))]
            Left::Bytes(_) => unreachable!("only VNNI reads bytes"),
            #[cfg(target_arch = "x86_64")]
            Left::Bytes(x) => {
                let rows = |row: usize| Rows {
                    first: x[row * stride..].as_ptr(),
                    stride,
                    quads,
                    // SAFETY: as many rows follow in the result as in the block.
                    out: unsafe { out.add(row * out_stride) },
                    out_stride,
                };
                in_tiles::<12>(count, |row, whole| {
                    // SAFETY: `Path::current` looked for the instructions; rows, panel, start and result have the sizes.
                    unsafe {
                        if whole {
                            tiles::vnni::<12>(&rows(row), data.as_ptr(), start.as_ptr());
                        } else {
                            tiles::vnni::<1>(&rows(row), data.as_ptr(), start.as_ptr());
                        }
                    }
                });
            }
            Left::Wide(x) => {
                let x = x.as_slice();
                let mut wide = Buffer::filled(quads * HALF * QUAD, 0_i16);
                let wide = wide.get_mut().expect("nobody else has it");
                for half in 0..2 {
                    widen_half(data, half, wide);
                    let rows = |row: usize| Rows {
                        first: x[row * stride..].as_ptr(),
                        stride,
                        quads,
                        // SAFETY: as many rows follow in the result as in the block.
                        out: unsafe { out.add(row * out_stride + half * HALF) },
                        out_stride,
                    };
                    let start = start[half * HALF..].as_ptr();
                    in_tiles::<6>(count, |row, whole| {
                        // SAFETY: as above.
                        unsafe {
                            if whole {
                                path.wide_tile::<6>(&rows(row), wide.as_ptr(), start);
                            } else {
                                path.wide_tile::<1>(&rows(row), wide.as_ptr(), start);
                            }
                        }
                    });
                }
            }
        }
    }
}

/// Calls `tile` with the first row of each whole tile, and then of each single row that is left.
#[inline(always)]
fn in_tiles<const R: usize>(rows: usize, tile: impl Fn(usize, bool)) {
    let whole = rows - rows % R;
    (0..whole).step_by(R).for_each(|row| tile(row, true));
    (whole..rows).for_each(|row| tile(row, false));
}

/// Half of the columns of a panel as 16-bit integers.
fn widen_half(panel: &[i8], half: usize, wide: &mut [i16]) {
    dispatch(
        #[inline(always)]
        || {
            let halves = panel.as_chunks::<{ HALF * QUAD }>().0;
            for (wide, panel) in wide.as_chunks_mut().0.iter_mut().zip(halves.iter().skip(half).step_by(2)) {
                *wide = panel.map(i16::from);
            }
        },
    );
}

/// The rows of a block as the tiles read them.
enum Left<'a> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only VNNI reads bytes"))]
    Bytes(&'a [u8]),
    Wide(Buffer<i16>),
}

/// The instructions of the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Path {
    fn current() -> Self {
        #[cfg(target_arch = "x86_64")]
        return match InstructionSet::current() {
            InstructionSet::Avx512 if is_x86_feature_detected!("avx512vnni") => Self::Vnni,
            InstructionSet::Avx512 | InstructionSet::Avx2 => Self::Avx2,
            InstructionSet::Portable => Self::Portable,
        };
        #[cfg(target_arch = "aarch64")]
        return Self::Neon;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Self::Portable
    }

    /// The rows of a block as the tiles read them.
    fn left(self, x: &[u8]) -> Left<'_> {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Vnni {
            return Left::Bytes(x);
        }
        let mut wide = Buffer::filled(x.len(), 0_i16);
        let elements = wide.get_mut().expect("nobody else has it");
        dispatch(
            #[inline(always)]
            || elements.iter_mut().zip(x).for_each(|(wide, &x)| *wide = x.into()),
        );
        Left::Wide(wide)
    }

    /// # Safety
    /// As [`tiles::portable`], and the machine must have the instructions.
    #[inline(always)]
    unsafe fn wide_tile<const R: usize>(self, rows: &Rows<i16>, panel: *const i16, start: *const i32) {
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
