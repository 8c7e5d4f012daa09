//! The reports of the checker.

use std::fmt::{self, Debug, Display, Formatter};

use gradus_tensor::Tensor;

/// A law that gradients obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// The same inputs give the same result.
    Deterministic,
    /// The gradient agrees with five-point differences of the values.
    FirstOrder,
    /// The gradient of the gradient agrees with five-point differences of the gradient.
    SecondOrder,
    /// The Hessian is symmetric: <Hv, w> = <v, Hw>.
    SymmetricHessian,
    /// A recorded backward pass gives the same gradient as one that is not recorded.
    Recorded,
    /// Forward mode agrees with reverse mode, to 1e-12: <u, Jv> = <J'u, v>. For a linear operation Jv is the
    /// operation itself applied to v, so this is the law of its adjoint.
    ForwardMode,
    /// The gradient is linear in the cotangent.
    Linear,
    /// The gradient with respect to some inputs does not depend on whether others are tracked.
    Subsets,
    /// Values and gradients do not depend on how inputs and cotangents lie in memory.
    Layout,
    /// The expression of every elementwise operation on the tape, backward pass included, gives the same bits as its
    /// forward pass, evaluated on numbers and on variables.
    Expression,
    /// Every operation on the tape, backward pass included, predicts the shape of its result from the shapes of its
    /// inputs.
    Shape,
    /// The recorded forward pass, run again on other inputs of the same shapes, gives the same bits as a fresh one.
    Replay,
    /// `vmap` over any axis of any inputs gives values and gradients as a loop does, also of gradients inside of it and
    /// inside of itself.
    Vmap,
    /// Value and gradients as a compiled program, run on other inputs of the same shapes, have the same bits as fresh ones.
    Compiled,
    /// In `f32` values and gradients agree with those in `f64`.
    Precision,
}

impl Display for Law {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deterministic => "the same inputs do not give the same result",
            Self::FirstOrder => "the gradient differs from differences of the values",
            Self::SecondOrder => "the second derivative differs from differences of the gradient",
            Self::SymmetricHessian => "the Hessian is not symmetric",
            Self::Recorded => "a recorded backward pass differs from an unrecorded one",
            Self::ForwardMode => "forward mode differs from reverse mode",
            Self::Linear => "the gradient is not linear in the cotangent",
            Self::Subsets => "the gradient depends on whether other inputs are tracked",
            Self::Layout => "values or gradients depend on how the inputs lie in memory",
            Self::Expression => "the expression of an elementwise operation differs from its numbers",
            Self::Shape => "the shape of an operation is not the shape of its result",
            Self::Replay => "the recorded forward pass, run again on other inputs, differs from a fresh one",
            Self::Vmap => "`vmap` differs from a loop over the examples",
            Self::Compiled => "the compiled program, run on other inputs, differs from a fresh run",
            Self::Precision => "f32 differs from f64",
        })
    }
}

/// A broken law, with the operation that breaks it and the place.
///
/// Its message names the operation, the input, the element, both values and the inputs; under `proptest`
/// those are the smallest that fail.
///
/// ```
/// use gradus_autograd::{Literal, Real, Saves, Tensor, Unary, UnaryFunction, apply};
/// use gradus_autograd::testing::check_gradients;
///
/// /// x^2, with the derivative x in place of 2 x.
/// #[derive(Debug, Clone)]
/// struct Wrong;
///
/// impl UnaryFunction for Wrong {
///     const NAME: &'static str = "wrong";
///     const SAVES: Saves = Saves::INPUTS;
///     fn function<R: Real>(&self, x: R) -> R where f64: Literal<R> {
///         x.square()
///     }
///     fn derivative<R: Real>(&self, x: R) -> R where f64: Literal<R> {
///         x
///     }
/// }
///
/// let error = check_gradients(|[x]| apply(Unary(Wrong), &[x]).sin(), [Tensor::from(3.0)]).unwrap_err();
/// assert_eq!((error.operation, error.input), (Some("wrong"), 0));
/// assert!((error.analytic / error.numeric - 0.5).abs() < 1e-6);
/// ```
#[derive(Clone)]
pub struct GradientError {
    /// The law that was broken.
    pub law: Law,
    /// The operation on the tape that breaks it by itself, if one does.
    pub operation: Option<&'static str>,
    /// The input, or for [`Law::Deterministic`] the output, that is wrong. For derivatives of second order
    /// the inputs are followed by the cotangents.
    pub input: usize,
    /// The index of the element that is most wrong.
    pub element: Vec<usize>,
    /// The value from the gradient rules.
    pub analytic: f64,
    /// The expected value, from differences or from another way to compute it.
    pub numeric: f64,
    /// The inputs: of the operation, if it is known, or of the whole function.
    pub inputs: Vec<Tensor<f64>>,
    /// The operations behind the result, in order.
    pub tape: Vec<&'static str>,
}

impl std::error::Error for GradientError {}

/// The message, so that `unwrap` in a plain test shows it.
impl Debug for GradientError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl Display for GradientError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.law)?;
        match self.operation {
            Some(operation) => writeln!(f, "  operation: {operation}")?,
            None => writeln!(f, "  operation: none by itself; the tape is {}", self.tape.join(", "))?,
        }
        writeln!(f, "  input {}, element {:?}", self.input, self.element)?;
        writeln!(f, "  analytic: {:e}", self.analytic)?;
        write!(f, "  numeric:  {:e}", self.numeric)?;
        if self.numeric != 0.0 && self.analytic.is_finite() {
            write!(f, " (ratio {:.6})", self.analytic / self.numeric)?;
        }
        for (i, input) in self.inputs.iter().enumerate() {
            // All digits, to repeat the failure.
            write!(f, "\n  input {i} = {input:.17?}")?;
        }
        Ok(())
    }
}
