//! Checks of what the functions that give gradients are asked for, and their messages.

use gradus_tensor::{Float, Tensor};

use crate::tape::{Tape, Var};

/// Checks that there is a direction of the right shape for each input.
#[track_caller]
pub(super) fn check_directions<'a>(
    function: &str,
    kind: &str,
    inputs: impl ExactSizeIterator<Item = &'a [usize]>,
    directions: impl ExactSizeIterator<Item = &'a [usize]>,
) {
    let (needed, given) = (inputs.len(), directions.len());
    assert!(
        needed == given,
        "{function}: there are {needed} inputs and {given} {kind}s: there must be one {kind} for each input"
    );
    for (i, (input, direction)) in inputs.zip(directions).enumerate() {
        assert!(
            input == direction,
            "{function}: {kind} {i} has shape {direction:?}, input {i} {input:?}: they must be equal"
        );
    }
}

/// A one in the shape of a result of one element.
#[track_caller]
pub(super) fn scalar_seed<T: Float>(function: &str, y: &Var<T>) -> Tensor<T> {
    if y.len() != 1 {
        let instead = if function.starts_with("backward") { "backward_with(&cotangent)" } else { "vjp" };
        panic!(
            "{function}: the result has shape {:?}, and only one element has a gradient; \
         reduce it, for example with `.sum(..)`, or give its cotangent with `{instead}`",
            y.shape()
        );
    }
    Tensor::ones(y.shape())
}

#[track_caller]
pub(super) fn check_cotangent<T: Float>(function: &str, y: &Var<T>, cotangent: &Tensor<T>) {
    assert!(
        y.shape() == cotangent.shape(),
        "{function}: the cotangent has shape {:?}, the result {:?}: they must be equal",
        cotangent.shape(),
        y.shape()
    );
}

#[track_caller]
pub(super) fn not_tracked(function: &str) -> ! {
    panic!(
        "{function}: the result is a constant: it was made from no `Var::leaf` and no trainable parameter, \
         or inside `no_grad`, or is a gradient that was not recorded (`grad_create_graph` records it)"
    )
}

#[track_caller]
pub(super) fn require<T: Float>(
    function: &str,
    gradients: Vec<Option<Var<T>>>,
    inputs: &[&Var<T>],
) -> Vec<Var<T>> {
    if let Some(i) = gradients.iter().position(Option::is_none) {
        panic!(
            "{function}: the result does not depend on input {i} (shape {:?}); `vjp` gives None for such an input",
            inputs[i].shape()
        );
    }
    gradients.into_iter().flatten().collect()
}

/// Names the first operation on the tape that is known to have made a number of some kind.
pub(super) fn first_on_tape<T: Float>(
    y: &Var<T>,
    kind: &str,
    is: impl Fn(&Tensor<T>) -> Tensor<bool>,
) -> String {
    let tape = Tape::of(y);
    let culprit = tape.iter().find(|node| node.output().is_some_and(|value| is(value).any(..).item()));
    match culprit {
        Some(node) => format!("; the first {kind} known to the tape is {node}"),
        None => "; run the forward pass inside `keep_values` to learn which operation made it".into(),
    }
}
