//! Schedules against numbers of PyTorch 2.15.

use gradus::ReduceLrOnPlateau;
use gradus::prelude::*;
use gradus::schedule::{OneCycle, cosine, exponential, linear, multi_step, step};
use proptest::prelude::*;

fn check(schedule: &dyn Schedule, initial: f64, expected: &[f64]) {
    for (step, expected) in expected.iter().enumerate() {
        let lr = schedule.lr(step, initial);
        assert!(
            (lr - expected).abs() <= 1e-12 * expected.abs() + 1e-17,
            "step {step}: {lr} is not {expected}"
        );
    }
}

#[test]
fn closed_forms() {
    check(&step(2, 0.3), 0.4, &[0.4, 0.4, 0.12, 0.12, 0.036, 0.036]);
    check(&multi_step([1, 3, 3], 0.3), 0.4, &[0.4, 0.12, 0.12, 0.0108, 0.0108, 0.0108]);
    check(&exponential(0.7), 0.4, &[0.4, 0.28, 0.196, 0.1372, 0.09604]);
    let expected = [0.4, 0.34874368670764583, 0.225, 0.10125631329235421, 0.05, 0.10125631329235418, 0.225];
    check(&cosine(4, 0.05), 0.4, &expected);
    check(&linear(0.1, 0.8, 4), 0.4, &[0.04, 0.11, 0.18, 0.25, 0.32, 0.32, 0.32]);
}

#[test]
fn one_cycle() {
    let cosine = [
        0.016,
        0.32771004195687686,
        0.38877671095500926,
        0.3246982615799052,
        0.22239360564908064,
        0.11322439928347969,
        0.030656637533702562,
        1.6e-6,
    ];
    check(&OneCycle::new(0.4, 8), 99.0, &cosine);
    let linear =
        [0.08, 0.16421052631578947, 0.24842105263157893, 0.33263157894736844, 0.3755, 0.253, 0.1305, 0.008];
    let options = OneCycle::new(0.4, 8);
    let schedule =
        OneCycle { pct_start: 0.6, div_factor: 5.0, final_div_factor: 10.0, linear: true, ..options };
    check(&schedule, 99.0, &linear);
    // A rise without a length.
    check(&OneCycle { pct_start: 1.0, ..OneCycle::new(1.0, 1) }, 99.0, &[1.0]);
}

#[test]
fn one_after_another() {
    let schedule = linear(0.25, 1.0, 3).then(3, cosine(4, 0.0));
    check(&schedule, 0.4, &[0.1, 0.2, 0.3, 0.4, 0.3414213562373095, 0.2, 0.05857864376269051, 0.0]);
    let longer = schedule.then(5, |_: usize, lr: f64| lr).then(7, step(1, 0.5));
    check(&longer, 0.4, &[0.1, 0.2, 0.3, 0.4, 0.3414213562373095, 0.4, 0.4, 0.4, 0.2]);
}

/// The rate before each observation.
fn rates(mut plateau: ReduceLrOnPlateau, metrics: &[f64]) -> Vec<f64> {
    let mut sgd = Sgd::<f32>::new(0.4);
    let observe = |&metric: &f64| {
        let before = sgd.lr();
        assert_eq!(plateau.observe(metric, &mut sgd), sgd.lr() < before);
        before
    };
    metrics.iter().map(observe).collect()
}

#[test]
fn plateaus() {
    let losses =
        [5.0, 4.0, 4.0, 4.0, 3.9999, 3.9, 3.9, 3.9, 3.9, 3.9, 3.9, 3.9, f64::NAN, 1.0, 1.0, 1.0, 1.0, 1.0];
    let expected =
        [0.4, 0.4, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.06];
    let plateau = ReduceLrOnPlateau::min().factor(0.5).patience(2).cooldown(2).min_lr(0.06);
    assert_eq!(rates(plateau, &losses), expected);

    let scores = [-5.0, -4.0, -4.0, -4.0, -3.95, -3.9, -3.9, -3.9, -3.9, 0.0, 0.0, 0.0, 0.0, 0.05, 0.2, 0.2];
    let plateau = ReduceLrOnPlateau::max().factor(0.5).patience(1);
    let expected =
        [0.4, 0.4, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125];
    assert_eq!(rates(plateau.absolute_threshold(0.1), &scores), expected);
    // Unlike PyTorch, where the margin of a negative best metric has the wrong sign.
    let expected =
        [0.4, 0.4, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025];
    assert_eq!(rates(plateau.threshold(0.1), &scores), expected);
}

/// A negative loss, such as a log-likelihood, that no longer falls: in PyTorch -1 is always better than -1 * 0.9999.
#[test]
fn plateaus_below_zero() {
    let plateau = ReduceLrOnPlateau::min().factor(0.5).patience(1);
    assert_eq!(rates(plateau, &[-1.0; 6]), [0.4, 0.4, 0.4, 0.2, 0.2, 0.1]);
    // First each fall is larger than a hundredth, then smaller.
    let losses = [-1.0, -1.1, -1.2, -1.205, -1.21, -1.211];
    assert_eq!(rates(plateau.threshold(0.01), &losses), [0.4, 0.4, 0.4, 0.4, 0.4, 0.2]);
}

/// `observe` returns whether any rate fell: at the lowest rate none does.
#[test]
fn plateaus_at_the_lowest_rate() {
    let mut sgd = Sgd::<f32>::new(0.1).group(|name| name.ends_with("bias"), |sgd| sgd.learning_rate(0.3));
    let mut plateau = ReduceLrOnPlateau::min().factor(0.5).patience(0).min_lr(0.1);
    let reduced: Vec<bool> = (0..5).map(|_| plateau.observe(1.0, &mut sgd)).collect();
    assert_eq!(reduced, [false, true, true, false, false]);
    assert_eq!(sgd.learning_rates().iter().map(|rate| rate.current).collect::<Vec<_>>(), [0.1, 0.1]);
    // A rate below the bound is not raised.
    let mut low = Sgd::<f32>::new(0.01);
    assert!(!(0..5).any(|_| plateau.observe(1.0, &mut low)));
    assert_eq!(low.lr(), 0.01);
}

/// A first metric of NaN is never the best one: any number that follows is better.
#[test]
fn a_plateau_may_begin_with_nan() {
    for plateau in [ReduceLrOnPlateau::min, ReduceLrOnPlateau::max] {
        let mut sgd = Sgd::<f32>::new(0.4);
        let mut waiting = plateau().factor(0.5).patience(1);
        let reduced: Vec<bool> =
            [f64::NAN, 1.0, 1.0, f64::NAN].map(|metric| waiting.observe(metric, &mut sgd)).into();
        assert_eq!(reduced, [false, false, false, true]);
        let mut sgd = Sgd::<f32>::new(0.4);
        assert!(plateau().factor(0.5).patience(0).observe(f64::NAN, &mut sgd));
        assert_eq!(sgd.lr(), 0.2);
    }
}

proptest! {
    /// A metric is better if it is beyond the best one by a part of its size, for both signs and directions. NaN never
    /// is.
    #[test]
    fn plateaus_count_what_is_not_better(
        metrics in prop::collection::vec(
            prop_oneof![8 => -2.0..2.0_f64, 2 => Just(0.0), 1 => Just(f64::NAN), 1 => Just(-f64::INFINITY)], 1..40,
        ),
        threshold in prop::sample::select(vec![0.0, 0.1, 0.5, 2.0]), relative: bool, patience in 0..3_usize,
    ) {
        let with = |plateau: ReduceLrOnPlateau| {
            let plateau = plateau.factor(0.5).patience(patience);
            if relative { plateau.threshold(threshold) } else { plateau.absolute_threshold(threshold) }
        };
        let (mut best, mut bad, mut rate, mut expected) = (f64::INFINITY, 0, 0.4, Vec::new());
        for metric in metrics.iter().copied() {
            expected.push(rate);
            let first = best == f64::INFINITY;
            let margin = if relative { threshold * best.abs() } else { threshold };
            let better = if first || best == -f64::INFINITY { metric < best } else { best - metric > margin };
            // Where the difference is rounded, either answer will do.
            prop_assume!(first || (best - metric - margin).abs() > 1e-12 || (best - metric - margin).is_nan());
            (best, bad) = if better { (metric, 0) } else { (best, bad + 1) };
            if bad > patience {
                (rate, bad) = (if rate * 0.5 > 1e-8 { rate * 0.5 } else { rate }, 0);
            }
        }
        prop_assert_eq!(&rates(with(ReduceLrOnPlateau::min()), &metrics), &expected);
        let mirrored: Vec<f64> = metrics.iter().map(|metric| -metric).collect();
        prop_assert_eq!(&rates(with(ReduceLrOnPlateau::max()), &mirrored), &expected);
    }

    /// With any options, a schedule gives rates that an optimizer accepts.
    #[test]
    fn rates_are_finite_and_not_negative(
        initial in 0.0..2.0_f64, other in 0.0..2.0_f64, steps in 1..20_usize, gamma in 0.0..3.0_f64, part in 0.0..=1.0_f64,
    ) {
        let cycle = OneCycle { pct_start: part, ..OneCycle::new(other, steps) };
        let schedules: [Box<dyn Schedule>; 7] = [
            Box::new(step(steps, gamma)),
            Box::new(multi_step([steps, 2 * steps], gamma)),
            Box::new(exponential(gamma)),
            // Upwards, too.
            Box::new(cosine(steps, other)),
            Box::new(linear(gamma, other, steps)),
            Box::new(cycle),
            Box::new(OneCycle { linear: true, div_factor: 0.1, final_div_factor: 0.01, ..cycle }),
        ];
        for (number, schedule) in schedules.iter().enumerate() {
            for step in 0..if number < 5 { 3 * steps } else { steps } {
                let rate = schedule.lr(step, initial);
                prop_assert!(rate.is_finite() && rate >= 0.0, "schedule {} at step {}: {}", number, step, rate);
            }
        }
    }
}
