//! Elementwise mathematics.

use crate::element::{Float, Number};
use crate::kernels;
use crate::ops::arithmetic::check_divisor;
use crate::tensor::Tensor;

/// Unary functions of the element type, lifted to tensors.
macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> Self {
            self.map(
                #[inline(always)]
                |x| x.$name(),
            )
        }
    )*};
}

/// [`elementwise`] of functions such as e^x, whose loops compute several vectors in turns.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> Self {
            let results = kernels::map_function(
                self.strided(),
                #[inline(always)]
                |x: T| x.$name(),
            );
            Self::from_buffer(results, self.shape())
        }
    )*};
}

/// Functions of two numbers, lifted to tensors that broadcast; with `checked` they refuse to divide integers by 0.
macro_rules! pairwise {
    ($($(#[$doc:meta])* $name:ident $literal:literal |$x:ident, $y:ident| $result:expr $(, $checked:ident)?;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: impl Into<Self>) -> Self {
            let other = other.into();
            $(pairwise!(@$checked $literal, self, other);)?
            self.zip($literal, &other, #[inline(always)] |$x, $y| $result)
        }
    )*};
    (@checked $literal:literal, $dividend:expr, $divisor:ident) => {
        check_divisor($literal, $dividend.shape(), || $divisor.clone());
    };
}

/// Arithmetic of each element. A second operand is a number or a tensor that broadcasts; the methods panic if it does not,
/// or if integers are divided by 0.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([-7, 7]);
/// assert_eq!(x.abs(), Tensor::from([7, 7]));
/// assert_eq!(x.clamp(-5, 5), Tensor::from([-5, 5]));
/// assert_eq!(x.maximum(Tensor::from([[0], [9]])), Tensor::from([[0, 7], [9, 9]]));
/// assert_eq!(x.fmod(3), Tensor::from([-1, 1]));
/// assert_eq!(x.remainder(3), Tensor::from([2, 1]));
/// assert_eq!(x.floor_divide(3), Tensor::from([-3, 2]));
/// ```
impl<T: Number> Tensor<T> {
    elementwise! {
        /// The absolute value.
        abs;
        /// -1, 0 or 1; NaN for NaN.
        sign;
    }

    pairwise! {
        /// The larger of two numbers; NaN if either is NaN.
        maximum "maximum" |x, y| if x >= y || x.is_nan() { x } else { y };
        /// The smaller of two numbers; NaN if either is NaN.
        minimum "minimum" |x, y| if x <= y || x.is_nan() { x } else { y };
        /// The remainder of a division whose quotient is rounded towards zero: it has the sign of this tensor's
        /// elements. Integers cannot be divided by 0.
        fmod "fmod" |x, y| x.fmod(y), checked;
        /// The remainder of a division whose quotient is rounded down: it has the sign of the divisor, `other`.
        /// Integers cannot be divided by 0.
        remainder "remainder" |x, y| x.remainder(y), checked;
        /// The quotient, rounded down. Integers cannot be divided by 0.
        floor_divide "floor_divide" |x, y| x.floor_divide(y), checked;
    }

    /// Numbers below `low` become `low`, above `high` become `high`; NaN stays. If `low` is above `high`, all
    /// become `high`; a bound that is NaN has no effect.
    pub fn clamp(&self, low: T, high: T) -> Self {
        self.map(
            #[inline(always)]
            |x| {
                let raised = if x < low { low } else { x };
                if raised > high { high } else { raised }
            },
        )
    }
}

/// Mathematical functions of each element. A second operand is a number or a tensor that broadcasts; the methods panic if it
/// does not.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::<f64>::from([1.0, 4.0]);
/// assert_eq!(x.sqrt(), Tensor::from([1.0, 2.0]));
/// assert_eq!(x.pow(Tensor::from([3.0, 0.5])), Tensor::from([1.0, 2.0]));
/// assert_eq!((&x * 1e-20).expm1(), &x * 1e-20);
/// assert_eq!((&x * 200.0).softplus(), &x * 200.0); // without overflow
/// assert_eq!((&x * 0.0).xlogy(0.0), Tensor::from([0.0, 0.0]));
/// assert_eq!(x.polygamma(1)[[0]], std::f64::consts::PI.powi(2) / 6.0);
/// ```
impl<T: Float> Tensor<T> {
    elementwise! {
        /// The logarithm to base 2.
        log2;
        /// The logarithm to base 10.
        log10;
        /// The square root; NaN for negative numbers.
        sqrt;
        /// One divided by the square root.
        rsqrt;
        /// One divided by each element.
        reciprocal;
        /// Each element times itself.
        square;
        /// The inverse sine, in radians.
        asin;
        /// The inverse cosine, in radians.
        acos;
        /// The inverse tangent, in radians.
        atan;
        /// The inverse hyperbolic sine.
        asinh;
        /// The inverse hyperbolic cosine.
        acosh;
        /// The inverse hyperbolic tangent.
        atanh;
        /// 1 - erf(x), accurate where the result is nearly 0.
        erfc;
        /// The logarithm of the size of the gamma function, log |gamma(x)|; infinite at 0, -1, -2, ...
        lgamma;
        /// The derivative of `lgamma`; infinite at 0, NaN at -1, -2, ...
        digamma;
        /// The largest integer that is not larger than the element.
        floor;
        /// The smallest integer that is not smaller than the element.
        ceil;
        /// The integer part, towards zero.
        trunc;
        /// The fractional part, with the sign of the element.
        frac;
        /// The nearest integer, halves to even.
        round;
        /// max(x, 0); NaN stays NaN.
        relu;
    }

    functions! {
        /// e to the power of each element.
        exp;
        /// 2 to the power of each element.
        exp2;
        /// e^x - 1, accurate near zero.
        expm1;
        /// The natural logarithm.
        log;
        /// log(1 + x), accurate near zero.
        log1p;
        /// The sine of an angle in radians.
        sin;
        /// The cosine of an angle in radians.
        cos;
        /// The tangent of an angle in radians.
        tan;
        /// The hyperbolic sine.
        sinh;
        /// The hyperbolic cosine.
        cosh;
        /// The hyperbolic tangent.
        tanh;
        /// The error function.
        erf;
        /// The logistic function, 1 / (1 + e^-x).
        sigmoid;
        /// log(1 + e^x), without overflow.
        softplus;
        /// x times the normal distribution function, x erfc(-x / sqrt(2)) / 2.
        gelu;
        /// x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): nearly `gelu` (Hendrycks and Gimpel, 2016).
        gelu_tanh;
    }

    pairwise! {
        /// Each element to the power of its partner.
        pow "pow" |x, y| x.pow(y);
        /// The angle of the point (`other`, `self`), in radians from -pi to pi.
        atan2 "atan2" |x, y| x.atan2(y);
        /// The square root of the sum of two squares, without overflow.
        hypot "hypot" |x, y| x.hypot(y);
        /// log(e^x + e^y), without overflow.
        logaddexp "logaddexp" |x, y| x.logaddexp(y);
        /// Each element times the logarithm of its partner; 0 where the element is 0, unless the partner is NaN.
        xlogy "xlogy" |x, y| x.xlogy(y);
        /// The product, and 0 where `other` is 0, even where this tensor is infinite or NaN: an element of weight 0 has
        /// no influence.
        multiply_no_nan "multiply_no_nan" |x, y| x.multiply_no_nan(y);
    }

    /// Derivative `order` of the [`digamma`](Self::digamma) function: 0 gives the function itself, 1 the trigamma
    /// function. From order 1 on, it is infinite at 0, -1, -2, ...
    pub fn polygamma(&self, order: usize) -> Self {
        self.map(
            #[inline(always)]
            |x| x.polygamma(order),
        )
    }
}
