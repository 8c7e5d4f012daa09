//! Functions of one `f32` without branches and calls, so that a loop over them becomes vector instructions.
//!
//! The scheme is that of Cody and Waite, "Software Manual for the Elementary Functions", 1980, and of Muller,
//! "Elementary Functions", 3rd edition, 2016: reduce the argument exactly, evaluate a short polynomial, put
//! the parts together so that the large one is exact and only the small one is rounded. Where an argument
//! needs more than 24 bits (the periods of `sin`, the cubic under `gelu_tanh`), that part is done in `f64`.
//! The polynomials are minimax: Remez's algorithm in 80 digits with the weight that makes the relative error
//! of the function level, then the coefficients rounded to `f32`.
//!
//! What the code avoids, and why:
//! - branches and tables: both sides are computed and one is selected, which is one instruction per vector;
//! - `mul_add`: a call of the C library where the processor has none. Without it, every instruction set also
//!   gives the same bits;
//! - casts from floats to integers: they saturate in Rust, which costs several instructions. Adding
//!   [`ROUND`] leaves the nearest integer in the low bits of the sum.
//!
//! The errors of all 2^32 arguments are bounded by `tests/all/functions.rs`.

#![allow(clippy::inline_always, reason = "a function that is called is not vectorised with its loop")]

use std::f32::consts::LOG2_E;

/// 1.5 * 2^23: the unit of `f32` is 1 here, so adding it rounds to integers, halves to even.
const ROUND: f32 = 12582912.0;
/// 1.5 * 2^52, the same for `f64`.
const ROUND_F64: f64 = 6755399441055744.0;
/// The high bits of log(2), few enough that a product with an exponent is exact.
const LN_2_HIGH: f32 = 0.6933594;
/// log(2) - [`LN_2_HIGH`].
const LN_2_LOW: f32 = -2.1219444e-4;

/// The sum of `coefficients[k] * x^k`, by Horner's rule.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    for k in (0..N - 1).rev() {
        sum = sum * x + coefficients[k];
    }
    sum
}

/// `x` within bounds; NaN stays.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `magnitude` with the sign of `sign` added to its own.
#[inline(always)]
fn xor_sign(magnitude: f32, sign: f32) -> f32 {
    f32::from_bits(magnitude.to_bits() ^ (sign.to_bits() & 0x8000_0000))
}

/// For |x| < 2^15 and the integer n nearest to x / log(2): the exponent n + `BIAS` in the low bits, and
/// e^(x - n log(2)) - 1.
#[inline(always)]
fn reduced_expm1<const BIAS: u32>(x: f32) -> (u32, f32) {
    let round = ROUND + BIAS as f32;
    let rounded = x * LOG2_E + round;
    let n = rounded - round;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let tail = polynomial(r, [0.49999994, 0.16666512, 0.041668043, 0.008369717, 0.0013845675]);
    (rounded.to_bits(), r + r * r * tail)
}

/// The power of two whose biased exponent is in the low bits; [`ROUND`] has no bits there.
#[inline(always)]
fn power_of_two(biased: u32) -> f32 {
    f32::from_bits(biased << 23)
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

/// The natural logarithm of `significand * 2^exponent`, where `1 + f` is the significand, from sqrt(1/2) to sqrt(2).
#[inline(always)]
fn log_parts(f: f32, exponent: f32) -> f32 {
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

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let square = a * a;
    let near = a + a * (square * polynomial(square, [-0.3333306, 0.13314833, -0.05036624]));
    // From 9.02 on the result is 1.
    let (exponent, tail) = reduced_expm1::<127>(2.0 * if a > 10.0 { 10.0 } else { a });
    let power = power_of_two(exponent);
    let expm1 = tail * power + (power - 1.0);
    // For small numbers the three roundings of this would add up.
    let far = expm1 / (expm1 + 2.0);
    xor_sign(if a < 0.3 { near } else { far }, x)
}

/// The logistic function, 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    // e^-x may be too large for `f32` where its reciprocal is subnormal; 2^-24 e^-x is not. Beyond the bounds
    // the result is 0 or 1.
    const SCALE: f32 = 1.0 / 16777216.0;
    let (exponent, tail) = reduced_expm1::<{ 127 - 24 }>(-clamp(x, -104.5, 25.0));
    SCALE / (SCALE + (1.0 + tail) * power_of_two(exponent))
}

/// x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    // -2 sqrt(2/pi) / log(2), and that times 0.044715.
    const LINEAR: f64 = -2.302208198144325;
    const CUBIC: f64 = -0.1029432395800235;
    // 2^-36: e^(-2u) times this is in range wherever the result is not 0.
    const SCALE: f32 = 1.0 / 68719476736.0;
    const ROUND: f64 = ROUND_F64 + (127 - 36) as f64;
    // Below the result is -0, above it is x.
    let x = if x < -11.0 { -11.0 } else { x };
    let wide = f64::from(if x > 6.0 { 6.0 } else { x });
    // An error of the exponent is one of the result, times log(2): it takes more than the 24 bits of `f32`.
    let exponent = wide * (LINEAR + CUBIC * (wide * wide));
    let rounded = exponent + ROUND;
    let f = (exponent - (rounded - ROUND)) as f32;
    let power = (1.0 + f * polynomial(f, EXP2)) * power_of_two(rounded.to_bits() as u32);
    let y = x / (SCALE + power) * SCALE;
    if x > 6.0 { x } else { y }
}

/// x times the distribution function of the normal distribution.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    // -1 / (2 log(2))
    const SQUARE: f64 = -0.7213475204444817;
    const ROUND: f64 = ROUND_F64 + 254.0;
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
    let rounded = exponent + ROUND;
    let f = (exponent - (rounded - ROUND)) as f32;
    let exponent = rounded.to_bits() as u32;
    let half = exponent >> 1;
    let significand = a * scaled * (1.0 + f * polynomial(f, EXP2));
    let tail = significand * power_of_two(half) * power_of_two(exponent.wrapping_sub(half));
    if x < 0.0 { -tail } else { x - tail }
}

/// (2^f - 1) / f for f from -1/2 to 1/2.
const EXP2: [f32; 6] =
    [std::f32::consts::LN_2, 0.24022594, 0.055503663, 0.009625441, 0.0013385037, 0.00013291789];

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

/// |x| as a multiple n of pi/2 and a rest: n (only its two low bits count) and the rest.
///
/// A table of windows of 2/pi makes the products with any exponent exact: Payne and Hanek, "Radian Reduction
/// for Trigonometric Functions", SIGNUM Newsletter 18, 1983. Four windows are enough for `f32`, and four can
/// be selected without loads.
#[inline(always)]
fn quadrant(x: f32) -> (i32, f32) {
    /// Each row is 2/pi without the bits that contribute only multiples of 4 to a product with an x of at
    /// least 0, 2^47, 2^74 and 2^101, in pieces of 27, 27 and 53 bits: sums of the first two, times 24 bits,
    /// are exact.
    const WINDOWS: [[f64; 3]; 4] = [
        [0.6366197690367699, 3.3308114877339534e-09, -1.160177773473606e-17],
        [-3.392209135810731e-08, -1.5037965526946222e-16, -5.434184107743751e-25],
        [2.937095545806004e-16, -5.434184086300878e-25, -2.1442872565786008e-33],
        [6.074026479468182e-24, 1.0181664348640722e-32, 3.8858987075186823e-41],
    ];
    /// 1.5 * 2^54: adding it rounds to multiples of 4.
    const ROUND_TO_4: f64 = 4.0 * ROUND_F64;
    let x = f64::from(x.abs());
    let mut window = WINDOWS[0];
    for (start, row) in [(47, WINDOWS[1]), (74, WINDOWS[2]), (101, WINDOWS[3])] {
        let start = f64::from_bits((1023 + start) << 52);
        for (piece, next) in window.iter_mut().zip(row) {
            *piece = if x < start { *piece } else { next };
        }
    }
    let high = x * window[0];
    // Both sums below are exact.
    let turns = (high - ((high + ROUND_TO_4) - ROUND_TO_4)) + x * window[1];
    let rounded = turns + ROUND_F64;
    let rest = (turns - (rounded - ROUND_F64)) + x * window[2];
    (rounded.to_bits() as i32, (rest * std::f64::consts::FRAC_PI_2) as f32)
}

/// The sine of n pi/2 + r, |r| up to a bit more than pi/4.
#[inline(always)]
fn sin_of_quadrant(n: i32, r: f32) -> f32 {
    let square = r * r;
    let sin = r + r * (square * polynomial(square, [-0.16666642, 0.008331429, -0.00019425638]));
    let tail = polynomial(square, [0.041666627, -0.0013886458, 2.4342187e-05]);
    let cos = 1.0 + (square * square * tail - 0.5 * square);
    let magnitude = if n & 1 == 0 { sin } else { cos };
    f32::from_bits(magnitude.to_bits() ^ ((n as u32 & 2) << 30))
}

/// The sine of an angle in radians.
#[inline(always)]
pub(crate) fn sin(x: f32) -> f32 {
    let (n, r) = quadrant(x);
    xor_sign(sin_of_quadrant(n, r), x)
}

/// The cosine of an angle in radians.
#[inline(always)]
pub(crate) fn cos(x: f32) -> f32 {
    let (n, r) = quadrant(x);
    sin_of_quadrant(n.wrapping_add(1), r)
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

/// `x` with the sign of `sign` if it is 0.
#[inline(always)]
fn or_sign(x: f32, sign: f32) -> f32 {
    f32::from_bits(x.to_bits() | (sign.to_bits() & 0x8000_0000))
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

/// The tangent of an angle in radians.
#[inline(always)]
pub(crate) fn tan(x: f32) -> f32 {
    let (n, r) = quadrant(x);
    let square = r * r;
    let tail = polynomial(
        square,
        [0.33333364, 0.13332184, 0.054114025, 0.021004453, 0.011550173, -0.0008077192, 0.0048142355],
    );
    let tan = r + r * (square * tail);
    xor_sign(if n & 1 == 0 { tan } else { -1.0 / tan }, x)
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
