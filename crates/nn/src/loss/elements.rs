//! Losses of single elements: each prediction has a target of its own.

use gradus_autograd::{
    AsVar, Binary, BinaryFunction, Float, Literal, Real, Saves, Unary, UnaryFunction, Var, apply,
};

use super::{Reduction, loss};
use crate::inside;

loss! {
    /// The squared error, `(x - t)^2`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    MseLoss {}
}

impl MseLoss {
    /// The loss of a prediction; `target` is a variable or tensor of the same shape or one number.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("mse_loss");
        if self.reduction == Reduction::Mean {
            // Loss and reduction are one operation.
            return Reduction::None
                .of_elements("mse_loss", prediction, target, |x, t| x.mean_squared_error(t));
        }
        self.reduction.of_elements("mse_loss", prediction, target, |x, t| (x - t).square())
    }
}

loss! {
    /// The absolute error, `abs(x - t)`, whose derivative at 0 is 0.
    #[derive(Debug, Clone, Copy, PartialEq)]
    L1Loss {}
}

impl L1Loss {
    /// The loss of a prediction; `target` is a variable or tensor of the same shape or one number.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("l1_loss");
        self.reduction.of_elements("l1_loss", prediction, target, |x, t| (x - t).abs())
    }
}

loss! {
    /// Half the squared error up to a distance of `delta`, beyond it a straight line of slope `delta` (Huber, 1964):
    /// outliers do not count by their square.
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
    HuberLoss {
        /// The distance at which the square becomes a straight line.
        delta: f64 = 1.0,
    }
}

impl HuberLoss {
    /// Sets the distance at which the square becomes a straight line.
    ///
    /// # Panics
    /// If `delta` is not positive.
    #[must_use]
    #[track_caller]
    pub fn delta(self, delta: f64) -> Self {
        assert!(delta > 0.0, "huber_loss: `delta` is {delta}: it must be positive");
        Self { delta, ..self }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape or one number.
    ///
    /// # Panics
    /// If the shapes differ, or `delta` is not positive.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("huber_loss");
        let Self { delta, reduction } = self.delta(self.delta);
        let loss = |x: &Var<T>, t: &Var<T>| apply(Unary(Huber { delta }), &[&(x - t)]);
        reduction.of_elements("huber_loss", prediction, target, loss)
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

loss! {
    /// The squared error divided by `2 beta` below a distance of `beta`, beyond it the distance less `beta / 2`
    /// (Girshick, 2015): [`HuberLoss`] divided by its `delta`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    SmoothL1Loss {
        /// The distance at which the square becomes a straight line.
        beta: f64 = 1.0,
    }
}

impl SmoothL1Loss {
    /// Sets the distance at which the square becomes a straight line; with 0 the loss is [`L1Loss`].
    ///
    /// # Panics
    /// If `beta` is negative.
    #[must_use]
    #[track_caller]
    pub fn beta(self, beta: f64) -> Self {
        assert!(beta >= 0.0, "smooth_l1_loss: `beta` is {beta}: it must not be negative");
        Self { beta, ..self }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape or one number.
    ///
    /// # Panics
    /// If the shapes differ, or `beta` is negative.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("smooth_l1_loss");
        let Self { beta, reduction } = self.beta(self.beta);
        reduction.of_elements("smooth_l1_loss", prediction, target, |x, t| {
            let error = x - t;
            if beta == 0.0 { error.abs() } else { apply(Unary(SmoothL1 { beta }), &[&error]) }
        })
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

loss! {
    /// The terms of the Kullback-Leibler divergence (1951), `t (log(t) - x)` for log-probabilities x and probabilities
    /// t, which is 0 where t is 0. With [`Reduction::BatchMean`] the loss is the mean divergence of the rows.
    #[derive(Debug, Clone, Copy, PartialEq)]
    KlDivLoss {
        /// Whether targets are logarithms of probabilities, too.
        log_target: bool = false,
    }
}

impl KlDivLoss {
    /// Sets whether targets are logarithms of probabilities, too.
    #[must_use]
    pub fn log_target(self, log_target: bool) -> Self {
        Self { log_target, ..self }
    }

    /// The loss of a prediction; `target` is a variable or tensor of the same shape or one number.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn forward<T: Float>(&self, prediction: &Var<T>, target: impl AsVar<T>) -> Var<T> {
        let _scope = inside::open_named("kl_div");
        self.reduction.of_elements("kl_div", prediction, target, |x, t| {
            if self.log_target {
                apply(Binary(KlDivOfLogTarget), &[x, t])
            } else {
                t.xlogy(t) - x.multiply_no_nan(t)
            }
        })
    }
}

/// e^t (t - x), which is 0 where the probability e^t is 0.
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
