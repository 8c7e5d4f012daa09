//! Elementwise mathematics.

use crate::element::{Float, Number};
use crate::ops::arithmetic::check_divisor;
use crate::tensor::Tensor;

/// Unary functions of the element type, lifted to tensors; for the example of each a number and the result.
macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident $x:expr => $y:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// Elementwise; the result has this tensor's shape.
        ///
        /// ```
        /// # use std::f64::consts::*;
        /// use gradus_tensor::Tensor;
        ///
        #[doc = concat!("let x = Tensor::<f64>::from([[", stringify!($x), "]]);")]
        #[doc = concat!("assert_eq!(x.", stringify!($name), "(), Tensor::from([[", stringify!($y), "]]));")]
        /// ```
        pub fn $name(&self) -> Self {
            self.map(
                #[inline(always)]
                |x| x.$name(),
            )
        }
    )*};
}

/// Functions of two numbers, lifted to tensors that broadcast; `checked` ones refuse to divide integers by 0.
macro_rules! pairwise {
    ($($(#[$doc:meta])* $name:ident $literal:literal |$x:ident, $y:ident| $result:expr $(, $checked:ident)?;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// If the shapes do not broadcast.
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

impl<T: Number> Tensor<T> {
    elementwise! {
        /// The distance to zero.
        abs -2.5 => 2.5;
        /// -1, 0 or 1; NaN for NaN.
        sign -2.5 => -1.0;
    }

    pairwise! {
        /// The larger of two numbers; NaN if either is NaN.
        ///
        /// ```
        /// use gradus_tensor::Tensor;
        ///
        /// let x = Tensor::from([1, 5]);
        /// assert_eq!(x.maximum(Tensor::from([[2], [6]])), Tensor::from([[2, 5], [6, 6]]));
        /// assert_eq!(x.minimum(2), Tensor::from([1, 2]));
        /// ```
        maximum "maximum" |x, y| if x >= y || x.is_nan() { x } else { y };
        /// The smaller of two numbers; NaN if either is NaN.
        minimum "minimum" |x, y| if x <= y || x.is_nan() { x } else { y };
        /// The remainder of a division whose quotient is rounded towards zero: it has the sign of this tensor's
        /// elements. Integers cannot be divided by 0.
        ///
        /// ```
        /// use gradus_tensor::Tensor;
        ///
        /// let x = Tensor::from([-7, 7]);
        /// assert_eq!(x.fmod(3), Tensor::from([-1, 1]));
        /// assert_eq!(x.remainder(3), Tensor::from([2, 1]));
        /// assert_eq!(x.floor_divide(3), Tensor::from([-3, 2]));
        /// ```
        fmod "fmod" |x, y| x.fmod(y), checked;
        /// The remainder of a division whose quotient is rounded down: it has the sign of the divisor, `other`.
        /// Integers cannot be divided by 0.
        remainder "remainder" |x, y| x.remainder(y), checked;
        /// The quotient, rounded down. Integers cannot be divided by 0.
        floor_divide "floor_divide" |x, y| x.floor_divide(y), checked;
    }

    /// Numbers below `low` become `low`, above `high` become `high`; NaN stays. If `low` is above `high`, all
    /// become `high`; a bound that is NaN has no effect.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([-3, 1, 9]).clamp(0, 5), Tensor::from([0, 1, 5]));
    /// ```
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

impl<T: Float> Tensor<T> {
    elementwise! {
        /// e to the power of each element.
        exp 0.0 => 1.0;
        /// 2 to the power of each element.
        exp2 3.0 => 8.0;
        /// e^x - 1, accurate near zero.
        expm1 1e-20 => 1e-20;
        /// The natural logarithm.
        log 1.0 => 0.0;
        /// The logarithm to base 2.
        log2 8.0 => 3.0;
        /// The logarithm to base 10.
        log10 100.0 => 2.0;
        /// log(1 + x), accurate near zero.
        log1p 1e-20 => 1e-20;
        /// The square root; NaN for negative numbers.
        sqrt 9.0 => 3.0;
        /// One divided by the square root.
        rsqrt 4.0 => 0.5;
        /// One divided by each element.
        reciprocal 4.0 => 0.25;
        /// Each element times itself.
        square 3.0 => 9.0;
        /// The sine of an angle in radians.
        sin FRAC_PI_2 => 1.0;
        /// The cosine of an angle in radians.
        cos PI => -1.0;
        /// The tangent of an angle in radians.
        tan 0.0 => 0.0;
        /// The inverse sine, in radians.
        asin 1.0 => FRAC_PI_2;
        /// The inverse cosine, in radians.
        acos -1.0 => PI;
        /// The inverse tangent, in radians.
        atan 1.0 => FRAC_PI_4;
        /// The hyperbolic sine.
        sinh 0.0 => 0.0;
        /// The hyperbolic cosine.
        cosh 0.0 => 1.0;
        /// The hyperbolic tangent.
        tanh f64::INFINITY => 1.0;
        /// The inverse hyperbolic sine.
        asinh 0.0 => 0.0;
        /// The inverse hyperbolic cosine.
        acosh 1.0 => 0.0;
        /// The inverse hyperbolic tangent.
        atanh 1.0 => f64::INFINITY;
        /// The error function.
        erf f64::INFINITY => 1.0;
        /// 1 - erf(x), accurate where that is nearly 0.
        erfc f64::NEG_INFINITY => 2.0;
        /// The logarithm of the size of the gamma function, log |gamma(x)|; infinite at 0, -1, -2, ...
        lgamma 2.0 => 0.0;
        /// The derivative of `lgamma`; infinite at 0, NaN at -1, -2, ...
        digamma f64::INFINITY => f64::INFINITY;
        /// The largest integer that is not larger.
        floor -1.5 => -2.0;
        /// The smallest integer that is not smaller.
        ceil -1.5 => -1.0;
        /// The integer part, towards zero.
        trunc -1.5 => -1.0;
        /// The fractional part, with the sign of the element.
        frac -1.5 => -0.5;
        /// The nearest integer, halves to even.
        round 2.5 => 2.0;
        /// max(x, 0); NaN stays NaN.
        relu -2.0 => 0.0;
        /// The logistic function, 1 / (1 + e^-x).
        sigmoid 0.0 => 0.5;
        /// log(1 + e^x), without overflow.
        softplus 800.0 => 800.0;
        /// x times the normal distribution function, x erfc(-x / sqrt(2)) / 2.
        gelu f64::NEG_INFINITY => 0.0;
        /// x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): nearly `gelu` (Hendrycks and Gimpel, 2016).
        gelu_tanh f64::NEG_INFINITY => 0.0;
    }

    pairwise! {
        /// Each element to the power of its partner.
        ///
        /// ```
        /// use gradus_tensor::Tensor;
        ///
        /// let x = Tensor::from([2.0, 4.0]);
        /// assert_eq!(x.pow(2.0), Tensor::from([4.0, 16.0]));
        /// assert_eq!(x.pow(Tensor::from([3.0, 0.5])), Tensor::from([8.0, 2.0]));
        /// assert_eq!(x.hypot(Tensor::from([1.5, 3.0])), Tensor::from([2.5, 5.0]));
        /// assert_eq!(x.xlogy(1.0), Tensor::from([0.0, 0.0]));
        /// assert_eq!(Tensor::from([1000.0]).logaddexp(1000.0), Tensor::from([1000.0 + 2.0_f64.ln()]));
        /// assert_eq!(Tensor::from([f64::NAN]).multiply_no_nan(0.0), Tensor::from([0.0]));
        /// ```
        pow "pow" |x, y| x.pow(y);
        /// The angle of the point (`other`, `self`), in radians from -pi to pi.
        atan2 "atan2" |x, y| x.atan2(y);
        /// The square root of the sum of two squares, without overflow.
        hypot "hypot" |x, y| x.hypot(y);
        /// log(e^x + e^y), without overflow.
        logaddexp "logaddexp" |x, y| x.logaddexp(y);
        /// Each element times the logarithm of its partner; 0 where the element is 0, unless the partner is NaN.
        xlogy "xlogy" |x, y| x.xlogy(y);
        /// The product, and 0 where `other` is 0, even if this is infinite or NaN there: an element of weight 0 has no
        /// influence.
        multiply_no_nan "multiply_no_nan" |x, y| x.multiply_no_nan(y);
    }

    /// Derivative `order` of the [`digamma`](Self::digamma) function: 0 gives the function itself, 1 the trigamma
    /// function. From order 1 on it is infinite at 0, -1, -2, ...
    ///
    /// ```
    /// use std::f64::consts::PI;
    /// use gradus_tensor::Tensor;
    ///
    /// let y = Tensor::from([1.0, 2.0]).polygamma(1);
    /// assert!(y.allclose(&Tensor::from([PI * PI / 6.0, PI * PI / 6.0 - 1.0]), 1e-15, 0.0));
    /// ```
    pub fn polygamma(&self, order: usize) -> Self {
        self.map(
            #[inline(always)]
            |x| x.polygamma(order),
        )
    }
}
