//! Activation functions, and the error function.

use super::exponential::{exp, log_parts, reduced_expm1};
use super::{EXP2, ROUND, ROUND_F64, clamp, polynomial, power_of_two, xor_sign};

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

/// x times the distribution function of the normal distribution.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    // -1 / (2 log(2))
    const SQUARE: f64 = -0.7213475204444817;
    const ROUND_BIASED: f64 = ROUND_F64 + 254.0;
    let a = x.abs();
    // From here on the tail is 0.
    let a = if a > 14.5 { 14.5 } else { a };
    // The distribution function at -a is e^(-a^2 / 2) times one that is almost a line in s: Schonfelder,
    // "Chebyshev Expansions for the Error and Related Functions", Mathematics of Computation 32, 1978. So the
    // tail has no cancellation, and only the exponent takes more than the 24 bits of `f32`.
    let s = (a - 4.0) / (a + 4.0);
    let scaled = polynomial(
        s,
        [
            0.09441064,
            -0.17039774,
            0.12437921,
            -0.07170676,
            0.030865401,
            -0.00849783,
            0.00050300075,
            0.0006577569,
            -0.00016852298,
            -6.56892e-05,
        ],
    );
    let wide = f64::from(a);
    let exponent = SQUARE * (wide * wide);
    let rounded = exponent + ROUND_BIASED;
    let f = (exponent - (rounded - ROUND_BIASED)) as f32;
    let exponent = rounded.to_bits() as u32;
    let half = exponent >> 1;
    let significand = a * scaled * (1.0 + f * polynomial(f, EXP2));
    let tail = significand * power_of_two(half) * power_of_two(exponent.wrapping_sub(half));
    if x < 0.0 { -tail } else { x - tail }
}

/// x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    // -2 sqrt(2/pi) / log(2), and that times 0.044715.
    const LINEAR: f64 = -2.302208198144325;
    const CUBIC: f64 = -0.1029432395800235;
    // 2^-36: e^(-2u) times this is in range wherever the result is not 0.
    const SCALE: f32 = 1.0 / 68719476736.0;
    const ROUND_BIASED: f64 = ROUND_F64 + (127 - 36) as f64;
    // As `EXP2`, one degree shorter: an error of 2^-23 costs the result one bit pattern.
    const SHORT_EXP2: [f32; 5] = [0.69314694, 0.24022229, 0.055508018, 0.009672354, 0.0013239761];
    // Below the result is -0, above it is x.
    let x = if x < -11.0 { -11.0 } else { x };
    let wide = f64::from(if x > 6.0 { 6.0 } else { x });
    // An error of the exponent is one of the result, times log(2): it takes more than the 24 bits of `f32`.
    let exponent = wide * (LINEAR + CUBIC * (wide * wide));
    let rounded = exponent + ROUND_BIASED;
    let f = (exponent - (rounded - ROUND_BIASED)) as f32;
    let power = (1.0 + f * polynomial(f, SHORT_EXP2)) * power_of_two(rounded.to_bits() as u32);
    let y = x / (SCALE + power) * SCALE;
    if x > 6.0 { x } else { y }
}
