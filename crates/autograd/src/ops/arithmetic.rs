//! Sums and products: what every other rule is made of.

use gradus_tensor::shapes::broadcast_shapes;
use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::scalar::{Expression, Real};
use crate::tape::{Context, Inputs, Linearity, Operation, Saves, Var, apply};

#[derive(Debug)]
struct Add;

impl<T: Float> Operation<T> for Add {
    fn name(&self) -> &'static str {
        "add"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes("add", inputs[0], inputs[1]))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0] + inputs[1]
    }
    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(2, &|x| x[0] + x[1]))
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        Some(context.cotangent().clone())
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[derive(Debug)]
struct Sub;

impl<T: Float> Operation<T> for Sub {
    fn name(&self) -> &'static str {
        "sub"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes("sub", inputs[0], inputs[1]))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0] - inputs[1]
    }
    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(2, &|x| x[0] - x[1]))
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let g = context.cotangent();
        Some(if input == 0 { g.clone() } else { -g })
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

/// Which factors of a product, by being exactly 0, make it 0 even if the other one is infinite or NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StrongZero {
    Neither,
    Second,
    Either,
}

#[derive(Debug)]
struct Mul(StrongZero);

impl<T: Float> Operation<T> for Mul {
    fn name(&self) -> &'static str {
        if self.0 == StrongZero::Neither { "mul" } else { "multiply_no_nan" }
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes("mul", inputs[0], inputs[1]))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        match self.0 {
            StrongZero::Neither => inputs[0] * inputs[1],
            StrongZero::Second => inputs[0].multiply_no_nan(inputs[1]),
            StrongZero::Either => inputs[0].zip(
                "multiply_no_nan",
                inputs[1],
                #[inline(always)]
                |x, y| if x == T::ZERO { x } else { x.multiply_no_nan(y) },
            ),
        }
    }
    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(2, &|x| match self.0 {
            StrongZero::Neither => x[0] * x[1],
            StrongZero::Second => x[0].multiply_no_nan(x[1]),
            StrongZero::Either => x[0].eq(0.0).select(x[0], x[0].multiply_no_nan(x[1])),
        }))
    }
    fn saves(&self) -> Saves {
        Saves::OTHER_INPUTS
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (g, other) = (context.cotangent(), context.input(1 - input));
        let other_is_strong = match self.0 {
            StrongZero::Neither => false,
            StrongZero::Second => input == 0,
            StrongZero::Either => true,
        };
        Some(if other_is_strong { other.gated(g) } else { chained(&other, g) })
    }
    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        self.vjp(context, input)
    }
}

#[derive(Debug)]
struct Div {
    /// Whether a dividend of exactly 0 makes the quotient 0 even if the divisor is 0 or NaN.
    strong_zero: bool,
}

impl<T: Float> Operation<T> for Div {
    fn name(&self) -> &'static str {
        "div"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes("div", inputs[0], inputs[1]))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        if self.strong_zero {
            inputs[0].zip(
                "div",
                inputs[1],
                #[inline(always)]
                |x, y| if x == T::ZERO { x } else { x / y },
            )
        } else {
            inputs[0] / inputs[1]
        }
    }
    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(2, &|x| {
            let quotient = x[0] / x[1];
            if self.strong_zero { x[0].eq(0.0).select(x[0], quotient) } else { quotient }
        }))
    }
    fn saves(&self) -> Saves {
        Saves::ALL
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (g, y) = (context.cotangent(), context.input(1));
        Some(match (input, self.strong_zero) {
            (0, _) => divided(g, &y),
            (_, false) => -divided(&chained(&context.output(), g), &y),
            (_, true) => -divided(&context.output().gated(g), &y),
        })
    }
    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        self.vjp(context, input)
    }
}

#[derive(Debug)]
struct Neg;

impl<T: Float> Operation<T> for Neg {
    fn name(&self) -> &'static str {
        "neg"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        -inputs[0]
    }
    fn expression(&self) -> Option<Expression> {
        Some(Expression::of(1, &|x| -x[0]))
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        Some(-context.cotangent())
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[track_caller]
pub(crate) fn add<T: Float>(x: &Var<T>, y: &Var<T>) -> Var<T> {
    apply(Add, &[x, y])
}

#[track_caller]
pub(crate) fn sub<T: Float>(x: &Var<T>, y: &Var<T>) -> Var<T> {
    apply(Sub, &[x, y])
}

#[track_caller]
pub(crate) fn mul<T: Float>(x: &Var<T>, y: &Var<T>) -> Var<T> {
    apply(Mul(StrongZero::Neither), &[x, y])
}

/// A derivative times the cotangent. A cotangent of exactly 0 stays 0, whatever the derivative: where a result has no
/// influence, neither has an input, even if the derivative is infinite or NaN there.
pub(crate) fn chained<T: Float>(derivative: &Var<T>, cotangent: &Var<T>) -> Var<T> {
    apply(Mul(StrongZero::Second), &[derivative, cotangent])
}

/// A cotangent divided by a number. A cotangent of exactly 0 stays 0, as in [`chained`].
pub(crate) fn divided<T: Float>(cotangent: &Var<T>, divisor: &Var<T>) -> Var<T> {
    apply(Div { strong_zero: true }, &[cotangent, divisor])
}

impl<T: Float> Var<T> {
    /// This derivative times the cotangent, as in [`chained`], where a derivative of exactly 0 means a closed gate:
    /// it lets no cotangent through, not even an infinite one or NaN.
    pub(crate) fn gated(&self, cotangent: &Self) -> Self {
        apply(Mul(StrongZero::Either), &[self, cotangent])
    }

    /// The product, and 0 where `other` is 0, even if this is infinite or NaN there: what has weight 0 has no
    /// influence on value and gradient.
    ///
    /// Elementwise, against a variable that broadcasts, a tensor or a number.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([2.0, f64::NAN]));
    /// let y = x.multiply_no_nan([3.0, 0.0]);
    /// assert_eq!(y.value(), &Tensor::from([6.0, 0.0]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([3.0, 0.0])));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn multiply_no_nan(&self, other: impl Into<Self>) -> Self {
        apply(Mul(StrongZero::Second), &[self, &other.into()])
    }
}

#[track_caller]
pub(crate) fn div<T: Float>(x: &Var<T>, y: &Var<T>) -> Var<T> {
    apply(Div { strong_zero: false }, &[x, y])
}

#[track_caller]
pub(crate) fn neg<T: Float>(x: &Var<T>) -> Var<T> {
    apply(Neg, &[x])
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case, shapes};
    vec![
        case!("add", (a, b) in broadcast_pair(), [a, b], |x, y| x + y),
        case!("sub", (a, b) in broadcast_pair(), [a, b], |x, y| x - y),
        case!("mul", (a, b) in broadcast_pair(), [a, b], |x, y| x * y),
        case!("multiply_no_nan", (a, b) in broadcast_pair(), [a, b], |x, y| x.multiply_no_nan(y)),
        case!("div", (a, b) in broadcast_pair(), [a, b => 0.5..2.0], |x, y| x / y),
        case!("neg", shape in shapes(0..=3, 0..=5), [shape], |x| -x),
    ]
}
