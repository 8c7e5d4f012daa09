//! Running a tape again with other values for some of its variables.

use gradus_tensor::{Float, Tensor};

use crate::tape::node::{AddressMap, Origin, Saved, address};
use crate::tape::{Inputs, OperandValue, Tape, Var};

/// The value of a node.
enum Value<T> {
    Number(Tensor<T>),
    Indices(Tensor<i64>),
    Mask(Tensor<bool>),
}

impl<T: Float> Value<T> {
    fn operand(&self) -> OperandValue<'_, T> {
        match self {
            Self::Number(value) => OperandValue::Number(value),
            Self::Indices(value) => OperandValue::Indices(value),
            Self::Mask(value) => OperandValue::Mask(value),
        }
    }
}

/// The value of `y` if the given variables had these values; all others keep theirs.
///
/// The tape must have been recorded inside of [`keep_values`](crate::keep_values): otherwise it does not keep its
/// constants, nor the operations that decide.
pub(crate) fn replay<T: Float>(y: &Var<T>, given: &[(&Var<T>, &Tensor<T>)]) -> Tensor<T> {
    let mut values: AddressMap<usize, Value<T>> = AddressMap::default();
    for (var, value) in given {
        values.extend(var.node().map(|node| (address(node), Value::Number((*value).clone()))));
    }
    for node in Tape::of(y).nodes().iter().filter(|node| !node.is_leaf()) {
        if values.contains_key(&address(node)) {
            continue;
        }
        let operand = |i: usize| {
            let input = &node.inputs[i];
            match input.node.as_ref().and_then(|origin| values.get(&address(origin))) {
                Some(value) => value.operand(),
                None => match &input.value {
                    Saved::Value(value) => OperandValue::Number(value),
                    Saved::Indices(value) => OperandValue::Indices(value),
                    Saved::Mask(value) => OperandValue::Mask(value),
                    Saved::Shape(_) => panic!("replay: the tape was not recorded inside `keep_values`"),
                },
            }
        };
        let operands: Vec<OperandValue<T>> = (0..node.inputs.len()).map(operand).collect();
        let inputs = Inputs(&operands);
        let value = match &node.origin {
            Origin::Leaf | Origin::Input(_) => unreachable!("leaves were left out"),
            Origin::Operation(operation) => Value::Number(operation.forward(&inputs)),
            Origin::Indices(operation) => Value::Indices(operation.forward(&inputs)),
            Origin::Mask(operation) => Value::Mask(operation.forward(&inputs)),
            Origin::Detach => Value::Number(inputs[0].clone()),
        };
        values.insert(address(node), value);
    }
    match y.node().and_then(|node| values.remove(&address(node))) {
        Some(Value::Number(value)) => value,
        _ => y.value().clone(),
    }
}
