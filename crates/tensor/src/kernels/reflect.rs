//! Householder reflections and the QR factorisation (Golub and Van Loan, "Matrix computations", chapter 5).
//!
//! As in `linalg`, in double precision, and a matrix is a slice of its columns. Signs are LAPACK's.

use crate::kernels::range::power_of_two;
use crate::runtime::dispatch_narrow;

/// Reflections `H = I - scale v v^T`, whose product `H_0 H_1 ...` is an orthogonal matrix. The first element of each v is
/// 1 and lies at row `first + j`; the others lie below it, in column j of the matrix that was reduced.
pub(crate) struct Reflections<'a> {
    columns: &'a [f64],
    rows: usize,
    first: usize,
    scales: Vec<f64>,
}

/// Replaces a matrix of this number of rows by R, on the diagonal and above it, and the vectors of the reflections below.
pub(crate) fn qr(matrix: &mut [f64], rows: usize) -> Reflections<'_> {
    let count = (matrix.len() / rows.max(1)).min(rows);
    let mut scales = Vec::with_capacity(count);
    dispatch_narrow(
        #[inline(always)]
        || {
            for j in 0..count {
                let (column, others) = matrix[j * rows..].split_at_mut(rows);
                let (scale, diagonal) = reflection(&mut column[j..]);
                for other in others.chunks_exact_mut(rows) {
                    reflect(&column[j + 1..], scale, &mut other[j..]);
                }
                column[j] = diagonal;
                scales.push(scale);
            }
        },
    );
    Reflections { columns: matrix, rows, first: 0, scales }
}

impl<'a> Reflections<'a> {
    /// Reflections of which the j-th begins at row `first + j` of column j.
    pub(crate) fn new(columns: &'a [f64], rows: usize, first: usize, scales: Vec<f64>) -> Self {
        Self { columns, rows, first, scales }
    }

    /// Multiplies the columns of a matrix by the orthogonal matrix.
    pub(crate) fn apply(&self, matrix: &mut [f64]) {
        dispatch_narrow(
            #[inline(always)]
            || {
                for column in matrix.chunks_exact_mut(self.rows.max(1)) {
                    for (j, scale) in self.scales.iter().enumerate().rev() {
                        let row = self.first + j;
                        let tail = &self.columns[j * self.rows + row + 1..(j + 1) * self.rows];
                        reflect(tail, *scale, &mut column[row..]);
                    }
                }
            },
        );
    }

    /// The first columns of the orthogonal matrix.
    pub(crate) fn columns(&self, count: usize) -> Vec<f64> {
        let mut identity = vec![0.0; self.rows * count];
        identity.iter_mut().step_by(self.rows + 1).for_each(|x| *x = 1.0);
        self.apply(&mut identity);
        identity
    }

    /// The element of what was reduced, R after [`qr`], at a row and a column.
    pub(crate) fn reduced(&self, row: usize, column: usize) -> f64 {
        self.columns[column * self.rows + row]
    }
}

/// The scale of the reflection that leaves nothing of a vector but its first element, and that element. Replaces the
/// other elements by those of v; a vector that has no others is not reflected.
#[inline(always)]
pub(crate) fn reflection(x: &mut [f64]) -> (f64, f64) {
    let [first, ref mut others @ ..] = *x else { unreachable!("a vector with a first element") };
    let rest = norm(others);
    if rest == 0.0 {
        return (0.0, first);
    }
    let left = -first.hypot(rest).copysign(first);
    // In two divisions, as the difference may overflow.
    let half = first * 0.5 - left * 0.5;
    for x in others {
        *x = *x * 0.5 / half;
    }
    (half * -2.0 / left, left)
}

/// Replaces x by `x - scale (v^T x) v`, for v of the first element 1 and these others.
#[inline(always)]
fn reflect(others: &[f64], scale: f64, x: &mut [f64]) {
    let [first, ref mut rest @ ..] = *x else { return };
    let factor = -scale * (first + dot(others, rest));
    x[0] += factor;
    add(&mut x[1..], factor, others);
}

/// The 2-norm, without overflow or underflow before the result has it.
#[inline(always)]
pub(crate) fn norm(x: &[f64]) -> f64 {
    let largest = largest(x);
    if largest == 0.0 {
        return 0.0;
    }
    let unit = power_of_two(largest);
    x.iter().map(|x| (x / unit) * (x / unit)).sum::<f64>().sqrt() * unit
}

/// The largest magnitude, NaN if there is one.
pub(crate) fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |largest, x| if x.abs() <= largest { largest } else { x.abs() })
}

/// The sum of products, in an order that suits vectors.
#[inline(always)]
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    const LANES: usize = 16;
    let length = x.len().min(y.len());
    let (xs, x) = x[..length].as_chunks::<LANES>();
    let (ys, y) = y[..length].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>()
}

/// `y += factor x`.
#[inline(always)]
pub(crate) fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// Turns two vectors in their plane: x becomes `c x - s y`, and y becomes `s x + c y`.
#[inline(always)]
pub(crate) fn rotate(x: &mut [f64], y: &mut [f64], c: f64, s: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

/// Two different columns of a matrix, the first one before the second.
#[inline(always)]
pub(crate) fn two_columns(matrix: &mut [f64], rows: usize, p: usize, q: usize) -> (&mut [f64], &mut [f64]) {
    let (before, after) = matrix.split_at_mut(q * rows);
    (&mut before[p * rows..][..rows], &mut after[..rows])
}
