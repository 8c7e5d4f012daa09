//! Eigenvalues and eigenvectors of symmetric matrices: reflections make the matrix tridiagonal, and implicit QL steps make
//! it diagonal (Bowdler, Martin, Reinsch and Wilkinson, "The QR and QL algorithms for symmetric matrices", 1968).

use crate::kernels::range::power_of_two;
use crate::kernels::reflect::{Reflections, add, dot, largest, reflection, rotate, two_columns};
use crate::kernels::svd::is_turned;
use crate::runtime::dispatch_narrow;

/// The eigenvalues in rising order and the eigenvectors as columns, of a symmetric matrix of finite numbers, which is
/// overwritten.
pub(crate) fn eigh(matrix: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let unit = power_of_two(largest(matrix));
    matrix.iter_mut().for_each(|x| *x /= unit);
    let mut scales = Vec::with_capacity(n);
    dispatch_narrow(
        #[inline(always)]
        || (0..n.saturating_sub(2)).for_each(|k| scales.push(reduce(matrix, n, k))),
    );
    let reflections = Reflections::new(matrix, n, 1, scales);
    let mut diagonal: Vec<f64> = (0..n).map(|i| reflections.reduced(i, i)).collect();
    let mut beside: Vec<f64> = (1..n).map(|i| reflections.reduced(i, i - 1)).collect();
    let mut vectors = reflections.columns(n);
    dispatch_narrow(
        #[inline(always)]
        || diagonalise(&mut diagonal, &mut beside, &mut vectors),
    );

    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| diagonal[i].total_cmp(&diagonal[j]));
    let mut sorted = Vec::with_capacity(n * n);
    for &j in &order {
        let vector = &vectors[j * n..][..n];
        let sign = if is_turned(vector) { -1.0 } else { 1.0 };
        sorted.extend(vector.iter().map(|x| x * sign));
    }
    (order.iter().map(|&j| diagonal[j] * unit).collect(), sorted)
}

/// Leaves nothing of column k below the element beside the diagonal, and returns the scale of the reflection that is
/// applied from both sides.
#[inline(always)]
fn reduce(matrix: &mut [f64], n: usize, k: usize) -> f64 {
    let (column, block) = matrix[k * n..].split_at_mut(n);
    let v = &mut column[k + 1..];
    let (scale, left) = reflection(v);
    v[0] = 1.0;
    // B - v w^T - w v^T, with w = p - scale / 2 (p^T v) v and p = scale B v.
    let mut w = vec![0.0; v.len()];
    for (column, x) in block.chunks_exact(n).zip(&*v) {
        add(&mut w, scale * x, &column[k + 1..]);
    }
    let half = -0.5 * scale * dot(&w, v);
    add(&mut w, half, v);
    for (j, column) in block.chunks_exact_mut(n).enumerate() {
        add(&mut column[k + 1..], -w[j], v);
        add(&mut column[k + 1..], -v[j], &w);
    }
    v[0] = left;
    scale
}

/// Implicit QL steps with Wilkinson's shift, on the diagonal of a tridiagonal matrix and the elements beside it, until
/// these are negligible. The columns of `vectors` are turned with them.
#[inline(always)]
fn diagonalise(diagonal: &mut [f64], beside: &mut [f64], vectors: &mut [f64]) {
    // Of each eigenvalue; usually 2 are needed.
    const MOST_STEPS: usize = 60;
    let n = diagonal.len();
    for first in 0..n {
        for _ in 0..MOST_STEPS {
            let negligible =
                |&i: &usize| beside[i].abs() <= f64::EPSILON * (diagonal[i].abs() + diagonal[i + 1].abs());
            let last = (first..n - 1).find(negligible).unwrap_or(n - 1);
            if last == first {
                break;
            }
            step(diagonal, beside, vectors, first, last);
        }
    }
}

/// One step on the part of the matrix between two places.
#[inline(always)]
fn step(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], first: usize, last: usize) {
    let n = d.len();
    let slope = (d[first + 1] - d[first]) / (2.0 * e[first]);
    let shift = d[first] - e[first] / (slope + slope.hypot(1.0).copysign(slope));
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    let mut bulge = d[last] - shift;
    for i in (first..last).rev() {
        let (far, near) = (sine * e[i], cosine * e[i]);
        let length = far.hypot(bulge);
        if i + 1 < last {
            e[i + 1] = length;
        }
        if length == 0.0 {
            // The matrix falls apart here.
            d[i + 1] -= moved;
            if last < n - 1 {
                e[last] = 0.0;
            }
            return;
        }
        (sine, cosine) = (far / length, bulge / length);
        let base = d[i + 1] - moved;
        let turn = (d[i] - base) * sine + 2.0 * cosine * near;
        moved = sine * turn;
        d[i + 1] = base + moved;
        bulge = cosine * turn - near;
        let (x, y) = two_columns(vectors, n, i, i + 1);
        rotate(x, y, cosine, sine);
    }
    d[first] -= moved;
    e[first] = bulge;
    if last < n - 1 {
        e[last] = 0.0;
    }
}
