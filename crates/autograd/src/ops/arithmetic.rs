//! Sums and products: what every other rule is made of.

use gradus_tensor::{Float, Tensor};

use crate::operation::{Context, Linearity, Operation, apply};
use crate::saves::Saves;
use crate::var::Var;

#[derive(Debug)]
struct Add;

impl<T: Float> Operation<T> for Add {
    fn name(&self) -> &'static str {
        "add"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0] + inputs[1]
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
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
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0] - inputs[1]
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let g = context.cotangent();
        Some(if input == 0 { g.clone() } else { -g })
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[derive(Debug)]
struct Mul;

impl<T: Float> Operation<T> for Mul {
    fn name(&self) -> &'static str {
        "mul"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0] * inputs[1]
    }
    fn saves(&self) -> Saves {
        Saves::OTHER_INPUTS
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        Some(context.cotangent() * context.input(1 - input))
    }
    fn linearity(&self) -> Linearity {
        Linearity::Multilinear
    }
}

#[derive(Debug)]
struct Div;

impl<T: Float> Operation<T> for Div {
    fn name(&self) -> &'static str {
        "div"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0] / inputs[1]
    }
    fn saves(&self) -> Saves {
        Saves::ALL
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (g, y) = (context.cotangent(), context.input(1));
        Some(if input == 0 { g / y } else { -(g * context.output() / y) })
    }
    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (t, y) = (context.tangent(), context.input(1));
        Some(if input == 0 { t / y } else { -(t * context.output() / y) })
    }
}

#[derive(Debug)]
struct Neg;

impl<T: Float> Operation<T> for Neg {
    fn name(&self) -> &'static str {
        "neg"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        -inputs[0]
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
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
    apply(Mul, &[x, y])
}

#[track_caller]
pub(crate) fn div<T: Float>(x: &Var<T>, y: &Var<T>) -> Var<T> {
    apply(Div, &[x, y])
}

pub(crate) fn neg<T: Float>(x: &Var<T>) -> Var<T> {
    apply(Neg, &[x])
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case, shapes};
    vec![
        case!("add", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => -2.0..2.0], |x, y| x + y),
        case!("sub", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => -2.0..2.0], |x, y| x - y),
        case!("mul", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => -2.0..2.0], |x, y| x * y),
        case!("div", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => 0.5..2.0], |x, y| x / y),
        case!("neg", shape in shapes(0..=3, 0..=5), [shape => -2.0..2.0], |x| -x),
    ]
}
