//! Softmax and its logarithm, without overflow.

use gradus_tensor::shapes::lanes_shape;
use gradus_tensor::{Float, OrPanic, Shape, Tensor, TensorError, keepdim, lane_axis};

use crate::tape::{Context, Inputs, Operation, Saves, Var, apply};

#[derive(Debug)]
struct Softmax {
    axis: usize,
}

impl<T: Float> Operation<T> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(lanes_shape("softmax", inputs[0], self.axis as isize))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].softmax(self.axis as isize)
    }
    fn saves(&self) -> Saves {
        Saves::OUTPUT
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        // What has probability 0 is masked: no gradient passes it, whatever the cotangent.
        let (g, y) = (context.cotangent(), context.output());
        let mean = y.gated(g).sum(keepdim(self.axis));
        Some(y.gated(&(g - mean)))
    }
    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        // The Jacobian of a lane, diag(y) - y y', is symmetric.
        self.vjp(context, input)
    }
}

#[derive(Debug)]
struct LogSoftmax {
    axis: usize,
}

impl<T: Float> Operation<T> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(lanes_shape("log_softmax", inputs[0], self.axis as isize))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].log_softmax(self.axis as isize)
    }
    fn saves(&self) -> Saves {
        Saves::OUTPUT
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let (g, y) = (context.cotangent(), context.output());
        Some(g - y.exp().gated(&g.sum(keepdim(self.axis))))
    }
    fn jvp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let (t, y) = (context.tangent(), context.output());
        Some(t - y.exp().gated(t).sum(keepdim(self.axis)))
    }
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
        case!("softmax", (shape, axis) in axes_of(0), [shape => -2.0..2.0], |x| x.softmax(axis)),
        case!("log_softmax", (shape, axis) in axes_of(0), [shape => -2.0..2.0], |x| x.log_softmax(axis)),
    ]
}
