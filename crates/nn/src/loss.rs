//! How far predictions are from what they should have been.

use gradus_autograd::{Float, Tensor, Var};

/// Losses, as methods of [`Var`]. Each is the mean over all elements or rows.
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
    /// The mean of the squared differences from `target`, a variable or tensor of the same shape.
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

    /// The mean cross-entropy between the softmax of these logits, `[classes]` or `[rows, classes, ...]`,
    /// and integer targets, the index of the right class for each row (and position): the shape without
    /// the axis of classes.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::Losses;
    ///
    /// let logits = Var::leaf(Tensor::from([[2.0_f64, 0.0], [0.0, 0.0]]));
    /// let loss = logits.cross_entropy(&Tensor::from([0, 1]));
    /// let expected = ((-2.0_f64).exp().ln_1p() + 2.0_f64.ln()) / 2.0;
    /// assert!((loss.item() - expected).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or a target is not the index of a class.
    #[track_caller]
    fn cross_entropy(&self, targets: &Tensor<i64>) -> Var<T>;

    /// The mean cross-entropy between the sigmoid of these logits and targets from 0 to 1, a variable or
    /// tensor of the same shape. Accurate for finite logits of any size.
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
}

impl<T: Float> Losses<T> for Var<T> {
    #[track_caller]
    fn mse_loss(&self, target: impl Into<Var<T>>) -> Var<T> {
        self.mean_squared_error(target)
    }

    #[track_caller]
    fn cross_entropy(&self, targets: &Tensor<i64>) -> Var<T> {
        let shape = self.shape();
        assert!(
            !shape.is_empty(),
            "cross_entropy: the logits have shape [] and the targets {:?}: logits need an axis of classes",
            targets.shape()
        );
        self.softmax_cross_entropy(isize::from(shape.len() > 1), targets)
    }

    #[track_caller]
    fn binary_cross_entropy_with_logits(&self, target: impl Into<Var<T>>) -> Var<T> {
        let target = target.into();
        assert!(
            self.shape() == target.shape(),
            "binary_cross_entropy_with_logits: the prediction has shape {:?} and the target {:?}: they must be equal",
            self.shape(),
            target.shape()
        );
        // -t log(sigmoid(x)) - (1 - t) log(1 - sigmoid(x))
        (self.softplus() - self * target).mean(..)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<gradus_autograd::testing::Case> {
    use gradus_autograd::testing::{case, shapes};
    use proptest::prelude::*;
    let rows = (shapes(1..=4, 1..=4), any::<u64>());
    let any_shape = || shapes(0..=3, 1..=4);
    vec![
        case!("mse_loss", shape in any_shape(), [shape.clone() => -2.0..2.0, shape => -2.0..2.0], |x, y| x.mse_loss(y)),
        case!("cross_entropy", (shape, seed) in rows, [shape => -2.0..2.0], |x| {
            let axis = usize::from(x.rank() > 1);
            let mut targets = x.shape().to_vec();
            let classes = targets.remove(axis) as f64;
            let random = Tensor::<f64>::rand(targets, &mut gradus_autograd::seeded(seed));
            x.cross_entropy(&(random * classes).cast())
        }),
        case!(
            "binary_cross_entropy_with_logits", shape in any_shape(),
            [shape.clone() => -3.0..3.0, shape => 0.0..1.0],
            |x, y| x.binary_cross_entropy_with_logits(y)
        ),
    ]
}
