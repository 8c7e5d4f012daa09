//! Linear equations, inverses and determinants: factorisations of square matrices, or of stacks of them.
//!
//! They are computed in double precision for either element type, by `nalgebra`.

use nalgebra::{Cholesky, DMatrix, Dyn, LU};

use crate::dims::{Shape, broadcast_shapes};
use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::range::Product;
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// The lower triangular L with `L L^T = (A + A^T) / 2`, for positive definite matrices, `[..., n, n]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[4.0, 2.0], [2.0, 5.0]]);
    /// assert_eq!(x.cholesky()?, Tensor::from([[2.0, 0.0], [1.0, 2.0]]));
    /// assert!(x.cholesky().is_ok() && (-x).cholesky().is_err());
    /// # Ok::<(), gradus_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is not positive definite.
    ///
    /// # Panics
    /// If the last two axes are not of one size.
    #[track_caller]
    pub fn cholesky(&self) -> Result<Self, TensorError> {
        square("cholesky", self);
        let mut lower = Vec::with_capacity(self.len());
        for (place, matrix) in matrices(self).enumerate() {
            let symmetric = (&matrix + matrix.transpose()) * 0.5;
            let Some(factor) = Cholesky::new(symmetric) else {
                let fault = "is not positive definite".into();
                return Err(fault_of("cholesky", self, place, fault, "it must be"));
            };
            push(&mut lower, &factor.l());
        }
        Self::from_vec(lower, self.shape())
    }

    /// The X with `A X = B`, for this A, `[..., n, n]`, and B, `[..., n, k]`, or `[n]` if A is one matrix. Axes in
    /// front broadcast.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let a = Tensor::from([[0.0, 2.0], [4.0, 0.0]]);
    /// assert_eq!(a.solve(&Tensor::from([6.0, 8.0]))?, Tensor::from([2.0, 3.0]));
    /// let error = Tensor::from([[1.0, 2.0], [2.0, 4.0]]).solve(&Tensor::from([6.0, 8.0])).unwrap_err();
    /// assert_eq!(error.to_string(), "solve: the matrix is singular: column 1 has no pivot; it must be invertible");
    /// # Ok::<(), gradus_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular.
    ///
    /// # Panics
    /// If the last two axes of A are not of one size, or the shapes do not fit.
    #[track_caller]
    pub fn solve(&self, b: &Self) -> Result<Self, TensorError> {
        let (a, b, shape) = system("solve", self, b);
        let mut solution = Vec::with_capacity(b.len());
        for (place, (a_matrix, b_matrix)) in matrices(&a).zip(matrices(&b)).enumerate() {
            let lu = LU::new(a_matrix);
            let Some(x) = lu.solve(&b_matrix) else { return Err(singular("solve", &a, place, &lu.u())) };
            push(&mut solution, &x);
        }
        Self::from_vec(solution, shape)
    }

    /// The X with `A X = B` as in [`solve`](Self::solve), for a triangular A: what lies on the other side of the
    /// diagonal is not read.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let a = Tensor::from([[2.0, f64::NAN], [1.0, 4.0]]);
    /// assert_eq!(a.solve_triangular(&Tensor::from([2.0, 9.0]), false)?, Tensor::from([1.0, 2.0]));
    /// # Ok::<(), gradus_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular: there is a 0 on its diagonal.
    ///
    /// # Panics
    /// If the last two axes of A are not of one size, or the shapes do not fit.
    #[track_caller]
    pub fn solve_triangular(&self, b: &Self, upper: bool) -> Result<Self, TensorError> {
        let (a, b, shape) = system("solve_triangular", self, b);
        let mut solution = Vec::with_capacity(b.len());
        for (place, (a_matrix, b_matrix)) in matrices(&a).zip(matrices(&b)).enumerate() {
            let x = if upper {
                a_matrix.solve_upper_triangular(&b_matrix)
            } else {
                a_matrix.solve_lower_triangular(&b_matrix)
            };
            let Some(x) = x else { return Err(singular("solve_triangular", &a, place, &a_matrix)) };
            push(&mut solution, &x);
        }
        Self::from_vec(solution, shape)
    }

    /// The inverse of matrices, `[..., n, n]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[0.0, 2.0], [4.0, 0.0]]);
    /// assert_eq!(x.inverse()?, Tensor::from([[0.0, 0.25], [0.5, 0.0]]));
    /// # Ok::<(), gradus_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// [`TensorError::Matrix`] if a matrix is singular.
    ///
    /// # Panics
    /// If the last two axes are not of one size.
    #[track_caller]
    pub fn inverse(&self) -> Result<Self, TensorError> {
        let n = square("inverse", self);
        let mut inverse = Vec::with_capacity(self.len());
        for (place, matrix) in matrices(self).enumerate() {
            let lu = LU::new(matrix);
            let Some(x) = lu.solve(&DMatrix::identity(n, n)) else {
                return Err(singular("inverse", self, place, &lu.u()));
            };
            push(&mut inverse, &x);
        }
        Self::from_vec(inverse, self.shape())
    }

    /// The determinants of matrices: `[..., n, n]` to `[...]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1.0, 2.0], [3.0, 4.0]]).det().item(), -2.0);
    /// ```
    ///
    /// # Panics
    /// If the last two axes are not of one size.
    #[track_caller]
    pub fn det(&self) -> Self {
        self.determinants("det", |lu| {
            let (sign, pivots) = (lu.p().determinant::<f64>(), lu.u().diagonal());
            pivots.iter().fold(Product::EMPTY, |product, &pivot| product.times(pivot)).value::<f64>() * sign
        })
    }

    /// The logarithms of determinants, `[..., n, n]` to `[...]`, also of such that are too large or small to be a
    /// number: minus infinity for 0, and NaN for a negative one.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!((Tensor::<f64>::eye(2) * 1e200).logdet().item(), 2.0 * 1e200_f64.ln());
    /// assert_eq!(Tensor::from([[1.0, 2.0], [2.0, 4.0]]).logdet().item(), f64::NEG_INFINITY);
    /// assert!(Tensor::<f64>::from([[1.0, 2.0], [3.0, 4.0]]).logdet().item().is_nan());
    /// ```
    ///
    /// # Panics
    /// If the last two axes are not of one size.
    #[track_caller]
    pub fn logdet(&self) -> Self {
        self.determinants("logdet", |lu| {
            let pivots = lu.u().diagonal();
            let sign: f64 = lu.p().determinant::<f64>() * pivots.iter().map(|x| x.signum()).product::<f64>();
            let logarithm: f64 = pivots.iter().map(|x| x.abs().ln()).sum();
            if sign < 0.0 && logarithm != f64::NEG_INFINITY { f64::NAN } else { logarithm }
        })
    }

    #[track_caller]
    fn determinants(&self, operation: &'static str, of: impl Fn(&LU<f64, Dyn, Dyn>) -> f64) -> Self {
        let n = square(operation, self);
        let batch = &self.shape()[..self.rank() - 2];
        let count = batch.iter().product();
        let determinants = if n == 0 {
            // Of the matrix without elements, a product of nothing.
            let nothing = LU::new(DMatrix::identity(1, 1));
            vec![T::from_f64(of(&nothing)); count]
        } else {
            matrices(self).map(|matrix| T::from_f64(of(&LU::new(matrix)))).collect()
        };
        Self::from_vec(determinants, batch).or_panic()
    }
}

/// The size of square matrices.
#[track_caller]
fn square<T: Float>(operation: &'static str, x: &Tensor<T>) -> usize {
    match *x.shape() {
        [.., rows, columns] if rows == columns => rows,
        _ => panic!(
            "{operation}: the shape is {:?}: the last two axes, rows and columns, must be of one size",
            x.shape()
        ),
    }
}

/// Both sides of a system of equations, with the same axes in front, and the shape of its solution.
#[track_caller]
fn system<T: Float>(operation: &'static str, a: &Tensor<T>, b: &Tensor<T>) -> (Tensor<T>, Tensor<T>, Shape) {
    let n = square(operation, a);
    let column = a.rank() == 2 && b.rank() == 1;
    let matrix = if column { b.unsqueeze(1) } else { b.clone() };
    let mismatch = |expected| TensorError::Mismatch {
        operation,
        left: a.shape().into(),
        right: b.shape().into(),
        expected,
    };
    let [front @ .., rows, columns] = matrix.shape() else {
        mismatch("the right side must have an axis of rows and one of columns (or rows only, for one matrix)")
            .panic()
    };
    if *rows != n {
        mismatch("the right side must have as many rows as the matrix").panic();
    }
    let batch = broadcast_shapes(operation, &a.shape()[..a.rank() - 2], front)
        .map_err(|_| mismatch("the axes before the last two must broadcast"))
        .or_panic();
    let stacked = |last: [usize; 2]| Shape::from_slice(&[&batch[..], &last].concat());
    let [of_a, of_b] = [stacked([n, n]), stacked([n, *columns])];
    let shape = if column { b.shape().into() } else { of_b.clone() };
    (a.expand(of_a), matrix.expand(of_b), shape)
}

/// The matrices of a stack, none if there are no elements.
fn matrices<T: Float>(x: &Tensor<T>) -> impl Iterator<Item = DMatrix<f64>> {
    let (rows, columns) = (x.shape()[x.rank() - 2], x.shape()[x.rank() - 1]);
    let elements = x.to_vec();
    let count = elements.len() / (rows * columns).max(1);
    (0..count).map(move |i| {
        let of_matrix = elements[i * rows * columns..][..rows * columns].iter();
        DMatrix::from_row_iterator(rows, columns, of_matrix.map(|x| x.to_f64()))
    })
}

/// Appends the elements of a matrix, row by row.
fn push<T: Float>(elements: &mut Vec<T>, matrix: &DMatrix<f64>) {
    // In memory they lie column by column.
    elements.extend(matrix.transpose().iter().map(|&x| T::from_f64(x)));
}

fn singular<T: Float>(
    operation: &'static str,
    x: &Tensor<T>,
    place: usize,
    triangle: &DMatrix<f64>,
) -> TensorError {
    let column = triangle.diagonal().iter().position(|&pivot| pivot == 0.0).unwrap_or(0);
    let fault = format!("is singular: column {column} has no pivot");
    fault_of(operation, x, place, fault, "it must be invertible")
}

fn fault_of<T: Float>(
    operation: &'static str,
    x: &Tensor<T>,
    mut place: usize,
    fault: String,
    expected: &'static str,
) -> TensorError {
    let batch = &x.shape()[..x.rank() - 2];
    let mut index = Shape::from_elem(0, batch.len());
    for (index, &size) in index.iter_mut().zip(batch).rev() {
        *index = place % size;
        place /= size;
    }
    TensorError::Matrix { operation, index, fault, expected }
}
