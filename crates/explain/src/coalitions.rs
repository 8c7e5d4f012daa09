//! A model as a game: its output when only some features are there.

use gradus_autograd::{Float, Tensor};

use crate::error::{ExplainError, Result};
use crate::features::Features;
use crate::input::{Baseline, Input, Reference};
use crate::passes::{Model, Passes, Rows};
use crate::target::Target;

/// The share of each group in an output, and the same as numbers of the input.
#[derive(Debug, Clone)]
pub struct GroupAttribution<T: Float> {
    /// The share of the group that each number belongs to, in the shape of the input.
    pub values: Tensor<T>,
    /// The share of each group, `[batch, groups]`.
    pub coefficients: Tensor<T>,
}

/// The options of methods that leave groups of features out.
#[derive(Debug, Clone)]
pub(crate) struct GameOptions<T: Float> {
    pub(crate) features: Option<Features>,
    pub(crate) baseline: Baseline<T>,
    pub(crate) passes: Passes,
}

impl<T: Float> Default for GameOptions<T> {
    fn default() -> Self {
        Self { features: None, baseline: Baseline(None), passes: Passes::default() }
    }
}

impl<T: Float> GameOptions<T> {
    /// The game of a model, whose target is given for each row of `x`.
    pub(crate) fn game<'a>(
        &'a self,
        model: Model<'a, T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Game<'a, T>> {
        let input = Input::new(model, x, &target.into(), &self.passes)?;
        let reference = self.baseline.of(&input)?;
        let features = Features::of(self.features.as_ref(), &input)?;
        Ok(Game { model, passes: &self.passes, input, reference, features })
    }
}

/// Methods that set these options, for a method of explanation with a field `options`.
macro_rules! game_options {
    () => {
        crate::features::features_option! { options.features }
        crate::input::baseline_option! { options.baseline }
        crate::passes::pass_options! { options.passes }
    };
}
pub(crate) use game_options;

/// A model with the rows to explain; features that are not there have the numbers of the baseline.
pub(crate) struct Game<'a, T: Float> {
    model: Model<'a, T>,
    passes: &'a Passes,
    pub(crate) input: Input<T>,
    reference: Reference<T>,
    pub(crate) features: Features,
}

impl<'a, T: Float> Game<'a, T> {
    /// The number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.features.len()
    }

    /// The output on the baseline, for each row.
    pub(crate) fn baseline(&self) -> Result<Vec<f64>> {
        self.reference.outputs(self.model, self.passes, &self.input)
    }

    /// The outputs for a number of coalitions, of which the first has all rows, then the second: `keeps` says whether a
    /// coalition has a group.
    pub(crate) fn values(&self, count: usize, keeps: &dyn Fn(usize, usize) -> bool) -> Result<Vec<f64>> {
        let n = self.input.rows();
        let fill = |job: usize, to: &mut Vec<T>| {
            let (coalition, row) = (job / n, job % n);
            let kept: Vec<bool> = (0..self.groups()).map(|group| keeps(coalition, group)).collect();
            let pairs = self.input.row(row).iter().zip(self.reference.row(row)).zip(self.features.groups());
            to.extend(pairs.map(|((&x, &b), &group)| if kept[group] { x } else { b }));
        };
        let rows = Rows { shape: self.input.row_shape(), count: count * n, fill: &fill };
        self.passes.values(self.model, &rows, &|job| self.input.classes[job % n])
    }

    /// The Euclidean distance between a row and the same with only some groups.
    pub(crate) fn distance(&self, row: usize, keeps: &dyn Fn(usize) -> bool) -> f64 {
        let pairs = self.input.row(row).iter().zip(self.reference.row(row)).zip(self.features.groups());
        let gone = pairs.filter(|(_, group)| !keeps(**group));
        gone.map(|((x, b), _)| (x.to_f64() - b.to_f64()).powi(2)).sum::<f64>().sqrt()
    }

    /// The attribution with these shares of the groups, one row after another.
    pub(crate) fn attribution(&self, coefficients: &[f64]) -> GroupAttribution<T> {
        let values = self.features.spread(&self.input, coefficients);
        let shape = [self.input.rows(), self.groups()];
        let coefficients = crate::input::tensor(coefficients.iter().copied(), &shape);
        GroupAttribution { values, coefficients }
    }

    /// A list of coalitions that was given, `[n, groups]` of 0 and 1.
    pub(crate) fn check(&self, coalitions: &Tensor<i64>) -> Result<Vec<Vec<bool>>> {
        let (shape, groups) = (coalitions.shape(), self.groups());
        let is_right = shape.len() == 2 && shape[0] > 0 && shape[1] == groups;
        if !is_right || coalitions.iter().any(|kept| !(0..=1).contains(&kept)) {
            return Err(ExplainError::Coalitions { shape: shape.to_vec(), groups });
        }
        Ok(coalitions
            .to_vec()
            .chunks_exact(groups)
            .map(|row| row.iter().map(|&kept| kept == 1).collect())
            .collect())
    }
}
