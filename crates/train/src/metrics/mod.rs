//! Metrics: values of a model over everything that it was shown, batch by batch.
//!
//! Every metric has an `update` that takes a batch: predictions as a variable, a tensor or numbers, which is never
//! recorded, and targets. Sums are kept in double precision and compensated, so that the batches do not matter: many
//! small ones give what one pass over everything gives. [`Metric::value`] is the value so far.
//!
//! Classes are the indices 0, 1, ...; their scores, such as logits, are `[classes]` or `[rows, classes, ...]`, as for
//! [`cross_entropy`](gradus_nn::Losses::cross_entropy), and the target -100 is ignored as it is there. The predicted class
//! has the largest score: the first one if several are equal, and the first NaN if there is a NaN.
//!
//! Where the definition of a metric divides 0 by 0, its value is the one that scikit-learn gives; the metric says which.
//!
//! ```
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
//! use gradus::Tensor;
//! use gradus::metrics::{Accuracy, Mean, Metric};
//!
//! let (mut loss, mut accuracy) = (Mean::new(), Accuracy::new());
//! for (logits, targets) in [([[2.0, 1.0], [0.0, 3.0]], [0, 1]), ([[1.0, 0.0], [1.0, 0.0]], [0, 1])] {
//!     loss.update(0.5, targets.len());
//!     accuracy.update(logits, Tensor::from(targets));
//! }
//! assert_eq!((loss.value(), accuracy.value()), (0.5, 0.75));
//! ```

mod accuracy;
mod confusion;
mod mean;
mod ranking;
mod regression;
mod scores;
mod sum;

pub use accuracy::{Accuracy, TopK};
pub use confusion::{Averaging, ConfusionMatrix};
pub use mean::{Mean, Perplexity};
pub use ranking::{AveragePrecision, MacroRocAuc, RocAuc};
pub use regression::{Mae, Mse, R2, Rmse};
pub use scores::IGNORED;
pub(crate) use sum::Sum;

/// A value of everything that a metric was updated with.
///
/// `update` is a method of each metric and not of this trait: a mean takes a number and its weight, an accuracy scores and
/// classes, an error numbers and numbers.
pub trait Metric {
    /// The value of everything so far.
    ///
    /// # Panics
    /// If there is nothing so far.
    #[track_caller]
    fn value(&self) -> f64;

    /// Forgets everything: the metric is as it was made.
    fn reset(&mut self);
}

/// Panics at the caller's line: a metric without updates has no value.
#[track_caller]
fn check_any(metric: &str, any: bool) {
    assert!(any, "{metric}: there is no value before the first update");
}
