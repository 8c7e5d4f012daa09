//! Exact Shapley values.

use gradus_autograd::{Float, Tensor, Var};

use crate::coalitions::{GameOptions, GroupAttribution, game_options};
use crate::error::{ExplainError, Result};
use crate::target::Target;

/// More groups would take millions of passes.
const MOST: usize = 20;

/// Shapley values: the mean of what a group adds to the output, over all orders in which groups replace the baseline (Shapley,
/// "A value for n-person games", 1953), from all 2^groups coalitions. They add up to f(x) - f(baseline).
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::ShapleyValues;
///
/// // The product is shared by those who make it.
/// let model = |x: &Var<f64>| (x.select(1, 0) * x.select(1, 1) + x.select(1, 2)).unsqueeze(1);
/// let explanation = ShapleyValues::new().explain(model, &Tensor::from([[2.0, 3.0, 4.0]]), 0)?;
/// assert_eq!(explanation.values, Tensor::from([[3.0, 3.0, 4.0]]));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ShapleyValues<T: Float = f32> {
    options: GameOptions<T>,
}

impl<T: Float> Default for ShapleyValues<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> ShapleyValues<T> {
    /// Each number is a group, and the baseline is 0.
    pub fn new() -> Self {
        Self { options: GameOptions::default() }
    }

    game_options! {}

    /// The values of the rows of `x` `[batch, ...]`.
    ///
    /// # Errors
    /// As [`FeatureAblation::explain`](crate::FeatureAblation::explain), and if there are more than 20 groups.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<GroupAttribution<T>> {
        let game = self.options.game(&model, x, target)?;
        let (n, groups) = (game.input.rows(), game.groups());
        if groups > MOST {
            return Err(ExplainError::TooManyGroups { groups, most: MOST });
        }
        let values = game.values(1 << groups, &|coalition, group| coalition >> group & 1 == 1)?;
        // The share of orders in which a group comes right after k others: k! (groups - 1 - k)! / groups!.
        let mut shares = vec![1.0 / groups as f64];
        for k in 1..groups {
            shares.push(shares[k - 1] * k as f64 / (groups - k) as f64);
        }
        let mut coefficients = vec![0.0; n * groups];
        for coalition in 0..1_usize << groups {
            for group in (0..groups).filter(|group| coalition >> group & 1 == 0) {
                let share = shares[coalition.count_ones() as usize];
                for row in 0..n {
                    let added = values[(coalition | 1 << group) * n + row] - values[coalition * n + row];
                    coefficients[row * groups + group] += share * added;
                }
            }
        }
        Ok(game.attribution(&coefficients))
    }
}
