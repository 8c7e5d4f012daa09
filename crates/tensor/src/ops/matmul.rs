//! Matrix products.

use crate::element::{Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels::{self, MatrixRef};
use crate::layout::Layout;
use crate::shape::{Shape, broadcast_shapes, checked_count};
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
        if let ([m, inner], [k, n]) = (self.shape(), other.shape())
            && inner == k
        {
            // The usual case, without a look at leading axes.
            checked_count("matmul", &[*m, *n]).or_panic();
            return self.matrix_product(other, None);
        }
        let result = matmul_shape(self.shape(), other.shape()).or_panic();
        // A vector becomes a matrix of one row or one column.
        let left = if self.rank() == 1 { self.layout().insert_axis(0, 1, 0) } else { self.layout().clone() };
        let right =
            if other.rank() == 1 { other.layout().insert_axis(1, 1, 0) } else { other.layout().clone() };
        let (left_batch, [m, k]) = split_matrix(&left.shape);
        let (right_batch, [_, n]) = split_matrix(&right.shape);
        let batch = broadcast_shapes("matmul", left_batch, right_batch).or_panic();
        let count = checked_count("matmul", &[&batch[..], &[m, n]].concat()).or_panic();
        if count == 0 {
            return Self::from_slice(&[], &result);
        }
        // Rows of all the left's matrices times one and the same right matrix are one product.
        let rows = (right_batch.iter().all(|&size| size == 1) && batch[..] == *left_batch)
            .then(|| left.reshape(&[batch.iter().product::<usize>() * m, k]))
            .flatten();
        let pairs: Vec<_> = if let Some(left) = rows {
            vec![(self.matrix(&left, left.offset), other.matrix(&right, right.offset))]
        } else {
            let left = left.expand(&[&batch[..], &[m, k]].concat());
            let right = right.expand(&[&batch[..], &[k, n]].concat());
            let starts = batch_starts(&batch, &left, &right).into_iter();
            starts.map(|(l, r)| (self.matrix(&left, l), other.matrix(&right, r))).collect()
        };
        Self::from_buffer(T::products(&pairs, None), &result)
    }

    /// The product of two matrices that fit, plus a vector to each row.
    ///
    /// The kernels want the rows of the right operand together; where its columns are (a transposed view, as
    /// the weight of a dense layer is), they turn it piece by piece, slowly. So for large products it is
    /// turned before, by tiles, or the whole product is, if that moves fewer elements.
    fn matrix_product(&self, right: &Self, bias: Option<&Self>) -> Self {
        // Below this, a copy costs more than it saves, as measured.
        const LARGE: usize = 1 << 20;
        let ([m, k], &[_, n]) = (self.shape(), right.shape()) else { unreachable!("two matrices") };
        let &[row_stride, column_stride] = right.strides() else { unreachable!("two matrices") };
        // The stride of an axis of one element says nothing.
        let against = *k > 1 && n > 1 && row_stride.abs() < column_stride.abs();
        if against && m * k * n >= LARGE && *m >= 32 {
            if m * (k + n) < k * n {
                let turned = right.t().matrix_product(&self.t().contiguous(), None).t().contiguous();
                return if let Some(bias) = bias { turned + bias } else { turned };
            }
            return self.matrix_product(&right.contiguous(), bias);
        }
        let bias = bias.map(Self::contiguous);
        let bias = bias.as_ref().and_then(Self::as_slice);
        let pair = (self.matrix(self.layout(), self.offset()), right.matrix(right.layout(), right.offset()));
        Self::from_buffer(T::products(&[pair], bias), &[*m, n])
    }

    /// The matrix of a layout's last two axes that starts at `offset`.
    fn matrix(&self, layout: &Layout, offset: usize) -> MatrixRef<'_, T> {
        let rank = layout.rank();
        MatrixRef {
            data: self.buffer(),
            offset,
            rows: layout.shape[rank - 2],
            columns: layout.shape[rank - 1],
            row_stride: layout.strides[rank - 2],
            column_stride: layout.strides[rank - 1],
        }
    }
}

/// The shape of the matrix product of operands of these shapes; see [`Tensor::matmul`].
///
/// ```
/// use gradus_tensor::matmul_shape;
///
/// assert_eq!(matmul_shape(&[5, 2, 3], &[3, 4]).unwrap().as_slice(), [5, 2, 4]);
/// assert!(matmul_shape(&[2, 3], &[2, 3]).is_err());
/// ```
///
/// # Errors
/// [`TensorError::Mismatch`] if there is no such product.
pub fn matmul_shape(left: &[usize], right: &[usize]) -> Result<Shape, TensorError> {
    let mismatch = |expected| TensorError::mismatch("matmul", left, right, expected);
    let (row, column) = match (left, right) {
        ([], _) | (_, []) => return Err(mismatch("both operands need at least one axis")),
        _ => (left.len() == 1, right.len() == 1),
    };
    let inner = right[right.len() - if column { 1 } else { 2 }];
    if left[left.len() - 1] != inner {
        return Err(mismatch(
            "the last axis of the left must equal the last but one of the right (or its only one)",
        ));
    }
    let leading = |shape: &[usize]| Shape::from_slice(&shape[..shape.len().saturating_sub(2)]);
    let mut shape = broadcast_shapes("matmul", &leading(left), &leading(right))
        .map_err(|_| mismatch("the axes before the last two must broadcast"))?;
    if !row {
        shape.push(left[left.len() - 2]);
    }
    if !column {
        shape.push(right[right.len() - 1]);
    }
    Ok(shape)
}

/// The leading axes and the sizes of the last two.
fn split_matrix(shape: &[usize]) -> (&[usize], [usize; 2]) {
    let (batch, matrix) = shape.split_at(shape.len() - 2);
    (batch, [matrix[0], matrix[1]])
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

impl<T: Float> Tensor<T> {
    /// `self weight^T + bias`, as in a dense layer: `[..., in]` with a weight `[out, in]` and a bias `[out]`
    /// gives `[..., out]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (x, weight) = (Tensor::from([1.0, 2.0]), Tensor::from([[1.0, 10.0], [0.0, 1.0], [1.0, 0.0]]));
    /// assert_eq!(x.linear(&weight, None), Tensor::from([21.0, 2.0, 1.0]));
    /// assert_eq!(x.linear(&weight, Some(&Tensor::from([0.0, 1.0, 2.0]))), Tensor::from([21.0, 3.0, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If the weight has not two axes, the last axis of this tensor has another size than the weight's, or
    /// the bias another shape than `[out]`.
    #[track_caller]
    pub fn linear(&self, weight: &Self, bias: Option<&Self>) -> Self {
        let mismatch = |left: &[usize], right: &[usize], expected| {
            TensorError::mismatch("linear", left, right, expected)
        };
        let &[out, inner] = weight.shape() else {
            mismatch(self.shape(), weight.shape(), "the second, the weight, must have two axes, [out, in]")
                .panic()
        };
        if self.shape().last() != Some(&inner) {
            mismatch(self.shape(), weight.shape(), "the last axes of input and weight must be equal").panic();
        }
        let Some(bias) = bias else { return self.matmul(&weight.t()) };
        if bias.shape() != [out] {
            mismatch(
                weight.shape(),
                bias.shape(),
                "the second, the bias, must have the size of the weight's first axis",
            )
            .panic();
        }
        if let &[rows, _] = self.shape() {
            checked_count("linear", &[rows, out]).or_panic();
            return self.matrix_product(&weight.t(), Some(bias));
        }
        let mut shape = Shape::from_slice(self.shape());
        shape.pop();
        let rows = self.reshape([shape.iter().product(), inner]);
        shape.push(out);
        checked_count("linear", &shape).or_panic();
        rows.matrix_product(&weight.t(), Some(bias)).reshape(shape)
    }
}

impl<T: Number> Tensor<T> {
    /// The product of each element with each of another: `out[i, j] = self[i] * other[j]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let product = Tensor::from([1, 2]).outer(&Tensor::from([3, 4, 5]));
    /// assert_eq!(product, Tensor::from([[3, 4, 5], [6, 8, 10]]));
    /// ```
    ///
    /// # Panics
    /// Unless both have one axis.
    #[track_caller]
    pub fn outer(&self, other: &Self) -> Self {
        if self.rank() != 1 || other.rank() != 1 {
            vectors("outer", self.shape(), other.shape(), "both must have one axis");
        }
        self.unsqueeze(1).zip("outer", other, T::wrapping_mul)
    }

    /// The inner product of two vectors: the sum of the products of their elements.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1, 2]).dot(&Tensor::from([3, 4])).item(), 11);
    /// ```
    ///
    /// # Panics
    /// Unless both have one axis, of the same size.
    #[track_caller]
    pub fn dot(&self, other: &Self) -> Self {
        if self.rank() != 1 || self.shape() != other.shape() {
            vectors("dot", self.shape(), other.shape(), "both must have one axis, of the same size");
        }
        self.zip("dot", other, T::wrapping_mul).sum(..)
    }
}

#[track_caller]
fn vectors(operation: &'static str, left: &[usize], right: &[usize], expected: &'static str) -> ! {
    TensorError::mismatch(operation, left, right, expected).panic()
}
