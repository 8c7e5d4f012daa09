//! Products too small or too narrow for the blocks that large ones are made of.
//!
//! Nothing is packed: some rows by two vectors of columns stay in registers, while the inner axis is walked. An element of
//! the left operand, wherever it lies, is repeated in all lanes; of the right one, lines are read where they lie.

#![allow(unsafe_code, reason = "elements of strided matrices, whose bounds are checked once; see SAFETY")]

use std::mem::MaybeUninit;

use crate::element::Float;
use crate::kernels::copy::copy;
use crate::kernels::matmul::{MatrixRef, SHARED};
use crate::layout::{Layout, Strided};
use crate::runtime::registers::{Vector, VectorLoop, dispatch_vectors};
use crate::runtime::{Buffer, InstructionSet};

/// Whether this is the better way for these sizes, as measured.
pub(crate) fn is_narrow(m: usize, k: usize, n: usize) -> bool {
    // Larger ones are for threads, and longer sums are cut into blocks.
    let small = k <= 512 && m * k * n < SHARED && n > 1;
    let few = n <= 32 || m >= 32 && m * k * n <= 64 * 64 * 64;
    // The other way fuses products and sums whatever is selected, and without such instructions this one is slower.
    is_tiny(m, k, n) || small && few && InstructionSet::current() >= InstructionSet::Avx2
}

fn is_tiny(m: usize, k: usize, n: usize) -> bool {
    m * k * n <= 16 * 16 * 16
}

/// Writes `lhs x rhs + bias`, row-major. Each element is summed up in the order of the inner axis; without fusing and
/// from the bias on if there are few of them, else as large products are.
///
/// # Safety
/// All elements of the operands must lie in their buffers; `out` must have one for each of the result's, and `bias`
/// one for each column.
pub(crate) unsafe fn narrow_product<T: Float>(
    out: &mut [MaybeUninit<T>],
    lhs: MatrixRef<T>,
    rhs: MatrixRef<T>,
    bias: Option<&[T]>,
) {
    // SAFETY: the caller's promise; the right operand has lines.
    unsafe {
        if rhs.column_stride == 1 || rhs.columns == 1 {
            product_with_lines(out, &lhs, &rhs, bias);
        } else {
            let lines = lines(rhs);
            let rhs = MatrixRef::row_major(lines.as_slice(), rhs.rows, rhs.columns);
            product_with_lines(out, &lhs, &rhs, bias);
        }
    }
}

/// [`narrow_product`] with a right operand whose lines are contiguous, or which has one column.
///
/// # Safety
/// All elements of the operands must lie in their buffers, and the right one must be of this kind; `out` must have one for each
/// of the result's, and `bias` one for each column.
#[inline]
pub(crate) unsafe fn product_with_lines<T: Float>(
    out: &mut [MaybeUninit<T>],
    lhs: &MatrixRef<T>,
    rhs: &MatrixRef<T>,
    bias: Option<&[T]>,
) {
    debug_assert!(rhs.column_stride == 1 || rhs.columns == 1);
    dispatch_vectors(Product { out, lhs, rhs, bias });
}

/// A copy of a matrix, row after row.
fn lines<T: Float>(x: MatrixRef<T>) -> Buffer<T> {
    // Up to here, finding the way of a copy costs more than the copy.
    const SMALL: usize = 1024;
    let len = x.rows * x.columns;
    if len > SMALL {
        let shape = [x.rows, x.columns].into_iter().collect();
        let layout = Layout { shape, strides: x.strides().into_iter().collect(), offset: x.offset };
        return copy(Strided { data: x.data, layout: &layout });
    }
    let fill = |out: &mut [MaybeUninit<T>]| {
        for (row, line) in out.chunks_exact_mut(x.columns).enumerate() {
            let mut place = x.offset.wrapping_add_signed(row as isize * x.row_stride);
            for out in line {
                out.write(x.data[place]);
                place = place.wrapping_add_signed(x.column_stride);
            }
        }
    };
    // SAFETY: all rows are written.
    unsafe { Buffer::build(len, fill) }
}

/// A product whose right operand has lines; see [`narrow_product`].
struct Product<'a, T> {
    out: &'a mut [MaybeUninit<T>],
    lhs: &'a MatrixRef<'a, T>,
    rhs: &'a MatrixRef<'a, T>,
    bias: Option<&'a [T]>,
}

impl<T: Float> VectorLoop<T> for Product<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let (m, n) = (self.lhs.rows, self.rhs.columns);
        // SAFETY: the promise of `narrow_product`, for rows and columns that there are.
        unsafe {
            let left = self.lhs.data.as_ptr().wrapping_add(self.lhs.offset);
            let right = self.rhs.data.as_ptr().wrapping_add(self.rhs.offset);
            let mut column = 0;
            while column < n {
                let wide = n - column > V::LANES;
                let width = (n - column).min(if wide { 2 } else { 1 } * V::LANES);
                let last = V::first_lanes(if wide { width - V::LANES } else { width });
                let panel = Panel {
                    left: (left, self.lhs.column_stride, self.lhs.row_stride),
                    right: (right.wrapping_add(column), self.rhs.row_stride, last),
                    inner: self.lhs.columns,
                    bias: self.bias.map(|bias| bias.as_ptr().add(column)),
                    out: (self.out.as_mut_ptr().add(column).cast(), n),
                };
                match (wide, is_tiny(m, panel.inner, n)) {
                    (true, true) => panel.rows::<V, 2, false>(m),
                    (true, false) => panel.rows::<V, 2, true>(m),
                    (false, true) => panel.rows::<V, 1, false>(m),
                    (false, false) => panel.rows::<V, 1, true>(m),
                }
                column += width;
            }
        }
    }
}

/// Some columns of a product.
struct Panel<T, M> {
    /// The first element, and the strides along the inner axis and the rows.
    left: (*const T, isize, isize),
    /// The first line, how far they are apart, and the lanes of the last vector of a line; rows of
    /// results have the same.
    right: (*const T, isize, M),
    inner: usize,
    bias: Option<*const T>,
    /// The first result, and how far rows are apart.
    out: (*mut T, usize),
}

impl<T: Float, M: Copy> Panel<T, M> {
    #[inline(always)]
    unsafe fn rows<V: Vector<T, Mask = M>, const WIDE: usize, const FUSED: bool>(&self, rows: usize) {
        let mut row = 0;
        while row < rows {
            // SAFETY: the caller's promise.
            row += unsafe {
                match rows - row {
                    8.. if const { V::ROWS >= 8 } => self.tile::<V, WIDE, 8, FUSED>(row),
                    4.. => self.tile::<V, WIDE, 4, FUSED>(row),
                    2.. => self.tile::<V, WIDE, 2, FUSED>(row),
                    _ => self.tile::<V, WIDE, 1, FUSED>(row),
                }
            };
        }
    }

    /// A line of numbers, from here on.
    #[inline(always)]
    unsafe fn line<V: Vector<T, Mask = M>, const WIDE: usize>(&self, from: *const T) -> [V; WIDE] {
        // SAFETY: the caller's promise.
        unsafe {
            let mut line = [V::load_first(from.wrapping_add((WIDE - 1) * V::LANES), self.right.2); WIDE];
            for (i, vector) in line[..WIDE - 1].iter_mut().enumerate() {
                *vector = V::load(from.add(i * V::LANES));
            }
            line
        }
    }

    #[inline(always)]
    unsafe fn tile<V: Vector<T, Mask = M>, const WIDE: usize, const ROWS: usize, const FUSED: bool>(
        &self,
        row: usize,
    ) -> usize {
        let zero = T::ZERO;
        // SAFETY: the caller's promise.
        unsafe {
            let none = [V::splat(&raw const zero); WIDE];
            let bias = self.bias.map(
                #[inline(always)]
                |bias| self.line::<V, WIDE>(bias),
            );
            let mut tile = [if FUSED { none } else { bias.unwrap_or(none) }; ROWS];
            let (left, step, row_step) = self.left;
            let left = left.wrapping_offset(row as isize * row_step);
            for i in 0..self.inner as isize {
                let line = self.line::<V, WIDE>(self.right.0.wrapping_offset(i * self.right.1));
                for (r, sums) in tile.iter_mut().enumerate() {
                    let factor = V::splat(left.wrapping_offset(i * step + r as isize * row_step));
                    for (sum, &x) in sums.iter_mut().zip(&line) {
                        *sum = if FUSED { sum.add_product(factor, x) } else { sum.add(factor.mul(x)) };
                    }
                }
            }
            if let (true, Some(bias)) = (FUSED, bias) {
                for sums in &mut tile {
                    for (sum, &x) in sums.iter_mut().zip(&bias) {
                        *sum = sum.add(x);
                    }
                }
            }
            let (out, row_length) = self.out;
            for (r, sums) in tile.iter().enumerate() {
                let out = out.add((row + r) * row_length);
                for (i, sum) in sums[..WIDE - 1].iter().enumerate() {
                    sum.store(out.add(i * V::LANES));
                }
                sums[WIDE - 1].store_first(out.add((WIDE - 1) * V::LANES), self.right.2);
            }
        }
        ROWS
    }
}
