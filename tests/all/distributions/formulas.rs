//! Densities against sums and integrals over the support, and against known values.

use std::f64::consts::{LN_2, PI};

use gradus::distributions::{Bernoulli, Beta, Categorical, Gamma, Normal, Uniform, kl_divergence};
use gradus::{Tensor, Var};
use proptest::prelude::*;

use super::{Family, all_probabilities, categories, for_each_family, holds};

#[track_caller]
fn close(got: f64, expected: f64) -> Result<(), TestCaseError> {
    prop_assert!(
        got == expected || (got - expected).abs() <= 1e-8 * (1.0 + expected.abs()),
        "{got} instead of {expected}"
    );
    Ok(())
}

for_each_family! {
    /// The density sums to 1; its moments and the mean of its logarithm are the formulas.
    moments_are_sums;
    /// The divergence is the mean of the difference of the logarithms, positive, and 0 of the same.
    divergences_are_sums;
    /// One distribution of many has the values that it has alone.
    many_are_each;
}

/// The sum over the support of the density times f, which is not looked at where the density vanishes.
fn mean_under<F: Family>(p: [f64; 2], f: impl Fn(&Tensor<f64>) -> Tensor<f64>) -> f64 {
    let (x, weights) = F::points(p);
    let density = F::new(p).log_prob(&Var::constant(&x)).exp().into_value();
    (f(&x).multiply_no_nan(&density * weights)).sum(..).item()
}

fn moments_are_sums<F: Family>() {
    holds(F::parameters(), |p| {
        let family = F::new(p);
        close(mean_under::<F>(p, |x| Tensor::ones(x.shape())), 1.0)?;
        let mean = mean_under::<F>(p, Clone::clone);
        close(family.mean().item(), mean)?;
        close(family.variance().item(), mean_under::<F>(p, |x| (x - mean).square()))?;
        let log_prob = |x: &Tensor<f64>| family.log_prob(&Var::constant(x)).into_value();
        close(family.entropy().item(), -mean_under::<F>(p, log_prob))
    });
}

fn divergences_are_sums<F: Family>() {
    holds((F::parameters(), F::parameters()), |(p, q)| {
        let (x, y) = (F::new(p), F::new(q));
        let log_prob = |of: &F, x: &Tensor<f64>| of.log_prob(&Var::constant(x)).into_value();
        let divergence = kl_divergence(&x, &y).item();
        // The points of a sum may miss the part where the other is impossible.
        if divergence.is_infinite() {
            return Ok(());
        }
        close(divergence, mean_under::<F>(p, |at| log_prob(&x, at) - log_prob(&y, at)))?;
        prop_assert!(divergence >= -1e-14, "{}", divergence);
        prop_assert!(kl_divergence(&x, &x).item().abs() <= 1e-14);
        // Nearly the same: digits of the small difference, not of its terms.
        let near = F::new(p.map(|p| p * (1.0 + 1e-5)));
        prop_assert!(
            kl_divergence(&x, &near).item() >= -1e-14 || kl_divergence(&x, &near).item().is_infinite()
        );
        Ok(())
    });
}

fn many_are_each<F: Family>() {
    let parameters = prop::collection::vec(F::parameters(), 1..4);
    holds((parameters, F::parameters()), |(many, q)| {
        // One second parameter for all families: in `Bernoulli` it chooses the form.
        let x: Tensor<f64> = many.iter().map(|p| p[0]).collect();
        let y = many.iter().map(|p| p[1]).fold(f64::NEG_INFINITY, f64::max);
        let all = F::of(&Var::constant(&x), &Var::constant(y));
        let values = Tensor::from([[0.0], [1.0], [0.25]]);
        let log_prob = all.log_prob(&Var::constant(&values));
        prop_assert_eq!(log_prob.shape(), [3, many.len()]);
        let divergence = kl_divergence(&all, &F::new(q));
        for (i, p) in many.iter().enumerate() {
            let one = F::new([p[0], y]);
            prop_assert_eq!(all.entropy().value()[[i]], one.entropy().item());
            prop_assert_eq!(divergence.value()[[i]], kl_divergence(&one, &F::new(q)).item());
            for j in 0..3 {
                let alone = one.log_prob(&Var::constant(values[[j, 0]])).item();
                prop_assert_eq!(log_prob.value()[[j, i]], alone);
            }
        }
        Ok(())
    });
}

proptest! {
    #[test]
    fn categories_are_sums(p in categories(), q in categories()) {
        let categorical = Categorical::from_logits(&p);
        let all = all_probabilities(&categorical);
        prop_assert!(all.allclose(&p.softmax(-1), 1e-14, 1e-300));
        prop_assert!(all.sum(-1).allclose(&Tensor::from(1.0), 1e-14, 0.0));
        prop_assert!(categorical.probs().value().allclose(&all, 1e-14, 1e-300));
        let logarithms = all.log();
        let entropy = -logarithms.multiply_no_nan(&all).sum(-1);
        prop_assert!(categorical.entropy().value().allclose(&entropy, 1e-12, 1e-12));
        // Weights of any scale are the same distribution.
        let weights = Categorical::from_probs(all.clone() * 3.0e200);
        prop_assert!(all_probabilities(&weights).allclose(&all, 1e-12, 1e-300));
        if p.shape()[1] == q.shape()[1] && (p.shape()[0] == q.shape()[0] || q.shape()[0] == 1) {
            let other = Categorical::from_logits(&q);
            let difference = logarithms - all_probabilities(&other).log();
            let expected = difference.multiply_no_nan(&all).sum(-1);
            let got = kl_divergence(&categorical, &other);
            prop_assert!(got.value().allclose(&expected, 1e-12, 1e-12), "{} {}", got, expected);
            prop_assert!(got.value().iter().all(|x| x >= -1e-14));
            prop_assert!(kl_divergence(&other, &other).value().iter().all(|x| x == 0.0));
        }
    }
}

#[track_caller]
fn equal(got: &Var<f64>, expected: f64) {
    assert!((got.item() - expected).abs() <= 1e-14 * (1.0 + expected.abs()), "{got} instead of {expected}");
}

#[test]
fn known_values() {
    equal(&Normal::new(1.0, 2.0).log_prob(0.0), -0.125 - (8.0 * PI).ln() / 2.0);
    equal(&Normal::new(1.0, 2.0).entropy(), 0.5 + (8.0 * PI).ln() / 2.0);
    equal(&kl_divergence(&Normal::new(0.0, 1.0), &Normal::new(1.0, 2.0)), LN_2 - 0.25);
    equal(&kl_divergence(&Uniform::new(0.0, 1.0), &Uniform::new(0.0, 2.0)), LN_2);
    equal(&Gamma::new(2.0, 3.0).log_prob(0.5), 2.0 * 3.0_f64.ln() - LN_2 - 1.5);
    equal(&Gamma::new(1.0, 2.0).entropy(), 1.0 - LN_2);
    equal(&Beta::new(2.0, 3.0).log_prob(0.4), 1.728_f64.ln());
    equal(&Beta::new(1.0, 1.0).entropy(), 0.0);
    equal(&Bernoulli::from_probs(0.5).entropy(), LN_2);
    equal(&kl_divergence(&Gamma::new(1.0, 2.0), &Gamma::new(1.0, 1.0)), LN_2 - 0.5);
    equal(&Categorical::from_probs(Tensor::from([1.0, 3.0])).log_prob(1), 0.75_f64.ln());
}

/// Outside the support the logarithm is minus infinity; of NaN it is NaN.
#[test]
fn supports() {
    let infinite = |x: Var<f64>| assert_eq!(x.item(), f64::NEG_INFINITY);
    let (uniform, coin) = (Uniform::new(0.0, 1.0), Bernoulli::from_probs(0.3));
    let (gamma, beta) = (Gamma::new(2.0, 1.0), Beta::new(1.0, 2.0));
    for x in [-0.1, 1.0, 2.0, f64::INFINITY] {
        infinite(uniform.log_prob(x));
    }
    for x in [-1.0, 0.5, 2.0] {
        infinite(coin.log_prob(x));
        infinite(Bernoulli::from_logits(0.3).log_prob(x));
    }
    for x in [-1.0, 0.0, f64::INFINITY] {
        infinite(gamma.log_prob(x));
    }
    for x in [-0.1, 1.0, 1.1] {
        infinite(beta.log_prob(x));
    }
    assert_eq!((uniform.log_prob(0.0).item(), beta.log_prob(0.0).item()), (0.0, LN_2));
    assert!(Normal::new(0.0, 1.0).log_prob(f64::NAN).item().is_nan());
    assert!([uniform.log_prob(f64::NAN), coin.log_prob(f64::NAN)].iter().all(|x| x.item().is_nan()));
    assert!([gamma.log_prob(f64::NAN), beta.log_prob(f64::NAN)].iter().all(|x| x.item().is_nan()));
}

/// Where one distribution allows what the other does not, the divergence is infinite; never NaN.
#[test]
fn infinite_divergences() {
    let of = |p, q| kl_divergence(&Bernoulli::from_probs(p), &Bernoulli::from_probs(q)).item();
    assert_eq!([of(0.0, 0.0), of(1.0, 1.0), of(0.0, 0.5)], [0.0, 0.0, LN_2]);
    assert_eq!([of(0.5, 0.0), of(0.5, 1.0), of(1.0, 0.0)], [f64::INFINITY; 3]);
    let of = |low, high| kl_divergence(&Uniform::new(0.0, 1.0), &Uniform::new(low, high)).item();
    assert_eq!([of(0.5, 2.0), of(0.0, 0.5), of(2.0, 3.0)], [f64::INFINITY; 3]);
    assert_eq!(Bernoulli::from_probs(Tensor::from([0.0, 1.0])).entropy().value(), &Tensor::from([0.0, 0.0]));
}

/// Logits far out, and deviations of very different size, keep their digits.
#[test]
fn far_out() {
    assert_eq!(Bernoulli::from_logits(800.0).log_prob(0.0).item(), -800.0);
    assert_eq!(Bernoulli::from_logits(-800.0).log_prob(1.0).item(), -800.0);
    equal(&kl_divergence(&Normal::new(0.0, 1e-150), &Normal::new(0.0, 1e150)), 690.775_527_898_213_7 - 0.5);
    // s^2 - 1 - 2 log(s) is (s - 1)^2 2 for s near 1.
    let near = kl_divergence(&Normal::new(0.0_f64, 1.0 + 1e-7), &Normal::new(0.0, 1.0)).item();
    assert!((near / 1e-14 - 1.0).abs() < 1e-6, "{near}");
    // Parameters of a model will do, too.
    let parameter = gradus::Parameter::new(Tensor::from([0.0_f32, 1.0]));
    let normal: Normal = Normal::new(&parameter, 1.0);
    assert_eq!(normal.shape(), [2]);
}
