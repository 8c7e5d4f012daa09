//! The functions of [`Real`](super::Real) and its operators, once for all readings.

/// Hands the names and the documentation of the functions of one number (`each`), of two (`binary`) or of the
/// comparisons (`comparison`) to one of the first arms: a declaration, or the definition in one reading.
macro_rules! real_functions {
    (declare $($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        fn $name(self) -> Self;
    )*};
    (plain $($(#[$doc:meta])* $name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Self(self.0.$name())
        }
    )*};
    (traced $($(#[$doc:meta])* $name:ident)*) => {$(
        fn $name(self) -> Self {
            self.unary(Var::$name)
        }
    )*};
    (symbolic $($(#[$doc:meta])* $name:ident)*) => {$(
        fn $name(self) -> Self {
            self.step(Function::Unary(stringify!($name)), &[])
        }
    )*};
    (evaluate $($(#[$doc:meta])* $name:ident)*) => {
        fn unary<R: Real>(name: &str, x: R) -> R {
            match name {
                $(stringify!($name) => x.$name(),)*
                _ => unreachable!("a step is made by a method of `Real`"),
            }
        }
    };
    (declare_binary $($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        fn $name(self, other: impl Lift<Self>) -> Self;
    )*};
    (plain_binary $($(#[$doc:meta])* $name:ident)*) => {$(
        #[inline(always)]
        fn $name(self, other: impl Lift<Self>) -> Self {
            Self(self.0.$name(other.lift(self).0))
        }
    )*};
    (plain_comparison $($(#[$doc:meta])* $name:ident)*) => {$(
        #[inline(always)]
        fn $name(self, other: impl Lift<Self>) -> Self {
            Self(if self.0.$name(&other.lift(self).0) { T::ONE } else { T::ZERO })
        }
    )*};
    (traced_binary $($(#[$doc:meta])* $name:ident)*) => {$(
        fn $name(self, other: impl Lift<Self>) -> Self {
            self.binary(other.lift(self), |x, y| x.$name(y))
        }
    )*};
    (traced_comparison $($(#[$doc:meta])* $name:ident)*) => {$(
        fn $name(self, other: impl Lift<Self>) -> Self {
            self.compare(other.lift(self), |x, y| x.$name(y))
        }
    )*};
    (symbolic_binary $($(#[$doc:meta])* $name:ident)*) => {$(
        fn $name(self, other: impl Lift<Self>) -> Self {
            self.step(Function::Binary(stringify!($name)), &[other.lift(self)])
        }
    )*};
    (evaluate_binary $($(#[$doc:meta])* $name:ident)*) => {
        fn binary<R: Real>(name: &str, x: R, y: R) -> R {
            match name {
                "add" => x + y,
                "sub" => x - y,
                "mul" => x * y,
                "div" => x / y,
                $(stringify!($name) => x.$name(y),)*
                comparison => compare(comparison, x, y),
            }
        }
    };
    (evaluate_comparison $($(#[$doc:meta])* $name:ident)*) => {
        fn compare<R: Real>(name: &str, x: R, y: R) -> R {
            match name {
                $(stringify!($name) => x.$name(y),)*
                _ => unreachable!("a step is made by a method of `Real`"),
            }
        }
    };
    (comparison $callback:ident) => { real_functions! { $callback
        /// 1 where this is greater, else 0: a constant.
        gt
        /// 1 where this is less, else 0: a constant.
        lt
        /// 1 where this is greater or equal, else 0: a constant.
        ge
        /// 1 where this is less or equal, else 0: a constant.
        le
        /// 1 where they are equal, else 0: a constant.
        eq
    } };
    (binary $callback:ident) => { real_functions! { $callback
        /// This number to the power of another one.
        pow
        /// The angle of the point (`other`, `self`), in radians.
        atan2
        /// The square root of the sum of two squares.
        hypot
        /// log(e^x + e^y).
        logaddexp
        /// This number times the logarithm of another one; 0 where this is 0.
        xlogy
        /// The product; 0 where the other is 0, even if this is infinite or NaN.
        multiply_no_nan
        /// The remainder of a division whose quotient is rounded towards zero.
        fmod
        /// The remainder of a division whose quotient is rounded down.
        remainder
        /// The quotient, rounded down.
        floor_divide
    } };
    (each $callback:ident) => { real_functions! { $callback
        /// e to the power of this number.
        exp
        /// 2 to the power of this number.
        exp2
        /// e^x - 1.
        expm1
        /// The natural logarithm.
        log
        /// The logarithm to base 2.
        log2
        /// The logarithm to base 10.
        log10
        /// log(1 + x).
        log1p
        /// The square root.
        sqrt
        /// One divided by the square root.
        rsqrt
        /// One divided by this number.
        reciprocal
        /// This number times itself.
        square
        /// The distance to zero.
        abs
        /// -1, 0 or 1.
        sign
        /// The sine.
        sin
        /// The cosine.
        cos
        /// The tangent.
        tan
        /// The inverse sine.
        asin
        /// The inverse cosine.
        acos
        /// The inverse tangent.
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
        /// 1 - erf(x), accurate where that is nearly 0.
        erfc
        /// log |gamma(x)|.
        lgamma
        /// The largest integer that is not larger.
        floor
        /// The smallest integer that is not smaller.
        ceil
        /// The integer part, towards zero.
        trunc
        /// The nearest integer, halves to even.
        round
        /// max(x, 0).
        relu
        /// The logistic function.
        sigmoid
        /// x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
        gelu_tanh
        /// x times the normal distribution function.
        gelu
    } };
}
pub(crate) use real_functions;

/// The operators of a reading, with itself and with plain numbers.
macro_rules! real_operators {
    ($generics:tt $real:ty, |$x:ident, $y:ident| $($trait:ident $method:ident $op:tt $result:expr;)*) => {$(
        real_operators! { @one $generics $real, |$x, $y| $trait $method $op $result }
    )*};
    (@one [$($generics:tt)*] $real:ty, |$x:ident, $y:ident| Neg neg - $result:expr) => {
        impl<$($generics)*> std::ops::Neg for $real {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                let $x = self;
                $result
            }
        }
    };
    (@one [$($generics:tt)*] $real:ty, |$x:ident, $y:ident| $trait:ident $method:ident $op:tt $result:expr) => {
        impl<$($generics)*> std::ops::$trait for $real {
            type Output = Self;
            #[inline(always)]
            fn $method(self, $y: Self) -> Self {
                let $x = self;
                $result
            }
        }
        impl<$($generics)*> std::ops::$trait<f64> for $real {
            type Output = Self;
            #[inline(always)]
            fn $method(self, number: f64) -> Self {
                self $op self.constant(number)
            }
        }
        impl<$($generics)*> std::ops::$trait<$real> for f64 {
            type Output = $real;
            #[inline(always)]
            fn $method(self, real: $real) -> $real {
                real.constant(self) $op real
            }
        }
    };
}
pub(crate) use real_operators;
