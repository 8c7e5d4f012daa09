//! Learning rates that fall when nothing gets better.

use gradus_autograd::Float;

use super::{Optimizer, non_negative};

/// Reduces learning rates when a metric, such as the loss on data held back, no longer gets better.
///
/// When the metric fails to beat the best one by a margin of `threshold * |best|` for more than `patience` observations
/// in a row, every rate is multiplied by `factor`; after that, `cooldown` observations do not count.
///
/// "Better" is beyond the best metric, whatever its sign: a loss of -2 has to fall below -2 - 2 * `threshold`.
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
    /// For a metric that should become small, with PyTorch's options: a factor of 0.1, a patience of 10, a
    /// threshold of 1e-4, no cooldown; see [`ReduceLrOnPlateau`].
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

    /// For a metric that should become large; otherwise like [`min`](Self::min).
    pub fn max() -> Self {
        Self { sign: 1.0, best: f64::NEG_INFINITY, ..Self::min() }
    }

    /// The same with another factor; see [`ReduceLrOnPlateau`].
    ///
    /// # Panics
    /// If it is not from 0 to below 1.
    #[must_use]
    #[track_caller]
    pub fn factor(self, factor: f64) -> Self {
        Self { factor: super::fraction("factor: the factor", factor), ..self }
    }

    /// The same with another patience; see [`ReduceLrOnPlateau`].
    #[must_use]
    pub fn patience(self, patience: usize) -> Self {
        Self { patience, ..self }
    }

    /// The same with another threshold, a part of the best metric; see [`ReduceLrOnPlateau`].
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn threshold(self, threshold: f64) -> Self {
        Self { threshold: non_negative("threshold: the threshold", threshold), relative: true, ..self }
    }

    /// The same with a threshold that is a difference, not a part; see [`ReduceLrOnPlateau`].
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn absolute_threshold(self, threshold: f64) -> Self {
        let threshold = non_negative("absolute_threshold: the threshold", threshold);
        Self { threshold, relative: false, ..self }
    }

    /// The same with a cooldown; see [`ReduceLrOnPlateau`].
    #[must_use]
    pub fn cooldown(self, cooldown: usize) -> Self {
        Self { cooldown, ..self }
    }

    /// The same with a rate below which none is reduced; see [`ReduceLrOnPlateau`].
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn min_lr(self, min_lr: f64) -> Self {
        Self { min_lr: non_negative("min_lr: the rate", min_lr), ..self }
    }

    /// Takes note of the metric, and reduces the optimizer's rates if that is due; says whether a rate is lower than
    /// before. A NaN is no better than anything. As in PyTorch, a rate stays if it would be reduced by no more than 1e-8.
    ///
    /// See [`ReduceLrOnPlateau`] for an example.
    pub fn observe<T: Float>(&mut self, metric: f64, optimizer: &mut (impl Optimizer<T> + ?Sized)) -> bool {
        let margin = match self.best {
            // What the first metric is compared with; a part of it would be no number.
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
}
