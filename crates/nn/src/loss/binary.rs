//! Losses of probabilities of yes or no.

use gradus_autograd::{Binary, BinaryFunction, Float, Literal, Real, Var, apply};

use super::{Reduction, check_shapes, check_weight};

/// The cross-entropy between probabilities and targets from 0 to 1, `-t log(x) - (1 - t) log(1 - x)`, whose logarithms
/// are at least -100.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{BceLoss, Reduction};
///
/// let x = Var::leaf(Tensor::from([0.5_f64, 0.0]));
/// let loss = BceLoss::new().weight([2.0, 1.0]).reduction(Reduction::None).forward(&x, [1.0, 1.0]);
/// assert_eq!(loss.value(), &Tensor::from([2.0 * 2.0_f64.ln(), 100.0]));
/// ```
#[derive(Debug, Clone)]
pub struct BceLoss<T: Float = f32> {
    /// What the loss of each element is multiplied by, if there is something.
    pub weight: Option<Var<T>>,
    /// What becomes of the losses of single elements.
    pub reduction: Reduction,
}

impl<T: Float> BceLoss<T> {
    /// The mean, without weights.
    ///
    /// ```
    /// assert!(gradus_nn::BceLoss::<f32>::new().weight.is_none());
    /// ```
    pub fn new() -> Self {
        Self { weight: None, reduction: Reduction::Mean }
    }

    /// What the loss of each element is multiplied by: a variable or tensor that broadcasts to the prediction's shape.
    ///
    /// ```
    /// let loss = gradus_nn::BceLoss::new().weight([1.0, 2.0]);
    /// assert_eq!(loss.weight.unwrap().shape(), [2]);
    /// ```
    #[must_use]
    pub fn weight(self, weight: impl Into<Var<T>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// The loss of a prediction from 0 to 1; `target` is a variable or tensor of the same shape.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([0.5_f64, 0.5]));
    /// assert_eq!(gradus_nn::BceLoss::new().forward(&x, [1.0, 0.0]).item(), 2.0_f64.ln());
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, prediction: &Var<T>, target: impl Into<Var<T>>) -> Var<T> {
        let target = target.into();
        check_shapes("binary_cross_entropy", prediction, &target);
        check_weight("binary_cross_entropy", "weight", self.weight.as_ref(), prediction.shape());
        let losses = apply(Binary(BinaryCrossEntropy), &[prediction, &target]);
        self.reduction.reduce_elements(weighted(losses, self.weight.as_ref()))
    }
}

fn weighted<T: Float>(losses: Var<T>, weight: Option<&Var<T>>) -> Var<T> {
    match weight {
        Some(weight) => losses * weight,
        None => losses,
    }
}

#[derive(Debug)]
struct BinaryCrossEntropy;

impl BinaryCrossEntropy {
    /// log(x) and log(1 - x), at least -100.
    #[inline(always)]
    fn logarithms<R: Real>(x: R) -> [R; 2] {
        let bounded = |x: R| x.lt(-100.0).select(-100.0, x);
        [bounded(x.log()), bounded((-x).log1p())]
    }
}

impl BinaryFunction for BinaryCrossEntropy {
    const NAME: &'static str = "binary_cross_entropy";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, target: R) -> R
    where
        f64: Literal<R>,
    {
        let [yes, no] = Self::logarithms(x);
        -(target * yes) - (1.0 - target) * no
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, target: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        // At 0 and 1 PyTorch divides by this small number.
        let variance = x * (1.0 - x);
        let variance = variance.lt(1e-12).select(1e-12, variance);
        let [yes, no] = Self::logarithms(x);
        [(x - target) / variance, no - yes]
    }
}

/// The cross-entropy between the sigmoid of logits and targets from 0 to 1, `-t log(sigmoid(x)) - (1 - t) log(1 -
/// sigmoid(x))`, accurate for finite logits of any size.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{BceWithLogitsLoss, Reduction};
///
/// let x = Var::leaf(Tensor::from([0.0_f64, -800.0]));
/// let loss = BceWithLogitsLoss::new().pos_weight([3.0, 1.0]).reduction(Reduction::None).forward(&x, [1.0, 1.0]);
/// assert_eq!(loss.value(), &Tensor::from([3.0 * 2.0_f64.ln(), 800.0]));
/// ```
#[derive(Debug, Clone)]
pub struct BceWithLogitsLoss<T: Float = f32> {
    /// What the loss of each element is multiplied by, if there is something.
    pub weight: Option<Var<T>>,
    /// What only the part of the loss is multiplied by that belongs to targets of 1, if there is something.
    pub pos_weight: Option<Var<T>>,
    /// What becomes of the losses of single elements.
    pub reduction: Reduction,
}

impl<T: Float> BceWithLogitsLoss<T> {
    /// The mean, without weights.
    ///
    /// ```
    /// assert!(gradus_nn::BceWithLogitsLoss::<f32>::new().pos_weight.is_none());
    /// ```
    pub fn new() -> Self {
        Self { weight: None, pos_weight: None, reduction: Reduction::Mean }
    }

    /// What the loss of each element is multiplied by: a variable or tensor that broadcasts to the prediction's shape.
    ///
    /// ```
    /// let loss = gradus_nn::BceWithLogitsLoss::new().weight([1.0, 2.0]);
    /// assert_eq!(loss.weight.unwrap().shape(), [2]);
    /// ```
    #[must_use]
    pub fn weight(self, weight: impl Into<Var<T>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// How much more a missed 1 counts than a missed 0: a variable or tensor that broadcasts to the prediction's shape.
    /// The ratio of zeros to ones among the targets makes up for their being rare.
    ///
    /// ```
    /// let loss = gradus_nn::BceWithLogitsLoss::new().pos_weight(9.0);
    /// assert_eq!(loss.pos_weight.unwrap().item(), 9.0);
    /// ```
    #[must_use]
    pub fn pos_weight(self, pos_weight: impl Into<Var<T>>) -> Self {
        Self { pos_weight: Some(pos_weight.into()), ..self }
    }

    /// The loss of logits; `target` is a variable or tensor of the same shape.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([0.0_f64, 0.0]));
    /// assert_eq!(gradus_nn::BceWithLogitsLoss::new().forward(&x, [1.0, 0.0]).item(), 2.0_f64.ln());
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, prediction: &Var<T>, target: impl Into<Var<T>>) -> Var<T> {
        let (target, name) = (target.into(), "binary_cross_entropy_with_logits");
        check_shapes(name, prediction, &target);
        check_weight(name, "weight", self.weight.as_ref(), prediction.shape());
        check_weight(name, "pos_weight", self.pos_weight.as_ref(), prediction.shape());
        let losses = match &self.pos_weight {
            None => apply(Binary(BinaryCrossEntropyWithLogits), &[prediction, &target]),
            Some(pos_weight) => {
                let importance = (pos_weight - T::ONE) * &target + T::ONE;
                (-&target + T::ONE) * prediction - importance * prediction.logsigmoid()
            }
        };
        self.reduction.reduce_elements(weighted(losses, self.weight.as_ref()))
    }
}

#[derive(Debug)]
struct BinaryCrossEntropyWithLogits;

impl BinaryFunction for BinaryCrossEntropyWithLogits {
    const NAME: &'static str = "binary_cross_entropy_with_logits";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, target: R) -> R
    where
        f64: Literal<R>,
    {
        (1.0 - target) * x + (-x).softplus()
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, target: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        [x.sigmoid() - target, -x]
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<gradus_autograd::testing::Case> {
    use gradus_autograd::testing::{case, shapes};
    use proptest::prelude::*;

    use super::reductions;
    let options = || (shapes(0..=3, 1..=4), reductions(), any::<bool>(), any::<bool>());
    vec![
        case!(
            "binary_cross_entropy", (shape, reduction, weighted, _) in options(),
            [shape.clone() => 0.1..0.9, shape.clone() => 0.1..0.9, shape => 0.5..1.5],
            |x, y, weight| {
                let loss = BceLoss::new().reduction(reduction);
                if weighted { loss.weight(weight) } else { loss }.forward(x, y)
            }
        ),
        case!(
            "binary_cross_entropy_with_logits", (shape, reduction, weighted, positive) in options(),
            [shape.clone() => -3.0..3.0, shape.clone() => 0.0..1.0, shape.clone() => 0.5..1.5, shape => 0.5..1.5],
            |x, y, weight, pos_weight| {
                let loss = BceWithLogitsLoss::new().reduction(reduction);
                let loss = if weighted { loss.weight(weight) } else { loss };
                if positive { loss.pos_weight(pos_weight) } else { loss }.forward(x, y)
            }
        ),
    ]
}
