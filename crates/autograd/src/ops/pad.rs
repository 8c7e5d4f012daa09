//! Padding.

use gradus_tensor::shapes::pad_shape;
use gradus_tensor::{Float, PadMode, Shape, Tensor};

use super::index::zeros;
use super::operations::operations;
use crate::tape::{Saves, Var, apply};

operations! {
    Nonlinear<T> Pad { pads: Vec<[isize; 2]>, mode: PadMode<T> }: "pad", saves Saves::NOTHING,
        shape |x| pad_shape(x[0], pads, *mode),
        forward |x| x[0].pad(pads, *mode),
        vjp |context, _| {
            let (g, shape) = (context.cotangent(), context.shape(0));
            let mode = match mode {
                PadMode::Constant(_) => {
                    // Added elements are taken away, and removed elements are added.
                    let back: Vec<[isize; 2]> = pads.iter().map(|pads| pads.map(|pad| -pad)).collect();
                    return Some(g.pad(back, PadMode::Constant(T::ZERO)));
                }
                PadMode::Reflect => PadMode::Reflect,
                PadMode::Replicate => PadMode::Replicate,
            };
            // Each element is added at its origin, which padded indices tell, axis by axis.
            let padded = pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]);
            padded.fold(g.clone(), |g, (axis, &pads)| {
                let from = Tensor::arange(0, shape[axis] as i64, 1).pad([pads], mode);
                let mut narrow = Shape::from_slice(g.shape());
                narrow[axis] = shape[axis];
                zeros(&narrow).index_add(axis as isize, &from, &g)
            })
        },
        jvp |context, _| {
            let mode = if let PadMode::Constant(_) = mode { PadMode::Constant(T::ZERO) } else { *mode };
            context.tangent().pad(pads, mode)
        },
        batched |batch| {
            let pads: Vec<[isize; 2]> = std::iter::once([0, 0]).chain(pads.iter().copied()).collect();
            batch.given(0).pad(pads, *mode)
        };
}

impl<T: Float> Var<T> {
    /// This variable with `pads[i][0]` more elements before axis `i`, and `pads[i][1]` after it; fewer where that is
    /// negative.
    ///
    /// ```
    /// use gradus_autograd::{PadMode, Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0]));
    /// let y = x.pad([[1, 2]], PadMode::Constant(7.0));
    /// assert_eq!(y.value(), &Tensor::from([7.0, 1.0, 2.0, 3.0, 7.0, 7.0]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([1.0, 1.0, 1.0])));
    /// let y = x.pad([[1, 2]], PadMode::Reflect);
    /// assert_eq!(y.value(), &Tensor::from([2.0, 1.0, 2.0, 3.0, 2.0, 1.0]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([2.0, 3.0, 1.0])));
    /// ```
    ///
    /// # Panics
    /// If there is not a pair for each axis, if more is taken away than there is, if a reflection would reach beyond
    /// the other edge, or if there is nothing to replicate.
    #[track_caller]
    pub fn pad(&self, pads: impl AsRef<[[isize; 2]]>, mode: PadMode<T>) -> Self {
        apply(Pad { pads: pads.as_ref().to_vec(), mode }, &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    use proptest::prelude::*;
    let pads = prop::collection::vec([-2..=3_isize, -2..=3_isize], 4);
    vec![case!("pad", (shape, pads, mode) in (shapes(0..=4, 0..=4), pads, 0..3_usize), [shape], |x| {
        // No more than the axis allows.
        let allowed = |(pads, &size): (&[isize; 2], &usize)| {
            let most = if mode == 0 { 3 } else { size.saturating_sub(1) as isize };
            let least = -(size as isize) / 2;
            pads.map(|pad| pad.min(most).max(least))
        };
        let pads: Vec<[isize; 2]> = pads.iter().zip(x.shape()).map(allowed).collect();
        x.pad(pads, [PadMode::Constant(3.0), PadMode::Reflect, PadMode::Replicate][mode])
    })]
}
