//! `KernelSHAP`: Shapley values as a regression.

use gradus_autograd::{Float, Rng, Tensor, Var, seeded};

use crate::coalitions::{Game, GameOptions, GroupAttribution, game_options};
use crate::error::{ExplainError, Result};
use crate::surrogate::solve;
use crate::target::Target;

/// `KernelSHAP`: Shapley values estimated from some coalitions, by a regression with weights that make them exact for all
/// (Lundberg and Lee, "A unified approach to interpreting model predictions", 2017). They add up to f(x) - f(baseline).
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::{KernelShap, ShapleyValues};
///
/// let model = |x: &Var<f64>| x.prod(1).unsqueeze(1);
/// let x = Tensor::from([[2.0, 3.0, 4.0]]);
/// let [exact, all] = [
///     ShapleyValues::new().explain(model, &x, 0)?,
///     KernelShap::new().explain(model, &x, 0)?, // there are but 6 coalitions
/// ];
/// assert!(all.values.allclose(&exact.values, 1e-12, 0.0));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct KernelShap<T: Float = f32> {
    coalitions: Coalitions,
    options: GameOptions<T>,
}

#[derive(Debug, Clone)]
enum Coalitions {
    Drawn { samples: usize, seed: u64 },
    Given(Tensor<i64>),
}

impl<T: Float> Default for KernelShap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> KernelShap<T> {
    /// With at most 2048 coalitions.
    pub fn new() -> Self {
        let coalitions = Coalitions::Drawn { samples: 2048, seed: 0 };
        Self { coalitions, options: GameOptions::default() }
    }

    /// Sets the most coalitions. If there are no more than that, all are taken; or else that many are drawn with a seed, each
    /// with its complement.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn samples(mut self, samples: usize, seed: u64) -> Self {
        assert!(samples > 0, "samples: there must be a coalition");
        self.coalitions = Coalitions::Drawn { samples, seed };
        self
    }

    /// Takes these coalitions, `[n, groups]`, with 1 for a group that is kept, each with its weight in the sum over all. An
    /// empty or full one is passed over: it is met exactly.
    #[must_use]
    pub fn coalitions(mut self, coalitions: impl Into<Tensor<i64>>) -> Self {
        self.coalitions = Coalitions::Given(coalitions.into());
        self
    }

    game_options! {}

    /// The values of the rows of `x` `[batch, ...]`.
    ///
    /// # Errors
    /// As [`FeatureAblation::explain`](crate::FeatureAblation::explain), and if the coalitions do not fit the groups or do not
    /// determine the values.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<GroupAttribution<T>> {
        let game = self.options.game(&model, x, target)?;
        let (n, groups) = (game.input.rows(), game.groups());
        let baseline = game.baseline()?;
        let whole: Vec<f64> = game.input.outputs.iter().zip(&baseline).map(|(x, base)| x - base).collect();
        if groups == 1 {
            return Ok(game.attribution(&whole));
        }
        let (coalitions, weights) = self.weighted(&game)?;
        if coalitions.is_empty() {
            return Err(ExplainError::Underdetermined { samples: 0, groups });
        }
        let values = game.values(coalitions.len(), &|coalition, group| coalitions[coalition][group])?;
        let mut coefficients = Vec::with_capacity(n * groups);
        for row in 0..n {
            let gains: Vec<f64> =
                (0..coalitions.len()).map(|i| values[i * n + row] - baseline[row]).collect();
            coefficients.extend(regression(&coalitions, &weights, &gains, whole[row])?);
        }
        Ok(game.attribution(&coefficients))
    }

    /// The coalitions with their weights.
    fn weighted(&self, game: &Game<T>) -> Result<(Vec<Vec<bool>>, Vec<f64>)> {
        let groups = game.groups();
        let kept = |coalition: &[bool]| coalition.iter().filter(|kept| **kept).count();
        let (samples, seed) = match &self.coalitions {
            Coalitions::Drawn { samples, seed } => (*samples, *seed),
            Coalitions::Given(given) => {
                let mut coalitions = game.check(given)?;
                coalitions.retain(|coalition| (1..groups).contains(&kept(coalition)));
                let weights = coalitions.iter().map(|coalition| weight(groups, kept(coalition))).collect();
                return Ok((coalitions, weights));
            }
        };
        if groups < 30 && (1 << groups) - 2 <= samples {
            let bits = |coalition: usize| (0..groups).map(|group| coalition >> group & 1 == 1).collect();
            let coalitions: Vec<Vec<bool>> = (1..(1 << groups) - 1).map(bits).collect();
            let weights = coalitions.iter().map(|coalition| weight(groups, kept(coalition))).collect();
            return Ok((coalitions, weights));
        }
        let coalitions = drawn(groups, samples, &mut seeded(seed));
        let weights = vec![1.0; coalitions.len()];
        Ok((coalitions, weights))
    }
}

/// The weight of a coalition of `k` of `d` groups: (d - 1) / (C(d, k) k (d - k)).
fn weight(d: usize, k: usize) -> f64 {
    let binomial = (1..=k).fold(1.0, |product, i| product * (d - k + i) as f64 / i as f64);
    (d - 1) as f64 / (binomial * (k * (d - k)) as f64)
}

/// Coalitions drawn in proportion to their weights, each followed by its complement.
fn drawn(groups: usize, samples: usize, rng: &mut impl Rng) -> Vec<Vec<bool>> {
    // All coalitions of a size together have the weight (d - 1) / (k (d - k)).
    let mut sums = vec![0.0];
    for k in 1..groups {
        sums.push(sums[k - 1] + 1.0 / (k * (groups - k)) as f64);
    }
    let mut coalitions: Vec<Vec<bool>> = Vec::with_capacity(samples + 1);
    while coalitions.len() < samples {
        let point = f64::from_random_bits(rng.next_u64()) * sums[groups - 1];
        let size = sums.partition_point(|sum| *sum <= point).min(groups - 1);
        let mut coalition = vec![false; groups];
        for group in Tensor::randperm(groups, rng).iter().take(size) {
            coalition[group as usize] = true;
        }
        let complement = coalition.iter().map(|kept| !kept).collect();
        coalitions.extend([coalition, complement]);
    }
    coalitions.truncate(samples);
    coalitions
}

/// The coefficients that add up to `whole`, and otherwise come nearest to the gains of the coalitions. The last one is the rest,
/// which leaves a regression without a side condition.
fn regression(coalitions: &[Vec<bool>], weights: &[f64], gains: &[f64], whole: f64) -> Result<Vec<f64>> {
    let groups = coalitions[0].len();
    let d = groups - 1;
    let number = |kept: bool| f64::from(u8::from(kept));
    let (mut gram, mut moments) = (vec![vec![0.0; d]; d], vec![0.0; d]);
    for ((coalition, weight), gain) in coalitions.iter().zip(weights).zip(gains) {
        let last = number(coalition[d]);
        let z: Vec<f64> = coalition[..d].iter().map(|&kept| number(kept) - last).collect();
        for j in 0..d {
            moments[j] += weight * z[j] * (gain - last * whole);
            (0..d).for_each(|k| gram[j][k] += weight * z[j] * z[k]);
        }
    }
    let solution = solve(&gram, &moments);
    let mut coefficients =
        solution.ok_or(ExplainError::Underdetermined { samples: coalitions.len(), groups })?;
    coefficients.push(whole - coefficients.iter().sum::<f64>());
    Ok(coefficients)
}
