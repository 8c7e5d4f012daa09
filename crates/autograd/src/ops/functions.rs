//! Functions applied element by element, with their derivatives (Abramowitz and Stegun, 1964, sections
//! 4 and 7).
//!
//! Where the derivative is a function of the result, the result is what the tape keeps.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, LN_10};

use gradus_tensor::Float;

use crate::elementwise::{Binary, BinaryFunction, elementwise};
use crate::operation::apply;
use crate::real::{Literal, Real};
use crate::var::Var;

/// The density of the standard normal distribution at 0: 1 / sqrt(2 pi).
const BELL: f64 = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI / 2.0;

/// 2 sqrt(2 / pi).
const GELU_TANH: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const GELU_TANH_CUBIC: f64 = GELU_TANH * 0.044_715;

elementwise! {
    /// e to the power of each element.
    exp: Exp |x| x.exp(), from output |y| y, on -2.0..2.0;
    /// 2 to the power of each element.
    exp2: Exp2 |x| x.exp2(), from output |y| y * LN_2, on -2.0..2.0;
    /// e^x - 1, accurate near zero.
    expm1: Expm1 |x| x.expm1(), from output |y| y + 1.0, on -2.0..2.0;
    /// The natural logarithm.
    log: Log |x| x.log(), from input |x| x.reciprocal(), on 0.1..4.0;
    /// The logarithm to base 2.
    log2: Log2 |x| x.log2(), from input |x| (x * LN_2).reciprocal(), on 0.1..4.0;
    /// The logarithm to base 10.
    log10: Log10 |x| x.log10(), from input |x| (x * LN_10).reciprocal(), on 0.1..4.0;
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
    /// The distance to zero. At 0 the derivative is 0.
    abs: Abs |x| x.abs(), from input |x| x.sign(), on -2.0..2.0;
    /// -1, 0 or 1, and NaN for NaN. The derivative is 0 everywhere.
    sign: Sign |x| x.sign(), from nothing |like| like.constant(0.0), on -2.0..2.0;

    /// The sine of an angle in radians.
    sin: Sin |x| x.sin(), from input |x| x.cos(), on -3.0..3.0;
    /// The cosine of an angle in radians.
    cos: Cos |x| x.cos(), from input |x| -x.sin(), on -3.0..3.0;
    /// The tangent of an angle in radians.
    tan: Tan |x| x.tan(), from output |y| y * y + 1.0, on -1.2..1.2;
    /// The inverse sine, in radians.
    asin: Asin |x| x.asin(), from input |x| ((1.0 - x) * (1.0 + x)).rsqrt(), on -0.9..0.9;
    /// The inverse cosine, in radians.
    acos: Acos |x| x.acos(), from input |x| -((1.0 - x) * (1.0 + x)).rsqrt(), on -0.9..0.9;
    /// The inverse tangent, in radians.
    atan: Atan |x| x.atan(), from input |x| (x * x + 1.0).reciprocal(), on -3.0..3.0;
    /// The hyperbolic sine.
    sinh: Sinh |x| x.sinh(), from input |x| x.cosh(), on -2.0..2.0;
    /// The hyperbolic cosine.
    cosh: Cosh |x| x.cosh(), from input |x| x.sinh(), on -2.0..2.0;
    /// The hyperbolic tangent.
    tanh: Tanh |x| x.tanh(), from output |y| 1.0 - y * y, on -3.0..3.0;
    /// The inverse hyperbolic sine.
    asinh: Asinh |x| x.asinh(), from input |x| (x * x + 1.0).rsqrt(), on -3.0..3.0;
    /// The inverse hyperbolic cosine, of numbers from 1 on.
    acosh: Acosh |x| x.acosh(), from input |x| (x - 1.0).rsqrt() * (x + 1.0).rsqrt(), on 1.2..4.0;
    /// The inverse hyperbolic tangent.
    atanh: Atanh |x| x.atanh(), from input |x| ((1.0 - x) * (1.0 + x)).reciprocal(), on -0.9..0.9;
    /// The error function.
    erf: Erf |x| x.erf(), from input |x| (-x * x).exp() * FRAC_2_SQRT_PI, on -2.5..2.5;

    /// The largest integer that is not larger. The derivative is 0 everywhere, by convention also at the
    /// integers.
    floor: Floor |x| x.floor(), from nothing |like| like.constant(0.0), on -2.5..2.5;
    /// The smallest integer that is not smaller. The derivative is 0 everywhere.
    ceil: Ceil |x| x.ceil(), from nothing |like| like.constant(0.0), on -2.5..2.5;
    /// The integer part, towards zero. The derivative is 0 everywhere.
    trunc: Trunc |x| x.trunc(), from nothing |like| like.constant(0.0), on -2.5..2.5;
    /// The nearest integer, halves to even. The derivative is 0 everywhere.
    round: Round |x| x.round(), from nothing |like| like.constant(0.0), on -2.5..2.5;

    /// The logistic function, 1 / (1 + e^-x).
    sigmoid: Sigmoid |x| x.sigmoid(), from output |y| y * (1.0 - y), on -4.0..4.0;
    /// max(x, 0). At 0 the derivative is 0.
    relu: Relu |x| x.relu(), from output |y| y.gt(0.0), on -2.0..2.0;
    /// x where it is positive, else `negative_slope * x`. At 0 the derivative is `negative_slope`.
    leaky_relu { negative_slope: f64 = 0.1 in 0.01..0.5 }: LeakyRelu |x| x.gt(0.0).select(x, x * negative_slope),
        from input |x| x.gt(0.0).select(1.0, negative_slope), on -2.0..2.0;
    /// x where it is positive, else `alpha * (e^x - 1)` (Clevert et al., 2015). At 0 the derivative is `alpha`.
    elu { alpha: f64 = 1.0 in 0.5..1.5 }: Elu |x| x.gt(0.0).select(x, x.expm1() * alpha),
        from input |x| x.gt(0.0).select(1.0, x.gt(0.0).select(0.0, x).exp() * alpha), on -2.0..2.0;
    /// x / (1 + e^-x), also called swish (Elfwing et al., 2017).
    silu: Silu |x| x * x.sigmoid(), from input |x| x.sigmoid() * (1.0 + x * (1.0 - x.sigmoid())), on -4.0..4.0;
    /// log(1 + e^x), a smooth `relu`, without overflow.
    softplus: Softplus |x| x.softplus(), from input |x| x.sigmoid(), on -4.0..4.0;
    /// log(1 / (1 + e^-x)), without overflow.
    logsigmoid: Logsigmoid |x| -(-x).softplus(), from input |x| (-x).sigmoid(), on -4.0..4.0;
    /// x times the probability that a standard normal number is below x (Hendrycks and Gimpel, 2016).
    gelu: Gelu |x| x.gelu(),
        from input |x| 0.5 * (1.0 + (x * FRAC_1_SQRT_2).erf())
            + x * (x * x * -0.5).exp() * BELL, on -3.0..3.0;
    /// `gelu` by a formula without `erf`: x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks and
    /// Gimpel, 2016). The usual form, x (1 + tanh(u)) / 2, is the same.
    gelu_tanh: GeluTanh |x| x.gelu_tanh(), from input |x| {
        // Beyond 25 the derivative is 0 or 1 to all digits, and the powers of x would only overflow.
        let x = x.lt(-25.0).select(-25.0, x);
        let x = x.gt(25.0).select(25.0, x);
        let gate = (x * (x * x * GELU_TANH_CUBIC + GELU_TANH)).sigmoid();
        gate * (1.0 + x * (1.0 - gate) * (x * x * GELU_TANH_CUBIC * 3.0 + GELU_TANH))
    }, on -3.0..3.0;
    /// Numbers below `low` become `low`, above `high` become `high`; NaN stays. At and beyond the bounds
    /// the derivative is 0. If `low` is above `high`, all become `high`.
    clamp { low: f64 = -1.0 in -1.5..-0.5, high: f64 = 1.5 in 0.5..1.5 }: Clamp
        |x| { let x = x.lt(low).select(low, x); x.gt(high).select(high, x) },
        from input |x| x.gt(low) * x.lt(high), on -2.0..2.0;
    /// Each element to the power of a number. With exponent 0 the result is 1 everywhere, the derivative 0.
    pow_scalar { exponent: f64 = 3.0 in -2.0..3.0 }: PowScalar |x| x.pow(exponent),
        from input |x| if exponent == 0.0 { x.constant(0.0) } else { x.pow(x.constant(exponent) - 1.0) * exponent }, on 0.3..2.0;
}

/// Functions of two numbers: a struct, a function, the two derivatives, and a method that broadcasts; for the
/// example of each a point, with the result and the slopes there.
macro_rules! binary_elementwise {
    ($(
        $(#[$doc:meta])*
        $name:ident at ($a:expr, $b:expr) => ($value:expr, $slopes:expr): $struct:ident
            |$x:ident, $y:ident| $function:expr, $derivatives:expr;
    )*) => {
        $(
            #[derive(Debug, Clone, Copy)]
            struct $struct;

            impl BinaryFunction for $struct {
                const NAME: &'static str = stringify!($name);
                #[inline(always)]
                fn function<R: Real>(&self, $x: R, $y: R) -> R where f64: Literal<R> {
                    $function
                }
                #[inline(always)]
                fn derivatives<R: Real>(&self, $x: R, $y: R) -> [R; 2] where f64: Literal<R> {
                    $derivatives
                }
            }
        )*

        impl<T: Float> Var<T> {$(
            $(#[$doc])*
            ///
            /// Elementwise, against a variable that broadcasts, a tensor or a number.
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
    };
}

binary_elementwise! {
    /// Each element to the power of its partner. At base 0 the derivative with respect to an exponent that
    /// is not negative is 0; at exponent 0 that with respect to the base is 0.
    pow at (2.0, 3.0) => (8.0, [12.0, 8.0 * LN_2]): Pow |x, y| x.pow(y), {
        // Exponent and base are replaced where the product would be 0 times infinity or NaN; elsewhere the
        // product stays, for the second derivative.
        let flat = y.eq(0.0) * (1.0 - x.gt(0.0) - x.lt(0.0));
        let base = flat.select(0.0, y * x.pow(flat.select(0.0, y - 1.0)));
        let zero = x.eq(0.0) * (1.0 - y.lt(0.0));
        let exponent = zero.select(0.0, x.pow(y) * zero.select(1.0, x).log());
        [base, exponent]
    };
    /// The angle of the point (`other`, `self`), in radians from -pi to pi. At (0, 0) the derivatives are 0.
    atan2 at (2.0, 0.0) => (FRAC_PI_2, [0.0, -0.5]): Atan2 |y, x| y.atan2(x), {
        let length = y.hypot(x);
        let length = length.eq(0.0).select(1.0, length);
        [x / length / length, -y / length / length]
    };
    /// The square root of the sum of two squares, without overflow. At (0, 0) the derivatives are NaN.
    hypot at (3.0, 4.0) => (5.0, [3.0 / 5.0, 4.0 / 5.0]): Hypot
        |x, y| x.hypot(y), [x / x.hypot(y), y / x.hypot(y)];
    /// The larger of two numbers; NaN if either is. At a tie each has half the derivative.
    maximum at (2.0, 2.0) => (2.0, [0.5, 0.5]): Maximum
        |x, y| x.lt(y).select(y, y.eq(y).select(x, y)), {
        let tie = x.eq(y) * 0.5;
        [1.0 - x.lt(y) - tie, 1.0 - x.gt(y) - tie]
    };
    /// The smaller of two numbers; NaN if either is. At a tie each has half the derivative.
    minimum at (2.0, 3.0) => (2.0, [1.0, 0.0]): Minimum
        |x, y| x.gt(y).select(y, y.eq(y).select(x, y)), {
        let tie = x.eq(y) * 0.5;
        [1.0 - x.gt(y) - tie, 1.0 - x.lt(y) - tie]
    };
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case};
    let mut cases = elementwise_cases();
    cases.extend([
        case!("pow", (a, b) in broadcast_pair(), [a => 0.3..2.0, b => -2.0..2.0], |x, y| x.pow(y)),
        case!("atan2", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => 0.3..2.0], |y, x| y.atan2(x)),
        case!("hypot", (a, b) in broadcast_pair(), [a => 0.3..2.0, b => -2.0..2.0], |x, y| x.hypot(y)),
        case!("maximum", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => -2.0..2.0], |x, y| x.maximum(y)),
        case!("minimum", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => -2.0..2.0], |x, y| x.minimum(y)),
    ]);
    cases
}
