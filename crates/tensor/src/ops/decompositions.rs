//! Decompositions of matrices, or of stacks of them, and what is made of these: least squares and pseudoinverses.
//!
//! They are computed in double precision for either element type.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::eigh::eigh;
use crate::kernels::reflect::qr;
use crate::kernels::svd::{Svd, svd};
use crate::ops::linalg::{columns, fault_of, from_columns, square};
use crate::shape::{Shape, broadcast, checked_count};
use crate::slice::Slice;
use crate::tensor::Tensor;

/// Decompositions of matrices `[..., m, n]`, in double precision for either element type. In the shapes, k is the smaller
/// of m and n.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let a = Tensor::from([[3.0, 0.0], [4.0, 5.0]]);
/// let [u, s, vh] = a.svd()?;
/// assert!(((u * &s).matmul(&vh) - &a).abs().max(..).item() < 1e-14);
/// let [q, r] = a.qr();
/// assert!((q.matmul(&r) - &a).abs().max(..).item() < 1e-14);
/// let [values, vectors] = Tensor::from([[2.0, 1.0], [1.0, 2.0]]).eigh()?;
/// assert!((values - Tensor::from([1.0, 3.0])).abs().max(..).item() < 1e-14);
/// assert!((vectors.abs() - 0.5_f64.sqrt()).abs().max(..).item() < 1e-14);
///
/// // A line through three points.
/// let points = Tensor::from([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]);
/// let line = points.lstsq(&Tensor::from([1.0, 3.0, 5.0]))?;
/// assert!((line - Tensor::from([2.0, 1.0])).abs().max(..).item() < 1e-14);
/// # Ok::<(), gradus_tensor::TensorError>(())
/// ```
///
/// # Panics
/// Every method panics if there are no two axes, and `eigh` and `eigvalsh` if these are not of one size.
impl<T: Float> Tensor<T> {
    /// The thin singular value decomposition `A = U diag(S) Vh`: U `[..., m, k]`, S `[..., k]` in falling order, and Vh
    /// `[..., k, n]`. The columns of U and the rows of Vh are orthonormal, also where singular values are 0.
    ///
    /// Signs are a choice: the element of largest magnitude in each column of U is positive, of several the first.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix holds NaN or infinity.
    #[track_caller]
    pub fn svd(&self) -> Result<[Self; 3], TensorError> {
        self.factors("svd")
    }

    /// The three factors of [`svd`](Self::svd) below each other, `[..., m + 1 + n, k]`: U, S as a row, and V; by the name of
    /// the operation that needs them.
    ///
    /// # Errors
    /// As `svd`.
    #[doc(hidden)]
    #[track_caller]
    pub fn svd_packed(&self, operation: &'static str) -> Result<Self, TensorError> {
        let shape = svd_shape(operation, self.shape()).or_panic();
        let [.., m, n] = *self.shape() else { unreachable!("matrices have two axes") };
        // The columns of the transposed matrix are rows of this one; its U and V change places.
        let is_wide = m < n;
        let x = if is_wide { self.t() } else { self.clone() };
        each_matrix(operation, &x, &shape, |matrix| {
            let Svd { u, s, v } = svd(matrix, m.max(n));
            let (u, v) = if is_wide { (v, u) } else { (u, v) };
            let column = |(j, &s): (usize, &f64)| [&u[j * m..][..m], &[s], &v[j * n..][..n]].concat();
            s.iter().enumerate().flat_map(column).collect()
        })
    }

    /// The singular values of [`svd`](Self::svd) alone, `[..., k]`, in falling order.
    ///
    /// # Errors
    /// As `svd`.
    #[track_caller]
    pub fn svdvals(&self) -> Result<Self, TensorError> {
        let [_, s, _] = self.factors("svdvals")?;
        Ok(s)
    }

    /// The reduced QR decomposition `A = Q R`: Q `[..., m, k]` with orthonormal columns, and R `[..., k, n]`, which is 0
    /// below the diagonal.
    ///
    /// Signs are LAPACK's, so that elements on the diagonal of R may be negative.
    #[track_caller]
    pub fn qr(&self) -> [Self; 2] {
        let packed = self.qr_packed();
        let [.., m, n] = *self.shape() else { unreachable!("matrices have two axes") };
        let rows = |from: usize, to: usize| packed.slice(-2, Slice::from(from..to));
        [rows(0, m), rows(m, m + n).t()]
    }

    /// Both factors of [`qr`](Self::qr), Q and below it the transposed R, `[..., m + n, k]`.
    #[doc(hidden)]
    #[track_caller]
    pub fn qr_packed(&self) -> Self {
        let shape = qr_shape(self.shape()).or_panic();
        let [.., m, n] = *self.shape() else { unreachable!("matrices have two axes") };
        let mut matrices = columns(self);
        let mut packed = Vec::with_capacity(shape.iter().product());
        for matrix in matrices.chunks_exact_mut((m * n).max(1)) {
            let reflections = qr(matrix, m);
            for (j, q) in reflections.columns(m.min(n)).chunks_exact(m.max(1)).enumerate() {
                packed.extend_from_slice(q);
                packed.extend((0..n).map(|i| if i < j { 0.0 } else { reflections.reduced(j, i) }));
            }
        }
        from_columns(&packed, &shape)
    }

    /// The eigenvalues of symmetric matrices `[..., n, n]`, `[..., n]` in rising order, and their orthonormal eigenvectors
    /// as columns, `[..., n, n]`. A matrix A that is not symmetric counts as `(A + A^T) / 2`.
    ///
    /// Signs are a choice: the element of largest magnitude in each vector is positive, of several the first.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix holds NaN or infinity.
    #[track_caller]
    pub fn eigh(&self) -> Result<[Self; 2], TensorError> {
        let packed = self.eigh_packed("eigh")?;
        let n = packed.shape()[packed.rank() - 1];
        Ok([packed.select(-2, n as isize), packed.slice(-2, Slice::from(..n))])
    }

    /// The eigenvectors of [`eigh`](Self::eigh), and below them a row of eigenvalues, `[..., n + 1, n]`; by
    /// the name of the operation that needs them.
    ///
    /// # Errors
    /// As `eigh`.
    #[doc(hidden)]
    #[track_caller]
    pub fn eigh_packed(&self, operation: &'static str) -> Result<Self, TensorError> {
        let shape = eigh_shape(operation, self.shape()).or_panic();
        let n = self.shape()[self.rank() - 1];
        each_matrix(operation, self, &shape, |matrix| {
            for (i, j) in (0..n).flat_map(|j| (0..j).map(move |i| (i, j))) {
                let mean = matrix[j * n + i] * 0.5 + matrix[i * n + j] * 0.5;
                (matrix[j * n + i], matrix[i * n + j]) = (mean, mean);
            }
            let (values, vectors) = eigh(matrix, n);
            values
                .iter()
                .zip(vectors.chunks_exact(n))
                .flat_map(|(&x, vector)| [vector, &[x]].concat())
                .collect()
        })
    }

    /// The eigenvalues of [`eigh`](Self::eigh) alone, `[..., n]`, in rising order.
    ///
    /// # Errors
    /// As `eigh`.
    #[track_caller]
    pub fn eigvalsh(&self) -> Result<Self, TensorError> {
        Ok(self.eigh_packed("eigvalsh")?.select(-2, -1))
    }

    /// The pseudoinverse of Moore and Penrose, `[..., m, n]` to `[..., n, m]`. Singular values up to `max(m, n) eps` of the
    /// largest one count as 0.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix holds NaN or infinity.
    #[track_caller]
    pub fn pinv(&self) -> Result<Self, TensorError> {
        pinv_shape(self.shape()).or_panic();
        let [u, inverse, v] = self.inverted("pinv")?;
        Ok((v * inverse.unsqueeze(-2)).matmul(&u.t()).cast())
    }

    /// The X with the smallest `|A X - B|`, and of these the one with the smallest `|X|`, in 2-norms of columns; for this A,
    /// `[..., m, n]`, and B, `[..., m, k]`, or `[m]` if A is one matrix. Leading axes broadcast. Singular values of A up to
    /// `max(m, n) eps` of the largest one count as 0.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix of A holds NaN or infinity.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn lstsq(&self, b: &Self) -> Result<Self, TensorError> {
        let shape = lstsq_shape(self.shape(), b.shape()).or_panic();
        let [u, inverse, v] = self.inverted("lstsq")?;
        let b = if b.rank() == 1 { b.unsqueeze(1) } else { b.clone() };
        let x = v.matmul(&(u.t().matmul(&b.cast()) * inverse.unsqueeze(-1)));
        Ok(x.cast().reshape(shape))
    }

    /// U, S and Vh.
    #[track_caller]
    fn factors(&self, operation: &'static str) -> Result<[Self; 3], TensorError> {
        let packed = self.svd_packed(operation)?;
        let [.., m, n] = *self.shape() else { unreachable!("matrices have two axes") };
        let rows = |from: usize, to: usize| packed.slice(-2, Slice::from(from..to));
        Ok([rows(0, m), packed.select(-2, m as isize), rows(m + 1, m + 1 + n).t()])
    }

    /// U, the inverted singular values, 0 for those that count as 0, and V, in double precision.
    #[track_caller]
    fn inverted(&self, operation: &'static str) -> Result<[Tensor<f64>; 3], TensorError> {
        let [.., m, n] = *self.shape() else { unreachable!("matrices have two axes") };
        let [u, s, vh] = self.cast::<f64>().factors(operation)?;
        let limit = s.slice(-1, Slice::from(..1)) * (T::EPSILON.to_f64() * m.max(n) as f64);
        let inverse = s.zip(operation, &limit, |s, limit| if s > limit { 1.0 / s } else { 0.0 });
        Ok([u, inverse, vh.t()])
    }
}

/// A matrix of a shape for each of a stack, whose columns `decompose` makes of the columns of the other.
fn each_matrix<T: Float>(
    operation: &'static str,
    x: &Tensor<T>,
    shape: &[usize],
    decompose: impl Fn(&mut [f64]) -> Vec<f64>,
) -> Result<Tensor<T>, TensorError> {
    let size: usize = x.shape()[x.rank() - 2..].iter().product();
    let mut matrices = columns(x);
    let mut results = Vec::with_capacity(shape.iter().product());
    for (place, matrix) in matrices.chunks_exact_mut(size.max(1)).enumerate() {
        if !matrix.iter().all(|x| x.is_finite()) {
            let fault = "holds NaN or infinity".into();
            return Err(fault_of(operation, x, place, fault, "its elements must be finite"));
        }
        results.extend(decompose(matrix));
    }
    Ok(from_columns(&results, shape))
}

/// The sizes of the matrices of a stack.
pub(super) fn matrix(operation: &'static str, shape: &[usize]) -> Result<[usize; 2], TensorError> {
    match *shape {
        [.., rows, columns] => Ok([rows, columns]),
        _ => Err(TensorError::invalid(
            operation,
            format!("the shape is {shape:?}: there must be two axes at least, rows and columns"),
        )),
    }
}

/// A shape with other sizes in place of its last two axes.
fn stacked(operation: &'static str, shape: &[usize], last: &[usize]) -> Result<Shape, TensorError> {
    let shape: Shape = shape[..shape.len() - 2].iter().chain(last).copied().collect();
    checked_count(operation, &shape)?;
    Ok(shape)
}

/// The shape of [`Tensor::svd_packed`], by the name of what needs it.
#[doc(hidden)]
pub fn svd_shape(operation: &'static str, shape: &[usize]) -> Result<Shape, TensorError> {
    let [m, n] = matrix(operation, shape)?;
    stacked(operation, shape, &[m + 1 + n, m.min(n)])
}

/// The shape of [`Tensor::svdvals`].
#[doc(hidden)]
pub fn svdvals_shape(shape: &[usize]) -> Result<Shape, TensorError> {
    let [m, n] = matrix("svdvals", shape)?;
    stacked("svdvals", shape, &[m.min(n)])
}

/// The shape of [`Tensor::qr_packed`].
#[doc(hidden)]
pub fn qr_shape(shape: &[usize]) -> Result<Shape, TensorError> {
    let [m, n] = matrix("qr", shape)?;
    stacked("qr", shape, &[m + n, m.min(n)])
}

/// The shape of [`Tensor::eigh_packed`], by the name of what needs it.
#[doc(hidden)]
pub fn eigh_shape(operation: &'static str, shape: &[usize]) -> Result<Shape, TensorError> {
    let n = square(operation, shape)?;
    stacked(operation, shape, &[n + 1, n])
}

/// The shape of [`Tensor::pinv`].
#[doc(hidden)]
pub fn pinv_shape(shape: &[usize]) -> Result<Shape, TensorError> {
    let [m, n] = matrix("pinv", shape)?;
    stacked("pinv", shape, &[n, m])
}

/// The shape of [`Tensor::lstsq`].
#[doc(hidden)]
pub fn lstsq_shape(a: &[usize], b: &[usize]) -> Result<Shape, TensorError> {
    let [m, n] = matrix("lstsq", a)?;
    let mismatch = |expected| TensorError::mismatch("lstsq", a, b, expected);
    let (front, rows, width) = match *b {
        [rows] if a.len() == 2 => (&[][..], rows, &[][..]),
        [ref front @ .., rows, _] => (front, rows, &b[b.len() - 1..]),
        _ => {
            return Err(mismatch(
                "the right side must have an axis of rows and one of columns (or rows only, for one matrix)",
            ));
        }
    };
    if rows != m {
        return Err(mismatch("the right side must have as many rows as the matrix"));
    }
    let front = broadcast(&a[..a.len() - 2], front)
        .ok_or_else(|| mismatch("the axes before the last two must broadcast"))?;
    let shape: Shape = front.iter().copied().chain([n]).chain(width.iter().copied()).collect();
    checked_count("lstsq", &shape)?;
    Ok(shape)
}
