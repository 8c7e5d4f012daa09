//! Matrix products.

use crate::dims::{Shape, broadcast_shapes, checked_count};
use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::{self, MatrixRef};
use crate::layout::Layout;
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// The matrix product, by NumPy's rules: `[..., m, k] x [..., k, n]` gives `[..., m, n]`, leading axes
    /// broadcast, and a 1-d operand is a row on the left, a column on the right, whose axis then goes.
    ///
    /// Strided operands, such as transposed views, are read in place.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.matmul(&x.t()), Tensor::from([[5.0, 11.0], [11.0, 25.0]]));
    /// assert_eq!(x.matmul(&Tensor::from([1.0, 0.0])), Tensor::from([1.0, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If an operand is 0-d, the inner sizes differ or the leading axes do not broadcast.
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        let mismatch = |expected| TensorError::Mismatch {
            operation: "matmul",
            left: self.shape().into(),
            right: other.shape().into(),
            expected,
        };
        if self.rank() == 0 || other.rank() == 0 {
            mismatch("both operands need at least one axis").panic();
        }
        // A vector becomes a matrix of one row or one column.
        let left = if self.rank() == 1 { self.layout().insert_axis(0, 1, 0) } else { self.layout().clone() };
        let right =
            if other.rank() == 1 { other.layout().insert_axis(1, 1, 0) } else { other.layout().clone() };
        let (left_batch, [m, k]) = split_matrix(&left);
        let (right_batch, [inner, n]) = split_matrix(&right);
        if k != inner {
            mismatch("the last axis of the left must equal the last but one of the right (or its only one)")
                .panic();
        }
        let batch = broadcast_shapes("matmul", left_batch, right_batch)
            .map_err(|_| mismatch("the axes before the last two must broadcast"))
            .or_panic();
        let count = checked_count("matmul", &[&batch[..], &[m, n]].concat()).or_panic();
        let mut out = vec![T::ZERO; count];

        if !out.is_empty() {
            // Rows of all the left's matrices times one and the same right matrix are one product.
            let rows = (right_batch.iter().all(|&size| size == 1) && batch[..] == *left_batch)
                .then(|| left.reshape(&[batch.iter().product::<usize>() * m, k]))
                .flatten();
            if let Some(left) = rows {
                kernels::gemm(
                    &mut out,
                    matrix(self, &left, left.offset),
                    matrix(other, &right, right.offset),
                );
            } else {
                let left = left.expand(&[&batch[..], &[m, k]].concat());
                let right = right.expand(&[&batch[..], &[k, n]].concat());
                let starts = batch_starts(&batch, &left, &right);
                for (out, (left_start, right_start)) in out.chunks_exact_mut(m * n).zip(starts) {
                    kernels::gemm(out, matrix(self, &left, left_start), matrix(other, &right, right_start));
                }
            }
        }

        let mut result = batch;
        result.extend((self.rank() > 1).then_some(m));
        result.extend((other.rank() > 1).then_some(n));
        Self::from_parts(out, &result)
    }
}

/// The leading axes and the sizes of the last two.
fn split_matrix(layout: &Layout) -> (&[usize], [usize; 2]) {
    let (batch, matrix) = layout.shape.split_at(layout.rank() - 2);
    (batch, [matrix[0], matrix[1]])
}

/// The matrix of the last two axes that starts at `offset`.
fn matrix<'a, T: Float>(x: &'a Tensor<T>, layout: &Layout, offset: usize) -> MatrixRef<'a, T> {
    let rank = layout.rank();
    MatrixRef {
        data: x.buffer(),
        offset,
        rows: layout.shape[rank - 2],
        columns: layout.shape[rank - 1],
        row_stride: layout.strides[rank - 2],
        column_stride: layout.strides[rank - 1],
    }
}

/// Where each pair of matrices starts.
fn batch_starts(batch: &[usize], left: &Layout, right: &Layout) -> Vec<(usize, usize)> {
    let leading = |layout: &Layout| Layout {
        shape: Shape::from_slice(batch),
        strides: layout.strides[..batch.len()].into(),
        offset: layout.offset,
    };
    let mut starts = Vec::with_capacity(batch.iter().product());
    kernels::for_each_run(
        batch,
        [&leading(left), &leading(right)],
        |[l, r], length, [left_stride, right_stride]| {
            starts.extend(
                (0..length as isize).map(|i| {
                    (l.wrapping_add_signed(i * left_stride), r.wrapping_add_signed(i * right_stride))
                }),
            );
        },
    );
    starts
}
