//! Functions of one and of two numbers, with their derivatives.

use std::fmt::Debug;

use super::real::{Literal, Real};
use crate::tape::Saves;

/// A function of one number with its derivative; [`Unary`](crate::Unary) makes it an operation on tensors.
///
/// Both are written once, for numbers or variables ([`Real`]): the first backward pass runs them in one
/// fused loop, and a recorded one runs the same text on variables.
///
/// ```
/// use gradus_autograd::{Literal, Real, Saves, Tensor, Unary, UnaryFunction, Var, apply};
///
/// /// The Gaussian bell, e^(-x^2).
/// #[derive(Debug, Clone)]
/// struct Bell;
///
/// impl UnaryFunction for Bell {
///     const NAME: &'static str = "bell";
///     const SAVES: Saves = Saves::INPUTS;
///     fn function<R: Real>(&self, x: R) -> R where f64: Literal<R> {
///         (-x.square()).exp()
///     }
///     fn derivative<R: Real>(&self, x: R) -> R where f64: Literal<R> {
///         -2.0 * x * (-x.square()).exp()
///     }
/// }
///
/// let x = Var::leaf(Tensor::from([0.0_f64, 1.0]));
/// let y = apply(Unary(Bell), &[&x]);
/// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([-0.0, -2.0 * (-1.0_f64).exp()])));
/// ```
pub trait UnaryFunction: Debug + Clone + Send + Sync + 'static {
    /// The name shown on the tape and in messages.
    const NAME: &'static str;
    /// The argument of the derivative: the output for [`Saves::OUTPUT`], none for [`Saves::NOTHING`] (a constant
    /// derivative), or else the input.
    const SAVES: Saves;
    /// Whether the function is a gate that is closed where its derivative is 0, as `relu` is: it then lets no
    /// cotangent through, not even an infinite one or NaN.
    const GATE: bool = false;
    /// The value at `x`.
    fn function<R: Real>(&self, x: R) -> R
    where
        f64: Literal<R>;
    /// The derivative, as a function of the input or of the output, whichever is saved; if nothing is, of
    /// a number that it must not look at.
    fn derivative<R: Real>(&self, saved: R) -> R
    where
        f64: Literal<R>;
}

/// A function of two numbers with its two partial derivatives; [`Binary`](crate::Binary) makes it an operation on
/// tensors that broadcast.
///
/// ```
/// use gradus_autograd::{Binary, BinaryFunction, Literal, Real, Tensor, Var, apply};
///
/// /// x y^2.
/// #[derive(Debug, Clone)]
/// struct Moment;
///
/// impl BinaryFunction for Moment {
///     const NAME: &'static str = "moment";
///     fn function<R: Real>(&self, x: R, y: R) -> R where f64: Literal<R> {
///         x * y.square()
///     }
///     fn derivatives<R: Real>(&self, x: R, y: R) -> [R; 2] where f64: Literal<R> {
///         [y.square(), 2.0 * x * y]
///     }
/// }
///
/// let (x, y) = (Var::leaf(Tensor::from(2.0)), Var::leaf(Tensor::from(3.0)));
/// let gradients = apply(Binary(Moment), &[&x, &y]).backward();
/// assert_eq!(gradients.get(&x), Some(&Tensor::from(9.0)));
/// assert_eq!(gradients.get(&y), Some(&Tensor::from(12.0)));
/// ```
pub trait BinaryFunction: Debug + Clone + Send + Sync + 'static {
    /// The name shown on the tape and in messages.
    const NAME: &'static str;
    /// Whether the function is a gate that is closed for an input where the derivative with respect to it is 0, as
    /// `maximum` is; see [`UnaryFunction::GATE`].
    const GATE: bool = false;
    /// The value at (`x`, `y`).
    fn function<R: Real>(&self, x: R, y: R) -> R
    where
        f64: Literal<R>;
    /// The derivatives with respect to `x` and to `y`.
    fn derivatives<R: Real>(&self, x: R, y: R) -> [R; 2]
    where
        f64: Literal<R>;
}
