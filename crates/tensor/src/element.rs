//! What a tensor can hold.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::create::Progression;
use crate::kernels::{Kernels, functions};
use crate::{gamma, inverse_hyperbolic, normal, range};

/// An element of a tensor: `f32`, `f64`, `i64` or `bool`.
///
/// The set is closed: kernels and files rely on it.
///
/// ```
/// use gradus_tensor::{Element, Tensor};
///
/// fn describe<T: Element>(x: &Tensor<T>) -> String {
///     format!("{} elements of type {}", x.len(), T::NAME)
/// }
/// assert_eq!(describe(&Tensor::from([true, false])), "2 elements of type bool");
/// ```
pub trait Element:
    Copy + PartialEq + PartialOrd + Default + Debug + Display + Send + Sync + sealed::Sealed + 'static
{
    /// The name of the type, as printed: `"f32"`.
    const NAME: &'static str;
}

/// Methods of two operands, with operands and a result for the example.
macro_rules! wrapping_operators {
    ($($(#[$doc:meta])* $name:ident($other:ident) $x:expr, $y:expr => $result:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// ```
        /// use gradus_tensor::Number;
        ///
        #[doc = concat!(
            "assert_eq!(Number::", stringify!($name), "(", stringify!($x), ", ", stringify!($y), "), ",
            stringify!($result), ");"
        )]
        /// ```
        #[must_use]
        fn $name(self, $other: Self) -> Self;
    )*};
}

/// An element with arithmetic: `f32`, `f64` or `i64`.
///
/// ```
/// use gradus_tensor::{Number, Tensor};
///
/// fn dot<T: Number>(x: &Tensor<T>, y: &Tensor<T>) -> T {
///     x.iter().zip(y).fold(T::ZERO, |sum, (x, y)| sum + x * y)
/// }
/// assert_eq!(dot(&Tensor::from([1, 2]), &Tensor::from([3, 4])), 11);
/// assert_eq!(dot(&Tensor::from([0.5]), &Tensor::from([0.5])), 0.25);
/// ```
///
/// # Integers
/// All operations on integer tensors compute in 64 bits, exactly, and **wrap around** on overflow in every build, debug
/// or release, as in NumPy and PyTorch: the result is the true one modulo 2^64. So `i64::MIN` is its own negative and
/// absolute value, and its own quotient by -1.
///
/// `/` rounds towards zero, and goes with [`fmod`](Self::fmod); [`floor_divide`](Self::floor_divide) rounds down, and
/// goes with [`remainder`](Self::remainder). There is no integer for a division **by 0**: it panics before any element is
/// computed, so that `x /= y` leaves `x` as it was.
///
/// A **conversion** to a float type gives the nearest number; one from a float type drops the fraction, saturates, and
/// makes 0 of NaN.
///
/// The operators of the numbers themselves, as in a function given to [`Tensor::map`](crate::Tensor::map), are Rust's own:
/// they panic on overflow if the program checks for it. The `wrapping` methods below do not.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([i64::MAX, i64::MIN, -7]);
/// assert_eq!(&x + 1, Tensor::from([i64::MIN, i64::MIN + 1, -6]));
/// assert_eq!(x.abs(), Tensor::from([i64::MAX, i64::MIN, 7]));
/// assert_eq!(&x / -1, Tensor::from([-i64::MAX, i64::MIN, 7]));
/// assert_eq!((&x / 2).select(0, 2).item(), -3);
/// assert_eq!(x.floor_divide(2).select(0, 2).item(), -4);
/// assert_eq!(Tensor::from([f64::NAN, 1e300, -1.5]).cast::<i64>(), Tensor::from([0, i64::MAX, -1]));
/// ```
pub trait Number:
    Element
    + Progression
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
    /// Whether this is an integer type, which has neither fractions nor infinities.
    const INTEGER: bool;
    /// The nearest number of this type; an integer drops the fraction, saturates, and makes 0 of NaN.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!(f32::from_f64(2.5), 2.5);
    /// assert_eq!((i64::from_f64(-2.5), i64::from_f64(1e300)), (-2, i64::MAX));
    /// ```
    fn from_f64(value: f64) -> Self;
    /// The nearest `f64`.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!((3_i64.to_f64(), 0.5_f32.to_f64()), (3.0, 0.5));
    /// ```
    fn to_f64(self) -> f64;
    /// The nearest number of another type, as in [`from_f64`](Self::from_f64), without a detour that rounds twice.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// // 2^54 + 2^30 + 1 is nearer to 2^54 + 2^31 than to 2^54; the nearest f64 lies just in the middle.
    /// let x = (1_i64 << 54) + (1 << 30) + 1;
    /// assert_eq!(Number::cast::<f32>(x), ((1_i64 << 54) + (1 << 31)) as f32);
    /// ```
    fn cast<U: Number>(self) -> U;
    /// The nearest number of this type.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!((f32::from_i64(3), i64::from_i64(i64::MAX)), (3.0, i64::MAX));
    /// ```
    fn from_i64(value: i64) -> Self;
    wrapping_operators! {
        /// The sum; of integers modulo 2^64.
        wrapping_add(other) i64::MAX, 1 => i64::MIN;
        /// The difference; of integers modulo 2^64.
        wrapping_sub(other) i64::MIN, 1 => i64::MAX;
        /// The product; of integers modulo 2^64.
        wrapping_mul(other) i64::MAX, 2 => -2;
        /// The quotient; of integers rounded towards zero, modulo 2^64.
        ///
        /// # Panics
        /// If an integer is divided by 0.
        #[track_caller]
        wrapping_div(other) i64::MIN, -1 => i64::MIN;
    }
    /// This number with the other sign; of integers modulo 2^64.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!((Number::wrapping_neg(2.5), Number::wrapping_neg(i64::MIN)), (-2.5, i64::MIN));
    /// ```
    #[must_use]
    fn wrapping_neg(self) -> Self;
    /// Whether this is not a number; never for an integer.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert!(Number::is_nan(f64::NAN) && !Number::is_nan(0_i64));
    /// ```
    fn is_nan(self) -> bool;
    /// The distance to zero; of `i64::MIN` itself.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!((Number::abs(-2.5_f64), Number::abs(-2_i64)), (2.5, 2));
    /// ```
    fn abs(self) -> Self;
    /// -1, 0 or 1, and NaN for NaN.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!([-2.5_f64, 0.0, 2.5].map(Number::sign), [-1.0, 0.0, 1.0]);
    /// ```
    fn sign(self) -> Self;
    /// What is left of a division whose quotient is rounded towards zero: it has the sign of this number.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!((Number::fmod(-7.0, 3.0), Number::fmod(7_i64, -3)), (-1.0, 1));
    /// ```
    ///
    /// # Panics
    /// If an integer is divided by 0.
    #[must_use]
    #[track_caller]
    fn fmod(self, divisor: Self) -> Self;
    /// What is left of a division whose quotient is rounded down: it has the sign of the divisor.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!((Number::remainder(-7.0, 3.0), Number::remainder(7_i64, -3)), (2.0, -2));
    /// ```
    ///
    /// # Panics
    /// If an integer is divided by 0.
    #[must_use]
    #[track_caller]
    fn remainder(self, divisor: Self) -> Self {
        let rest = self.fmod(divisor);
        if rest != Self::ZERO && (rest < Self::ZERO) != (divisor < Self::ZERO) {
            rest + divisor
        } else {
            rest
        }
    }
    /// The quotient, rounded down.
    ///
    /// ```
    /// use gradus_tensor::Number;
    ///
    /// assert_eq!((Number::floor_divide(-7.0, 3.0), Number::floor_divide(7_i64, 2)), (-3.0, 3));
    /// ```
    ///
    /// # Panics
    /// If an integer is divided by 0.
    #[must_use]
    #[track_caller]
    fn floor_divide(self, divisor: Self) -> Self;
}

/// A floating-point element, the only kind that has gradients: `f32` or `f64`.
///
/// The mathematical functions have NumPy's names. For `f32`, exponential functions, `log`, `log1p`, `sin`, `cos`,
/// `sinh`, `cosh`, `tanh`, `erf`, `sigmoid` and `softplus` are at most 2 units in the last place off for every argument,
/// `tan` 3, with the same bits on every processor. The errors of all functions near the ends of their domains, in both
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
/// ```
pub trait Float: Number + Kernels {
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
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!((Float::pow(2.0, 3.0), Float::pow(4.0_f32, -0.5)), (8.0, 0.5));
    /// ```
    fn pow(self, exponent: Self) -> Self;
    /// The product, and 0 where `other` is 0, even if `self` is infinite or NaN.
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!((f64::NAN.multiply_no_nan(0.0), 2.0_f64.multiply_no_nan(3.0)), (0.0, 6.0));
    /// ```
    #[inline(always)]
    fn multiply_no_nan(self, other: Self) -> Self {
        if other == Self::ZERO { Self::ZERO } else { self * other }
    }
    /// The angle of the point (`other`, `self`), in radians from -pi to pi.
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!(Float::atan2(1.0, 0.0), std::f64::consts::FRAC_PI_2);
    /// ```
    fn atan2(self, other: Self) -> Self;
    /// The square root of the sum of the squares, without overflow.
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!((Float::hypot(3.0, 4.0), Float::hypot(f64::MAX, 0.0)), (5.0, f64::MAX));
    /// ```
    fn hypot(self, other: Self) -> Self;
    /// log(e^x + e^y), without overflow.
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!(Float::logaddexp(1000.0, 1000.0), 1000.0 + 2.0_f64.ln());
    /// ```
    fn logaddexp(self, other: Self) -> Self;
    /// This number times the logarithm of another one; 0 where this is 0, unless the other is NaN.
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!((Float::xlogy(2.0, 1.0), Float::xlogy(0.0, 0.0)), (0.0, 0.0));
    /// ```
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
    ///
    /// ```
    /// use gradus_tensor::Float;
    ///
    /// assert_eq!([1.0, f64::NAN, f64::INFINITY].map(Float::is_finite), [true, false, false]);
    /// ```
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

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
    impl Sealed for bool {}
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
            const INTEGER: bool = false;
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn cast<U: Number>(self) -> U {
                U::from_f64(self.to_f64())
            }
            #[inline(always)]
            fn from_i64(value: i64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn wrapping_add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn wrapping_sub(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn wrapping_mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn wrapping_div(self, other: Self) -> Self {
                self / other
            }
            #[inline(always)]
            fn wrapping_neg(self) -> Self {
                -self
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn sign(self) -> Self {
                if self == 0.0 { 0.0 } else { self.signum() }
            }
            #[inline(always)]
            fn fmod(self, divisor: Self) -> Self {
                self % divisor
            }
            fn floor_divide(self, divisor: Self) -> Self {
                if divisor == 0.0 {
                    return self / divisor;
                }
                // By the rest, as in Python: rounding `self / divisor` may give the next integer.
                let rest = self % divisor;
                let quotient = (self - rest) / divisor;
                let quotient =
                    if rest != 0.0 && (rest < 0.0) != (divisor < 0.0) { quotient - 1.0 } else { quotient };
                quotient.round()
            }
        }

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

/// For a division of integers.
#[track_caller]
#[inline(always)]
fn check_nonzero(operation: &str, divisor: i64) {
    assert!(divisor != 0, "{operation}: the divisor is 0: {BY_ZERO}");
}

/// The message for a division of integers by 0.
pub(crate) const BY_ZERO: &str = "integers can only be divided by other numbers; those of a float type (see `cast`) become infinite or NaN";

impl Number for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    const INTEGER: bool = true;
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self as f64
    }
    #[inline(always)]
    fn cast<U: Number>(self) -> U {
        U::from_i64(self)
    }
    #[inline(always)]
    fn from_i64(value: i64) -> Self {
        value
    }
    #[inline(always)]
    fn wrapping_add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn wrapping_sub(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
    #[inline(always)]
    fn wrapping_mul(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    #[inline(always)]
    #[track_caller]
    fn wrapping_div(self, other: Self) -> Self {
        check_nonzero("wrapping_div", other);
        self.wrapping_div(other)
    }
    #[inline(always)]
    fn wrapping_neg(self) -> Self {
        self.wrapping_neg()
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        false
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.wrapping_abs()
    }
    #[inline(always)]
    fn sign(self) -> Self {
        self.signum()
    }
    #[inline(always)]
    #[track_caller]
    fn fmod(self, divisor: Self) -> Self {
        check_nonzero("fmod", divisor);
        self.wrapping_rem(divisor)
    }
    #[inline(always)]
    #[track_caller]
    fn remainder(self, divisor: Self) -> Self {
        check_nonzero("remainder", divisor);
        let rest = self.wrapping_rem(divisor);
        if rest != 0 && (rest < 0) != (divisor < 0) { rest + divisor } else { rest }
    }
    #[inline(always)]
    #[track_caller]
    fn floor_divide(self, divisor: Self) -> Self {
        check_nonzero("floor_divide", divisor);
        let rest = self.wrapping_rem(divisor);
        let quotient = self.wrapping_div(divisor);
        if rest != 0 && (rest < 0) != (divisor < 0) { quotient - 1 } else { quotient }
    }
}
