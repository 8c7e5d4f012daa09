//! Schedules against numbers of PyTorch 2.15.

use gradus::prelude::*;
use gradus::{
    CosineAnnealingLr, ExponentialLr, LinearLr, MultiStepLr, OneCycleLr, ReduceLrOnPlateau, StepLr,
};

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
    check(&StepLr::new(2, 0.3), 0.4, &[0.4, 0.4, 0.12, 0.12, 0.036, 0.036]);
    check(&MultiStepLr::new([1, 3, 3], 0.3), 0.4, &[0.4, 0.12, 0.12, 0.0108, 0.0108, 0.0108]);
    check(&ExponentialLr::new(0.7), 0.4, &[0.4, 0.28, 0.196, 0.1372, 0.09604]);
    let cosine = [0.4, 0.34874368670764583, 0.225, 0.10125631329235421, 0.05, 0.10125631329235418, 0.225];
    check(&CosineAnnealingLr::new(4).lowest(0.05), 0.4, &cosine);
    check(&LinearLr::new(0.1, 0.8, 4), 0.4, &[0.04, 0.11, 0.18, 0.25, 0.32, 0.32, 0.32]);
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
    check(&OneCycleLr::new(0.4, 8), 99.0, &cosine);
    let linear =
        [0.08, 0.16421052631578947, 0.24842105263157893, 0.33263157894736844, 0.3755, 0.253, 0.1305, 0.008];
    let schedule = OneCycleLr::new(0.4, 8).pct_start(0.6).div_factor(5.0).final_div_factor(10.0).linear();
    check(&schedule, 99.0, &linear);
    // A rise without a length.
    check(&OneCycleLr::new(1.0, 1).pct_start(1.0), 99.0, &[1.0]);
}

#[test]
fn one_after_another() {
    let schedule = LinearLr::new(0.25, 1.0, 3).then(3, CosineAnnealingLr::new(4));
    check(&schedule, 0.4, &[0.1, 0.2, 0.3, 0.4, 0.3414213562373095, 0.2, 0.05857864376269051, 0.0]);
    let longer = schedule.then(5, |_: usize, lr: f64| lr).then(7, StepLr::new(1, 0.5));
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
    let expected = [0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.2];
    assert_eq!(rates(plateau.threshold(0.1), &scores), expected);
}
