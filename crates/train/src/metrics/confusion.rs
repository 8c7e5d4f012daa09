//! The counts of targets by predictions, and all that follows from them.

use std::borrow::Borrow;
use std::fmt::{self, Display, Formatter};

use gradus_autograd::{AsVar, Float, Tensor};

use super::scores::{Scores, check_shapes, class, rank};
use super::{Metric, check_any};

/// The number of samples of each class, by row, that were taken for each class, by column.
///
/// Printed, it is a table. Its [value](Metric::value) is the accuracy. Precision is 0 for a class that was never predicted,
/// recall for one that was never meant, F1 for one that was neither, as in scikit-learn.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::Tensor;
/// use gradus::metrics::{Averaging, ConfusionMatrix, Metric};
///
/// let mut matrix = ConfusionMatrix::new(2);
/// matrix.update([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], Tensor::from([0, 0, 1]));
/// assert_eq!(matrix.counts(), Tensor::from([[1, 1], [0, 1]]));
/// assert_eq!(matrix.precision(), [1.0, 0.5]);
/// assert_eq!(matrix.recall(), [0.5, 1.0]);
/// assert_eq!(Averaging::Macro.of(&matrix, ConfusionMatrix::recall), 0.75);
/// assert_eq!(matrix.to_string(), "\
/// target \\ prediction  0  1
///                   0  1  1
///                   1  0  1");
/// ```
///
/// With the names of the classes:
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// # use gradus::Tensor;
/// # use gradus::metrics::ConfusionMatrix;
/// let mut matrix = ConfusionMatrix::with_names(["cat", "dog"]);
/// matrix.update_classes(Tensor::from([0, 1, 1]), Tensor::from([0, 0, 1]));
/// assert_eq!(matrix.to_string(), "\
/// target \\ prediction  cat  dog
///                 cat    1    1
///                 dog    0    1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    names: Vec<String>,
    /// Row by row.
    counts: Vec<u64>,
}

/// How the scores of classes become one number, after scikit-learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Averaging {
    /// The mean over the classes that are meant or predicted at least once.
    Macro,
    /// The score of all classes together; for precision, recall and F1 alike, it is the accuracy.
    Micro,
    /// The mean over the classes, by the number of their samples.
    Weighted,
}

impl Averaging {
    /// One number of the score of each class, such as [`ConfusionMatrix::f1`].
    ///
    /// # Panics
    /// If there are no samples.
    #[track_caller]
    pub fn of(self, matrix: &ConfusionMatrix, score: impl Fn(&ConfusionMatrix) -> Vec<f64>) -> f64 {
        check_any("Averaging", matrix.samples() > 0);
        let classes = matrix.totals();
        let weight = |[_, predicted, meant]: [u64; 3]| match self {
            Self::Macro => f64::from(u8::from(predicted + meant > 0)),
            Self::Weighted => meant as f64,
            Self::Micro => unreachable!("it is the accuracy"),
        };
        if self == Self::Micro {
            return matrix.value();
        }
        let scores = score(matrix);
        let sum: f64 = scores.iter().zip(&classes).map(|(score, class)| score * weight(*class)).sum();
        sum / classes.into_iter().map(weight).sum::<f64>()
    }
}

impl ConfusionMatrix {
    /// Of nothing yet.
    ///
    /// # Panics
    /// If there are no classes.
    #[track_caller]
    pub fn new(classes: usize) -> Self {
        assert!(classes > 0, "ConfusionMatrix: there are 0 classes: there must be 1 or more");
        Self::with_names((0..classes).map(|class| class.to_string()))
    }

    /// Of nothing yet, with a class for each name.
    ///
    /// # Panics
    /// If there are no names.
    #[track_caller]
    pub fn with_names<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let classes = names.len();
        assert!(
            classes > 0,
            "ConfusionMatrix: there are 0 names: there must be 1 or more, one for each class"
        );
        Self { classes, names, counts: vec![0; classes * classes] }
    }

    /// The names of the classes, which are their numbers if they were given none.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds samples by their scores, `[classes]` or `[rows, classes, ...]`, and targets, `[]` or `[rows, ...]`.
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is ignored.
    #[track_caller]
    pub fn update<T: Float>(&mut self, scores: impl AsVar<T>, targets: impl Borrow<Tensor<i64>>) {
        let scores = Scores::new("ConfusionMatrix", scores, targets.borrow());
        let classes = scores.classes();
        assert!(
            classes == self.classes,
            "ConfusionMatrix: there are scores of {classes} classes: the matrix has {}",
            self.classes
        );
        for (scores, target) in scores.rows() {
            let first = (0..classes).find(|&class| rank(scores, class) == 0).expect("one class is the first");
            self.counts[target * classes + first] += 1;
        }
    }

    /// Adds samples by their predicted classes; predictions and targets have the same shape. Samples with the target -100
    /// are ignored.
    ///
    /// # Panics
    /// If the shapes differ, or a class is out of range.
    #[track_caller]
    pub fn update_classes(
        &mut self,
        predictions: impl Borrow<Tensor<i64>>,
        targets: impl Borrow<Tensor<i64>>,
    ) {
        let (predictions, targets) = (predictions.borrow(), targets.borrow());
        check_shapes("ConfusionMatrix", predictions.shape(), targets.shape());
        for (prediction, target) in predictions.iter().zip(targets) {
            let prediction = class("ConfusionMatrix", "prediction", prediction, self.classes);
            let target = class("ConfusionMatrix", "target", target, self.classes);
            if let (Some(prediction), Some(target)) = (prediction, target) {
                self.counts[target * self.classes + prediction] += 1;
            }
        }
    }

    /// The counts `[classes, classes]`: targets by row, predictions by column.
    pub fn counts(&self) -> Tensor<i64> {
        let counts: Vec<i64> = self.counts.iter().map(|&count| count as i64).collect();
        Tensor::from(counts).reshape((self.classes, self.classes))
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// For each class, the part of its predictions that are right.
    pub fn precision(&self) -> Vec<f64> {
        self.totals().into_iter().map(|[right, predicted, _]| ratio(right, predicted)).collect()
    }

    /// For each class, the part of its samples that are found.
    pub fn recall(&self) -> Vec<f64> {
        self.totals().into_iter().map(|[right, _, meant]| ratio(right, meant)).collect()
    }

    /// For each class, the harmonic mean of precision and recall.
    pub fn f1(&self) -> Vec<f64> {
        self.totals()
            .into_iter()
            .map(|[right, predicted, meant]| ratio(2 * right, predicted + meant))
            .collect()
    }

    /// For each class, the number of samples that are right, that are predicted and that are meant.
    fn totals(&self) -> Vec<[u64; 3]> {
        let n = self.classes;
        let column = |class: usize| self.counts.iter().skip(class).step_by(n).sum();
        let row = |class: usize| self.counts[class * n..(class + 1) * n].iter().sum();
        (0..n).map(|class| [self.counts[class * (n + 1)], column(class), row(class)]).collect()
    }
}

/// The ratio, or 0 of nothing.
fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

impl Metric for ConfusionMatrix {
    /// The accuracy.
    #[track_caller]
    fn value(&self) -> f64 {
        check_any("ConfusionMatrix", self.samples() > 0);
        let right: u64 = self.counts.iter().step_by(self.classes + 1).sum();
        ratio(right, self.samples())
    }

    fn reset(&mut self) {
        self.counts.fill(0);
    }
}

impl Display for ConfusionMatrix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const CORNER: &str = "target \\ prediction";
        let largest = self.counts.iter().max().map_or(1, |count| count.to_string().len());
        let longest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let (first, width) = (longest.max(CORNER.len()), longest.max(largest));
        write!(f, "{CORNER:>first$}")?;
        self.names.iter().try_for_each(|name| write!(f, "  {name:>width$}"))?;
        for (name, row) in self.names.iter().zip(self.counts.chunks_exact(self.classes)) {
            write!(f, "\n{name:>first$}")?;
            row.iter().try_for_each(|count| write!(f, "  {count:>width$}"))?;
        }
        Ok(())
    }
}
