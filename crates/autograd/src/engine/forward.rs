//! Forward mode: how a result changes when its origins change in given directions.

use std::sync::Arc;

use gradus_tensor::{Float, OrPanic, Tensor};

use super::checks::check_directions;
use super::gradients::vjp_create_graph;
use super::reverse::{BackwardError, each_gradient};
use crate::tape::node::{AddressMap, Node, address};
use crate::tape::{Context, Linearity, Operation, OwnedOperand, Tape, Var, apply_again, mode};

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
    let shapes = (inputs.iter().map(|x| x.shape()), given.iter().map(Var::shape));
    check_directions(function, "tangent", shapes.0, shapes.1);
    for (i, input) in inputs.iter().enumerate() {
        assert!(
            input.is_tracked(),
            "{function}: input {i} is a constant; make it with `Var::leaf` to give it a tangent"
        );
    }
}

fn tangent_of<T: Float>(y: &Var<T>, inputs: &[&Var<T>], given: &[Var<T>]) -> Result<Var<T>, BackwardError> {
    let mut tangents: AddressMap<usize, Var<T>> = AddressMap::default();
    for (input, tangent) in inputs.iter().zip(given) {
        let Some(node) = input.node() else { continue };
        let sum = match tangents.remove(&address(node)) {
            Some(twice) => twice + tangent,
            None => tangent.clone(),
        };
        tangents.insert(address(node), sum);
    }
    // An input may itself be the result of others: its change is then the one that was given.
    for node in Tape::of(y).nodes() {
        if !tangents.contains_key(&address(node))
            && let Some(tangent) = push_forward(node, &tangents)?
        {
            tangents.insert(address(node), tangent);
        }
    }
    let found = y.node().and_then(|node| tangents.remove(&address(node)));
    Ok(found.unwrap_or_else(|| Tensor::zeros(y.shape()).into()))
}

/// The tangent of a node's output, from the tangents of its inputs; `None` if no input changes.
fn push_forward<T: Float>(
    node: &Arc<Node<T>>,
    tangents: &AddressMap<usize, Var<T>>,
) -> Result<Option<Var<T>>, BackwardError> {
    // In a traced step, operations inside of `no_grad` are nodes, too.
    let Some(operation) = node.operation().filter(|_| node.is_differentiable) else { return Ok(None) };
    let of_input = |i: usize| tangents.get(&address(node.inputs[i].node.as_ref()?));
    let changing: Vec<(usize, &Var<T>)> =
        (0..node.inputs.len()).filter_map(|i| Some((i, of_input(i)?))).collect();
    if changing.is_empty() {
        return Ok(None);
    }
    if operation.linearity() == Linearity::Linear {
        let zeros = |i: usize| Tensor::scalar(T::ZERO).expand(node.inputs[i].value.shape()).into();
        let direction = |i: usize| of_input(i).cloned().unwrap_or_else(|| zeros(i));
        return Ok(Some(apply_to_numbers(operation, &Context::new(node, changing[0].1), direction)));
    }
    let mut contributions = Vec::with_capacity(changing.len());
    let mut by_transposition = Vec::new();
    for (i, tangent) in changing {
        let context = Context::new(node, tangent);
        match operation.jvp(&context, i) {
            Some(contribution) => contributions.push(contribution),
            None if operation.linearity() == Linearity::Multilinear => {
                let input = |j: usize| if j == i { tangent.clone() } else { context.input(j) };
                contributions.push(apply_to_numbers(operation, &context, input));
            }
            None => by_transposition.push((i, tangent)),
        }
    }
    if !by_transposition.is_empty() {
        contributions.extend(transpose_vjp(node, &by_transposition)?);
    }
    let sum = contributions.into_iter().reduce(|sum, contribution| sum + contribution);
    let sum = sum.or_else(|| Some(Tensor::zeros(&node.shape[..]).into()));
    Ok(sum.map(|sum| if sum.shape() == &node.shape[..] { sum } else { sum.expand(&node.shape) }))
}

/// An operation with other numbers as inputs, and the same indices and masks.
pub(crate) fn apply_to_numbers<T: Float>(
    operation: &Arc<dyn Operation<T>>,
    context: &Context<T>,
    numbers: impl Fn(usize) -> Var<T>,
) -> Var<T> {
    let inputs: Vec<OwnedOperand<T>> = (0..context.inputs())
        .map(|i| context.operand(i).unwrap_or_else(|| OwnedOperand::Var(numbers(i))))
        .collect();
    apply_again(operation, &inputs.iter().map(Into::into).collect::<Vec<_>>())
}

/// The gradient is linear in the cotangent; its own gradient with respect to the cotangent is the product with
/// the Jacobian that the gradient is a product with the transpose of.
fn transpose_vjp<T: Float>(
    node: &Arc<Node<T>>,
    tangents: &[(usize, &Var<T>)],
) -> Result<Option<Var<T>>, BackwardError> {
    // A leaf as deep as the node: the walk back to it does not look at what is behind the inputs.
    let leaf = Node::leaf_at(node.depth, &node.shape);
    let cotangent = Var::tracked(Tensor::zeros(&node.shape[..]), leaf);
    let asked: Vec<usize> = tangents.iter().map(|(i, _)| *i).collect();
    let mut gradients = Vec::with_capacity(asked.len());
    mode::with_recording(true, || {
        let context = Context::new(node, &cotangent).asked_for(&asked);
        each_gradient(node, &context, None, &mut |_, gradient| gradients.push(gradient))
    })?;
    let recorded = mode::is_recording();
    let pairs = gradients.iter().zip(tangents).filter(|(gradient, _)| gradient.is_tracked());
    let found = pairs
        .filter_map(|(gradient, (_, tangent))| vjp_create_graph(gradient, tangent, &[&cotangent]).remove(0));
    let sum = found.reduce(|sum, contribution| sum + contribution);
    Ok(sum.map(|sum| if recorded { sum } else { sum.detach() }))
}
