//! Padding.

use gradus_tensor::shapes::pad_shape;
use gradus_tensor::{Float, PadMode, Shape, Tensor, TensorError};

use super::index::zeros;
use crate::tape::{Context, Inputs, Operation, Saves, Var, apply};

#[derive(Debug)]
struct Pad<T> {
    pads: Vec<[isize; 2]>,
    mode: PadMode<T>,
}

impl<T: Float> Operation<T> for Pad<T> {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(pad_shape(inputs[0], &self.pads, self.mode))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].pad(&self.pads, self.mode)
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let (g, shape) = (context.cotangent(), context.shape(0));
        let mode = match self.mode {
            PadMode::Constant(_) => {
                // What was added is taken away, and the other way round.
                let back: Vec<[isize; 2]> = self.pads.iter().map(|pads| pads.map(|pad| -pad)).collect();
                return Some(g.pad(back, PadMode::Constant(T::ZERO)));
            }
            PadMode::Reflect => PadMode::Reflect,
            PadMode::Replicate => PadMode::Replicate,
        };
        // Back to where it came from, which padded indices say, axis by axis.
        let padded = self.pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]);
        Some(padded.fold(g.clone(), |g, (axis, &pads)| {
            let from = Tensor::arange(0, shape[axis] as i64, 1).pad([pads], mode);
            let mut narrow = Shape::from_slice(g.shape());
            narrow[axis] = shape[axis];
            zeros(&narrow).index_add(axis as isize, &from, &g)
        }))
    }
    fn jvp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let mode = match self.mode {
            PadMode::Constant(_) => PadMode::Constant(T::ZERO),
            other => other,
        };
        Some(context.tangent().pad(&self.pads, mode))
    }
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
    vec![
        case!("pad", (shape, pads, mode) in (shapes(0..=4, 0..=4), pads, 0..3_usize), [shape => -2.0..2.0], |x| {
            // No more than the axis allows.
            let allowed = |(pads, &size): (&[isize; 2], &usize)| {
                let most = if mode == 0 { 3 } else { size.saturating_sub(1) as isize };
                let least = -(size as isize) / 2;
                pads.map(|pad| pad.min(most).max(least))
            };
            let pads: Vec<[isize; 2]> = pads.iter().zip(x.shape()).map(allowed).collect();
            x.pad(pads, [PadMode::Constant(3.0), PadMode::Reflect, PadMode::Replicate][mode])
        }),
    ]
}
