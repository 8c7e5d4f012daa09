//! Scores of classes, and the classes that are meant.

use std::cmp::Ordering;

use gradus_autograd::{AsVar, Float, Tensor};

/// The target that metrics of classes leave out, as the losses do.
pub const IGNORED: i64 = -100;

/// The scores of samples in rows, each with the class that is meant; ignored samples are left out.
pub(super) struct Scores {
    values: Vec<f64>,
    classes: usize,
    targets: Vec<Option<usize>>,
}

impl Scores {
    /// Scores `[classes]` or `[rows, classes, ...]` and targets of the same shape without the axis of the classes.
    #[track_caller]
    pub(super) fn new<T: Float>(metric: &str, scores: impl AsVar<T>, targets: &Tensor<i64>) -> Self {
        let scores = scores.as_var().value().cast::<f64>();
        let shape = scores.shape();
        assert!(
            !shape.is_empty(),
            "{metric}: the scores have shape []: they must be [classes] or [rows, classes, ...]"
        );
        let axis = usize::from(shape.len() > 1);
        let (classes, mut expected) = (shape[axis], shape.to_vec());
        expected.remove(axis);
        assert!(
            targets.shape() == expected,
            "{metric}: scores of shape {shape:?} need targets of shape {expected:?}, not {:?}",
            targets.shape()
        );
        let mut indices = Vec::with_capacity(targets.len());
        for target in targets {
            indices.push(class(metric, "target", target, classes));
        }
        // The axis of the classes comes last.
        let order = (0..shape.len()).filter(|&other| other != axis).chain([axis]);
        let values = scores.permute(order.map(|axis| axis as isize).collect::<Vec<_>>()).to_vec();
        Self { values, classes, targets: indices }
    }

    pub(super) fn classes(&self) -> usize {
        self.classes
    }

    /// The scores and the target of each sample.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[f64], usize)> {
        let rows = self.values.chunks_exact(self.classes.max(1)).zip(&self.targets);
        rows.filter_map(|(scores, target)| Some((scores, (*target)?)))
    }
}

/// The class as an index, or `None` for an ignored one.
#[track_caller]
pub(super) fn class(metric: &str, argument: &str, class: i64, classes: usize) -> Option<usize> {
    if class == IGNORED {
        return None;
    }
    let index = usize::try_from(class).ok().filter(|&index| index < classes);
    assert!(
        index.is_some(),
        "{metric}: a {argument} is {class}: with {classes} classes it must be from 0 to {}, or {IGNORED} to be ignored",
        classes as isize - 1
    );
    index
}

/// The number of classes that come before a class, by score and then by index. NaN is the largest score.
pub(super) fn rank(scores: &[f64], class: usize) -> usize {
    let before = |(other, &score): (usize, &f64)| match descending(score, scores[class]) {
        Ordering::Less => true,
        Ordering::Equal => other < class,
        Ordering::Greater => false,
    };
    scores.iter().enumerate().filter(|&scored| before(scored)).count()
}

/// The largest first, NaN before all.
fn descending(x: f64, y: f64) -> Ordering {
    y.is_nan().cmp(&x.is_nan()).then(y.partial_cmp(&x).unwrap_or(Ordering::Equal))
}

/// Panics unless predictions and targets have the same shape.
#[track_caller]
pub(super) fn check_shapes(metric: &str, predictions: &[usize], targets: &[usize]) {
    assert!(
        predictions == targets,
        "{metric}: predictions of shape {predictions:?} and targets of shape {targets:?}: the shapes must be equal"
    );
}
