//! Means of numbers that are known already, such as losses.

use super::{Metric, Sum, check_any};

/// The mean of numbers by weight, such as the loss of an epoch from the mean losses of its batches.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::metrics::{Mean, Metric};
///
/// let mut loss = Mean::new();
/// loss.update(0.5_f32, 64);
/// loss.update(1.0_f32, 16); // the last batch is smaller
/// assert_eq!(loss.value(), 0.6);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean {
    sum: Sum,
    weight: Sum,
}

impl Mean {
    /// The mean of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a number that stands for `count` samples, the mean over a batch for example. NaN makes the mean NaN; nothing is
    /// added if the count is 0.
    pub fn update(&mut self, value: impl Into<f64>, count: usize) {
        self.update_weighted(value, count as f64);
    }

    /// Adds a number with any weight.
    ///
    /// # Panics
    /// If the weight is negative or not finite.
    #[track_caller]
    pub fn update_weighted(&mut self, value: impl Into<f64>, weight: f64) {
        assert!(
            weight >= 0.0 && weight.is_finite(),
            "Mean: the weight is {weight}: it must be 0 or larger, and finite"
        );
        if weight > 0.0 {
            self.sum.add(value.into() * weight);
            self.weight.add(weight);
        }
    }

    /// All that there is to it, for checkpoints.
    #[cfg(feature = "safetensors")]
    pub(crate) fn to_array(self) -> [f64; 4] {
        [self.sum.sum, self.sum.lost, self.weight.sum, self.weight.lost]
    }

    #[cfg(feature = "safetensors")]
    pub(crate) fn from_array([sum, lost, weight, weight_lost]: [f64; 4]) -> Self {
        Self { sum: Sum { sum, lost }, weight: Sum { sum: weight, lost: weight_lost } }
    }
}

impl Metric for Mean {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("Mean", self.weight.value() > 0.0);
        self.sum.value() / self.weight.value()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The exponential of the mean loss by token: the number of equally likely tokens that would be as hard to foretell.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::metrics::{Metric, Perplexity};
///
/// let mut perplexity = Perplexity::new();
/// perplexity.update(8_f64.ln(), 100); // the mean cross-entropy of 100 tokens
/// assert!((perplexity.value() - 8.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Perplexity {
    loss: Mean,
}

impl Perplexity {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a batch by its mean cross-entropy, in natural logarithms, and its number of tokens.
    pub fn update(&mut self, loss: impl Into<f64>, tokens: usize) {
        self.loss.update(loss, tokens);
    }
}

impl Metric for Perplexity {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("Perplexity", self.loss.weight.value() > 0.0);
        self.loss.value().exp()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}
