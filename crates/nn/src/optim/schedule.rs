//! Schedules: learning rates as functions of the step.
//!
//! A schedule has no state: the step is the caller's own count, of steps or of epochs, and
//! [`Optimizer::follow`](crate::Optimizer::follow) sets the rates of an optimizer for it. So a checkpoint needs that count,
//! and nothing else of a schedule: the initial and the current rates are in the optimizer's state. Only
//! [`ReduceLrOnPlateau`](crate::ReduceLrOnPlateau) has a [state](crate::ReduceLrOnPlateau::state) of its own.
//!
//! ```
//! use gradus_nn::{Optimizer, Parameter, Schedule, Sgd, schedule};
//!
//! // Ten epochs of warm-up, then half a cosine to 0.
//! let schedule = schedule::linear(0.1, 1.0, 10).then(10, schedule::cosine(80, 0.0));
//! let (mut p, mut sgd) = (Parameter::new([1.0_f64]), Sgd::new(0.5));
//! for epoch in 0..90 {
//!     sgd.follow(&schedule, epoch);
//!     let loss = p.square().sum(..);
//!     sgd.step(&mut p, &loss.backward());
//! }
//! assert!(sgd.lr() < 1e-3 && p.item() < 1e-3);
//!
//! let rates = |schedule: &dyn Schedule| [0, 1, 2, 3, 4].map(|step| schedule.lr(step, 8.0));
//! assert_eq!(rates(&schedule::step(2, 0.5)), [8.0, 8.0, 4.0, 4.0, 2.0]);
//! assert_eq!(rates(&schedule::multi_step([1, 3], 0.5)), [8.0, 4.0, 4.0, 2.0, 2.0]);
//! assert_eq!(rates(&schedule::exponential(0.5)), [8.0, 4.0, 2.0, 1.0, 0.5]);
//! ```

use std::f64::consts::PI;

use super::non_negative;

/// A learning rate for each step. Any `Fn(usize, f64) -> f64` is one; [`schedule`](self) has the usual ones.
///
/// ```
/// use gradus_nn::Schedule;
///
/// let inverse_square_root = |step: usize, initial: f64| initial / ((step + 1) as f64).sqrt();
/// assert_eq!(inverse_square_root.lr(3, 0.5), 0.25);
/// ```
pub trait Schedule {
    /// The rate of a step (0, 1, ...) when the first rate of the optimizer was `initial`.
    #[track_caller]
    fn lr(&self, step: usize, initial: f64) -> f64;

    /// This schedule for the first `steps` steps, and then another one, which counts from 0 again.
    fn then(self, steps: usize, next: impl Schedule) -> impl Schedule
    where
        Self: Sized,
    {
        move |step: usize, initial: f64| match step.checked_sub(steps) {
            None => self.lr(step, initial),
            Some(step) => next.lr(step, initial),
        }
    }
}

impl<F: Fn(usize, f64) -> f64> Schedule for F {
    fn lr(&self, step: usize, initial: f64) -> f64 {
        self(step, initial)
    }
}

/// The initial rate times `gamma` for every `step_size` steps (`StepLR` in PyTorch).
///
/// # Panics
/// If `step_size` is 0, or `gamma` is negative or not finite.
#[track_caller]
pub fn step(step_size: usize, gamma: f64) -> impl Schedule + Copy {
    assert!(step_size > 0, "step: step_size is 0: it must be 1 or larger");
    non_negative("step: gamma", gamma);
    move |step, initial| initial * power(gamma, step / step_size)
}

/// The initial rate times `gamma` for every milestone that the step has reached (`MultiStepLR` in PyTorch); a milestone
/// that is listed twice counts twice.
///
/// # Panics
/// If `gamma` is negative or not finite.
#[track_caller]
pub fn multi_step(milestones: impl Into<Vec<usize>>, gamma: f64) -> impl Schedule + Clone {
    let milestones = milestones.into();
    non_negative("multi_step: gamma", gamma);
    move |step, initial| {
        initial * power(gamma, milestones.iter().filter(|&&milestone| milestone <= step).count())
    }
}

/// The initial rate times `gamma` for every step (`ExponentialLR` in PyTorch).
///
/// # Panics
/// If `gamma` is negative or not finite.
#[track_caller]
pub fn exponential(gamma: f64) -> impl Schedule + Copy {
    non_negative("exponential: gamma", gamma);
    move |step, initial| initial * power(gamma, step)
}

/// Half a cosine from the initial rate to the rate `lowest` in `steps` steps (Loshchilov and Hutter, "SGDR: stochastic
/// gradient descent with warm restarts", 2017; `CosineAnnealingLR` in PyTorch). After that the cosine rises again.
///
/// # Panics
/// If `steps` is 0, or `lowest` is negative or not finite.
#[track_caller]
pub fn cosine(steps: usize, lowest: f64) -> impl Schedule + Copy {
    assert!(steps > 0, "cosine: the number of steps is 0: it must be 1 or larger");
    non_negative("cosine: the lowest rate", lowest);
    move |step, initial| cosine_between(initial, lowest, step as f64 / steps as f64)
}

/// A straight line from `start` times to `end` times the initial rate in `steps` steps, and constant after that; a
/// warm-up, if it rises (`LinearLR` in PyTorch).
///
/// # Panics
/// If a factor is negative or not finite, or `steps` is 0.
#[track_caller]
pub fn linear(start: f64, end: f64, steps: usize) -> impl Schedule + Copy {
    assert!(steps > 0, "linear: the number of steps is 0: it must be 1 or larger");
    non_negative("linear: the factor start", start);
    non_negative("linear: the factor end", end);
    move |step: usize, initial| initial * line_between(start, end, step.min(steps) as f64 / steps as f64)
}

/// One cycle: a rise to `max_lr`, then a fall to nearly 0 (Smith and Topin, "Super-convergence", 2019; `OneCycleLR` in
/// PyTorch). The initial rate of the optimizer has no influence.
///
/// With `low = max_lr / div_factor`, `end = low / final_div_factor` and `peak = pct_start * total_steps - 1`, the rate
/// goes from low to `max_lr` as the step goes from 0 to peak, and on to end as the step goes on to `total_steps - 1`.
///
/// ```
/// use gradus_nn::{Schedule, schedule::OneCycle};
///
/// let schedule = OneCycle { pct_start: 0.5, div_factor: 10.0, linear: true, ..OneCycle::new(1.0, 21) };
/// assert!((schedule.lr(0, 9.0) - 0.1).abs() < 1e-15);
/// assert!((schedule.lr(9, 9.0) - (0.1 + 0.9 * 9.0 / 9.5)).abs() < 1e-15);
/// assert!((schedule.lr(20, 9.0) - 1e-5).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub max_lr: f64,
    /// The number of steps of the cycle.
    pub total_steps: usize,
    /// The part of the steps, from 0 to 1, in which the rate rises.
    pub pct_start: f64,
    /// The ratio of the highest to the first rate.
    pub div_factor: f64,
    /// The ratio of the first to the last rate.
    pub final_div_factor: f64,
    /// Whether the rate follows straight lines in place of cosines.
    pub linear: bool,
}

impl OneCycle {
    /// With PyTorch's options: a rise in the first 0.3 of the steps, factors of 25 and 1e4, cosines.
    pub fn new(max_lr: f64, total_steps: usize) -> Self {
        Self { max_lr, total_steps, pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4, linear: false }
    }

    #[track_caller]
    fn check(&self) {
        let Self { pct_start, .. } = self;
        non_negative("OneCycle: max_lr", self.max_lr);
        assert!(self.total_steps > 0, "OneCycle: total_steps is 0: it must be 1 or larger");
        assert!(
            (0.0..=1.0).contains(pct_start),
            "OneCycle: pct_start is {pct_start}: it must be from 0 to 1"
        );
        for (name, factor) in [("div_factor", self.div_factor), ("final_div_factor", self.final_div_factor)] {
            assert!(
                factor > 0.0 && factor.is_finite(),
                "OneCycle: {name} is {factor}: it must be above 0, and finite"
            );
        }
    }
}

impl Schedule for OneCycle {
    /// # Panics
    /// If an option is out of range, or the step is after the end of the cycle.
    #[track_caller]
    fn lr(&self, step: usize, _initial: f64) -> f64 {
        self.check();
        let last = self.total_steps - 1;
        assert!(step <= last, "OneCycle: the step is {step}: the last one of the cycle is {last}");
        let between = if self.linear { line_between } else { cosine_between };
        let low = self.max_lr / self.div_factor;
        let (step, last) = (step as f64, last as f64);
        let peak = self.pct_start * self.total_steps as f64 - 1.0;
        if step <= peak {
            // Where the rise has no length, its first step is the peak.
            let part = if peak > 0.0 { step / peak } else { 1.0 };
            between(low, self.max_lr, part)
        } else {
            between(self.max_lr, low / self.final_div_factor, (step - peak) / (last - peak))
        }
    }
}

/// Half a cosine between two numbers, at a part of the way from 0 to 1.
fn cosine_between(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * part).cos()) / 2.0
}

/// A straight line between two numbers, at a part of the way from 0 to 1.
fn line_between(from: f64, to: f64, part: f64) -> f64 {
    from + (to - from) * part
}

fn power(base: f64, exponent: usize) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}
