//! Learning rates that change from step to step.

use std::f64::consts::PI;

use super::non_negative;

/// A learning rate for each step: a function of the step's number and of the rate at the start.
///
/// A schedule has no state; [`Optimizer::follow`](super::Optimizer::follow) sets the rates of an optimizer to it, for steps or epochs or
/// whatever the caller counts. Any `Fn(usize, f64) -> f64` is one.
///
/// ```
/// use gradus_nn::{Optimizer, Schedule, Sgd};
///
/// let inverse_square_root = |step: usize, lr: f64| lr / ((step + 1) as f64).sqrt();
/// assert_eq!(inverse_square_root.lr(3, 0.5), 0.25);
/// let mut sgd = Sgd::<f32>::new(0.5);
/// sgd.follow(&inverse_square_root, 3);
/// assert_eq!(sgd.lr(), 0.25);
/// ```
pub trait Schedule {
    /// The rate of a step (0, 1, ...) when it was `initial` at the start.
    #[track_caller]
    fn lr(&self, step: usize, initial: f64) -> f64;

    /// This schedule for the first `steps` steps, and then another one, which counts its own from 0.
    ///
    /// ```
    /// use gradus_nn::{CosineAnnealingLr, LinearLr, Schedule};
    ///
    /// // Ten steps of warm-up, then half a cosine to 0.
    /// let schedule = LinearLr::new(0.1, 1.0, 10).then(10, CosineAnnealingLr::new(80));
    /// let rates = [0, 5, 10, 50, 90].map(|step| schedule.lr(step, 1.0));
    /// let expected = [0.1, 0.55, 1.0, 0.5, 0.0];
    /// assert!(rates.iter().zip(expected).all(|(rate, expected)| (rate - expected).abs() < 1e-12));
    /// ```
    fn then<S: Schedule>(self, steps: usize, next: S) -> Then<Self, S>
    where
        Self: Sized,
    {
        Then { first: self, steps, next }
    }
}

impl<F: Fn(usize, f64) -> f64> Schedule for F {
    fn lr(&self, step: usize, initial: f64) -> f64 {
        self(step, initial)
    }
}

/// One schedule after another; made by [`Schedule::then`].
#[derive(Debug, Clone, Copy)]
pub struct Then<A, B> {
    first: A,
    steps: usize,
    next: B,
}

impl<A: Schedule, B: Schedule> Schedule for Then<A, B> {
    #[track_caller]
    fn lr(&self, step: usize, initial: f64) -> f64 {
        match step.checked_sub(self.steps) {
            None => self.first.lr(step, initial),
            Some(step) => self.next.lr(step, initial),
        }
    }
}

/// Multiplied by `gamma` every `step_size` steps.
///
/// ```
/// use gradus_nn::{Schedule, StepLr};
///
/// let schedule = StepLr::new(2, 0.5);
/// assert_eq!([0, 1, 2, 3, 4].map(|step| schedule.lr(step, 8.0)), [8.0, 8.0, 4.0, 4.0, 2.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct StepLr {
    step_size: usize,
    gamma: f64,
}

impl StepLr {
    /// See [`StepLr`].
    ///
    /// # Panics
    /// If `step_size` is 0, or `gamma` is negative or not finite.
    #[track_caller]
    pub fn new(step_size: usize, gamma: f64) -> Self {
        assert!(step_size > 0, "StepLr: step_size is 0: it must be 1 or larger");
        Self { step_size, gamma: non_negative("StepLr: gamma", gamma) }
    }
}

impl Schedule for StepLr {
    fn lr(&self, step: usize, initial: f64) -> f64 {
        initial * power(self.gamma, step / self.step_size)
    }
}

/// Multiplied by `gamma` at each of some steps.
///
/// ```
/// use gradus_nn::{MultiStepLr, Schedule};
///
/// let schedule = MultiStepLr::new([1, 3], 0.5);
/// assert_eq!([0, 1, 2, 3, 4].map(|step| schedule.lr(step, 8.0)), [8.0, 4.0, 4.0, 2.0, 2.0]);
/// ```
#[derive(Debug, Clone)]
pub struct MultiStepLr {
    milestones: Vec<usize>,
    gamma: f64,
}

impl MultiStepLr {
    /// See [`MultiStepLr`]; a step that is named twice counts twice.
    ///
    /// # Panics
    /// If `gamma` is negative or not finite.
    #[track_caller]
    pub fn new(milestones: impl Into<Vec<usize>>, gamma: f64) -> Self {
        Self { milestones: milestones.into(), gamma: non_negative("MultiStepLr: gamma", gamma) }
    }
}

impl Schedule for MultiStepLr {
    fn lr(&self, step: usize, initial: f64) -> f64 {
        initial * power(self.gamma, self.milestones.iter().filter(|&&milestone| milestone <= step).count())
    }
}

/// Multiplied by `gamma` after every step.
///
/// ```
/// use gradus_nn::{ExponentialLr, Schedule};
///
/// assert_eq!([0, 1, 2].map(|step| ExponentialLr::new(0.5).lr(step, 8.0)), [8.0, 4.0, 2.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ExponentialLr {
    gamma: f64,
}

impl ExponentialLr {
    /// See [`ExponentialLr`].
    ///
    /// # Panics
    /// If `gamma` is negative or not finite.
    #[track_caller]
    pub fn new(gamma: f64) -> Self {
        Self { gamma: non_negative("ExponentialLr: gamma", gamma) }
    }
}

impl Schedule for ExponentialLr {
    fn lr(&self, step: usize, initial: f64) -> f64 {
        initial * power(self.gamma, step)
    }
}

/// Half a cosine from the initial rate down to a lowest one, in `steps` steps (Loshchilov and Hutter, "SGDR:
/// stochastic gradient descent with warm restarts", 2017). The cosine goes on after that: the rate rises again.
///
/// ```
/// use gradus_nn::{CosineAnnealingLr, Schedule};
///
/// let schedule = CosineAnnealingLr::new(4).lowest(0.5);
/// let rates = [0, 2, 4].map(|step| schedule.lr(step, 1.5));
/// assert!(rates.iter().zip([1.5, 1.0, 0.5]).all(|(rate, expected)| (rate - expected).abs() < 1e-15));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CosineAnnealingLr {
    steps: usize,
    lowest: f64,
}

impl CosineAnnealingLr {
    /// Down to 0 in this number of steps (`T_max` in PyTorch).
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn new(steps: usize) -> Self {
        assert!(steps > 0, "CosineAnnealingLr: the number of steps is 0: it must be 1 or larger");
        Self { steps, lowest: 0.0 }
    }

    /// The same down to another rate (`eta_min` in PyTorch); see [`CosineAnnealingLr`].
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn lowest(self, lowest: f64) -> Self {
        Self { lowest: non_negative("lowest: the rate", lowest), ..self }
    }
}

impl Schedule for CosineAnnealingLr {
    fn lr(&self, step: usize, initial: f64) -> f64 {
        Anneal::Cosine.between(initial, self.lowest, step as f64 / self.steps as f64)
    }
}

/// A straight line from `start` times the initial rate to `end` times it in a number of steps, and that from then
/// on: a warm-up, if it rises.
///
/// ```
/// use gradus_nn::{LinearLr, Schedule};
///
/// let schedule = LinearLr::new(0.25, 1.0, 3);
/// assert_eq!([0, 1, 2, 3, 4].map(|step| schedule.lr(step, 4.0)), [1.0, 2.0, 3.0, 4.0, 4.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LinearLr {
    start: f64,
    end: f64,
    steps: usize,
}

impl LinearLr {
    /// See [`LinearLr`] (`start_factor`, `end_factor` and `total_iters` in PyTorch).
    ///
    /// # Panics
    /// If a factor is negative or not finite, or the number of steps is 0.
    #[track_caller]
    pub fn new(start: f64, end: f64, steps: usize) -> Self {
        assert!(steps > 0, "LinearLr: the number of steps is 0: it must be 1 or larger");
        let [start, end] = [
            non_negative("LinearLr: the factor start", start),
            non_negative("LinearLr: the factor end", end),
        ];
        Self { start, end, steps }
    }
}

impl Schedule for LinearLr {
    fn lr(&self, step: usize, initial: f64) -> f64 {
        let part = step.min(self.steps) as f64 / self.steps as f64;
        initial * Anneal::Linear.between(self.start, self.end, part)
    }
}

/// One cycle: up from `max_lr / 25` to `max_lr` in the first three tenths of the steps, then down to nearly
/// nothing (Smith and Topin, "Super-convergence", 2019). The initial rate of the optimizer does not count.
///
/// With low = `max_lr / div_factor`, end = `low / final_div_factor` and k = `pct_start * total_steps - 1`, it goes
/// from low to `max_lr` as the step goes from 0 to k, and to end as it goes on to `total_steps - 1`.
///
/// ```
/// use gradus_nn::{OneCycleLr, Schedule};
///
/// let schedule = OneCycleLr::new(1.0, 21).pct_start(0.5).div_factor(10.0).linear();
/// assert!((schedule.lr(0, 9.0) - 0.1).abs() < 1e-15);
/// assert!((schedule.lr(9, 9.0) - (0.1 + 0.9 * 9.0 / 9.5)).abs() < 1e-15);
/// assert!((schedule.lr(20, 9.0) - 1e-5).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OneCycleLr {
    max_lr: f64,
    total_steps: usize,
    pct_start: f64,
    div_factor: f64,
    final_div_factor: f64,
    anneal: Anneal,
}

impl OneCycleLr {
    /// Along cosines; see [`OneCycleLr`].
    ///
    /// # Panics
    /// If the rate is negative or not finite, or there are no steps.
    #[track_caller]
    pub fn new(max_lr: f64, total_steps: usize) -> Self {
        assert!(total_steps > 0, "OneCycleLr: total_steps is 0: it must be 1 or larger");
        Self {
            max_lr: non_negative("OneCycleLr: max_lr", max_lr),
            total_steps,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            anneal: Anneal::Cosine,
        }
    }

    /// The same with another part of the steps, from 0 to 1, in which the rate rises; see [`OneCycleLr`].
    ///
    /// # Panics
    /// If it is not from 0 to 1.
    #[must_use]
    #[track_caller]
    pub fn pct_start(self, pct_start: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&pct_start),
            "pct_start: the part is {pct_start}: it must be from 0 to 1"
        );
        Self { pct_start, ..self }
    }

    /// The same with another ratio of the highest to the first rate; see [`OneCycleLr`].
    ///
    /// # Panics
    /// If it is not above 0, or not finite.
    #[must_use]
    #[track_caller]
    pub fn div_factor(self, div_factor: f64) -> Self {
        Self { div_factor: positive("div_factor: the factor", div_factor), ..self }
    }

    /// The same with another ratio of the first to the last rate; see [`OneCycleLr`].
    ///
    /// # Panics
    /// If it is not above 0, or not finite.
    #[must_use]
    #[track_caller]
    pub fn final_div_factor(self, final_div_factor: f64) -> Self {
        Self { final_div_factor: positive("final_div_factor: the factor", final_div_factor), ..self }
    }

    /// The same along straight lines; see [`OneCycleLr`].
    #[must_use]
    pub fn linear(self) -> Self {
        Self { anneal: Anneal::Linear, ..self }
    }
}

impl Schedule for OneCycleLr {
    #[track_caller]
    fn lr(&self, step: usize, _initial: f64) -> f64 {
        let last = self.total_steps - 1;
        assert!(step <= last, "OneCycleLr: the step is {step}: the last one of the cycle is {last}");
        let low = self.max_lr / self.div_factor;
        let (step, last) = (step as f64, last as f64);
        let peak = self.pct_start * self.total_steps as f64 - 1.0;
        if step <= peak {
            // Where the rise has no length, its first step is the peak.
            let part = if peak > 0.0 { step / peak } else { 1.0 };
            self.anneal.between(low, self.max_lr, part)
        } else {
            let part = (step - peak) / (last - peak);
            self.anneal.between(self.max_lr, low / self.final_div_factor, part)
        }
    }
}

/// The way from one number to another.
#[derive(Debug, Clone, Copy)]
enum Anneal {
    Cosine,
    Linear,
}

impl Anneal {
    /// At a part of the way, from 0 to 1.
    fn between(self, from: f64, to: f64, part: f64) -> f64 {
        match self {
            Self::Cosine => to + (from - to) * (1.0 + (PI * part).cos()) / 2.0,
            Self::Linear => from + (to - from) * part,
        }
    }
}

fn power(base: f64, exponent: usize) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

/// The value, which must be finite and above 0.
#[track_caller]
fn positive(option: &str, value: f64) -> f64 {
    assert!(value > 0.0 && value.is_finite(), "{option} is {value}: it must be above 0, and finite");
    value
}
