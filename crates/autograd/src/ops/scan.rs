//! Running sums and products, and the product over axes.

use gradus_tensor::shapes::{lanes_shape, linear_recurrence_shape, reduced_shape};
use gradus_tensor::{Axes, Float, OrPanic, PadMode, Shape, Tensor, keepdim, lane_axis};

use super::chained;
use super::operations::operations;
use super::reduce::Reduced;
use super::view::inverse;
use crate::tape::{Saves, Var, apply};

operations! {
    Linear Cumsum { axis: isize }: "cumsum",
        shape |x| lanes_shape("cumsum", x[0], *axis),
        forward |x| x[0].cumsum(*axis),
        // An element is part of all sums from its place on.
        vjp |context, _| context.cotangent().flip(*axis).cumsum(*axis).flip(*axis),
        batched |batch| batch.apply(Self { axis: axis + 1 });

    /// The inputs are the terms and the factors.
    Nonlinear LinearRecurrence { axis: usize }: "linear_recurrence",
        shape |x| linear_recurrence_shape(x[0], *axis as isize, x[1]),
        forward |x| x[0].linear_recurrence(*axis as isize, x[1]),
        vjp |context, input| {
            let (g, axis) = (context.cotangent(), *axis);
            let adjoint = adjoint(g, &with_influence(context.input(1), g, axis), axis);
            let output = || with_influence(context.output(), g, axis);
            if input == 0 { adjoint } else { adjoint * delayed(&output(), axis, T::ZERO) }
        },
        jvp |context, input| {
            let (t, axis) = (context.tangent(), *axis);
            let added = if input == 0 { t.clone() } else { t * delayed(&context.output(), axis, T::ZERO) };
            added.linear_recurrence(axis as isize, &context.input(1))
        },
        batched |batch| batch.apply(Self { axis: axis + 1 });

    Nonlinear Cumprod { axis: usize }: "cumprod",
        shape |x| lanes_shape("cumprod", x[0], *axis as isize),
        forward |x| x[0].cumprod(*axis as isize),
        vjp |context, _| {
            let (g, axis) = (context.cotangent(), *axis);
            let [x, y] = [context.input(0), context.output()].map(|x| with_influence(x, g, axis));
            let seen = y.masked_fill(g.value().eq(T::ZERO), T::ONE);
            if !in_range(&y) && in_range(&seen) && in_range(&x) {
                // Each result that has influence, divided by each of its factors.
                return Some(chained(&y, g).flip(axis).cumsum(axis as isize).flip(axis) / x);
            }
            // A recurrence of factors alone: no division, so that zeros do no harm.
            adjoint(g, &x, axis) * delayed(&y, axis, T::ONE)
        },
        jvp |context, _| {
            let added = context.tangent() * delayed(&context.output(), *axis, T::ONE);
            added.linear_recurrence(*axis as isize, &context.input(0))
        },
        batched |batch| batch.apply(Self { axis: axis + 1 });

    Nonlinear Prod(over: Reduced): "prod", saves Saves::INPUTS,
        shape |x| reduced_shape("prod", x[0], &over.axes()),
        forward |x| x[0].prod(over.axes()),
        vjp |context, _| {
            let x = context.input(0);
            let g = over.restore(context.cotangent(), x.shape());
            if x.is_empty() {
                return Some(g.expand(x.shape()));
            }
            // The factors of a product along one last axis.
            let kept = (0..x.rank()).filter(|axis| !over.axes.contains(axis));
            let order: Shape = kept.chain(over.axes.iter().copied()).collect();
            let lanes = x.permute(order.clone());
            let mut flat = Shape::from_slice(&lanes.shape()[..x.rank() - over.axes.len()]);
            let last = flat.len();
            flat.push(x.len() / flat.iter().product::<usize>());
            let factors = lanes.reshape(flat);
            // For each factor the product of those before it and of those behind it: no division by what may be 0.
            let product = |factors: &Var<T>| delayed(&factors.cumprod(-1), last, T::ONE);
            let (before, behind) = (product(&factors), product(&factors.flip(-1)).flip(-1));
            let others = if in_range(&before) && in_range(&behind) || !in_range(&factors) {
                before * behind
            } else {
                product_of_others(&factors)
            };
            chained(&others.reshape(lanes.shape()).permute(inverse(&order)), &g)
        },
        batched |batch| batch.apply(Self(over.behind_batch()));
}

/// Replaces the elements of lanes that hold infinities or NaN and whose cotangents are all 0 by 1: they would make
/// the gradient NaN.
fn with_influence<T: Float>(x: Var<T>, g: &Var<T>, axis: usize) -> Var<T> {
    if x.value().iter().all(Float::is_finite) {
        return x;
    }
    let all = |x: &Tensor<bool>| x.all(keepdim(Shape::from_slice(&[axis])));
    let [idle, finite] = [g.value().eq(T::ZERO), x.value().isfinite()].map(|lanes| all(&lanes));
    x.masked_fill(idle.logical_and(finite.logical_not()), T::ONE)
}

/// The adjoint of a recurrence, itself a recurrence that runs backwards:
/// `adjoint[i] = cotangent[i] + factors[i + 1] * adjoint[i + 1]`.
fn adjoint<T: Float>(cotangent: &Var<T>, factors: &Var<T>, axis: usize) -> Var<T> {
    // The factor that comes round to the first place is not read.
    let factors = factors.flip(axis).roll(1, axis);
    cotangent.flip(axis).linear_recurrence(axis as isize, &factors).flip(axis)
}

/// Each element in the place of the next one, after `first`.
fn delayed<T: Float>(x: &Var<T>, axis: usize, first: T) -> Var<T> {
    if x.is_empty() {
        return x.clone();
    }
    let mut pads = vec![[0, 0]; x.rank()];
    pads[axis] = [1, -1];
    x.pad(pads, PadMode::Constant(first))
}

/// Whether no number is 0, so small that it lacks digits, infinite or NaN.
fn in_range<T: Float>(x: &Var<T>) -> bool {
    x.value().iter().all(|x| x.is_finite() && x.abs() >= T::MIN_POSITIVE)
}

/// For each factor along the last axis the product of the others, by division; the product of all may be out of
/// range.
fn product_of_others<T: Float>(factors: &Var<T>) -> Var<T> {
    let count = factors.shape()[factors.rank() - 1];
    // The product of quotients by the geometric mean is near 1.
    let mean = factors.value().abs().log().mean(keepdim(-1)).exp();
    let quotients = factors / &mean;
    let others = quotients.prod(keepdim(-1)) / quotients;
    // In two steps, as the power of the mean may be out of range where the product is not.
    let power = mean.map(|mean| mean.pow(T::from_f64((count as f64 - 1.0) / 2.0)));
    others * &power * power
}

impl<T: Float> Var<T> {
    /// The running sum along an axis, each element of it as accurate as [`sum`](Self::sum) is.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0]));
    /// let y = x.cumsum(0);
    /// assert_eq!(y.value(), &Tensor::from([1.0, 3.0, 6.0]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([3.0, 2.0, 1.0])));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Self {
        let axis = lane_axis("cumsum", axis, self.shape()).or_panic() as isize;
        apply(Cumsum { axis }, &[self])
    }

    /// The running product along an axis. Its derivatives are right with zeros among the factors, too.
    ///
    /// See [`Tensor::cumprod`](gradus_tensor::Tensor::cumprod) for shapes and panics.
    #[track_caller]
    pub fn cumprod(&self, axis: isize) -> Self {
        let axis = lane_axis("cumprod", axis, self.shape()).or_panic();
        if self.rank() == 0 { self.clone() } else { apply(Cumprod { axis }, &[self]) }
    }

    /// `out[i] = factors[i] * out[i - 1] + self[i]` along an axis, with nothing before the first: sums that fade, or
    /// grow. The factors are expanded to this variable's shape.
    ///
    /// See [`Tensor::linear_recurrence`](gradus_tensor::Tensor::linear_recurrence) for shapes and panics.
    #[track_caller]
    pub fn linear_recurrence(&self, axis: isize, factors: &Self) -> Self {
        linear_recurrence_shape(self.shape(), axis, factors.shape()).or_panic();
        if self.rank() == 0 {
            // A single number has nothing before it.
            return self.clone();
        }
        let axis = lane_axis("linear_recurrence", axis, self.shape()).or_panic();
        apply(LinearRecurrence { axis }, &[self, &factors.expand(self.shape())])
    }

    /// The product over the axes; 1 over nothing. Its derivatives are right with zeros among the factors, too.
    ///
    /// See [`Tensor::prod`](gradus_tensor::Tensor::prod) for shapes and panics.
    #[track_caller]
    pub fn prod(&self, axes: impl Into<Axes>) -> Self {
        apply(Prod(Reduced::new("prod", axes, self.shape())), &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{axes_of, case, reductions};
    vec![
        case!("cumsum", (shape, axis) in axes_of(0), [shape], |x| x.cumsum(axis)),
        case!("cumprod", (shape, axis) in axes_of(0), [shape], |x| x.cumprod(axis)),
        case!(
            "linear_recurrence", (shape, axis) in axes_of(0),
            [shape.clone(), shape[shape.len() / 2..].to_vec()],
            |x, factors| x.linear_recurrence(axis, factors)
        ),
        case!("prod", (shape, axes) in reductions(0), [shape], |x| x.prod(axes)),
    ]
}
