//! Fused losses, and the cosine similarity.

use gradus_tensor::shapes::{broadcast_shapes, cross_entropy_shape, softmax_minus_one_hot_shape};
use gradus_tensor::{Axes, Dims, Float, OrPanic, Shape, Tensor, keepdim};

use super::operations::operations;
use crate::engine::{batched_composition, forward_of_composition, gradients_of_composition};
use crate::ops::chained;
use crate::scalar::Real;
use crate::tape::{Fusion, Indices, Mask, Operand, Saves, Var, apply};

operations! {
    /// The inputs are logits and targets.
    Nonlinear CrossEntropy { axis: usize, ignore_index: Option<i64> }: "cross_entropy", saves Saves::INPUTS,
        shape |x| cross_entropy_shape(x[0], *axis as isize, x[1]),
        forward |x| x[0].cross_entropy(*axis as isize, x.indices(1), *ignore_index),
        vjp |context, _| {
            let (g, logits, targets) = (context.cotangent(), context.input(0), context.indices(1));
            let operands = [Operand::Var(g), Operand::Var(&logits), Operand::Indices(&targets)];
            apply(CrossEntropyGradient { axis: *axis, ignore_index: *ignore_index }, &operands)
        },
        batched |batch| batched_composition(batch, |x| {
            let logs = x[0].log_softmax(*axis as isize);
            let (places, is_ignored) = places_of(x.indices(1), *axis, *ignore_index);
            let picked = logs.gather(*axis as isize, places).masked_fill(&is_ignored, T::ZERO);
            -picked.sum(..) / Var::where_(&is_ignored, T::ZERO, T::ONE).sum(..)
        });

    Nonlinear MseLoss {}: "mse_loss", saves Saves::INPUTS,
        shape |x| broadcast_shapes("mse_loss", x[0], x[1]).map(|_| Shape::new()),
        forward |x| x[0].mean_squared_difference(x[1]),
        vjp |context, input| {
            let operands = [context.cotangent(), &context.input(input), &context.input(1 - input)];
            let factor = mse_factor(context.shape(input));
            apply(MseGradient { factor }, &operands)
        },
        batched |batch| batched_composition(batch, |x| (&x[0] - &x[1]).square().mean(..)),
        fusion Fusion::MeanSquaredDifference;

    /// The gradient of [`CrossEntropy`], from a cotangent, logits and targets: softmax less one at the targets, in
    /// one pass.
    Nonlinear CrossEntropyGradient { axis: usize, ignore_index: Option<i64> }: "cross_entropy_gradient",
        saves Saves::INPUTS,
        shape |x| softmax_minus_one_hot_shape(x[1], *axis as isize, x[2]),
        forward |x| {
            let targets = x.indices(2);
            let ignored = ignore_index.map(|ignored| targets.iter().filter(|&target| target == ignored).count());
            let count = targets.len() - ignored.unwrap_or(0);
            let scale = x[0].item() / T::from_f64(count as f64);
            if scale == T::ZERO {
                return Tensor::zeros(x[1].shape());
            }
            x[1].softmax_minus_one_hot(*axis as isize, targets, *ignore_index, scale)
        },
        vjps |context| gradients_of_composition(context, |inputs| {
            cross_entropy_gradient(inputs, &context.indices(2), *axis, *ignore_index)
        }),
        batched |batch| batched_composition(batch, |x| {
            cross_entropy_gradient(x, x.indices(2), *axis, *ignore_index)
        });

    /// The gradient of [`MseLoss`] with respect to an input, from a cotangent, this input and the other one, in one
    /// pass.
    Nonlinear MseGradient { factor: f64 }: "mse_gradient", saves Saves::INPUTS,
        shape |x| broadcast_shapes("mse_loss", x[1], x[2]),
        forward |x| {
            let scale = x[0].item() * T::from_f64(*factor);
            x[1].zip(
                "mse_loss",
                x[2],
                #[inline(always)]
                |x, target| (x - target).multiply_no_nan(scale),
            )
        },
        vjps |context| gradients_of_composition(context, |inputs| {
            let difference = &inputs[1] - &inputs[2];
            chained(&difference, &(&inputs[0] * T::from_f64(*factor)))
        }),
        batched |batch| {
            let [g, x, y] = [0, 1, 2].map(|input| batch.aligned(input, batch.output_shape().len()));
            chained(&(x - y), &(g * T::from_f64(*factor)))
        },
        expression 3 |x| (x[1] - x[2]).multiply_no_nan(x[0] * *factor);

    /// Vectors divided by their lengths, each of which counts as at least `eps`.
    Nonlinear Direction { axis: usize, eps: f64 }: "direction", saves Saves::INPUTS,
        shape |x| Ok(x[0].into()),
        forward |x| forward_of_composition(x, |inputs| direction(&inputs[0], *axis, *eps)),
        vjps |context| gradients_of_composition(context, |inputs| direction(&inputs[0], *axis, *eps)),
        batched |batch| batch.apply(Self { axis: axis + 1, eps: *eps });
}

/// Targets with an axis for the classes, those that are ignored replaced by 0, and which these are.
fn places_of<T: Float>(
    targets: &Indices<T>,
    axis: usize,
    ignore_index: Option<i64>,
) -> (Indices<T>, Mask<T>) {
    let mut shape = Shape::from_slice(targets.shape());
    shape.insert(axis, 1);
    let targets = targets.reshape(shape);
    // Without an index to ignore, no target is -1.
    let is_ignored = targets.eq(ignore_index.unwrap_or(-1));
    (targets.masked_fill(&is_ignored, 0), is_ignored)
}

/// The gradient of [`CrossEntropy`] made of other operations, from a cotangent and logits.
fn cross_entropy_gradient<T: Float>(
    inputs: &[Var<T>],
    targets: &Indices<T>,
    axis: usize,
    ignore_index: Option<i64>,
) -> Var<T> {
    let (places, is_ignored) = places_of(targets, axis, ignore_index);
    let minus_one = Var::where_(&is_ignored, T::ZERO, -Var::from(T::ONE));
    let softmax = inputs[1].softmax(axis as isize).masked_fill(&is_ignored, T::ZERO);
    let difference = softmax.scatter_add(axis as isize, &places, &minus_one);
    chained(&difference, &(&inputs[0] / -minus_one.sum(..)))
}

/// The derivative of a mean of squares with respect to an element, divided by its difference.
fn mse_factor(shape: &[usize]) -> f64 {
    2.0 / shape.iter().product::<usize>() as f64
}

fn direction<T: Float>(x: &Var<T>, axis: usize, eps: f64) -> Var<T> {
    let length = x.norm(2.0, keepdim(axis));
    let smallest = T::MIN_POSITIVE / T::EPSILON;
    let fits = |length: T| length == T::ZERO || length >= smallest && length.is_finite();
    if length.value().iter().all(fits) {
        return x / length.maximum(T::from_f64(eps));
    }
    // A length may have too few digits, or be too large to be a number.
    let unit = |length: T| match length {
        length if fits(length) => T::ONE,
        length if length < smallest => length.power_of_two(),
        _ => T::MAX.power_of_two(),
    };
    let units = length.value().map(unit);
    let x = x / &units;
    let length = x.norm(2.0, keepdim(axis));
    x / length.maximum(Tensor::from(T::from_f64(eps)) / units)
}

impl<T: Float> Var<T> {
    /// The mean cross-entropy between the softmax of these logits along an axis and the indices of the right
    /// classes, `targets`, which have this shape without the axis: the mean of `-log_softmax` at the targets, as
    /// one operation. Targets that are `ignore_index` do not count. `cross_entropy` of `gradus-nn` knows the axis.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let logits = Var::leaf(Tensor::from([[0.0_f64, 0.0], [0.0, 1e9]]));
    /// let loss = logits.softmax_cross_entropy(1, &Tensor::from([0, 1]), None);
    /// assert_eq!(loss.item(), 2.0_f64.ln() / 2.0);
    /// assert_eq!(loss.backward().get(&logits), Some(&Tensor::from([[-0.25, 0.25], [0.0, 0.0]])));
    ///
    /// let loss = logits.softmax_cross_entropy(1, &Tensor::from([0, -1]), Some(-1));
    /// assert_eq!(loss.item(), 2.0_f64.ln());
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, the shapes do not fit, or a target is neither the index of a class nor `ignore_index`.
    #[track_caller]
    pub fn softmax_cross_entropy(
        &self,
        axis: isize,
        targets: impl Into<Indices<T>>,
        ignore_index: Option<i64>,
    ) -> Self {
        let axis = Dims::from(axis).resolve("cross_entropy", self.shape()).or_panic()[0];
        let operation = CrossEntropy { axis, ignore_index };
        apply(operation, &[Operand::Var(self), Operand::Indices(&targets.into())])
    }

    /// The mean of the squared differences from `target`, a variable or tensor of the same shape, as one
    /// operation; `mse_loss` of `gradus-nn`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn mean_squared_error(&self, target: impl Into<Self>) -> Self {
        let target = target.into();
        assert!(
            self.shape() == target.shape(),
            "mse_loss: the prediction has shape {:?} and the target {:?}: they must be equal",
            self.shape(),
            target.shape()
        );
        apply(MseLoss, &[self, &target])
    }

    /// The cosine of the angle between vectors along an axis of the common shape: their product divided by both
    /// lengths, each of which counts as at least `eps` (1e-8 in PyTorch), so that it is 0 if one is 0.
    ///
    /// The other axes broadcast.
    ///
    /// # Panics
    /// If the shapes do not broadcast, or the axis is out of range.
    #[track_caller]
    pub fn cosine_similarity(&self, other: impl Into<Self>, axis: isize, eps: f64) -> Self {
        let other = other.into();
        let mut shape = broadcast_shapes("cosine_similarity", self.shape(), other.shape()).or_panic();
        if shape.is_empty() {
            // A number is a vector of one.
            shape.push(1);
        }
        let axis = Axes::from(axis).resolve("cosine_similarity", &shape)[0];
        let [x, y] = [self, &other].map(|x| apply(Direction { axis, eps }, &[&x.expand(&shape)]));
        (x * y).sum(axis)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{axes_of, case, shapes};
    use proptest::prelude::*;
    vec![
        case!(
            "softmax_cross_entropy",
            ((shape, axis), ignores, seed) in (axes_of(1), any::<bool>(), any::<u64>()),
            [shape],
            |x| {
                let mut targets = x.shape().to_vec();
                let classes = targets.remove(axis.rem_euclid(x.rank() as isize) as usize) as f64;
                let random = Tensor::<f64>::rand(targets, &mut gradus_tensor::seeded(seed));
                // One less, but for the first row: the class 0 becomes -1, which is ignored.
                let place = Tensor::arange(0, random.len() as i64, 1).reshape(random.shape());
                let drawn: Tensor<i64> = (random * classes).cast();
                let (ignored, targets) = if ignores { (Some(-1), drawn - place.gt(0).cast::<i64>()) } else { (None, drawn) };
                x.softmax_cross_entropy(axis, targets, ignored)
            }
        ),
        case!(
            "mean_squared_error", shape in shapes(0..=3, 1..=4),
            [shape.clone(), shape],
            |x, y| x.mean_squared_error(y)
        ),
        case!(
            "cosine_similarity", ((shape, axis), swap) in (axes_of(1), any::<bool>()),
            [shape.clone() => 0.3..2.0, shape[1..].to_vec() => -2.0..-0.3],
            |x, y| if swap { y.cosine_similarity(x, axis, 1e-8) } else { x.cosine_similarity(y, axis, 1e-8) }
        ),
    ]
}
