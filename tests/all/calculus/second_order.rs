//! Hessians, Hessian-vector products and derivatives of higher order, against closed forms and differences.

use gradus::testing::{shapes, tensors};
use gradus::{Tensor, Var, grad, grad_create_graph, hvp, vjp};
use proptest::prelude::*;

fn vectors(size: usize) -> impl Strategy<Value = Tensor<f64>> {
    tensors(Just(vec![size]), -2.0..2.0)
}

/// A square matrix and vectors that fit it.
pub(super) fn systems() -> impl Strategy<Value = (Tensor<f64>, Tensor<f64>, Tensor<f64>)> {
    (1..6_usize).prop_flat_map(|n| (tensors(Just(vec![n, n]), -2.0..2.0), vectors(n), vectors(n)))
}

fn unit(size: usize, place: usize) -> Tensor<f64> {
    Tensor::eye(size).select(0, place as isize)
}

/// The step of differences.
const H: f64 = 1e-3;

/// The gradient of a function of one vector.
fn gradient(f: impl Fn(&Var<f64>) -> Var<f64>, x: &Tensor<f64>) -> Tensor<f64> {
    let leaf = Var::leaf(x);
    grad(&f(&leaf), &[&leaf]).remove(0).into_value()
}

/// The Hessian of a function of one vector, row by row: the gradients of the elements of the gradient.
pub(super) fn hessian_by_rows(f: impl Fn(&Var<f64>) -> Var<f64>, x: &Tensor<f64>) -> Tensor<f64> {
    let leaf = Var::leaf(x);
    let slope = grad_create_graph(&f(&leaf), &[&leaf]).remove(0);
    let row = |i: usize| vjp(&slope, &unit(x.len(), i), &[&leaf]).remove(0);
    let rows: Vec<Tensor<f64>> =
        (0..x.len()).map(|i| row(i).map_or_else(|| Tensor::zeros(x.shape()), Var::into_value)).collect();
    Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0)
}

fn rosenbrock(x: &Var<f64>) -> Var<f64> {
    let n = x.len();
    let (head, tail) = (x.slice(0, ..n as isize - 1), x.slice(0, 1..));
    ((&tail - head.square()).square() * 100.0 + (1.0 - head).square()).sum(..)
}

/// Smooth, with all elements depending on each other.
pub(super) fn entangled(x: &Var<f64>) -> Var<f64> {
    (x.sin() * x.logsumexp(..)).sum(..) + ((x.softmax(0) * x.square()).sum(..) + 1.0).sqrt()
}

proptest! {
    /// x'Ax has the Hessian A + A'.
    #[test]
    fn quadratic_forms((a, x, v) in systems()) {
        let form = |x: &[Var<f64>]| x[0].matmul(&Var::constant(&a)).matmul(&x[0]);
        let got = hvp(form, &[x], std::slice::from_ref(&v));
        prop_assert!(got[0].allclose(&(&a + a.t()).matmul(&v), 1e-12, 1e-12));
    }

    /// x'By has no curvature in x or y alone: all of it is between them.
    #[test]
    fn bilinear_forms((b, x, y) in systems(), seed: u64) {
        let [u, v] = [1, 2].map(|i| Tensor::randn(x.shape(), &mut gradus::seeded(seed ^ i)));
        let form = |x: &[Var<f64>]| x[0].matmul(&Var::constant(&b)).matmul(&x[1]);
        let got = hvp(form, &[x, y], &[u.clone(), v.clone()]);
        prop_assert!(got[0].allclose(&b.matmul(&v), 1e-12, 1e-12));
        prop_assert!(got[1].allclose(&b.t().matmul(&u), 1e-12, 1e-12));
    }

    /// What is linear, constant or not asked has no curvature, and zeros of the right shape say so.
    #[test]
    fn no_curvature(x in tensors(shapes(0..=3, 0..=4), -2.0..2.0)) {
        let zeros = [Tensor::zeros(x.shape()), Tensor::zeros([2])];
        let inputs = [x.clone(), Tensor::from([1.0, 2.0])];
        let ones = [Tensor::ones(x.shape()), Tensor::ones([2])];
        prop_assert_eq!(&hvp(|x| x[0].sum(..) * 3.0 - x[1].sum(..), &inputs, &ones), &zeros);
        prop_assert_eq!(&hvp(|_| Var::constant(1.0), &inputs, &ones), &zeros);
        prop_assert_eq!(&hvp(|x| x[0].floor().sum(..), &inputs, &ones), &zeros);
        let second = hvp(|x| x[1].square().sum(..), &inputs, &ones);
        prop_assert_eq!(second, [zeros[0].clone(), Tensor::from([2.0, 2.0])]);
    }

    #[test]
    fn rosenbrock_has_its_hessian(x in (2..6_usize).prop_flat_map(vectors)) {
        let n = x.len();
        let x_ = x.to_vec();
        let mut expected = vec![0.0; n * n];
        for i in 0..n - 1 {
            expected[i * n + i] += 1200.0 * x_[i] * x_[i] - 400.0 * x_[i + 1] + 2.0;
            expected[(i + 1) * n + i + 1] += 200.0;
            expected[i * n + i + 1] = -400.0 * x_[i];
            expected[(i + 1) * n + i] = -400.0 * x_[i];
        }
        let expected = Tensor::from(expected).reshape([n, n]);
        prop_assert!(hessian_by_rows(rosenbrock, &x).allclose(&expected, 1e-12, 1e-10));
        // At the minimum, all ones, the gradient is exactly 0.
        prop_assert_eq!(gradient(rosenbrock, &Tensor::ones([n])), Tensor::zeros([n]));
    }

    /// Products are those with the dense Hessian, which is that of differences of the gradient.
    #[test]
    fn products_with_a_dense_hessian((_, x, v) in systems()) {
        let dense = hessian_by_rows(entangled, &x);
        prop_assert!(dense.allclose(&dense.t(), 1e-10, 1e-12));
        let got = hvp(|x| entangled(&x[0]), std::slice::from_ref(&x), std::slice::from_ref(&v)).remove(0);
        prop_assert!(got.allclose(&dense.matmul(&v), 1e-10, 1e-12));
        let at = |t: f64| gradient(entangled, &(&x + &v * t));
        let differences = ((at(-2.0 * H) - at(2.0 * H)) + (at(H) - at(-H)) * 8.0) / (12.0 * H);
        prop_assert!(got.allclose(&differences, 1e-6, 1e-6), "{} {}", got, differences);
    }

    /// All derivatives of a polynomial with small integers, exactly.
    #[test]
    fn polynomials(coefficients in prop::collection::vec(-9..=9_i8, 2..7), at in -4..=4_i8) {
        let mut coefficients: Vec<f64> = coefficients.into_iter().map(f64::from).collect();
        *coefficients.last_mut().unwrap() = 1.0;
        let evaluate = |coefficients: &[f64]| coefficients.iter().rev().fold(0.0, |y, c| y * f64::from(at) + c);
        let x = Var::leaf(Tensor::from(f64::from(at)));
        let mut y = coefficients.iter().rev().fold(Var::constant(0.0), |y, c| y * &x + *c);
        while coefficients.len() > 1 {
            prop_assert_eq!(y.item(), evaluate(&coefficients));
            y = grad_create_graph(&y, &[&x]).remove(0);
            coefficients = coefficients.iter().enumerate().map(|(i, c)| c * i as f64).skip(1).collect();
        }
        prop_assert_eq!(y.item(), coefficients[0]);
    }

    /// Derivatives of order n: e^x stays, sin and cos go round, log x has -(-1)^n (n - 1)! x^-n.
    #[test]
    fn derivatives_of_any_order(value in 0.5..2.0_f64) {
        let x = Var::leaf(Tensor::from(value));
        let (mut exp, mut sin, mut log) = (x.exp(), x.sin(), x.log());
        let mut factor = -1.0;
        for n in 0..7_i32 {
            let close = |got: &Var<f64>, expected: f64| (got.item() - expected).abs() < 1e-12 * expected.abs().max(1.0);
            prop_assert!(close(&exp, value.exp()));
            prop_assert!(close(&sin, (value + f64::from(n) * std::f64::consts::FRAC_PI_2).sin()));
            if n > 0 {
                factor *= -f64::from((n - 1).max(1));
                prop_assert!(close(&log, factor * value.powi(-n)), "{} {}", n, log);
            }
            for y in [&mut exp, &mut sin, &mut log] {
                *y = grad_create_graph(y, &[&x]).remove(0);
            }
        }
    }

    /// The gradient of the squared norm of a gradient is twice the Hessian times the gradient.
    #[test]
    fn gradient_penalties(x in (1..5_usize).prop_flat_map(vectors)) {
        let leaf = Var::leaf(&x);
        let slope = grad_create_graph(&entangled(&leaf), &[&leaf]).remove(0);
        let penalty = slope.square().sum(..).backward();
        let expected = hessian_by_rows(entangled, &x).matmul(slope.value()) * 2.0;
        prop_assert!(penalty.get(&leaf).unwrap().allclose(&expected, 1e-10, 1e-11));
    }
}
