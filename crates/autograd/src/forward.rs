//! Forward mode: how a result changes when its origins change in given directions.

use std::sync::Arc;

use gradus_tensor::{Float, OrPanic, Tensor};

use crate::backward::vjp_create_graph;
use crate::entry::{AddressMap, Entry, address};
use crate::mode;
use crate::operation::{Context, Linearity, apply_again};
use crate::tape::Tape;
use crate::var::Var;
use crate::walk::{BackwardError, reduce_to};

/// The Jacobian of `y` with respect to some inputs times a tangent for each: the change of `y`, to first
/// order, when the inputs change by their tangents. Zeros if `y` depends on none of them.
///
/// It goes over the tape from the inputs to `y` (Wengert, 1964), once, whatever the number of elements of `y`;
/// [`vjp`](crate::vjp) goes the other way, once whatever the number of inputs.
///
/// ```
/// use gradus_autograd::{Tensor, Var, jvp};
///
/// let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0]));
/// let y = &x * &x;
/// assert_eq!(jvp(&y, &[&x], &[Tensor::from([1.0, 0.0, 10.0])]), Tensor::from([2.0, 0.0, 60.0]));
/// ```
///
/// # Panics
/// If there is not one tangent of the right shape for each input, an input is a constant, or an operation
/// between has no rule.
#[track_caller]
pub fn jvp<T: Float>(y: &Var<T>, inputs: &[&Var<T>], tangents: &[Tensor<T>]) -> Tensor<T> {
    let tangents: Vec<Var<T>> = tangents.iter().map(Var::constant).collect();
    check_tangents("jvp", inputs, &tangents);
    mode::with_recording(false, || tangent_of(y, inputs, &tangents)).or_panic().into_value()
}

/// Like [`jvp`], as a variable that remembers how it depends on inputs and tangents, to be differentiated again.
///
/// ```
/// use gradus_autograd::{Tensor, Var, grad, jvp_create_graph};
///
/// // Reverse over forward: the gradient of a slope is a product with the Hessian.
/// let x = Var::leaf(Tensor::from([1.0, 2.0]));
/// let y = (&x * &x * &x).sum(..);
/// let slope = jvp_create_graph(&y, &[&x], &[Var::constant([1.0, 10.0])]);
/// assert_eq!(grad(&slope, &[&x])[0].value(), &Tensor::from([6.0, 120.0]));
/// ```
///
/// # Panics
/// Like [`jvp`].
#[track_caller]
pub fn jvp_create_graph<T: Float>(y: &Var<T>, inputs: &[&Var<T>], tangents: &[Var<T>]) -> Var<T> {
    check_tangents("jvp_create_graph", inputs, tangents);
    mode::with_recording(true, || tangent_of(y, inputs, tangents)).or_panic()
}

#[track_caller]
fn check_tangents<T: Float>(function: &str, inputs: &[&Var<T>], given: &[Var<T>]) {
    assert!(
        inputs.len() == given.len(),
        "{function}: there are {} inputs and {} tangents: there must be one tangent for each input",
        inputs.len(),
        given.len()
    );
    for (i, (input, tangent)) in inputs.iter().zip(given).enumerate() {
        assert!(
            input.shape() == tangent.shape(),
            "{function}: tangent {i} has shape {:?}, input {i} {:?}: they must be equal",
            tangent.shape(),
            input.shape()
        );
        assert!(
            input.is_tracked(),
            "{function}: input {i} is a constant; make it with `Var::leaf` to give it a tangent"
        );
    }
}

fn tangent_of<T: Float>(y: &Var<T>, inputs: &[&Var<T>], given: &[Var<T>]) -> Result<Var<T>, BackwardError> {
    let mut tangents: AddressMap<usize, Var<T>> = AddressMap::default();
    for (input, tangent) in inputs.iter().zip(given) {
        let Some(entry) = input.entry() else { continue };
        let sum = match tangents.remove(&address(entry)) {
            Some(twice) => twice + tangent,
            None => tangent.clone(),
        };
        tangents.insert(address(entry), sum);
    }
    // An input may itself be the result of others: its change is then the one that was given.
    for entry in Tape::of(y).entries() {
        if !tangents.contains_key(&address(entry))
            && let Some(tangent) = push_forward(entry, &tangents)?
        {
            tangents.insert(address(entry), tangent);
        }
    }
    let found = y.entry().and_then(|entry| tangents.remove(&address(entry)));
    Ok(found.unwrap_or_else(|| Tensor::zeros(y.shape()).into()))
}

/// The tangent of an entry's output from those of its inputs; `None` if none of them changes.
fn push_forward<T: Float>(
    entry: &Arc<Entry<T>>,
    tangents: &AddressMap<usize, Var<T>>,
) -> Result<Option<Var<T>>, BackwardError> {
    let Some(operation) = &entry.operation else { return Ok(None) };
    let of_input = |i: usize| tangents.get(&address(entry.inputs[i].entry.as_ref()?));
    let changing: Vec<(usize, &Var<T>)> =
        (0..entry.inputs.len()).filter_map(|i| Some((i, of_input(i)?))).collect();
    if changing.is_empty() {
        return Ok(None);
    }
    if operation.linearity() == Linearity::Linear {
        let zeros = |i: usize| Tensor::scalar(T::ZERO).expand(entry.inputs[i].value.shape()).into();
        let directions: Vec<Var<T>> =
            (0..entry.inputs.len()).map(|i| of_input(i).cloned().unwrap_or_else(|| zeros(i))).collect();
        return Ok(Some(apply_again(operation, &directions.iter().collect::<Vec<_>>())));
    }
    let mut sum: Option<Var<T>> = None;
    for (i, tangent) in changing {
        let context = Context::new(entry, tangent);
        let contribution = match operation.jvp(&context, i) {
            Some(contribution) => contribution,
            None if operation.linearity() == Linearity::Multilinear => {
                let inputs: Vec<Var<T>> = (0..entry.inputs.len())
                    .map(|j| if j == i { tangent.clone() } else { context.input(j) })
                    .collect();
                apply_again(operation, &inputs.iter().collect::<Vec<_>>())
            }
            None => transpose_vjp(entry, i, tangent)?,
        };
        sum = Some(match sum {
            Some(sum) => sum + contribution,
            None => contribution,
        });
    }
    Ok(sum.map(|sum| if sum.shape() == &entry.shape[..] { sum } else { sum.expand(&entry.shape) }))
}

/// The gradient is linear in the cotangent; its own gradient with respect to the cotangent is the product with
/// the Jacobian that the gradient is a product with the transpose of.
fn transpose_vjp<T: Float>(
    entry: &Arc<Entry<T>>,
    input: usize,
    tangent: &Var<T>,
) -> Result<Var<T>, BackwardError> {
    let operation = entry.operation.as_ref().expect("a leaf has no rule");
    // A leaf as deep as the entry: the walk back to it does not look at what is behind the inputs.
    let leaf = Entry::leaf_at(entry.depth, &entry.shape);
    let cotangent = Var::tracked(Tensor::zeros(&entry.shape[..]), leaf);
    let gradient = mode::with_recording(true, || operation.vjp(&Context::new(entry, &cotangent), input))
        .ok_or_else(|| BackwardError::NoRule { operation: operation.name(), input })?;
    let gradient = mode::with_recording(true, || {
        reduce_to(gradient, entry.inputs[input].value.shape(), operation.name(), input)
    })?;
    let zeros = || Tensor::zeros(&entry.shape[..]).into();
    if !gradient.is_tracked() {
        return Ok(zeros());
    }
    let recorded = mode::is_recording();
    let found = vjp_create_graph(&gradient, tangent, &[&cotangent]).remove(0).unwrap_or_else(zeros);
    Ok(if recorded { found } else { found.detach() })
}
