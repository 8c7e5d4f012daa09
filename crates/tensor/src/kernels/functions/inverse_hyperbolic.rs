//! Inverse hyperbolic functions of one `f64`, by formulas that hold over the whole domain.
//!
//! The logarithm is always taken of 1 plus a number that is itself accurate: Kahan, "Branch Cuts for Complex
//! Elementary Functions", 1987.

use std::f64::consts::LN_2;

/// From here on the 1 under the root of `asinh` and `acosh` is lost.
const LARGE: f64 = 268435456.0;

pub(crate) fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let magnitude = if a > LARGE {
        // Twice the number may be infinite.
        a.ln() + LN_2
    } else {
        let square = a * a;
        (a + square / (1.0 + (1.0 + square).sqrt())).ln_1p()
    };
    magnitude.copysign(x)
}

pub(crate) fn acosh(x: f64) -> f64 {
    if x < 1.0 {
        f64::NAN
    } else if x > LARGE {
        x.ln() + LN_2
    } else {
        let above = x - 1.0;
        (above + (above * (above + 2.0)).sqrt()).ln_1p()
    }
}

pub(crate) fn atanh(x: f64) -> f64 {
    let a = x.abs();
    let twice = a + a;
    let ratio = if a < 0.5 { twice + twice * a / (1.0 - a) } else { twice / (1.0 - a) };
    (0.5 * ratio.ln_1p()).copysign(x)
}
