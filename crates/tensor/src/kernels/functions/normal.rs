//! The normal distribution and its approximation, of one `f64`.
//!
//! In the tails both are exponential functions of a product, whose rounding error would be multiplied by its size.

use std::f64::consts::FRAC_1_SQRT_2;

use crate::element::Float;

/// x times the distribution function, x erfc(-x / sqrt(2)) / 2.
pub(crate) fn gelu(x: f64) -> f64 {
    /// 1 / sqrt(2) without [`FRAC_1_SQRT_2`].
    const REST: f64 = -4.833646656726457e-17;
    // Below the result is 0: infinity times 0 would be NaN.
    let x = if x < -40.0 { -40.0 } else { x };
    let z = -x * FRAC_1_SQRT_2;
    let tail = libm::erfc(z);
    if z < 1.0 {
        return 0.5 * x * tail;
    }
    // Far out an error of z is multiplied by -erfc'(z) / erfc(z), nearly 2 z + 1 / z.
    let error = product_error(-x, FRAC_1_SQRT_2, z) - x * REST;
    0.5 * x * (tail * (1.0 - error * (2.0 * z + 1.0 / z)))
}

/// x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
pub(crate) fn gelu_tanh(x: f64) -> f64 {
    /// 2 sqrt(2/pi) and that times 0.044715, each with what its rounding took.
    const LINEAR: [f64; 2] = [1.5957691216057308, -9.96930880911092e-17];
    const CUBIC: [f64; 2] = [0.07135481627260025, -6.175149918155315e-19];
    // As in `gelu`.
    let x = if x < -40.0 { -40.0 } else { x };
    let square = x * x;
    let cubic = CUBIC[0] * square;
    let factor = LINEAR[0] + cubic;
    let exponent = x * factor;
    let y = x * exponent.sigmoid();
    if exponent > -1.0 {
        return y;
    }
    let cubic_error =
        product_error(CUBIC[0], square, cubic) + CUBIC[0] * product_error(x, x, square) + CUBIC[1] * square;
    let sum_error = {
        let part = factor - LINEAR[0];
        (LINEAR[0] - (factor - part)) + (cubic - part)
    };
    let factor_error = sum_error + cubic_error + LINEAR[1];
    y * (1.0 + (product_error(x, factor, exponent) + x * factor_error))
}

/// The rounding error of a product of two numbers that are not near overflow: Dekker, "A Floating-Point Technique
/// for Extending the Available Precision", 1971.
fn product_error(x: f64, y: f64, product: f64) -> f64 {
    let halves = |x: f64| {
        let scaled = x * 134217729.0;
        let high = scaled - (scaled - x);
        (high, x - high)
    };
    let ((x_high, x_low), (y_high, y_low)) = (halves(x), halves(y));
    ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
}
