//! From the nodes and the effects of a trace to a list of instructions.

use std::collections::hash_map::Entry;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

use gradus_tensor::fused::Fused;
use gradus_tensor::{Float, Shape, Tensor, View};

use super::trace::{Effect, Trace, TracedEffect};
use crate::tape::node::{AddressMap, AddressSet, Input, Node, Origin, RuleCall, Saved, address};
use crate::tape::{DiscreteOperation, Operand, Operation};

/// A step as a list of instructions, which can be run on other inputs and members of the model.
pub struct Program<T: Float> {
    pub(super) instructions: Vec<Instruction<T>>,
    /// Constants, inputs and results of instructions.
    pub(super) values: Vec<Saved<T>>,
    /// The inputs of the step.
    pub(super) inputs: Vec<Place>,
    /// The shape of each value.
    pub(super) shapes: Vec<Shape>,
    /// The shapes of the members; empty of those that are no numbers.
    pub(super) members: Vec<Shape>,
    pub(super) results: Vec<Place>,
    /// Memory for values of one size that are not read at the same time; nothing while a value has it.
    pub(super) registers: Vec<Option<Tensor<T>>>,
    /// The number of elements of each register.
    pub(super) sizes: Vec<usize>,
    /// The values that are indices or masks.
    pub(super) discrete: Vec<u32>,
    /// The register of each value.
    pub(super) register_of: Vec<Option<u32>>,
    /// The values that are constants: the inputs come before them, the results of instructions behind.
    pub(super) constants: Range<usize>,
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
    /// Whether a view takes the memory of its operand.
    pub(super) takes: bool,
}

#[derive(Default)]
pub(super) enum Kind<T: Float> {
    #[default]
    Nothing,
    /// Elementwise operations and reductions of rows in one pass, with their names.
    Fused(Fused<T>, Vec<&'static str>),
    Operation(Arc<dyn Operation<T>>),
    /// An operation whose result is a view of the operand.
    View(View, Arc<dyn Operation<T>>),
    Indices(Arc<dyn DiscreteOperation<T, i64>>),
    Mask(Arc<dyn DiscreteOperation<T, bool>>),
    /// A gradient rule that runs as a whole; the results are for these inputs.
    Rule(Rule<T>),
    /// The gradient is the operand; the member changes.
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
    /// Memory that other values of its size use, too.
    Register(u32),
}

/// A gradient rule with what it reads: the operands are the cotangent, these inputs, and the output.
pub(super) struct Rule<T: Float> {
    pub(super) operation: Arc<dyn Operation<T>>,
    /// The shape of each input, and a leaf that stands in for it where its gradient is needed.
    pub(super) inputs: Vec<(Shape, Option<Arc<Node<T>>>)>,
    pub(super) shape: Shape,
    pub(super) reads: Vec<usize>,
    pub(super) reads_output: bool,
    /// Whether one call gives all gradients.
    pub(super) together: bool,
    /// The inputs that the results are the gradients for.
    pub(super) wanted: Vec<usize>,
}

impl<T: Float> Kind<T> {
    /// The member that an instruction changes, of one that does more than compute.
    pub(super) fn effect(&self) -> Option<Option<u32>> {
        match self {
            Self::Update { member, .. } | Self::Assign { member } | Self::Count { member } => {
                Some(Some(*member))
            }
            Self::NotNan { .. } => Some(None),
            _ => None,
        }
    }
}

impl<T: Float> Rule<T> {
    fn new(call: &RuleCall<T>) -> Self {
        let node = &call.node;
        let input = |(i, input): (usize, &Input<T>)| {
            let shape = Shape::from_slice(input.value.shape());
            let leaf = call.needed.contains(&i).then(|| Node::leaf(&shape));
            (shape, leaf)
        };
        let (reads, reads_output) = call.reads();
        Self {
            operation: Arc::clone(node.operation().expect("rules belong to operations")),
            inputs: node.inputs.iter().enumerate().map(input).collect(),
            shape: node.shape.clone(),
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

struct Builder<T: Float> {
    /// The places of nodes.
    places: AddressMap<usize, Place>,
    values: Vec<Saved<T>>,
    instructions: Vec<Instruction<T>>,
    /// Calls of rules that are instructions already.
    calls: AddressMap<usize, usize>,
    /// The nodes that stand for numbers of counters.
    drawn: AddressSet<usize>,
    /// The values that are indices or masks.
    discrete: Vec<u32>,
    member_shapes: Vec<Shape>,
    /// Parameters that have changed, with the buffers of their numbers before.
    changed: Vec<(Place, usize)>,
}

impl<T: Float> Program<T> {
    /// The program of a trace with these results, inputs, and members of the model.
    ///
    /// # Panics
    /// If the step reads numbers that a parameter had before an update, after it.
    #[track_caller]
    pub fn new(
        trace: Trace<T>,
        results: &[Operand<T>],
        inputs: &[Operand<T>],
        members: &[Member<T>],
    ) -> Self {
        let mut builder = Builder::new(&trace, members);
        let inputs: Vec<Place> = inputs.iter().map(|input| builder.input(*input)).collect();
        let results: Vec<Input<T>> = results
            .iter()
            .map(|result| Input { node: result.node().cloned(), value: result.saved(true) })
            .collect();
        let lines = lines_of(trace, &results);
        let reads = lines.iter().flat_map(Line::reads).chain(&results);
        for constant in reads.filter(|input| !builder.is_made(input)).collect::<Vec<_>>() {
            builder.constant(constant);
        }
        let constants = inputs.len()..builder.values.len();
        for line in &lines {
            builder.line(line, members);
        }
        let results: Vec<Place> = results.iter().map(|result| builder.place(result)).collect();
        let Builder { values, instructions, member_shapes, discrete, .. } = builder;
        let shapes = values.iter().map(|value| value.shape().into()).collect();
        let (registers, register_of) = (Vec::new(), vec![None; values.len()]);
        let mut program = Self {
            instructions,
            values,
            inputs,
            shapes,
            members: member_shapes,
            results,
            discrete,
            registers,
            sizes: Vec::new(),
            register_of,
            constants,
        };
        program.fuse();
        program.number_results();
        program.find_deaths();
        program.assign_registers();
        program
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

    /// Numbers the results of instructions in their order, so that operands come before results.
    fn number_results(&mut self) {
        // Values that became parts of passes get no number.
        let constants = self.constants.end;
        let mut numbers: Vec<Option<u32>> = vec![None; self.values.len()];
        let made = self.instructions.iter().flat_map(|instruction| &instruction.results);
        let kept = (0..constants).chain(made.map(|&result| result as usize));
        let mut count = 0;
        for value in kept {
            numbers[value] = Some(count);
            count += 1;
        }
        let count = count as usize;
        let number = |value: u32| numbers[value as usize].expect("it is read or made");
        let renumber = |place: &mut Place| {
            if let Place::Value(value) = place {
                *value = number(*value);
            }
        };
        for instruction in &mut self.instructions {
            instruction.operands.iter_mut().for_each(renumber);
            instruction.results.iter_mut().for_each(|result| *result = number(*result));
        }
        self.results.iter_mut().for_each(renumber);
        let old = std::mem::replace(&mut self.shapes, vec![Shape::new(); count]);
        for (shape, number) in old.into_iter().zip(&numbers) {
            if let Some(number) = number {
                self.shapes[*number as usize] = shape;
            }
        }
        self.values.resize_with(count, || Saved::Shape(Shape::new()));
        self.discrete.clear();
        self.register_of = vec![None; count];
    }

    /// Gives results memory: small ones, and results of the step, keep their own; a large one takes memory of its size whose
    /// value is read no more.
    fn assign_registers(&mut self) {
        let mut free: Vec<u32> = Vec::new();
        let kept = |value| (value as usize) < self.constants.end;
        let mut own = vec![false; self.values.len()];
        for instruction in &mut self.instructions {
            let prepared = match &instruction.kind {
                Kind::Fused(..) => true,
                Kind::Operation(operation) => operation.writes_into(),
                _ => false,
            };
            instruction.dies.retain(|&value| !own[value as usize]);
            // A view of a value that is read no more takes its memory.
            let taken = match (&instruction.kind, &instruction.operands[..]) {
                (Kind::View(..), &[Place::Value(operand)]) => {
                    let place = instruction.dies.iter().position(|&value| value == operand);
                    place.filter(|_| !kept(operand)).map(|place| instruction.dies.swap_remove(place))
                }
                _ => None,
            };
            instruction.takes = taken.is_some();
            for &result in &instruction.results {
                let size: usize = self.shapes[result as usize].iter().product();
                let register = prepared && size > SMALL && !self.results.contains(&Place::Value(result));
                let register = register.then(|| {
                    let place = free.iter().position(|&register| self.sizes[register as usize] == size);
                    place.map(|place| free.swap_remove(place)).unwrap_or_else(|| {
                        self.registers.push(None);
                        self.sizes.push(size);
                        (self.registers.len() - 1) as u32
                    })
                });
                instruction.memory.push(match register {
                    Some(register) => Memory::Register(register),
                    None if prepared => Memory::Own,
                    None => Memory::New,
                });
                own[result as usize] = instruction.memory.last() == Some(&Memory::Own);
                let inherited = taken.and_then(|operand| self.register_of[operand as usize]);
                self.register_of[result as usize] = register.or(inherited);
            }
            free.extend(instruction.dies.iter().filter_map(|&value| self.register_of[value as usize]));
        }
    }

    /// Notes after which instruction each value is read no more.
    fn find_deaths(&mut self) {
        let mut kept = vec![false; self.values.len()];
        let constants = self.constants.end;
        for place in &self.results {
            if let Place::Value(value) = place {
                kept[*value as usize] = true;
            }
        }
        for instruction in self.instructions.iter_mut().rev() {
            let read = instruction.operands.iter().filter_map(|place| match place {
                Place::Value(value) => Some(*value),
                Place::Member(_) => None,
            });
            let touched: Vec<u32> = read.chain(instruction.results.iter().copied()).collect();
            instruction.dies.clear();
            for value in touched {
                if value as usize >= constants && !std::mem::replace(&mut kept[value as usize], true) {
                    instruction.dies.push(value);
                }
            }
        }
    }
}

/// A line of a trace.
enum Line<T: Float> {
    Node(Arc<Node<T>>),
    Effect(TracedEffect<T>),
}

impl<T: Float> Line<T> {
    fn reads(&self) -> &[Input<T>] {
        match self {
            Self::Node(node) => &node.inputs,
            Self::Effect(TracedEffect::Count(_)) => &[],
            Self::Effect(TracedEffect::Of(effect)) => match effect {
                Effect::Update { gradient: input, .. }
                | Effect::Assign { value: input, .. }
                | Effect::NotNan { value: input, .. } => std::slice::from_ref(input),
                Effect::Draw { .. } => &[],
            },
        }
    }
}

/// The effects and the nodes that they and the results need, in the order in which they happened.
fn lines_of<T: Float>(trace: Trace<T>, results: &[Input<T>]) -> Vec<Line<T>> {
    let mut lines: Vec<(u64, Line<T>)> = Vec::new();
    let mut found: Vec<Arc<Node<T>>> = results.iter().filter_map(|result| result.node.clone()).collect();
    for (number, effect) in trace.effects {
        let line = Line::Effect(effect);
        found.extend(line.reads().iter().filter_map(|input| input.node.clone()));
        lines.push((number, line));
    }
    let mut seen = AddressMap::<usize, ()>::default();
    while let Some(node) = found.pop() {
        if seen.insert(address(&node), ()).is_none() {
            found.extend(node.inputs.iter().filter_map(|input| input.node.clone()));
            lines.push((node.number, Line::Node(node)));
        }
    }
    lines.sort_by_key(|(number, _)| *number);
    lines.into_iter().map(|(_, line)| line).collect()
}

impl<T: Float> Builder<T> {
    fn new(trace: &Trace<T>, members: &[Member<T>]) -> Self {
        let (mut places, mut member_shapes) = (AddressMap::default(), Vec::new());
        for (i, member) in members.iter().enumerate() {
            let node = match member {
                Member::Var(var) => var.node(),
                Member::Address(buffer) => {
                    let known = trace.buffers.iter().find(|(address, _)| address == buffer);
                    known.map(|(_, node)| node)
                }
            };
            places.extend(node.map(|node| (address(node), Place::Member(i as u32))));
            member_shapes.push(node.map_or_else(Shape::new, |node| node.shape.clone()));
        }
        let drawn = trace.effects.iter().filter_map(|(_, effect)| match effect {
            TracedEffect::Of(Effect::Draw { key, .. }) => Some(address(key)),
            _ => None,
        });
        Self {
            places,
            values: Vec::new(),
            instructions: Vec::new(),
            calls: AddressMap::default(),
            drawn: drawn.collect(),
            discrete: Vec::new(),
            member_shapes,
            changed: Vec::new(),
        }
    }

    fn new_value(&mut self, value: Saved<T>) -> u32 {
        if matches!(value, Saved::Indices(_) | Saved::Mask(_)) {
            self.discrete.push(self.values.len() as u32);
        }
        self.values.push(value);
        (self.values.len() - 1) as u32
    }

    /// An input of the step.
    fn input(&mut self, input: Operand<T>) -> Place {
        let value = self.new_value(Saved::Shape(input.value().shape().into()));
        if !matches!(input, Operand::Var(_)) {
            self.discrete.push(value);
        }
        let place = Place::Value(value);
        let node = input.node().expect("inputs are on the tape");
        self.places.insert(address(node), place);
        place
    }

    /// Whether the value is a member, an input or the result of an instruction.
    fn is_made(&self, input: &Input<T>) -> bool {
        let node = input.node.as_ref();
        node.is_some_and(|node| {
            let address = address(node);
            !node.is_leaf() || self.places.contains_key(&address) || self.drawn.contains(&address)
        })
    }

    /// The place of a constant; of a leaf that is neither a member nor an input its value is one.
    fn constant(&mut self, input: &Input<T>) -> Place {
        let value = input.clone().value;
        let known = self.values.iter().position(|known| is_same_constant(known, &value));
        let place = known.map_or_else(|| self.new_value(value), |place| place as u32);
        if let Some(node) = &input.node {
            self.places.insert(address(node), Place::Value(place));
        }
        Place::Value(place)
    }

    #[track_caller]
    fn place(&mut self, input: &Input<T>) -> Place {
        let Some(node) = &input.node else { return self.constant(input) };
        let Some(&place) = self.places.get(&address(node)) else { return self.constant(input) };
        if let Saved::Value(value) = &input.value {
            let id = value.buffer_id_and_bytes().0;
            assert!(
                !self.changed.contains(&(place, id)),
                "the step reads numbers that a parameter of shape {:?} had before its optimizer changed it, after that: \
                 such a step cannot be compiled",
                value.shape()
            );
        }
        place
    }

    #[track_caller]
    fn line(&mut self, line: &Line<T>, members: &[Member<T>]) {
        let operands: Vec<Place> = line.reads().iter().map(|input| self.place(input)).collect();
        let kind = match line {
            Line::Node(node) => return self.node(node, operands),
            Line::Effect(TracedEffect::Count(counter)) => {
                Kind::Count { member: member_at(members, *counter) }
            }
            Line::Effect(TracedEffect::Of(effect)) => match effect {
                Effect::Update { parameter, before, optimizer, place, .. } => {
                    let Some(&at @ Place::Member(member)) = self.places.get(&address(parameter)) else {
                        panic!(
                            "step: an optimizer changes a parameter that is no member of the model that was given"
                        )
                    };
                    self.changed.push((at, *before));
                    Kind::Update { member, optimizer: *optimizer, place: *place }
                }
                Effect::Assign { buffer, .. } => Kind::Assign { member: member_at(members, *buffer) },
                Effect::NotNan { call, .. } => Kind::NotNan { call },
                Effect::Draw { counter, key } => {
                    let value = self.new_value(Saved::Shape(key.shape.clone()));
                    self.discrete.push(value);
                    self.places.insert(address(key), Place::Value(value));
                    let kind = Kind::Count { member: member_at(members, *counter) };
                    return self.instruction(kind, operands, vec![value]);
                }
            },
        };
        self.instruction(kind, operands, Vec::new());
    }

    fn instruction(&mut self, kind: Kind<T>, operands: Vec<Place>, results: Vec<u32>) {
        self.instructions.push(Instruction { kind, operands, results, ..Instruction::default() });
    }

    fn node(&mut self, node: &Arc<Node<T>>, operands: Vec<Place>) {
        let kind = match &node.origin {
            Origin::Leaf | Origin::Input(_) => return,
            Origin::Detach => {
                self.places.insert(address(node), operands[0]);
                return;
            }
            Origin::Operation(operation) => {
                let value = |value: Option<&Saved<T>>| value.and_then(Saved::value).cloned();
                let input = value(node.inputs.first().map(|input| &input.value));
                let view = input.zip(node.output.as_ref()).and_then(|(x, y)| x.view_to(y));
                match view.filter(|_| node.inputs.len() == 1) {
                    Some(view) => Kind::View(view, Arc::clone(operation)),
                    None => Kind::Operation(Arc::clone(operation)),
                }
            }
            Origin::Indices(operation) => Kind::Indices(Arc::clone(operation)),
            Origin::Mask(operation) => Kind::Mask(Arc::clone(operation)),
            Origin::Gradient(gradient) => {
                return self.gradient(node, &gradient.call, gradient.input, operands);
            }
        };
        let value = self.new_value(Saved::Shape(node.shape.clone()));
        if !matches!(kind, Kind::Operation(_) | Kind::View(..)) {
            self.discrete.push(value);
        }
        self.places.insert(address(node), Place::Value(value));
        self.instruction(kind, operands, vec![value]);
    }

    fn gradient(&mut self, node: &Arc<Node<T>>, call: &Arc<RuleCall<T>>, input: usize, operands: Vec<Place>) {
        let value = self.new_value(Saved::Shape(node.shape.clone()));
        self.places.insert(address(node), Place::Value(value));
        let next = self.instructions.len();
        let at = match self.calls.entry(Arc::as_ptr(call) as usize) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                new.insert(next);
                self.instruction(Kind::Rule(Rule::new(call)), operands, Vec::new());
                next
            }
        };
        let instruction = &mut self.instructions[at];
        instruction.results.push(value);
        if let Kind::Rule(rule) = &mut instruction.kind {
            rule.wanted.push(input);
        }
    }
}

/// The number of the member with an address.
#[track_caller]
fn member_at<T: Float>(members: &[Member<T>], wanted: usize) -> u32 {
    let is_wanted = |member: &Member<T>| matches!(member, Member::Address(address) if *address == wanted);
    let place = members.iter().position(is_wanted);
    place
        .expect("a compiled step changes a buffer or a counter that is no member of the model that was given")
        as u32
}

/// Whether two constants are the same elements of one buffer, or few and equal in their bits.
fn is_same_constant<T: Float>(x: &Saved<T>, y: &Saved<T>) -> bool {
    match (x, y) {
        (Saved::Value(x), Saved::Value(y)) => {
            x.is_same_view(y) || x.len() <= FEW && y.len() <= FEW && have_same_bits(x, y)
        }
        (Saved::Indices(x), Saved::Indices(y)) => x.is_same_view(y) || x.len() <= FEW && x == y,
        (Saved::Mask(x), Saved::Mask(y)) => x.is_same_view(y) || x.len() <= FEW && x == y,
        _ => false,
    }
}

/// The most elements of a value that keeps memory of its own.
pub(super) const SMALL: usize = 4096;

/// The most elements of constants that are compared.
const FEW: usize = 16;

/// Whether two tensors are the same, bit for bit.
pub(super) fn have_same_bits<T: Float>(x: &Tensor<T>, y: &Tensor<T>) -> bool {
    let bits = |x: T| x.to_f64().to_bits();
    x.shape() == y.shape() && x.iter().zip(y.iter()).all(|(x, y)| bits(x) == bits(y))
}
