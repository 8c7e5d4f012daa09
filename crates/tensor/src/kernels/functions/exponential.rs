//! Exponential functions and logarithms, and the hyperbolic functions.

use std::f32::consts::{LN_2, LOG2_E};

use super::{EXP2, ROUND, clamp, or_sign, polynomial, power_of_two, xor_sign};

/// The high bits of log(2), few enough that a product with an exponent is exact.
const LN_2_HIGH: f32 = 0.6933594;

/// log(2) - [`LN_2_HIGH`].
const LN_2_LOW: f32 = -2.1219444e-4;

/// For |x| < 2^15 and the integer n nearest to x / log(2): the exponent n + `BIAS` in the low bits, and
/// e^(x - n log(2)) - 1.
#[inline(always)]
pub(super) fn reduced_expm1<const BIAS: u32>(x: f32) -> (u32, f32) {
    let round = ROUND + BIAS as f32;
    let rounded = x * LOG2_E + round;
    let n = rounded - round;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let tail = polynomial(r, [0.49999994, 0.16666512, 0.041668043, 0.008369717, 0.0013845675]);
    (rounded.to_bits(), r + r * r * tail)
}

/// e^x.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is 0 or infinite, and the exponent would be out of range.
    let (exponent, tail) = reduced_expm1::<254>(clamp(x, -104.0, 89.0));
    // In two steps: 2^n itself may be infinite or subnormal where the result is not. Only the last rounds.
    let half = exponent >> 1;
    (1.0 + tail) * power_of_two(half) * power_of_two(exponent.wrapping_sub(half))
}

/// 2^x.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    // As in `exp`.
    let x = clamp(x, -151.0, 129.0);
    let rounded = x + (ROUND + 254.0);
    let f = x - (rounded - (ROUND + 254.0));
    let exponent = rounded.to_bits();
    let half = exponent >> 1;
    (1.0 + f * polynomial(f, EXP2)) * power_of_two(half) * power_of_two(exponent.wrapping_sub(half))
}

/// e^x - 1.
#[inline(always)]
pub(crate) fn expm1(x: f32) -> f32 {
    let (exponent, tail) = reduced_expm1::<127>(clamp(x, -18.0, 89.0));
    // The largest results are near 2^128, which is none.
    let large = x > 88.0;
    let power = power_of_two(if large { exponent.wrapping_sub(1) } else { exponent });
    // power - 1 is exact where it matters.
    let y = tail * power + (power - if large { 0.5 } else { 1.0 });
    or_sign(if large { 2.0 * y } else { y }, x)
}

/// The natural logarithm of (1 + `f`) 2^`exponent`, 1 + `f` from sqrt(1/2) to sqrt(2).
#[inline(always)]
pub(super) fn log_parts(f: f32, exponent: f32) -> f32 {
    let tail = polynomial(
        f,
        [0.3333333, -0.25000823, 0.20001234, -0.16623299, 0.14201552, -0.13160582, 0.12763333, -0.07635664],
    );
    let square = f * f;
    let small = square * f * tail + exponent * LN_2_LOW;
    (f + (small - 0.5 * square)) + exponent * LN_2_HIGH
}

/// The exponent that puts the significand of a positive normal number between sqrt(1/2) and sqrt(2).
#[inline(always)]
fn exponent_bits(x: f32) -> i32 {
    const SQRT_HALF: i32 = std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32;
    (x.to_bits() as i32).wrapping_sub(SQRT_HALF) >> 23
}

/// The natural logarithm.
#[inline(always)]
pub(crate) fn log(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let scaled = if subnormal { x * 8388608.0 } else { x };
    let n = exponent_bits(scaled);
    let significand = f32::from_bits((scaled.to_bits() as i32).wrapping_sub(n << 23) as u32);
    let exponent = n as f32 - if subnormal { 23.0 } else { 0.0 };
    let y = log_parts(significand - 1.0, exponent);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x > 0.0 { y } else { f32::NEG_INFINITY };
    if x >= 0.0 { y } else { f32::NAN }
}

/// log(1 + x).
#[inline(always)]
pub(crate) fn log1p(x: f32) -> f32 {
    let u = 1.0 + x;
    // What the sum lost: Dekker, "A Floating-Point Technique for Extending the Available Precision", 1971.
    let lost = if x < 1.0 { x - (u - 1.0) } else { 1.0 - (u - x) };
    let n = exponent_bits(u);
    let significand = f32::from_bits((u.to_bits() as i32).wrapping_sub(n << 23) as u32);
    // From 2^64 on, nothing of it is left.
    let scale = power_of_two(127_i32.wrapping_sub(if n < 64 { n } else { 64 }) as u32);
    let y = log_parts((significand - 1.0) + lost * scale, n as f32);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x > -1.0 { y } else { f32::NEG_INFINITY };
    or_sign(if x >= -1.0 { y } else { f32::NAN }, x)
}

/// e^a / 4 for `a` from 0 on: for the sums of e^a and e^-a, which are finite where e^a is not.
#[inline(always)]
fn quarter_exp(a: f32) -> f32 {
    let (exponent, tail) = reduced_expm1::<{ 127 - 2 }>(if a > 90.0 { 90.0 } else { a });
    (1.0 + tail) * power_of_two(exponent)
}

/// The hyperbolic sine.
#[inline(always)]
pub(crate) fn sinh(x: f32) -> f32 {
    let a = x.abs();
    let square = a * a;
    let near = a + a * (square * polynomial(square, [0.16666667, 0.00833335, 0.0001983616, 2.816951e-6]));
    let quarter = quarter_exp(a);
    let far = 2.0 * (quarter - 0.0625 / quarter);
    xor_sign(if a < 1.0 { near } else { far }, x)
}

/// The hyperbolic cosine.
#[inline(always)]
pub(crate) fn cosh(x: f32) -> f32 {
    let quarter = quarter_exp(x.abs());
    2.0 * (quarter + 0.0625 / quarter)
}

/// The hyperbolic tangent.
///
/// With the integer n nearest to 2x / log(2), s = tanh(x - n log(2) / 2) and p = 2^n, it is
/// ((p - 1) + (p + 1) s) / ((p + 1) + (p - 1) s), by the addition theorem. Where n is 0 that is s, exactly.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    const ROUND_BIASED: f32 = ROUND + 127.0;
    let a = x.abs();
    // From 9.02 on the result is 1.
    let a = if a > 10.0 { 10.0 } else { a };
    let rounded = a * (2.0 * LOG2_E) + ROUND_BIASED;
    // One rounded product is enough: where n is large, so that it loses much, the result is close to 1.
    let r = a - (rounded - ROUND_BIASED) * (0.5 * LN_2);
    let square = r * r;
    let s = r + r * (square * polynomial(square, [-0.33333322, 0.13331142, -0.052715294]));
    let power = power_of_two(rounded.to_bits());
    let (below, above) = (power - 1.0, power + 1.0);
    xor_sign((below + above * s) / (above + below * s), x)
}
