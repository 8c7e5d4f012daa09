//! Linear equations, inverses and determinants: factorisations of square matrices, or of stacks of them.
//!
//! They are computed in double precision for either element type.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::linalg::{self, Lu};
use crate::kernels::range::Product;
use crate::layout::place_of;
use crate::runtime::Buffer;
use crate::shape::{Shape, broadcast, checked_count};
use crate::tensor::Tensor;

/// Linear equations, inverses and determinants of square matrices `[..., n, n]`, in double precision for either element
/// type.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let a = Tensor::from([[4.0, 2.0], [2.0, 5.0]]);
/// assert_eq!(a.cholesky()?, Tensor::from([[2.0, 0.0], [1.0, 2.0]]));
/// assert_eq!(a.solve(&Tensor::from([8.0, 12.0]))?, Tensor::from([1.0, 2.0]));
/// assert_eq!(a.solve_triangular(&Tensor::from([8.0, 14.0]), false)?, Tensor::from([2.0, 2.0]));
/// assert_eq!(Tensor::from([[0.0, 2.0], [4.0, 0.0]]).inverse()?, Tensor::from([[0.0, 0.25], [0.5, 0.0]]));
/// assert_eq!(a.det().item(), 16.0);
/// assert!((Tensor::<f64>::eye(200) * 1e200).logdet().item().is_finite());
/// let error = Tensor::from([[1.0, 2.0], [2.0, 4.0]]).inverse().unwrap_err();
/// assert_eq!(error.to_string(), "inverse: the matrix is singular: column 1 has no pivot; it must be invertible");
/// # Ok::<(), gradus_tensor::TensorError>(())
/// ```
///
/// # Panics
/// Every method panics if the last two axes of the matrices are not of one size, or the shapes of A and B do not fit.
impl<T: Float> Tensor<T> {
    /// The lower triangular L with `L L^T = (A + A^T) / 2`, for positive definite matrices, `[..., n, n]`.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is not positive definite.
    #[track_caller]
    pub fn cholesky(&self) -> Result<Self, TensorError> {
        let n = square("cholesky", self.shape()).or_panic();
        let mut lower = columns(self);
        for (place, matrix) in lower.chunks_exact_mut((n * n).max(1)).enumerate() {
            for (i, j) in (0..n).flat_map(|j| (j + 1..n).map(move |i| (i, j))) {
                matrix[j * n + i] = (matrix[j * n + i] + matrix[i * n + j]) * 0.5;
            }
            if !linalg::cholesky(matrix, n) {
                let fault = "is not positive definite".into();
                return Err(fault_of("cholesky", self, place, fault, "it must be"));
            }
        }
        Ok(from_columns(&lower, self.shape()))
    }

    /// The solution X of `A X = B`, for this A, `[..., n, n]`, and B, `[..., n, k]`, or `[n]` if A is one matrix.
    /// Leading axes broadcast.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular.
    #[track_caller]
    pub fn solve(&self, b: &Self) -> Result<Self, TensorError> {
        let (a, b, shape) = self.system("solve", b);
        let mut solution = columns(&b);
        solve_each("solve", &a, &mut solution, |matrix, n, b| Lu::new(matrix, n).solve(b))?;
        Ok(from_columns(&solution, &shape))
    }

    /// The solution X of `A X = B` as in [`solve`](Self::solve), for a triangular A, whose other triangle is not read.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular: there is a 0 on its diagonal.
    #[track_caller]
    pub fn solve_triangular(&self, b: &Self, upper: bool) -> Result<Self, TensorError> {
        let (a, b, shape) = self.system("solve_triangular", b);
        let mut solution = columns(&b);
        let solve = |matrix: &mut [f64], n, b: &mut [f64]| linalg::solve_triangular(matrix, n, upper, b);
        solve_each("solve_triangular", &a, &mut solution, solve)?;
        Ok(from_columns(&solution, &shape))
    }

    /// The inverse of matrices, `[..., n, n]`.
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular.
    #[track_caller]
    pub fn inverse(&self) -> Result<Self, TensorError> {
        let n = square("inverse", self.shape()).or_panic();
        let mut inverse = vec![0.0; self.len()];
        for identity in inverse.chunks_exact_mut((n * n).max(1)) {
            identity.iter_mut().step_by(n + 1).for_each(|x| *x = 1.0);
        }
        solve_each("inverse", self, &mut inverse, |matrix, n, b| Lu::new(matrix, n).solve(b))?;
        Ok(from_columns(&inverse, self.shape()))
    }

    /// The determinants of matrices: `[..., n, n]` to `[...]`.
    #[track_caller]
    pub fn det(&self) -> Self {
        self.determinants("det", |lu| {
            let product = lu.pivots().fold(Product::EMPTY, Product::times);
            product.value::<f64>() * lu.sign()
        })
    }

    /// The logarithms of determinants, `[..., n, n]` to `[...]`, even where the determinant itself overflows or
    /// underflows: minus infinity for 0, and NaN for a negative determinant.
    #[track_caller]
    pub fn logdet(&self) -> Self {
        self.determinants("logdet", |lu| {
            let sign = lu.pivots().fold(lu.sign(), |sign, pivot| sign * pivot.signum());
            let logarithm: f64 = lu.pivots().map(|pivot| pivot.abs().ln()).sum();
            if sign < 0.0 && logarithm != f64::NEG_INFINITY { f64::NAN } else { logarithm }
        })
    }

    /// The sign of the determinants, -1, 0 or 1, and the logarithm of their magnitudes, which may be minus infinity:
    /// `[..., n, n]` to `[...]` twice.
    #[track_caller]
    pub fn slogdet(&self) -> [Self; 2] {
        let of = |lu: &Lu| {
            let logarithm = lu.pivots().map(|pivot| pivot.abs().ln()).sum();
            [
                lu.pivots()
                    .fold(lu.sign(), |sign, pivot| if pivot == 0.0 { 0.0 } else { sign * pivot.signum() }),
                logarithm,
            ]
        };
        let both = self.of_factors("slogdet", of);
        [0, 1].map(|i| both.select(-1, i).contiguous())
    }

    /// Both sides of a system of equations, expanded to common leading axes, and the shape of its solution.
    #[track_caller]
    fn system(&self, operation: &'static str, b: &Self) -> (Self, Self, Shape) {
        let [of_a, of_b] = system(operation, self.shape(), b.shape()).or_panic();
        let column = is_column(self.shape(), b.shape());
        let matrix = if column { b.unsqueeze(1) } else { b.clone() };
        let shape = if column { b.shape().into() } else { of_b.clone() };
        (self.expand(of_a), matrix.expand(of_b), shape)
    }

    #[track_caller]
    fn determinants(&self, operation: &'static str, of: impl Fn(&Lu) -> f64) -> Self {
        self.of_factors(operation, |lu| [of(lu)]).squeeze(-1)
    }

    /// Some numbers for each matrix, from its factors, on the last axis.
    #[track_caller]
    fn of_factors<const N: usize>(&self, operation: &'static str, of: impl Fn(&Lu) -> [f64; N]) -> Self {
        let n = square(operation, self.shape()).or_panic();
        let batch = &self.shape()[..self.rank() - 2];
        let mut columns = columns(self);
        let count: usize = batch.iter().product();
        let of_matrix = |i: usize| of(&Lu::new(&mut columns[i * n * n..][..n * n], n)).map(T::from_f64);
        let numbers = Buffer::collect(count * N, (0..count).flat_map(of_matrix));
        Self::from_buffer(numbers, &[batch, &[N]].concat())
    }
}

/// The size of square matrices.
pub(super) fn square(operation: &'static str, shape: &[usize]) -> Result<usize, TensorError> {
    match *shape {
        [.., rows, columns] if rows == columns => Ok(rows),
        _ => Err(TensorError::invalid(
            operation,
            format!("the shape is {shape:?}: the last two axes, rows and columns, must be of one size"),
        )),
    }
}

/// The shape of [`Tensor::cholesky`] and [`Tensor::inverse`], by the name of either.
#[doc(hidden)]
pub fn inverse_shape(operation: &'static str, shape: &[usize]) -> Result<Shape, TensorError> {
    square(operation, shape)?;
    Ok(shape.into())
}

/// The shape of [`Tensor::det`] and [`Tensor::logdet`], by the name of either.
#[doc(hidden)]
pub fn det_shape(operation: &'static str, shape: &[usize]) -> Result<Shape, TensorError> {
    square(operation, shape)?;
    Ok(shape[..shape.len() - 2].into())
}

/// The shape of both results of [`Tensor::slogdet`], one after the other on the last axis.
#[doc(hidden)]
pub fn slogdet_shape(shape: &[usize]) -> Result<Shape, TensorError> {
    Ok(det_shape("slogdet", shape)?.into_iter().chain([2]).collect())
}

/// The shape of [`Tensor::solve`] and [`Tensor::solve_triangular`], by the name of either.
#[doc(hidden)]
pub fn solve_shape(operation: &'static str, a: &[usize], b: &[usize]) -> Result<Shape, TensorError> {
    let [_, stacked] = system(operation, a, b)?;
    Ok(if is_column(a, b) { b.into() } else { stacked })
}

/// Whether the right side of an equation is a vector, as it may be for a single matrix.
fn is_column(a: &[usize], b: &[usize]) -> bool {
    a.len() == 2 && b.len() == 1
}

/// The shapes of both sides of a system of equations, with the same leading axes and a right side with columns.
fn system(operation: &'static str, a: &[usize], b: &[usize]) -> Result<[Shape; 2], TensorError> {
    let n = square(operation, a)?;
    let mismatch = |expected| TensorError::mismatch(operation, a, b, expected);
    let (front, rows, columns) = match *b {
        [rows] if is_column(a, b) => (&[][..], rows, 1),
        [ref front @ .., rows, columns] => (front, rows, columns),
        _ => {
            return Err(mismatch(
                "the right side must have an axis of rows and one of columns (or rows only, for one matrix)",
            ));
        }
    };
    if rows != n {
        return Err(mismatch("the right side must have as many rows as the matrix"));
    }
    let batch = broadcast(&a[..a.len() - 2], front)
        .ok_or_else(|| mismatch("the axes before the last two must broadcast"))?;
    let stacked = |last: [usize; 2]| batch.iter().copied().chain(last).collect::<Shape>();
    let shapes = [stacked([n, n]), stacked([n, columns])];
    checked_count(operation, &shapes[0])?;
    checked_count(operation, &shapes[1])?;
    Ok(shapes)
}

/// Replaces the right side of each system of a stack by its solution. `solve` gets a matrix, its size and the columns to
/// replace, and fails with the column that has no pivot.
fn solve_each<T: Float>(
    operation: &'static str,
    a: &Tensor<T>,
    b: &mut [f64],
    solve: impl Fn(&mut [f64], usize, &mut [f64]) -> Result<(), usize>,
) -> Result<(), TensorError> {
    let n = a.shape()[a.rank() - 1];
    let mut matrices = columns(a);
    let systems = matrices.len() / (n * n).max(1);
    let width = (b.len() / systems.max(1)).max(1);
    let systems = matrices.chunks_exact_mut((n * n).max(1)).zip(b.chunks_exact_mut(width));
    for (place, (matrix, b)) in systems.enumerate() {
        solve(matrix, n, b).map_err(|column| {
            let fault = format!("is singular: column {column} has no pivot");
            fault_of(operation, a, place, fault, "it must be invertible")
        })?;
    }
    Ok(())
}

/// The elements of a stack of matrices, column by column.
pub(super) fn columns<T: Float>(x: &Tensor<T>) -> Vec<f64> {
    let [.., rows, columns] = *x.shape() else { unreachable!("matrices have two axes") };
    let (x, size) = (x.contiguous(), (rows * columns).max(1));
    let mut transposed = vec![0.0; x.len()];
    for (x, out) in x.data().chunks_exact(size).zip(transposed.chunks_exact_mut(size)) {
        linalg::transpose(x, rows, out, T::to_f64);
    }
    transposed
}

/// A stack of matrices of a shape, from their elements column by column.
pub(super) fn from_columns<T: Float>(transposed: &[f64], shape: &[usize]) -> Tensor<T> {
    let mut elements = Buffer::filled(transposed.len(), T::ZERO);
    let out = elements.get_mut().expect("nobody else has it");
    // One axis is a single column.
    let (rows, width) = match *shape {
        [.., rows, columns] => (rows, columns),
        _ => (shape[0], 1),
    };
    let size = (rows * width).max(1);
    for (x, out) in transposed.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        linalg::transpose(x, width, out, T::from_f64);
    }
    Tensor::from_buffer(elements, shape)
}

pub(super) fn fault_of<T: Float>(
    operation: &'static str,
    x: &Tensor<T>,
    place: usize,
    fault: String,
    expected: &'static str,
) -> TensorError {
    let index = place_of(place, &x.shape()[..x.rank() - 2]);
    TensorError::Matrix { operation, index, fault, expected }
}
