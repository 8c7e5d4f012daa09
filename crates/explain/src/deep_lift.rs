//! `DeepLIFT`.

use gradus_autograd::{
    Context, Float, InputGradients, Linearity, Tape, TapeNode, Tensor, Var, keep_values, vjp_with,
};

use crate::error::{ExplainError, Result};
use crate::input::{Baseline, Input, baseline_option};
use crate::integrated::Attribution;
use crate::passes::{Passes, check_finite, one_hot, pass_options, run};
use crate::quadrature::Quadrature;
use crate::target::Target;

/// `DeepLIFT` with the rescale rule: how the differences of all layers between the input and a baseline make the difference of the
/// output (Shrikumar, Greenside and Kundaje, "Learning important features through propagating activation differences",
/// 2017). The attributions add up to f(x) - f(baseline).
///
/// The model runs on the input and on the baseline, and multipliers go back along both tapes, in step. What an operation does
/// with them depends on the kind that it is:
///
/// - linear: a multiplier passes like a gradient;
/// - elementwise, with one input that differs: it is multiplied by (y - y0) / (a - a0), and where a and a0 are nearer than
///   [`eps`](Self::eps) by the derivative;
/// - maximum of windows: each y - y0 is shared by the place of the maximum on the input, which gets max(y, y0) - y0, and its place on
///   the baseline, which gets y - max(y, y0);
/// - any other, such as a product of two numbers that both differ, `softmax` or attention: by the mean gradient between
///   the two, as in integrated gradients within the operation. For the kinds above that mean is the same rule, and of
///   products it is exact; of others it is an integral with up to 512 nodes.
///
/// A mask or indices that the model computes from its input may differ from the baseline's, which no multiplier
/// accounts for. So the error is reported.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::DeepLift;
///
/// // The slope of a saturated `1 - relu(1 - x)` is 0 at 3, but it rises by 1 on the way from 0.
/// let model = |x: &Var<f64>| 1.0 - (1.0 - x).relu();
/// let explanation = DeepLift::new().explain(model, &Tensor::from([[3.0]]), 0)?;
/// assert_eq!((explanation.values.item(), explanation.delta.item()), (1.0, 0.0));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DeepLift<T: Float = f32> {
    eps: f64,
    baseline: Baseline<T>,
    passes: Passes,
}

impl<T: Float> Default for DeepLift<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Float> DeepLift<T> {
    /// With differences down to 1e-10, or 1e-6 of `f32`.
    pub fn new() -> Self {
        let eps = if T::EPSILON.to_f64() < 1e-10 { 1e-10 } else { 1e-6 };
        Self { eps, baseline: Baseline(None), passes: Passes::default() }
    }

    /// Sets the difference of inputs below which the derivative stands for the quotient of differences.
    ///
    /// # Panics
    /// If it is not positive.
    #[must_use]
    #[track_caller]
    pub fn eps(mut self, eps: f64) -> Self {
        assert!(eps > 0.0, "eps: it is {eps}, and must be positive");
        self.eps = eps;
        self
    }

    baseline_option! { baseline }
    pass_options! { passes }

    /// The attributions of the rows of `x` `[batch, ...]`.
    ///
    /// # Errors
    /// As [`gradient`](crate::gradient()), and if the baseline has another shape or leads through other operations.
    pub fn explain(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Attribution<T>> {
        let input = Input::new(&model, x, &target.into(), &self.passes)?;
        let reference = self.baseline.of(&input)?;
        let baseline = reference.outputs(&model, &self.passes, &input)?;
        let mut values = Vec::with_capacity(x.len());
        self.passes.each(input.rows(), |range| {
            let batch = x.slice(0, range.start as isize..range.end as isize);
            let rows: Vec<T> = range.clone().flat_map(|row| reference.row(row)).copied().collect();
            let rows = Tensor::from_vec(rows, batch.shape()).expect("a baseline has the shape of a row");
            let (x, y) = keep_values(|| run(&model, batch.clone(), &range))?;
            let (_, y0) = keep_values(|| run(&model, rows.clone(), &range))?;
            let cotangent = one_hot(&y, range.clone().map(|row| input.classes[row]));
            let multipliers = multipliers(&x, &y, &y0, &cotangent, self.eps)?;
            check_finite("multiplier", range.start, &multipliers.to_vec())?;
            let product = multipliers * (batch - rows);
            values.extend(product.iter().map(gradus_autograd::Number::to_f64));
            Ok(())
        })?;
        Ok(Attribution::new(&input, values, &baseline))
    }
}

/// The multipliers of `x` for `y`, against the tape of the baseline that ends in `y0`.
fn multipliers<T: Float>(
    x: &Var<T>,
    y: &Var<T>,
    y0: &Var<T>,
    cotangent: &Tensor<T>,
    eps: f64,
) -> Result<Tensor<T>> {
    let (tape, tape0) = (Tape::of(y), Tape::of(y0));
    let (lines, lines0): (Vec<_>, Vec<_>) = (tape.iter().collect(), tape0.iter().collect());
    let same = |(a, b): &(&TapeNode<T>, &TapeNode<T>)| {
        a.operation() == b.operation() && a.shape() == b.shape() && a.inputs().eq(b.inputs())
    };
    if let Some((a, b)) = lines.iter().zip(&lines0).find(|pair| !same(pair)) {
        return Err(ExplainError::Tapes { at: format!("{a}, and {b}") });
    }
    if lines.len() != lines0.len() {
        return Err(ExplainError::Tapes { at: format!("{} operations, and {}", lines.len(), lines0.len()) });
    }
    let rule = |node: &TapeNode<T>, context: &Context<T>| {
        Step { node, other: &lines0[node.position()], cotangent: context.cotangent().value(), eps }.rule()
    };
    let found = vjp_with(y, cotangent, &[x], rule).remove(0);
    Ok(found.ok_or(ExplainError::NoGradient { to: "its input" })?.into_value())
}

/// One operation, on the tape of the input and on the tape of the baseline.
struct Step<'a, T: Float> {
    node: &'a TapeNode<'a, T>,
    other: &'a TapeNode<'a, T>,
    cotangent: &'a Tensor<T>,
    eps: f64,
}

impl<T: Float> Step<'_, T> {
    /// The multipliers of the inputs; `None` if they pass like a gradient.
    fn rule(&self) -> Option<InputGradients<T>> {
        let numbers =
            |node: &TapeNode<T>| -> Vec<Tensor<T>> { (0..).map_while(|i| node.input(i).cloned()).collect() };
        let (a, b) = (numbers(self.node), numbers(self.other));
        let differing: Vec<usize> = (0..a.len()).filter(|&i| a[i] != b[i]).collect();
        let passes = match self.node.linearity() {
            Linearity::Linear => true,
            Linearity::Multilinear => differing.len() <= 1,
            Linearity::Nonlinear => differing.is_empty(),
        };
        if passes {
            return None;
        }
        let multipliers = match &differing[..] {
            [0] if ["max_pool", "max"].contains(&self.node.operation()) => vec![self.maximum(&a, &b)],
            &[i] if self.node.expression().is_some() => self.rescale(&a, &b, i),
            _ => self.mean_gradient(&a, &b),
        };
        Some(multipliers.into_iter().map(|multiplier| Some(multiplier.into())).collect())
    }

    /// (y - y0) / (a - a0) of the input that differs, or the derivative; of the others the derivative.
    fn rescale(&self, a: &[Tensor<T>], b: &[Tensor<T>], input: usize) -> Vec<Tensor<T>> {
        // In the shape of the result: the input may be broadcast.
        let whole: Vec<Tensor<T>> = a.iter().map(|a| a.expand(self.node.shape())).collect();
        let mut slopes = self.node.vjp_at(&whole, self.cotangent);
        let difference = &whole[input] - b[input].expand(self.node.shape());
        let is_near = difference.abs().lt(T::from_f64(self.eps));
        let quotient = self.cotangent * (output(self.node) - output(self.other)) / difference;
        slopes[input] = Tensor::where_(&is_near, &slopes[input], &quotient);
        slopes
    }

    /// The share of the places of the maxima, divided by the differences there.
    fn maximum(&self, a: &[Tensor<T>], b: &[Tensor<T>]) -> Tensor<T> {
        let (y, y0) = (output(self.node), output(self.other));
        let larger = y.maximum(y0);
        let at = |inputs, share: Tensor<T>| self.node.vjp_at(inputs, &(self.cotangent * share)).remove(0);
        let shares = at(a, &larger - y0) + at(b, y - &larger);
        let difference = &a[0] - &b[0];
        let is_near = difference.abs().lt(T::from_f64(self.eps));
        (shares / difference).masked_fill(&is_near, T::ZERO)
    }

    /// The mean gradient on the straight line from the inputs on the baseline to the others, by an integral with more nodes
    /// until the shares of this operation add up.
    fn mean_gradient(&self, a: &[Tensor<T>], b: &[Tensor<T>]) -> Vec<Tensor<T>> {
        let sum = |x: Tensor<T>| x.sum(..).item().to_f64();
        let whole = self.cotangent * (output(self.node) - output(self.other));
        let (size, whole) = (sum(whole.abs()), sum(whole));
        // Two nodes are exact for products.
        let mut means = Vec::new();
        for steps in [2, 32, 128, 512] {
            means = self.mean_of(steps, a, b);
            let share = |((mean, a), b)| sum(mean * (a - b));
            let shares: f64 = means.iter().zip(a).zip(b).map(share).sum();
            if (shares - whole).abs() <= 1e3 * T::EPSILON.to_f64() * size {
                break;
            }
        }
        means
    }

    /// The mean gradient by a number of nodes.
    fn mean_of(&self, steps: usize, a: &[Tensor<T>], b: &[Tensor<T>]) -> Vec<Tensor<T>> {
        let at = |(alpha, weight): (f64, f64)| {
            let alpha = T::from_f64(alpha);
            let inputs: Vec<Tensor<T>> = a.iter().zip(b).map(|(a, b)| b + (a - b) * alpha).collect();
            let gradients = self.node.vjp_at(&inputs, self.cotangent);
            gradients.into_iter().map(|gradient| gradient * T::from_f64(weight)).collect::<Vec<_>>()
        };
        let add = |sums: Vec<Tensor<T>>, more: Vec<Tensor<T>>| {
            sums.into_iter().zip(more).map(|(sum, more)| sum + more).collect()
        };
        let nodes = Quadrature::GaussLegendre.nodes(steps);
        nodes.into_iter().map(at).reduce(add).expect("there are steps")
    }
}

/// The result, which a tape recorded inside `keep_values` keeps.
fn output<'a, T: Float>(node: &'a TapeNode<'_, T>) -> &'a Tensor<T> {
    node.output().expect("the tape was recorded inside `keep_values`")
}
