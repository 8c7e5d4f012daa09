//! An operation, or its gradient alone, as the same function composed of other operations.

use gradus_tensor::{Float, Tensor};
use smallvec::smallvec;

use super::gradients::{gradients_within, vjp};
use crate::tape::{Context, InputGradients, Inputs, Var, mode};

/// The value of a composition, without its tape.
#[track_caller]
pub(crate) fn forward_of_composition<T: Float>(
    inputs: &Inputs<T>,
    composition: impl FnOnce(&[Var<T>]) -> Var<T>,
) -> Tensor<T> {
    composition(&inputs.numbers().map(Var::constant).collect::<Vec<_>>()).into_value()
}

/// The gradients for all inputs that need one, through a composition of the inputs that are numbers, which runs once.
pub(crate) fn gradients_of_composition<T: Float>(
    context: &Context<T>,
    composition: impl FnOnce(&[Var<T>]) -> Var<T>,
) -> InputGradients<T> {
    let mut composition = Some(composition);
    gradients_of(context, &mut |x| composition.take().expect("it runs once")(x))
}

/// [`gradients_of_composition`], compiled once for all of them.
#[inline(never)]
fn gradients_of<T: Float>(
    context: &Context<T>,
    composition: &mut dyn FnMut(&[Var<T>]) -> Var<T>,
) -> InputGradients<T> {
    let count = context.numbers();
    if !(0..count).any(|i| context.needs(i)) {
        return smallvec![None; count];
    }
    let recorded = context.is_on_tape();
    let inputs: Vec<Var<T>> = (0..count)
        .map(|i| match (recorded, context.needs(i)) {
            // A variable of its own: an input may depend on another, and its own gradient flows there later.
            (true, _) => mode::with_recording(true, || context.input(i).reshape(context.shape(i))),
            (false, true) => Var::leaf(context.input_value(i)),
            (false, false) => context.input(i),
        })
        .collect();
    let needed: Vec<&Var<T>> =
        inputs.iter().enumerate().filter(|(i, _)| context.needs(*i)).map(|(_, input)| input).collect();
    let shape = context.cotangent().shape();
    let y = mode::with_recording(true, || {
        let y = composition(&inputs);
        // An input that the composition does not read takes part in the shape of the operation's result.
        if y.shape() == shape { y } else { y.expand(shape) }
    });
    let mut gradients = if !y.is_tracked() {
        vec![None; needed.len()]
    } else if recorded {
        // Of the tape behind the inputs, nothing is wanted: to walk there would cost a walk for each composition.
        gradients_within("vjp", &y, context.cotangent(), &needed, (&inputs, None), mode::is_recording())
    } else {
        vjp(&y, context.cotangent().raw(), &needed)
    }
    .into_iter();
    let mut gradient = |i| {
        let zeros = || Tensor::zeros(context.shape(i)).into();
        context.needs(i).then(|| gradients.next().flatten().unwrap_or_else(zeros))
    };
    (0..inputs.len()).map(&mut gradient).collect()
}
