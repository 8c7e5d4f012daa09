//! The fraction of samples that are classified right.

use std::borrow::Borrow;

use gradus_autograd::{AsVar, Float, Tensor};

use super::scores::{Scores, check_shapes, rank};
use super::{IGNORED, Metric, check_any};

/// The fraction of samples whose predicted class is the target.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::Tensor;
/// use gradus::metrics::{Accuracy, Metric};
///
/// let mut accuracy = Accuracy::new();
/// accuracy.update([[0.1, 0.9], [0.8, 0.2]], Tensor::from([1, 1]));
/// accuracy.update_classes(Tensor::from([1, 0]), Tensor::from([1, 0]));
/// assert_eq!(accuracy.value(), 0.75);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Accuracy {
    right: usize,
    all: usize,
}

impl Accuracy {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples by their scores, `[classes]` or `[rows, classes, ...]`, and targets, `[]` or `[rows, ...]`.
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is ignored.
    #[track_caller]
    pub fn update<T: Float>(&mut self, scores: impl AsVar<T>, targets: impl Borrow<Tensor<i64>>) {
        for (scores, target) in Scores::new("Accuracy", scores, targets.borrow()).rows() {
            self.add(rank(scores, target) == 0);
        }
    }

    /// Adds samples by their predicted classes; predictions and targets have the same shape. Samples with the target -100
    /// are ignored.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn update_classes(
        &mut self,
        predictions: impl Borrow<Tensor<i64>>,
        targets: impl Borrow<Tensor<i64>>,
    ) {
        let (predictions, targets) = (predictions.borrow(), targets.borrow());
        check_shapes("Accuracy", predictions.shape(), targets.shape());
        for (prediction, target) in predictions.iter().zip(targets).filter(|(_, target)| *target != IGNORED) {
            self.add(prediction == target);
        }
    }

    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }
}

impl Metric for Accuracy {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("Accuracy", self.all > 0);
        self.right as f64 / self.all as f64
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The fraction of samples whose target is among the `k` classes with the largest scores; of classes with equal scores, the
/// first come first.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::Tensor;
/// use gradus::metrics::{Metric, TopK};
///
/// let mut top = TopK::new(2);
/// top.update([[0.1, 0.7, 0.2], [0.3, 0.5, 0.2]], Tensor::from([2, 2]));
/// assert_eq!(top.value(), 0.5);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TopK {
    k: usize,
    counts: Accuracy,
}

impl TopK {
    /// Of nothing yet.
    ///
    /// # Panics
    /// If `k` is 0.
    #[track_caller]
    pub fn new(k: usize) -> Self {
        assert!(k > 0, "TopK: k is 0: it must be 1 or larger");
        Self { k, counts: Accuracy::new() }
    }

    /// Adds samples by their scores, `[classes]` or `[rows, classes, ...]`, and targets, `[]` or `[rows, ...]`.
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is ignored.
    #[track_caller]
    pub fn update<T: Float>(&mut self, scores: impl AsVar<T>, targets: impl Borrow<Tensor<i64>>) {
        for (scores, target) in Scores::new("TopK", scores, targets.borrow()).rows() {
            self.counts.add(rank(scores, target) < self.k);
        }
    }
}

impl Metric for TopK {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("TopK", self.counts.all > 0);
        self.counts.value()
    }

    fn reset(&mut self) {
        self.counts.reset();
    }
}
