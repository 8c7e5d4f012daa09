//! Predictions of classes and their targets.

use gradus_autograd::shapes::{check_targets, invalid_target};
use gradus_autograd::{Float, Indices, Mask, OrPanic, Tensor, Var};

/// The axis of classes of a prediction, and the weights of the classes.
pub(super) struct Classes<'a, T: Float> {
    loss: &'static str,
    shape: &'a [usize],
    pub(super) axis: usize,
    pub(super) count: usize,
    weight: Option<&'a Var<T>>,
}

impl<'a, T: Float> Classes<'a, T> {
    #[track_caller]
    pub(super) fn new(loss: &'static str, prediction: &'a Var<T>, weight: Option<&'a Var<T>>) -> Self {
        let shape = prediction.shape();
        assert!(!shape.is_empty(), "{loss}: the logits have shape []: they need an axis of classes");
        let axis = usize::from(shape.len() > 1);
        let count = shape[axis];
        if let Some(weight) = weight {
            assert!(
                weight.shape() == [count],
                "{loss}: the logits have shape {shape:?} and `weight` {:?}: it must be [{count}], one weight for each \
                 class",
                weight.shape()
            );
        }
        Self { loss, shape, axis, count, weight }
    }

    /// Log-probabilities times the weights of their classes.
    pub(super) fn weighted(&self, log_probabilities: Var<T>) -> Var<T> {
        let Some(weight) = self.weight else { return log_probabilities };
        let mut shape = vec![1; self.shape.len() - self.axis];
        shape[0] = self.count;
        log_probabilities.multiply_no_nan(weight.reshape(shape))
    }

    /// The targets of the rows; rows with the target `ignore_index` are ignored.
    #[track_caller]
    pub(super) fn rows(&self, targets: &Indices<T>, ignore_index: i64) -> Rows<T> {
        let Self { loss, shape, axis, count, .. } = *self;
        check_targets(loss, shape, axis as isize, targets.shape()).or_panic();
        for target in targets.numbers() {
            assert!(
                target == ignore_index || (0..count as i64).contains(&target),
                "{}",
                invalid_target(loss, target, shape, count, Some(ignore_index))
            );
        }
        let is_ignored = targets.eq(ignore_index);
        let classes = targets.masked_fill(&is_ignored, 0);
        let weight = match self.weight {
            Some(weight) => weight.index_select(0, classes.reshape([-1])).reshape(targets.shape()),
            None => Var::constant(Tensor::scalar(T::ONE).expand(targets.shape())),
        };
        let mut one_each = targets.shape().to_vec();
        one_each.insert(axis, 1);
        let weight = weight.masked_fill(&is_ignored, T::ZERO);
        Rows { axis: axis as isize, classes: classes.reshape(one_each), is_ignored, weight }
    }
}

/// The targets of the rows of a prediction.
pub(super) struct Rows<T: Float> {
    axis: isize,
    is_ignored: Mask<T>,
    /// The class of a row, with an axis of size 1 in the place of the classes.
    classes: Indices<T>,
    /// The weight of this class, 0 if the row is ignored.
    pub(super) weight: Var<T>,
}

impl<T: Float> Rows<T> {
    /// The negative log-probabilities of the targets, times their weights.
    pub(super) fn nll(&self, log_probabilities: &Var<T>) -> Var<T> {
        let right = log_probabilities.gather(self.axis, &self.classes).squeeze(self.axis);
        (-right).multiply_no_nan(&self.weight)
    }

    /// The losses of rows, 0 if the row is ignored.
    pub(super) fn without_ignored(&self, losses: Var<T>) -> Var<T> {
        losses.masked_fill(&self.is_ignored, T::ZERO)
    }
}
