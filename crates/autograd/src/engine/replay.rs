//! Running a tape again with other values for some of its variables.

use gradus_tensor::{Float, Tensor};

use crate::tape::node::{AddressMap, Origin, Saved, address};
use crate::tape::{Inputs, OperandValue, Tape, Var};

/// The value of `y` if the given variables had these values; all others keep theirs.
///
/// The tape must have been recorded inside of [`keep_values`](crate::keep_values): otherwise it does not keep its
/// constants, nor the operations that decide.
pub(crate) fn replay<T: Float>(y: &Var<T>, given: &[(&Var<T>, &Tensor<T>)]) -> Tensor<T> {
    let mut values: AddressMap<usize, Saved<T>> = AddressMap::default();
    for (var, value) in given {
        values.extend(var.node().map(|node| (address(node), Saved::Value((*value).clone()))));
    }
    for node in Tape::of(y).nodes().iter().filter(|node| !node.is_leaf()) {
        if values.contains_key(&address(node)) {
            continue;
        }
        let operand = |i: usize| {
            let input = &node.inputs[i];
            let given = input.node.as_ref().and_then(|origin| values.get(&address(origin)));
            let value = given.unwrap_or(&input.value).operand();
            value.expect("the tape was recorded inside `keep_values`")
        };
        let operands: Vec<OperandValue<T>> = (0..node.inputs.len()).map(operand).collect();
        let inputs = Inputs(&operands);
        let value = match &node.origin {
            Origin::Leaf | Origin::Input(_) => unreachable!("leaves were left out"),
            Origin::Operation(operation) => Saved::Value(operation.forward(&inputs)),
            Origin::Indices(operation) => Saved::Indices(operation.forward(&inputs)),
            Origin::Mask(operation) => Saved::Mask(operation.forward(&inputs)),
            Origin::Gradient(_) => unreachable!("only traced steps have them"),
            Origin::Detach => Saved::Value(inputs[0].clone()),
        };
        values.insert(address(node), value);
    }
    match y.node().and_then(|node| values.remove(&address(node))) {
        Some(Saved::Value(value)) => value,
        _ => y.value().clone(),
    }
}
