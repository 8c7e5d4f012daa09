//! Products too small or too narrow for the blocks that large ones are made of.

#![allow(unsafe_code, reason = "elements of strided matrices, whose bounds are checked once; see SAFETY")]

use std::array::from_fn;
use std::mem::MaybeUninit;

use crate::element::Float;
use crate::kernels::matmul::MatrixRef;
use crate::runtime::Buffer;
use crate::runtime::dispatch;

/// The columns of a panel, one or two registers wide.
const WIDTH: usize = 16;
/// The rows that are computed side by side, so that one addition need not wait for the other.
const ROWS: usize = 4;

/// Whether this is the better way for these sizes, as measured.
pub(crate) fn is_narrow(m: usize, k: usize, n: usize) -> bool {
    m * k * n <= 16 * 16 * 16
}

/// Writes `lhs x rhs + bias`, row-major. Each element is summed up in the order of the inner axis.
///
/// # Safety
/// All elements of the operands must lie in their buffers; `out` must have one for each of the result's.
pub(crate) unsafe fn narrow_product<T: Float>(
    out: &mut [MaybeUninit<T>],
    lhs: MatrixRef<T>,
    rhs: MatrixRef<T>,
    bias: Option<&[T]>,
) {
    let n = rhs.columns;
    for first in (0..n).step_by(WIDTH) {
        let width = WIDTH.min(n - first);
        // SAFETY: the caller's promise.
        let panel = unsafe { pack(rhs, first, width) };
        let mut start = [T::ZERO; WIDTH];
        if let Some(bias) = bias {
            start[..width].copy_from_slice(&bias[first..first + width]);
        }
        dispatch(
            #[inline(always)]
            || {
                let panel = panel.as_slice();
                let mut row = 0;
                while row + ROWS <= lhs.rows {
                    // SAFETY: the caller's promise, for rows that there are.
                    let sums = unsafe { rows_times_panel::<T, ROWS>(lhs, row, panel, start) };
                    write_rows(&sums, &mut out[row * n..], first, width, n);
                    row += ROWS;
                }
                while row < lhs.rows {
                    // SAFETY: as above.
                    let sums = unsafe { rows_times_panel::<T, 1>(lhs, row, panel, start) };
                    write_rows(&sums, &mut out[row * n..], first, width, n);
                    row += 1;
                }
            },
        );
    }
}

/// # Safety
/// All elements of the rows from `row` on must lie in their buffer.
#[inline(always)]
unsafe fn rows_times_panel<T: Float, const R: usize>(
    lhs: MatrixRef<T>,
    row: usize,
    panel: &[T],
    start: [T; WIDTH],
) -> [[T; WIDTH]; R] {
    let mut sums = [start; R];
    let starts: [usize; R] = from_fn(|r| lhs.offset.wrapping_add_signed((row + r) as isize * lhs.row_stride));
    for (i, line) in panel.chunks_exact(WIDTH).enumerate() {
        let line: [T; WIDTH] = line.try_into().expect("a chunk of this length");
        // SAFETY: the caller's promise; the panel has a line for each column.
        let factors: [T; R] = from_fn(|r| unsafe {
            *lhs.data.get_unchecked(starts[r].wrapping_add_signed(i as isize * lhs.column_stride))
        });
        for r in 0..R {
            for j in 0..WIDTH {
                sums[r][j] += factors[r] * line[j];
            }
        }
    }
    sums
}

/// Columns side by side, and zeros where there are none.
///
/// # Safety
/// All elements of the matrix must lie in their buffer.
unsafe fn pack<T: Float>(rhs: MatrixRef<T>, first: usize, width: usize) -> Buffer<T> {
    let start = rhs.offset.wrapping_add_signed(first as isize * rhs.column_stride);
    let fill = |panel: &mut [MaybeUninit<T>]| {
        for (row, line) in panel.chunks_exact_mut(WIDTH).enumerate() {
            let start = start.wrapping_add_signed(row as isize * rhs.row_stride);
            for (column, element) in line.iter_mut().enumerate() {
                let place = start.wrapping_add_signed(column as isize * rhs.column_stride);
                // SAFETY: the caller's promise.
                element.write(if column < width {
                    unsafe { *rhs.data.get_unchecked(place) }
                } else {
                    T::ZERO
                });
            }
        }
    };
    // SAFETY: every element of every line is written.
    unsafe { Buffer::build(rhs.rows * WIDTH, fill) }
}

#[inline(always)]
fn write_rows<T: Float>(
    sums: &[[T; WIDTH]],
    out: &mut [MaybeUninit<T>],
    first: usize,
    width: usize,
    row_length: usize,
) {
    for (r, sums) in sums.iter().enumerate() {
        for (out, &sum) in out[r * row_length + first..][..width].iter_mut().zip(sums) {
            out.write(sum);
        }
    }
}
