//! Matrix products through the `gemm` crate, strides passed as they are.

use crate::element::Float;

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

impl<T> MatrixRef<'_, T> {
    /// Panics unless every element lies in the buffer.
    fn check_bounds(&self) {
        let reach = |size: usize, stride: isize| (size as isize - 1) * stride;
        let (rows, columns) = (reach(self.rows, self.row_stride), reach(self.columns, self.column_stride));
        let first = self.offset as isize + rows.min(0) + columns.min(0);
        let last = self.offset as isize + rows.max(0) + columns.max(0);
        assert!(first >= 0 && (last as usize) < self.data.len(), "a matrix reaches beyond its buffer");
    }
}

/// Writes `lhs x rhs` to `out`, row-major; `out` must have `lhs.rows * rhs.columns` elements.
#[allow(unsafe_code, reason = "the only way into the kernels of `gemm`; see SAFETY")]
pub(crate) fn gemm<T: Float>(out: &mut [T], lhs: MatrixRef<T>, rhs: MatrixRef<T>) {
    assert_eq!(lhs.columns, rhs.rows, "inner sizes differ");
    assert_eq!(out.len(), lhs.rows * rhs.columns, "the output has another size");
    if out.is_empty() {
        return;
    }
    if lhs.columns == 0 {
        return out.fill(T::ZERO);
    }
    lhs.check_bounds();
    rhs.check_bounds();
    // SAFETY: `T` is f32 or f64, the types that `gemm` accepts; `check_bounds` has shown that every element
    // of both operands lies in its buffer, and the assertion above that the row-major output has exactly
    // the size written; `out` is borrowed uniquely, so it overlaps neither operand; with `read_dst` false
    // the old contents of `out` are not read.
    unsafe {
        gemm::gemm(
            lhs.rows,
            rhs.columns,
            lhs.columns,
            out.as_mut_ptr(),
            1,
            rhs.columns as isize,
            false,
            lhs.data.as_ptr().add(lhs.offset),
            lhs.column_stride,
            lhs.row_stride,
            rhs.data.as_ptr().add(rhs.offset),
            rhs.column_stride,
            rhs.row_stride,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
