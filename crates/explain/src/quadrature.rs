//! Rules of numerical integration over [0, 1].

use std::f64::consts::PI;

/// A rule of numerical integration: nodes between 0 and 1, and a weight for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quadrature {
    /// The `n` nodes and weights of Gauss and Legendre, exact for polynomials up to degree 2n - 1.
    GaussLegendre,
    /// Nodes k/n: the left ends of n equal parts.
    Left,
    /// Nodes (k + 1)/n: the right ends.
    Right,
    /// Nodes (k + 1/2)/n: the middles.
    Middle,
    /// n + 1 nodes k/n, both ends with half the weight.
    Trapezoid,
    /// The rule that Captum calls `riemann_trapezoid`: n nodes k/(n - 1) with weights 1/n, both ends with half the weight.
    /// The weights add up to (n - 1)/n, so its results are too small by this factor. It is here for comparisons.
    CaptumTrapezoid,
}

impl Quadrature {
    /// The nodes with their weights, for `n` steps.
    ///
    /// ```
    /// use gradus_explain::Quadrature;
    ///
    /// assert_eq!(Quadrature::Middle.nodes(2), [(0.25, 0.5), (0.75, 0.5)]);
    /// assert_eq!(Quadrature::Trapezoid.nodes(2), [(0.0, 0.25), (0.5, 0.5), (1.0, 0.25)]);
    /// // The integral of x^5 from 0 to 1, with three nodes.
    /// let sum: f64 = Quadrature::GaussLegendre.nodes(3).iter().map(|(x, weight)| weight * x.powi(5)).sum();
    /// assert!((sum - 1.0 / 6.0).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If there is no step, or one of [`CaptumTrapezoid`](Self::CaptumTrapezoid).
    #[track_caller]
    pub fn nodes(self, n: usize) -> Vec<(f64, f64)> {
        let least = if self == Self::CaptumTrapezoid { 2 } else { 1 };
        assert!(n >= least, "steps: {self:?} needs at least {least}, not {n}");
        let step = 1.0 / n as f64;
        let at = |shift: f64| (0..n).map(|k| ((k as f64 + shift) * step, step)).collect();
        match self {
            Self::GaussLegendre => gauss_legendre(n),
            Self::Left => at(0.0),
            Self::Right => at(1.0),
            Self::Middle => at(0.5),
            Self::Trapezoid => halved_ends((0..=n).map(|k| (k as f64 * step, step)).collect()),
            Self::CaptumTrapezoid => halved_ends((0..n).map(|k| (k as f64 / (n - 1) as f64, step)).collect()),
        }
    }
}

fn halved_ends(mut nodes: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let last = nodes.len() - 1;
    nodes[0].1 /= 2.0;
    nodes[last].1 /= 2.0;
    nodes
}

/// The roots of the Legendre polynomial of degree `n` by Newton's method, from the estimate of Tricomi (1950), moved from
/// [-1, 1] to [0, 1].
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let node = |k: usize| {
        let mut x = -(PI * (k as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 0.0;
        for _ in 0..100 {
            let (value, derivative) = legendre(n, x);
            slope = derivative;
            let step = value / derivative;
            x -= step;
            if step.abs() < 1e-16 {
                break;
            }
        }
        (f64::midpoint(x, 1.0), 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

/// The Legendre polynomial of degree `n` and its derivative, by the recurrence of Bonnet.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}
