//! Operations that move elements and leave them as they are. Their rules move them back.

use std::any::TypeId;

use gradus_tensor::shapes::{
    expand_shape, flatten_shape, flip_shape, permute_shape, rearrangement, reshape_shape, squeeze_shape,
    t_shape, unflatten_shape, unsqueeze_shape,
};
use gradus_tensor::{Axes, Dims, Float, OrPanic, Shape, Slice, lane_axis};

use super::operations::operations;
use super::reduce::behind_batch;
use crate::tape::{Fusion, Operation, Var, apply, is_recorded};

operations! {
    Linear Reshape { shape: Shape }: "reshape",
        shape |x| reshape_shape(x[0], &shape.clone().into()),
        forward |x| x[0].reshape(shape.as_slice()),
        vjp |context, _| context.cotangent().reshape(context.shape(0)),
        batched |batch| batch.given(0).reshape(batch.raised(shape)),
        fusion Fusion::Reshape;

    Linear Permute { axes: Shape }: "permute",
        shape |x| permute_shape(x[0], &axes.clone().into()),
        forward |x| x[0].permute(axes.as_slice()),
        vjp |context, _| context.cotangent().permute(inverse(axes)),
        batched |batch| {
            let axes = std::iter::once(0).chain(behind_batch(axes)).collect();
            apply(Self { axes }, &[&batch.given(0)])
        },
        fusion Fusion::Permute;

    Linear Expand { shape: Shape }: "expand",
        shape |x| expand_shape(x[0], shape),
        forward |x| x[0].expand(shape),
        // The engine sums over the repeated axes.
        vjp |context, _| context.cotangent().clone(),
        batched |batch| batch.apply_each(Self { shape: batch.raised(shape) }),
        fusion Fusion::Expand;

    Linear Flip { axes: Shape }: "flip",
        shape |x| flip_shape(x[0], &axes.clone().into()),
        forward |x| x[0].flip(axes.clone()),
        vjp |context, _| context.cotangent().flip(axes.clone()),
        batched |batch| batch.apply(Self { axes: behind_batch(axes) });
}

/// Whether an operation swaps the axes of a matrix.
pub(super) fn is_transpose<T: Float>(operation: &dyn Operation<T>) -> bool {
    operation.kind() == TypeId::of::<Permute>() && format!("{operation:?}").ends_with("[1, 0] }")
}

/// The permutation that undoes another one.
pub(super) fn inverse(axes: &Shape) -> Shape {
    let mut inverse = axes.clone();
    for (to, &from) in axes.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

impl<T: Float> Var<T> {
    /// The same elements in the same order under another shape, in which one size may be -1: it is inferred.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0, 4.0]));
    /// assert_eq!(x.reshape([2, -1]).value(), &Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// ```
    ///
    /// # Panics
    /// If the shape has another number of elements.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Dims>) -> Self {
        let shape = reshape_shape(self.shape(), &shape.into()).or_panic();
        apply(Reshape { shape }, &[self])
    }

    /// The axes of a range merged into one: `flatten(..)` gives all elements along one axis, `flatten(1..)` keeps the first
    /// axis.
    ///
    /// See [`Tensor::flatten`](gradus_tensor::Tensor::flatten) for shapes and panics.
    #[track_caller]
    pub fn flatten(&self, axes: impl Into<Slice>) -> Self {
        let shape = flatten_shape(self.shape(), axes.into()).or_panic();
        apply(Reshape { shape }, &[self])
    }

    /// An axis split into several, of which one size may be -1: it is inferred.
    ///
    /// See [`Tensor::unflatten`](gradus_tensor::Tensor::unflatten) for shapes and panics.
    #[track_caller]
    pub fn unflatten(&self, axis: isize, sizes: impl Into<Dims>) -> Self {
        let shape = unflatten_shape(self.shape(), axis, &sizes.into()).or_panic();
        apply(Reshape { shape }, &[self])
    }

    /// The axes split, permuted and merged as a pattern of names says, as einops does.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let tokens = Var::leaf(Tensor::<f32>::zeros([8, 12, 3]));
    /// assert_eq!(tokens.rearrange("b (h w) c -> b c h w", &[("h", 4)]).shape(), [8, 3, 4, 3]);
    /// ```
    ///
    /// See [`Tensor::rearrange`](gradus_tensor::Tensor::rearrange) for patterns and panics.
    #[track_caller]
    pub fn rearrange(&self, pattern: &str, sizes: &[(&str, usize)]) -> Self {
        let [split, order, merged] = rearrangement(self.shape(), pattern, sizes).or_panic();
        self.reshape(split).permute(order).reshape(merged)
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this variable.
    ///
    /// See [`Tensor::permute`](gradus_tensor::Tensor::permute) for shapes and panics.
    #[track_caller]
    pub fn permute(&self, axes: impl Into<Dims>) -> Self {
        apply(Permute { axes: axes.into().resolve("permute", self.shape()).or_panic() }, &[self])
    }

    /// Two axes swapped. A 0-d variable takes the axes 0 and -1, and stays as it is.
    ///
    /// See [`Tensor::transpose`](gradus_tensor::Tensor::transpose) for shapes and panics.
    #[track_caller]
    pub fn transpose(&self, axis0: isize, axis1: isize) -> Self {
        if !is_recorded(&[self]) {
            return Self::constant(self.value().transpose(axis0, axis1));
        }
        let a = lane_axis("transpose", axis0, self.shape()).or_panic();
        let b = lane_axis("transpose", axis1, self.shape()).or_panic();
        if a == b {
            return self.clone();
        }
        let mut axes: Shape = (0..self.rank()).collect();
        axes.swap(a, b);
        apply(Permute { axes }, &[self])
    }

    /// The transpose of a matrix, or of a stack of matrices: the last two axes swapped.
    ///
    /// See [`Tensor::t`](gradus_tensor::Tensor::t) for shapes and panics.
    #[track_caller]
    pub fn t(&self) -> Self {
        if !is_recorded(&[self]) {
            return Self::constant(self.value().t());
        }
        t_shape(self.shape()).or_panic();
        self.transpose(-2, -1)
    }

    /// A new axis of size 1 at this place of the result.
    ///
    /// See [`Tensor::unsqueeze`](gradus_tensor::Tensor::unsqueeze) for shapes and panics.
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Self {
        let shape = unsqueeze_shape(self.shape(), axis).or_panic();
        apply(Reshape { shape }, &[self])
    }

    /// The shape without the named axes that have size 1; `..` names all axes.
    ///
    /// See [`Tensor::squeeze`](gradus_tensor::Tensor::squeeze) for shapes and panics.
    #[track_caller]
    pub fn squeeze(&self, axes: impl Into<Axes>) -> Self {
        let shape = squeeze_shape(self.shape(), &axes.into()).or_panic();
        apply(Reshape { shape }, &[self])
    }

    /// Repeats axes of size 1, and adds axes in front, up to this shape.
    ///
    /// See [`Tensor::expand`](gradus_tensor::Tensor::expand) for shapes and panics.
    #[track_caller]
    pub fn expand(&self, shape: impl AsRef<[usize]>) -> Self {
        apply(Expand { shape: shape.as_ref().into() }, &[self])
    }

    /// The elements in reverse order along the named axes.
    ///
    /// See [`Tensor::flip`](gradus_tensor::Tensor::flip) for shapes and panics.
    #[track_caller]
    pub fn flip(&self, axes: impl Into<Axes>) -> Self {
        apply(Flip { axes: axes.into().resolve("flip", self.shape()) }, &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, permutations, reductions, reshapes, shapes};
    let any = || shapes(0..=4, 0..=4);
    let ranked = || shapes(1..=4, 1..=4);
    vec![
        case!("reshape", (from, to) in reshapes(), [from], |x| x.reshape(to)),
        case!("flatten", shape in any(), [shape], |x| if x.rank() < 2 { x.flatten(..) } else { x.flatten(-2..) }),
        case!("unflatten", shape in ranked(), [shape], |x| x.unflatten(0, (1, -1, x.shape()[0]))),
        case!("rearrange", shape in shapes(3..=4, 1..=4), [shape], |x| {
            let (columns, split) = (x.shape()[1], [x.shape()[0], 1]);
            x.rearrange("(a b) c ... -> 1 c (... a) b", &[("a", split[0]), ("c", columns)])
        }),
        case!("permute", (shape, axes) in permutations(), [shape], |x| x.permute(axes)),
        case!("transpose", (shape, axes) in permutations(), [shape], |x| {
            if axes.len() < 2 { x.clone() } else { x.transpose(axes[0] as isize, axes[1] as isize) }
        }),
        case!("t", shape in shapes(2..=4, 0..=4), [shape], |x| x.t()),
        case!("unsqueeze", shape in any(), [shape], |x| x.unsqueeze(-1).unsqueeze(0)),
        case!("squeeze", shape in any(), [shape], |x| x.squeeze(..)),
        case!("expand", (shape, axes) in reductions(0), [shape], |x| {
            // The axes that have size 1, and a new axis, are repeated.
            let repeated = axes.resolve("expand", x.shape());
            let size = |(axis, &size)| if size == 1 && repeated.contains(&axis) { 3 } else { size };
            let sizes: Vec<usize> = x.shape().iter().enumerate().map(size).collect();
            x.expand([&[2], &sizes[..]].concat())
        }),
        case!("flip", (shape, axes) in reductions(0), [shape], |x| x.flip(axes)),
    ]
}
