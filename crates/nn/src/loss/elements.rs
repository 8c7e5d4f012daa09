//! Losses of single numbers: how far each is from its target.

use gradus_autograd::{
    Binary, BinaryFunction, Float, Literal, Real, Saves, Unary, UnaryFunction, Var, apply,
};

use super::{Reduction, check_shapes};

/// The squared differences.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{MseLoss, Reduction};
///
/// let x = Var::leaf(Tensor::from([1.0, 4.0]));
/// let loss = MseLoss::new().reduction(Reduction::Sum).forward(&x, [1.0, 2.0]);
/// assert_eq!(loss.item(), 4.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MseLoss {
    /// The reduction of the losses of single elements.
    pub reduction: Reduction,
}

impl MseLoss {
    /// The mean of the squares.
    pub fn new() -> Self {
        Self { reduction: Reduction::Mean }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 4.0]));
    /// assert_eq!(gradus_nn::MseLoss::new().forward(&x, [1.0, 2.0]).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl Into<Var<T>>) -> Var<T> {
        let target = target.into();
        check_shapes("mse_loss", prediction, &target);
        if self.reduction == Reduction::Mean {
            return prediction.mean_squared_error(target);
        }
        self.reduction.reduce_elements((prediction - target).square())
    }
}

/// The distances. At 0 the derivative is 0.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{L1Loss, Reduction};
///
/// let x = Var::leaf(Tensor::from([1.0, 4.0]));
/// let loss = L1Loss::new().reduction(Reduction::Sum).forward(&x, [1.0, 2.0]);
/// assert_eq!(loss.item(), 2.0);
/// assert_eq!(loss.backward().get(&x), Some(&Tensor::from([0.0, 1.0])));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct L1Loss {
    /// The reduction of the losses of single elements.
    pub reduction: Reduction,
}

impl L1Loss {
    /// The mean of the distances.
    pub fn new() -> Self {
        Self { reduction: Reduction::Mean }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 4.0]));
    /// assert_eq!(gradus_nn::L1Loss::new().forward(&x, [1.0, 2.0]).item(), 1.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl Into<Var<T>>) -> Var<T> {
        let target = target.into();
        check_shapes("l1_loss", prediction, &target);
        self.reduction.reduce_elements((prediction - target).abs())
    }
}

/// Half the squared difference up to `delta`, beyond it a straight line of slope `delta` (Huber, 1964): outliers do not
/// count by their square.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{HuberLoss, Reduction};
///
/// let x = Var::leaf(Tensor::from([1.0, -4.0]));
/// let loss = HuberLoss::new().delta(2.0).reduction(Reduction::None).forward(&x, [0.0, 0.0]);
/// assert_eq!(loss.value(), &Tensor::from([0.5, 6.0]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HuberLoss {
    /// Where the square becomes a straight line.
    pub delta: f64,
    /// The reduction of the losses of single elements.
    pub reduction: Reduction,
}

impl HuberLoss {
    /// The mean, with `delta` 1.
    ///
    /// ```
    /// assert_eq!(gradus_nn::HuberLoss::new().delta, 1.0);
    /// ```
    pub fn new() -> Self {
        Self { delta: 1.0, reduction: Reduction::Mean }
    }

    /// Where the square becomes a straight line.
    ///
    /// ```
    /// assert_eq!(gradus_nn::HuberLoss::new().delta(0.5).delta, 0.5);
    /// ```
    ///
    /// # Panics
    /// If `delta` is not positive.
    #[must_use]
    #[track_caller]
    pub fn delta(self, delta: f64) -> Self {
        assert!(delta > 0.0, "huber_loss: `delta` is {delta}: it must be positive");
        Self { delta, ..self }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, -4.0]));
    /// assert_eq!(gradus_nn::HuberLoss::new().forward(&x, [0.0, 0.0]).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, or `delta` is not positive.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl Into<Var<T>>) -> Var<T> {
        let Self { delta, reduction } = self.delta(self.delta);
        let target = target.into();
        check_shapes("huber_loss", prediction, &target);
        let losses = apply(Unary(Huber { delta }), &[&(prediction - target)]);
        reduction.reduce_elements(losses)
    }
}

#[derive(Debug, Clone)]
struct Huber {
    delta: f64,
}

impl UnaryFunction for Huber {
    const NAME: &'static str = "huber_loss";
    const SAVES: Saves = Saves::INPUTS;
    #[inline(always)]
    fn function<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        x.abs().le(self.delta).select(x * 0.5 * x, (x.abs() - x.constant(self.delta) * 0.5) * self.delta)
    }
    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        // At `delta` itself the second derivative is 0.
        x.abs().lt(self.delta).select(x, x.sign() * self.delta)
    }
}

/// The squared difference divided by `2 beta` below `beta`, beyond it the distance less `beta / 2` (Girshick, 2015):
/// [`HuberLoss`] divided by its `delta`.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{Reduction, SmoothL1Loss};
///
/// let x = Var::leaf(Tensor::from([1.0, -4.0]));
/// let loss = SmoothL1Loss::new().beta(2.0).reduction(Reduction::None).forward(&x, [0.0, 0.0]);
/// assert_eq!(loss.value(), &Tensor::from([0.25, 3.0]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmoothL1Loss {
    /// Where the square becomes a straight line.
    pub beta: f64,
    /// The reduction of the losses of single elements.
    pub reduction: Reduction,
}

impl SmoothL1Loss {
    /// The mean, with `beta` 1.
    ///
    /// ```
    /// assert_eq!(gradus_nn::SmoothL1Loss::new().beta, 1.0);
    /// ```
    pub fn new() -> Self {
        Self { beta: 1.0, reduction: Reduction::Mean }
    }

    /// Where the square becomes a straight line; with 0 there is no square, as in [`L1Loss`].
    ///
    /// ```
    /// assert_eq!(gradus_nn::SmoothL1Loss::new().beta(0.5).beta, 0.5);
    /// ```
    ///
    /// # Panics
    /// If `beta` is negative.
    #[must_use]
    #[track_caller]
    pub fn beta(self, beta: f64) -> Self {
        assert!(beta >= 0.0, "smooth_l1_loss: `beta` is {beta}: it must not be negative");
        Self { beta, ..self }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, -4.0]));
    /// assert_eq!(gradus_nn::SmoothL1Loss::new().forward(&x, [0.0, 0.0]).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, or `beta` is negative.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl Into<Var<T>>) -> Var<T> {
        let Self { beta, reduction } = self.beta(self.beta);
        let target = target.into();
        check_shapes("smooth_l1_loss", prediction, &target);
        let difference = prediction - target;
        let losses =
            if beta == 0.0 { difference.abs() } else { apply(Unary(SmoothL1 { beta }), &[&difference]) };
        reduction.reduce_elements(losses)
    }
}

#[derive(Debug, Clone)]
struct SmoothL1 {
    beta: f64,
}

impl UnaryFunction for SmoothL1 {
    const NAME: &'static str = "smooth_l1_loss";
    const SAVES: Saves = Saves::INPUTS;
    #[inline(always)]
    fn function<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        x.abs().lt(self.beta).select(x / self.beta * x * 0.5, x.abs() - x.constant(self.beta) * 0.5)
    }
    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        x.abs().lt(self.beta).select(x / self.beta, x.sign())
    }
}

/// `t (log t - x)` for log-probabilities x and probabilities t, which is 0 where t is: Kullback and Leibler's
/// divergence (1951), if the reduction is [`Reduction::BatchMean`].
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{KlDivLoss, Reduction};
///
/// let x = Var::leaf(Tensor::from([[0.5_f64, 0.5]]).log());
/// let loss = KlDivLoss::new().reduction(Reduction::BatchMean).forward(&x, [[1.0, 0.0]]);
/// assert_eq!(loss.item(), 2.0_f64.ln());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KlDivLoss {
    /// Whether targets are logarithms of probabilities, too.
    pub log_target: bool,
    /// The reduction of the losses of single elements.
    pub reduction: Reduction,
}

impl KlDivLoss {
    /// The mean over all elements, as in PyTorch; of targets that are probabilities.
    pub fn new() -> Self {
        Self { log_target: false, reduction: Reduction::Mean }
    }

    /// Whether targets are logarithms of probabilities, too.
    ///
    /// ```
    /// assert!(gradus_nn::KlDivLoss::new().log_target(true).log_target);
    /// ```
    #[must_use]
    pub fn log_target(self, log_target: bool) -> Self {
        Self { log_target, ..self }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([0.5_f64, 0.5]).log());
    /// let loss = gradus_nn::KlDivLoss::new().log_target(true).forward(&x, x.value());
    /// assert_eq!(loss.item(), 0.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl Into<Var<T>>) -> Var<T> {
        let target = target.into();
        check_shapes("kl_div", prediction, &target);
        let losses = if self.log_target {
            apply(Binary(KlDivOfLogTarget), &[prediction, &target])
        } else {
            target.xlogy(&target) - prediction.multiply_no_nan(&target)
        };
        self.reduction.reduce_elements(losses)
    }
}

/// e^t (t - x), and 0 where the probability e^t is 0.
#[derive(Debug, Clone)]
struct KlDivOfLogTarget;

impl BinaryFunction for KlDivOfLogTarget {
    const NAME: &'static str = "kl_div";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, target: R) -> R
    where
        f64: Literal<R>,
    {
        (target - x).multiply_no_nan(target.exp())
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, target: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        let never = target.exp().eq(0.0);
        let [x, target] = [x, target].map(|log| never.select(0.0, log));
        [never.select(0.0, -target.exp()), never.select(0.0, target.exp() * (target - x + 1.0))]
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<gradus_autograd::testing::Case> {
    use gradus_autograd::testing::{case, shapes};
    use proptest::prelude::*;

    use super::reductions;
    let options = || (shapes(0..=3, 1..=4), reductions(), 0.5..1.5, any::<bool>());
    vec![
        case!("mse_loss", (shape, reduction, ..) in options(), [shape.clone() => -2.0..2.0, shape => -2.0..2.0], |x, y| {
            MseLoss::new().reduction(reduction).forward(x, y)
        }),
        case!("l1_loss", (shape, reduction, ..) in options(), [shape.clone() => -2.0..2.0, shape => -2.0..2.0], |x, y| {
            L1Loss::new().reduction(reduction).forward(x, y)
        }),
        case!(
            "huber_loss", (shape, reduction, delta, _) in options(),
            [shape.clone() => -2.0..2.0, shape => -2.0..2.0],
            |x, y| HuberLoss::new().delta(delta).reduction(reduction).forward(x, y)
        ),
        case!(
            "smooth_l1_loss", (shape, reduction, beta, _) in options(),
            [shape.clone() => -2.0..2.0, shape => -2.0..2.0],
            |x, y| SmoothL1Loss::new().beta(beta).reduction(reduction).forward(x, y)
        ),
        case!(
            "kl_div", (shape, reduction, _, log_target) in options(),
            [shape.clone() => -2.0..0.0, shape => 0.1..1.0],
            |x, y| KlDivLoss::new().log_target(log_target).reduction(reduction).forward(x, y)
        ),
    ]
}
