//! Numbers, and their arithmetic.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use super::Element;
use super::progression::Progression;
use crate::kernels::NumberKernels;

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
/// assert_eq!((f32::from_f64(2.5), i64::from_f64(-2.5), i64::from_f64(1e300)), (2.5, -2, i64::MAX));
/// assert_eq!((Number::abs(-2.5), Number::sign(-2.5), Number::wrapping_neg(i64::MIN)), (2.5, -1.0, i64::MIN));
/// assert_eq!((Number::fmod(-7.0, 3.0), Number::remainder(-7.0, 3.0)), (-1.0, 2.0));
/// assert_eq!((Number::floor_divide(-7.0, 3.0), Number::floor_divide(7_i64, 2)), (-3.0, 3));
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
    + NumberKernels
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
    fn from_f64(value: f64) -> Self;
    /// The nearest `f64`.
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
    #[must_use]
    fn wrapping_neg(self) -> Self;
    /// Whether this is not a number; never for an integer.
    fn is_nan(self) -> bool;
    /// The distance to zero; of `i64::MIN` itself.
    fn abs(self) -> Self;
    /// -1, 0 or 1, and NaN for NaN.
    fn sign(self) -> Self;
    /// The remainder of a division whose quotient is rounded towards zero: it has the sign of this number.
    ///
    /// # Panics
    /// If an integer is divided by 0.
    #[must_use]
    #[track_caller]
    fn fmod(self, divisor: Self) -> Self;
    /// The remainder of a division whose quotient is rounded down: it has the sign of the divisor.
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
    /// # Panics
    /// If an integer is divided by 0.
    #[must_use]
    #[track_caller]
    fn floor_divide(self, divisor: Self) -> Self;
}

macro_rules! float_number {
    ($($type:ident)*) => {$(
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
    )*};
}
float_number!(f32 f64);

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
