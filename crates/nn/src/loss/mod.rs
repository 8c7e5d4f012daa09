//! How far predictions are from what they should have been.
//!
//! Each loss is a method of [`Var`](gradus_autograd::Var) with PyTorch's defaults, in [`Losses`], and a struct whose
//! methods change them.

mod binary;
mod classes;
mod elements;
mod rows;

use gradus_autograd::{Float, Tensor, Var, broadcast_shapes};

pub use binary::{BceLoss, BceWithLogitsLoss};
pub use classes::{ClassTargets, CrossEntropyLoss, NllLoss};
pub use elements::{HuberLoss, KlDivLoss, L1Loss, MseLoss, SmoothL1Loss};

/// The reduction of the losses of single elements or rows.
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
    /// They are left as they are.
    None,
    /// Their mean, NaN over nothing; if classes have weights, the sum divided by the sum of the weights.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum divided by the size of the first axis.
    BatchMean,
}

impl Reduction {
    /// The reduced losses of a prediction of shape `shape`; `count` is what the mean divides by.
    fn reduce<T: Float>(self, losses: Var<T>, shape: &[usize], count: impl FnOnce() -> Var<T>) -> Var<T> {
        match self {
            Self::None => losses,
            Self::Mean => quotient(losses, count()),
            Self::Sum => losses.sum(..),
            Self::BatchMean => {
                quotient(losses, T::from_f64(shape.first().map_or(1.0, |&size| size as f64)).into())
            }
        }
    }

    /// The reduced losses of single elements.
    fn reduce_elements<T: Float>(self, losses: Var<T>) -> Var<T> {
        let (shape, count) = (losses.shape().to_vec(), T::from_f64(losses.len() as f64));
        self.reduce(losses, &shape, || count.into())
    }
}

/// The sum of the losses divided by a number; of each loss if the sum alone is too large.
fn quotient<T: Float>(losses: Var<T>, divisor: Var<T>) -> Var<T> {
    let sum = losses.sum(..);
    if sum.item().is_finite() { sum / divisor } else { (losses / divisor).sum(..) }
}

/// Panics unless both shapes are equal: `[n]` against `[n, 1]` would broadcast to the wrong thing.
#[track_caller]
fn check_shapes<T: Float>(loss: &str, prediction: &Var<T>, target: &Var<T>) {
    assert!(
        prediction.shape() == target.shape(),
        "{loss}: the prediction has shape {:?} and the target {:?}: they must be equal",
        prediction.shape(),
        target.shape()
    );
}

/// Panics unless a weight can be expanded to the shape of the prediction.
#[track_caller]
fn check_weight<T: Float>(loss: &'static str, argument: &str, weight: Option<&Var<T>>, shape: &[usize]) {
    let Some(weight) = weight else { return };
    assert!(
        broadcast_shapes(loss, shape, weight.shape()).is_ok_and(|common| common[..] == *shape),
        "{loss}: the prediction has shape {shape:?} and `{argument}` {:?}: it must broadcast to the prediction's",
        weight.shape()
    );
}

/// The common part of all losses: the method that sets the reduction, and defaults.
macro_rules! common {
    ($($loss:ident $(<$t:ident>)?)*) => {$(
        impl$(<$t: Float>)? $loss$(<$t>)? {
            /// Sets the reduction of the losses of single elements or rows; the mean by default.
            ///
            /// ```
            #[doc = concat!("use gradus_nn::{", stringify!($loss), ", Reduction};")]
            ///
            #[doc = concat!("let loss = <", stringify!($loss), ">::new().reduction(Reduction::Sum);")]
            /// assert_eq!(loss.reduction, Reduction::Sum);
            /// ```
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
    )*};
}
common! {
    MseLoss L1Loss HuberLoss SmoothL1Loss KlDivLoss BceLoss<T> BceWithLogitsLoss<T> NllLoss<T> CrossEntropyLoss<T>
}

/// Losses with PyTorch's defaults, as methods of [`Var`]: the mean over all elements or rows. For other options, the
/// method is that of a struct, [`MseLoss`] for example.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::Losses;
///
/// let x = Var::leaf(Tensor::from([1.0, 4.0]));
/// let gradients = x.mse_loss([1.0, 2.0]).backward();
/// assert_eq!(gradients.get(&x), Some(&Tensor::from([0.0, 2.0])));
/// ```
pub trait Losses<T: Float>: Sized {
    /// The mean of the squared differences from `target`, a variable or tensor of the same shape; see [`MseLoss`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let prediction = Var::leaf(Tensor::from([1.0, 4.0]));
    /// assert_eq!(prediction.mse_loss([1.0, 2.0]).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ: `[n]` against `[n, 1]` would broadcast to the wrong thing.
    #[track_caller]
    fn mse_loss(&self, target: impl Into<Var<T>>) -> Var<T>;

    /// The mean of the distances from `target`, a variable or tensor of the same shape; see [`L1Loss`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let prediction = Var::leaf(Tensor::from([1.0, -4.0]));
    /// assert_eq!(prediction.l1_loss([1.0, 2.0]).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    fn l1_loss(&self, target: impl Into<Var<T>>) -> Var<T>;

    /// The mean of Huber's function of the differences from `target`, a variable or tensor of the same shape: half
    /// the square up to 1, a straight line beyond; see [`HuberLoss`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let prediction = Var::leaf(Tensor::from([0.5, -3.0]));
    /// assert_eq!(prediction.huber_loss([0.0, 0.0]).item(), (0.125 + 2.5) / 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    fn huber_loss(&self, target: impl Into<Var<T>>) -> Var<T>;

    /// The same as [`huber_loss`](Self::huber_loss), but with other options: see [`SmoothL1Loss`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let prediction = Var::leaf(Tensor::from([0.5, -3.0]));
    /// assert_eq!(prediction.smooth_l1_loss([0.0, 0.0]).item(), (0.125 + 2.5) / 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    fn smooth_l1_loss(&self, target: impl Into<Var<T>>) -> Var<T>;

    /// The mean cross-entropy between these probabilities and targets from 0 to 1, a variable or tensor of the same
    /// shape; see [`BceLoss`]. Of logits, [`binary_cross_entropy_with_logits`](Self::binary_cross_entropy_with_logits)
    /// is more accurate.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let probabilities = Var::leaf(Tensor::from([0.5_f64, 1.0]));
    /// assert_eq!(probabilities.binary_cross_entropy([1.0, 1.0]).item(), 2.0_f64.ln() / 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    fn binary_cross_entropy(&self, target: impl Into<Var<T>>) -> Var<T>;

    /// The mean cross-entropy between the sigmoid of these logits and targets from 0 to 1, a variable or
    /// tensor of the same shape; see [`BceWithLogitsLoss`]. Accurate for finite logits of any size.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let logits = Var::leaf(Tensor::from([800.0_f64, -800.0]));
    /// assert_eq!(logits.binary_cross_entropy_with_logits([1.0, 0.0]).item(), 0.0);
    /// assert_eq!(logits.binary_cross_entropy_with_logits([0.0, 1.0]).item(), 800.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    fn binary_cross_entropy_with_logits(&self, target: impl Into<Var<T>>) -> Var<T>;

    /// The mean over all elements of `t (log t - x)`, for these log-probabilities x and probabilities t, a variable
    /// or tensor of the same shape: Kullback and Leibler's divergence, if the mean is taken over rows
    /// ([`Reduction::BatchMean`]); see [`KlDivLoss`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let log_probabilities = Var::leaf(Tensor::from([0.5_f64, 0.5]).log());
    /// let difference = log_probabilities.kl_div([1.0, 0.0]).item() - 2.0_f64.ln() / 2.0;
    /// assert!(difference.abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    fn kl_div(&self, target: impl Into<Var<T>>) -> Var<T>;

    /// The mean of minus these log-probabilities, `[classes]` or `[rows, classes, ...]`, at integer targets, the index
    /// of the right class for each row (and position): the shape without the axis of classes. See [`NllLoss`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let log_probabilities = Var::leaf(Tensor::from([[-1.0, -5.0], [-7.0, -3.0]]));
    /// assert_eq!(log_probabilities.nll_loss(&Tensor::from([0, 1])).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is left out.
    #[track_caller]
    fn nll_loss(&self, targets: &Tensor<i64>) -> Var<T>;

    /// The mean cross-entropy between the softmax of these logits, `[classes]` or `[rows, classes, ...]`, and targets:
    /// integers, the index of the right class for each row (and position), in the shape without the axis of
    /// classes; or a variable or tensor of the same shape, the probability of each class. See
    /// [`CrossEntropyLoss`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let logits = Var::leaf(Tensor::from([[2.0_f64, 0.0], [0.0, 0.0]]));
    /// let loss = logits.cross_entropy(&Tensor::from([0, 1]));
    /// let expected = ((-2.0_f64).exp().ln_1p() + 2.0_f64.ln()) / 2.0;
    /// assert!((loss.item() - expected).abs() < 1e-15);
    ///
    /// let loss = logits.cross_entropy(&Tensor::from([[1.0, 0.0], [0.5, 0.5]]));
    /// assert!((loss.item() - expected).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is neither the index of a class nor -100, which is left out.
    #[track_caller]
    fn cross_entropy(&self, targets: impl Into<ClassTargets<T>>) -> Var<T>;
}

impl<T: Float> Losses<T> for Var<T> {
    #[track_caller]
    fn mse_loss(&self, target: impl Into<Var<T>>) -> Var<T> {
        MseLoss::new().forward(self, target)
    }

    #[track_caller]
    fn l1_loss(&self, target: impl Into<Var<T>>) -> Var<T> {
        L1Loss::new().forward(self, target)
    }

    #[track_caller]
    fn huber_loss(&self, target: impl Into<Var<T>>) -> Var<T> {
        HuberLoss::new().forward(self, target)
    }

    #[track_caller]
    fn smooth_l1_loss(&self, target: impl Into<Var<T>>) -> Var<T> {
        SmoothL1Loss::new().forward(self, target)
    }

    #[track_caller]
    fn binary_cross_entropy(&self, target: impl Into<Var<T>>) -> Var<T> {
        BceLoss::new().forward(self, target)
    }

    #[track_caller]
    fn binary_cross_entropy_with_logits(&self, target: impl Into<Var<T>>) -> Var<T> {
        BceWithLogitsLoss::new().forward(self, target)
    }

    #[track_caller]
    fn kl_div(&self, target: impl Into<Var<T>>) -> Var<T> {
        KlDivLoss::new().forward(self, target)
    }

    #[track_caller]
    fn nll_loss(&self, targets: &Tensor<i64>) -> Var<T> {
        NllLoss::new().forward(self, targets)
    }

    #[track_caller]
    fn cross_entropy(&self, targets: impl Into<ClassTargets<T>>) -> Var<T> {
        CrossEntropyLoss::new().forward(self, targets)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<gradus_autograd::testing::Case> {
    [elements::cases(), binary::cases(), classes::cases()].into_iter().flatten().collect()
}

/// Any reduction, for the cases.
#[cfg(feature = "proptest")]
fn reductions() -> impl proptest::strategy::Strategy<Value = Reduction> + Clone {
    use Reduction::{BatchMean, Mean, None, Sum};
    proptest::sample::select(vec![None, Mean, Sum, BatchMean])
}
