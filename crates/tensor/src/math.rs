//! Elementwise mathematics.

use crate::element::{Float, Number};
use crate::error::TensorError;
use crate::tensor::Tensor;

/// Unary functions of the element type, lifted to tensors.
macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        ///
        /// Elementwise; the result has this tensor's shape.
        pub fn $name(&self) -> Self {
            self.map(|x| x.$name())
        }
    )*};
}

impl<T: Number> Tensor<T> {
    elementwise! {
        /// The distance to zero.
        abs
        /// -1, 0 or 1; NaN for NaN.
        sign
    }

    /// The larger of two numbers; NaN if either is NaN.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn maximum(&self, other: impl Into<Self>) -> Self {
        self.zip("maximum", &other.into(), |x, y| if x >= y || x.is_nan() { x } else { y })
    }

    /// The smaller of two numbers; NaN if either is NaN.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn minimum(&self, other: impl Into<Self>) -> Self {
        self.zip("minimum", &other.into(), |x, y| if x <= y || x.is_nan() { x } else { y })
    }

    /// Numbers below `low` become `low`, above `high` become `high`; NaN stays.
    ///
    /// # Panics
    /// Unless `low <= high`.
    #[track_caller]
    pub fn clamp(&self, low: T, high: T) -> Self {
        if !matches!(low.partial_cmp(&high), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
            TensorError::Argument {
                operation: "clamp",
                argument: "low..high",
                got: format!("{low}..{high}"),
                shape: self.shape().into(),
                expected: "low must not be above high, nor NaN".into(),
            }
            .panic();
        }
        self.map(|x| {
            if x < low {
                low
            } else if x > high {
                high
            } else {
                x
            }
        })
    }
}

impl<T: Float> Tensor<T> {
    elementwise! {
        /// e to the power of each element.
        exp
        /// 2 to the power of each element.
        exp2
        /// e^x - 1, accurate near zero.
        expm1
        /// The natural logarithm.
        log
        /// The logarithm to base 2.
        log2
        /// The logarithm to base 10.
        log10
        /// log(1 + x), accurate near zero.
        log1p
        /// The square root; NaN for negative numbers.
        sqrt
        /// One divided by the square root.
        rsqrt
        /// One divided by each element.
        reciprocal
        /// Each element times itself.
        square
        /// The sine of an angle in radians.
        sin
        /// The cosine of an angle in radians.
        cos
        /// The tangent of an angle in radians.
        tan
        /// The inverse sine, in radians.
        asin
        /// The inverse cosine, in radians.
        acos
        /// The inverse tangent, in radians.
        atan
        /// The hyperbolic sine.
        sinh
        /// The hyperbolic cosine.
        cosh
        /// The hyperbolic tangent.
        tanh
        /// The inverse hyperbolic sine.
        asinh
        /// The inverse hyperbolic cosine.
        acosh
        /// The inverse hyperbolic tangent.
        atanh
        /// The error function.
        erf
        /// The largest integer that is not larger.
        floor
        /// The smallest integer that is not smaller.
        ceil
        /// The integer part, towards zero.
        trunc
        /// The nearest integer, halves to even.
        round
        /// max(x, 0); NaN stays NaN.
        relu
        /// The logistic function, 1 / (1 + e^-x).
        sigmoid
        /// log(1 + e^x), without overflow.
        softplus
    }

    /// Each element to the power of its partner.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn pow(&self, exponent: impl Into<Self>) -> Self {
        self.zip("pow", &exponent.into(), T::pow)
    }

    /// The angle of the point (`other`, `self`), in radians from -pi to pi.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn atan2(&self, other: impl Into<Self>) -> Self {
        self.zip("atan2", &other.into(), T::atan2)
    }

    /// The square root of the sum of two squares, without overflow.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn hypot(&self, other: impl Into<Self>) -> Self {
        self.zip("hypot", &other.into(), T::hypot)
    }
}
