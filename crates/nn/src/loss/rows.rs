//! Predictions of classes and their targets.

use gradus_autograd::{
    DiscreteOperation, Float, Indices, Inputs, Mask, Shape, Tensor, TensorError, Var, decide,
};

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
        let mut expected = shape.to_vec();
        expected.remove(axis);
        assert!(
            targets.shape() == expected,
            "{loss}: the logits have shape {shape:?} and the targets {:?}: the targets must have shape {expected:?}, \
             without the axis of classes",
            targets.shape()
        );
        for target in targets.value() {
            assert!(
                target == ignore_index || (0..count as i64).contains(&target),
                "{loss}: target {target} is out of range for logits of shape {shape:?}: with {count} classes, allowed \
                 are 0 to {}",
                count as i64 - 1
            );
        }
        let kept: Mask<T> = decide(Kept { ignore_index }, &[targets]);
        let classes: Indices<T> = decide(ClassOrZero { ignore_index }, &[targets]);
        let weight = match self.weight {
            Some(weight) => weight.index_select(0, classes.reshape([-1])).reshape(targets.shape()),
            None => Var::constant(Tensor::scalar(T::ONE).expand(targets.shape())),
        };
        let classes = classes.reshape([&expected[..axis], &[1], &expected[axis..]].concat());
        Rows { axis: axis as isize, weight: Var::where_(&kept, weight, T::ZERO), kept, classes }
    }
}

/// Whether a target counts.
#[derive(Debug)]
struct Kept {
    ignore_index: i64,
}

impl<T: Float> DiscreteOperation<T, bool> for Kept {
    fn name(&self) -> &'static str {
        "kept"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<bool> {
        inputs.indices(0).ne(self.ignore_index)
    }
}

/// The class of a target; 0 for one that is ignored, as any class will do there.
#[derive(Debug)]
struct ClassOrZero {
    ignore_index: i64,
}

impl<T: Float> DiscreteOperation<T, i64> for ClassOrZero {
    fn name(&self) -> &'static str {
        "class_or_zero"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        let targets = inputs.indices(0);
        targets.ne(self.ignore_index).where_(targets, 0)
    }
}

/// The targets of the rows of a prediction.
pub(super) struct Rows<T: Float> {
    axis: isize,
    /// Whether a row is not ignored.
    kept: Mask<T>,
    /// The class of a row, with an axis of size 1 in the place of the classes.
    classes: Indices<T>,
    /// The weight of this class, 0 if the row is ignored.
    weight: Var<T>,
}

impl<T: Float> Rows<T> {
    /// The negative log-probabilities of the targets, times their weights.
    pub(super) fn nll(&self, log_probabilities: &Var<T>) -> Var<T> {
        let right = log_probabilities.gather(self.axis, &self.classes).squeeze(self.axis);
        (-right).multiply_no_nan(&self.weight)
    }

    /// The losses of rows, 0 if the row is ignored.
    pub(super) fn without_ignored(&self, losses: Var<T>) -> Var<T> {
        Var::where_(&self.kept, losses, T::ZERO)
    }

    pub(super) fn total_weight(&self) -> Var<T> {
        self.weight.sum(..)
    }
}
