//! Binary cross-entropy.

use gradus_autograd::{
    AsVar, Binary, BinaryFunction, Context, Float, Inputs, Literal, Operation, Real, Saves, Shape, Tensor,
    TensorError, Unary, UnaryFunction, Var, apply, broadcast_shapes,
};

use super::{Reduction, check_weight, loss};
use crate::inside;

loss! {
    /// The cross-entropy between probabilities x and targets t from 0 to 1, `-t log(x) - (1 - t) log(1 - x)`, with
    /// logarithms of at least -100.
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
    BceLoss<T> {
        /// Optional weight per element.
        weight: Option<Var<T>> = None,
    }
}

impl<T: Float> BceLoss<T> {
    /// Sets the weight per element: a variable or tensor that broadcasts to the prediction's shape.
    #[must_use]
    pub fn weight(self, weight: impl Into<Var<T>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// The loss of a prediction from 0 to 1; `target` is a variable or tensor of the same shape or one number.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, prediction: &Var<T>, target: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("binary_cross_entropy");
        let (name, weight) = ("binary_cross_entropy", self.weight.as_ref());
        check_weight(name, "weight", weight, prediction.shape());
        self.reduction.of_elements(name, prediction, target, |x, t| {
            weighted(apply(BoundedBinaryCrossEntropy, &[x, t]), weight)
        })
    }
}

fn weighted<T: Float>(losses: Var<T>, weight: Option<&Var<T>>) -> Var<T> {
    match weight {
        Some(weight) => losses.multiply_no_nan(weight),
        None => losses,
    }
}

/// log(x) and log(1 - x), at least -100.
#[inline(always)]
fn logarithms<R: Real>(x: R) -> [R; 2] {
    let bounded = |x: R| x.lt(-100.0).select(-100.0, x);
    [bounded(x.log()), bounded((-x).log1p())]
}

/// The bound below which the variance x (1 - x) of a probability counts as saturated; first derivatives are then
/// divided by the bound. It is PyTorch's constant, 1e-12 in single precision.
const SATURATED: f64 = 9.999_999_960_041_972e-13;

/// The variance of a probability, at least `bound`.
#[inline(always)]
fn variance<R: Real>(x: R, bound: f64) -> R
where
    f64: Literal<R>,
{
    let variance = x * (1.0 - x);
    variance.lt(bound).select(bound, variance)
}

/// The loss of an element.
#[derive(Debug, Clone)]
struct BinaryCrossEntropy;

impl BinaryFunction for BinaryCrossEntropy {
    const NAME: &'static str = "binary_cross_entropy";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, target: R) -> R
    where
        f64: Literal<R>,
    {
        let [yes, no] = logarithms(x);
        -(target * yes) - (1.0 - target) * no
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, target: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        [SlopeByProbability.function(x, target), SlopeByTarget.function(x)]
    }
}

/// [`BinaryCrossEntropy`] with PyTorch's second derivatives: where first derivatives are bounded, they are not the
/// derivatives of these.
#[derive(Debug)]
struct BoundedBinaryCrossEntropy;

impl<T: Float> Operation<T> for BoundedBinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes("binary_cross_entropy", inputs[0], inputs[1]))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        Binary(BinaryCrossEntropy).forward(inputs)
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        if !context.is_recorded() {
            return Binary(BinaryCrossEntropy).vjp(context, input);
        }
        let (x, target) = (context.input(0), context.input(1));
        let slope = if input == 0 {
            apply(Binary(SlopeByProbability), &[&x, &target])
        } else {
            apply(Unary(SlopeByTarget), &[&x])
        };
        Some(slope.multiply_no_nan(context.cotangent()))
    }
    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        self.vjp(context, input)
    }
}

#[derive(Debug, Clone)]
struct SlopeByProbability;

impl BinaryFunction for SlopeByProbability {
    const NAME: &'static str = "binary_cross_entropy_slope";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, target: R) -> R
    where
        f64: Literal<R>,
    {
        (x - target) / variance(x, SATURATED)
    }
    #[inline(always)]
    fn derivatives<R: Real>(&self, x: R, target: R) -> [R; 2]
    where
        f64: Literal<R>,
    {
        // PyTorch shifts both factors of a saturated variance, where it bounds the variance itself in the first
        // derivative.
        let exact = x * (1.0 - x);
        let root = exact.lt(SATURATED).select((x + 1e-12) * (1.0 - x + 1e-12), exact);
        let curvature = ((x - target).square() + target * (1.0 - target)) / root / root;
        [curvature, -variance(x, 1e-12).reciprocal()]
    }
}

#[derive(Debug, Clone)]
struct SlopeByTarget;

impl UnaryFunction for SlopeByTarget {
    const NAME: &'static str = "binary_cross_entropy_slope";
    const SAVES: Saves = Saves::INPUTS;
    #[inline(always)]
    fn function<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        let [yes, no] = logarithms(x);
        no - yes
    }
    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>,
    {
        -variance(x, 1e-12).reciprocal()
    }
}

loss! {
    /// [`BceLoss`] of the sigmoid of logits, accurate for finite logits of any size.
    #[derive(Debug, Clone)]
    BceWithLogitsLoss<T> {
        /// Optional weight per element.
        weight: Option<Var<T>> = None,
        /// Optional weight of the term `t log(sigmoid(x))`.
        pos_weight: Option<Var<T>> = None,
    }
}

impl<T: Float> BceWithLogitsLoss<T> {
    /// Sets the weight per element: a variable or tensor that broadcasts to the prediction's shape.
    #[must_use]
    pub fn weight(self, weight: impl Into<Var<T>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// Sets the weight of the term `t log(sigmoid(x))`: a variable or tensor that broadcasts to the prediction's shape.
    /// With the ratio of negative to positive targets, rare positive targets count as much as all negative ones.
    #[must_use]
    pub fn pos_weight(self, pos_weight: impl Into<Var<T>>) -> Self {
        Self { pos_weight: Some(pos_weight.into()), ..self }
    }

    /// The loss of logits; `target` is a variable or tensor of the same shape or one number.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, prediction: &Var<T>, target: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("binary_cross_entropy_with_logits");
        let name = "binary_cross_entropy_with_logits";
        check_weight(name, "weight", self.weight.as_ref(), prediction.shape());
        check_weight(name, "pos_weight", self.pos_weight.as_ref(), prediction.shape());
        self.reduction.of_elements(name, prediction, target, |x, t| {
            let losses = match &self.pos_weight {
                None => apply(Binary(BinaryCrossEntropyWithLogits), &[x, t]),
                Some(pos_weight) => {
                    let yes = x.logsigmoid().multiply_no_nan(pos_weight.multiply_no_nan(t));
                    let no = (-x).logsigmoid().multiply_no_nan(-t + T::ONE);
                    -(yes + no)
                }
            };
            weighted(losses, self.weight.as_ref())
        })
    }
}

#[derive(Debug, Clone)]
struct BinaryCrossEntropyWithLogits;

impl BinaryFunction for BinaryCrossEntropyWithLogits {
    const NAME: &'static str = "binary_cross_entropy_with_logits";
    #[inline(always)]
    fn function<R: Real>(&self, x: R, target: R) -> R
    where
        f64: Literal<R>,
    {
        // The loss for the nearer of the targets 0 and 1, and the excess for the true target.
        let missed = x.gt(0.0).select(x.multiply_no_nan(1.0 - target), -x.multiply_no_nan(target));
        (-x.abs()).softplus() + missed
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
