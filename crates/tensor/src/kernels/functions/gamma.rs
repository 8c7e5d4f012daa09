//! The gamma function's logarithm and all derivatives of it, of one `f64`.
//!
//! Section numbers are those of Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964.

use std::f64::consts::PI;

/// The logarithm of |gamma(x)|.
pub(crate) fn lgamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// Derivative `order` of the digamma function, which is itself the one of order 0.
pub(crate) fn polygamma(order: usize, x: f64) -> f64 {
    if x < 0.0 {
        return reflected(order, x);
    }
    if order == 0 {
        return digamma(x);
    }
    // 6.4.10: (-1)^(n + 1) n! times the sum of 1 / (x + k)^(n + 1) over all k from 0 on.
    let factorial: f64 = (1..=order).map(|k| k as f64).product();
    // Both zeros have the pole of the positive one, as in PyTorch.
    alternating(order + 1) * factorial * zeta(order as f64 + 1.0, x.abs())
}

/// The digamma function of numbers that are not negative.
fn digamma(x: f64) -> f64 {
    /// B(2k) / 2k.
    const SERIES: [f64; 7] =
        [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32760.0, 1.0 / 12.0];
    // 6.3.5: one further is 1 / x more, until the asymptotic series holds.
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        below -= 1.0 / x;
        x += 1.0;
    }
    // 6.3.18
    let z = 1.0 / (x * x);
    let series = SERIES.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * z);
    below + x.ln() - 0.5 / x - series
}

/// The sum of `1 / (x + k)^s` over all k from 0 on (Hurwitz), by Euler and Maclaurin's formula (23.1.30), for x
/// that is not negative and s above 1.
fn zeta(s: f64, x: f64) -> f64 {
    /// B(2k) / (2k)!.
    const SERIES: [f64; 9] = [
        1.0 / 12.0,
        -1.0 / 720.0,
        1.0 / 30240.0,
        -1.0 / 1209600.0,
        1.0 / 47900160.0,
        -691.0 / 1307674368000.0,
        1.0 / 74724249600.0,
        -3617.0 / 10670622842880000.0,
        43867.0 / 5109094217170944000.0,
    ];
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 + s {
        sum += x.powf(-s);
        x += 1.0;
    }
    let power = x.powf(-s);
    sum += x.powf(1.0 - s) / (s - 1.0) + power / 2.0;
    let mut factor = power * s / x;
    for (k, coefficient) in SERIES.iter().enumerate() {
        sum += factor * coefficient;
        let next = s + 2.0 * k as f64;
        factor *= (next + 1.0) / x * ((next + 2.0) / x);
    }
    // Of an infinite x, infinity times 0 came in.
    if x.is_infinite() { 0.0 } else { sum }
}

/// The polygamma function of negative numbers, by that of 1 - x (6.4.7).
fn reflected(order: usize, x: f64) -> f64 {
    if x == x.floor() {
        let pole = if order == 0 || x.is_infinite() { f64::NAN } else { f64::INFINITY };
        return alternating(order + 1) * pole;
    }
    // The derivatives of cot are polynomials of cot, as cot' = -(1 + cot^2).
    let mut coefficients = vec![0.0, 1.0];
    for _ in 0..order {
        let mut next = vec![0.0; coefficients.len() + 1];
        for (k, coefficient) in coefficients.iter().enumerate().skip(1) {
            next[k - 1] -= k as f64 * coefficient;
            next[k + 1] -= k as f64 * coefficient;
        }
        coefficients = next;
    }
    let cot = 1.0 / (PI * (x - x.round())).tan();
    // Beside a pole `cot` is infinite: nothing may be multiplied by 0.
    let derivative =
        coefficients.iter().rev().copied().reduce(|sum, coefficient| sum * cot + coefficient).unwrap_or(0.0);
    alternating(order) * polygamma(order, 1.0 - x) - PI.powf(order as f64 + 1.0) * derivative
}

/// (-1)^n.
fn alternating(n: usize) -> f64 {
    if n.is_multiple_of(2) { 1.0 } else { -1.0 }
}
