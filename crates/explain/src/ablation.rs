//! Feature ablation: what the output loses without a feature.

use gradus_autograd::{Float, Tensor, Var};

use crate::coalitions::{GameOptions, GroupAttribution, game_options};
use crate::error::Result;
use crate::target::Target;

/// Feature ablation: f(x) less f of x without a group, whose numbers are those of the baseline.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::{Features, FeatureAblation};
///
/// let model = |x: &Var<f64>| x.prod(1).unsqueeze(1);
/// let x = Tensor::from([[2.0, 3.0, 4.0]]);
/// let groups = Features::from_mask(&Tensor::from([0, 1, 1]))?;
/// let ablation = FeatureAblation::new().baseline([[1.0, 1.0, 1.0]]).features(groups);
/// let explanation = ablation.explain(model, &x, 0)?;
/// assert_eq!(explanation.coefficients, Tensor::from([[12.0, 22.0]]));
/// assert_eq!(explanation.values, Tensor::from([[12.0, 22.0, 22.0]]));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FeatureAblation<T: Float = f32> {
    options: GameOptions<T>,
}

impl<T: Float> Default for FeatureAblation<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> FeatureAblation<T> {
    /// Each number by itself is replaced by 0.
    pub fn new() -> Self {
        Self { options: GameOptions::default() }
    }

    game_options! {}

    /// The attributions of the rows of `x` `[batch, ...]`.
    ///
    /// # Errors
    /// If the input is empty, the model does not give finite `[batch, classes]`, a target is no class, or the baseline or the
    /// features have another shape.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<GroupAttribution<T>> {
        let game = self.options.game(&model, x, target)?;
        let (n, groups) = (game.input.rows(), game.groups());
        let without = game.values(groups, &|coalition, group| coalition != group)?;
        let lost = |(row, group): (usize, usize)| game.input.outputs[row] - without[group * n + row];
        let places = (0..n).flat_map(|row| (0..groups).map(move |group| (row, group)));
        Ok(game.attribution(&places.map(lost).collect::<Vec<_>>()))
    }
}
