//! How a scalar function and its derivative become an operation.

use std::fmt::{self, Debug, Formatter};

use gradus_tensor::{Float, Tensor};

use super::real::{Arena, Literal, Plain, Real, Traced};
use crate::ops::{chained, gated};
use crate::tape::{Context, Operation, Saves, Var};

/// A function of one number with its derivative; [`Unary`] makes it an operation on tensors.
///
/// Both are written once, for numbers or variables ([`Real`]): the first backward pass runs them in one
/// fused loop, and a recorded one runs the same text on variables.
///
/// ```
/// use gradus_autograd::{Literal, Real, Saves, Tensor, Unary, UnaryFunction, Var, apply};
///
/// /// The Gaussian bell, e^(-x^2).
/// #[derive(Debug)]
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
pub trait UnaryFunction: Debug + Send + Sync + 'static {
    /// The name shown on the tape and in messages.
    const NAME: &'static str;
    /// What the derivative is a function of: [`Saves::OUTPUT`], if it is constant [`Saves::NOTHING`], and with
    /// anything else, such as [`Saves::INPUTS`], the input.
    const SAVES: Saves;
    /// Whether the function is a gate that is closed where its derivative is 0, as `relu` is: it then lets no cotangent
    /// through, not even an infinite one or NaN.
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

/// The elementwise operation of a [`UnaryFunction`].
///
/// ```
/// use gradus_autograd::{Literal, Real, Saves, Tensor, Unary, UnaryFunction, Var, apply};
///
/// #[derive(Debug)]
/// struct Triple;
///
/// impl UnaryFunction for Triple {
///     const NAME: &'static str = "triple";
///     const SAVES: Saves = Saves::NOTHING;
///     fn function<R: Real>(&self, x: R) -> R where f64: Literal<R> {
///         3.0 * x
///     }
///     fn derivative<R: Real>(&self, like: R) -> R where f64: Literal<R> {
///         like.constant(3.0)
///     }
/// }
///
/// let y = apply(Unary(Triple), &[&Var::constant(Tensor::from([1.0, 2.0]))]);
/// assert_eq!(y.value(), &Tensor::from([3.0, 6.0]));
/// ```
pub struct Unary<F>(pub F);

impl<F: UnaryFunction, T: Float> Operation<T> for Unary<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(
            #[inline(always)]
            |x| self.0.function(Plain(x)).0,
        )
    }

    fn saves(&self) -> Saves {
        F::SAVES
    }

    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let cotangent = context.cotangent();
        Some(if context.is_recorded() {
            let saved = match F::SAVES {
                Saves::OUTPUT => context.output(),
                Saves::NOTHING => cotangent.detach(),
                _ => context.input(0),
            };
            let arena = Arena::default();
            let derivative = self.0.derivative(Traced::new(&arena, saved)).var();
            if F::GATE { gated(&derivative, cotangent) } else { chained(&derivative, cotangent) }
        } else {
            let saved = match F::SAVES {
                Saves::OUTPUT => context.output_value(),
                Saves::NOTHING => cotangent.value(),
                _ => context.input_value(0),
            };
            let chained = cotangent.value().zip(
                F::NAME,
                saved,
                #[inline(always)]
                |g, saved| chain(F::GATE, self.0.derivative(Plain(saved)), g),
            );
            chained.into()
        })
    }

    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        // The Jacobian is diagonal, and so its own transpose.
        self.vjp(context, input)
    }
}

/// A function of two numbers with its two partial derivatives; [`Binary`] makes it an operation on tensors
/// that broadcast.
///
/// ```
/// use gradus_autograd::{Binary, BinaryFunction, Literal, Real, Tensor, Var, apply};
///
/// /// x y^2.
/// #[derive(Debug)]
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
pub trait BinaryFunction: Debug + Send + Sync + 'static {
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

/// The elementwise operation of a [`BinaryFunction`].
///
/// ```
/// use gradus_autograd::{Binary, BinaryFunction, Literal, Real, Tensor, Var, apply};
///
/// #[derive(Debug)]
/// struct Difference;
///
/// impl BinaryFunction for Difference {
///     const NAME: &'static str = "difference";
///     fn function<R: Real>(&self, x: R, y: R) -> R where f64: Literal<R> {
///         x - y
///     }
///     fn derivatives<R: Real>(&self, x: R, _y: R) -> [R; 2] where f64: Literal<R> {
///         [x.constant(1.0), x.constant(-1.0)]
///     }
/// }
///
/// let [x, y] = [Tensor::from([[5.0], [6.0]]), Tensor::from([1.0, 2.0])].map(Var::constant);
/// let z = apply(Binary(Difference), &[&x, &y]);
/// assert_eq!(z.value(), &Tensor::from([[4.0, 3.0], [5.0, 4.0]]));
/// ```
pub struct Binary<F>(pub F);

impl<F: BinaryFunction, T: Float> Operation<T> for Binary<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(
            F::NAME,
            inputs[1],
            #[inline(always)]
            |x, y| self.0.function(Plain(x), Plain(y)).0,
        )
    }

    fn saves(&self) -> Saves {
        Saves::INPUTS
    }

    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let cotangent = context.cotangent();
        Some(if context.is_recorded() {
            let (x, y) = (context.input(0), context.input(1));
            let arena = Arena::default();
            let derivatives = self.0.derivatives(Traced::new(&arena, x), Traced::new(&arena, y));
            let derivative = derivatives[input].var();
            if F::GATE { gated(&derivative, cotangent) } else { chained(&derivative, cotangent) }
        } else {
            let operands = [cotangent.value(), context.input_value(0), context.input_value(1)];
            // One loop for each input: with a constant index, the compiler leaves the other derivative out.
            if input == 0 {
                let by_x = Tensor::zip_many(
                    F::NAME,
                    operands,
                    #[inline(always)]
                    |[g, x, y]| chain(F::GATE, self.0.derivatives(Plain(x), Plain(y))[0], g),
                );
                by_x.into()
            } else {
                let by_y = Tensor::zip_many(
                    F::NAME,
                    operands,
                    #[inline(always)]
                    |[g, x, y]| chain(F::GATE, self.0.derivatives(Plain(x), Plain(y))[1], g),
                );
                by_y.into()
            }
        })
    }

    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        // But for broadcasting the Jacobian is diagonal, and `zip_many` broadcasts the tangent.
        self.vjp(context, input)
    }
}

/// A derivative times the cotangent of one number: what [`chained`] and [`gated`] do for variables.
#[inline(always)]
fn chain<T: Float>(gate: bool, Plain(derivative): Plain<T>, g: T) -> T {
    if gate && derivative == T::ZERO { T::ZERO } else { derivative.multiply_no_nan(g) }
}

impl<F: Debug> Debug for Unary<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<F: Debug> Debug for Binary<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Declares scalar functions: for each a struct with its attributes, its function and derivative, a method
/// on [`Var`] with an example, and a case for the tests, in which every input and attribute is drawn from the
/// range given.
///
/// `from output |y| ...` says that the derivative is a function of the output, which is then all that is
/// saved; `from input |x| ...` of the input; `from nothing |like| ...` of neither. `gate` in place of `from` says
/// that the function is one; see [`UnaryFunction::GATE`](crate::UnaryFunction::GATE).
macro_rules! elementwise {
    ($(
        $(#[$doc:meta])*
        $name:ident $({ $($attribute:ident: f64 = $example:literal in $range:expr),+ })?: $struct:ident
            |$x:ident| $function:expr, $kind:ident $source:tt |$saved:ident| $derivative:expr, on $low:literal..$high:literal;
    )*) => {
        $(
            #[derive(Debug, Clone, Copy)]
            struct $struct { $($($attribute: f64),+)? }

            impl crate::scalar::elementwise::UnaryFunction for $struct {
                const NAME: &'static str = stringify!($name);
                const SAVES: crate::tape::Saves = elementwise!(@saves $source);
                const GATE: bool = elementwise!(@gate $kind);
                #[inline(always)]
                fn function<R: crate::scalar::Real>(&self, $x: R) -> R where f64: crate::scalar::Literal<R> {
                    let Self { $($($attribute),+)? } = *self;
                    $function
                }
                #[inline(always)]
                #[allow(unused_variables, reason = "a derivative need not look at every attribute")]
                fn derivative<R: crate::scalar::Real>(&self, $saved: R) -> R where f64: crate::scalar::Literal<R> {
                    let Self { $($($attribute),+)? } = *self;
                    $derivative
                }
            }
        )*

        impl<T: gradus_tensor::Float> crate::tape::Var<T> {$(
            $(#[$doc])*
            ///
            /// Elementwise; the result has this shape. Its errors and the errors of its derivatives are in
            /// [`accuracy`](crate::accuracy).
            ///
            /// ```
            /// use gradus_autograd::{Var, grad};
            ///
            #[doc = concat!("let x: Var<f64> = Var::leaf(", stringify!($high), " / 2.0);")]
            #[doc = concat!("let f = |x: &Var<f64>| x.", stringify!($name), "(", $(stringify!($($example),+),)? ");")]
            /// let slope = grad(&f(&x), &[&x])[0].item();
            /// let difference = (f(&(&x + 1e-6)) - f(&(&x - 1e-6))).item() / 2e-6;
            /// assert!((slope - difference).abs() < 1e-8);
            /// ```
            pub fn $name(&self $($(, $attribute: f64)+)?) -> Self {
                crate::tape::apply(crate::scalar::elementwise::Unary($struct { $($($attribute),+)? }), &[self])
            }
        )*}

        #[cfg(feature = "proptest")]
        pub(crate) fn elementwise_cases() -> Vec<crate::testing::Case> {
            use crate::testing::{case, shapes};
            vec![$(
                case!(
                    stringify!($name),
                    (shape, $($($attribute,)+)?) in (shapes(0..=3, 0..=5), $($($range,)+)?),
                    [shape => $low..$high],
                    |x| x.$name($($($attribute),+)?)
                ),
            )*]
        }
    };
    (@gate from) => { false };
    (@gate gate) => { true };
    (@saves input) => { crate::tape::Saves::INPUTS };
    (@saves output) => { crate::tape::Saves::OUTPUT };
    (@saves nothing) => { crate::tape::Saves::NOTHING };
}
pub(crate) use elementwise;
