//! A plan: a list of instructions.

use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

use gradus_tensor::fused::Fused;
use gradus_tensor::routine::Routine;
use gradus_tensor::{Float, Shape, Tensor, View};

use super::build::{Builder, Line, lines_of};
use super::routines::Strides;
use super::trace::Trace;
use super::watch::Watched;
use crate::tape::node::{Input, Node, Origin, Saved};
use crate::tape::rule_call::RuleCall;
use crate::tape::{DiscreteOperation, Operand, OperandValue, Operation};

/// A step as a list of instructions, which a compiled function runs on other inputs and members of the model.
///
/// Printed, it has a line for each instruction, as the tape has: `%4 = fused(sigmoid, mul) %3 %1 : [64, 10] kept`. Members
/// of the model are numbered in the order of their visit. A result is written to memory that is `kept` for it, to a buffer
/// that it shares with results that are not needed at the same time, or to new memory.
pub struct Plan<T: Float> {
    pub(super) instructions: Vec<Instruction<T>>,
    /// Constants, inputs and results of instructions.
    pub(super) values: Vec<Saved<T>>,
    /// The number of inputs of the step, which are the first values.
    pub(super) inputs: usize,
    /// The shape of each value.
    pub(super) shapes: Vec<Shape>,
    /// The shapes of the members; empty of those that are no numbers.
    pub(super) members: Vec<Shape>,
    pub(super) results: Vec<Place>,
    pub(super) registers: Registers<T>,
    /// The values that are indices or masks.
    pub(super) discrete: Vec<u32>,
    /// The register of each value.
    pub(super) register_of: Vec<Option<u32>>,
    /// The values that are constants: the inputs come before them, the results of instructions behind.
    pub(super) constants: Range<usize>,
    /// The values that the function read as constants, until the plan watches them.
    pub(super) captured: Vec<Saved<T>>,
    /// The constants that others hold, too.
    pub(super) watched: Vec<Watched<T>>,
}

/// Memory for values that are not read at the same time.
pub(super) struct Registers<T> {
    /// Nothing while a value has it, and before the first run.
    pub(super) memory: Vec<Option<Tensor<T>>>,
    /// The number of elements of each.
    pub(super) sizes: Vec<usize>,
}

/// The place of an operand: a member of the model, or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Member(u32),
    Value(u32),
}

#[derive(Default)]
pub(super) struct Instruction<T: Float> {
    pub(super) kind: Kind<T>,
    pub(super) operands: Vec<Place>,
    /// The numbers of the values that it makes.
    pub(super) results: Vec<u32>,
    /// The values that no later instruction reads.
    pub(super) dies: Vec<u32>,
    /// The memory that the results are written to.
    pub(super) memory: Vec<Memory>,
    /// The operand whose memory becomes the one of a result: of a view, or of a pass that writes over what it reads.
    pub(super) takes: Option<u32>,
    /// The part of the backward pass of a checkpoint that it belongs to, by number; 0 outside of them.
    pub(super) recomputation: u32,
}

#[derive(Default)]
pub(super) enum Kind<T: Float> {
    #[default]
    Nothing,
    /// Elementwise operations and reductions of rows in one pass, with their names.
    Fused(Fused<T>, Vec<&'static str>),
    /// Small instructions, one after another, with the names of the operations of each.
    Routine(Routine<T>, Vec<Vec<&'static str>>),
    Operation(Arc<dyn Operation<T>>),
    /// An operation whose result is a view of the operand.
    View(View, Arc<dyn Operation<T>>),
    Indices(Arc<dyn DiscreteOperation<T, i64>>),
    Mask(Arc<dyn DiscreteOperation<T, bool>>),
    /// A gradient rule that runs as a whole; the results are for these inputs.
    Rule(Rule<T>),
    /// The gradient is the operand; the member changes, by the optimizer of a number and its state at a place.
    Update {
        member: u32,
        optimizer: usize,
        place: usize,
    },
    /// A member gets the operand as its value.
    Assign {
        member: u32,
    },
    /// The number of a counter becomes a value, if a result is wanted, and grows.
    Count {
        member: u32,
    },
    NotNan {
        call: &'static Location<'static>,
    },
}

/// The memory that a result is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// New memory in each run.
    New,
    /// The memory of the value, which keeps it from run to run.
    Own,
    /// Memory that other values use, too.
    Register(u32),
}

/// A gradient rule with what it reads: the operands are the cotangent, these inputs, and the output.
pub(super) struct Rule<T: Float> {
    pub(super) operation: Arc<dyn Operation<T>>,
    /// The node that the rule sees: with the shape of each input, and a leaf that stands in for it where its gradient is needed.
    /// A run lends it values.
    pub(super) node: Arc<Node<T>>,
    pub(super) reads: Vec<usize>,
    pub(super) reads_output: bool,
    /// Whether one call gives all gradients.
    pub(super) together: bool,
    /// The inputs that the results are the gradients for.
    pub(super) wanted: Vec<usize>,
}

impl<T: Float> Kind<T> {
    /// Whether an instruction does more than compute, so that its place among others like it matters.
    pub(super) fn is_effect(&self) -> bool {
        self.changes().is_some() || matches!(self, Self::NotNan { .. })
    }

    /// The member that an instruction changes.
    pub(super) fn changes(&self) -> Option<u32> {
        match self {
            Self::Update { member, .. } | Self::Assign { member } | Self::Count { member } => Some(*member),
            _ => None,
        }
    }
}

impl<T: Float> Rule<T> {
    pub(super) fn new(call: &RuleCall<T>) -> Self {
        let node = &call.node;
        let input = |(i, input): (usize, &Input<T>)| {
            let shape = Shape::from_slice(input.value.shape());
            let node = call.needed.contains(&i).then(|| Node::leaf(&shape));
            Input { node, value: Saved::Shape(shape) }
        };
        let (reads, reads_output) = call.reads();
        let operation = node.operation().expect("rules belong to operations");
        let origin = Origin::Operation(Arc::clone(operation));
        Self {
            operation: Arc::clone(operation),
            node: Node::new(origin, node.inputs.iter().enumerate().map(input).collect(), None, &node.shape),
            reads,
            reads_output,
            together: call.together,
            wanted: Vec::new(),
        }
    }
}

/// A member of a model, to be found in a trace.
#[derive(Debug)]
pub enum Member<'a, T: Float> {
    /// A parameter, or anything else that is a variable on the tape.
    Var(Operand<'a, T>),
    /// A buffer or a counter, by its address.
    Address(usize),
}

impl<T: Float> Plan<T> {
    /// The plan of a trace with these results, inputs, members of the model, and addresses of optimizers.
    ///
    /// # Panics
    /// If the step reads numbers that a parameter had before an update, after it.
    #[track_caller]
    pub fn new(
        mut trace: Trace<T>,
        results: &[Operand<T>],
        inputs: &[Operand<T>],
        members: &[Member<T>],
        optimizers: &[usize],
    ) -> Self {
        let mut builder = Builder::new(&trace, members, optimizers);
        builder.captured.append(&mut trace.constants);
        let strides_of = |operand: &Operand<T>| match operand.value() {
            OperandValue::Number(value) => Some(value.strides().into()),
            OperandValue::Indices(_) | OperandValue::Mask(_) => None,
        };
        let strides: Vec<Option<Strides>> = inputs.iter().map(strides_of).collect();
        let member_strides: Vec<Option<Strides>> = members
            .iter()
            .map(|member| match member {
                Member::Var(operand) => strides_of(operand),
                Member::Address(_) => None,
            })
            .collect();
        for input in inputs {
            builder.input(*input);
        }
        let results: Vec<Input<T>> = results
            .iter()
            .map(|result| Input { node: result.node().cloned(), value: result.saved(true) })
            .collect();
        let lines = lines_of(trace, &results);
        builder.find_computed(&lines);
        let reads = lines.iter().flat_map(Line::reads).chain(&results);
        for constant in reads.filter(|input| !builder.is_made(input)).collect::<Vec<_>>() {
            builder.constant(constant);
        }
        let constants = inputs.len()..builder.values.len();
        for line in &lines {
            builder.line(line, members);
        }
        let results: Vec<Place> = results.iter().map(|result| builder.place(result)).collect();
        let Builder { values, instructions, member_shapes, discrete, captured, .. } = builder;
        let shapes = values.iter().map(|value| value.shape().into()).collect();
        let registers = Registers { memory: Vec::new(), sizes: Vec::new() };
        let register_of = vec![None; values.len()];
        let mut plan = Self {
            instructions,
            values,
            inputs: inputs.len(),
            shapes,
            members: member_shapes,
            results,
            discrete,
            registers,
            register_of,
            constants,
            captured,
            watched: Vec::new(),
        };
        plan.inline_masks();
        plan.fuse();
        plan.make_routines(&strides, &member_strides);
        plan.advance_updates();
        plan.number_results();
        plan.find_deaths();
        plan.assign_registers();
        plan
    }

    /// The numbers of the optimizers that change parameters, and the places of these among their states.
    #[doc(hidden)]
    pub fn updates(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.instructions.iter().filter_map(|instruction| match instruction.kind {
            Kind::Update { optimizer, place, .. } => Some((optimizer, place)),
            _ => None,
        })
    }

    pub(super) fn shape(&self, place: Place) -> &[usize] {
        match place {
            Place::Member(member) => &self.members[member as usize],
            Place::Value(value) => &self.shapes[value as usize],
        }
    }

    /// Whether a place has numbers, and not indices or a mask.
    pub(super) fn is_number(&self, place: Place) -> bool {
        let Place::Value(value) = place else { return true };
        !self.discrete.contains(&value)
    }

    /// The number of a constant that is one number, perhaps repeated.
    pub(super) fn single_number(&self, place: Place) -> Option<T> {
        let Place::Value(value) = place else { return None };
        let constant = self.constants.contains(&(value as usize));
        let value = self.values[value as usize].value().filter(|value| constant && !value.is_empty())?;
        let is_repeated =
            value.shape().iter().zip(value.strides()).all(|(&size, &stride)| size == 1 || stride == 0);
        is_repeated.then(|| value.iter().next()).flatten()
    }
}
