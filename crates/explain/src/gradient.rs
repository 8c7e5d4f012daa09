//! Explanations by one gradient: saliency, input times gradient, guided backpropagation.

use gradus_autograd::{Context, Float, TapeNode, Tensor, Var, vjp_with};

use crate::error::Result;
use crate::input::Input;
use crate::passes::{Backward, Model, Passes, derivative, pass_options};
use crate::target::Target;

/// Explanations by one gradient, with options: [`gradient()`], [`saliency`], [`input_x_gradient`] and [`guided_backprop`] are those
/// without.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::{OneGradient, saliency};
///
/// let model = |x: &Var<f64>| x.square().sum(1).unsqueeze(1);
/// let x = Tensor::arange(0.0, 6.0, 1.0).reshape([3, 2]);
/// // One image after another, where many of them do not fit the memory.
/// assert_eq!(OneGradient::new().chunk(1).saliency(model, &x, 0)?, saliency(model, &x, 0)?);
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct OneGradient {
    passes: Passes,
}

impl OneGradient {
    /// Without options.
    pub fn new() -> Self {
        Self::default()
    }

    pass_options! { passes }

    /// As [`gradient()`].
    ///
    /// # Errors
    /// As [`gradient()`].
    pub fn gradient<T: Float>(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Tensor<T>> {
        self.by(&model, x, &target.into(), &derivative)
    }

    /// As [`saliency`].
    ///
    /// # Errors
    /// As [`gradient()`].
    pub fn saliency<T: Float>(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Tensor<T>> {
        Ok(self.gradient(model, x, target)?.abs())
    }

    /// As [`input_x_gradient`].
    ///
    /// # Errors
    /// As [`gradient()`].
    pub fn input_x_gradient<T: Float>(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Tensor<T>> {
        Ok(self.gradient(model, x, target)? * x)
    }

    /// As [`guided_backprop`].
    ///
    /// # Errors
    /// As [`gradient()`].
    pub fn guided_backprop<T: Float>(
        &self,
        model: impl Fn(&Var<T>) -> Var<T>,
        x: &Tensor<T>,
        target: impl Into<Target>,
    ) -> Result<Tensor<T>> {
        let rule = |node: &TapeNode<T>, context: &Context<T>| {
            // The derivative at the output of a `relu` is 1 where that is positive.
            let guided = |output: Var<T>| {
                let is_closed = output.value().le(T::ZERO);
                let gated = context.cotangent().value().relu().masked_fill(&is_closed, T::ZERO);
                vec![Some(gated.into())].into()
            };
            (node.operation() == "relu").then(|| guided(context.output()))
        };
        self.by(&model, x, &target.into(), &|x, y, cotangent| vjp_with(y, cotangent, &[x], rule).remove(0))
    }

    /// The result of a backward pass. The outputs, which say what the classes are, are computed in silence.
    fn by<T: Float>(
        &self,
        model: Model<T>,
        x: &Tensor<T>,
        target: &Target,
        backward: Backward<T>,
    ) -> Result<Tensor<T>> {
        Input::new(model, x, target, &self.passes)?.gradients(model, &self.passes, backward)
    }
}

/// The gradient of each row's output with respect to the input `[batch, ...]`, in its shape.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::{gradient, input_x_gradient, saliency};
///
/// let weights = Var::constant([[1.0, -2.0], [0.0, 3.0]]); // [features, classes]
/// let model = |x: &Var<f64>| x.matmul(&weights);
/// let x = Tensor::from([[5.0, 1.0]]);
/// assert_eq!(gradient(model, &x, 1)?, Tensor::from([[-2.0, 3.0]]));
/// assert_eq!(saliency(model, &x, 1)?, Tensor::from([[2.0, 3.0]]));
/// assert_eq!(input_x_gradient(model, &x, 1)?, Tensor::from([[-10.0, 3.0]]));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
///
/// # Errors
/// If the input is empty, the model does not give finite `[batch, classes]`, a target is no class, or no gradient leads to
/// the input.
pub fn gradient<T: Float>(
    model: impl Fn(&Var<T>) -> Var<T>,
    x: &Tensor<T>,
    target: impl Into<Target>,
) -> Result<Tensor<T>> {
    OneGradient::new().gradient(model, x, target)
}

/// The magnitude of the [`gradient`]: how much the output changes with each number (Simonyan, Vedaldi and Zisserman, "Deep
/// inside convolutional networks", 2013). In the shape of the input.
///
/// # Errors
/// As [`gradient`].
pub fn saliency<T: Float>(
    model: impl Fn(&Var<T>) -> Var<T>,
    x: &Tensor<T>,
    target: impl Into<Target>,
) -> Result<Tensor<T>> {
    OneGradient::new().saliency(model, x, target)
}

/// The input times its [`gradient`] (Shrikumar et al., "Not just a black box", 2016): of a linear function the share that
/// each number has in the output. In the shape of the input.
///
/// # Errors
/// As [`gradient`].
pub fn input_x_gradient<T: Float>(
    model: impl Fn(&Var<T>) -> Var<T>,
    x: &Tensor<T>,
    target: impl Into<Target>,
) -> Result<Tensor<T>> {
    OneGradient::new().input_x_gradient(model, x, target)
}

/// The gradient of each row's output, of which every `relu` lets only the positive part through, where its input is positive
/// (Springenberg et al., "Striving for simplicity", 2015). In the shape of the input.
///
/// It finds the `relu`s on the tape by their name. Its pictures are sharp, but they show the image more than the model:
/// they hardly change when the weights of upper layers are replaced by random ones (Adebayo et al., "Sanity checks for saliency
/// maps", 2018; Nie, Zhang and Patel, 2018).
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_explain::guided_backprop;
///
/// // Of two hidden numbers, one has a negative weight in the output.
/// let model = |x: &Var<f64>| (x.relu() * Tensor::from([2.0, -1.0])).sum(1).unsqueeze(1);
/// assert_eq!(guided_backprop(model, &Tensor::from([[1.0, 1.0]]), 0)?, Tensor::from([[2.0, 0.0]]));
/// # Ok::<(), gradus_explain::ExplainError>(())
/// ```
///
/// # Errors
/// As [`gradient`].
pub fn guided_backprop<T: Float>(
    model: impl Fn(&Var<T>) -> Var<T>,
    x: &Tensor<T>,
    target: impl Into<Target>,
) -> Result<Tensor<T>> {
    OneGradient::new().guided_backprop(model, x, target)
}
