//! A tape recorded for one example, run again on all.

use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use super::plan::{VmapPlan, Way};
use super::stacked;
use crate::tape::node::{AddressMap, AddressSet, Input, Node, Origin, Saved, address};
use crate::tape::{
    Batch, Discrete, DiscreteOperation, Discreteness, Indices, Inputs, Lifted, Mask, Operand, Operation,
    OwnedOperand, Var, apply_again,
};

/// The results for all examples, from those for one, whose leaves are at this depth.
#[inline(never)]
#[track_caller]
pub(super) fn run_again<T: Float>(
    depth: usize,
    inputs: &[Lifted<T>],
    examples: &[OwnedOperand<T>],
    results: &[OwnedOperand<T>],
    size: usize,
    mut plan: Option<&mut VmapPlan>,
) -> Vec<OwnedOperand<T>> {
    let mut batched: AddressMap<usize, OwnedOperand<T>> = AddressMap::default();
    for (input, example) in inputs.iter().zip(examples).filter(|(input, _)| input.is_batched) {
        batched.extend(example.node().map(|node| (address(node), input.operand.clone())));
    }
    let nodes = nodes_from(depth, results);
    // The number of times that each is read: then it is let go.
    let mut uses: AddressMap<usize, usize> = AddressMap::default();
    let read = nodes.iter().flat_map(|node| &node.inputs).filter_map(|input| input.node.as_ref());
    for node in read.chain(results.iter().filter_map(OwnedOperand::node)) {
        *uses.entry(address(node)).or_default() += 1;
    }
    for node in nodes.iter().filter(|node| !node.is_leaf()) {
        let inputs: Vec<Lifted<T>> =
            node.inputs.iter().map(|input| lifted(input, depth, &mut batched, &mut uses)).collect();
        if !inputs.iter().any(|input| input.is_batched) {
            continue;
        }
        let batch = Batch { inputs: &inputs, size, output: &node.shape };
        let (result, way) = apply_to_all(node, &batch);
        assert!(
            result.shape() == &batch.raised(&node.shape)[..],
            "vmap: operation `{}` gives shape {:?} for {size} examples and {:?} for one: the first must be the second, after \
             the number of examples",
            node.name(),
            result.shape(),
            node.shape
        );
        if let Some(plan) = &mut plan {
            plan.push(node.name(), way, result.shape());
        }
        batched.insert(address(node), result);
    }
    let all = |result: &OwnedOperand<T>| match result.node().and_then(|node| batched.get(&address(node))) {
        Some(all) => all.clone(),
        None => result.expand(&[&[size], result.shape()].concat()),
    };
    results.iter().map(all).collect()
}

/// The nodes behind results that are at least so deep, origins first.
fn nodes_from<T: Float>(depth: usize, results: &[OwnedOperand<T>]) -> Vec<Arc<Node<T>>> {
    let mut nodes: Vec<Arc<Node<T>>> = Vec::new();
    let mut seen: AddressSet<usize> = AddressSet::default();
    let mut found: Vec<&Arc<Node<T>>> = results.iter().filter_map(OwnedOperand::node).collect();
    while let Some(node) = found.pop() {
        if node.depth >= depth && seen.insert(address(node)) {
            found.extend(node.inputs.iter().filter_map(|input| input.node.as_ref()));
            nodes.push(Arc::clone(node));
        }
    }
    nodes.sort_by_key(|node| (node.depth, node.number));
    nodes
}

/// An input of a node, for all examples if it depends on them.
fn lifted<T: Float>(
    input: &Input<T>,
    depth: usize,
    batched: &mut AddressMap<usize, OwnedOperand<T>>,
    uses: &mut AddressMap<usize, usize>,
) -> Lifted<T> {
    if let Some(place) = input.node.as_ref().map(address)
        && let Some(operand) = batched.get(&place)
    {
        let operand = operand.clone();
        let left = uses.entry(place).and_modify(|uses| *uses -= 1).or_default();
        if *left == 0 {
            batched.remove(&place);
        }
        return Lifted { operand, is_batched: true };
    }
    // Deeper ones are cotangents of a rule that is being transposed.
    let node = input.node.clone().filter(|node| node.depth < depth);
    let operand = match &input.value {
        Saved::Value(value) => OwnedOperand::Var(Var::from_parts(value.clone(), node)),
        Saved::Indices(value) => OwnedOperand::Indices(Indices::from_parts(value.clone(), node)),
        Saved::Mask(value) => OwnedOperand::Mask(Mask::from_parts(value.clone(), node)),
        Saved::Shape(_) => panic!("vmap: the function computes on another thread, where it is not recorded"),
    };
    Lifted { operand, is_batched: false }
}

/// The operation of a node for all examples, and the way in which it was done.
#[track_caller]
fn apply_to_all<T: Float>(node: &Node<T>, batch: &Batch<T>) -> (OwnedOperand<T>, Way) {
    match &node.origin {
        Origin::Leaf | Origin::Input(_) => unreachable!("leaves were left out"),
        Origin::Operation(operation) => {
            let (result, way) = operation_for_all(operation, batch);
            (OwnedOperand::Var(result), way)
        }
        Origin::Indices(operation) => operation.batched(batch).map_or_else(
            || {
                let like = OwnedOperand::Indices(Indices::constant(Tensor::zeros(batch.output)));
                one_by_one(batch, &like, &|operands| OwnedOperand::Indices(decided(operation, operands)))
            },
            |result| (OwnedOperand::Indices(result), Way::Batched),
        ),
        Origin::Mask(operation) => operation.batched(batch).map_or_else(
            || {
                let like = OwnedOperand::Mask(Mask::constant(Tensor::full(batch.output, false)));
                one_by_one(batch, &like, &|operands| OwnedOperand::Mask(decided(operation, operands)))
            },
            |result| (OwnedOperand::Mask(result), Way::Batched),
        ),
        Origin::Gradient(_) => {
            panic!("vmap: in a compiled step, a gradient is computed without its place on the tape")
        }
        Origin::Detach => (OwnedOperand::Var(batch.given(0).detach()), Way::Batched),
    }
}

/// An operation for all examples, and the way in which it was done.
#[track_caller]
pub(super) fn operation_for_all<T: Float>(
    operation: &Arc<dyn Operation<T>>,
    batch: &Batch<T>,
) -> (Var<T>, Way) {
    if let Some(result) = operation.batched(batch) {
        return (result, Way::Batched);
    }
    if operation.expression().is_some() {
        let operands = batch.aligned_all();
        let operands: Vec<Operand<T>> = operands.iter().map(Into::into).collect();
        return (apply_again(operation, &operands), Way::Elementwise);
    }
    let like = OwnedOperand::Var(Var::constant(Tensor::zeros(batch.output)));
    match one_by_one(batch, &like, &|operands| OwnedOperand::Var(apply_again(operation, operands))) {
        (OwnedOperand::Var(result), way) => (result, way),
        _ => unreachable!("the results are numbers"),
    }
}

/// An operation without a rule, on one example after another.
#[track_caller]
fn one_by_one<T: Float>(
    batch: &Batch<T>,
    like: &OwnedOperand<T>,
    apply: &dyn Fn(&[Operand<T>]) -> OwnedOperand<T>,
) -> (OwnedOperand<T>, Way) {
    let at = |place| {
        let operands: Vec<OwnedOperand<T>> = batch.inputs.iter().map(|input| input.at(place)).collect();
        apply(&operands.iter().map(Into::into).collect::<Vec<_>>())
    };
    let all: Vec<OwnedOperand<T>> = (0..batch.size).map(at).collect();
    (stacked(0, &all, like), Way::OneByOne)
}

/// The result of an operation that decides, without a place on the tape.
#[track_caller]
fn decided<T: Float, E: Discreteness<T>>(
    operation: &Arc<dyn DiscreteOperation<T, E>>,
    operands: &[Operand<T>],
) -> Discrete<E, T> {
    let values: Vec<_> = operands.iter().map(|operand| operand.read()).collect();
    let value: Tensor<E> = operation.forward(&Inputs(&values));
    Discrete::constant(value)
}
