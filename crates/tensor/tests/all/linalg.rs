//! Equations, inverses, determinants and Cholesky factors, held to the bounds of error analysis (Higham, "Accuracy and
//! stability of numerical algorithms").

use gradus_tensor::{Float, Tensor, TensorError};
use proptest::prelude::*;

use crate::common::{Value, laid_of};

/// The largest sum of magnitudes of a row, NaN if there is one.
fn norm(x: &Tensor<f64>) -> f64 {
    let sums = x.abs().sum(-1);
    sums.iter().fold(0.0, |largest, x| if x <= largest { largest } else { x })
}

/// A square matrix in any layout.
fn matrix<T: Value>() -> impl Strategy<Value = Tensor<T>> {
    (0..12_usize).prop_flat_map(|n| laid_of(&[n, n], &T::tame())).prop_map(|x| x.tensor)
}

fn two<T: Value>() -> impl Strategy<Value = (Tensor<T>, Tensor<T>)> {
    (0..12_usize, 0..4_usize).prop_flat_map(|(n, k)| {
        (laid_of(&[n, n], &T::tame()), laid_of(&[n, k], &T::tame())).prop_map(|(a, b)| (a.tensor, b.tensor))
    })
}

/// Elements 1 / (i + j + 1), of which the condition grows by a factor of 30 with every row.
fn hilbert(n: usize) -> Tensor<f64> {
    let line = Tensor::arange(0.0, n as f64, 1.0);
    (&line + line.unsqueeze(1) + 1.0).reciprocal()
}

/// Rows of the identity in another order, and the sign of that.
fn permutation() -> impl Strategy<Value = (Tensor<f64>, f64)> {
    (1..9_i64).prop_flat_map(|n| Just((0..n).collect::<Vec<_>>()).prop_shuffle()).prop_map(|order| {
        let later = |i: usize| order[i..].iter().filter(|&&x| x < order[i]).count();
        let inversions: usize = (0..order.len()).map(later).sum();
        let rows = Tensor::eye(order.len()).index_select(0, &Tensor::from(order));
        (rows, if inversions.is_multiple_of(2) { 1.0 } else { -1.0 })
    })
}

/// The backward error of a solution: `|A X - B|` in units of `n eps |A| |X|`.
fn backward_error(a: &Tensor<f64>, x: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    let unit = f64::EPSILON * a.shape()[0] as f64 * norm(a) * norm(x);
    let residual = norm(&(a.matmul(x) - b));
    if residual == 0.0 { 0.0 } else { residual / unit }
}

fn singular_column<T: Float>(result: Result<Tensor<T>, TensorError>) -> String {
    result.map(|x| x.to_vec()).expect_err("the matrix is singular").to_string()
}

proptest! {
    /// However ill-conditioned A is, the solution is that of a matrix nearby.
    #[test]
    fn solutions_leave_no_residual((a, b) in two::<f64>()) {
        match a.solve(&b) {
            Ok(x) => {
                prop_assert_eq!(x.shape(), b.shape());
                prop_assert!(x.is_contiguous());
                prop_assert!(b.is_empty() || backward_error(&a, &x, &b) < 8.0);
            }
            Err(_) => prop_assert!(a.det().item().abs() < 1e-9 * norm(&a).powi(a.shape()[0] as i32)),
        }
    }

    /// Single precision is computed in double, and rounded once.
    #[test]
    fn single_precision_is_rounded_double((a, b) in two::<f32>()) {
        let wide = a.cast::<f64>();
        prop_assert_eq!(a.solve(&b).ok(), wide.solve(&b.cast()).ok().map(|x| x.cast()));
        prop_assert_eq!(a.inverse().ok(), wide.inverse().ok().map(|x| x.cast()));
        prop_assert_eq!(a.det(), wide.det().cast());
    }

    /// Either half alone, whatever the other one holds.
    #[test]
    fn triangular_systems_read_one_half((a, b) in two::<f64>(), upper: bool) {
        let n = a.shape()[0];
        let other = Tensor::full([n, n], f64::NAN);
        let (half, other) = if upper { (a.triu(0), other.tril(-1)) } else { (a.tril(0), other.triu(1)) };
        let half = half + Tensor::eye(n) * 40.0;
        let x = half.solve_triangular(&b, upper).unwrap();
        prop_assert!(b.is_empty() || backward_error(&half, &x, &b) < 4.0);
        prop_assert_eq!((half + other).solve_triangular(&b, upper).unwrap(), x);
    }

    /// From both sides, where the condition allows.
    #[test]
    fn inverses_undo(a in matrix::<f64>()) {
        let n = a.shape()[0];
        let Ok(inverse) = a.inverse() else { return Ok(()) };
        let bound = 8.0 * f64::EPSILON * (n * n) as f64 * norm(&a) * norm(&inverse);
        prop_assert!(n == 0 || norm(&(a.matmul(&inverse) - Tensor::eye(n))) <= bound);
        // The other side pays for the condition once more.
        prop_assert!(n == 0 || norm(&(inverse.matmul(&a) - Tensor::eye(n))) <= bound * (1.0 + norm(&a) * norm(&inverse)));
    }

    /// `det(A B) = det A det B`, up to what rounding makes of the larger of them.
    #[test]
    fn determinants_multiply((a, b) in (1..6_usize).prop_flat_map(|n| {
        (laid_of(&[n, n], &f64::tame()), laid_of(&[n, n], &f64::tame()))
    })) {
        let (a, b) = (a.tensor, b.tensor);
        let n = a.shape()[0] as i32;
        let (left, right) = (a.matmul(&b).det().item(), a.det().item() * b.det().item());
        let bound = 1e-13 * (1.0 + norm(&a).powi(n) * norm(&b).powi(n));
        prop_assert!((left - right).abs() <= bound, "{} {}", left, right);
        prop_assert!((a.t().det().item() - a.det().item()).abs() <= 1e-13 * norm(&a).powi(n));
    }

    /// Exactly: nothing is rounded.
    #[test]
    fn permutations_have_their_sign_and_undo_themselves((p, sign) in permutation()) {
        prop_assert_eq!(p.det().item(), sign);
        prop_assert_eq!(p.inverse().unwrap(), p.t());
        let logarithm = p.logdet().item();
        let expected = if sign > 0.0 { 0.0_f64 } else { f64::NAN };
        prop_assert!(logarithm == expected || logarithm.is_nan() && expected.is_nan());
    }

    /// `L L^T = A` for `A = B B^T`, with a positive diagonal and nothing above it; `logdet` is twice that of L.
    #[test]
    fn cholesky_factors_multiply_to_the_matrix(b in matrix::<f64>()) {
        let n = b.shape()[0];
        let a = b.matmul(&b.t()) + Tensor::eye(n) * 0.5;
        let lower = a.cholesky().unwrap();
        prop_assert_eq!(&lower, &lower.tril(0));
        prop_assert!(lower.diagonal(0, 0, 1).iter().all(|x| x > 0.0));
        let error = if n == 0 { 0.0 } else { norm(&(lower.matmul(&lower.t()) - &a)) };
        prop_assert!(error <= 4.0 * f64::EPSILON * (n * n) as f64 * norm(&a), "{}", error);
        let logarithm = lower.diagonal(0, 0, 1).log().sum(..).item() * 2.0;
        prop_assert!((a.logdet().item() - logarithm).abs() <= 1e-9 * (1.0 + logarithm.abs()));
    }

    /// Each matrix of a stack by itself, also where one side is broadcast.
    #[test]
    fn stacks_are_matrices_side_by_side(
        (a, b) in (0..4_usize, 1..5_usize, 0..3_usize).prop_flat_map(|(count, n, k)| {
            (laid_of(&[count, n, n], &f64::tame()), laid_of(&[n, k], &f64::tame()))
        })
    ) {
        let (a, b) = (&a.tensor + Tensor::eye(a.tensor.shape()[1]) * 100.0, b.tensor);
        let (x, inverse, det) = (a.solve(&b).ok(), a.inverse().ok(), a.det());
        for i in 0..a.shape()[0] as isize {
            let one = a.select(0, i);
            prop_assert_eq!(x.as_ref().map(|x| x.select(0, i)), one.solve(&b).ok());
            prop_assert_eq!(inverse.as_ref().map(|x| x.select(0, i)), one.inverse().ok());
            prop_assert_eq!(det.select(0, i), one.det());
        }
    }

    /// A row that is a combination of others: no pivot is left, or one of the size of a rounding error.
    #[test]
    fn dependent_rows_are_singular_or_nearly(a in (2..9_usize).prop_flat_map(|n| laid_of(&[n, n], &f64::tame()))) {
        let mut a = a.tensor;
        let n = a.shape()[0];
        for j in 0..n {
            a[[n - 1, j]] = a[[0, j]] * 2.0;
        }
        prop_assert!(a.det().item().abs() <= 1e-13 * norm(&a).powi(n as i32));
        if let Ok(x) = a.solve(&Tensor::ones([n, 1])) {
            prop_assert!(backward_error(&a, &x, &Tensor::ones([n, 1])) < 8.0);
        }
    }
}

/// Up to a condition of 1e16 the residual stays small, although no digit of the solution is left.
#[test]
fn hilbert_matrices_are_solved_as_well_as_they_can_be() {
    for n in 1..13_usize {
        let a = hilbert(n);
        let x = a.solve(&a.sum(1)).unwrap();
        assert!(backward_error(&a, &x.unsqueeze(1), &a.sum(1).unsqueeze(1)) < 1.0, "{n}");
        let error = (&x - 1.0).abs().max(..).item();
        assert!(error < 35_f64.powi(n as i32) * f64::EPSILON, "{n}: {error}");
        let lower = a.cholesky().unwrap();
        assert!(norm(&(lower.matmul(&lower.t()) - &a)) < 4.0 * f64::EPSILON, "{n}");
    }
    // The determinant of 4 rows is 1 / 6048000.
    assert!((hilbert(4).det().item() * 6048000.0 - 1.0).abs() < 1e-12);
    assert!(hilbert(14).cholesky().is_err());
}

/// Without exchanging rows, both would lose all digits.
#[test]
fn the_largest_pivot_is_taken() {
    let a = Tensor::from([[1e-20, 1.0], [1.0, 1.0]]);
    assert_eq!(a.solve(&Tensor::from([1.0, 2.0])).unwrap(), Tensor::from([1.0, 1.0]));
    let a = Tensor::from([[0.0, 0.0, 3.0], [2.0, 1.0, 0.0], [-4.0, 1.0, 0.0]]);
    assert_eq!(a.det().item(), 18.0);
}

#[test]
fn determinants_neither_overflow_nor_vanish_on_the_way() {
    let diagonal = Tensor::<f64>::from([1e200, 1e200, 1e-200, -1e-200]);
    assert!((diagonal.diag(0).det().item() + 1.0).abs() < 1e-14);
    let a = Tensor::<f64>::eye(400) * 1e-3;
    assert_eq!(a.det().item(), 0.0);
    assert!((a.logdet().item() + 400.0 * 1e3_f64.ln()).abs() < 1e-9);
}

/// By its index in the stack, and the first column without a pivot.
#[test]
fn errors_name_the_matrix_and_the_column() {
    let stack = Tensor::cat(&[&Tensor::<f64>::eye(3).unsqueeze(0), &Tensor::zeros([1, 3, 3])], 0);
    let text = "matrix [1] of the batch is singular: column 0 has no pivot; it must be invertible";
    assert_eq!(singular_column(stack.inverse()), format!("inverse: {text}"));
    assert_eq!(singular_column(stack.solve(&Tensor::ones([3, 1]))), format!("solve: {text}"));
    let error = singular_column(stack.solve_triangular(&Tensor::ones([3, 1]), true));
    assert_eq!(error, format!("solve_triangular: {text}"));
    let error = stack.cholesky().unwrap_err().to_string();
    assert_eq!(error, "cholesky: matrix [1] of the batch is not positive definite; it must be");
    let a = Tensor::from([[1.0, 0.0, 0.0], [0.0, 2.0, 4.0], [0.0, 1.0, 2.0]]);
    assert!(singular_column(a.inverse()).contains("column 2"));
}

/// NaN goes into results; it is never a reason to call a matrix singular, but a diagonal of NaN is not positive.
#[test]
fn nan_flows_through() {
    let mut a = Tensor::<f64>::eye(3);
    a[[1, 1]] = f64::NAN;
    assert!(a.det().item().is_nan() && a.logdet().item().is_nan());
    assert!(a.solve(&Tensor::ones([3])).unwrap()[[1]].is_nan());
    assert!(a.inverse().unwrap()[[1, 1]].is_nan());
    assert!(a.cholesky().is_err());
    let mut a = Tensor::<f64>::eye(2);
    a[[1, 0]] = f64::NAN;
    assert_eq!(a.solve_triangular(&Tensor::from([1.0, 1.0]), true).unwrap(), Tensor::from([1.0, 1.0]));
}

#[test]
fn matrices_without_elements() {
    let a = Tensor::<f64>::zeros([3, 0, 0]);
    assert_eq!((a.det(), a.logdet()), (Tensor::ones([3]), Tensor::zeros([3])));
    assert_eq!(a.inverse().unwrap().shape(), [3, 0, 0]);
    assert_eq!(a.solve(&Tensor::zeros([3, 0, 2])).unwrap().shape(), [3, 0, 2]);
    assert_eq!(Tensor::<f64>::zeros([0, 2, 2]).det().shape(), [0]);
    // Nothing is asked of a singular matrix.
    assert_eq!(Tensor::<f64>::zeros([2, 2]).solve(&Tensor::zeros([2, 0])).unwrap().shape(), [2, 0]);
}
