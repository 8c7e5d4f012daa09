//! Functions of each element, against those of the standard library.

use crate::common::*;
use gradus_tensor::{Float, Number, Tensor};
use proptest::prelude::*;

/// Methods of tensors, each with the function that it lifts.
macro_rules! check_unary {
    ($x:ident: $($name:ident => $function:expr;)+) => {$(
        check(&$x.tensor.$name(), &$x.naive.map($function));
    )+};
}

law! {
    /// Unary functions, bit by bit.
    [f32 f64]
    fn unary_functions_lift(x in laid::<T>(0..=4)) {
        check_unary! { x:
            log2 => T::log2;
            log10 => T::log10;
            sqrt => T::sqrt;
            rsqrt => |x| 1.0 / x.sqrt();
            reciprocal => |x| 1.0 / x;
            square => |x| x * x;
            asin => T::asin;
            acos => T::acos;
            atan => T::atan;
            asinh => Float::asinh;
            acosh => Float::acosh;
            atanh => Float::atanh;
            floor => T::floor;
            ceil => T::ceil;
            trunc => T::trunc;
            round => T::round_ties_even;
            abs => T::abs;
            sign => |x| if x.is_nan() { x } else { T::from(i8::from(x > 0.0) - i8::from(x < 0.0)) };
            relu => |x| if x < 0.0 { 0.0 } else { x };
            frac => |x| x - x.trunc();
            erfc => Float::erfc;
            lgamma => Float::lgamma;
            digamma => Float::digamma;
        }
        check(&x.tensor.polygamma(2), &x.naive.map(|x| x.polygamma(2)));
        check(&x.tensor, &x.naive);
    }
}

law! {
    /// Those that have bodies of their own for `f32` (see `functions`) are the standard library's for `f64`.
    [f64]
    fn unary_functions_of_f64_lift(x in laid::<T>(0..=4)) {
        check_unary! { x:
            exp => T::exp;
            exp2 => T::exp2;
            expm1 => T::exp_m1;
            log1p => T::ln_1p;
            sinh => T::sinh;
            cosh => T::cosh;
            log => T::ln;
            sin => T::sin;
            cos => T::cos;
            tan => T::tan;
            tanh => T::tanh;
            sigmoid => |x| { let power = (-x.abs()).exp(); (if x < 0.0 { power } else { 1.0 }) / (1.0 + power) };
        }
    }
}

law! {
    /// Any layout gives the bits of the function of one number.
    [f32]
    fn unary_functions_of_f32_lift(x in laid::<T>(0..=4)) {
        check_unary! { x:
            exp => Float::exp;
            log => Float::log;
            sin => Float::sin;
            cos => Float::cos;
            tan => Float::tan;
            tanh => Float::tanh;
            sigmoid => Float::sigmoid;
            erf => Float::erf;
            exp2 => Float::exp2;
            expm1 => Float::expm1;
            log1p => Float::log1p;
            sinh => Float::sinh;
            cosh => Float::cosh;
            softplus => Float::softplus;
            gelu => Float::gelu;
            gelu_tanh => Float::gelu_tanh;
        }
    }
}

law! {
    /// Binary functions broadcast, bit by bit.
    [f32 f64]
    fn binary_functions_lift((x, y) in laid_pair(T::any()), n in T::any()) {
        check(&x.tensor.pow(&y.tensor), &x.naive.zip(&y.naive, T::powf));
        check(&x.tensor.pow(n), &x.naive.map(|x| x.powf(n)));
        check(&x.tensor.atan2(&y.tensor), &x.naive.zip(&y.naive, T::atan2));
        check(&x.tensor.hypot(y.tensor.clone()), &x.naive.zip(&y.naive, T::hypot));
        check(&x.tensor.fmod(&y.tensor), &x.naive.zip(&y.naive, |x, y| x % y));
        check(&x.tensor.remainder(&y.tensor), &x.naive.zip(&y.naive, Number::remainder));
        check(&x.tensor.floor_divide(&y.tensor), &x.naive.zip(&y.naive, Number::floor_divide));
        check(&x.tensor.logaddexp(&y.tensor), &x.naive.zip(&y.naive, Float::logaddexp));
        check(&x.tensor.xlogy(&y.tensor), &x.naive.zip(&y.naive, Float::xlogy));
        let product = |x, y| if y == T::ZERO { T::ZERO } else { x * y };
        check(&x.tensor.multiply_no_nan(&y.tensor), &x.naive.zip(&y.naive, product));
    }
}

proptest! {
    /// Integers have a distance to zero and a sign.
    #[test]
    fn integers_have_a_sign(x in laid::<i64>(0..=4)) {
        check(&x.tensor.abs(), &x.naive.map(i64::abs));
        check(&x.tensor.sign(), &x.naive.map(i64::signum));
    }

    /// Quotient and rest make up the number, and the rest has the sign that it should have.
    #[test]
    fn integers_are_divided_with_rest(x: i64, y in prop_oneof![1..=i64::MAX, i64::MIN..=-2]) {
        let [x, y] = [x, y].map(Tensor::from);
        let [quotient, rest] = [x.floor_divide(&y), x.remainder(&y)].map(|z| z.item());
        prop_assert_eq!(i128::from(quotient) * i128::from(y.item()) + i128::from(rest), i128::from(x.item()));
        prop_assert!(rest == 0 || (rest < 0) == (y.item() < 0) && rest.unsigned_abs() < y.item().unsigned_abs());
        let rest = x.fmod(&y).item();
        prop_assert_eq!(rest, x.item() % y.item());
    }

    /// The same for floats whose quotient is exact.
    #[test]
    fn floats_are_divided_with_rest(x in -1000..1000_i32, y in prop::sample::select(vec![-2.5, -1.0, 0.5, 3.0])) {
        let x = f64::from(x) / 2.0;
        let [quotient, rest] = [Number::floor_divide(x, y), Number::remainder(x, y)];
        prop_assert_eq!(quotient, (x / y).floor());
        prop_assert_eq!(quotient * y + rest, x);
        prop_assert_eq!(Number::fmod(x, y), x - (x / y).trunc() * y);
    }

    /// The error function is the integral of its series.
    #[test]
    fn erf_is_its_series(x in -3.0..3.0_f64) {
        // 2 / sqrt(pi) * sum of (-1)^n x^(2n + 1) / (n! (2n + 1))
        let mut power = x;
        let mut sum = x;
        for n in 1..80_i32 {
            power *= -x * x / f64::from(n);
            sum += power / f64::from(2 * n + 1);
        }
        let series = sum * std::f64::consts::FRAC_2_SQRT_PI;
        let erf = Tensor::from(x).erf().item();
        // The largest term is below e^9.
        prop_assert!((erf - series).abs() < 1e-12, "{} instead of {}", erf, series);
        prop_assert_eq!(Tensor::from(-x).erf().item(), -erf);
        let single = Tensor::from(x as f32).erf().item();
        prop_assert!((f64::from(single) - erf).abs() < 4.0 * f64::from(f32::EPSILON));
    }

    /// log(1 + e^x) in the way that overflows, where it does not.
    #[test]
    fn softplus_is_its_definition(x in -30.0..30.0_f64) {
        let expected = x.exp().ln_1p();
        let got = Tensor::from(x).softplus().item();
        prop_assert!((got - expected).abs() <= 4.0 * f64::EPSILON * expected.abs(), "{} instead of {}", got, expected);
        let single = f64::from(Tensor::from(x as f32).softplus().item());
        let expected = f64::from(x as f32).exp().ln_1p();
        prop_assert!((single - expected).abs() <= 4.0 * f64::from(f32::EPSILON) * expected.abs());
    }
}

law! {
    /// `clamp` leaves NaN and what lies between the bounds; of bounds in the wrong order the upper one wins.
    [f32 f64 i64]
    fn clamp_bounds(x in laid::<T>(0..=4), a in T::tame(), b in T::tame()) {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let clamped = |x| if x < low { low } else if x > high { high } else { x };
        check(&x.tensor.clamp(low, high), &x.naive.map(clamped));
        check(&x.tensor.clamp(low, low), &x.naive.map(|x| if x == x { low } else { x }));
        check(&x.tensor.clamp(high, low), &x.naive.map(|x| if x == x { low } else { x }));
    }
}

law! {
    /// The larger and the smaller of two; NaN if either is, the first if both are equal.
    [f32 f64 i64]
    fn maximum_and_minimum_choose((x, y) in laid_pair(T::any()), n in T::any()) {
        let nan = |x: T| x != x;
        let larger = |x: T, y: T| if nan(x) { x } else if nan(y) || y > x { y } else { x };
        let smaller = |x: T, y: T| if nan(x) { x } else if nan(y) || y < x { y } else { x };
        check(&x.tensor.maximum(&y.tensor), &x.naive.zip(&y.naive, larger));
        check(&x.tensor.minimum(&y.tensor), &x.naive.zip(&y.naive, smaller));
        check(&x.tensor.maximum(n), &x.naive.map(|x| larger(x, n)));
        check(&x.tensor.minimum(n), &x.naive.map(|x| smaller(x, n)));
    }
}

#[test]
fn special_points() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = Tensor::from([-inf, -1000.0, -0.0, 0.0, 1000.0, inf, nan]);
    let row = |data: [f64; 7]| Naive { shape: vec![7], data: data.to_vec() };
    check(&x.relu(), &row([0.0, 0.0, -0.0, 0.0, 1000.0, inf, nan]));
    check(&x.softplus(), &row([0.0, 0.0, 2.0_f64.ln(), 2.0_f64.ln(), 1000.0, inf, nan]));
    check(&x.sigmoid(), &row([0.0, 0.0, 0.5, 0.5, 1.0, 1.0, nan]));
    check(&x.sign(), &row([-1.0, -1.0, 0.0, 0.0, 1.0, 1.0, nan]));
    check(&x.erf(), &row([-1.0, -1.0, -0.0, 0.0, 1.0, 1.0, nan]));
    check(&x.tanh(), &row([-1.0, -1.0, -0.0, 0.0, 1.0, 1.0, nan]));
    let halves = Tensor::from([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]);
    assert_eq!(halves.round(), Tensor::from([-2.0, -2.0, 0.0, 0.0, 2.0, 2.0]));
    assert!((Tensor::from(3e200_f64).hypot(4e200).item() / 5e200 - 1.0).abs() < 1e-15);
    assert_eq!(Tensor::from(1e-20).expm1().item(), 1e-20);
    assert_eq!(Tensor::from(1e-20).log1p().item(), 1e-20);
    let check = |got: Tensor<f64>, expected: [f64; 7]| check(&got, &row(expected));
    check(x.erfc(), [2.0, 2.0, 1.0, 1.0, 0.0, 0.0, nan]);
    check(Tensor::from([-inf, -3.0, -0.0, 0.0, 1.0, inf, nan]).lgamma(), [inf, inf, inf, inf, 0.0, inf, nan]);
    let y = Tensor::from([-inf, -3.0, -0.0, 0.0, 1e300, inf, nan]);
    check(y.digamma(), [nan, nan, inf, -inf, 1e300_f64.ln(), inf, nan]);
    check(y.polygamma(1), [nan, inf, inf, inf, 1e-300, 0.0, nan]);
    check(y.polygamma(2), [nan, -inf, -inf, -inf, -0.0, -0.0, nan]);
    check(x.logaddexp(-inf), [-inf, -1000.0, 0.0, 0.0, 1000.0, inf, nan]);
    check(x.logaddexp(inf), [inf, inf, inf, inf, inf, inf, nan]);
    check(x.xlogy(0.0), [inf, inf, 0.0, 0.0, -inf, -inf, nan]);
    check(Tensor::from(0.0).xlogy(&x), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, nan]);
    check(x.multiply_no_nan(0.0), [0.0; 7]);
    check(x.multiply_no_nan(-0.0), [0.0; 7]);
    check(Tensor::from(0.0).multiply_no_nan(&x), [nan, -0.0, 0.0, 0.0, 0.0, nan, nan]);
    check(x.frac(), [nan, 0.0, 0.0, 0.0, 0.0, nan, nan]);
    check(x.fmod(3.0), [nan, -1.0, -0.0, 0.0, 1.0, nan, nan]);
    check(x.remainder(3.0), [nan, 2.0, -0.0, 0.0, 1.0, nan, nan]);
    check(x.floor_divide(3.0), [nan, -334.0, 0.0, 0.0, 333.0, nan, nan]);
    check(x.floor_divide(0.0), [-inf, -inf, nan, nan, inf, inf, nan]);
    // By the rest: 1 / 0.1 rounds to 10.
    assert_eq!(Tensor::from(1.0).floor_divide(0.1).item(), 9.0);
}
