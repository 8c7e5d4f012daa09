//! Sine, cosine and tangent.

use super::{ROUND_F64, polynomial, xor_sign};

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
