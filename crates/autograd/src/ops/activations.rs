//! Activation functions.
//!
//! At kinks, and where numbers are infinite or NaN, derivatives follow PyTorch.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use gradus_tensor::{Float, OrPanic, lane_axis};

use crate::scalar::elementwise::elementwise;
use crate::scalar::{Binary, Real, binary_function};
use crate::tape::{Var, apply};

/// The density of the standard normal distribution at 0: 1 / sqrt(2 pi).
const BELL: f64 = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI / 2.0;

/// 2 sqrt(2 / pi).
const GELU_TANH: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const GELU_TANH_CUBIC: f64 = GELU_TANH * 0.044_715;

/// With these, mean 0 and variance 1 are a fixed point of a layer (Klambauer et al., 2017).
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_SLOPE: f64 = SELU_ALPHA * SELU_SCALE;

elementwise! {
    /// The logistic function, 1 / (1 + e^-x).
    sigmoid: Sigmoid |x| x.sigmoid(), from output |y| y * (1.0 - y), on -4.0..4.0;
    /// The logarithm of the logistic function, log(1 / (1 + e^-x)), without overflow.
    logsigmoid: Logsigmoid |x| -(-x).softplus(), from input |x| (-x).sigmoid(), on -4.0..4.0;
    /// The logistic function in straight lines: from 0 at -3 to 1 at 3. At the bends the derivative is 0.
    hardsigmoid: Hardsigmoid |x| {
        let x = x + 3.0;
        let x = x.lt(0.0).select(0.0, x);
        x.gt(6.0).select(6.0, x) / 6.0
    }, gate input |x| x.gt(-3.0) * x.lt(3.0) / 6.0, on -4.0..4.0;
    /// x, limited to the range from `low` to `high`. At the bends the derivative is 0. It differs from
    /// [`clamp`](Self::clamp) in the derivative of NaN, which is 1.
    hardtanh { low: f64 = -1.0 in -1.5..-0.5, high: f64 = 1.5 in 0.5..1.5 }: Hardtanh
        |x| { let x = x.lt(low).select(low, x); x.gt(high).select(high, x) },
        gate input |x| (1.0 - x.le(low)) * (1.0 - x.ge(high)), on -2.0..2.0;
    /// x / (1 + |x|).
    softsign: Softsign |x| x / (1.0 + x.abs()), from input |x| {
        // Infinity over infinity has neither a value nor a derivative.
        (1.0 + x.abs()).reciprocal().square() + x * 0.0
    }, on -2.0..2.0;

    /// max(x, 0). At 0 the derivative is 0.
    relu: Relu |x| x.relu(), gate output |y| 1.0 - y.eq(0.0), on -2.0..2.0;
    /// x, limited to the range from 0 to 6. At 0 and 6 the derivative is 0.
    relu6: Relu6 |x| { let x = x.relu(); x.gt(6.0).select(6.0, x) },
        gate input |x| (1.0 - x.le(0.0)) * (1.0 - x.ge(6.0)), on -2.0..8.0;
    /// x where it is positive, else `negative_slope * x`. At 0 the derivative is `negative_slope`.
    leaky_relu { negative_slope: f64 = 0.1 in 0.01..0.5 }: LeakyRelu |x| x.gt(0.0).select(x, x * negative_slope),
        gate input |x| x.gt(0.0).select(1.0, negative_slope), on -2.0..2.0;
    /// x where it is positive, else `alpha * (e^x - 1)` (Clevert et al., 2015). At 0 the derivative is `alpha`.
    elu { alpha: f64 = 1.0 in 0.5..1.5 }: Elu |x| x.gt(0.0).select(x, x.expm1() * alpha),
        from input |x| below_zero(x, |x| x.exp() * alpha, 1.0), on -2.0..2.0;
    /// x where it is positive, else `alpha * (e^(x / alpha) - 1)`, whose slope is 1 at 0 for every `alpha` (Barron,
    /// 2017).
    celu { alpha: f64 = 1.0 in 0.5..1.5 }: Celu |x| x.gt(0.0).select(x, (x / alpha).expm1() * alpha),
        from input |x| below_zero(x, |x| (x / alpha).exp(), 1.0), on -2.0..2.0;
    /// [`elu`](Self::elu) with the one `alpha` and times the one factor that keep mean 0 and variance 1 from layer to
    /// layer (Klambauer et al., 2017). At 0 the derivative is the one from below, 1.7581.
    selu: Selu |x| x.gt(0.0).select(x, x.expm1() * SELU_ALPHA) * SELU_SCALE,
        from input |x| below_zero(x, |x| x.exp() * SELU_SLOPE, SELU_SCALE), on -2.0..2.0;
    /// log(1 + e^(beta x)) / beta, a smooth `relu`, without overflow. Where beta x is above `threshold` it is x
    /// itself with derivative 1; an infinite threshold has no effect. PyTorch's defaults are 1 and 20.
    softplus { beta: f64 = 1.0 in 0.5..2.0, threshold: f64 = 20.0 in 15.0..25.0 }: Softplus
        // From 800 on it is x to all digits: `beta x` may be infinite.
        |x| (x * beta).gt(threshold.min(800.0)).select(x, (x * beta).softplus() / beta),
        from input |x| (x * beta).gt(threshold.min(800.0)).select(1.0, {
            // At the threshold the derivative is the limit from the left, and the second derivative is 0.
            (x * beta).ge(threshold.min(800.0)).select(threshold.min(800.0), x * beta).sigmoid()
        }), on -4.0..4.0;

    /// x / (1 + e^-x), also called swish (Elfwing et al., 2017).
    silu: Silu |x| x * x.sigmoid(), from input |x| x.sigmoid() * (1.0 + x * (1.0 - x.sigmoid())), on -4.0..4.0;
    /// [`silu`](Self::silu) in straight lines: x times [`hardsigmoid`](Self::hardsigmoid) (Howard et al., 2019). At
    /// -3 the derivative is 0, at 3 it is 1.
    hardswish: Hardswish |x| {
        let gate = x + 3.0;
        let gate = gate.lt(0.0).select(0.0, gate);
        x * (gate.gt(6.0).select(6.0, gate) / 6.0)
    }, gate input |x| x.le(-3.0).select(0.0, x.lt(3.0).select(x / 3.0 + 0.5, 1.0)), on -4.0..4.0;
    /// x tanh(log(1 + e^x)) (Misra, 2019).
    mish: Mish |x| x * x.softplus().tanh(), from input |x| {
        let gate = x.softplus().tanh();
        gate + x * x.sigmoid() * (1.0 - gate * gate)
    }, on -4.0..4.0;
    /// x times the probability that a standard normal number is below x (Hendrycks and Gimpel, 2016).
    gelu: Gelu |x| x.gelu(),
        from input |x| 0.5 * (1.0 + (x * FRAC_1_SQRT_2).erf())
            + x * (x * x * -0.5).exp() * BELL, on -3.0..3.0;
    /// `gelu` by a formula without `erf`: x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks and
    /// Gimpel, 2016). The usual form, x (1 + tanh(u)) / 2, is the same.
    gelu_tanh: GeluTanh |x| x.gelu_tanh(), from input |x| {
        // Beyond 25 the derivative is 0 or 1 to all digits, and the powers of x would only overflow.
        let x = x.lt(-25.0).select(-25.0, x);
        let x = x.gt(25.0).select(25.0, x);
        let gate = (x * (x * x * GELU_TANH_CUBIC + GELU_TANH)).sigmoid();
        gate * (1.0 + x * (1.0 - gate) * (x * x * GELU_TANH_CUBIC * 3.0 + GELU_TANH))
    }, on -3.0..3.0;
}

/// `below` of numbers up to 0, and `above` for larger numbers and NaN.
#[inline(always)]
fn below_zero<R: Real>(x: R, below: impl Fn(R) -> R, above: f64) -> R {
    // The branch that is not chosen must not overflow: second derivatives would multiply it by 0. At 0 they are 0.
    x.le(0.0).select(below(x.lt(0.0).select(x, 0.0)), above)
}

/// x, or where that is not positive x times the slope.
#[derive(Debug, Clone, Copy)]
struct Prelu;

binary_function! {
    Prelu, "prelu", true, |x, slope| {
    x.gt(0.0).select(x, x * slope)
    }, {
    // At 0 the mixed derivative is 0.
    let slope = x.eq(0.0).select(slope.detach(), slope);
    [x.gt(0.0).select(1.0, slope), x.ge(0.0).select(0.0, x)]
    }
}

impl<T: Float> Var<T> {
    /// x where it is positive, else x times a slope that is learnt (He et al., 2015): `weight` has one element, or
    /// one for each channel along axis 1, or axis 0 if there is no other. At 0 the derivative is the slope, and all
    /// second derivatives are 0.
    ///
    /// # Panics
    /// If `weight` has another shape.
    #[track_caller]
    pub fn prelu(&self, weight: impl Into<Self>) -> Self {
        let weight = weight.into();
        let channel_axis = usize::from(self.rank() > 1);
        let channels = self.shape().get(channel_axis).copied().unwrap_or(1);
        assert!(
            weight.len() == 1 && weight.rank() <= 1 || weight.shape() == [channels],
            "prelu: the input has shape {:?} and the weight {:?}: the weight must have shape [1] or [{channels}], one \
             slope for all or for each channel",
            self.shape(),
            weight.shape()
        );
        let after = self.rank().saturating_sub(channel_axis + 1);
        let slopes = if weight.len() == 1 { vec![] } else { [&[channels][..], &vec![1; after]].concat() };
        apply(Binary(Prelu), &[self, &weight.reshape(slopes)])
    }

    /// The gated linear unit (Dauphin et al., 2016): of the two halves along an axis, the first times the
    /// [`sigmoid`](Self::sigmoid) of the second.
    ///
    /// # Panics
    /// If the axis is out of range or its size is odd.
    #[track_caller]
    pub fn glu(&self, axis: isize) -> Self {
        let along = lane_axis("glu", axis, self.shape()).or_panic();
        let size = self.shape().get(along).copied().unwrap_or(1);
        assert!(
            size.is_multiple_of(2),
            "glu: axis {axis} of shape {:?} has size {size}: it must be even, to be cut in halves",
            self.shape()
        );
        let halves = self.split([size / 2; 2], axis);
        &halves[0] * halves[1].sigmoid()
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{axes_of, case, shapes};
    use proptest::prelude::*;
    let channels = |shape: &[usize]| shape.get(usize::from(shape.len() > 1)).copied().unwrap_or(1);
    let mut cases = elementwise_cases();
    cases.extend([
        case!(
            "prelu", (shape, weights) in (shapes(0..=4, 0..=4), any::<bool>())
                .prop_map(move |(shape, shared)| { let size = if shared { 1 } else { channels(&shape) }; (shape, size) }),
            [shape, [weights] => 0.1..0.5], |x, weight| x.prelu(weight)
        ),
        case!(
            "glu", (shape, axis) in axes_of(0).prop_map(|(mut shape, axis)| {
                let along = axis.rem_euclid(shape.len() as isize) as usize;
                shape[along] *= 2;
                (shape, axis)
            }),
            [shape], |x| x.glu(axis)
        ),
    ]);
    cases
}
