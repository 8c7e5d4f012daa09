//! How a scalar function and its derivative become an operation.

use gradus_tensor::shapes::broadcast_shapes;
use gradus_tensor::{Float, Shape, Tensor, TensorError};
use smallvec::{SmallVec, smallvec};

use super::expression::Expression;
use super::function::{BinaryFunction, UnaryFunction};
use super::real::{Literal, Plain, Real};
use super::traced::traced;
use crate::engine::gradients_of_composition;
use crate::tape::{Context, InputGradients, Inputs, Operation, Saves, Var, apply};

/// The elementwise operation of a [`UnaryFunction`].
#[derive(Debug)]
pub struct Unary<F>(pub F);

impl<F: UnaryFunction, T: Float> Operation<T> for Unary<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }

    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
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
        let saved = match F::SAVES {
            Saves::OUTPUT => context.output(),
            Saves::NOTHING => cotangent.detach(),
            _ => context.input(0),
        };
        Some(apply(UnaryGradient(self.0.clone()), &[cotangent, &saved]))
    }

    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(1, &|x| self.0.function(x[0])))
    }

    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        // The Jacobian is diagonal, and so its own transpose.
        self.vjp(context, input)
    }
}

/// The elementwise operation of a [`BinaryFunction`].
#[derive(Debug)]
pub struct Binary<F>(pub F);

impl<F: BinaryFunction, T: Float> Operation<T> for Binary<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes(F::NAME, inputs[0], inputs[1]))
    }

    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
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
        let gradient = BinaryGradient { function: self.0.clone(), input };
        Some(apply(gradient, &[context.cotangent(), &context.input(0), &context.input(1)]))
    }

    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(2, &|x| self.0.function(x[0], x[1])))
    }

    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        // But for broadcasting the Jacobian is diagonal, and `zip_many` broadcasts the tangent.
        self.vjp(context, input)
    }
}

/// The gradient of a [`Unary`]: the cotangent times the derivative at what was saved, in one pass.
#[derive(Debug)]
struct UnaryGradient<F>(F);

impl<F: UnaryFunction> UnaryGradient<F> {
    #[inline(always)]
    fn function<R: Real>(&self, [g, saved]: [R; 2]) -> R
    where
        f64: Literal<R>,
    {
        chain(F::GATE, self.0.derivative(saved), g)
    }
}

impl<F: UnaryFunction, T: Float> Operation<T> for UnaryGradient<F> {
    fn name(&self) -> &'static str {
        "unary_gradient"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes(F::NAME, inputs[0], inputs[1]))
    }

    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].zip(
            F::NAME,
            inputs[1],
            #[inline(always)]
            |g, saved| self.function([Plain(g), Plain(saved)]).0,
        )
    }

    fn saves(&self) -> Saves {
        Saves::INPUTS
    }

    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        // Linear in the cotangent.
        let of_cotangent =
            context.needs(0).then(|| apply(Self(self.0.clone()), &[context.cotangent(), &context.input(1)]));
        let of_saved = context.needs(1).then(|| {
            let text = |x: &[Var<T>]| traced(x, |x| self.function([x[0], x[1]]));
            gradients_of_composition(&context.asked_for(&[1]), text).pop().flatten()
        });
        Some(smallvec![of_cotangent, of_saved.flatten()])
    }

    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(2, &|x| self.function([x[0], x[1]])))
    }
}

/// The gradient of a [`Binary`] with respect to an input, in one pass.
#[derive(Debug)]
struct BinaryGradient<F> {
    function: F,
    input: usize,
}

impl<F: BinaryFunction> BinaryGradient<F> {
    #[inline(always)]
    fn function<R: Real>(&self, input: usize, [g, x, y]: [R; 3]) -> R
    where
        f64: Literal<R>,
    {
        chain(F::GATE, self.function.derivatives(x, y)[input], g)
    }
}

impl<F: BinaryFunction, T: Float> Operation<T> for BinaryGradient<F> {
    fn name(&self) -> &'static str {
        "binary_gradient"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        let shape = broadcast_shapes(F::NAME, inputs[1], inputs[2]);
        Some(shape.and_then(|shape| broadcast_shapes(F::NAME, inputs[0], &shape)))
    }

    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let operands = [inputs[0], inputs[1], inputs[2]];
        // One loop for each input: with a constant index, the compiler leaves the other derivative out.
        if self.input == 0 {
            Tensor::zip_many(
                F::NAME,
                operands,
                #[inline(always)]
                |operands| self.function(0, operands.map(Plain)).0,
            )
        } else {
            Tensor::zip_many(
                F::NAME,
                operands,
                #[inline(always)]
                |operands| self.function(1, operands.map(Plain)).0,
            )
        }
    }

    fn saves(&self) -> Saves {
        Saves::INPUTS
    }

    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        // Linear in the cotangent.
        let of_cotangent = context.needs(0).then(|| {
            let again = Self { function: self.function.clone(), input: self.input };
            apply(again, &[context.cotangent(), &context.input(1), &context.input(2)])
        });
        let asked: SmallVec<[usize; 2]> = [1, 2].into_iter().filter(|&i| context.needs(i)).collect();
        let text = |x: &[Var<T>]| traced(x, |x| self.function(self.input, [x[0], x[1], x[2]]));
        let mut gradients = gradients_of_composition(&context.asked_for(&asked), text);
        gradients[0] = of_cotangent;
        Some(gradients)
    }

    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(3, &|x| self.function(self.input, [x[0], x[1], x[2]])))
    }
}

/// A derivative times the cotangent. A cotangent of 0 stays 0, whatever the derivative, and so does anything that a
/// closed gate stops.
#[inline(always)]
fn chain<R: Real>(gate: bool, derivative: R, g: R) -> R {
    if gate { derivative.gate(g) } else { derivative.multiply_no_nan(g) }
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

            crate::scalar::unary_function! {
                $struct { $($($attribute),+)? }, stringify!($name), elementwise!(@saves $source), elementwise!(@gate $kind),
                |$x| $function, |$saved| $derivative
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
            #[track_caller]
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
