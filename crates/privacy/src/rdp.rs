//! The Renyi differential privacy of one step.

use crate::error::{Result, noise, order as order_of, rate};

/// The Renyi differential privacy of the sampled Gaussian mechanism at an order above 1: true values at all orders, not upper
/// bounds.
///
/// Each example joins a batch with probability `sampling_rate`; the sum of what they give, each of norm C at most, gets Gaussian
/// noise of standard deviation `noise_multiplier` C. Data sets are neighbours if one has an example more than the other. With
/// x normal of variance s^2 about 0 and q the rate,
///
/// ```text
/// rdp(a) = log(A) / (a - 1),    A = E[((1 - q) + q exp((2 x - 1) / (2 s^2)))^a]
/// ```
///
/// (Mironov, Talwar and Zhang, "Renyi differential privacy of the sampled Gaussian mechanism", 2019). At integer orders this is
/// a sum of binomial terms, at others an integral. With q = 1 it is a / (2 s^2); without noise it is infinite.
///
/// ```
/// use gradus_privacy::rdp;
///
/// assert_eq!(rdp(1.0, 2.0, 8.0)?, 1.0);
/// // Whoever joins one batch of a hundred gives away little.
/// assert!(rdp(0.01, 2.0, 8.0)? < 2e-4);
/// # Ok::<(), gradus_privacy::PrivacyError>(())
/// ```
///
/// # Errors
/// If the rate is not from 0 to 1, the noise multiplier is negative, or the order is not from 1.000001 to 65536.
pub fn rdp(sampling_rate: f64, noise_multiplier: f64, order: f64) -> Result<f64> {
    Ok(of_step(rate(sampling_rate)?, noise(noise_multiplier)?, order_of(order)?))
}

/// [`rdp`] of numbers that are right.
pub(crate) fn of_step(q: f64, s: f64, a: f64) -> f64 {
    if q == 0.0 || s == f64::INFINITY {
        0.0
    } else if s == 0.0 {
        f64::INFINITY
    } else if q == 1.0 {
        a / (2.0 * s * s)
    } else {
        log_moment(q, s, a) / (a - 1.0)
    }
}

/// The noise below which orders that are not integers are bounded from above: the integral would take thousands of points,
/// for an epsilon of hundreds.
const LEAST_NOISE: f64 = 0.05;
/// The order from which they are, for the same reason.
const MOST_ORDER: f64 = 2000.0;

/// log(A).
fn log_moment(q: f64, s: f64, a: f64) -> f64 {
    let (below, part) = (a.floor(), a.fract());
    if part == 0.0 {
        log_1p_exp(log_sum(q, s, a as u32))
    } else if s >= LEAST_NOISE && a < MOST_ORDER {
        log_1p_exp(log_integral(q, s, a))
    } else {
        // log(A) is convex in a, so a chord lies above it; at 1 it is 0.
        let low = if below == 1.0 { 0.0 } else { log_moment(q, s, below) };
        (1.0 - part) * low + part * log_moment(q, s, below + 1.0)
    }
}

/// log(1 + exp(x))
fn log_1p_exp(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// log(A - 1) for an integer a: the sum of C(a, k) (1 - q)^(a - k) q^k (exp((k^2 - k) / (2 s^2)) - 1) over k from 2 to a. The
/// weights of all k add up to 1, so that no term is negative and nothing cancels where A is near 1.
fn log_sum(q: f64, s: f64, a: u32) -> f64 {
    let mut log_choose = f64::from(a).ln();
    let term = |k: u32| {
        log_choose += (f64::from(a - k + 1) / f64::from(k)).ln();
        let k = f64::from(k);
        let exponent = (k * k - k) / (2.0 * s * s);
        let log_expm1 =
            if exponent < 30.0 { exponent.exp_m1().ln() } else { exponent + (-(-exponent).exp()).ln_1p() };
        log_choose + (f64::from(a) - k) * (-q).ln_1p() + k * q.ln() + log_expm1
    };
    log_sum_exp(&(2..=a).map(term).collect::<Vec<_>>())
}

/// log(A - 1) by the trapezoid rule.
///
/// With w = exp((2 x - 1) / (2 s^2)) - 1, whose expectation is 0, A - 1 is the expectation of (1 + q w)^a - 1 - a q w, which is
/// nowhere negative. The integrand is analytic within pi s^2 of the real axis and falls like a Gaussian, so the error of the
/// rule is exponentially small in the number of points (Trefethen and Weideman, "The exponentially convergent trapezoidal
/// rule", 2014): below rounding with the spacing here.
fn log_integral(q: f64, s: f64, a: f64) -> f64 {
    // In u = x / s; the a-th power has its peak at x = a.
    let (step, low, high) = (s.min(1.0) / 3.0, -10.0, a / s + 10.0);
    let term = |i: usize| {
        let u = low + i as f64 * step;
        log_gap(q, (u - 0.5 / s) / s, a) - u * u / 2.0
    };
    let terms: Vec<f64> = (0..((high - low) / step).ceil() as usize).map(term).collect();
    log_sum_exp(&terms) + (step / std::f64::consts::TAU.sqrt()).ln()
}

/// The logarithm of (1 + z)^a - 1 - a z for z = q (exp(e) - 1).
fn log_gap(q: f64, e: f64, a: f64) -> f64 {
    let z = q * e.exp_m1();
    if (a * z).abs() < 0.05 {
        // The difference would cancel; the binomial series does not.
        let (mut term, mut sum) = (a * z, 0.0);
        for k in 2..40 {
            term *= (a - f64::from(k) + 1.0) / f64::from(k) * z;
            sum += term;
            if term.abs() < 1e-18 * sum {
                break;
            }
        }
        return sum.ln();
    }
    let power = a * if z.is_finite() { z.ln_1p() } else { q.ln() + e };
    if power < 600.0 {
        (power.exp_m1() - a * z).ln()
    } else {
        let log_az = a.ln() + if z.is_finite() { z.ln() } else { q.ln() + e };
        power + (-(log_az - power).exp()).ln_1p()
    }
}

/// log(sum of exp)
fn log_sum_exp(terms: &[f64]) -> f64 {
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most.is_infinite() {
        return most;
    }
    most + terms.iter().map(|term| (term - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum and the integral are two ways to the same number.
    #[test]
    fn the_integral_is_the_binomial_sum() {
        for q in [1e-8, 1e-4, 0.01, 0.3, 0.9, 0.999] {
            for s in [0.05, 0.1, 0.4, 0.7, 1.0, 2.0, 5.0, 40.0, 1e3] {
                for a in [2, 3, 5, 10, 40] {
                    let (sum, integral) = (log_sum(q, s, a), log_integral(q, s, f64::from(a)));
                    let error = (sum - integral).abs() / sum.abs().max(1.0);
                    assert!(error < 1e-12, "q {q}, s {s}, a {a}: sum {sum}, integral {integral}");
                }
            }
        }
    }

    /// Where the integral is too long, a bound stands in for it, and it is one.
    #[test]
    fn chords_lie_above() {
        let (q, s) = (0.01, LEAST_NOISE * 0.999);
        for a in [1.1, 1.5, 2.5, 7.9] {
            let (bound, value) = (of_step(q, s, a), log_1p_exp(log_integral(q, s, a)) / (a - 1.0));
            assert!(bound > value && bound < 2.5 * value, "order {a}: {bound} for {value}");
        }
    }
}
