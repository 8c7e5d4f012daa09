//! Large arguments and small results.

use gradus::{Losses, Tensor, Var, grad};
use proptest::prelude::*;

use super::{assert_close, jet};

/// Without a threshold.
fn softplus<T: gradus::Float>(x: &Var<T>) -> Var<T> {
    x.softplus(1.0, f64::INFINITY)
}

fn slope32(f: impl Fn(&Var) -> Var, x: f32) -> (f32, f32) {
    let leaf = Var::leaf(Tensor::from(x));
    let y = f(&leaf);
    (y.item(), grad(&y, &[&leaf])[0].item())
}

proptest! {
    /// Far out, the logistic function and its integral are powers, to all digits.
    #[test]
    fn logistic_tails(x in 38.0..700.0_f64) {
        let tail = (-x).exp();
        for got in jet(Var::sigmoid, -x).into_iter().chain(jet(softplus, -x)) {
            assert_close(got, tail, 1e-14);
        }
        let [value, slope, curvature] = jet(Var::logsigmoid, x);
        assert_close(value, -tail, 1e-14);
        assert_close(slope, tail, 1e-14);
        assert_close(curvature, -tail, 1e-14);
        prop_assert_eq!(jet(Var::sigmoid, x)[0], 1.0);
        prop_assert_eq!(&jet(softplus, x)[..2], [x, 1.0]);
        prop_assert_eq!(&jet(Var::logsigmoid, -x)[..2], [-x, 1.0]);
    }

    #[test]
    fn logistic_tails_in_single_precision(x in 18.0..85.0_f32) {
        let tail = (-f64::from(x)).exp();
        for (value, slope, sign) in [
            (slope32(Var::sigmoid, -x), tail, 1.0),
            (slope32(softplus, -x), tail, 1.0),
            (slope32(Var::logsigmoid, x), tail, -1.0),
        ].map(|((value, slope), tail, sign)| (value, (slope, tail), sign)) {
            assert_close(f64::from(value), sign * slope.1, 1e-6);
            assert_close(f64::from(slope.0), slope.1, 1e-6);
        }
    }

    /// Between, by identities that no cancellation blurs.
    #[test]
    fn logistic_identities(x in -38.0..38.0_f64) {
        let [value, slope, _] = jet(Var::sigmoid, x);
        assert_close(value, 1.0 / (1.0 + (-x).exp()), 1e-14);
        prop_assert!((slope - value * (1.0 - value)).abs() < 1e-16);
        let [softplus, first, second] = jet(softplus, x);
        assert_close(softplus, x.max(0.0) + (-x.abs()).exp().ln_1p(), 1e-14);
        assert_close(first, value, 1e-14);
        prop_assert!((second - slope).abs() < 1e-15);
        assert_close(jet(Var::logsigmoid, -x)[0], -softplus, 1e-15);
    }

    /// Activations are the identity on one side and vanish on the other, with all derivatives.
    #[test]
    fn activations_far_out(exponent in 3.0..300.0_f64) {
        let x = 10.0_f64.powf(exponent);
        for f in [Var::silu, Var::gelu, Var::gelu_tanh, Var::relu, softplus] {
            prop_assert_eq!(jet(f, x), [x, 1.0, 0.0]);
            prop_assert_eq!(jet(f, -x), [0.0, 0.0, 0.0]);
        }
        prop_assert_eq!(jet(|x| x.elu(1.5), -x), [-1.5, 0.0, 0.0]);
        for f in [Var::tanh, Var::erf] {
            prop_assert_eq!(jet(f, x), [1.0, 0.0, 0.0]);
            prop_assert_eq!(jet(f, -x), [-1.0, 0.0, 0.0]);
        }
    }

    /// Adding a number to all logits changes no bit of a softmax, wherever that is exact.
    #[test]
    fn softmax_does_not_see_shifts(sixteenths in prop::collection::vec(-64..64_i32, 1..6), shift in -20_000..20_000_i32) {
        let values: Vec<f64> = sixteenths.iter().map(|&x| f64::from(x) / 16.0).collect();
        let x = Var::leaf(Tensor::from(values));
        let moved = Var::leaf(x.value() + f64::from(shift));
        for f in [Var::softmax, Var::log_softmax] {
            let (here, there) = (f(&x, 0), f(&moved, 0));
            prop_assert_eq!(here.value(), there.value());
            prop_assert!(here.value().iter().all(f64::is_finite));
            let (here, there) = (here.square().sum(..).backward(), there.square().sum(..).backward());
            prop_assert_eq!(here.get(&x), there.get(&moved));
        }
        let (here, there) = (x.logsumexp(..), moved.logsumexp(..));
        assert_close(there.item(), here.item() + f64::from(shift), 1e-14);
        let (here, there) = (here.backward(), there.backward());
        prop_assert!(here.get(&x).unwrap().allclose(there.get(&moved).unwrap(), 1e-10, 0.0));
    }
}

#[test]
fn softmax_of_very_different_numbers() {
    let x = Var::leaf(Tensor::from([1e4, -1e4, 0.0]));
    assert_eq!(x.softmax(0).value(), &Tensor::from([1.0, 0.0, 0.0]));
    assert_eq!(x.log_softmax(0).value(), &Tensor::from([0.0, -2e4, -1e4]));
    assert_eq!(x.logsumexp(..).item(), 1e4);
    let gradients = (x.log_softmax(0) * Tensor::from([1.0, 2.0, 4.0])).sum(..).backward();
    assert_eq!(gradients.get(&x), Some(&Tensor::from([-6.0, 2.0, 4.0])));
    assert_eq!(x.logsumexp(..).backward().get(&x), Some(&Tensor::from([1.0, 0.0, 0.0])));
    assert_eq!(x.softmax(0).select(0, 0).backward().get(&x), Some(&Tensor::from([0.0, 0.0, 0.0])));
}

#[test]
fn cross_entropy_of_huge_logits() {
    let x = Var::leaf(Tensor::from([[1e4, 0.0, -1e4], [1e300, -1e300, 0.0]]));
    let loss = |targets: [i64; 2]| x.cross_entropy(Tensor::from(targets)) * 2.0;
    assert_eq!(loss([0, 0]).item(), 0.0);
    assert_eq!(loss([1, 0]).item(), 1e4);
    assert_eq!(loss([2, 1]).item(), 2e4 + 2e300);
    let gradients = loss([2, 1]).backward();
    assert_eq!(gradients.get(&x), Some(&Tensor::from([[1.0, 0.0, -1.0], [1.0, -1.0, 0.0]])));
}

proptest! {
    /// At 0 the gradient is 0.5 - t; far out the loss is linear on the wrong side and 0 on the right one.
    #[test]
    fn binary_cross_entropy(t in 0.0..=1.0_f64, large in 40.0..1e300_f64) {
        let loss = |x: &Var<f64>| x.binary_cross_entropy_with_logits(t);
        let [value, slope, curvature] = jet(loss, 0.0);
        assert_close(value, 2.0_f64.ln(), 1e-15);
        assert_close(slope, 0.5 - t, 1e-15);
        prop_assert_eq!(curvature, 0.25);
        for x in [large, 800.0, 40.0] {
            let [value, slope, curvature] = jet(loss, x);
            prop_assert!((value - x * (1.0 - t)).abs() <= 1e-15 * x);
            prop_assert!((slope - (1.0 - t)).abs() < 1e-15 && curvature.abs() < 1e-15);
            let [value, slope, curvature] = jet(loss, -x);
            prop_assert!((value - x * t).abs() <= 1e-15 * x);
            prop_assert!((slope + t).abs() < 1e-15 && curvature.abs() < 1e-15);
        }
    }
}

proptest! {
    /// 1 - erf(x) far out, by its continued fraction (Abramowitz and Stegun, 1964, 7.1.14), to all digits.
    #[test]
    fn erfc_tail(x in 3.0..26.0_f64) {
        let fraction = (1..200).rev().fold(x, |rest, k| x + f64::from(k) / 2.0 / rest);
        let expected = (-x * x).exp() / fraction / std::f64::consts::PI.sqrt();
        let [value, slope, _] = jet(Var::erfc, x);
        // The exponent is rounded.
        assert_close(value, expected, 1e-15 + 2e-16 * x * x);
        assert_close(slope, -(-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI, 1e-15 + 2e-16 * x * x);
        assert_close(jet(Var::erfc, -x)[0], 2.0 - expected, 1e-15);
    }

    /// gamma(x + 1) = x gamma(x), and gamma(x) gamma(1 - x) = pi / sin(pi x), in logarithms and derivatives of them.
    #[test]
    fn gamma_identities(x in 0.01..30.0_f64, order in 1..4_usize) {
        let close = |got: f64, expected: f64, size: f64| (got - expected).abs() <= 1e-13 * size.max(1.0);
        let [value, slope, curvature] = jet(Var::lgamma, x);
        let [next, next_slope, next_curvature] = jet(Var::lgamma, x + 1.0);
        prop_assert!(close(next, value + x.ln(), next.abs()));
        prop_assert!(close(next_slope, slope + 1.0 / x, slope.abs()));
        prop_assert!(close(next_curvature, curvature - 1.0 / x / x, curvature));
        prop_assert_eq!(slope, jet(Var::digamma, x)[0]);
        prop_assert_eq!(curvature, jet(|x| x.polygamma(1), x)[0]);
        let polygamma = |x: f64| Tensor::from(x).polygamma(order).item();
        let step: f64 = (1..=order).map(|k| -(k as f64) / x).product::<f64>() / x;
        prop_assert!(close(polygamma(x + 1.0), polygamma(x) + step, polygamma(x).abs()));
    }

    /// The same for negative numbers, which are computed from positive ones.
    #[test]
    fn gamma_reflection(whole in 0..20_i32, part in 0.05..0.95_f64, order in 0..5_usize) {
        let x = -f64::from(whole) - part;
        let polygamma = |x: f64| Tensor::from(x).polygamma(order).item();
        let step: f64 = (1..=order).map(|k| -(k as f64) / x).product::<f64>() / x;
        let size = polygamma(x).abs().max(polygamma(x + 1.0).abs()).max(step.abs());
        prop_assert!((polygamma(x + 1.0) - polygamma(x) - step).abs() <= 1e-11 * size.max(1.0));
    }

    /// The larger of two numbers is all that is left of the sum of their powers if they are far apart.
    #[test]
    fn logaddexp_far_out(x in -1e300..1e300_f64, distance in 800.0..1e300_f64) {
        prop_assume!((x - distance).is_finite() && x - distance < x - 700.0);
        let [value, slope, curvature] = jet(|y| y.logaddexp(x - distance), x);
        prop_assert_eq!([value, slope, curvature], [x, 1.0, 0.0]);
    }
}

#[test]
fn known_values_of_the_gamma_function() {
    use std::f64::consts::{LN_2, PI};
    const EULER: f64 = 0.577_215_664_901_532_9;
    assert_close(jet(Var::lgamma, 0.5)[0], PI.sqrt().ln(), 1e-15);
    assert_close(jet(Var::digamma, 1.0)[0], -EULER, 1e-15);
    assert_close(jet(Var::digamma, 0.5)[0], -EULER - 2.0 * LN_2, 1e-15);
    assert_close(jet(Var::digamma, 0.5)[1], PI * PI / 2.0, 1e-15);
    // zeta(3)
    assert_close(jet(Var::digamma, 1.0)[2], -2.0 * 1.202_056_903_159_594_3, 1e-15);
    assert_close(jet(|x| x.polygamma(3), 1.0)[0], PI.powi(4) / 15.0, 1e-15);
    assert_close(jet(Var::digamma, 1e10)[0], 1e10_f64.ln(), 1e-11);
}
