//! Softmax and its logarithm, without overflow.

use gradus_tensor::shapes::lanes_shape;
use gradus_tensor::{Float, OrPanic, keepdim, lane_axis};

use super::operations::operations;
use crate::tape::{Saves, Var, apply};

operations! {
    Nonlinear Softmax { axis: usize }: "softmax", saves Saves::OUTPUT,
        shape |x| lanes_shape("softmax", x[0], *axis as isize),
        forward |x| x[0].softmax(*axis as isize),
        // The Jacobian of a lane, diag(y) - y y', is symmetric.
        vjp |context, _| times_jacobian(&context.output(), context.cotangent(), *axis),
        jvp |context, _| times_jacobian(&context.output(), context.tangent(), *axis),
        batched |batch| batch.apply(Self { axis: axis + 1 });

    Nonlinear LogSoftmax { axis: usize }: "log_softmax", saves Saves::OUTPUT,
        shape |x| lanes_shape("log_softmax", x[0], *axis as isize),
        forward |x| x[0].log_softmax(*axis as isize),
        vjp |context, _| {
            let (g, y) = (context.cotangent(), context.output());
            g - y.exp().gated(&g.sum(keepdim(*axis)))
        },
        jvp |context, _| {
            let (t, y) = (context.tangent(), context.output());
            t - y.exp().gated(t).sum(keepdim(*axis))
        },
        batched |batch| batch.apply(Self { axis: axis + 1 });
}

/// The Jacobian of softmax with the output `y`, times a cotangent or tangent.
fn times_jacobian<T: Float>(y: &Var<T>, g: &Var<T>, axis: usize) -> Var<T> {
    // An element of probability 0 is masked: no gradient passes it, whatever the cotangent.
    let mean = y.gated(g).sum(keepdim(axis));
    y.gated(&(g - mean))
}

impl<T: Float> Var<T> {
    /// e^x / sum(e^x) along an axis: positive numbers that add up to 1.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::constant(Tensor::from([1000.0_f64, 1000.0]));
    /// assert_eq!(x.softmax(0).value(), &Tensor::from([0.5, 0.5]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Self {
        apply(Softmax { axis: lane_axis("softmax", axis, self.shape()).or_panic() }, &[self])
    }

    /// The logarithm of [`softmax`](Self::softmax), accurate where that is nearly 0 or 1.
    ///
    /// See [`Tensor::log_softmax`](gradus_tensor::Tensor::log_softmax) for shapes and panics.
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Self {
        apply(LogSoftmax { axis: lane_axis("log_softmax", axis, self.shape()).or_panic() }, &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{axes_of, case};
    vec![
        case!("softmax", (shape, axis) in axes_of(0), [shape], |x| x.softmax(axis)),
        case!("log_softmax", (shape, axis) in axes_of(0), [shape], |x| x.log_softmax(axis)),
    ]
}
