//! Loss functions.
//!
//! Each loss is a struct with options, and a method of [`Var`] with PyTorch's defaults, in [`Losses`].

mod binary;
mod classes;
mod distillation;
mod elements;
mod embeddings;
mod rows;

use std::borrow::{Borrow, Cow};

use gradus_autograd::{AsVar, Float, Indices, Mask, Var, broadcast_shapes};

pub use binary::{BceLoss, BceWithLogitsLoss};
pub use classes::{ClassTargets, CrossEntropyLoss, NllLoss};
pub use distillation::DistillationLoss;
pub use elements::{HuberLoss, KlDivLoss, L1Loss, MseLoss, SmoothL1Loss};
pub use embeddings::{CosineEmbeddingLoss, TripletMarginLoss};

/// How the losses of single elements or rows become one number.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{L1Loss, Reduction};
///
/// let (x, y) = (Var::constant([[1.0, 2.0], [3.0, 4.0]]), Tensor::zeros([2, 2]));
/// let loss = |reduction| L1Loss::new().reduction(reduction).forward(&x, &y).into_value();
/// assert_eq!(loss(Reduction::None), Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
/// assert_eq!(loss(Reduction::Mean), Tensor::from(2.5));
/// assert_eq!(loss(Reduction::Sum), Tensor::from(10.0));
/// assert_eq!(loss(Reduction::BatchMean), Tensor::from(5.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// No reduction.
    None,
    /// The mean, NaN of no losses; if classes have weights, the sum divided by the sum of the targets' weights.
    #[default]
    Mean,
    /// The sum.
    Sum,
    /// The sum divided by the size of the first axis.
    BatchMean,
}

impl Reduction {
    /// The reduced losses of a prediction of this shape; losses have weights already, by whose sum the mean divides.
    // A mean of large losses is finite where their sum is not.
    fn reduce<T: Float>(self, losses: Var<T>, shape: &[usize], weights: Option<&Var<T>>) -> Var<T> {
        match (self, weights) {
            (Self::None, _) => losses,
            (Self::Mean, None) => losses.mean(..),
            (Self::Mean, Some(weights)) => losses.mean(..) / weights.mean(..),
            (Self::Sum, _) => losses.sum(..),
            (Self::BatchMean, _) => {
                let size = shape.first().map_or(1.0, |&size| size as f64);
                if losses.is_empty() {
                    return losses.sum(..) / T::from_f64(size);
                }
                losses.mean(..) * T::from_f64(losses.len() as f64 / size)
            }
        }
    }

    /// The reduced losses of single elements, `loss` of a prediction and a target that is one number or must have its
    /// shape: `[n]` against `[n, 1]` would broadcast to the wrong thing.
    #[track_caller]
    fn of_elements<T: Float>(
        self,
        name: &str,
        prediction: &Var<T>,
        target: impl AsVar<T>,
        loss: impl FnOnce(&Var<T>, &Var<T>) -> Var<T>,
    ) -> Var<T> {
        let (mut target, shape) = (target.as_var(), prediction.shape());
        if target.rank() == 0 && !shape.is_empty() {
            target = Cow::Owned(target.expand(shape));
        }
        assert!(
            shape == target.shape(),
            "{name}: the prediction has shape {shape:?} and the target {:?}: they must be equal",
            target.shape()
        );
        self.reduce(loss(prediction, &target), shape, None)
    }
}

/// Panics unless a weight broadcasts to the shape of the prediction.
#[track_caller]
fn check_weight<T: Float>(loss: &'static str, argument: &str, weight: Option<&Var<T>>, shape: &[usize]) {
    let Some(weight) = weight else { return };
    assert!(
        broadcast_shapes(loss, shape, weight.shape()).is_ok_and(|common| common[..] == *shape),
        "{loss}: the prediction has shape {shape:?} and `{argument}` {:?}: it must broadcast to the prediction's",
        weight.shape()
    );
}

/// Defines the struct of a loss: options with defaults, and the reduction.
macro_rules! loss {
    (
        $(#[$doc:meta])*
        $loss:ident $(<$t:ident>)? { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }
    ) => {
        $(#[$doc])*
        pub struct $loss$(<$t: Float = f32>)? {
            $($(#[$field_doc])* pub $field: $type,)*
            /// The reduction of the losses of elements or rows.
            pub reduction: Reduction,
        }

        impl$(<$t: Float>)? $loss$(<$t>)? {
            /// The loss with default options.
            pub fn new() -> Self {
                Self { $($field: $default,)* reduction: Reduction::Mean }
            }

            /// Sets the reduction; the mean by default.
            #[must_use]
            pub fn reduction(mut self, reduction: Reduction) -> Self {
                self.reduction = reduction;
                self
            }
        }

        impl$(<$t: Float>)? Default for $loss$(<$t>)? {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}
use loss;

/// Losses with PyTorch's defaults, as methods of [`Var`]: the mean over all elements or rows.
///
/// | method | loss of an element x with target t, or of a row | struct with options |
/// | --- | --- | --- |
/// | [`mse_loss`](Self::mse_loss) | `(x - t)^2` | [`MseLoss`] |
/// | [`l1_loss`](Self::l1_loss) | `abs(x - t)` | [`L1Loss`] |
/// | [`huber_loss`](Self::huber_loss) | `(x - t)^2 / 2` up to a distance of 1, beyond it `abs(x - t) - 1/2` | [`HuberLoss`] |
/// | [`smooth_l1_loss`](Self::smooth_l1_loss) | the same, with another option | [`SmoothL1Loss`] |
/// | [`binary_cross_entropy`](Self::binary_cross_entropy) | `-t log(x) - (1 - t) log(1 - x)` | [`BceLoss`] |
/// | [`binary_cross_entropy_with_logits`](Self::binary_cross_entropy_with_logits) | the same of `sigmoid(x)` | [`BceWithLogitsLoss`] |
/// | [`kl_div`](Self::kl_div) | `t (log(t) - x)` | [`KlDivLoss`] |
/// | [`nll_loss`](Self::nll_loss) | `-x[t]` | [`NllLoss`] |
/// | [`cross_entropy`](Self::cross_entropy) | `-log_softmax(x)[t]` | [`CrossEntropyLoss`] |
/// | [`distillation_loss`](Self::distillation_loss) | the divergence from a teacher's softened probabilities | [`DistillationLoss`] |
/// | [`triplet_margin_loss`](Self::triplet_margin_loss) | `max(d(x, p) - d(x, n) + 1, 0)` for rows p and n | [`TripletMarginLoss`] |
/// | [`cosine_embedding_loss`](Self::cosine_embedding_loss) | `1 - cos(x, y)` if alike, otherwise `max(cos(x, y), 0)` | [`CosineEmbeddingLoss`] |
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::Losses;
///
/// let x = Var::leaf(Tensor::from([1.0, 4.0]));
/// let loss = x.mse_loss([1.0, 2.0]);
/// assert_eq!(loss.item(), 2.0);
/// assert_eq!(loss.backward().get(&x), Some(&Tensor::from([0.0, 2.0])));
///
/// let logits = Var::leaf(Tensor::from([[2.0_f64, 0.0], [0.0, 0.0]]));
/// let expected = ((-2.0_f64).exp().ln_1p() + 2.0_f64.ln()) / 2.0;
/// assert!((logits.cross_entropy(&Tensor::from([0, 1])).item() - expected).abs() < 1e-15);
/// let probabilities = Tensor::from([[1.0, 0.0], [0.5, 0.5]]);
/// assert!((logits.cross_entropy(&probabilities).item() - expected).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the shapes do not fit: except for targets that are classes or one number for all, they must be equal, and do not
/// broadcast.
pub trait Losses<T: Float>: Borrow<Var<T>> {
    /// The mean squared difference from `target`, a variable or tensor of the same shape or one number; see [`MseLoss`].
    #[track_caller]
    fn mse_loss(&self, target: impl AsVar<T>) -> Var<T> {
        MseLoss::new().forward(self.borrow(), target)
    }

    /// The mean absolute difference from `target`, a variable or tensor of the same shape or one number; see [`L1Loss`].
    #[track_caller]
    fn l1_loss(&self, target: impl AsVar<T>) -> Var<T> {
        L1Loss::new().forward(self.borrow(), target)
    }

    /// The mean of Huber's function of the differences from `target`, a variable or tensor of the same shape or one
    /// number; see [`HuberLoss`].
    #[track_caller]
    fn huber_loss(&self, target: impl AsVar<T>) -> Var<T> {
        HuberLoss::new().forward(self.borrow(), target)
    }

    /// The same as [`huber_loss`](Self::huber_loss) as long as no options are set; see [`SmoothL1Loss`].
    #[track_caller]
    fn smooth_l1_loss(&self, target: impl AsVar<T>) -> Var<T> {
        SmoothL1Loss::new().forward(self.borrow(), target)
    }

    /// The mean cross-entropy between these probabilities and targets from 0 to 1, a variable or tensor of the same
    /// shape; see [`BceLoss`]. For logits,
    /// [`binary_cross_entropy_with_logits`](Self::binary_cross_entropy_with_logits) is more accurate.
    #[track_caller]
    fn binary_cross_entropy(&self, target: impl AsVar<T>) -> Var<T> {
        BceLoss::new().forward(self.borrow(), target)
    }

    /// The mean cross-entropy between the sigmoid of these logits and targets from 0 to 1, a variable or tensor of the
    /// same shape; see [`BceWithLogitsLoss`]. Accurate for finite logits of any size.
    #[track_caller]
    fn binary_cross_entropy_with_logits(&self, target: impl AsVar<T>) -> Var<T> {
        BceWithLogitsLoss::new().forward(self.borrow(), target)
    }

    /// The mean over all elements of the Kullback-Leibler divergence from these log-probabilities to the probabilities
    /// `target`, a variable or tensor of the same shape or one number; see [`KlDivLoss`].
    #[track_caller]
    fn kl_div(&self, target: impl AsVar<T>) -> Var<T> {
        KlDivLoss::new().forward(self.borrow(), target)
    }

    /// The mean negative log-likelihood of classes, for log-probabilities `[classes]` or `[rows, classes, ...]`; see
    /// [`NllLoss`].
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is ignored.
    #[track_caller]
    fn nll_loss(&self, targets: impl Into<Indices<T>>) -> Var<T> {
        NllLoss::new().forward(self.borrow(), targets)
    }

    /// The mean cross-entropy between the softmax of these logits, `[classes]` or `[rows, classes, ...]`, and classes
    /// or their probabilities; see [`CrossEntropyLoss`].
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is ignored.
    #[track_caller]
    fn cross_entropy(&self, targets: impl Into<ClassTargets<T>>) -> Var<T> {
        CrossEntropyLoss::new().forward(self.borrow(), targets)
    }

    /// The mean over rows of the divergence of these logits' softmax from the one of a teacher's logits, of the same shape,
    /// both softened by a temperature; see [`DistillationLoss`].
    ///
    /// # Panics
    /// If the shapes differ, or the temperature is not positive and finite.
    #[track_caller]
    fn distillation_loss(&self, teacher: impl AsVar<T>, temperature: f64) -> Var<T> {
        DistillationLoss::new().temperature(temperature).forward(self.borrow(), teacher)
    }

    /// The mean over rows of how much nearer than `negative`, by a margin of 1, `positive` should be; see
    /// [`TripletMarginLoss`].
    #[track_caller]
    fn triplet_margin_loss(&self, positive: impl AsVar<T>, negative: impl AsVar<T>) -> Var<T> {
        TripletMarginLoss::new().forward(self.borrow(), positive, negative)
    }

    /// The mean over rows of `1 - cos` where `alike` is true and of `max(cos, 0)` where it is false, for the cosine between a
    /// row and the same row of `other`; see [`CosineEmbeddingLoss`].
    #[track_caller]
    fn cosine_embedding_loss(&self, other: impl AsVar<T>, alike: impl Into<Mask<T>>) -> Var<T> {
        CosineEmbeddingLoss::new().forward(self.borrow(), other, alike)
    }
}

impl<T: Float> Losses<T> for Var<T> {}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<gradus_autograd::testing::Case> {
    [elements::cases(), binary::cases(), classes::cases(), distillation::cases(), embeddings::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// Any reduction, for test cases.
#[cfg(feature = "proptest")]
fn reductions() -> impl proptest::strategy::Strategy<Value = Reduction> + Clone {
    use Reduction::{BatchMean, Mean, None, Sum};
    proptest::sample::select(vec![None, Mean, Sum, BatchMean])
}
