//! Linear models with weighted samples, which stand in for a network.

use gradus_autograd::Tensor;

use crate::error::{ExplainError, Result};

/// The penalty on the coefficients of a linear model. The intercept has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// `alpha` times the sum of the squares, beside the weighted sum of squared errors. 0 is no penalty.
    Ridge {
        /// The weight of the penalty.
        alpha: f64,
    },
    /// `alpha` times the sum of the magnitudes, beside half the weighted mean of squared errors (Tibshirani, 1996). Many
    /// coefficients become 0.
    Lasso {
        /// The weight of the penalty.
        alpha: f64,
    },
}

/// A linear model that was fitted.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) coefficients: Vec<f64>,
    pub(crate) intercept: f64,
    /// The weighted coefficient of determination.
    pub(crate) r2: f64,
}

impl Penalty {
    /// The linear model of `y` on the rows of `z`, with a weight for each.
    pub(crate) fn fit(self, z: &[Vec<f64>], y: &[f64], weights: &[f64]) -> Result<Fit> {
        let total: f64 = weights.iter().sum();
        let mean = |values: &dyn Fn(usize) -> f64| {
            weights.iter().enumerate().map(|(i, weight)| weight * values(i)).sum::<f64>() / total
        };
        let d = z[0].len();
        let centre: Vec<f64> = (0..d).map(|j| mean(&|i| z[i][j])).collect();
        let level = mean(&|i| y[i]);
        let z: Vec<Vec<f64>> =
            z.iter().map(|row| row.iter().zip(&centre).map(|(z, centre)| z - centre).collect()).collect();
        let y: Vec<f64> = y.iter().map(|y| y - level).collect();
        let gram = |j: usize, k: usize| -> f64 { weights.iter().zip(&z).map(|(w, z)| w * z[j] * z[k]).sum() };
        let moments: Vec<f64> =
            (0..d).map(|j| (0..z.len()).map(|i| weights[i] * z[i][j] * y[i]).sum()).collect();
        let gram: Vec<Vec<f64>> = (0..d).map(|j| (0..d).map(|k| gram(j, k)).collect()).collect();
        let underdetermined = ExplainError::Underdetermined { samples: z.len(), groups: d };
        let coefficients = match self {
            _ if !total.is_normal() => None,
            Self::Ridge { alpha } => ridge(gram, &moments, alpha),
            Self::Lasso { alpha } => Some(lasso(&gram, &moments, alpha * total)),
        }
        .ok_or(underdetermined)?;
        let intercept = level - dot(&coefficients, &centre);
        let sum =
            |values: &dyn Fn(usize) -> f64| (0..y.len()).map(|i| weights[i] * values(i).powi(2)).sum::<f64>();
        let (error, spread) = (sum(&|i| y[i] - dot(&coefficients, &z[i])), sum(&|i| y[i]));
        // A constant that is met is explained, also if rounding leaves a spread.
        let r2 = if spread > 1e-24 * sum(&|i| y[i] + level) { 1.0 - error / spread } else { 1.0 };
        Ok(Fit { coefficients, intercept, r2 })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn ridge(mut gram: Vec<Vec<f64>>, moments: &[f64], alpha: f64) -> Option<Vec<f64>> {
    for (j, row) in gram.iter_mut().enumerate() {
        row[j] += alpha;
    }
    solve(&gram, moments)
}

/// The solution of symmetric equations; `None` if there is not one.
pub(crate) fn solve(matrix: &[Vec<f64>], right: &[f64]) -> Option<Vec<f64>> {
    let n = right.len();
    let largest = matrix.iter().enumerate().map(|(j, row)| row[j].abs()).fold(0.0, f64::max);
    let matrix = Tensor::from_vec(matrix.concat(), [n, n]).ok()?;
    // A pivot that only rounding has left means that there is no solution, or many.
    let factor = matrix.cholesky().ok()?;
    let least = (0..n)
        .map(|j| factor.select(0, j as isize).select(0, j as isize).item())
        .fold(f64::INFINITY, f64::min);
    if least * least <= 1e-12 * largest {
        return None;
    }
    let right = Tensor::from_vec(right.to_vec(), [n, 1]).ok()?;
    Some(matrix.solve(&right).ok()?.to_vec())
}

/// Coordinate descent (Friedman, Hastie and Tibshirani, 2010) to a fixed point, for the penalty `limit` times the sum of the
/// magnitudes beside half the sum of squared errors.
fn lasso(gram: &[Vec<f64>], moments: &[f64], limit: f64) -> Vec<f64> {
    let mut coefficients = vec![0.0; moments.len()];
    for _ in 0..100_000 {
        let (mut change, mut size) = (0.0_f64, 0.0_f64);
        for j in 0..coefficients.len() {
            let old: f64 = coefficients[j];
            let rest = moments[j] - dot(&gram[j], &coefficients) + gram[j][j] * old;
            let shrunk = (rest.abs() - limit).max(0.0).copysign(rest);
            coefficients[j] = if gram[j][j] > 0.0 { shrunk / gram[j][j] } else { 0.0 };
            change = change.max((coefficients[j] - old).abs());
            size = size.max(coefficients[j].abs());
        }
        if change <= 1e-15 * size {
            break;
        }
    }
    coefficients
}
