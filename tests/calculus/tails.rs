//! Large arguments and small results.

use gradus::{Losses, Tensor, Var, grad};
use proptest::prelude::*;

use crate::{assert_close, jet};

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
        for got in jet(Var::sigmoid, -x).into_iter().chain(jet(Var::softplus, -x)) {
            assert_close(got, tail, 1e-14);
        }
        let [value, slope, curvature] = jet(Var::logsigmoid, x);
        assert_close(value, -tail, 1e-14);
        assert_close(slope, tail, 1e-14);
        assert_close(curvature, -tail, 1e-14);
        prop_assert_eq!(jet(Var::sigmoid, x)[0], 1.0);
        prop_assert_eq!(&jet(Var::softplus, x)[..2], [x, 1.0]);
        prop_assert_eq!(&jet(Var::logsigmoid, -x)[..2], [-x, 1.0]);
    }

    #[test]
    fn logistic_tails_in_single_precision(x in 18.0..85.0_f32) {
        let tail = (-f64::from(x)).exp();
        for (value, slope, sign) in [
            (slope32(Var::sigmoid, -x), tail, 1.0),
            (slope32(Var::softplus, -x), tail, 1.0),
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
        let [softplus, first, second] = jet(Var::softplus, x);
        assert_close(softplus, x.max(0.0) + (-x.abs()).exp().ln_1p(), 1e-14);
        assert_close(first, value, 1e-14);
        prop_assert!((second - slope).abs() < 1e-15);
        assert_close(jet(Var::logsigmoid, -x)[0], -softplus, 1e-15);
    }

    /// Activations are the identity on one side and vanish on the other, with all derivatives.
    #[test]
    fn activations_far_out(exponent in 3.0..300.0_f64) {
        let x = 10.0_f64.powf(exponent);
        for f in [Var::silu, Var::gelu, Var::gelu_tanh, Var::relu, Var::softplus] {
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
    let loss = |targets: [i64; 2]| x.cross_entropy(&Tensor::from(targets)) * 2.0;
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
