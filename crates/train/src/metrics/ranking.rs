//! How well scores put the samples in order.

use std::borrow::Borrow;

use gradus_autograd::{AsVar, Float, Tensor};

use super::scores::{Scores, class};
use super::{Metric, check_any};

/// Scores, and whether each belongs to a positive sample.
#[derive(Debug, Clone, Default)]
struct Scored(Vec<(f64, bool)>);

impl Scored {
    #[track_caller]
    fn update<T: Float>(&mut self, metric: &str, scores: impl AsVar<T>, targets: &Tensor<i64>) {
        let scores = scores.as_var();
        let [left, right] = [scores.shape(), targets.shape()];
        assert!(
            left == right,
            "{metric}: scores of shape {left:?} and targets of shape {right:?}: the shapes must be equal"
        );
        for (score, target) in scores.value().iter().zip(targets) {
            if let Some(target) = class(metric, "target", target, 2) {
                self.0.push((score.to_f64(), target == 1));
            }
        }
    }

    fn positives(&self) -> usize {
        self.0.iter().filter(|(_, positive)| *positive).count()
    }

    /// The number of positive and negative samples for each score, from the largest score down; `None` if a score is NaN.
    fn thresholds(&self) -> Option<Vec<[usize; 2]>> {
        let mut sorted = self.0.clone();
        if sorted.iter().any(|(score, _)| score.is_nan()) {
            return None;
        }
        sorted.sort_unstable_by(|(x, _), (y, _)| y.partial_cmp(x).expect("no score is NaN"));
        let equal = sorted.chunk_by(|(x, _), (y, _)| x == y);
        Some(
            equal
                .map(|group| {
                    let positives = group.iter().filter(|(_, positive)| *positive).count();
                    [positives, group.len() - positives]
                })
                .collect(),
        )
    }

    /// The area under the receiver operating characteristic: an exact count of pairs.
    fn area(&self) -> f64 {
        let positives = self.positives();
        let pairs = positives as u128 * (self.0.len() - positives) as u128;
        let Some(thresholds) = self.thresholds().filter(|_| pairs > 0) else { return f64::NAN };
        // Twice the number of pairs in the right order; an equal pair counts half.
        let (mut twice, mut above) = (0_u128, 0_u128);
        for [positives, negatives] in thresholds {
            let (positives, negatives) = (positives as u128, negatives as u128);
            twice += negatives * (2 * above + positives);
            above += positives;
        }
        twice as f64 / (2 * pairs) as f64
    }
}

/// The area under the receiver operating characteristic of a binary classifier: the probability that a positive sample has a
/// larger score than a negative one, where equal scores count half (Hanley and `McNeil`, "The meaning and use of the area
/// under a receiver operating characteristic (ROC) curve", 1982).
///
/// Its value is NaN if all samples are of one class, or a score is NaN. It keeps all scores.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::Tensor;
/// use gradus::metrics::{Metric, RocAuc};
///
/// let mut area = RocAuc::new();
/// area.update([0.1, 0.4, 0.35, 0.8], Tensor::from([0, 0, 1, 1]));
/// assert_eq!(area.value(), 0.75);
/// ```
#[derive(Debug, Clone, Default)]
pub struct RocAuc(Scored);

impl RocAuc {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples by their scores, such as logits or probabilities, and targets of the same shape: 1 for positive
    /// samples, 0 for negative ones.
    ///
    /// # Panics
    /// If the shapes differ, or a target is neither 0, 1 nor -100, which is ignored.
    #[track_caller]
    pub fn update<T: Float>(&mut self, scores: impl AsVar<T>, targets: impl Borrow<Tensor<i64>>) {
        self.0.update("RocAuc", scores, targets.borrow());
    }
}

impl Metric for RocAuc {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("RocAuc", !self.0.0.is_empty());
        self.0.area()
    }

    fn reset(&mut self) {
        self.0.0.clear();
    }
}

/// The mean over the classes of [`RocAuc`] of each class against the rest.
///
/// A class of which there is no sample, or no sample of another, has no area; its value is NaN if this is so for all
/// classes. (scikit-learn gives NaN if it is so for any.)
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::Tensor;
/// use gradus::metrics::{MacroRocAuc, Metric};
///
/// let mut area = MacroRocAuc::new(3);
/// area.update([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.3, 0.4, 0.3]], Tensor::from([0, 1, 2]));
/// assert_eq!(area.value(), (1.0 + 1.0 + 0.75) / 3.0);
/// ```
#[derive(Debug, Clone)]
pub struct MacroRocAuc {
    by_class: Vec<Scored>,
}

impl MacroRocAuc {
    /// Of nothing yet.
    ///
    /// # Panics
    /// If there are fewer than 2 classes.
    #[track_caller]
    pub fn new(classes: usize) -> Self {
        assert!(classes > 1, "MacroRocAuc: the number of classes is {classes}: it must be 2 or larger");
        Self { by_class: vec![Scored::default(); classes] }
    }

    /// Adds samples by their scores, `[classes]` or `[rows, classes, ...]`, and targets, `[]` or `[rows, ...]`. The scores
    /// of a sample should be probabilities, as scores of different samples are compared.
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is ignored.
    #[track_caller]
    pub fn update<T: Float>(&mut self, scores: impl AsVar<T>, targets: impl Borrow<Tensor<i64>>) {
        let scores = Scores::new("MacroRocAuc", scores, targets.borrow());
        let (classes, expected) = (scores.classes(), self.by_class.len());
        assert!(
            classes == expected,
            "MacroRocAuc: there are scores of {classes} classes: the metric has {expected}"
        );
        for (scores, target) in scores.rows() {
            for (class, (scored, &score)) in self.by_class.iter_mut().zip(scores).enumerate() {
                scored.0.push((score, class == target));
            }
        }
    }
}

impl Metric for MacroRocAuc {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("MacroRocAuc", !self.by_class[0].0.is_empty());
        let defined = self.by_class.iter().filter(|scored| (1..scored.0.len()).contains(&scored.positives()));
        let areas: Vec<f64> = defined.map(Scored::area).collect();
        areas.iter().sum::<f64>() / areas.len() as f64
    }

    fn reset(&mut self) {
        self.by_class.iter_mut().for_each(|scored| scored.0.clear());
    }
}

/// The mean precision over the thresholds, weighted by the recall that each one adds.
///
/// Its value is 0 if there is no positive sample, as in scikit-learn, and NaN if a score is NaN. It keeps all scores.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::Tensor;
/// use gradus::metrics::{AveragePrecision, Metric};
///
/// let mut precision = AveragePrecision::new();
/// precision.update([0.1, 0.4, 0.35, 0.8], Tensor::from([0, 0, 1, 1]));
/// assert_eq!(precision.value(), 0.5 * 1.0 + 0.5 * 2.0 / 3.0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct AveragePrecision(Scored);

impl AveragePrecision {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples by their scores and targets of the same shape: 1 for positive samples, 0 for negative ones.
    ///
    /// # Panics
    /// If the shapes differ, or a target is neither 0, 1 nor -100, which is ignored.
    #[track_caller]
    pub fn update<T: Float>(&mut self, scores: impl AsVar<T>, targets: impl Borrow<Tensor<i64>>) {
        self.0.update("AveragePrecision", scores, targets.borrow());
    }
}

impl Metric for AveragePrecision {
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("AveragePrecision", !self.0.0.is_empty());
        let Some(thresholds) = self.0.thresholds() else { return f64::NAN };
        let (mut sum, mut right, mut found) = (0.0, 0, 0);
        for [positives, negatives] in thresholds {
            right += positives;
            found += positives + negatives;
            sum += positives as f64 * (right as f64 / found as f64);
        }
        if right == 0 { 0.0 } else { sum / right as f64 }
    }

    fn reset(&mut self) {
        self.0.0.clear();
    }
}
