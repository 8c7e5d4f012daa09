//! The distribution of the privacy loss, composed numerically: a tighter accountant.
//!
//! The loss of an outcome is the logarithm of how much more likely it is with an example than without it. Its distribution adds
//! up over steps by convolution, and has the exact delta for every epsilon (Koskela, Jälkö and Honkela, "Computing tight
//! differential privacy guarantees using FFT", 2020). On a grid the loss is spread over its two neighbours so that both
//! likelihoods stay, which is the tightest pessimistic way (Doroshenko et al., "Connect the dots: tighter discrete
//! approximations of privacy loss distributions", 2022). Whatever is cut off or may be lost by rounding is added to delta.

use crate::fourier::{Complex, power, times, transform};

/// Steps of one kind.
pub(crate) struct Steps {
    pub(crate) sampling_rate: f64,
    pub(crate) noise_multiplier: f64,
    pub(crate) count: usize,
}

/// Deviations of the noise beyond which outcomes count as the worst.
const DEVIATIONS: f64 = 9.0;
/// Their probability, on both sides, rounded up.
const BEYOND: f64 = 3e-19;
/// The finest grid.
const MOST_CELLS: usize = 1 << 21;
/// Noise with which the losses of a step are too large for a grid.
const LEAST_NOISE: f64 = 0.05;

/// Nodes and weights of Gauss and Legendre on [-1, 1]; exact for polynomials of degree 9.
const NODES: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.906_179_845_938_664, 0.236_926_885_056_189_08),
];

/// The smallest epsilon for a delta; `None` if the numbers are beyond what a grid can hold.
pub(crate) fn epsilon(steps: &[Steps], delta: f64) -> Option<f64> {
    let steps: Vec<&Steps> =
        steps.iter().filter(|steps| steps.count > 0 && steps.sampling_rate > 0.0).collect();
    if steps.iter().any(|steps| steps.noise_multiplier < LEAST_NOISE) {
        return None;
    }
    let steps: Vec<&Steps> = steps.into_iter().filter(|steps| steps.noise_multiplier.is_finite()).collect();
    // An example may be there too much, or be missing.
    let [removed, added] = [false, true].map(|added| one_way(&steps, delta, added));
    Some(removed?.max(added?))
}

fn one_way(steps: &[&Steps], delta: f64, added: bool) -> Option<f64> {
    let total: f64 = steps.iter().map(|steps| steps.count as f64).sum();
    if total == 0.0 {
        return Some(0.0);
    }
    // A fiftieth of the standard deviation of a step, or about that.
    let variance = |steps: &&Steps| {
        let (q, s) = (steps.sampling_rate, steps.noise_multiplier);
        steps.count as f64 * (q * q * (1.0 / (s * s)).exp_m1()).min(1.0 / (s * s))
    };
    let width = (steps.iter().map(variance).sum::<f64>() / total).sqrt() / 50.0;
    // The losses of one step alone must fit.
    let span = |steps: &&Steps| {
        let (low, high) = bounds(steps.noise_multiplier);
        loss(steps, high) - loss(steps, low)
    };
    let mut width = steps.iter().map(span).fold(width * MOST_CELLS as f64, f64::max) / MOST_CELLS as f64;
    let tail = delta * 1e-6;
    // The mass that is lost above the window, at infinity, and by the rounding of transform and powers.
    let lost = tail + total * BEYOND + (total + 10.0) * 32.0 * f64::EPSILON;
    if delta <= 2.0 * lost || width < f64::MIN_POSITIVE {
        return None;
    }
    loop {
        let parts: Vec<(Losses, usize)> =
            steps.iter().map(|steps| (Losses::of_step(steps, width, added), steps.count)).collect();
        let (low, high) = window(&parts, width, tail);
        let cells = (((high - low) / width).ceil() as usize + 2).next_power_of_two();
        if cells <= MOST_CELLS {
            let first = (low / width).floor() as i64;
            return Some(smallest(&compose(&parts, cells, first), first, width, delta - lost));
        }
        width *= 2.0;
    }
}

/// The loss of an outcome. With an example x is about 1 with probability q, else about 0; without it about 0. The likelihoods
/// have the ratio exp(loss) with loss(x) = log(1 - q + q exp((2 x - 1) / (2 s^2))), which rises.
fn loss(steps: &Steps, x: f64) -> f64 {
    let (q, s) = (steps.sampling_rate, steps.noise_multiplier);
    let exponent = (2.0 * x - 1.0) / (2.0 * s * s);
    // Each way keeps its digits where the other one cancels.
    if q < 0.5 {
        (q * exponent.exp_m1()).ln_1p()
    } else {
        let (idle, joined) = ((-q).ln_1p(), q.ln() + exponent);
        idle.max(joined) + (-(idle - joined).abs()).exp().ln_1p()
    }
}

/// The outcomes that are looked at.
fn bounds(s: f64) -> (f64, f64) {
    (-DEVIATIONS * s, 1.0 + DEVIATIONS * s)
}

/// The distribution of the loss of one step.
struct Losses {
    /// The first place of the grid.
    first: i64,
    /// The probabilities of the losses at `first`, `first + 1`, ... times the width.
    mass: Vec<f64>,
}

impl Losses {
    fn of_step(steps: &Steps, width: f64, added: bool) -> Self {
        let (q, s) = (steps.sampling_rate, steps.noise_multiplier);
        let loss = |x: f64| loss(steps, x);
        let place = |loss: f64| {
            let log = if q < 0.5 {
                (loss.exp_m1() / q).ln_1p()
            } else {
                loss + (-(1.0 - q) * (-loss).exp()).ln_1p() - q.ln()
            };
            s * s * log + 0.5
        };
        let (low, high) = bounds(s);
        let bell = |x: f64| (-x * x / (2.0 * s * s)).exp() / (s * std::f64::consts::TAU.sqrt());
        let density = |x: f64| if added { bell(x) } else { (1.0 - q) * bell(x) + q * bell(x - 1.0) };
        let first = (loss(low) / width).floor() as i64;
        let count = (loss(high) / width).ceil() as i64 - first;
        let mut mass = vec![0.0; count as usize + 1];
        let mut from = low;
        for cell in 0..count {
            let (below, above) = ((first + cell) as f64 * width, (first + cell + 1) as f64 * width);
            let to = if cell == count - 1 { high } else { place(above).max(from).min(high) };
            let pieces = ((to - from) / (0.2 * s * s.min(1.0))).ceil().max(1.0);
            let half = (to - from) / pieces / 2.0;
            for piece in 0..pieces as usize {
                let middle = from + (2 * piece + 1) as f64 * half;
                for (node, weight) in NODES {
                    let x = middle + half * node;
                    let part = weight * half * density(x);
                    // The share of the larger of the two losses, for which both likelihoods stay.
                    let rise = if added { above - loss(x) } else { loss(x) - below };
                    let larger = ((-rise).exp_m1() / (-width).exp_m1()).clamp(0.0, 1.0) * part;
                    let [up, down] = if added { [0, 1] } else { [1, 0] };
                    mass[cell as usize + up] += larger;
                    mass[cell as usize + down] += part - larger;
                }
            }
            from = to;
        }
        if added {
            mass.reverse();
            return Self { first: -(first + count), mass };
        }
        Self { first, mass }
    }

    /// log E exp(t loss)
    fn log_moment(&self, t: f64, width: f64) -> f64 {
        let exponent = |i: usize| t * (self.first + i as i64) as f64 * width;
        let most = exponent(0).max(exponent(self.mass.len() - 1));
        let sum: f64 = self.mass.iter().enumerate().map(|(i, mass)| mass * (exponent(i) - most).exp()).sum();
        most + sum.ln()
    }
}

/// An interval that holds the sum of all losses except with probability `tail` on each side (Chernoff).
fn window(parts: &[(Losses, usize)], width: f64, tail: f64) -> (f64, f64) {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    for t in (-10..16).map(|power| 2_f64.powi(power)) {
        let [up, down] = [t, -t].map(|t| {
            parts.iter().map(|(losses, count)| *count as f64 * losses.log_moment(t, width)).sum::<f64>()
                - tail.ln()
        });
        high = high.min(up / t);
        low = low.max(-down / t);
    }
    (low.min(-width), high.max(width))
}

/// The distribution of the sum, on a circle of cells from `first` on.
fn compose(parts: &[(Losses, usize)], cells: usize, first: i64) -> Vec<f64> {
    let mut product: Vec<Complex> = vec![[1.0, 0.0]; cells];
    for (losses, count) in parts {
        let mut circle: Vec<Complex> = vec![[0.0, 0.0]; cells];
        for (i, mass) in losses.mass.iter().enumerate() {
            circle[(losses.first + i as i64).rem_euclid(cells as i64) as usize][0] += mass;
        }
        transform(&mut circle);
        for (product, factor) in product.iter_mut().zip(circle) {
            *product = times(*product, power(factor, *count));
        }
    }
    // The transform of the conjugate is the inverse.
    for x in &mut product {
        x[1] = -x[1];
    }
    transform(&mut product);
    let at = |i: usize| product[(first + i as i64).rem_euclid(cells as i64) as usize][0] / cells as f64;
    (0..cells).map(|i| at(i).max(0.0)).collect()
}

/// The smallest epsilon of at least 0 whose delta, the sum of mass (1 - exp(epsilon - loss)) over larger losses, is no more.
fn smallest(sums: &[f64], first: i64, width: f64, delta: f64) -> f64 {
    let (mut mass, mut weighted) = (0.0, 0.0);
    for (i, sum) in sums.iter().enumerate().rev() {
        let loss = (first + i as i64) as f64 * width;
        // Between this loss and the one above, delta is mass - exp(epsilon) weighted.
        if loss < 0.0 || mass - loss.exp() * weighted > delta {
            return ((mass - delta) / weighted).ln().max(0.0);
        }
        mass += sum;
        weighted += sum * (-loss).exp();
    }
    0.0
}
