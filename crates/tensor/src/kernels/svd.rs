//! The singular value decomposition by one-sided Jacobi rotations, which orthogonalise the columns of a matrix in pairs
//! (Hestenes, 1958; Drmac and Veselic, "New fast and accurate Jacobi SVD algorithm", 2008).

use crate::kernels::range::power_of_two;
use crate::kernels::reflect::{dot, largest, norm, qr, rotate, two_columns};
use crate::runtime::dispatch_narrow;

/// Factors of `A = U diag(s) V^T`, U and V as columns, for a matrix that has at least as many rows as columns.
pub(crate) struct Svd {
    pub(crate) u: Vec<f64>,
    /// In falling order.
    pub(crate) s: Vec<f64>,
    pub(crate) v: Vec<f64>,
}

/// The decomposition of a matrix of finite numbers, which is overwritten.
///
/// With `A = Q R`, the columns of R^T are rotated by W until they are orthogonal: `R^T W = V diag(s)`, so `U = Q W`.
pub(crate) fn svd(matrix: &mut [f64], rows: usize) -> Svd {
    let n = matrix.len() / rows.max(1);
    let unit = power_of_two(largest(matrix));
    matrix.iter_mut().for_each(|x| *x /= unit);
    let reflections = qr(matrix, rows);

    let mut turned = vec![0.0; n * n];
    let mut rotation = vec![0.0; n * n];
    for row in 0..n {
        rotation[row * n + row] = 1.0;
        (row..n).for_each(|column| turned[row * n + column] = reflections.reduced(row, column));
    }
    dispatch_narrow(
        #[inline(always)]
        || orthogonalise(&mut turned, &mut rotation, n),
    );

    let lengths: Vec<f64> = turned.chunks_exact(n.max(1)).map(norm).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let mut u = vec![0.0; rows * n];
    let mut v = Vec::with_capacity(n * n);
    for (&j, u) in order.iter().zip(u.chunks_exact_mut(rows.max(1))) {
        u[..n].copy_from_slice(&rotation[j * n..][..n]);
        // A column of zeros has no direction.
        let length = if lengths[j] == 0.0 { 1.0 } else { lengths[j] };
        v.extend(turned[j * n..][..n].iter().map(|x| x / length));
    }
    reflections.apply(&mut u);
    let mut v = completed(&mut v, n);
    for (u, v) in u.chunks_exact_mut(rows.max(1)).zip(v.chunks_exact_mut(n.max(1))) {
        if is_turned(u) {
            u.iter_mut().chain(v).for_each(|x| *x = -*x);
        }
    }
    Svd { u, s: order.iter().map(|&j| lengths[j] * unit).collect(), v }
}

/// Rotates pairs of columns until all are orthogonal, and the columns of `rotation` with them.
#[inline(always)]
fn orthogonalise(x: &mut [f64], rotation: &mut [f64], n: usize) {
    // Usually 5 to 8 are needed.
    const MOST_SWEEPS: usize = 50;
    let limit = f64::EPSILON * (n as f64).sqrt();
    for _ in 0..MOST_SWEEPS {
        let mut squares: Vec<f64> = x.chunks_exact(n.max(1)).map(|column| dot(column, column)).collect();
        let mut rotated = false;
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            let (a, b) = two_columns(x, n, p, q);
            let product = dot(a, b);
            if product.abs() <= limit * squares[p].sqrt() * squares[q].sqrt() {
                continue;
            }
            rotated = true;
            let (c, d) = two_columns(rotation, n, p, q);
            // The longer column first: fewer sweeps.
            if squares[p] < squares[q] {
                a.swap_with_slice(b);
                c.swap_with_slice(d);
                squares.swap(p, q);
            }
            let slope = (squares[q] - squares[p]) / (2.0 * product);
            let tangent = 1.0_f64.copysign(slope) / (slope.abs() + slope.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            rotate(a, b, cosine, cosine * tangent);
            rotate(c, d, cosine, cosine * tangent);
            squares[p] -= tangent * product;
            squares[q] = (squares[q] + tangent * product).max(0.0);
        }
        if !rotated {
            return;
        }
    }
}

/// Orthogonal columns of length 1, and columns of zeros at the end replaced by others that are orthogonal to them.
fn completed(columns: &mut [f64], n: usize) -> Vec<f64> {
    let reflections = qr(columns, n);
    let mut complete = reflections.columns(n);
    for (j, column) in complete.chunks_exact_mut(n.max(1)).enumerate() {
        if reflections.reduced(j, j) < 0.0 {
            column.iter_mut().for_each(|x| *x = -*x);
        }
    }
    complete
}

/// Whether the first of the largest elements of a vector is negative: by convention, it is not.
pub(crate) fn is_turned(x: &[f64]) -> bool {
    x.iter().fold(0.0_f64, |largest, &x| if x.abs() > largest.abs() { x } else { largest }) < 0.0
}
