//! The gradient of an operation as an operation of its own.
//!
//! A rule that is run for one example becomes part of its tape, and is run again for all examples as what it is made of. A
//! rule that looks at numbers cannot: what it chose for one example is not right for the others. In its place, the tape
//! gets one operation, whose rule for all examples is the gradient of the operation for all examples.

use std::any::TypeId;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use gradus_tensor::{Float, Shape, Tensor, TensorError};

use super::again::operation_for_all;
use crate::engine::gradients::{gradients_within, vjp, vjp_create_graph};
use crate::engine::gradients_of_composition;
use crate::tape::{
    Batch, Context, Indices, InputGradients, Inputs, Lifted, Mask, Operand, OperandValue, Operation,
    OwnedOperand, Var, apply, apply_again, example, mode,
};

/// The rule of an operation for all inputs, where the operation depends on an example of `vmap`.
pub(in crate::engine) fn vjps_of_example<T: Float>(
    operation: &Arc<dyn Operation<T>>,
    context: &Context<T>,
) -> Option<InputGradients<T>> {
    // The gradient of such a gradient is one, too: its rule would make it again.
    if operation.kind() != TypeId::of::<GradientOf<T>>() {
        // A gradient that was taken to be added to in place is gone.
        let forgives = |found: &Option<_>| found.is_some() && !context.took();
        let (gradients, reads) = example::reads(|| mode::looking(|| operation.vjps(context)).0, forgives);
        if !reads {
            return gradients;
        }
    }
    let gradient = |input| context.needs(input).then(|| gradient_of(operation, context, input));
    Some((0..context.inputs()).map(gradient).collect())
}

/// The rule of an operation for one input; see [`vjps_of_example`].
pub(in crate::engine) fn vjp_of_example<T: Float>(
    operation: &Arc<dyn Operation<T>>,
    context: &Context<T>,
    input: usize,
) -> Option<Var<T>> {
    let (gradient, reads) = example::reads(
        || mode::looking(|| operation.vjp(context, input)).0,
        |found| found.is_some() && !context.took(),
    );
    if reads { Some(gradient_of(operation, context, input)) } else { gradient }
}

fn gradient_of<T: Float>(operation: &Arc<dyn Operation<T>>, context: &Context<T>, input: usize) -> Var<T> {
    let operands: Vec<OwnedOperand<T>> = std::iter::once(OwnedOperand::Var(context.cotangent().clone()))
        .chain(
            (0..context.inputs())
                .map(|i| context.operand(i).unwrap_or_else(|| OwnedOperand::Var(context.input(i)))),
        )
        .collect();
    let operands: Vec<Operand<T>> = operands.iter().map(Into::into).collect();
    apply(GradientOf { operation: Arc::clone(operation), input }, &operands)
}

/// The gradient of an operation for one of its inputs. The inputs are the cotangent and the operation's inputs.
pub(in crate::engine) struct GradientOf<T: Float> {
    operation: Arc<dyn Operation<T>>,
    input: usize,
}

impl<T: Float> Debug for GradientOf<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "GradientOf {{ {}: {} }}", self.operation.name(), self.input)
    }
}

impl<T: Float> Operation<T> for GradientOf<T> {
    fn name(&self) -> &'static str {
        "gradient_of"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[1 + self.input].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let operand = |(i, &value): (usize, &OperandValue<T>)| match value {
            OperandValue::Number(x) if i == self.input => OwnedOperand::Var(Var::leaf(x)),
            OperandValue::Number(x) => OwnedOperand::Var(Var::constant(x)),
            OperandValue::Indices(x) => OwnedOperand::Indices(Indices::constant(x)),
            OperandValue::Mask(x) => OwnedOperand::Mask(Mask::constant(x)),
        };
        let operands: Vec<OwnedOperand<T>> = inputs.0[1..].iter().enumerate().map(operand).collect();
        let y = mode::with_recording(true, || {
            apply_again(&self.operation, &operands.iter().map(Into::into).collect::<Vec<_>>())
        });
        let x = operands[self.input].var().expect("it is numbers");
        let gradient = vjp(&y, inputs[0], &[x]).remove(0);
        gradient.map_or_else(|| Tensor::zeros(x.shape()), Var::into_value)
    }
    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        Some(gradients_of_composition(context, |numbers| {
            let tracked = |x: &Var<T>| if x.is_tracked() { x.clone() } else { Var::leaf(x.raw()) };
            let operand = |i: usize| match context.operand(1 + i) {
                Some(discrete) => discrete,
                None if i == self.input => OwnedOperand::Var(tracked(&numbers[1 + i])),
                None => OwnedOperand::Var(numbers[1 + i].clone()),
            };
            let operands: Vec<OwnedOperand<T>> = (0..context.inputs() - 1).map(operand).collect();
            let y = apply_again(&self.operation, &operands.iter().map(Into::into).collect::<Vec<_>>());
            let x = operands[self.input].var().expect("it is numbers");
            let gradient = vjp_create_graph(&y, &numbers[0], &[x]).remove(0);
            gradient.unwrap_or_else(|| Var::constant(Tensor::zeros(x.shape())))
        }))
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Var<T>> {
        let recorded = mode::is_recording();
        let x = batch.var(1 + self.input);
        // A variable of its own, for all examples: the gradient is wanted for each of them.
        let x = if recorded && x.is_tracked() { x.reshape(x.shape()) } else { Var::leaf(x.raw()) };
        let mut inputs: Vec<Lifted<T>> = batch.inputs[1..].to_vec();
        inputs[self.input] = Lifted { operand: OwnedOperand::Var(x.clone()), is_batched: true };
        let output = &batch.shape(0);
        let batch_of_operation = Batch { inputs: &inputs, size: batch.size(), output };
        let y = mode::with_recording(true, || operation_for_all(&self.operation, &batch_of_operation).0);
        let gradient = if y.is_tracked() {
            gradients_within("vjp", &y, &batch.var(0), &[&x], (std::slice::from_ref(&x), None), recorded)
                .remove(0)
        } else {
            None
        };
        Some(gradient.unwrap_or_else(|| Var::constant(Tensor::zeros(x.shape()))))
    }
}
