//! Matrix products.

use crate::element::{Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels::{self, MatrixRef};
use crate::layout::{Layout, copied};
use crate::shape::{Shape, broadcast, checked_count};
use crate::tensor::Tensor;

/// Matrix products.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.matmul(&x.t()), Tensor::from([[5.0, 11.0], [11.0, 25.0]]));
/// assert_eq!(x.matmul(&Tensor::from([1.0, 0.0])), Tensor::from([1.0, 3.0]));
/// assert_eq!(x.linear(&x, Some(&Tensor::from([1.0, 0.0]))), Tensor::from([[6.0, 11.0], [12.0, 25.0]]));
///
/// let (x, y) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
/// assert_eq!(x.outer(&y), Tensor::from([[3, 4], [6, 8]]));
/// assert_eq!(x.dot(&y).item(), 11);
/// ```
impl<T: Float> Tensor<T> {
    /// The matrix product, by NumPy's rules: `[..., m, k] x [..., k, n]` gives `[..., m, n]`, leading axes
    /// broadcast, and a 1-d operand is a row on the left or a column on the right, without an axis in the result.
    ///
    /// Strided operands, such as transposed views, are read in place.
    ///
    /// # Panics
    /// If an operand is 0-d, the inner sizes differ or the leading axes do not broadcast.
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        let shape = matmul_shape(self.shape(), other.shape()).or_panic();
        self.product(other, &shape)
    }

    /// The matrix product of operands that fit.
    fn product(&self, other: &Self, shape: &[usize]) -> Self {
        if self.rank() == 2 && other.rank() == 2 {
            return self.matrix_product(other, None);
        }
        if shape.contains(&0) {
            return Self::from_slice(&[], shape);
        }
        // A vector becomes a matrix of one row or one column.
        let left = if self.rank() == 1 { self.unsqueeze(0) } else { self.clone() };
        let right = if other.rank() == 1 { other.unsqueeze(1) } else { other.clone() };
        let [(left_batch, left_matrix), (right_batch, right_matrix)] =
            [&left, &right].map(|x| x.shape().split_at(x.rank() - 2));
        let ([m, k], n) = ([left_matrix[0], left_matrix[1]], right_matrix[1]);
        let matrix = usize::from(self.rank() > 1) + usize::from(other.rank() > 1);
        let batch = &shape[..shape.len() - matrix];
        // All matrices on the left times the same matrix on the right are one product.
        let count = batch.iter().product::<usize>();
        let rows = (right_batch.iter().all(|&size| size == 1) && *batch == *left_batch)
            .then(|| left.layout().reshape(&[count * m, k]))
            .flatten();
        let pairs: Vec<_> = if let Some(rows) = rows {
            vec![(left.matrix(&rows, rows.offset), right.matrix(right.layout(), right.offset()))]
        } else {
            left.matrices(batch, [m, k]).into_iter().zip(right.matrices(batch, [k, n])).collect()
        };
        Self::from_buffer(kernels::products(&pairs, None), shape)
    }

    /// The product of two matrices that fit, plus a vector added to each row.
    fn matrix_product(&self, right: &Self, bias: Option<&Self>) -> Self {
        let (left_matrix, right_matrix) = (self.as_matrix(), right.as_matrix());
        if !turns_first(left_matrix, right_matrix) {
            let bias = bias.map(Self::elements);
            return Self::from_buffer(
                kernels::products(&[(left_matrix, right_matrix)], bias.as_deref()),
                &[left_matrix.rows, right_matrix.columns],
            );
        }
        if !turns_whole(left_matrix, right_matrix) {
            return self.matrix_product(&right.contiguous(), bias);
        }
        let turned = right.t().matrix_product(&self.t().contiguous(), None).t().contiguous();
        if let Some(bias) = bias { turned + bias } else { turned }
    }

    /// [`matmul`](Self::matmul) into `out`, with the same bits: over its elements, if it has the result's shape, is
    /// contiguous and shares its buffer with no other tensor.
    ///
    /// For programs that are run again in memory that was prepared: for small matrices, nothing is allocated.
    ///
    /// # Panics
    /// As `matmul`.
    #[doc(hidden)]
    #[track_caller]
    pub fn matmul_into(&self, other: &Self, out: &mut Self) {
        if let (&[_, inner], &[k, _]) = (self.shape(), other.shape())
            && inner == k
            && out.overwrite([self, other], None)
        {
            return;
        }
        let shape = matmul_shape(self.shape(), other.shape()).or_panic();
        *out = self.product(other, &shape);
    }

    /// [`linear`](Self::linear) into `out`, as [`matmul_into`](Self::matmul_into).
    ///
    /// # Panics
    /// As `linear`.
    #[doc(hidden)]
    #[track_caller]
    pub fn linear_into(&self, weight: &Self, bias: Option<&Self>, out: &mut Self) {
        if let (&[_, inner], &[columns, k]) = (self.shape(), weight.shape())
            && inner == k
            && bias.is_none_or(|bias| *bias.shape() == [columns])
            && out.overwrite([self, &weight.t()], bias)
        {
            return;
        }
        *out = self.linear(weight, bias);
    }

    /// Writes the product of two matrices that fit over this tensor, as [`matrix_product`](Self::matrix_product) would give it, if
    /// this tensor can be written to.
    #[inline]
    fn overwrite(&mut self, [left, right]: [&Self; 2], bias: Option<&Self>) -> bool {
        let (lhs, rhs) = (left.as_matrix(), right.as_matrix());
        let (m, k, n) = (lhs.rows, lhs.columns, rhs.columns);
        if *self.shape() != [m, n] || m == 0 || k == 0 || n == 0 {
            return false;
        }
        let Some(out) = self.writable() else { return false };
        if !turns_first(lhs, rhs) {
            let bias = bias.map(Self::elements);
            kernels::overwrite_product(out, lhs, rhs, bias.as_deref());
        } else if turns_whole(lhs, rhs) {
            let turned = right.t().matrix_product(&left.t().contiguous(), None).t();
            T::overwrite_copy(turned.strided(), out);
            if let Some(bias) = bias {
                *self += bias;
            }
        } else {
            let bias = bias.map(Self::elements);
            kernels::overwrite_product(out, lhs, right.contiguous().as_matrix(), bias.as_deref());
        }
        true
    }

    /// The elements in logical order, copied if they do not lie so.
    fn elements(&self) -> kernels::Elements<'_, T> {
        kernels::in_order(self.buffer(), self.layout())
    }

    /// A tensor of two axes, for a kernel.
    fn as_matrix(&self) -> MatrixRef<'_, T> {
        self.matrix(self.layout(), self.offset())
    }

    /// The matrices of the last two axes, broadcast to these sizes.
    pub(crate) fn matrices(&self, batch: &[usize], matrix: [usize; 2]) -> Vec<MatrixRef<'_, T>> {
        let layout = self.layout().expand(&[batch, &matrix].concat());
        let front = Layout {
            shape: Shape::from_slice(batch),
            strides: layout.strides[..batch.len()].into(),
            offset: layout.offset,
        };
        let mut matrices = Vec::with_capacity(front.len());
        kernels::for_each_run(batch, [&front], |[start], length, [stride]| {
            let starts = (0..length as isize).map(|i| start.wrapping_add_signed(i * stride));
            matrices.extend(starts.map(|start| self.matrix(&layout, start)));
        });
        matrices
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

/// Whether one of two matrices should be copied in another order before they are multiplied.
///
/// The kernels want the rows of the right operand contiguous. If its columns are (a transposed view, such as the weight
/// of a dense layer), they transpose it piece by piece, slowly. So for large products it is transposed before, by tiles,
/// or the whole product is, if that moves fewer elements.
fn turns_first<T: Float>(left: MatrixRef<T>, right: MatrixRef<T>) -> bool {
    // Below this, a copy costs more than it saves, as measured.
    const LARGE: usize = 1 << 20;
    let (m, k, n) = (left.rows, left.columns, right.columns);
    // The stride of an axis of one element does not matter.
    let against = k > 1 && n > 1 && right.row_stride.abs() < right.column_stride.abs();
    against && m * k * n >= LARGE && m >= 32
}

/// Whether that is the whole product, transposed, in place of the right matrix: fewer elements move.
fn turns_whole<T: Float>(left: MatrixRef<T>, right: MatrixRef<T>) -> bool {
    let (m, k, n) = (left.rows, left.columns, right.columns);
    m * (k + n) < k * n
}

/// The shape of [`Tensor::matmul`].
#[doc(hidden)]
pub fn matmul_shape(left: &[usize], right: &[usize]) -> Result<Shape, TensorError> {
    let mismatch = |expected| TensorError::mismatch("matmul", left, right, expected);
    let shape = match (left, right) {
        // The usual case: no leading axes.
        ([m, inner], [k, n]) if inner == k => Shape::from_buf_and_len([*m, *n, 0, 0], 2),
        ([], _) | (_, []) => return Err(mismatch("both operands need at least one axis")),
        _ => {
            let (row, column) = (left.len() == 1, right.len() == 1);
            if left[left.len() - 1] != right[right.len() - if column { 1 } else { 2 }] {
                return Err(mismatch(
                    "the last axis of the left must equal the last but one of the right (or its only one)",
                ));
            }
            let leading = |shape: &[usize]| Shape::from_slice(&shape[..shape.len().saturating_sub(2)]);
            let mut shape = broadcast(&leading(left), &leading(right))
                .ok_or_else(|| mismatch("the axes before the last two must broadcast"))?;
            shape.extend((!row).then(|| left[left.len() - 2]));
            shape.extend((!column).then(|| right[right.len() - 1]));
            shape
        }
    };
    checked_count("matmul", &shape)?;
    Ok(shape)
}

/// The shape of [`Tensor::linear`].
#[doc(hidden)]
pub fn linear_shape(input: &[usize], weight: &[usize], bias: Option<&[usize]>) -> Result<Shape, TensorError> {
    let mismatch = |left, right, expected| Err(TensorError::mismatch("linear", left, right, expected));
    let &[out, inner] = weight else {
        return mismatch(input, weight, "the second, the weight, must have two axes, [out, in]");
    };
    if input.last() != Some(&inner) {
        return mismatch(input, weight, "the last axes of input and weight must be equal");
    }
    if let Some(bias) = bias
        && bias != [out]
    {
        let expected = "the second, the bias, must have the size of the weight's first axis";
        return mismatch(weight, bias, expected);
    }
    let mut shape = copied(input);
    shape[input.len() - 1] = out;
    checked_count("linear", &shape)?;
    Ok(shape)
}

/// The shape of [`Tensor::outer`].
#[doc(hidden)]
pub fn outer_shape(left: &[usize], right: &[usize]) -> Result<Shape, TensorError> {
    let (&[rows], &[columns]) = (left, right) else {
        return Err(TensorError::mismatch("outer", left, right, "both must have one axis"));
    };
    let shape = [rows, columns];
    checked_count("outer", &shape)?;
    Ok(Shape::from_slice(&shape))
}

/// The shape of [`Tensor::dot`].
#[doc(hidden)]
pub fn dot_shape(left: &[usize], right: &[usize]) -> Result<Shape, TensorError> {
    if left.len() == 1 && left == right {
        return Ok(Shape::new());
    }
    Err(TensorError::mismatch("dot", left, right, "both must have one axis, of the same size"))
}

impl<T: Float> Tensor<T> {
    /// `self weight^T + bias`, as in a dense layer: `[..., in]` with a weight `[out, in]` and a bias `[out]`
    /// gives `[..., out]`.
    ///
    /// # Panics
    /// If the weight does not have two axes, the last axes of this tensor and the weight differ, or the bias is not
    /// `[out]`.
    #[track_caller]
    pub fn linear(&self, weight: &Self, bias: Option<&Self>) -> Self {
        let shape = linear_shape(self.shape(), weight.shape(), bias.map(Self::shape)).or_panic();
        let Some(bias) = bias else { return self.product(&weight.t(), &shape) };
        if self.rank() == 2 {
            let (left, right) = (self.as_matrix(), weight.as_matrix().t());
            if turns_first(left, right) {
                return self.matrix_product(&weight.t(), Some(bias));
            }
            let bias = bias.elements();
            return Self::from_buffer(kernels::products(&[(left, right)], Some(&bias)), &shape);
        }
        let rows = self.reshape([shape[..shape.len() - 1].iter().product(), weight.shape()[1]]);
        rows.matrix_product(&weight.t(), Some(bias)).reshape(shape)
    }
}

impl<T: Number> Tensor<T> {
    /// The outer product of two vectors: `out[i, j] = self[i] * other[j]`.
    ///
    /// # Panics
    /// Unless both tensors have one axis.
    #[track_caller]
    pub fn outer(&self, other: &Self) -> Self {
        outer_shape(self.shape(), other.shape()).or_panic();
        self.unsqueeze(1).zip("outer", other, T::wrapping_mul)
    }

    /// The inner product of two vectors: the sum of the products of their elements.
    ///
    /// # Panics
    /// Unless both tensors have one axis, of the same size.
    #[track_caller]
    pub fn dot(&self, other: &Self) -> Self {
        dot_shape(self.shape(), other.shape()).or_panic();
        self.zip("dot", other, T::wrapping_mul).sum(..)
    }
}
