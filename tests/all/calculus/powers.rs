//! Powers where base or exponent are 0, negative or infinite.

use gradus::{Tensor, Var, grad, grad_create_graph, vjp};
use proptest::prelude::*;

use super::{assert_close, jet};

/// The value of x^y, its two derivatives, and the four of second order: by x x, x y, y x, y y.
fn power(x: f64, y: f64) -> (f64, [f64; 2], [f64; 4]) {
    let (x, y) = (Var::leaf(Tensor::from(x)), Var::leaf(Tensor::from(y)));
    let value = &x.pow(&y);
    let first = grad_create_graph(value, &[&x, &y]);
    for (plain, recorded) in grad(value, &[&x, &y]).iter().zip(&first) {
        assert_close(plain.item(), recorded.item(), 1e-15);
    }
    let second = |slope: &Var<f64>| vjp(slope, &Tensor::from(1.0), &[&x, &y]);
    let second = first.iter().flat_map(second).map(|slope| slope.map_or(0.0, |slope| slope.item()));
    let second: Vec<f64> = second.collect();
    (value.item(), [first[0].item(), first[1].item()], second.try_into().unwrap())
}

#[test]
fn special_powers() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    let ln2 = 2.0_f64.ln();
    for (x, y, value, first) in [
        (0.0, 2.0, 0.0, [0.0, 0.0]),
        (0.0, 1.0, 0.0, [1.0, 0.0]),
        (0.0, 0.5, 0.0, [INF, 0.0]),
        (0.0, 0.0, 1.0, [0.0, 0.0]),
        (0.0, -1.0, INF, [-INF, -INF]),
        (2.0, 0.0, 1.0, [0.0, ln2]),
        (-2.0, 0.0, 1.0, [0.0, NAN]),
        (-2.0, 2.0, 4.0, [-4.0, NAN]),
        (-2.0, 3.0, -8.0, [12.0, NAN]),
        (-2.0, 0.5, NAN, [NAN, NAN]),
        (1.0, INF, 1.0, [INF, 0.0]),
        (NAN, 0.0, 1.0, [0.0, NAN]),
    ] {
        let (got, [by_base, by_exponent], _) = power(x, y);
        assert_close(got, value, 0.0);
        assert_close(by_base, first[0], 1e-15);
        assert_close(by_exponent, first[1], 1e-15);
    }
}

/// Where the first derivatives are set by hand, the second ones are still right.
#[test]
fn second_derivatives_of_special_powers() {
    for (x, y, expected) in [
        (0.0, 3.0, [0.0, 0.0, 0.0, 0.0]),
        (0.0, 2.0, [2.0, 0.0, 0.0, 0.0]),
        (0.0, 2.5, [0.0, 0.0, 0.0, 0.0]),
        (2.0, 0.0, [0.0, 0.5, 0.5, 2.0_f64.ln().powi(2)]),
        (0.5, 0.0, [0.0, 2.0, 2.0, 2.0_f64.ln().powi(2)]),
        (3.0, 1.0, [0.0, 1.0 + 3.0_f64.ln(), 1.0 + 3.0_f64.ln(), 3.0 * 3.0_f64.ln().powi(2)]),
    ] {
        for (got, expected) in power(x, y).2.into_iter().zip(expected) {
            assert_close(got, expected, 1e-14);
        }
    }
}

proptest! {
    /// Away from special points, by the rules of calculus.
    #[test]
    fn ordinary_powers(x in 0.1..4.0_f64, y in -3.0..3.0_f64) {
        let (value, first, second) = power(x, y);
        let (power, log) = (x.powf(y), x.ln());
        assert_close(value, power, 1e-14);
        assert_close(first[0], y * power / x, 1e-12);
        assert_close(first[1], power * log, 1e-12);
        let mixed = (1.0 + y * log) * power / x;
        for (got, expected) in second.into_iter().zip([y * (y - 1.0) * power / x / x, mixed, mixed, power * log * log]) {
            prop_assert!((got - expected).abs() < 1e-12 * (1.0 + expected.abs() + power / x / x), "{} {}", got, expected);
        }
    }

    /// A number as exponent: n x^(n-1), also at 0 and for negative numbers; with exponent 0, flat.
    #[test]
    fn whole_exponents(x in -4..=4_i8, n in 0..=5_i32) {
        let x = f64::from(x);
        let derivative = |order: i32| -> f64 {
            let factor: f64 = (0..order).map(|i| f64::from(n - i)).product();
            if factor == 0.0 { 0.0 } else { factor * x.powi(n - order) }
        };
        for (got, order) in jet(|x| x.pow_scalar(f64::from(n)), x).into_iter().zip(0..) {
            assert_close(got, derivative(order), 1e-14);
        }
    }

    /// A power of a number that is a constant is the same with a number as exponent.
    #[test]
    fn constant_exponents(x in 0.0..4.0_f64, y in 0.0..3.0_f64) {
        let (scalar, constant) = (jet(|x| x.pow_scalar(y), x), jet(|x| x.pow(y), x));
        for (scalar, constant) in scalar.into_iter().zip(constant) {
            assert_close(scalar, constant, 1e-13);
        }
    }
}
