//! Repeating elements, and rolling them along axes.

use gradus_tensor::shapes::{repeat_interleave_shape, roll_shape, tile_shape};
use gradus_tensor::{Axes, Dims, Float, OrPanic, Shape};

use super::operations::operations;
use super::reduce::behind_batch;
use crate::tape::{Var, apply};

operations! {
    Linear Tile { repeats: Shape }: "tile",
        shape |x| tile_shape(x[0], repeats),
        forward |x| x[0].tile(repeats),
        vjp |context, _| {
            // An axis for the repetitions before each axis of the input; missing axes in front have size 1.
            let (g, shape) = (context.cotangent(), context.shape(0));
            let at = |list: &[usize], axis: usize| {
                (axis + list.len()).checked_sub(g.rank()).map_or(1, |i| list[i])
            };
            let pairs: Shape = (0..g.rank()).flat_map(|axis| [at(repeats, axis), at(shape, axis)]).collect();
            let repeated: Shape = (0..g.rank()).map(|axis| 2 * axis).collect();
            g.reshape(pairs).sum(repeated).reshape(shape)
        },
        batched |batch| {
            let missing = batch.output_shape().len() - repeats.len();
            let all = std::iter::repeat_n(1, missing + 1).chain(repeats.iter().copied());
            batch.apply_each(Self { repeats: all.collect() })
        };

    Linear RepeatInterleave { repeats: usize, axis: usize }: "repeat_interleave",
        shape |x| repeat_interleave_shape(x[0], *repeats, &(*axis).into()),
        forward |x| x[0].repeat_interleave(*repeats, *axis),
        vjp |context, _| {
            let mut shape = Shape::from_slice(context.shape(0));
            shape.insert(axis + 1, *repeats);
            context.cotangent().reshape(shape).sum(axis + 1)
        },
        batched |batch| batch.apply(Self { repeats: *repeats, axis: axis + 1 });

    Linear Roll { shifts: Dims, axes: Axes }: "roll",
        shape |x| roll_shape(x[0], shifts, axes),
        forward |x| x[0].roll(shifts.clone(), axes.clone()),
        vjp |context, _| {
            let back: Vec<isize> = shifts.as_slice().iter().map(|shift| shift.saturating_neg()).collect();
            context.cotangent().roll(back, axes.clone())
        },
        batched |batch| {
            let (shifts, all) = (shifts.clone(), batch.raised(batch.output_shape()));
            let Some(named) = axes.named() else {
                let lanes = [batch.size(), batch.output_shape().iter().product()];
                return Some(batch.given(0).reshape(lanes).roll(shifts, 1).reshape(all));
            };
            // In the order of the shifts.
            let axes = behind_batch(&named.resolve("roll", batch.shape(0)).or_panic());
            batch.apply(Self { shifts, axes: axes.into() })
        };
}

impl<T: Float> Var<T> {
    /// The whole variable repeated, `repeats[i]` times along axis `i`; the shorter one of shape and repeats is
    /// filled up with ones in front.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 2.0]));
    /// let y = x.tile([2]);
    /// assert_eq!(y.value(), &Tensor::from([1.0, 2.0, 1.0, 2.0]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([2.0, 2.0])));
    /// ```
    ///
    /// # Panics
    /// If the result has more elements than a machine can hold.
    #[track_caller]
    pub fn tile(&self, repeats: impl AsRef<[usize]>) -> Self {
        apply(Tile { repeats: repeats.as_ref().into() }, &[self])
    }

    /// Each slice of an axis, or each element in logical order for `..`, repeated in its place.
    ///
    /// See [`Tensor::repeat_interleave`](gradus_tensor::Tensor::repeat_interleave) for shapes and panics.
    #[track_caller]
    pub fn repeat_interleave(&self, repeats: usize, axis: impl Into<Axes>) -> Self {
        let axis = axis.into();
        if axis.named().is_none() {
            return self.flatten(..).repeat_interleave(repeats, 0);
        }
        repeat_interleave_shape(self.shape(), repeats, &axis).or_panic();
        let axes = axis.resolve("repeat_interleave", self.shape());
        apply(RepeatInterleave { repeats, axis: axes[0] }, &[self])
    }

    /// The elements moved on by `shifts[i]` along `axes[i]`, those beyond the end to the start; for `..` and one
    /// shift, in logical order.
    ///
    /// See [`Tensor::roll`](gradus_tensor::Tensor::roll) for shapes and panics.
    #[track_caller]
    pub fn roll(&self, shifts: impl Into<Dims>, axes: impl Into<Axes>) -> Self {
        apply(Roll { shifts: shifts.into(), axes: axes.into() }, &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{axes_of, case, permutations, shapes};
    use proptest::prelude::*;
    let repeats = prop::collection::vec(0..=3_usize, 0..=4);
    let shifts = prop::collection::vec(-6..=6_isize, 4);
    vec![
        case!("tile", (shape, repeats) in (shapes(0..=3, 0..=3), repeats), [shape], |x| x.tile(&repeats)),
        case!(
            "repeat_interleave", ((shape, axis), repeats) in (axes_of(0), 0..=3_usize), [shape],
            |x| if repeats == 2 { x.repeat_interleave(2, ..) } else { x.repeat_interleave(repeats, axis) }
        ),
        case!("roll", ((shape, axes), shifts) in (permutations(), shifts), [shape], |x| {
            if axes.len() < 2 { x.roll(shifts[0], ..) } else { x.roll(&shifts[..2], &axes[..2]) }
        }),
    ]
}
