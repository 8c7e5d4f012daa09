//! Running a program.

use std::sync::Arc;

use gradus_tensor::fused::FusedInput;
use gradus_tensor::{Float, Shape, Tensor};
use smallvec::SmallVec;

use super::plan::{Instruction, Kind, Memory, Place, Plan, Registers, Rule};
use crate::tape::node::{Input, Node, Origin, Saved};
use crate::tape::{Context, Inputs, OperandValue, Var, mode};

/// A member of a model, while a program runs.
#[derive(Debug)]
pub enum External<'a, T: Float> {
    /// The numbers of a parameter or a buffer.
    Number(&'a mut Tensor<T>),
    /// A counter.
    Counter(&'a mut i64),
    /// Anything that programs do not read.
    Other,
}

/// The operands that a program does not make.
struct Outside<'a, 'v, 'm, T: Float> {
    /// The first values of the program.
    inputs: &'a [OperandValue<'v, T>],
    members: &'a mut [External<'m, T>],
}

/// The change of a parameter by an optimizer: its number, the place of the parameter among its states, the parameter and
/// the gradient.
pub type UpdateFunction<'a, T> = &'a mut dyn FnMut(usize, usize, &mut Tensor<T>, &Tensor<T>);

impl<T: Float> Plan<T> {
    /// Runs the program on these inputs and members, and gives the results.
    ///
    /// # Panics
    /// As the operations do, and if a result whose gradient is taken is NaN.
    #[doc(hidden)]
    #[track_caller]
    pub fn run<'a>(
        &'a mut self,
        inputs: &'a [OperandValue<'a, T>],
        members: &'a mut [External<'_, T>],
        update: UpdateFunction<'_, T>,
    ) -> impl Iterator<Item = OperandValue<'a, T>> {
        assert_eq!(inputs.len(), self.inputs, "run: the plan has other inputs");
        let Self { instructions, values, registers, register_of, shapes, results, .. } = self;
        let outside = &mut Outside { inputs, members: &mut *members };
        mode::with_recording(false, || {
            for instruction in instructions.iter_mut() {
                match instruction.kind {
                    // Short, and many in a step of a small model.
                    Kind::Update { member, optimizer, place } => {
                        let gradient = instruction.operands[0];
                        update_member(gradient, member, values, outside, |parameter, gradient| {
                            update(optimizer, place, parameter, gradient);
                        });
                    }
                    _ => execute(instruction, values, registers, shapes, outside),
                }
                for &value in &instruction.dies {
                    let dead = std::mem::replace(&mut values[value as usize], Saved::nothing());
                    if let (Some(register), Saved::Value(memory)) = (register_of[value as usize], dead) {
                        registers.memory[register as usize] = Some(memory);
                    }
                }
            }
        });
        let members = &*members;
        results.iter().map(|&place| value_at(place, values, inputs, members))
    }
}

/// The memory of a result, which nobody shares.
#[inline]
fn prepare<'a, T: Float>(
    memory: Memory,
    value: &'a mut Saved<T>,
    registers: &mut Registers<T>,
    shape: &[usize],
) -> &'a mut Tensor<T> {
    if let Memory::Register(register) = memory {
        let known = registers.memory[register as usize].take().and_then(|memory| memory.into_memory(shape));
        let new = || Tensor::zeros([registers.sizes[register as usize]]).into_memory(shape);
        if let Some(tensor) = known.or_else(new) {
            *value = Saved::Value(tensor);
        }
    }
    sole(value, || Tensor::zeros(shape))
}

/// A value's memory, if nobody shares it, or else new memory in its place.
#[inline]
fn sole<T: Float>(value: &mut Saved<T>, new: impl FnOnce() -> Tensor<T>) -> &mut Tensor<T> {
    let is_ready = match value {
        Saved::Value(tensor) => tensor.is_sole(),
        _ => false,
    };
    if !is_ready {
        *value = Saved::Value(new());
    }
    let Saved::Value(tensor) = value else { unreachable!("it was made so") };
    tensor
}

/// Operands, of which most instructions have few.
#[inline(always)]
fn gather<O: Copy>(places: &[Place], operand: impl Fn(Place) -> O) -> SmallVec<[O; 4]> {
    match *places {
        [x] => SmallVec::from_buf_and_len([operand(x); 4], 1),
        [x, y] => {
            let (x, y) = (operand(x), operand(y));
            SmallVec::from_buf_and_len([x, y, y, y], 2)
        }
        [x, y, z] => {
            let (x, y, z) = (operand(x), operand(y), operand(z));
            SmallVec::from_buf_and_len([x, y, z, z], 3)
        }
        _ => places.iter().map(|&place| operand(place)).collect(),
    }
}

/// An operand that is numbers.
fn number<'a, T: Float>(
    place: Place,
    values: &'a [Saved<T>],
    outside: &'a Outside<'_, '_, '_, T>,
) -> &'a Tensor<T> {
    match operand(place, values, outside) {
        OperandValue::Number(value) => value,
        OperandValue::Indices(_) | OperandValue::Mask(_) => unreachable!("the operand is numbers"),
    }
}

fn operand<'a, T: Float>(
    place: Place,
    values: &'a [Saved<T>],
    outside: &'a Outside<'_, '_, '_, T>,
) -> OperandValue<'a, T> {
    value_at(place, values, outside.inputs, outside.members)
}

/// [`operand`], which lives as long as the inputs and the members.
fn value_at<'a, T: Float>(
    place: Place,
    values: &'a [Saved<T>],
    inputs: &[OperandValue<'a, T>],
    members: &'a [External<'_, T>],
) -> OperandValue<'a, T> {
    match place {
        Place::Value(value) => match inputs.get(value as usize) {
            Some(input) => *input,
            None => values[value as usize].operand().expect("it was computed before"),
        },
        Place::Member(member) => match &members[member as usize] {
            External::Number(value) => OperandValue::Number(value),
            External::Counter(_) | External::Other => unreachable!("operands are values"),
        },
    }
}

/// Changes a parameter with its gradient.
#[inline]
fn update_member<T: Float>(
    gradient: Place,
    member: u32,
    values: &[Saved<T>],
    outside: &mut Outside<'_, '_, '_, T>,
    update: impl FnOnce(&mut Tensor<T>, &Tensor<T>),
) {
    let gradient = match gradient {
        Place::Value(value) => match outside.inputs.get(value as usize) {
            Some(OperandValue::Number(gradient)) => *gradient,
            _ => values[value as usize].value().expect("gradients are numbers"),
        },
        // Itself, or another one.
        Place::Member(_) => &number(gradient, values, outside).clone(),
    };
    let External::Number(parameter) = &mut outside.members[member as usize] else {
        unreachable!("parameters are numbers")
    };
    update(parameter, gradient);
}

#[track_caller]
fn execute<T: Float>(
    instruction: &mut Instruction<T>,
    values: &mut [Saved<T>],
    registers: &mut Registers<T>,
    shapes: &[Shape],
    outside: &mut Outside<'_, '_, '_, T>,
) {
    // What was made anew in the last run gives its memory back first, so that this run can take it.
    for (&result, _) in
        instruction.results.iter().zip(&instruction.memory).filter(|(_, m)| **m == Memory::New)
    {
        values[result as usize] = Saved::nothing();
    }
    // Operands come before results.
    let first = instruction.results.first().map_or(values.len(), |&result| result as usize);
    let operands = |values| gather(&instruction.operands, |place| operand(place, values, outside));
    let result = match &mut instruction.kind {
        Kind::Update { .. } => unreachable!("it is not executed here"),
        Kind::Nothing => return,
        Kind::Fused(..) => return run_pass(instruction, values, registers, shapes, outside),
        Kind::Routine(routine, _) => {
            let (values, results) = values.split_at_mut(first);
            let inputs = instruction.operands.iter().map(|&place| number(place, values, outside));
            let results = &mut results[..instruction.results.len()];
            for (i, value) in results.iter_mut().enumerate() {
                match instruction.memory[i] {
                    memory @ Memory::Register(_) => prepare(memory, value, registers, &shapes[first + i]),
                    _ => sole(value, || routine.new_output(i)),
                };
            }
            return routine.run(inputs, results.iter_mut().filter_map(Saved::value_mut));
        }
        Kind::Operation(operation) if instruction.memory[0] != Memory::New => {
            let (values, results) = values.split_at_mut(first);
            let out = prepare(instruction.memory[0], &mut results[0], registers, &shapes[first]);
            return operation.forward_into(&Inputs(&operands(values)), out);
        }
        Kind::View(view, operation) => {
            let viewed = match instruction.operands[0] {
                Place::Value(value) if instruction.takes.is_some() => {
                    match std::mem::replace(&mut values[value as usize], Saved::nothing()) {
                        Saved::Value(operand) => operand.into_viewed(view),
                        _ => unreachable!("the operand is numbers"),
                    }
                }
                place => {
                    let operand = number(place, values, outside);
                    operand.viewed(view).ok_or_else(|| operand.clone())
                }
            };
            // A tensor that lies otherwise in memory than it did when the step was recorded.
            let again = |operand| operation.forward(&Inputs(&[OperandValue::Number(&operand)]));
            Saved::Value(viewed.unwrap_or_else(again))
        }
        Kind::Operation(operation) => Saved::Value(operation.forward(&Inputs(&operands(values)))),
        Kind::Indices(operation) => Saved::Indices(operation.forward(&Inputs(&operands(values)))),
        Kind::Mask(operation) => Saved::Mask(operation.forward(&Inputs(&operands(values)))),
        Kind::Rule(rule) => {
            let gradients = rule.run(&operands(values));
            for (&result, gradient) in instruction.results.iter().zip(gradients) {
                values[result as usize] = Saved::Value(gradient);
            }
            return;
        }
        Kind::Assign { member } => {
            let value = number(instruction.operands[0], values, outside).clone();
            if let External::Number(buffer) = &mut outside.members[*member as usize] {
                **buffer = value;
            }
            return;
        }
        Kind::Count { member } => {
            let External::Counter(counter) = &mut outside.members[*member as usize] else {
                unreachable!("it is a counter")
            };
            let number = **counter;
            **counter = number.wrapping_add(1);
            let Some(&result) = instruction.results.first() else { return };
            values[result as usize] = Saved::Indices(Tensor::scalar(number));
            return;
        }
        Kind::NotNan { call } => {
            assert!(
                !number(instruction.operands[0], values, outside).item().is_nan(),
                "backward: the result is NaN, and so would be the gradients; in a compiled step, at {call}"
            );
            return;
        }
    };
    values[first] = result;
}

/// Runs a fused pass, over an operand that dies where the plan says so and nobody shares it.
fn run_pass<T: Float>(
    instruction: &Instruction<T>,
    values: &mut [Saved<T>],
    registers: &mut Registers<T>,
    shapes: &[Shape],
    outside: &Outside<'_, '_, '_, T>,
) {
    let Kind::Fused(pass, _) = &instruction.kind else { unreachable!("it is a pass") };
    let first = instruction.results[0] as usize;
    let (values, results) = values.split_at_mut(first);
    let over = instruction.takes.filter(|&operand| {
        let Saved::Value(operand) = &mut values[operand as usize] else { return false };
        // Later instructions expect the strides of a new tensor.
        operand.is_row_major() && operand.is_sole()
    });
    if let Some(operand) = over {
        results[0] = std::mem::replace(&mut values[operand as usize], Saved::nothing());
    }
    let mut outputs: SmallVec<[&mut Tensor<T>; 2]> = SmallVec::new();
    for (i, ((value, &memory), shape)) in
        results.iter_mut().zip(&instruction.memory).zip(&shapes[first..]).enumerate()
    {
        outputs.push(if i == 0 && over.is_some() {
            value.value_mut().expect("it was just put there")
        } else {
            prepare(memory, value, registers, shape)
        });
    }
    if over.is_none() {
        pass.run(&gather(&instruction.operands, |place| number(place, values, outside)), &mut outputs);
        // A view of it is still there.
        if let Some(operand) = instruction.takes {
            values[operand as usize] = Saved::nothing();
        }
        return;
    }
    let input = |place| match place {
        Place::Value(value) if Some(value) == over => FusedInput::Output(0),
        place => FusedInput::Tensor(number(place, values, outside)),
    };
    pass.run_with(&gather(&instruction.operands, input), &mut outputs);
}

impl<T: Float> Rule<T> {
    /// The gradients that are wanted.
    #[track_caller]
    fn run(&mut self, operands: &[OperandValue<'_, T>]) -> SmallVec<[Tensor<T>; 4]> {
        if Arc::get_mut(&mut self.node).is_none() {
            // The rule of a user has kept the node of an earlier run.
            self.node = without_values(&self.node);
        }
        let node = Arc::get_mut(&mut self.node).expect("nobody else has it");
        let mut operands = operands.iter();
        let mut next = || operands.next().expect("the operands were counted").saved();
        let Saved::Value(cotangent) = next() else { unreachable!("a cotangent is numbers") };
        for &i in &self.reads {
            node.inputs[i].value = next();
        }
        node.output = self.reads_output.then(|| match next() {
            Saved::Value(output) => output,
            _ => unreachable!("an output is numbers"),
        });
        let cotangent = Var::constant(cotangent);
        let context = Context::new(&self.node, &cotangent);
        let mut all = self.together.then(|| self.operation.vjps(&context)).flatten();
        let gradient = |&i: &usize| {
            let gradient = match &mut all {
                Some(all) => all.get_mut(i).and_then(Option::take),
                None => self.operation.vjp(&context, i),
            };
            gradient.expect("the rule gave it before").into_value()
        };
        let gradients = self.wanted.iter().map(gradient).collect();
        // The memory of the values is for later instructions.
        if let Some(node) = Arc::get_mut(&mut self.node) {
            for input in &mut node.inputs {
                input.value = Saved::Shape(input.value.shape().into());
            }
            node.output = None;
        }
        gradients
    }
}

/// A node of the same operation, with the shapes of its inputs alone.
fn without_values<T: Float>(node: &Node<T>) -> Arc<Node<T>> {
    let origin = Origin::Operation(Arc::clone(node.operation().expect("it is of an operation")));
    let input = |input: &Input<T>| Input {
        node: input.node.clone(),
        value: Saved::Shape(input.value.shape().into()),
    };
    Node::new(origin, node.inputs.iter().map(input).collect(), None, &node.shape)
}
