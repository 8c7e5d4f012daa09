//! Learning rates that follow a metric.

use gradus_autograd::Float;

use super::{Optimizer, non_negative, state};
use crate::state::{State, StateError};

/// Reduces learning rates when a metric, such as the loss on validation data, stops improving.
///
/// When the metric does not improve on the best one by a margin of `threshold * |best|` for more than `patience`
/// observations in a row, every rate is multiplied by `factor`; after that, `cooldown` observations do not count. The
/// margin has no sign: a loss of -2 has to fall below `-2 - 2 * threshold`.
///
/// ```
/// use gradus_nn::{Optimizer, ReduceLrOnPlateau, Sgd};
///
/// let mut sgd = Sgd::<f32>::new(1.0);
/// let mut plateau = ReduceLrOnPlateau::min().factor(0.5).patience(1);
/// let rates = [3.0, 2.0, 2.0, 2.0, 2.0, 1.0].map(|loss| {
///     plateau.observe(loss, &mut sgd);
///     sgd.lr()
/// });
/// assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ReduceLrOnPlateau {
    /// 1 if larger is better, -1 if smaller is.
    sign: f64,
    factor: f64,
    patience: usize,
    threshold: f64,
    relative: bool,
    cooldown: usize,
    min_lr: f64,
    best: f64,
    bad: usize,
    cooling: usize,
}

impl ReduceLrOnPlateau {
    /// For a metric that should fall, with PyTorch's options: a factor of 0.1, a patience of 10, a threshold of 1e-4,
    /// no cooldown.
    pub fn min() -> Self {
        Self {
            sign: -1.0,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            relative: true,
            cooldown: 0,
            min_lr: 0.0,
            best: f64::INFINITY,
            bad: 0,
            cooling: 0,
        }
    }

    /// For a metric that should rise; otherwise like [`min`](Self::min).
    pub fn max() -> Self {
        Self { sign: 1.0, best: f64::NEG_INFINITY, ..Self::min() }
    }

    /// Sets the factor of a reduction.
    ///
    /// # Panics
    /// If it is not from 0 to below 1.
    #[must_use]
    #[track_caller]
    pub fn factor(self, factor: f64) -> Self {
        Self { factor: super::fraction("factor: the factor", factor), ..self }
    }

    /// Sets the number of observations in a row that may be no better.
    #[must_use]
    pub fn patience(self, patience: usize) -> Self {
        Self { patience, ..self }
    }

    /// Sets the margin to a part of the best metric.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn threshold(self, threshold: f64) -> Self {
        Self { threshold: non_negative("threshold: the threshold", threshold), relative: true, ..self }
    }

    /// Sets the margin to a number, whatever the best metric is.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn absolute_threshold(self, threshold: f64) -> Self {
        let threshold = non_negative("absolute_threshold: the threshold", threshold);
        Self { threshold, relative: false, ..self }
    }

    /// Sets the number of observations after a reduction that do not count.
    #[must_use]
    pub fn cooldown(self, cooldown: usize) -> Self {
        Self { cooldown, ..self }
    }

    /// Sets the lower bound of reduced rates.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn min_lr(self, min_lr: f64) -> Self {
        Self { min_lr: non_negative("min_lr: the rate", min_lr), ..self }
    }

    /// Records a metric and, when a reduction is due, reduces the optimizer's rates; returns whether a rate fell. NaN
    /// is never better. As in PyTorch, reductions of at most 1e-8 are not made.
    pub fn observe<T: Float>(&mut self, metric: f64, optimizer: &mut (impl Optimizer<T> + ?Sized)) -> bool {
        let margin = match self.best {
            // Before the first metric; a part of infinity would be NaN.
            best if best.is_infinite() => 0.0,
            best if self.relative => self.threshold * best.abs(),
            _ => self.threshold,
        };
        let bound = self.best + self.sign * margin;
        if self.sign * metric > self.sign * bound {
            self.best = metric;
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.bad = 0;
        }
        if self.bad <= self.patience {
            return false;
        }
        self.cooling = self.cooldown;
        self.bad = 0;
        let mut changed = false;
        for rate in optimizer.learning_rates_mut() {
            let reduced = (rate.current * self.factor).max(self.min_lr);
            if rate.current - reduced > 1e-8 {
                rate.current = reduced;
                changed = true;
            }
        }
        changed
    }

    /// Everything that an observation changes: the best metric and two counts. The metadata has the options, for
    /// [`load_state`](Self::load_state) to compare. The rates are in the state of the optimizer.
    ///
    /// ```
    /// use gradus_nn::{ReduceLrOnPlateau, Sgd};
    ///
    /// let (mut sgd, plateau) = (Sgd::<f32>::new(1.0), ReduceLrOnPlateau::min().patience(1));
    /// let (mut first, mut resumed) = (plateau, plateau);
    /// assert!(!first.observe(2.0, &mut sgd) && !first.observe(2.0, &mut sgd));
    /// resumed.load_state(&first.state())?;
    /// assert!(resumed.observe(2.0, &mut sgd)); // the second observation that is no better
    /// # Ok::<(), gradus_nn::StateError>(())
    /// ```
    pub fn state(&self) -> State {
        let mut state = State::new();
        state.insert("best", self.best);
        state.insert("bad", self.bad as i64);
        state.insert("cooling", self.cooling as i64);
        state::describe(&mut state, self.options());
        state
    }

    /// Loads a state of a schedule with the same options.
    ///
    /// # Errors
    /// If the options differ, or the state is not one of such a schedule, or has another version. The schedule is then as it
    /// was.
    pub fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        state::check(state, "schedule", &self.options()).map_err(StateError::Schedule)?;
        let count = |name: &str| {
            let count: i64 = state.value(name)?;
            let negative = |_| StateError::Schedule(format!("`{name}` is {count}: it must be 0 or larger"));
            usize::try_from(count).map_err(negative)
        };
        let (best, bad, cooling) = (state.value::<f64>("best")?, count("bad")?, count("cooling")?);
        if best.is_nan() {
            return Err(StateError::Schedule("`best` is NaN, which no metric could improve on".into()));
        }
        *self = Self { best, bad, cooling, ..*self };
        Ok(())
    }

    /// The options in words.
    fn options(&self) -> String {
        let Self { sign, factor, patience, threshold, relative, cooldown, min_lr, .. } = self;
        let [mode, margin] = [
            if *sign > 0.0 { "max" } else { "min" },
            if *relative { "threshold" } else { "absolute threshold" },
        ];
        format!(
            "{mode} with factor {factor}, patience {patience}, {margin} {threshold}, cooldown {cooldown}, \
             min_lr {min_lr}"
        )
    }
}
