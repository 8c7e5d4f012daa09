//! Losses of classification into several classes.

use gradus_autograd::{Float, Indices, Tensor, Var};

use super::rows::Classes;
use super::{Reduction, loss};
use crate::inside;

/// The right classes, as indices or as the probability of each class; [`CrossEntropyLoss`] takes anything that can be
/// converted into them.
#[derive(Debug, Clone)]
pub enum ClassTargets<T: Float = f32> {
    /// The index of the right class, in the logits' shape without the axis of classes.
    Indices(Indices<T>),
    /// The probability of each class, in the logits' shape.
    Probabilities(Var<T>),
}

/// Conversions of owned and borrowed targets.
macro_rules! class_targets {
    ($([$($t:tt)*] $source:ty => $variant:ident of $element:ty;)*) => {$(
        impl<$($t)*> From<$source> for ClassTargets<$element> {
            fn from(targets: $source) -> Self {
                Self::$variant(targets.into())
            }
        }

        impl<$($t)*> From<&$source> for ClassTargets<$element> {
            fn from(targets: &$source) -> Self {
                Self::$variant(targets.clone().into())
            }
        }
    )*};
}
class_targets! {
    [T: Float] Tensor<i64> => Indices of T;
    [T: Float] Indices<T> => Indices of T;
    [T: Float] Var<T> => Probabilities of T;
    // `Tensor<T>` for every `Float` would overlap with `Tensor<i64>`.
    [] Tensor<f32> => Probabilities of f32;
    [] Tensor<f64> => Probabilities of f64;
}

loss! {
    /// The negative log-likelihood: minus the log-probability of the right class, for log-probabilities `[classes]` or
    /// `[rows, classes, ...]`.
    #[derive(Debug, Clone)]
    NllLoss<T> {
        /// Optional weight per class, `[classes]`.
        weight: Option<Var<T>> = None,
        /// The target of rows that are ignored.
        ignore_index: i64 = -100,
    }
}

impl<T: Float> NllLoss<T> {
    /// Sets the weight per class, `[classes]`: the loss of a row is multiplied by the weight of its target, and the
    /// mean is the sum divided by the sum of these weights.
    #[must_use]
    pub fn weight(self, weight: impl Into<Var<T>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// Sets the target of rows that are ignored: their loss is 0 and does not enter the mean.
    #[must_use]
    pub fn ignore_index(self, ignore_index: i64) -> Self {
        Self { ignore_index, ..self }
    }

    /// The loss of log-probabilities `[classes]` or `[rows, classes, ...]`; targets are the indices of the right
    /// classes, in the shape without the axis of classes.
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor `ignore_index`.
    #[track_caller]
    pub fn forward(&self, prediction: &Var<T>, targets: impl Into<Indices<T>>) -> Var<T> {
        let _scope = inside::open_named("nll_loss");
        let classes = Classes::new("nll_loss", prediction, self.weight.as_ref());
        let rows = classes.rows(&targets.into(), self.ignore_index);
        self.reduction.reduce(rows.nll(prediction), prediction.shape(), Some(&rows.weight))
    }
}

loss! {
    /// The cross-entropy between the softmax of logits, `[classes]` or `[rows, classes, ...]`, and targets: indices of
    /// the right classes, or the probability of each class.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::CrossEntropyLoss;
    ///
    /// let logits = Var::leaf(Tensor::from([[0.0_f64, 0.0], [1.0, 1.0], [5.0, 0.0]]));
    /// let loss = CrossEntropyLoss::new().label_smoothing(0.1).ignore_index(-1);
    /// let loss = loss.forward(&logits, &Tensor::from([0, 1, -1]));
    /// assert!((loss.item() - 2.0_f64.ln()).abs() < 1e-15);
    /// ```
    #[derive(Debug, Clone)]
    CrossEntropyLoss<T> {
        /// Optional weight per class, `[classes]`.
        weight: Option<Var<T>> = None,
        /// The target of rows that are ignored.
        ignore_index: i64 = -100,
        /// The part of the probability that the right class shares with all classes.
        label_smoothing: f64 = 0.0,
    }
}

impl<T: Float> CrossEntropyLoss<T> {
    /// Sets the weight per class, `[classes]`: every term of the loss is multiplied by the weight of its class. For
    /// targets that are indices, the mean is the sum divided by the sum of the targets' weights.
    #[must_use]
    pub fn weight(self, weight: impl Into<Var<T>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// Sets the target of rows that are ignored: their loss is 0 and does not enter the mean.
    #[must_use]
    pub fn ignore_index(self, ignore_index: i64) -> Self {
        Self { ignore_index, ..self }
    }

    /// Sets the part of the probability, from 0 to 1, that goes from the right class to all classes in equal shares
    /// (Szegedy et al., 2016), so that the loss is least for finite logits.
    ///
    /// # Panics
    /// If it is not within 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn label_smoothing(self, label_smoothing: f64) -> Self {
        let changed = Self { label_smoothing, ..self };
        changed.check_smoothing();
        changed
    }

    #[track_caller]
    fn check_smoothing(&self) {
        let smoothing = self.label_smoothing;
        assert!(
            (0.0..=1.0).contains(&smoothing),
            "cross_entropy: `label_smoothing` is {smoothing}: allowed is 0 to 1"
        );
    }

    /// The loss of logits `[classes]` or `[rows, classes, ...]`. Targets are the indices of the right classes, in the
    /// shape without the axis of classes, or the probability of each class, in the shape of the logits.
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor `ignore_index`; if targets are
    /// probabilities and `ignore_index` is not negative; or if `label_smoothing` is not within 0 and 1.
    #[track_caller]
    pub fn forward(&self, logits: &Var<T>, targets: impl Into<ClassTargets<T>>) -> Var<T> {
        let _scope = inside::open_named("cross_entropy");
        self.check_smoothing();
        let classes = Classes::new("cross_entropy", logits, self.weight.as_ref());
        let kept = 1.0 - self.label_smoothing;
        let spread = T::from_f64(self.label_smoothing / classes.count as f64);
        let targets = match targets.into() {
            ClassTargets::Indices(targets) => targets,
            ClassTargets::Probabilities(probabilities) => {
                return self.of_probabilities(&classes, logits, probabilities * T::from_f64(kept) + spread);
            }
        };
        if self.weight.is_none() && self.label_smoothing == 0.0 && self.reduction == Reduction::Mean {
            return logits.softmax_cross_entropy(classes.axis as isize, &targets, Some(self.ignore_index));
        }
        let rows = classes.rows(&targets, self.ignore_index);
        let log_softmax = logits.log_softmax(classes.axis as isize);
        let mut losses = rows.nll(&log_softmax);
        if self.label_smoothing > 0.0 {
            let all = -classes.weighted(log_softmax).sum(classes.axis);
            losses = losses.multiply_no_nan(T::from_f64(kept)) + rows.without_ignored(all) * spread;
        }
        self.reduction.reduce(losses, logits.shape(), Some(&rows.weight))
    }

    #[track_caller]
    fn of_probabilities(&self, classes: &Classes<T>, logits: &Var<T>, probabilities: Var<T>) -> Var<T> {
        assert!(
            logits.shape() == probabilities.shape(),
            "cross_entropy: the logits have shape {:?} and the targets, probabilities, {:?}: they must be equal; \
             indices of classes are a `Tensor<i64>`",
            logits.shape(),
            probabilities.shape()
        );
        assert!(
            self.ignore_index < 0,
            "cross_entropy: `ignore_index` is {}, and the targets are probabilities: it is for targets that are \
             indices",
            self.ignore_index
        );
        let log_softmax = classes.weighted(logits.log_softmax(classes.axis as isize));
        let losses = -log_softmax.multiply_no_nan(probabilities).sum(classes.axis);
        self.reduction.reduce(losses, logits.shape(), None)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<gradus_autograd::testing::Case> {
    use gradus_autograd::testing::{case, shapes};
    use proptest::prelude::*;

    use super::reductions;
    /// Random targets; if `ignored`, some are -1, but never the first.
    fn targets(shape: &[usize], seed: u64, ignored: bool) -> Tensor<i64> {
        let mut shape = shape.to_vec();
        let classes = shape.remove(usize::from(shape.len() > 1)) as f64;
        let random = Tensor::<f64>::rand(shape, &mut gradus_autograd::seeded(seed));
        let drawn: Tensor<i64> = (&random * classes).cast();
        let place = Tensor::arange(0, random.len() as i64, 1).reshape(random.shape());
        let left_out = random.lt(if ignored { 0.3 } else { 0.0 }).logical_and(place.gt(0));
        left_out.where_(-1, drawn)
    }
    fn classes(shape: &[usize]) -> [usize; 1] {
        [shape[usize::from(shape.len() > 1)]]
    }

    let options = || (shapes(1..=4, 1..=4), any::<u64>(), reductions(), any::<[bool; 3]>(), 0.0..1.0);
    vec![
        case!(
            "nll_loss", (shape, seed, reduction, [weighted, ignored, _], _) in options(),
            [shape.clone() => -2.0..0.0, classes(&shape) => 0.5..1.5],
            |x, weight| {
                let loss = NllLoss::new().reduction(reduction).ignore_index(-1);
                let loss = if weighted { loss.weight(weight) } else { loss };
                loss.forward(x, targets(x.shape(), seed, ignored))
            }
        ),
        case!(
            "cross_entropy", (shape, seed, reduction, [weighted, ignored, smooth], smoothing) in options(),
            [shape.clone() => -2.0..2.0, classes(&shape) => 0.5..1.5],
            |x, weight| {
                let loss = CrossEntropyLoss::new().reduction(reduction).ignore_index(-1);
                let loss = if weighted { loss.weight(weight) } else { loss };
                let loss = if smooth { loss.label_smoothing(smoothing) } else { loss };
                loss.forward(x, targets(x.shape(), seed, ignored))
            }
        ),
        case!(
            "cross_entropy", (shape, _, reduction, [weighted, ..], smoothing) in options(),
            [shape.clone() => -2.0..2.0, shape.clone() => 0.0..1.0, classes(&shape) => 0.5..1.5],
            |x, probabilities, weight| {
                let loss = CrossEntropyLoss::new().reduction(reduction).label_smoothing(smoothing);
                if weighted { loss.weight(weight) } else { loss }.forward(x, probabilities)
            }
        ),
    ]
}
