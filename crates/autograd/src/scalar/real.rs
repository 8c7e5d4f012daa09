//! The vocabulary in which a scalar function and its derivative are written.
//!
//! One text has three readings: plain numbers, inside one fused loop, where nothing is recorded ([`Plain`]); whole
//! variables, whose operations go to the tape and can be differentiated again (`Traced`); and an expression, a list
//! of steps that can be printed and evaluated (`Symbol`).

use std::ops::{Add, Div, Mul, Neg, Sub};

use gradus_tensor::Float;

use super::function::{BinaryFunction, UnaryFunction};
use super::vocabulary::{real_functions, real_operators};

/// A number, a variable or an expression; see [`UnaryFunction`](crate::UnaryFunction) for how it is used.
///
/// Constants of type `f64` mix with it on either side of an operator.
pub trait Real:
    Copy
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
    real_functions! { each declare }

    /// log(1 + e^x).
    fn softplus(self) -> Self;
    /// Derivative `order` of the digamma function.
    fn polygamma(self, order: usize) -> Self;
    real_functions! { binary declare_binary }
    real_functions! { comparison declare_comparison }
    /// `if_true` where this number is not 0, else `if_false`; the other one has no influence, even if it is NaN.
    fn select(self, if_true: impl Lift<Self>, if_false: impl Lift<Self>) -> Self;
    /// The product of a derivative and a cotangent: 0 where one of them is 0, whatever the other is.
    #[doc(hidden)]
    fn gate(self, cotangent: Self) -> Self {
        self.eq(0.0).select(0.0, self.multiply_no_nan(cotangent))
    }
    /// A constant of the kind of this number.
    fn constant(self, value: f64) -> Self;
    /// This number as a constant: its derivative is 0.
    #[inline(always)]
    fn detach(self) -> Self {
        self
    }
    /// Another function of this number: on the tape one node with a derivative of its own, where the derivative of
    /// this text would lose digits.
    #[inline(always)]
    fn apply<F: UnaryFunction>(self, function: F) -> Self
    where
        f64: Literal<Self>,
    {
        function.function(self)
    }
    /// Another function of two numbers, as in [`apply`](Self::apply).
    #[inline(always)]
    fn apply_with<F: BinaryFunction>(self, other: Self, function: F) -> Self
    where
        f64: Literal<Self>,
    {
        function.function(self, other)
    }
}

/// A value that can stand for a [`Real`]: a `Real` itself, or an `f64`.
pub trait Lift<R: Real> {
    /// The same as a number of the kind of `like`.
    fn lift(self, like: R) -> R;
}

impl<R: Real> Lift<R> for R {
    #[inline(always)]
    fn lift(self, _: R) -> R {
        self
    }
}

impl<R: Real> Lift<R> for f64 {
    #[inline(always)]
    fn lift(self, like: R) -> R {
        like.constant(self)
    }
}

/// Implemented by `f64`: constants on the left of an operator, as in `1.0 - y`.
pub trait Literal<R>:
    Add<R, Output = R> + Sub<R, Output = R> + Mul<R, Output = R> + Div<R, Output = R>
{
}
impl<R, L> Literal<R> for L where
    L: Add<R, Output = R> + Sub<R, Output = R> + Mul<R, Output = R> + Div<R, Output = R>
{
}

/// One number of a tensor.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Float> Real for Plain<T> {
    real_functions! { each plain }
    real_functions! { binary plain_binary }
    real_functions! { comparison plain_comparison }

    #[inline(always)]
    fn softplus(self) -> Self {
        Self(self.0.softplus())
    }
    #[inline(always)]
    fn polygamma(self, order: usize) -> Self {
        Self(self.0.polygamma(order))
    }
    #[inline(always)]
    fn select(self, if_true: impl Lift<Self>, if_false: impl Lift<Self>) -> Self {
        if self.0 == T::ZERO { if_false.lift(self) } else { if_true.lift(self) }
    }
    #[inline(always)]
    fn constant(self, value: f64) -> Self {
        Self(T::from_f64(value))
    }
}

real_operators! {
    [T: Float] Plain<T>, |x, y|
    Add add + Plain(x.0 + y.0);
    Sub sub - Plain(x.0 - y.0);
    Mul mul * Plain(x.0 * y.0);
    Div div / Plain(x.0 / y.0);
    Neg neg - Plain(-x.0);
}
