//! Rounding to the levels of a quantised number, with straight-through gradients.
//!
//! A rounded number has the derivative 0 almost everywhere, from which nothing can be learnt. By convention rounding is
//! differentiated as if it were the identity (the straight-through estimator; Bengio, Léonard and Courville, "Estimating
//! or propagating gradients through stochastic neurons", 2013), and the limits of the levels as they are.

use std::ops::RangeInclusive;

use gradus_tensor::{Float, Shape, Tensor, TensorError, broadcast_shapes};

use super::operations::operations;
use crate::tape::{Mask, Var, apply};

/// x, rounded to a level of a quantised number.
#[inline(always)]
fn level<T: Float>(r: T, zero_point: T, low: T, high: T) -> T {
    let q = r + zero_point;
    // NaN stays.
    let q = if q < low { low } else { q };
    (if q > high { high } else { q }) - zero_point
}

/// Scales that broadcast to the shape of x and do not extend it.
fn scaled_shape(operation: &'static str, x: &[usize], scale: &[usize]) -> Result<Shape, TensorError> {
    let shape = broadcast_shapes(operation, x, scale)?;
    if shape.as_slice() == x {
        return Ok(shape);
    }
    Err(TensorError::Broadcast { operation, left: x.into(), right: scale.into() })
}

operations! {
    Nonlinear<T> FakeQuantize { scale: Tensor<T>, zero_point: Tensor<T>, low: f64, high: f64 }: "fake_quantize",
        saves crate::tape::Saves::INPUTS,
        shape |x| Ok(x[0].into()),
        forward |x| {
            let [low, high] = [*low, *high].map(T::from_f64);
            let r = x[0].zip("fake_quantize", scale, #[inline(always)] |x, scale| (x / scale).round());
            let q = r.zip("fake_quantize", zero_point, #[inline(always)] move |r, z| level(r, z, low, high));
            q * scale
        },
        vjp |context, _| {
            let q = (context.input(0) / scale).round() + zero_point;
            let outside = q.lt(T::from_f64(*low)) | q.gt(T::from_f64(*high)) | q.ne(&q);
            context.cotangent().masked_fill(outside, T::ZERO)
        };

    /// The inputs are x and the step.
    Nonlinear Lsq { low: f64, high: f64 }: "lsq",
        saves crate::tape::Saves::INPUTS,
        shape |x| scaled_shape("lsq", x[0], x[1]),
        forward |x| {
            let [low, high] = [*low, *high].map(T::from_f64);
            let levels = x[0].zip("lsq", x[1], #[inline(always)] move |x, step| level((x / step).round(), T::ZERO, low, high));
            levels * x[1]
        },
        vjp |context, input| {
            let (step, g) = (context.input(1), context.cotangent());
            let r = context.input(0) / step;
            let inside: Mask<T> = r.gt(T::from_f64(*low)) & r.lt(T::from_f64(*high));
            if input == 0 {
                g.masked_fill(!inside, T::ZERO)
            } else {
                (r.clamp(*low, *high).round() - r.masked_fill(!inside, T::ZERO)).gated(g)
            }
        };
}

/// The bounds of the levels as numbers.
#[track_caller]
fn bounds(operation: &str, levels: &RangeInclusive<i64>) -> (f64, f64) {
    assert!(
        levels.start() < levels.end(),
        "{operation}: the levels are {levels:?}: there must be two at least, such as -128..=127"
    );
    (*levels.start() as f64, *levels.end() as f64)
}

impl<T: Float> Var<T> {
    /// Each element as it would be after a round trip through a quantised number: `(q - zero_point) * scale` with `q =
    /// round(x / scale) + zero_point`, halves to even, cut to the levels (Jacob et al., "Quantization and training of neural
    /// networks for efficient integer-arithmetic-only inference", 2018).
    ///
    /// By convention the derivative is 1 where `q` lies within the levels before it is cut, and 0 elsewhere and for NaN;
    /// scale and zero point are data without a gradient ([`lsq`](Self::lsq) learns the scale). They broadcast to this
    /// shape: one number, or one for each channel.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([0.1, 0.6, 40.0]));
    /// let y = x.fake_quantize(0.25, 0.0, -128..=127);
    /// assert_eq!(y.value(), &Tensor::from([0.0, 0.5, 31.75]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([1.0, 1.0, 0.0])));
    /// ```
    ///
    /// # Panics
    /// If scale or zero point do not broadcast to this shape, a scale is not positive and finite, or there are fewer than
    /// two levels.
    #[track_caller]
    pub fn fake_quantize(
        &self,
        scale: impl Into<Tensor<T>>,
        zero_point: impl Into<Tensor<T>>,
        levels: RangeInclusive<i64>,
    ) -> Self {
        let (scale, zero_point) = (scale.into(), zero_point.into());
        let (low, high) = bounds("fake_quantize", &levels);
        for (what, x) in [("scale", &scale), ("zero point", &zero_point)] {
            assert!(
                scaled_shape("fake_quantize", self.shape(), x.shape()).is_ok(),
                "fake_quantize: the {what} has shape {:?} and x {:?}: it must broadcast to the shape of x",
                x.shape(),
                self.shape()
            );
        }
        if let Some(scale) = scale.iter().find(|&scale| !(scale > T::ZERO && scale.is_finite())) {
            panic!("fake_quantize: a scale is {scale}: scales must be positive and finite");
        }
        apply(FakeQuantize { scale, zero_point, low, high }, &[self])
    }

    /// Each element rounded to a multiple of a `step` that is learnt, `round(clip(x / step, low, high)) * step` (Esser et al.,
    /// "Learned step size quantization", 2020).
    ///
    /// By the convention of that paper the derivative with respect to x is 1 where x / step lies strictly between the lowest
    /// and the highest level, and else 0; the derivative with respect to the step is `round(x / step) - x / step` there, and
    /// the lowest or the highest level beyond. The paper multiplies the gradient of the step by `1 / sqrt(n * highest
    /// level)` with the number n of elements: [`map_gradient`](Self::map_gradient) of the step does that. The step broadcasts
    /// to this shape; its numbers, which change while they are learnt, are not checked: for a step of 0 results are 0 or NaN.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let (x, step) = (Var::leaf(Tensor::from([0.6, 9.0])), Var::leaf(Tensor::from(0.5)));
    /// let y = x.lsq(&step, -8..=7);
    /// assert_eq!(y.value(), &Tensor::from([0.5, 3.5]));
    /// let gradients = y.sum(..).backward();
    /// assert_eq!(gradients.get(&x), Some(&Tensor::from([1.0, 0.0])));
    /// assert_eq!(gradients.get(&step).unwrap().item(), 1.0 - 1.2 + 7.0);
    /// ```
    ///
    /// # Panics
    /// If the step does not broadcast to this shape, or there are fewer than two levels.
    #[track_caller]
    pub fn lsq(&self, step: impl Into<Self>, levels: RangeInclusive<i64>) -> Self {
        let (step, (low, high)) = (step.into(), bounds("lsq", &levels));
        assert!(
            scaled_shape("lsq", self.shape(), step.shape()).is_ok(),
            "lsq: the step has shape {:?} and x {:?}: it must broadcast to the shape of x",
            step.shape(),
            self.shape()
        );
        apply(Lsq { low, high }, &[self, &step])
    }
}

/// The laws compare derivatives with differences. For steps of 2^-46 to 2^-43 rounding has no effect that a difference
/// could see: what remains is the clipping, whose derivative is the convention for x. For the step, x is a level and a quarter
/// times the step: then the result is the level times the step, whatever the step is.
#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    vec![
        case!(
            "fake_quantize", (shape, bits, zero_point) in (shapes(0..=3, 0..=4), 43..=46_i32, -9..=9_i64), [shape],
            |x| {
                let (scale, most) = (2.0_f64.powi(-bits), 3_i64 << (bits - 1));
                x.fake_quantize(Tensor::scalar(scale).cast(), Tensor::scalar(zero_point as f64).cast(), -most..=most)
            }
        ),
        case!(
            "lsq", (shape, bits) in (shapes(0..=3, 0..=4), 43..=46_i32),
            [shape.clone(), shape => -11.0..11.0, [] => 0.3..2.0],
            |x, r, step| {
                let (fine, most) = (2.0_f64.powi(-bits), 3_i64 << (bits - 1));
                let level_and_quarter = r.detach().floor() + 0.25;
                x.lsq(Tensor::scalar(fine).cast(), -most..=most) + (level_and_quarter * step).lsq(step, -8..=7)
            }
        ),
    ]
}
