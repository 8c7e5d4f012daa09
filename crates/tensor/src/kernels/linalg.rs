//! Factorisations of square matrices, and triangular systems of equations (Golub and Van Loan, "Matrix computations").
//!
//! In double precision. A matrix is a slice of its columns, one after another: every loop then runs down a column, which
//! stays in the fastest cache while the columns before it are subtracted.

use smallvec::SmallVec;

use crate::runtime::dispatch_narrow;

/// The factors of `P A = L U`, with partial pivoting.
pub(crate) struct Lu<'a> {
    size: usize,
    /// U on the diagonal and above it, L below; the diagonal of L is 1.
    factors: &'a mut [f64],
    /// The row that each row changed places with, in this order.
    swaps: SmallVec<[usize; 8]>,
}

impl<'a> Lu<'a> {
    /// Factorises a matrix where it is.
    pub(crate) fn new(matrix: &'a mut [f64], size: usize) -> Self {
        let mut lu = Self { size, factors: matrix, swaps: SmallVec::with_capacity(size) };
        dispatch_narrow(
            #[inline(always)]
            || lu.factorise(),
        );
        lu
    }

    #[inline(always)]
    fn factorise(&mut self) {
        let size = self.size;
        for j in 0..size {
            let (before, column) = self.factors[..(j + 1) * size].split_at_mut(j * size);
            for (row, &other) in self.swaps.iter().enumerate() {
                column.swap(row, other);
            }
            forward(before, j, column, false);
            let larger =
                |best: usize, row: usize| if column[row].abs() > column[best].abs() { row } else { best };
            let pivot_row = (j..size).fold(j, larger);
            self.swaps.push(pivot_row);
            for column in self.factors[..(j + 1) * size].chunks_exact_mut(size) {
                column.swap(j, pivot_row);
            }
            let (pivot, below) =
                self.factors[j * size + j..(j + 1) * size].split_first_mut().expect("j < size");
            if *pivot != 0.0 {
                for x in below {
                    *x /= *pivot;
                }
            }
        }
    }

    /// The diagonal of U.
    pub(crate) fn pivots(&self) -> impl Iterator<Item = f64> {
        diagonal(self.factors, self.size)
    }

    /// The determinant of P, 1 or -1.
    pub(crate) fn sign(&self) -> f64 {
        let swaps = self.swaps.iter().enumerate().filter(|&(row, &other)| row != other).count();
        if swaps.is_multiple_of(2) { 1.0 } else { -1.0 }
    }

    /// Replaces the columns of B by the solution X of `A X = B`; fails with the first column of A that has no pivot.
    pub(crate) fn solve(&self, b: &mut [f64]) -> Result<(), usize> {
        check_diagonal(self.factors, self.size)?;
        dispatch_narrow(
            #[inline(always)]
            || {
                for column in b.chunks_exact_mut(self.size.max(1)) {
                    for (row, &other) in self.swaps.iter().enumerate() {
                        column.swap(row, other);
                    }
                    forward(self.factors, self.size, column, false);
                    backward(self.factors, self.size, column);
                }
            },
        );
        Ok(())
    }
}

fn diagonal(matrix: &[f64], size: usize) -> impl Iterator<Item = f64> {
    matrix.iter().step_by(size + 1).copied()
}

fn check_diagonal(matrix: &[f64], size: usize) -> Result<(), usize> {
    diagonal(matrix, size).position(|x| x == 0.0).map_or(Ok(()), Err)
}

/// Replaces the columns of B by the solution X of `A X = B`, for a triangular A, whose other half is not read; fails
/// with the first column that has a 0 on the diagonal.
pub(crate) fn solve_triangular(a: &[f64], size: usize, upper: bool, b: &mut [f64]) -> Result<(), usize> {
    check_diagonal(a, size)?;
    dispatch_narrow(
        #[inline(always)]
        || {
            for column in b.chunks_exact_mut(size.max(1)) {
                if upper { backward(a, size, column) } else { forward(a, size, column, true) }
            }
        },
    );
    Ok(())
}

/// Replaces a symmetric matrix, of which the part above the diagonal is not read, by the L with `L L^T = A`; false if it
/// is not positive definite.
pub(crate) fn cholesky(matrix: &mut [f64], size: usize) -> bool {
    dispatch_narrow(
        #[inline(always)]
        || {
            for j in 0..size {
                let (before, column) = matrix[..(j + 1) * size].split_at_mut(j * size);
                let (above, column) = column.split_at_mut(j);
                above.fill(0.0);
                for previous in before.chunks_exact(size) {
                    subtract(column, previous[j], &previous[j..]);
                }
                if column[0] <= 0.0 || column[0].is_nan() {
                    return false;
                }
                let root = column[0].sqrt();
                for x in column {
                    *x /= root;
                }
            }
            true
        },
    )
}

/// Writes the columns of a matrix one after another, of which the rows lie so; or the other way round.
pub(crate) fn transpose<T: Copy, U>(x: &[T], rows: usize, out: &mut [U], f: impl Fn(T) -> U) {
    // As many as make a cache line, so that lines are read whole.
    const BAND: usize = 8;
    let columns = out.len() / rows.max(1);
    for first in (0..columns).step_by(BAND) {
        for (i, row) in x.chunks_exact(columns).enumerate() {
            for j in first..columns.min(first + BAND) {
                out[j * rows + i] = f(row[j]);
            }
        }
    }
}

/// Solves `L x = b` in place for the first `count` columns of L, whose diagonal is 1 unless it is to be read. What `b` has
/// beyond them becomes what is left of it.
#[inline(always)]
fn forward(lower: &[f64], count: usize, b: &mut [f64], read_diagonal: bool) {
    for (j, column) in lower.chunks_exact(b.len().max(1)).take(count).enumerate() {
        if read_diagonal {
            b[j] /= column[j];
        }
        let (solved, rest) = b.split_at_mut(j + 1);
        subtract(rest, solved[j], &column[j + 1..]);
    }
}

/// Solves `U x = b` in place.
#[inline(always)]
fn backward(upper: &[f64], size: usize, b: &mut [f64]) {
    for j in (0..size).rev() {
        let column = &upper[j * size..][..size];
        let (rest, solved) = b.split_at_mut(j);
        solved[0] /= column[j];
        subtract(rest, solved[0], column);
    }
}

/// `y -= factor x`, for as many elements as both have.
#[inline(always)]
fn subtract(y: &mut [f64], factor: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y -= factor * x;
    }
}
