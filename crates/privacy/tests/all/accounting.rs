//! Laws of the accountant.

use gradus_privacy::{Accountant, Plan, default_orders, gaussian_epsilon, rdp};
use proptest::prelude::*;

/// log(A) of a step.
fn log_moment(q: f64, s: f64, order: f64) -> f64 {
    rdp(q, s, order).unwrap() * (order - 1.0)
}

fn at_most(x: f64, y: f64) -> bool {
    x <= y * (1.0 + 1e-11) + 1e-300
}

/// The largest log((P - delta) / Q) of the tests "one outcome is above c" and "one is below c", where P and Q are their
/// probabilities with an example and without it, or the other way round: with an example, an outcome is about 1 with
/// probability q, else about 0.
fn shown_by_tests(q: f64, s: f64, steps: f64, delta: f64) -> f64 {
    let above = |x: f64| libm::erfc(x / s / std::f64::consts::SQRT_2) / 2.0;
    // The probability that one of the steps has an outcome of this probability.
    let any = |p: f64| -(steps * (-p).ln_1p()).exp_m1();
    let (low, high) = (-10.0 * s, 1.0 + 10.0 * s);
    let shown = (0..4000).flat_map(|i| {
        let c = low + (high - low) * f64::from(i) / 4000.0;
        let with = any((1.0 - q) * above(c) + q * above(c - 1.0));
        let with_below = any((1.0 - q) * above(-c) + q * above(1.0 - c));
        [((with - delta) / any(above(c))).ln(), ((any(above(-c)) - delta) / with_below).ln()]
    });
    shown.filter(|x| x.is_finite()).fold(0.0, f64::max)
}

proptest! {
    /// A larger order, a larger share, and less noise give more away.
    #[test]
    fn rdp_rises(q in 1e-6..1.0_f64, s in 0.06..20.0_f64, order in 1.05..70.0, more in 1.0001..2.0_f64) {
        let value = rdp(q, s, order).unwrap();
        prop_assert!(value > 0.0);
        prop_assert!(at_most(value, rdp(q, s, order * more).unwrap()));
        prop_assert!(at_most(value, rdp((q * more).min(1.0), s, order).unwrap()));
        prop_assert!(at_most(rdp(q, s * more, order).unwrap(), value));
        // Sampling never hurts.
        prop_assert!(at_most(value, order / (2.0 * s * s)));
    }

    /// At order 2 the moment is 1 + q^2 (exp(1 / s^2) - 1).
    #[test]
    fn the_second_moment(q in 1e-6..1.0_f64, s in 0.06..20.0_f64) {
        let want = q * q * (1.0 / (s * s)).exp_m1();
        let got = log_moment(q, s, 2.0);
        prop_assert!((got - want.ln_1p()).abs() <= 1e-12 * got, "{got} {want}");
    }

    /// log(A) is convex in the order: between two integers it is below the chord, and above the chords on either side.
    #[test]
    fn moments_between_integers(q in 1e-6..0.999_f64, s in 0.06..20.0_f64, below in 1_u32..40, part in 0.01..0.99_f64) {
        let low = f64::from(below);
        let of = |order: f64| if order <= 1.0 { 0.0 } else { log_moment(q, s, order) };
        let value = of(low + part);
        let [before, left, right, after] = [low - 1.0, low, low + 1.0, low + 2.0].map(of);
        let slack = 1e-11 * value;
        prop_assert!(value <= (1.0 - part) * left + part * right + slack);
        // A_0 is 1, too.
        prop_assert!(value >= left + part * (left - before) - slack);
        prop_assert!(value >= right - (1.0 - part) * (after - right) - slack);
    }

    /// Steps add up, in any order; less delta costs more epsilon; no epsilon is negative.
    #[test]
    fn composition_adds(
        q in 1e-4..1.0, s in 0.4..8.0, other in 0.4..8.0, first in 0_usize..500, second in 0_usize..500,
        delta in 1e-9..1e-2_f64,
    ) {
        let counted = |steps: &[(f64, usize)]| {
            let mut accountant = Accountant::new();
            for &(s, steps) in steps {
                accountant.add(q, s, steps).unwrap();
            }
            accountant
        };
        let together = counted(&[(s, first), (other, second)]);
        prop_assert_eq!(together.steps(), first + second);
        let [a, b] = [counted(&[(s, first)]), counted(&[(other, second)])];
        for ((a, b), sum) in a.rdp().into_iter().zip(b.rdp()).zip(together.rdp()) {
            prop_assert!((a + b - sum).abs() <= 1e-12 * sum);
        }
        let [x, y] = [&together, &counted(&[(other, second), (s, first)])].map(|all| all.epsilon(delta).unwrap());
        prop_assert!((x - y).abs() <= 1e-12 * x);
        let mut one_by_one = Accountant::new();
        (0..first).for_each(|_| one_by_one.add(q, s, 1).unwrap());
        prop_assert_eq!(one_by_one.epsilon(delta).unwrap(), a.epsilon(delta).unwrap());
        prop_assert!(x >= a.epsilon(delta).unwrap());
        prop_assert!(together.epsilon(delta / 10.0).unwrap() >= x && x >= 0.0);
        prop_assert!(together.orders().contains(&together.best_order(delta).unwrap()));
    }

    /// Without sampling the exact epsilon solves its equation, and is below what the accountant says.
    #[test]
    fn the_exact_epsilon(s in 0.3..20.0_f64, steps in 1_usize..100, delta in 1e-10..1e-2_f64) {
        let exact = gaussian_epsilon(s, steps, delta).unwrap();
        let bound = Plan { sampling_rate: 1.0, steps, delta }.epsilon(s).unwrap();
        prop_assert!(exact <= bound, "{exact} {bound}");
        let m = (steps as f64).sqrt() / s;
        let phi = |x: f64| libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0;
        let delta_of = |e: f64| phi(m / 2.0 - e / m) - e.exp() * phi(-m / 2.0 - e / m);
        if exact == 0.0 {
            prop_assert!(delta_of(0.0) <= delta);
        } else if exact < 300.0 {
            prop_assert!((delta_of(exact) / delta - 1.0).abs() < 1e-6, "{} {delta}", delta_of(exact));
        }
    }

    /// The distribution of the loss gives less than its moments, and no less than the truth.
    #[test]
    fn the_tight_epsilon(s in 0.3..10.0_f64, steps in 1_usize..200, delta in 1e-8..1e-3_f64, q in 1e-3..1.0_f64, whole: bool) {
        let q = if whole { 1.0 } else { q };
        let of = |s: f64, delta: f64| {
            let mut accountant = Accountant::new();
            accountant.add(q, s, steps / 2).unwrap();
            accountant.add(q, s, steps.div_ceil(2)).unwrap();
            (accountant.tight_epsilon(delta).unwrap(), accountant.epsilon(delta).unwrap())
        };
        let (tight, moments) = of(s, delta);
        prop_assert!(tight < 0.999 * moments || moments == 0.0 || moments > 100.0, "{tight} {moments}");
        let slack = |x: f64| x * 1.002 + 1e-4;
        prop_assert!(of(s * 1.3, delta).0 <= slack(tight) && of(s, delta / 3.0).0 >= tight);
        if whole {
            let exact = gaussian_epsilon(s, steps, delta).unwrap();
            prop_assert!(exact <= tight && (tight <= slack(exact) || moments > 600.0), "{exact} {tight}");
        }
    }

    /// Whoever looks at the largest or the smallest outcome of all steps has a test, and no true epsilon is below what a test
    /// shows. For one step it is the best test there is.
    #[test]
    fn no_epsilon_is_below_a_test(
        q in 1e-3..1.0_f64, s in 0.4..6.0_f64, steps in 1_usize..300, one: bool, delta in 1e-8..1e-3_f64,
    ) {
        let steps = if one { 1 } else { steps };
        let mut accountant = Accountant::new();
        accountant.add(q, s, steps).unwrap();
        let (tight, moments) = (accountant.tight_epsilon(delta).unwrap(), accountant.epsilon(delta).unwrap());
        let shown = shown_by_tests(q, s, steps as f64, delta);
        prop_assert!(shown <= tight * (1.0 + 1e-9) && tight <= moments, "{shown} {tight} {moments}");
        prop_assert!(!one || tight <= shown * 1.002 + 1e-3, "{shown} {tight}");
    }

    /// However little noise there is, or much: no number is lost, and none comes out as no loss at all.
    #[test]
    fn rdp_is_a_number(q in 1e-6..1.0_f64, log in -300.0..300.0_f64, order in 1.000_001..70.0_f64) {
        let s = 10_f64.powf(log);
        for order in [order, order.ceil() + 1.0] {
            let value = rdp(q, s, order).unwrap();
            prop_assert!(value >= 0.0 && (s > 1e-3 || value > 1.0), "{q} {s} {order}: {value}");
        }
    }

    /// The noise for an epsilon keeps it, and a little less would not.
    #[test]
    fn noise_for_an_epsilon(q in 1e-3..1.0, steps in 1_usize..2000, epsilon in 0.05..50.0, delta in 1e-8..1e-3_f64) {
        let plan = Plan { sampling_rate: q, steps, delta };
        let noise = plan.noise_multiplier(epsilon).unwrap();
        prop_assert!(plan.epsilon(noise).unwrap() <= epsilon);
        prop_assert!(plan.epsilon(noise * (1.0 - 1e-5)).unwrap() > epsilon);
    }
}

/// Numbers of Google's `dp-accounting` 0.6.0, at whose best orders its bound is tight.
#[test]
fn numbers_of_others() {
    let cases = [
        (0.5, 1.0, 1, 10.725509696418232),
        (0.5, 0.001, 1000, 4.3820230325565905),
        (0.7, 0.004, 10000, 5.772310224357345),
    ];
    for (s, q, steps, want) in cases {
        let got = Plan { sampling_rate: q, steps, delta: 1e-5 }.epsilon(s).unwrap();
        assert!((got / want - 1.0).abs() < 1e-9, "{got} {want}");
    }
    let exact = gaussian_epsilon(0.5, 1, 1e-5).unwrap();
    assert!((exact / 9.997256146434307 - 1.0).abs() < 1e-9, "{exact}");
}

#[test]
fn nothing_and_everything() {
    let accountant = Accountant::new();
    assert_eq!((accountant.epsilon(1e-5).unwrap(), accountant.steps()), (0.0, 0));
    assert_eq!(accountant.orders(), default_orders());
    assert_eq!((default_orders().len(), default_orders()[0]), (156, 1.1));
    let epsilon = |q, s| Plan { sampling_rate: q, steps: 10, delta: 1e-5 }.epsilon(s).unwrap();
    assert_eq!(epsilon(0.0, 1.0), 0.0);
    assert_eq!(epsilon(0.5, f64::INFINITY), 0.0);
    assert_eq!(epsilon(0.5, 0.0), f64::INFINITY);
    assert!(epsilon(0.5, 0.01).is_finite());
    for noise in [1e-154, 1e-155, 1e-200] {
        assert_eq!(epsilon(0.01, noise), f64::INFINITY, "{noise}");
    }
    assert_eq!(
        Plan { sampling_rate: 0.5, steps: 9, delta: 1e-5 }.noise_multiplier(f64::INFINITY).unwrap(),
        0.0
    );
    assert_eq!(gaussian_epsilon(0.0, 1, 1e-5).unwrap(), f64::INFINITY);
    assert_eq!(gaussian_epsilon(0.0, 0, 1e-5).unwrap(), 0.0);
    assert_eq!(gaussian_epsilon(1e9, 1, 1e-5).unwrap(), 0.0);
}

/// Losses that a fine grid could not hold, and deltas that none can.
#[test]
fn tight_epsilon_of_hardly_any_sampling() {
    let mut accountant = Accountant::new();
    accountant.add(1e-8, 0.5, 100).unwrap();
    for delta in [1e-9, 1e-318] {
        assert!(accountant.tight_epsilon(delta).unwrap() <= accountant.epsilon(delta).unwrap());
    }
    let mut accountant = Accountant::new();
    accountant.add(0.5, 1e200, 100).unwrap();
    assert_eq!(accountant.tight_epsilon(1e-9).unwrap(), 0.0);
}

/// A checkpoint goes on with what was counted, and a state that does not fit changes nothing.
#[test]
fn states() {
    let mut accountant = Accountant::new();
    accountant.add(0.01, 1.0, 10).unwrap();
    accountant.add(0.02, 3.0, 5).unwrap();
    let state = accountant.state();
    let mut resumed = Accountant::new();
    resumed.load_state(&state).unwrap();
    assert_eq!(resumed, accountant);
    for name in ["sampling_rate", "noise_multiplier", "steps"] {
        let mut broken = state.clone();
        broken.remove(name);
        assert!(resumed.load_state(&broken).is_err());
        broken.insert(name, gradus_autograd::Tensor::from([-1.0, 2.0]));
        assert!(resumed.load_state(&broken).is_err());
        broken.insert(name, gradus_autograd::Tensor::from([-1, 2]));
        assert!(resumed.load_state(&broken).is_err());
    }
    assert_eq!(resumed, accountant);
    resumed.load_state(&Accountant::new().state()).unwrap();
    assert_eq!(resumed.steps(), 0);
}
