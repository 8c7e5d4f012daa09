//! Functions applied element by element, with their derivatives (Abramowitz and Stegun, 1964, sections
//! 4 and 7).
//!
//! Where the derivative is a function of the result, the result is what the tape keeps.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E, LOG10_E};

use gradus_tensor::{Float, OrPanic, Shape, TensorError, broadcast_shapes};

use crate::engine::{forward_of_composition, gradients_of_composition};
use crate::scalar::elementwise::elementwise;
use crate::scalar::{Binary, Unary, binary_function, unary_function};
use crate::tape::{Saves, Var, apply};

use super::operations::operations;
use super::slopes::{
    AcoshSlope, AngleSlope, AsinSlope, AsinhSlope, AtanSlope, AtanhSlope, Bell, Direction, Power, PowerOf,
};

elementwise! {
    /// e to the power of each element.
    exp: Exp |x| x.exp(), from output |y| y, on -2.0..2.0;
    /// 2 to the power of each element.
    exp2: Exp2 |x| x.exp2(), from output |y| y * LN_2, on -2.0..2.0;
    /// e^x - 1, accurate near zero.
    expm1: Expm1 |x| x.expm1(), from input |x| x.exp(), on -2.0..2.0;
    /// The natural logarithm.
    log: Log |x| x.log(), from input |x| x.reciprocal(), on 0.1..4.0;
    /// The logarithm to base 2.
    log2: Log2 |x| x.log2(), from input |x| LOG2_E / x, on 0.1..4.0;
    /// The logarithm to base 10.
    log10: Log10 |x| x.log10(), from input |x| LOG10_E / x, on 0.1..4.0;
    /// log(1 + x), accurate near zero.
    log1p: Log1p |x| x.log1p(), from input |x| (x + 1.0).reciprocal(), on -0.8..3.0;
    /// The square root; NaN for negative numbers. At 0 the derivative is infinite.
    sqrt: Sqrt |x| x.sqrt(), from output |y| 0.5 / y, on 0.1..4.0;
    /// One divided by the square root.
    rsqrt: Rsqrt |x| x.rsqrt(), from output |y| -0.5 * y * y * y, on 0.1..4.0;
    /// One divided by each element.
    reciprocal: Reciprocal |x| x.reciprocal(), from output |y| -y * y, on 0.3..3.0;
    /// Each element times itself.
    square: Square |x| x.square(), from input |x| x * 2.0, on -2.0..2.0;
    /// The distance to zero. At 0, and of NaN, the derivative is 0.
    abs: Abs |x| x.abs(), from input |x| x.gt(0.0) - x.lt(0.0), on -2.0..2.0;
    /// -1, 0 or 1, and NaN for NaN. The derivative is 0 everywhere.
    sign: Sign |x| x.sign(), gate nothing |like| like.constant(0.0), on -2.0..2.0;

    /// The sine of an angle in radians.
    sin: Sin |x| x.sin(), from input |x| x.cos(), on -3.0..3.0;
    /// The cosine of an angle in radians.
    cos: Cos |x| x.cos(), from input |x| -x.sin(), on -3.0..3.0;
    /// The tangent of an angle in radians.
    tan: Tan |x| x.tan(), from output |y| y * y + 1.0, on -1.2..1.2;
    /// The inverse sine, in radians.
    asin: Asin |x| x.asin(), from input |x| x.apply(AsinSlope), on -0.9..0.9;
    /// The inverse cosine, in radians.
    acos: Acos |x| x.acos(), from input |x| -x.apply(AsinSlope), on -0.9..0.9;
    /// The inverse tangent, in radians.
    atan: Atan |x| x.atan(), from input |x| x.apply(AtanSlope), on -3.0..3.0;
    /// The hyperbolic sine.
    sinh: Sinh |x| x.sinh(), from input |x| x.cosh(), on -2.0..2.0;
    /// The hyperbolic cosine.
    cosh: Cosh |x| x.cosh(), from input |x| x.sinh(), on -2.0..2.0;
    /// The hyperbolic tangent.
    tanh: Tanh |x| x.tanh(), from output |y| 1.0 - y * y, on -3.0..3.0;
    /// The inverse hyperbolic sine.
    asinh: Asinh |x| x.asinh(), from input |x| x.apply(AsinhSlope), on -3.0..3.0;
    /// The inverse hyperbolic cosine, of numbers from 1 on.
    acosh: Acosh |x| x.acosh(), from input |x| x.apply(AcoshSlope), on 1.2..4.0;
    /// The inverse hyperbolic tangent.
    atanh: Atanh |x| x.atanh(), from input |x| x.apply(AtanhSlope), on -0.9..0.9;
    /// The error function.
    erf: Erf |x| x.erf(), from input |x| x.apply(Bell) * FRAC_2_SQRT_PI, on -2.5..2.5;
    /// 1 - erf(x), accurate where that is nearly 0.
    erfc: Erfc |x| x.erfc(), from input |x| x.apply(Bell) * -FRAC_2_SQRT_PI, on -2.5..2.5;
    /// The logarithm of the size of the gamma function, log |gamma(x)|; infinite at 0, -1, -2, ... The derivative is
    /// [`digamma`](Self::digamma).
    lgamma: Lgamma |x| x.lgamma(), from input |x| x.polygamma(0), on 0.3..4.0;
    /// The derivative of [`lgamma`](Self::lgamma); infinite at 0, NaN at -1, -2, ... Its own derivatives are
    /// [`polygamma`](Self::polygamma).
    digamma: Digamma |x| x.polygamma(0), from input |x| x.polygamma(1), on 0.3..4.0;

    /// The largest integer that is not larger. The derivative is 0 everywhere, by convention also at the
    /// integers.
    floor: Floor |x| x.floor(), gate nothing |like| like.constant(0.0), on -2.5..2.5;
    /// The smallest integer that is not smaller. The derivative is 0 everywhere.
    ceil: Ceil |x| x.ceil(), gate nothing |like| like.constant(0.0), on -2.5..2.5;
    /// The integer part, towards zero. The derivative is 0 everywhere.
    trunc: Trunc |x| x.trunc(), gate nothing |like| like.constant(0.0), on -2.5..2.5;
    /// The nearest integer, halves to even. The derivative is 0 everywhere.
    round: Round |x| x.round(), gate nothing |like| like.constant(0.0), on -2.5..2.5;
    /// The fractional part, with the sign of the element. The derivative is 1 everywhere, by
    /// convention also at the integers.
    frac: Frac |x| x - x.trunc(), from nothing |like| like.constant(1.0), on 0.1..0.9;

    /// Numbers below `low` become `low`, above `high` become `high`; NaN stays. An infinite bound has no effect.
    /// At and beyond the bounds, and of NaN, the derivative is 0. If `low` is above `high`, all become `high`.
    clamp { low: f64 = -1.0 in -1.5..-0.5, high: f64 = 1.5 in 0.5..1.5 }: Clamp
        |x| { let x = x.lt(low).select(low, x); x.gt(high).select(high, x) },
        gate input |x| {
            // Infinity itself is within no bound.
            let above = if low == f64::NEG_INFINITY { x.ge(low) } else { x.gt(low) };
            let below = if high == f64::INFINITY { x.le(high) } else { x.lt(high) };
            above * below
        }, on -2.0..2.0;
    /// Each element to the power of a number. With exponent 0 the result is 1 everywhere, the derivative 0.
    pow_scalar { exponent: f64 = 3.0 in -2.0..3.0 }: PowScalar |x| x.pow(exponent),
        from input |x| x.apply(PowerOf { exponent, order: 1 }), on 0.3..2.0;
}

/// Functions of two numbers: a struct, a function, the two derivatives, and a method that broadcasts; for the example
/// of each a point, with the result and the slopes there; `gate` for
/// [`BinaryFunction::GATE`](crate::BinaryFunction::GATE); and for its case in the tests the ranges of both numbers.
macro_rules! binary_elementwise {
    ($(
        $(#[$doc:meta])*
        $name:ident at ($a:expr, $b:expr) => ($value:expr, $slopes:expr): $struct:ident $($gate:ident)?
            |$x:ident, $y:ident| $function:expr, $derivatives:expr,
            on $low:literal..$high:literal, $other_low:literal..$other_high:literal;
    )*) => {
        $(
            #[derive(Debug, Clone, Copy)]
            struct $struct;

            binary_function! {
                $struct, stringify!($name), !<[&str]>::is_empty(&[$(stringify!($gate))?]),
                |$x, $y| $function, $derivatives
            }
        )*

        impl<T: Float> Var<T> {$(
            $(#[$doc])*
            ///
            /// Elementwise, against a variable that broadcasts, a tensor or a number; see
            /// [`accuracy`](crate::accuracy).
            ///
            /// ```
            /// # use std::f64::consts::*;
            /// use gradus_autograd::{Tensor, Var, grad};
            ///
            #[doc = concat!("let a = Var::leaf(Tensor::from(", stringify!($a), "));")]
            #[doc = concat!("let b = Var::leaf(Tensor::from(", stringify!($b), "));")]
            #[doc = concat!("let y = a.", stringify!($name), "(&b);")]
            #[doc = concat!("assert_eq!(y.item(), ", stringify!($value), ");")]
            /// let slopes = grad(&y, &[&a, &b]);
            #[doc = concat!("assert_eq!([slopes[0].item(), slopes[1].item()], ", stringify!($slopes), ");")]
            /// ```
            ///
            /// # Panics
            /// If the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Into<Self>) -> Self {
                apply(Binary($struct), &[self, &other.into()])
            }
        )*}

        #[cfg(feature = "proptest")]
        fn binary_elementwise_cases() -> Vec<crate::testing::Case> {
            use crate::testing::{broadcast_pair, case};
            vec![$(
                case!(
                    stringify!($name),
                    (a, b) in broadcast_pair(),
                    [a => $low..$high, b => $other_low..$other_high],
                    |x, y| x.$name(y)
                ),
            )*]
        }
    };
}

binary_elementwise! {
    /// Each element to the power of its partner. At base 0 the derivative with respect to an exponent that
    /// is not negative is 0; at exponent 0 that with respect to the base is 0.
    pow at (2.0, 3.0) => (8.0, [12.0, 8.0 * LN_2]): Pow |x, y| x.pow(y), Power { order: 0 }.derivatives(x, y), on 0.3..2.0, -2.0..2.0;
    /// The angle of the point (`other`, `self`), in radians from -pi to pi. At (0, 0) the derivatives are 0.
    atan2 at (2.0, 0.0) => (FRAC_PI_2, [0.0, -0.5]): Atan2 |y, x| y.atan2(x), {
        let origin = x.eq(0.0) * y.eq(0.0);
        let x = origin.select(1.0, x);
        [origin.select(0.0, x.apply_with(y, AngleSlope)), -y.apply_with(x, AngleSlope)]
    }, on -2.0..2.0, 0.3..2.0;
    /// The square root of the sum of two squares, without overflow. At (0, 0) the derivatives are NaN.
    hypot at (3.0, 4.0) => (5.0, [3.0 / 5.0, 4.0 / 5.0]): Hypot
        |x, y| x.hypot(y), [x.apply_with(y, Direction), y.apply_with(x, Direction)], on 0.3..2.0, -2.0..2.0;
    /// log(e^x + e^y), without overflow.
    logaddexp at (0.0, 0.0) => (LN_2, [0.5, 0.5]): Logaddexp
        |x, y| x.logaddexp(y), [(x - y).sigmoid(), (y - x).sigmoid()], on -2.0..2.0, -2.0..2.0;
    /// The first number times the logarithm of the second; 0 where the first is 0, unless the second is NaN. There
    /// the derivative with respect to the first is the logarithm, and 0 where that does not exist.
    xlogy at (2.0, 1.0) => (0.0, [0.0, 2.0]): Xlogy |x, y| x.xlogy(y), {
        let nothing = x.eq(0.0) * y.le(0.0);
        let y = nothing.select(1.0, y);
        [nothing.select(0.0, y.log()), nothing.select(0.0, x / y)]
    }, on -2.0..2.0, 0.3..2.0;
    // The cases of the following three lie between the jumps.
    /// The remainder of a division whose quotient is rounded towards zero: it has the sign of the first number. The
    /// derivatives are the ones of x - n y with the quotient n, by convention also where n jumps.
    fmod at (-7.0, 3.0) => (-1.0, [1.0, 2.0]): Fmod gate
        |x, y| x.fmod(y), {
            // By the rest: x / y may be rounded to the next integer.
            let rest = x.fmod(y);
            let rest = rest.eq(rest).select(rest, 0.0);
            [x.constant(1.0), ((rest - x) / y).round().detach()]
        }, on -2.9..-2.1, 0.98..1.02;
    /// The remainder of a division whose quotient is rounded down: it has the sign of the second number. The
    /// derivatives are the ones of x - n y with the quotient n, by convention also where n jumps.
    remainder at (-7.0, 3.0) => (2.0, [1.0, 3.0]): Remainder gate
        |x, y| x.remainder(y), [x.constant(1.0), -x.floor_divide(y)], on -2.9..-2.1, 0.98..1.02;
    /// The quotient, rounded down. The derivatives are 0 everywhere, by convention also where it jumps.
    floor_divide at (-7.0, 3.0) => (-3.0, [0.0, 0.0]): FloorDivide gate
        |x, y| x.floor_divide(y), [x.constant(0.0), y.constant(0.0)], on -2.9..-2.1, 0.98..1.02;
    /// The larger of two numbers; NaN if either is. At a tie each has half the derivative.
    maximum at (2.0, 2.0) => (2.0, [0.5, 0.5]): Maximum gate
        |x, y| x.lt(y).select(y, y.eq(y).select(x, y)), {
        let tie = x.eq(y) * 0.5;
        [1.0 - x.lt(y) - tie, 1.0 - x.gt(y) - tie]
    }, on -2.0..2.0, -2.0..2.0;
    /// The smaller of two numbers; NaN if either is. At a tie each has half the derivative.
    minimum at (2.0, 3.0) => (2.0, [1.0, 0.0]): Minimum gate
        |x, y| x.gt(y).select(y, y.eq(y).select(x, y)), {
        let tie = x.eq(y) * 0.5;
        [1.0 - x.gt(y) - tie, 1.0 - x.lt(y) - tie]
    }, on -2.0..2.0, -2.0..2.0;
}

#[derive(Debug, Clone, Copy)]
struct Polygamma {
    order: usize,
}

unary_function! {
    Polygamma { order }, "polygamma", Saves::INPUTS, false, |x| x.polygamma(order), |x| x.polygamma(order + 1)
}

fn lerp_shape(start: &[usize], end: &[usize], weight: &[usize]) -> Result<Shape, TensorError> {
    broadcast_shapes("lerp", &broadcast_shapes("lerp", start, end)?, weight)
}

operations! {
    /// The inputs are the start, the end and the weight.
    Nonlinear Lerp {}: "lerp", saves Saves::INPUTS,
        shape |x| lerp_shape(x[0], x[1], x[2]),
        forward |x| {
            lerp_shape(x[0].shape(), x[1].shape(), x[2].shape()).or_panic();
            forward_of_composition(x, lerp)
        },
        vjps |context| gradients_of_composition(context, lerp),
        batched |batch| batch.apply_each(Self);
}

fn lerp<T: Float>(inputs: &[Var<T>]) -> Var<T> {
    let [start, end, weight] = inputs else { unreachable!("three inputs") };
    let distance = end - start;
    let is_finite = |x: &Var<T>| x.value().isfinite().all(..).item();
    if !is_finite(&distance) && is_finite(start) && is_finite(end) {
        // The distance of two numbers may be larger than every number.
        return start.multiply_no_nan(-weight + T::ONE) + end.multiply_no_nan(weight);
    }
    start + distance.multiply_no_nan(weight)
}

impl<T: Float> Var<T> {
    /// Derivative `order` of the [`digamma`](Self::digamma) function: 0 gives the function itself, 1 the trigamma
    /// function. From order 1 on it is infinite at 0, -1, -2, ...
    ///
    /// Elementwise; the result has this shape.
    #[track_caller]
    pub fn polygamma(&self, order: usize) -> Self {
        apply(Unary(Polygamma { order }), &[self])
    }

    /// Linear interpolation, `self + weight * (end - self)`; where `weight` is 0 it is this number, even if `end` is
    /// infinite or NaN.
    ///
    /// Elementwise; the three broadcast.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn lerp(&self, end: impl Into<Self>, weight: impl Into<Self>) -> Self {
        apply(Lerp, &[self, &end.into(), &weight.into()])
    }

    /// `self + value * a * b`.
    ///
    /// Elementwise; the three broadcast.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn addcmul(&self, a: impl Into<Self>, b: impl Into<Self>, value: f64) -> Self {
        // In this order as the product of `a` and `b` alone may be out of range.
        self + a.into() * T::from_f64(value) * b.into()
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case, shapes};
    let mut cases = [elementwise_cases(), binary_elementwise_cases()].concat();
    cases.extend([
        case!(
            "polygamma", (shape, order) in (shapes(0..=3, 0..=5), 0..4_usize), [shape => 0.5..4.0],
            |x| x.polygamma(order)
        ),
        case!("lerp", (a, b) in broadcast_pair(), [a, b.clone(), b => -1.0..2.0], |x, y, w| x.lerp(y, w)),
        case!(
            "addcmul", ((a, b), value) in (broadcast_pair(), -2.0..2.0),
            [a, b.clone(), b], |x, a, b| x.addcmul(a, b, value)
        ),
    ]);
    cases
}
