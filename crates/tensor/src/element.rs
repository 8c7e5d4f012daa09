//! What a tensor can hold.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// An element of a tensor: `f32`, `f64`, `i64` or `bool`.
///
/// The set is closed: kernels and files rely on it.
pub trait Element:
    Copy + PartialEq + PartialOrd + Default + Debug + Display + Send + Sync + sealed::Sealed + 'static
{
    /// The name of the type, as printed: `"f32"`.
    const NAME: &'static str;
}

/// An element with arithmetic: `f32`, `f64` or `i64`.
pub trait Number:
    Element
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;
    /// The nearest number of this type; an integer drops the fraction and saturates.
    fn from_f64(value: f64) -> Self;
    /// The nearest `f64`.
    fn to_f64(self) -> f64;
    /// Whether this is not a number; never for an integer.
    fn is_nan(self) -> bool;
    /// The distance to zero.
    fn abs(self) -> Self;
    /// -1, 0 or 1, and NaN for NaN.
    fn sign(self) -> Self;
}

/// A floating-point element, the only kind that has gradients: `f32` or `f64`.
///
/// The mathematical functions are those of [`f64`](primitive@f64) under NumPy's names.
pub trait Float: Number {
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// Not a number.
    const NAN: Self;
    /// `self` to the power `exponent`.
    fn pow(self, exponent: Self) -> Self;
    /// The angle of the point (`other`, `self`), in radians from -pi to pi.
    fn atan2(self, other: Self) -> Self;
    /// The square root of the sum of the squares, without overflow.
    fn hypot(self, other: Self) -> Self;
    /// Whether this is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// A number in [0, 1) from the high bits of 64 random bits: 24 of them for `f32`, 53 for `f64`.
    fn from_random_bits(bits: u64) -> Self;
    float_functions! { declare }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
    impl Sealed for bool {}
}

/// The unary functions of [`Float`]: a name, its documentation and its body in terms of the primitive's own.
macro_rules! float_functions {
    (declare) => {
        float_functions! { @each declare_one }
    };
    (define) => {
        float_functions! { @each define_one }
    };
    (@each $callback:ident) => {
        float_functions! { @$callback exp "e to the power of this number.", |x| x.exp() }
        float_functions! { @$callback exp2 "2 to the power of this number.", |x| x.exp2() }
        float_functions! { @$callback expm1 "e^x - 1, accurate near zero.", |x| x.exp_m1() }
        float_functions! { @$callback log "The natural logarithm.", |x| x.ln() }
        float_functions! { @$callback log2 "The logarithm to base 2.", |x| x.log2() }
        float_functions! { @$callback log10 "The logarithm to base 10.", |x| x.log10() }
        float_functions! { @$callback log1p "log(1 + x), accurate near zero.", |x| x.ln_1p() }
        float_functions! { @$callback sqrt "The square root; NaN for negative numbers.", |x| x.sqrt() }
        float_functions! { @$callback rsqrt "One divided by the square root.", |x| x.sqrt().recip() }
        float_functions! { @$callback reciprocal "One divided by this number.", |x| x.recip() }
        float_functions! { @$callback square "The number times itself.", |x| x * x }
        float_functions! { @$callback sin "The sine of an angle in radians.", |x| x.sin() }
        float_functions! { @$callback cos "The cosine of an angle in radians.", |x| x.cos() }
        float_functions! { @$callback tan "The tangent of an angle in radians.", |x| x.tan() }
        float_functions! { @$callback asin "The inverse sine, in radians.", |x| x.asin() }
        float_functions! { @$callback acos "The inverse cosine, in radians.", |x| x.acos() }
        float_functions! { @$callback atan "The inverse tangent, in radians.", |x| x.atan() }
        float_functions! { @$callback sinh "The hyperbolic sine.", |x| x.sinh() }
        float_functions! { @$callback cosh "The hyperbolic cosine.", |x| x.cosh() }
        float_functions! { @$callback tanh "The hyperbolic tangent.", |x| x.tanh() }
        float_functions! { @$callback asinh "The inverse hyperbolic sine.", |x| x.asinh() }
        float_functions! { @$callback acosh "The inverse hyperbolic cosine.", |x| x.acosh() }
        float_functions! { @$callback atanh "The inverse hyperbolic tangent.", |x| x.atanh() }
        float_functions! { @$callback erf "The error function.", |x| libm::erf(f64::from(x)) as Self }
        float_functions! { @$callback floor "The largest integer that is not larger.", |x| x.floor() }
        float_functions! { @$callback ceil "The smallest integer that is not smaller.", |x| x.ceil() }
        float_functions! { @$callback trunc "The integer part, towards zero.", |x| x.trunc() }
        float_functions! { @$callback round "The nearest integer, halves to even.", |x| x.round_ties_even() }
        float_functions! { @$callback relu "The number, or 0 if it is negative; NaN stays NaN.",
        |x| if x < 0.0 { 0.0 } else { x } }
        float_functions! { @$callback sigmoid "The logistic function, 1 / (1 + e^-x).",
        |x| 1.0 / (1.0 + (-x).exp()) }
        float_functions! { @$callback softplus "log(1 + e^x), without overflow.",
        |x| x.relu() + (-x.abs()).exp().ln_1p() }
    };
    (@declare_one $name:ident $doc:literal, |$x:ident| $body:expr) => {
        #[doc = $doc]
        fn $name(self) -> Self;
    };
    (@define_one $name:ident $doc:literal, |$x:ident| $body:expr) => {
        #[inline]
        fn $name(self) -> Self {
            let $x = self;
            $body
        }
    };
}
use float_functions;

macro_rules! impl_element {
    ($($type:ident),*) => {$(
        impl Element for $type {
            const NAME: &'static str = stringify!($type);
        }
    )*};
}
impl_element!(f32, f64, i64, bool);

macro_rules! impl_float {
    ($type:ident, $random_bits:literal) => {
        impl Number for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline]
            fn sign(self) -> Self {
                if self == 0.0 { 0.0 } else { self.signum() }
            }
        }

        impl Float for $type {
            const EPSILON: Self = $type::EPSILON;
            const INFINITY: Self = $type::INFINITY;
            const NAN: Self = $type::NAN;
            #[inline]
            fn pow(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            #[inline]
            fn atan2(self, other: Self) -> Self {
                self.atan2(other)
            }
            #[inline]
            fn hypot(self, other: Self) -> Self {
                self.hypot(other)
            }
            #[inline]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline]
            fn from_random_bits(bits: u64) -> Self {
                (bits >> (64 - $random_bits)) as Self / (1_u64 << $random_bits) as Self
            }
            float_functions! { define }
        }
    };
}
impl_float!(f32, 24);
impl_float!(f64, 53);

impl Number for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    #[inline]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    #[inline]
    fn to_f64(self) -> f64 {
        self as f64
    }
    #[inline]
    fn is_nan(self) -> bool {
        false
    }
    #[inline]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline]
    fn sign(self) -> Self {
        self.signum()
    }
}
