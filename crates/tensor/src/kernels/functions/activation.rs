//! Activation functions, and the error function.

use super::exponential::{exp, log_parts, reduced_expm1};
use super::{EXP2, ROUND, clamp, polynomial, power_of_two, xor_sign};

/// The logistic function, 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    // e^-x may be too large for `f32` where its reciprocal is subnormal; 2^-24 e^-x is not. Beyond the bounds
    // the result is 0 or 1.
    const SCALE: f32 = 1.0 / 16777216.0;
    let (exponent, tail) = reduced_expm1::<{ 127 - 24 }>(-clamp(x, -104.5, 25.0));
    SCALE / (SCALE + (1.0 + tail) * power_of_two(exponent))
}

/// log(1 + e^x).
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    let z = exp(-x.abs());
    // 1 + z, from 1 to 2, as a significand and an exponent: the sum itself would lose bits.
    let upper = z > std::f32::consts::SQRT_2 - 1.0;
    let f = if upper { 0.5 * (z - 1.0) } else { z };
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + log_parts(f, if upper { 1.0 } else { 0.0 })
}

/// The error function.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let a = if a > 4.0 { 4.0 } else { a };
    let square = a * a;
    let tail =
        polynomial(square, [0.12837917, -0.37612602, 0.11283113, -0.026820807, 0.0050851307, -0.00065352366]);
    let near = a + a * tail;
    // 1 - 2^p, where p approximates log2(1 - erf).
    let p = polynomial(
        a,
        [-9.519781e-05, -1.6276902, -0.9178744, -0.15119247, 0.03268591, -0.004549687, 0.0002992917],
    );
    let rounded = p + (ROUND + 127.0);
    let f = p - (rounded - (ROUND + 127.0));
    let far = 1.0 - (1.0 + f * polynomial(f, EXP2)) * power_of_two(rounded.to_bits());
    xor_sign(if a < 0.8 { near } else { far }, x)
}

/// Two numbers whose quotient is e^(-r / c), for |r| up to 0.35 c: Pade's approximant of degree 3, which is
/// (120 - 60 s + 12 s^2 - s^3) / (120 + 60 s + 12 s^2 + s^3) with s = r / c, both times c^3. The coefficients are
/// 120 c^3, 12 c and 60 c^2.
///
/// A function that divides anyway has its power for less than by a polynomial.
#[inline(always)]
fn exp_quotient(r: f32, coefficients: [f32; 3]) -> (f32, f32) {
    let square = r * r;
    let even = square * coefficients[1] + coefficients[0];
    let odd = r * (square + coefficients[2]);
    (even - odd, even + odd)
}

/// x times the distribution function of the normal distribution.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    // -1 / (2 log(2)), and its reciprocal.
    const SQUARE: f64 = -0.7213475204444817;
    const UNIT: f64 = 1.0 / SQUARE;
    const UNIT_HIGH: f64 = -22713.0 / 16384.0;
    let a = x.abs();
    // From here on the tail is 0.
    let a = if a > 14.5 { 14.5 } else { a };
    // The distribution function at -a is e^(-a^2 / 2) times P / (k a P + R), minimax, with k near sqrt(2 pi). So the
    // tail has no cancellation, and where a is large the errors of a P cancel.
    let above = a * polynomial(a, [39.56206, 36.57227, 15.926769, 3.70372, 0.40005606]);
    let below = above * 2.5066323 + polynomial(a, [79.12412, 37.109005, 9.350125, 1.0]);
    // Only the exponent takes more than the 24 bits of `f32`. `high` and `UNIT_HIGH` have so few bits that what is
    // computed from them alone is exact, and the rest is small.
    let high = f32::from_bits(a.to_bits() & 0xffff_f000);
    let rounded = (a * a) * SQUARE as f32 + ROUND;
    let n = rounded - ROUND;
    let rest = (a - high) * (a + high) - n * (UNIT - UNIT_HIGH) as f32;
    let (up, down) = exp_quotient((high * high - n * UNIT_HIGH as f32) + rest, [960.0, 24.0, 240.0]);
    // Times 2^n in two steps, as in `exp`. The first adds to the exponent, which is one of a subnormal number
    // only with n = 0.
    let exponent = (rounded.to_bits() << 23) as i32;
    let half = (exponent >> 1) & !0x007f_ffff;
    let numerator = f32::from_bits((above * up).to_bits().wrapping_add(half as u32));
    let power = f32::from_bits((exponent.wrapping_sub(half) as u32).wrapping_add(127 << 23));
    let tail = numerator / (below * down) * power;
    // The results for -0 and for minus infinity are -0.
    let positive = if x < 0.0 { -0.0 } else { x };
    positive - tail
}

/// x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    // -2u = CUBIC log(2) v, v = x^3 + LINEAR x.
    const CUBIC: f64 = -0.1029432395800235;
    const LINEAR: f64 = 1.0 / 0.044715;
    const LINEAR_HIGH: f64 = 11450.0 / 512.0;
    const UNIT: f64 = 1.0 / CUBIC;
    const UNIT_HIGH: f64 = -39789.0 / 4096.0;
    const ROUND_TO_16TH: f32 = ROUND / 16.0;
    // 2^-55: times this, e^(-2u) and the parts of its quotient, near 2^18, are in range wherever the result is not 0.
    const SCALE: u32 = 55;
    const ROUND_BIASED: f32 = ROUND - SCALE as f32;
    // Below the result is -0.
    let x = if x < -11.0 { -11.0 } else { x };
    // An estimate of v is enough to choose the power of two, and is there before v.
    let factor = x * x + LINEAR_HIGH as f32;
    let rounded = (x * CUBIC as f32) * factor + ROUND_BIASED;
    let n = rounded - ROUND_BIASED;
    // v - n UNIT. An error of the exponent is one of the result, so that v takes more than the 24 bits of `f32`: as in
    // `gelu`, an exact part and a small rest.
    let high = (x + ROUND_TO_16TH) - ROUND_TO_16TH;
    let exact = high * (high * high + LINEAR_HIGH as f32) - n * UNIT_HIGH as f32;
    let rest = x * (LINEAR - LINEAR_HIGH) as f32 - n * (UNIT - UNIT_HIGH) as f32;
    let r = exact + ((x - high) * (high * (x + high) + factor) + rest);
    // c = -1 / (CUBIC log(2)), and the coefficients are rounded together: their errors cancel, to 2^-29.
    let (up, down) = exp_quotient(r, [330302.25, 168.17383, 11784.328]);
    let power = f32::from_bits(up.to_bits().wrapping_add(rounded.to_bits() << 23));
    let scaled = f32::from_bits(down.to_bits().wrapping_sub(SCALE << 23));
    let y = x * down / (scaled + power) * power_of_two(127 - SCALE);
    // From here on the result is x, and where x is large, what is above is not a number.
    if x > 5.125 { x } else { y }
}
