//! Matrix products through the `gemm` crate, strides passed as they are.

#![allow(unsafe_code, reason = "the only way into the kernels of `gemm`; see SAFETY")]

use std::mem::MaybeUninit;
use std::ops::Range;

mod cuts;
pub(crate) mod narrow;

pub(crate) use narrow::is_narrow;

use gemm_common::Parallelism;

use crate::element::Float;
use crate::kernels::matmul::cuts::Cuts;
use crate::kernels::matmul::narrow::narrow_product;
use crate::kernels::parts::unwritten;
use crate::runtime::Buffer;
use crate::runtime::{Pointer, for_each_part, for_each_piece_of};

/// From this many multiplications on, a product is shared among threads.
pub(crate) const SHARED: usize = 1 << 20;

/// A matrix somewhere in a buffer.
#[derive(Clone, Copy)]
pub(crate) struct MatrixRef<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) offset: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: isize,
    pub(crate) column_stride: isize,
}

impl<'a, T: Copy> MatrixRef<'a, T> {
    /// A matrix whose rows follow each other in `data`.
    pub(crate) fn row_major(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self { data, offset: 0, rows, columns, row_stride: columns as isize, column_stride: 1 }
    }

    /// Panics unless every element lies in the buffer.
    pub(crate) fn check_bounds(&self) {
        let reach = |size: usize, stride: isize| (size as isize - 1) * stride;
        let (rows, columns) = (reach(self.rows, self.row_stride), reach(self.columns, self.column_stride));
        let first = self.offset as isize + rows.min(0) + columns.min(0);
        let last = self.offset as isize + rows.max(0) + columns.max(0);
        assert!(first >= 0 && (last as usize) < self.data.len(), "a matrix reaches beyond its buffer");
    }

    pub(crate) fn strides(&self) -> [isize; 2] {
        [self.row_stride, self.column_stride]
    }

    pub(crate) fn of_rows(self, rows: &Range<usize>) -> Self {
        let offset = self.offset.wrapping_add_signed(rows.start as isize * self.row_stride);
        Self { offset, rows: rows.len(), ..self }
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> T {
        let place = row as isize * self.row_stride + column as isize * self.column_stride;
        self.data[self.offset.wrapping_add_signed(place)]
    }

    /// The transposed matrix.
    #[inline]
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The same elements with the last column first.
    fn columns_reversed(self) -> Self {
        let last = (self.columns as isize - 1) * self.column_stride;
        Self { offset: self.offset.wrapping_add_signed(last), column_stride: -self.column_stride, ..self }
    }

    /// This right operand of a product, so that a single row of the left one is multiplied as all of them are: of one
    /// column it is not known how far away others would be, and `gemm` would take a 1 for a row-major matrix.
    fn beside(self, lhs: &Self) -> Self {
        if self.columns == 1 && lhs.rows > 1 { Self { column_stride: 0, ..self } } else { self }
    }

    pub(crate) fn of_columns(self, columns: &Range<usize>) -> Self {
        let offset = self.offset.wrapping_add_signed(columns.start as isize * self.column_stride);
        Self { offset, columns: columns.len(), ..self }
    }
}

/// The products of pairs of matrices, which all have the same sizes and strides, one after another and each row-major; to
/// every row of them the optional `bias` is added.
pub(crate) fn products<T: Float>(pairs: &[(MatrixRef<T>, MatrixRef<T>)], bias: Option<&[T]>) -> Buffer<T> {
    let size = pairs.first().map_or(0, |(lhs, rhs)| lhs.rows * rhs.columns);
    // SAFETY: all elements are written.
    unsafe { Buffer::build(pairs.len() * size, |out| T::write_products(out, pairs, bias)) }
}

/// [`products`] of one pair, over what is in `out`.
pub(crate) fn overwrite_product<T: Float>(
    out: &mut [T],
    lhs: MatrixRef<T>,
    rhs: MatrixRef<T>,
    bias: Option<&[T]>,
) {
    // SAFETY: products are initialised.
    T::write_product(unsafe { unwritten(out) }, lhs, rhs, bias);
}

/// [`write_products`] of one pair.
pub(crate) fn write_product<T: Float>(
    out: &mut [MaybeUninit<T>],
    lhs: MatrixRef<T>,
    rhs: MatrixRef<T>,
    bias: Option<&[T]>,
) {
    let (m, k, n) = (lhs.rows, lhs.columns, rhs.columns);
    if !is_narrow(m, k, n) {
        return write_products(out, &[(lhs, rhs)], bias);
    }
    assert!(rhs.rows == k && out.len() == m * n && bias.is_none_or(|bias| bias.len() == n), "sizes differ");
    if out.is_empty() {
        return;
    }
    if k > 0 {
        lhs.check_bounds();
        rhs.check_bounds();
    }
    // SAFETY: as has just been checked.
    unsafe { narrow_product(out, lhs, rhs, bias) };
}

/// Writes all elements of [`products`].
pub(crate) fn write_products<T: Float>(
    out: &mut [MaybeUninit<T>],
    pairs: &[(MatrixRef<T>, MatrixRef<T>)],
    bias: Option<&[T]>,
) {
    let Some(&(first_lhs, first_rhs)) = pairs.first() else { return };
    let (m, k, n) = (first_lhs.rows, first_lhs.columns, first_rhs.columns);
    assert!(out.len() == pairs.len() * m * n, "a result of another size");
    if out.is_empty() {
        return;
    }
    if is_narrow(m, k, n) {
        // The pairs that a thread takes at once.
        let together = if pairs.len() * m * k * n < SHARED { pairs.len() } else { SHARED / 8 / (m * k * n) };
        return for_each_part(out, together.max(1) * m * n, |start, out| {
            for (out, &(lhs, rhs)) in out.chunks_exact_mut(m * n).zip(&pairs[start / (m * n)..]) {
                write_product(out, lhs, rhs, bias);
            }
        });
    }
    for (lhs, rhs) in pairs {
        assert!([lhs.rows, lhs.columns, rhs.rows, rhs.columns] == [m, k, k, n], "sizes differ");
        assert!(
            [lhs.strides(), rhs.strides()] == [first_lhs.strides(), first_rhs.strides()],
            "layouts differ"
        );
        if k > 0 {
            lhs.check_bounds();
            rhs.check_bounds();
        }
    }
    assert!(bias.is_none_or(|bias| bias.len() == n), "a bias of another size");
    let cuts = Cuts::new(first_lhs, first_rhs.beside(&first_lhs), pairs.len());
    let out = Pointer(out.as_mut_ptr().cast::<T>());
    for_each_piece_of(
        pairs.len() * cuts.parts,
        cuts.parts > 1 || pairs.len() * m * k * n >= SHARED,
        &|piece| {
            let (lhs, rhs) = pairs[piece / cuts.parts];
            let rhs = rhs.beside(&lhs);
            let (rows, columns) = cuts.part(piece % cuts.parts, m, n);
            let start = (piece / cuts.parts * m + rows.start) * n + columns.start;
            let bias = bias.map(|bias| &bias[columns.clone()]);
            // SAFETY: the part lies in the output, of which no other piece writes any element: pairs are
            // one after another, and parts of a product have rows or columns of their own.
            unsafe { product(out.at(start), n, lhs.of_rows(&rows), rhs.of_columns(&columns), bias) };
        },
    );
}

/// Writes `lhs x rhs + bias` to `out`, whose rows are `row_stride` apart.
///
/// # Safety
/// `out` must be valid for writes of all elements, which nobody else reads or writes meanwhile, the elements of both
/// operands must lie in their buffers, and a bias must have an element for each column.
pub(crate) unsafe fn product<T: Float>(
    out: *mut T,
    row_stride: usize,
    lhs: MatrixRef<T>,
    rhs: MatrixRef<T>,
    bias: Option<&[T]>,
) {
    if lhs.columns == 0 || bias.is_some() {
        for row in 0..lhs.rows {
            // SAFETY: the caller's promise; a bias has an element for each column.
            unsafe {
                let out = out.add(row * row_stride);
                match bias {
                    Some(bias) => out.copy_from_nonoverlapping(bias.as_ptr(), rhs.columns),
                    None => (0..rhs.columns).for_each(|column| out.add(column).write(T::ZERO)),
                }
            };
        }
    }
    if lhs.columns == 0 {
        return;
    }
    let over = if bias.is_some() { Over::Sum } else { Over::Anything };
    // SAFETY: the caller's promise; the elements that are added to were written by the loop above.
    unsafe { call_gemm(out, row_stride, over, T::ONE, lhs, rhs) };
}

/// The kernel of `gemm` for a type of number and this processor. It computes `alpha * out + beta * lhs x rhs` from sizes
/// m, n and k, and from a pointer, the distance of columns and the distance of rows for each matrix; whether `out` is read,
/// alpha, beta, and whether each matrix is conjugated.
type Kernel<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// A type of number that has such a kernel.
pub trait Gemm: Copy {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "nobody outside of this crate calls it")]
    fn kernel() -> Kernel<Self>;
}

impl Gemm for f32 {
    #[allow(private_interfaces, reason = "see the trait")]
    fn kernel() -> Kernel<f32> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }
}

impl Gemm for f64 {
    #[allow(private_interfaces, reason = "see the trait")]
    fn kernel() -> Kernel<f64> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }
}

/// Writes `factor * lhs x rhs` to `out`, whose rows are `row_stride` apart.
///
/// # Safety
/// As for [`product`]; and for [`Over::Sum`] all elements of `out` must be initialised.
unsafe fn call_gemm<T: Float>(
    out: *mut T,
    row_stride: usize,
    over: Over,
    factor: T,
    lhs: MatrixRef<T>,
    rhs: MatrixRef<T>,
) {
    // The kernels want a result whose columns are contiguous: of a row-major one they compute the transpose.
    let (mut lhs, mut rhs, out_strides) = if row_stride > 1 {
        (rhs.t(), lhs.t(), (row_stride as isize, 1))
    } else {
        (lhs, rhs, (1, row_stride as isize))
    };
    // And a left operand whose columns follow each other upwards: the order of the terms of a sum is turned for both.
    if lhs.column_stride < 0 {
        lhs = lhs.columns_reversed();
        rhs = rhs.t().columns_reversed().t();
    }
    let read = over == Over::Sum;
    // SAFETY: the caller's promise.
    unsafe {
        let (a, b) = (lhs.data.as_ptr().add(lhs.offset), rhs.data.as_ptr().add(rhs.offset));
        T::kernel()(
            lhs.rows,
            rhs.columns,
            lhs.columns,
            out,
            out_strides.0,
            out_strides.1,
            read,
            a,
            lhs.column_stride,
            lhs.row_stride,
            b,
            rhs.column_stride,
            rhs.row_stride,
            T::ONE,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The previous contents of the memory that a product is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Whatever was there before goes.
    Anything,
    /// The product is added to what is there.
    Sum,
}

/// Writes `factor * lhs x rhs` to the first rows of a row-major matrix, on this thread.
pub(crate) fn multiply<T: Float>(out: &mut [T], over: Over, factor: T, lhs: MatrixRef<T>, rhs: MatrixRef<T>) {
    let (m, k, n) = (lhs.rows, lhs.columns, rhs.columns);
    assert!(rhs.rows == k && out.len() >= m * n, "sizes differ");
    let out = &mut out[..m * n];
    if k == 0 || out.is_empty() {
        if over == Over::Anything {
            out.fill(T::ZERO);
        }
        return;
    }
    lhs.check_bounds();
    rhs.check_bounds();
    // SAFETY: the elements of both operands lie in their buffers, as was checked; the elements of `out` are as many as the
    // product's, initialised, and borrowed uniquely.
    unsafe { call_gemm(out.as_mut_ptr(), n, over, factor, lhs, rhs) };
}
