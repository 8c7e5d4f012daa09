//! Floating-point numbers, and their functions.

use super::Number;
use crate::kernels::functions::{gamma, inverse_hyperbolic, normal};
use crate::kernels::{Gemm, Kernels, functions, range};
use crate::runtime::Lane;

/// A floating-point element, the only kind that has gradients: `f32` or `f64`.
///
/// The mathematical functions have NumPy's names. For `f32`, exponential functions, `log`, `log1p`, `sin`, `cos`,
/// `sinh`, `cosh`, `tanh`, `erf`, `sigmoid` and `softplus` are at most 2 units in the last place off for every argument,
/// `tan` 3, `gelu_tanh` 6, `gelu` 8, with the same bits on every processor. The errors of all functions near the ends of their domains, in both
/// types, are a table in the documentation of `gradus_autograd::accuracy`.
///
/// ```
/// use gradus_tensor::{Float, Tensor};
///
/// fn bell<T: Float>(x: T) -> T {
///     (-x.square()).exp()
/// }
/// assert_eq!(Tensor::from([0.0_f32, f32::INFINITY]).map(bell), Tensor::from([1.0, 0.0]));
/// assert_eq!(bell(1.0_f64), (-1.0_f64).exp());
/// assert_eq!((Float::pow(2.0, 3.0), Float::hypot(3.0, 4.0), Float::xlogy(0.0, 0.0)), (8.0, 5.0, 0.0));
/// assert_eq!((Float::atan2(1.0, 0.0), f64::NAN.multiply_no_nan(0.0)), (std::f64::consts::FRAC_PI_2, 0.0));
/// assert_eq!(Float::logaddexp(1000.0, 1000.0), 1000.0 + 2.0_f64.ln());
/// ```
pub trait Float: Number + Kernels + Gemm + Lane {
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// The largest finite number.
    const MAX: Self;
    /// The smallest positive number that has all its digits.
    const MIN_POSITIVE: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// Not a number.
    const NAN: Self;
    /// `self` to the power `exponent`.
    fn pow(self, exponent: Self) -> Self;
    /// The product, and 0 where `other` is 0, even if `self` is infinite or NaN.
    #[inline(always)]
    fn multiply_no_nan(self, other: Self) -> Self {
        if other == Self::ZERO { Self::ZERO } else { self * other }
    }
    /// The angle of the point (`other`, `self`), in radians from -pi to pi.
    fn atan2(self, other: Self) -> Self;
    /// The square root of the sum of the squares, without overflow.
    fn hypot(self, other: Self) -> Self;
    /// log(e^x + e^y), without overflow.
    fn logaddexp(self, other: Self) -> Self;
    /// This number times the logarithm of another one; 0 where this is 0, unless the other is NaN.
    fn xlogy(self, other: Self) -> Self;
    /// Derivative `order` of the digamma function: 0 gives the function itself, 1 the trigamma function.
    ///
    /// ```
    /// use std::f64::consts::PI;
    /// use gradus_tensor::Float;
    ///
    /// assert!((Float::polygamma(1.0, 1) - PI * PI / 6.0).abs() < 1e-15);
    /// ```
    fn polygamma(self, order: usize) -> Self;
    /// Whether this is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The largest power of two that is not larger than the magnitude of this number; 1 for 0, infinity and NaN.
    ///
    /// Dividing by it is exact, so it brings numbers into a range where their squares and products have all digits.
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!([-5.0, 0.75, 0.0].map(Float::power_of_two), [4.0, 0.5, 1.0]);
    /// assert_eq!(Float::power_of_two(1e-45_f32), 1e-45); // the smallest of all
    /// ```
    fn power_of_two(self) -> Self {
        range::power_of_two(self)
    }
    /// A number in [0, 1) from the high bits of 64 random bits: 24 of them for `f32`, 53 for `f64`.
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!((f64::from_random_bits(0), f64::from_random_bits(1 << 63)), (0.0, 0.5));
    /// assert_eq!(f32::from_random_bits(u64::MAX), 1.0 - f32::EPSILON / 2.0);
    /// ```
    fn from_random_bits(bits: u64) -> Self;
    float_functions! { declare }
}

/// The unary functions of [`Float`]: a name, its documentation, a number and the result for the example, and
/// its body in terms of the primitive's own. A path after `f32` replaces the body for that type.
macro_rules! float_functions {
    (declare) => {
        float_functions! { @each declare_one }
    };
    (define f32) => {
        float_functions! { @each define_f32 }
    };
    (define f64) => {
        float_functions! { @each define_f64 }
    };
    (@each $callback:ident) => {
        float_functions! { @$callback exp "e to the power of this number.", 0.0 => 1.0,
        |x| x.exp(), f32 functions::exp }
        float_functions! { @$callback exp2 "2 to the power of this number.", 3.0 => 8.0,
        |x| x.exp2(), f32 functions::exp2 }
        float_functions! { @$callback expm1 "e^x - 1, accurate near zero.", 1e-20 => 1e-20,
        |x| x.exp_m1(), f32 functions::expm1 }
        float_functions! { @$callback log "The natural logarithm.", 1.0 => 0.0,
        |x| x.ln(), f32 functions::log }
        float_functions! { @$callback log2 "The logarithm to base 2.", 8.0 => 3.0, |x| x.log2() }
        float_functions! { @$callback log10 "The logarithm to base 10.", 100.0 => 2.0, |x| x.log10() }
        float_functions! { @$callback log1p "log(1 + x), accurate near zero.", 1e-20 => 1e-20,
        |x| x.ln_1p(), f32 functions::log1p }
        float_functions! { @$callback sqrt "The square root; NaN for negative numbers.", 9.0 => 3.0,
        |x| x.sqrt() }
        float_functions! { @$callback rsqrt "One divided by the square root.", 4.0 => 0.5,
        |x| x.sqrt().recip() }
        float_functions! { @$callback reciprocal "One divided by this number.", 4.0 => 0.25, |x| x.recip() }
        float_functions! { @$callback square "The number times itself.", 3.0 => 9.0, |x| x * x }
        float_functions! { @$callback sin "The sine of an angle in radians.", FRAC_PI_2 => 1.0,
        |x| x.sin(), f32 functions::sin }
        float_functions! { @$callback cos "The cosine of an angle in radians.", PI => -1.0,
        |x| x.cos(), f32 functions::cos }
        float_functions! { @$callback tan "The tangent of an angle in radians.", 0.0 => 0.0,
        |x| x.tan(), f32 functions::tan }
        float_functions! { @$callback asin "The inverse sine, in radians.", 1.0 => FRAC_PI_2, |x| x.asin() }
        float_functions! { @$callback acos "The inverse cosine, in radians.", -1.0 => PI, |x| x.acos() }
        float_functions! { @$callback atan "The inverse tangent, in radians.", 1.0 => FRAC_PI_4,
        |x| x.atan() }
        float_functions! { @$callback sinh "The hyperbolic sine.", 0.0 => 0.0,
        |x| x.sinh(), f32 functions::sinh }
        float_functions! { @$callback cosh "The hyperbolic cosine.", 0.0 => 1.0,
        |x| x.cosh(), f32 functions::cosh }
        float_functions! { @$callback tanh "The hyperbolic tangent.", f64::INFINITY => 1.0,
        |x| x.tanh(), f32 functions::tanh }
        float_functions! { @$callback asinh "The inverse hyperbolic sine.", 0.0 => 0.0,
        |x| Self::from_f64(inverse_hyperbolic::asinh(x.to_f64())) }
        float_functions! { @$callback acosh "The inverse hyperbolic cosine.", 1.0 => 0.0,
        |x| Self::from_f64(inverse_hyperbolic::acosh(x.to_f64())) }
        float_functions! { @$callback atanh "The inverse hyperbolic tangent.", 1.0 => f64::INFINITY,
        |x| Self::from_f64(inverse_hyperbolic::atanh(x.to_f64())) }
        float_functions! { @$callback erf "The error function.", f64::INFINITY => 1.0,
        |x| libm::erf(x), f32 functions::erf }
        float_functions! { @$callback erfc "1 - erf(x), accurate where that is nearly 0.",
        f64::NEG_INFINITY => 2.0, |x| Self::from_f64(libm::erfc(x.to_f64())) }
        float_functions! { @$callback lgamma "log |gamma(x)|; infinite at 0, -1, -2, ...", 1.0 => 0.0,
        |x| Self::from_f64(gamma::lgamma(x.to_f64())) }
        float_functions! { @$callback digamma "The derivative of `lgamma`; NaN at -1, -2, ...",
        f64::INFINITY => f64::INFINITY, |x| x.polygamma(0) }
        float_functions! { @$callback floor "The largest integer that is not larger.", -1.5 => -2.0,
        |x| x.floor() }
        float_functions! { @$callback ceil "The smallest integer that is not smaller.", -1.5 => -1.0,
        |x| x.ceil() }
        float_functions! { @$callback trunc "The integer part, towards zero.", -1.5 => -1.0, |x| x.trunc() }
        float_functions! { @$callback frac "What is left without the integer part, with the sign of the number.",
        -1.5 => -0.5, |x| x - x.trunc() }
        float_functions! { @$callback round "The nearest integer, halves to even.", 2.5 => 2.0,
        |x| x.round_ties_even() }
        float_functions! { @$callback relu "The number, or 0 if it is negative; NaN stays NaN.", -2.0 => 0.0,
        |x| if x < 0.0 { 0.0 } else { x } }
        float_functions! { @$callback sigmoid "The logistic function, 1 / (1 + e^-x).", 0.0 => 0.5,
        |x| {
            // Of a negative number the power is small, not infinite.
            let power = (-x.abs()).exp();
            (if x < 0.0 { power } else { 1.0 }) / (1.0 + power)
        }, f32 functions::sigmoid }
        float_functions! { @$callback softplus "log(1 + e^x), without overflow.", 800.0 => 800.0,
        |x| x.relu() + (-x.abs()).exp().ln_1p(), f32 functions::softplus }
        float_functions! { @$callback gelu "x times the normal distribution: x erfc(-x / sqrt(2)) / 2.",
        f64::NEG_INFINITY => 0.0, |x| Self::from_f64(normal::gelu(x.to_f64())), f32 functions::gelu }
        float_functions! { @$callback gelu_tanh
        "x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): nearly `gelu` (Hendrycks and Gimpel, 2016).",
        f64::NEG_INFINITY => 0.0, |x| Self::from_f64(normal::gelu_tanh(x.to_f64())), f32 functions::gelu_tanh }
    };
    (@declare_one $name:ident $doc:literal, $at:expr => $value:expr, |$x:ident| $body:expr
    $(, f32 $f:path)?) => {
        #[doc = $doc]
        ///
        /// ```
        /// # use std::f64::consts::*;
        #[doc = concat!("let y: f64 = gradus_tensor::Float::", stringify!($name), "(", stringify!($at), ");")]
        #[doc = concat!("assert_eq!(y, ", stringify!($value), ");")]
        /// ```
        fn $name(self) -> Self;
    };
    (@define_f32 $name:ident $doc:literal, $at:expr => $value:expr, |$x:ident| $body:expr, f32 $f:path) => {
        #[inline(always)]
        fn $name(self) -> Self {
            $f(self)
        }
    };
    (@define_f32 $name:ident $doc:literal, $at:expr => $value:expr, |$x:ident| $body:expr) => {
        float_functions! { @define_f64 $name $doc, $at => $value, |$x| $body }
    };
    (@define_f64 $name:ident $doc:literal, $at:expr => $value:expr, |$x:ident| $body:expr
    $(, f32 $f:path)?) => {
        #[inline(always)]
        fn $name(self) -> Self {
            let $x = self;
            $body
        }
    };
}
use float_functions;

macro_rules! impl_float {
    ($type:ident, $random_bits:literal) => {
        impl Float for $type {
            const EPSILON: Self = $type::EPSILON;
            const MAX: Self = $type::MAX;
            const MIN_POSITIVE: Self = $type::MIN_POSITIVE;
            const INFINITY: Self = $type::INFINITY;
            const NAN: Self = $type::NAN;
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            #[inline(always)]
            fn atan2(self, other: Self) -> Self {
                self.atan2(other)
            }
            #[inline(always)]
            fn hypot(self, other: Self) -> Self {
                self.hypot(other)
            }
            #[inline(always)]
            fn logaddexp(self, other: Self) -> Self {
                let larger = if self >= other || self.is_nan() { self } else { other };
                // Infinities of one sign have no difference.
                let gap = if self == other { 0.0 } else { (self - other).abs() };
                larger + Float::log1p(Float::exp(-gap))
            }
            #[inline(always)]
            fn xlogy(self, other: Self) -> Self {
                if self == 0.0 && !other.is_nan() { 0.0 } else { self * Float::log(other) }
            }
            fn polygamma(self, order: usize) -> Self {
                Self::from_f64(gamma::polygamma(order, self.to_f64()))
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn from_random_bits(bits: u64) -> Self {
                (bits >> (64 - $random_bits)) as Self / (1_u64 << $random_bits) as Self
            }
            float_functions! { define $type }
        }
    };
}
impl_float!(f32, 24);
impl_float!(f64, 53);
