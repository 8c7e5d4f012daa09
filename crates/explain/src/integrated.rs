//! Integrated gradients.

use gradus_autograd::{Float, Tensor, Var};

use crate::error::Result;
use crate::input::{Baseline, Input, baseline_option};
use crate::passes::{Passes, Rows, pass_options};
use crate::quadrature::Quadrature;
use crate::target::Target;

/// An attribution that should add up to f(x) - f(baseline), with what is missing.
#[derive(Debug, Clone)]
pub struct Attribution<T: Float> {
    /// The share of each number of the input, in its shape.
    pub values: Tensor<T>,
    /// The error for each row, `[batch]`: the sum of the values less f(x) - f(baseline).
    pub delta: Tensor<T>,
}

impl<T: Float> Attribution<T> {
    /// The attribution with its errors, from numbers of the shape of the input and the outputs on the baseline.
    pub(crate) fn new(input: &Input<T>, values: Vec<f64>, baseline: &[f64]) -> Self {
        let sums = values.chunks_exact(input.size()).map(|row| row.iter().sum::<f64>());
        let outputs = input.outputs.iter().zip(baseline);
        let delta: Vec<f64> = sums.zip(outputs).map(|(sum, (x, baseline))| sum - (x - baseline)).collect();
        Self { values: input.tensor(values), delta: input.column(&delta) }
    }
}

/// Integrated gradients: (x - baseline) times the mean gradient on the straight line from the baseline to x (Sundararajan,
/// Taly and Yan, "Axiomatic attribution for deep networks", 2017). They add up to f(x) - f(baseline), but for the error of the
/// integral, which is reported.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::IntegratedGradients;
///
/// let model = |x: &Var<f64>| x.square().sum(1).unsqueeze(1);
/// let x = Tensor::from([[3.0, -1.0]]);
/// let explanation = IntegratedGradients::new().steps(16).explain(model, &x, 0)?;
/// assert!(explanation.values.allclose(&Tensor::from([[9.0, 1.0]]), 1e-12, 0.0));
/// assert!(explanation.delta.item().abs() < 1e-12);
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct IntegratedGradients<T: Float = f32> {
    nodes: Vec<(f64, f64)>,
    steps: usize,
    rule: Quadrature,
    baseline: Baseline<T>,
    passes: Passes,
}

impl<T: Float> Default for IntegratedGradients<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> IntegratedGradients<T> {
    /// With 50 steps of [`Quadrature::GaussLegendre`].
    pub fn new() -> Self {
        let (steps, rule) = (50, Quadrature::GaussLegendre);
        let (baseline, passes) = (Baseline(None), Passes::default());
        Self { nodes: rule.nodes(steps), steps, rule, baseline, passes }
    }

    /// Sets the number of steps of the integral, each of which is a gradient.
    ///
    /// # Panics
    /// If it is too small for the rule: 0, for example.
    #[must_use]
    #[track_caller]
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self.nodes = self.rule.nodes(steps);
        self
    }

    /// Sets the rule of the integral.
    ///
    /// # Panics
    /// If there are too few steps for it.
    #[must_use]
    #[track_caller]
    pub fn rule(mut self, rule: Quadrature) -> Self {
        self.rule = rule;
        self.nodes = rule.nodes(self.steps);
        self
    }

    baseline_option! { baseline }
    pass_options! { passes }

    /// The attributions of the rows of `x` `[batch, ...]`.
    ///
    /// # Errors
    /// As [`gradient`](crate::gradient()), and if the baseline has another shape.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Attribution<T>> {
        let input = Input::new(&model, x, &target.into(), &self.passes)?;
        let reference = self.baseline.of(&input)?;
        let baseline = reference.outputs(&model, &self.passes, &input)?;
        let (steps, size) = (self.nodes.len(), input.size());
        let fill = |job: usize, to: &mut Vec<T>| {
            let (row, alpha) = (job / steps, self.nodes[job % steps].0);
            let pairs = input.row(row).iter().zip(reference.row(row)).map(|(x, b)| (x.to_f64(), b.to_f64()));
            to.extend(pairs.map(|(x, b)| T::from_f64(b + alpha * (x - b))));
        };
        let rows = Rows { shape: input.row_shape(), count: input.rows() * steps, fill: &fill };
        let mut means = vec![0.0; x.len()];
        let mut take = |job: usize, gradient: &[T]| {
            let weight = self.nodes[job % steps].1;
            for (mean, slope) in means[job / steps * size..].iter_mut().zip(gradient) {
                *mean += weight * slope.to_f64();
            }
        };
        self.passes.gradients(&model, &rows, &|job| input.classes[job / steps], &mut take)?;
        let distances = (0..input.rows())
            .flat_map(|row| input.row(row).iter().zip(reference.row(row)))
            .map(|(x, b)| x.to_f64() - b.to_f64());
        let values = means.into_iter().zip(distances).map(|(mean, distance)| mean * distance).collect();
        Ok(Attribution::new(&input, values, &baseline))
    }
}
