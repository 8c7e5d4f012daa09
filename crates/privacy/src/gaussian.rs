//! The exact epsilon of the Gaussian mechanism without sampling.

use std::f64::consts::{SQRT_2, TAU};

use crate::error::{Result, noise, probability};

/// The exact epsilon of a number of steps of the Gaussian mechanism on the whole data set (`sampling_rate` 1): no accountant
/// can be below it. With `m = sqrt(steps) / noise_multiplier` it solves
///
/// ```text
/// Phi(m / 2 - e / m) - exp(e) Phi(-m / 2 - e / m) = delta
/// ```
///
/// (Balle and Wang, "Improving the Gaussian mechanism for differential privacy", 2018). The result is rounded up;
/// deltas below 1e-15 drown in the rounding of the left side.
///
/// ```
/// use gradus_privacy::{Plan, gaussian_epsilon};
///
/// let exact = gaussian_epsilon(4.0, 10, 1e-5)?;
/// let bound = Plan { sampling_rate: 1.0, steps: 10, delta: 1e-5 }.epsilon(4.0)?;
/// assert!(exact < bound && bound < 1.1 * exact);
/// # Ok::<(), gradus_privacy::PrivacyError>(())
/// ```
///
/// # Errors
/// If the noise multiplier is negative, or delta is not between 0 and 1.
pub fn gaussian_epsilon(noise_multiplier: f64, steps: usize, delta: f64) -> Result<f64> {
    let m = (steps as f64).sqrt() / noise(noise_multiplier)?;
    let delta = probability(delta)?;
    if steps == 0 || m == 0.0 || delta_of(0.0, m) <= delta {
        return Ok(0.0);
    }
    if m == f64::INFINITY {
        return Ok(m);
    }
    // Above m^2 / 2 + k m, delta is less than Phi(-k).
    let (mut low, mut high) = (0.0, m * m / 2.0 + 40.0 * m);
    while high - low > 1e-12 * high {
        let middle = f64::midpoint(low, high);
        if delta_of(middle, m) > delta { low = middle } else { high = middle }
    }
    Ok(high)
}

/// The delta for an epsilon. As exp(e) phi(m / 2 + e / m) = phi(m / 2 - e / m), with phi the density, nothing overflows.
fn delta_of(epsilon: f64, m: f64) -> f64 {
    let (t, x) = (m / 2.0 - epsilon / m, m / 2.0 + epsilon / m);
    let density = (-t * t / 2.0).exp() / TAU.sqrt();
    let above = if t > 0.0 { libm::erfc(-t / SQRT_2) / 2.0 } else { density * mills(-t) };
    above - density * mills(x)
}

/// Phi(-x) / phi(x) for x >= 0 (Mills' ratio), for large x by its continued fraction.
fn mills(x: f64) -> f64 {
    if x < 6.0 {
        return libm::erfc(x / SQRT_2) / 2.0 * TAU.sqrt() * (x * x / 2.0).exp();
    }
    1.0 / (1..60).rev().fold(x, |tail, k| x + f64::from(k) / tail)
}
