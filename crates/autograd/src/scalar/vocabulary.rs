//! The functions of [`Real`](super::Real) and its operators, once for all readings.

/// Hands the names of the functions of one number (`each`), of the functions of two (`binary`) or of the comparisons
/// (`comparison`) to one of the first arms: a declaration, or the definition in one reading.
macro_rules! real_functions {
    (declare $($name:ident)*) => {$(
        #[doc = concat!("[`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ") of this number.")]
        fn $name(self) -> Self;
    )*};
    (plain $($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Self(self.0.$name())
        }
    )*};
    (traced $($name:ident)*) => {$(
        fn $name(self) -> Self {
            self.unary(&Var::$name)
        }
    )*};
    (symbolic $($name:ident)*) => {$(
        fn $name(self) -> Self {
            self.step(Function::Unary(stringify!($name)), &[])
        }
    )*};
    (evaluate $($name:ident)*) => {
        fn unary<R: Real>(name: &str, x: R) -> R {
            match name {
                $(stringify!($name) => x.$name(),)*
                _ => unreachable!("a step is made by a method of `Real`"),
            }
        }
    };
    (declare_binary $($name:ident)*) => {$(
        #[doc = concat!("[`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ") of this number and another one.")]
        fn $name(self, other: impl Lift<Self>) -> Self;
    )*};
    (declare_comparison $($name:ident)*) => {$(
        #[doc = concat!("1 where [`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ") is true, else 0: a constant.")]
        fn $name(self, other: impl Lift<Self>) -> Self;
    )*};
    (plain_binary $($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self, other: impl Lift<Self>) -> Self {
            Self(self.0.$name(other.lift(self).0))
        }
    )*};
    (plain_comparison $($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self, other: impl Lift<Self>) -> Self {
            Self(if self.0.$name(&other.lift(self).0) { T::ONE } else { T::ZERO })
        }
    )*};
    (traced_binary $($name:ident)*) => {$(
        fn $name(self, other: impl Lift<Self>) -> Self {
            self.binary(other.lift(self), &|x, y| x.$name(y))
        }
    )*};
    (traced_comparison $($name:ident)*) => {$(
        fn $name(self, other: impl Lift<Self>) -> Self {
            self.compare(other.lift(self), |x, y| x.$name(y))
        }
    )*};
    (symbolic_binary $($name:ident)*) => {$(
        fn $name(self, other: impl Lift<Self>) -> Self {
            self.step(Function::Binary(stringify!($name)), &[other.lift(self)])
        }
    )*};
    (evaluate_binary $($name:ident)*) => {
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
    (evaluate_comparison $($name:ident)*) => {
        fn compare<R: Real>(name: &str, x: R, y: R) -> R {
            match name {
                $(stringify!($name) => x.$name(y),)*
                _ => unreachable!("a step is made by a method of `Real`"),
            }
        }
    };
    (comparison $callback:ident) => { real_functions! { $callback gt lt ge le eq } };
    (binary $callback:ident) => { real_functions! { $callback
        pow atan2 hypot logaddexp xlogy multiply_no_nan fmod remainder floor_divide
    } };
    (each $callback:ident) => { real_functions! { $callback
        exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square abs sign
        sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
        erf erfc lgamma floor ceil trunc round relu sigmoid gelu_tanh gelu
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
