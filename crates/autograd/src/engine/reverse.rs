//! The walk over the tape: from the result back to its origins, deepest node first.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry as Slot;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use gradus_tensor::shapes::{place_of, sum_to_size_shape};
use gradus_tensor::{Float, Shape, Tensor};

use super::vmap;
use crate::tape::anomaly::{call_of, is_finite};
use crate::tape::node::{AddressMap, AddressSet, Node, address};
use crate::tape::rule_call::RuleCall;
use crate::tape::{Context, Found, InputGradients, Operation, Var, example, mode, watch};

/// The first capacity of the table of gradients, enough for most small models.
const FEW: usize = 14;

/// The errors of a backward pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackwardError {
    #[error(
        "backward: operation `{operation}` has no gradient rule for input {input}; \
         implement `Operation::vjp` for it, or `detach` the input"
    )]
    NoRule { operation: &'static str, input: usize },
    #[error(
        "backward: the rule of operation `{operation}` for input {input} gave a gradient of shape {got:?}, \
         which does not reduce to the input's {expected:?}"
    )]
    RuleShape { operation: &'static str, input: usize, got: Shape, expected: Shape },
    #[error(
        "backward: the gradient of `{operation}` for element {place:?} of input {input} is {gradient}, from finite \
         gradients; there the input is {value}{call}"
    )]
    NotFinite {
        operation: &'static str,
        input: usize,
        place: Shape,
        gradient: f64,
        value: String,
        call: String,
    },
    #[error(
        "backward: the gradient for element {place:?} of the result of `{origin}` is {gradient}, a sum of finite \
         gradients{call}"
    )]
    InfiniteSum { origin: &'static str, place: Shape, gradient: f64, call: String },
}

/// A node that waits for its turn; the deepest is the greatest.
struct Pending<T: Float>(Arc<Node<T>>);

impl<T: Float> Ord for Pending<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equally deep nodes the last made is first: contributions then add up in one order, whatever else is
        // walked.
        (self.0.depth, self.0.number).cmp(&(other.0.depth, other.0.number))
    }
}
impl<T: Float> PartialOrd for Pending<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T: Float> PartialEq for Pending<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<T: Float> Eq for Pending<T> {}

/// How far a walk goes.
pub(crate) struct Reach<'a, T: Float> {
    /// The nodes whose gradients are wanted, besides the leaves.
    pub(crate) wanted: &'a dyn Fn(&Arc<Node<T>>) -> bool,
    /// Nothing is wanted behind nodes of a lesser depth.
    pub(crate) floor: usize,
    /// The nodes behind which nothing is wanted.
    pub(crate) ends: &'a dyn Fn(&Arc<Node<T>>) -> bool,
    /// Rules in place of the operations' own, for nodes that it has one for.
    pub(crate) rule: Option<&'a OtherRule<'a, T>>,
    /// Is told of each leaf as soon as its gradient is complete.
    pub(crate) complete: Option<&'a LeafIsComplete<'a, T>>,
}

/// Takes a leaf and its gradient.
pub(crate) type LeafIsComplete<'a, T> = dyn Fn(&Arc<Node<T>>, &Var<T>) + 'a;

/// The gradients of a node by another rule than its operation's; `None` for the operation's own.
pub(crate) type OtherRule<'a, T> = dyn Fn(&Arc<Node<T>>, &Context<T>) -> Option<InputGradients<T>> + 'a;

/// The gradients of the leaves and of all other nodes that are wanted, as far as the walk reaches.
///
/// A node is deeper than all its inputs. So once it is the deepest one waiting, every node made from it is done,
/// and its gradient is complete: this is the order of the tape read backwards, without
/// sorting it first. Nodes are let go as soon as they are done.
#[inline(never)]
pub(crate) fn walk<T: Float>(
    root: Arc<Node<T>>,
    cotangent: Var<T>,
    Reach { wanted, floor, ends, rule, complete }: Reach<'_, T>,
) -> Result<Found<T>, BackwardError> {
    let _scope = watch::named("backward", file!());
    let leads_on = |node: &Arc<Node<T>>| !node.is_leaf() && node.depth > floor && !ends(node);
    // Shared with the rules, which may add to a gradient in place.
    let gradients = RefCell::new(Found::with_capacity_and_hasher(FEW, BuildHasherDefault::new()));
    let mut complete = complete.map(|complete| (complete, uses_of_leaves(&root)));
    let mut pending = BinaryHeap::new();
    if leads_on(&root) {
        pending.push(Pending(Arc::clone(&root)));
    }
    gradients.borrow_mut().insert(address(&root), (root, cotangent));
    while let Some(Pending(node)) = pending.pop() {
        let (_, gradient) =
            gradients.borrow_mut().remove(&address(&node)).expect("whatever waits has a gradient");
        let context = Context::new(&node, &gradient).within(&gradients, floor);
        let detecting = mode::is_detecting() && is_finite(gradient.numbers());
        let mut anomaly = None;
        each_gradient(&node, &context, rule, &mut |i, contribution| {
            let origin = node.inputs[i].differentiable().expect("a gradient is needed");
            if detecting && anomaly.is_none() && !is_finite(contribution.numbers()) {
                anomaly = Some(not_finite(&node, i, contribution.numbers()));
            }
            let replaces = context.has_taken();
            match gradients.borrow_mut().entry(address(origin)) {
                // The first contribution is moved in, not added to zeros.
                Slot::Vacant(slot) => {
                    slot.insert((Arc::clone(origin), contribution));
                    if leads_on(origin) {
                        pending.push(Pending(Arc::clone(origin)));
                    }
                }
                Slot::Occupied(mut slot) if replaces => slot.get_mut().1 = contribution,
                Slot::Occupied(mut slot) => {
                    let sum = std::mem::replace(&mut slot.get_mut().1, gradient.clone());
                    let sum = add(sum, contribution);
                    if detecting && anomaly.is_none() && !is_finite(sum.numbers()) {
                        anomaly = Some(infinite_sum(origin, sum.numbers()));
                    }
                    slot.get_mut().1 = sum;
                }
            }
        })?;
        if let Some(anomaly) = anomaly {
            return Err(anomaly);
        }
        if let Some((complete, uses)) = &mut complete {
            for leaf in leaves(&node) {
                let left = uses.get_mut(&address(leaf)).expect("its uses were counted");
                *left -= 1;
                if *left == 0 {
                    complete(leaf, &gradients.borrow()[&address(leaf)].1);
                }
            }
        }
        if wanted(&node) {
            gradients.borrow_mut().insert(address(&node), (node, gradient));
        }
    }
    Ok(gradients.into_inner())
}

/// The leaves among the inputs of a node that have a gradient; one that is there twice, twice.
fn leaves<T: Float>(node: &Node<T>) -> impl Iterator<Item = &Arc<Node<T>>> {
    node.inputs.iter().filter_map(|input| input.differentiable()).filter(|input| input.is_leaf())
}

/// For each leaf, the number of inputs of other nodes that it is, and so of contributions to its gradient.
fn uses_of_leaves<T: Float>(root: &Arc<Node<T>>) -> AddressMap<usize, usize> {
    let mut uses = AddressMap::<usize, usize>::default();
    let (mut seen, mut ahead) = (AddressSet::<usize>::default(), vec![root]);
    while let Some(node) = ahead.pop() {
        if seen.insert(address(node)) {
            leaves(node).for_each(|leaf| *uses.entry(address(leaf)).or_default() += 1);
            let inputs = node.inputs.iter().filter_map(|input| input.differentiable());
            ahead.extend(inputs.filter(|input| !input.is_leaf()));
        }
    }
    uses
}

/// The error of a gradient with a number that is not finite.
fn not_finite<T: Float>(node: &Node<T>, input: usize, gradient: &Tensor<T>) -> BackwardError {
    let flat = gradient.iter().position(|x| !x.is_finite()).expect("a number is not finite");
    let at = |x: &Tensor<T>| x.iter().nth(flat).expect("the shapes are equal");
    let value = node.inputs[input].value.value().map_or("unknown".into(), |value| at(value).to_string());
    let number = at(gradient).to_f64();
    let place = place_of(flat, gradient.shape());
    let (operation, call) = (node.name(), call_of(node));
    BackwardError::NotFinite { operation, input, place, gradient: number, value, call }
}

/// The error of finite gradients for one node whose sum is not finite.
fn infinite_sum<T: Float>(origin: &Node<T>, sum: &Tensor<T>) -> BackwardError {
    let flat = sum.iter().position(|x| !x.is_finite()).expect("a number is not finite");
    let gradient = sum.iter().nth(flat).expect("it was found").to_f64();
    let place = place_of(flat, sum.shape());
    BackwardError::InfiniteSum { origin: origin.name(), place, gradient, call: call_of(origin) }
}

/// Hands the gradient for each input that needs one to `take`, in the input's shape.
pub(crate) fn each_gradient<T: Float>(
    node: &Arc<Node<T>>,
    context: &Context<T>,
    rule: Option<&OtherRule<T>>,
    take: &mut dyn FnMut(usize, Var<T>),
) -> Result<(), BackwardError> {
    let operation = node.operation().expect("gradients flow through operations on numbers");
    let _frame = watch::begin_rule(operation, node);
    let for_examples = mode::has_examples() && context.is_on_tape() && example::depends(node);
    if mode::is_tracing() && rule.is_none() && !for_examples {
        return each_traced_gradient(node, &**operation, context, take);
    }
    let other = rule.and_then(|rule| rule(node, context));
    let mut all = other.or_else(|| {
        if for_examples { vmap::vjps_of_example(operation, context) } else { operation.vjps(context) }
    });
    for (i, input) in node.inputs.iter().enumerate().filter(|(i, _)| context.needs(*i)) {
        let gradient = match &mut all {
            Some(all) => all.get_mut(i).and_then(Option::take),
            None if for_examples => vmap::vjp_of_example(operation, context, i),
            None => operation.vjp(context, i),
        };
        let gradient =
            gradient.ok_or_else(|| BackwardError::NoRule { operation: operation.name(), input: i })?;
        take(i, reduce_to(gradient, input.value.shape(), operation.name(), i)?);
    }
    Ok(())
}

/// [`each_gradient`] of a step that is traced: the gradients of a rule that reads numbers are one line of the trace, and
/// the rule runs again as a whole.
#[cold]
fn each_traced_gradient<T: Float>(
    node: &Arc<Node<T>>,
    operation: &dyn Operation<T>,
    context: &Context<T>,
    take: &mut dyn FnMut(usize, Var<T>),
) -> Result<(), BackwardError> {
    let needed: Vec<usize> = (0..node.inputs.len()).filter(|&i| context.needs(i)).collect();
    let (all, looked) = mode::looking(|| operation.vjps(context));
    let together = all.is_some().then(|| RuleCall::new(node, context.cotangent(), needed.clone(), true));
    let mut all = all;
    for i in needed {
        let (gradient, looked, call) = if let (Some(all), Some(call)) = (&mut all, &together) {
            (all.get_mut(i).and_then(Option::take), looked, Arc::clone(call))
        } else {
            let (gradient, looked) = mode::looking(|| operation.vjp(context, i));
            (gradient, looked, RuleCall::new(node, context.cotangent(), vec![i], false))
        };
        let gradient =
            gradient.ok_or_else(|| BackwardError::NoRule { operation: operation.name(), input: i })?;
        let gradient = if looked { RuleCall::result(call, i, gradient) } else { gradient };
        take(i, reduce_to(gradient, node.inputs[i].value.shape(), operation.name(), i)?);
    }
    Ok(())
}

/// The sum of two contributions; in place where that is safe and nothing is recorded.
fn add<T: Float>(sum: Var<T>, contribution: Var<T>) -> Var<T> {
    if sum.node().is_some() || contribution.node().is_some() {
        return sum + contribution;
    }
    let mut total = sum.into_value();
    total += contribution.numbers();
    total.into()
}

/// Undoes broadcasting: sums over the axes that were added or repeated.
fn reduce_to<T: Float>(
    gradient: Var<T>,
    shape: &[usize],
    operation: &'static str,
    input: usize,
) -> Result<Var<T>, BackwardError> {
    if gradient.shape() == shape {
        return Ok(gradient);
    }
    match sum_to_size_shape(gradient.shape(), shape) {
        Ok(_) => Ok(gradient.sum_to_size(shape)),
        Err(_) => Err(BackwardError::RuleShape {
            operation,
            input,
            got: gradient.shape().into(),
            expected: shape.into(),
        }),
    }
}
