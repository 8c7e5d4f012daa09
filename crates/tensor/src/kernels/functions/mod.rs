//! Functions of one `f32` without branches and calls, so that a loop over them becomes vector instructions.
//!
//! The scheme is that of Cody and Waite, "Software Manual for the Elementary Functions", 1980, and of Muller,
//! "Elementary Functions", 3rd edition, 2016: reduce the argument exactly, evaluate a short polynomial (or, in a
//! function that divides anyway, a quotient of two), put the parts together so that the large one is exact and only
//! the small one is rounded. Where an argument needs more than 24 bits, it is a sum of an exact part and a small rest (the cubic under `gelu_tanh`), or `f64` (the
//! periods of `sin`).
//! The polynomials are minimax: Remez's algorithm in 50 digits with the weight that makes the relative error
//! of the function level, then the coefficients rounded to `f32`.
//!
//! What the code avoids, and why:
//! - branches and tables: both sides are computed and one is selected, which is one instruction per vector;
//! - `mul_add`: a call of the C library where the processor has none. Without it, every instruction set also
//!   gives the same bits;
//! - casts from floats to integers: they saturate in Rust, which costs several instructions. Adding
//!   [`ROUND`] leaves the nearest integer in the low bits of the sum.
//!
//! Subnormal numbers, infinities, NaN and signs of zeros are right too; `tests/all/functions.rs` holds each
//! function to its error.

mod activation;
mod exponential;
pub(crate) mod gamma;
pub(crate) mod inverse_hyperbolic;
pub(crate) mod normal;
mod trigonometric;

pub(crate) use activation::{erf, gelu, gelu_tanh, sigmoid, softplus};
pub(crate) use exponential::{cosh, exp, exp2, expm1, log, log1p, sinh, tanh};
pub(crate) use trigonometric::{cos, sin, tan};

/// 1.5 * 2^23: the unit of `f32` is 1 here, so adding it rounds to integers, halves to even.
const ROUND: f32 = 12582912.0;

/// 1.5 * 2^52, the same for `f64`.
const ROUND_F64: f64 = 6755399441055744.0;

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

/// `x` with the sign of `sign` if it is 0.
#[inline(always)]
fn or_sign(x: f32, sign: f32) -> f32 {
    f32::from_bits(x.to_bits() | (sign.to_bits() & 0x8000_0000))
}

/// The power of two whose biased exponent is in the low bits; [`ROUND`] has no bits there.
#[inline(always)]
fn power_of_two(biased: u32) -> f32 {
    f32::from_bits(biased << 23)
}

/// (2^f - 1) / f for f from -1/2 to 1/2.
const EXP2: [f32; 6] =
    [std::f32::consts::LN_2, 0.24022594, 0.055503663, 0.009625441, 0.0013385037, 0.00013291789];
