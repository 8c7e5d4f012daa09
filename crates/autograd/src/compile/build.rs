//! From the nodes and the effects of a trace to instructions.

use std::collections::hash_map::Entry;
use std::ops::RangeInclusive;
use std::sync::Arc;

use gradus_tensor::{Float, Shape, Tensor};

use super::plan::{Instruction, Kind, Member, Place, Rule};
use super::trace::{Effect, Trace, TracedEffect};
use crate::tape::node::{AddressMap, AddressSet, Input, Node, Origin, Saved, address};
use crate::tape::rule_call::RuleCall;
use crate::tape::{Fusion, Operand};

pub(super) struct Builder<'a, T: Float> {
    /// The places of nodes.
    pub(super) places: AddressMap<usize, Place>,
    pub(super) values: Vec<Saved<T>>,
    pub(super) instructions: Vec<Instruction<T>>,
    /// Calls of rules that are instructions already.
    calls: AddressMap<usize, usize>,
    /// The nodes that stand for numbers of counters.
    drawn: AddressSet<usize>,
    /// The nodes that are computed from members and inputs.
    computed: AddressSet<usize>,
    /// The values that are indices or masks.
    pub(super) discrete: Vec<u32>,
    pub(super) member_shapes: Vec<Shape>,
    /// Members that have changed, with a parameter's numbers before; of a buffer, its variable is the value before.
    changed: Vec<(Place, Option<Tensor<T>>)>,
    /// Nodes with smaller numbers were made before the step.
    start: u64,
    /// The addresses of the optimizers.
    optimizers: &'a [usize],
    /// The numbers of the nodes that the backward pass of each checkpoint made.
    recomputations: Vec<RangeInclusive<u64>>,
    /// The recomputation that the line is in, from 1 on.
    recomputation: u32,
    /// The constants that were read, each time.
    pub(super) captured: Vec<Saved<T>>,
}

/// A line of a trace.
pub(super) enum Line<T: Float> {
    Node(Arc<Node<T>>),
    Effect(TracedEffect<T>),
}

impl<T: Float> Line<T> {
    pub(super) fn reads(&self) -> &[Input<T>] {
        match self {
            Self::Node(node) => &node.inputs,
            Self::Effect(TracedEffect::Count(_)) => &[],
            Self::Effect(TracedEffect::Of(effect)) => match &**effect {
                Effect::Update { gradient: input, .. }
                | Effect::Assign { value: input, .. }
                | Effect::NotNan { value: input, .. } => std::slice::from_ref(input),
                Effect::Draw { .. } => &[],
            },
        }
    }
}

/// The effects and the nodes that they and the results need, in the order in which they happened.
pub(super) fn lines_of<T: Float>(trace: Trace<T>, results: &[Input<T>]) -> Vec<Line<T>> {
    let start = trace.start;
    let mut lines: Vec<(u64, Line<T>)> = Vec::new();
    let mut found: Vec<Arc<Node<T>>> = results.iter().filter_map(|result| result.node.clone()).collect();
    for (number, effect) in trace.effects {
        let line = Line::Effect(effect);
        found.extend(line.reads().iter().filter_map(|input| input.node.clone()));
        lines.push((number, line));
    }
    let mut seen = AddressSet::default();
    while let Some(node) = found.pop() {
        // What was made before the step is a constant.
        if (node.number > start || node.is_leaf()) && seen.insert(address(&node)) {
            found.extend(node.inputs.iter().filter_map(|input| input.node.clone()));
            lines.push((node.number, Line::Node(node)));
        }
    }
    lines.sort_by_key(|(number, _)| *number);
    lines.into_iter().map(|(_, line)| line).collect()
}

impl<'a, T: Float> Builder<'a, T> {
    pub(super) fn new(trace: &Trace<T>, members: &[Member<T>], optimizers: &'a [usize]) -> Self {
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
            TracedEffect::Of(effect) => match &**effect {
                Effect::Draw { key, .. } => Some(address(key)),
                _ => None,
            },
            TracedEffect::Count(_) => None,
        });
        Self {
            places,
            values: Vec::new(),
            instructions: Vec::new(),
            calls: AddressMap::default(),
            drawn: drawn.collect(),
            computed: AddressSet::default(),
            discrete: Vec::new(),
            member_shapes,
            changed: Vec::new(),
            start: trace.start,
            optimizers,
            recomputations: trace.recomputations.clone(),
            recomputation: 0,
            captured: Vec::new(),
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
    pub(super) fn input(&mut self, input: Operand<T>) {
        let value = self.new_value(Saved::Shape(input.value().shape().into()));
        if !matches!(input, Operand::Var(_)) {
            self.discrete.push(value);
        }
        let node = input.node().expect("inputs are on the tape");
        self.places.insert(address(node), Place::Value(value));
    }

    /// Whether the value is a member, an input or computed from one. A value that is computed from constants alone is a constant.
    pub(super) fn is_made(&self, input: &Input<T>) -> bool {
        let Some(node) = &input.node else { return false };
        let address = address(node);
        self.places.contains_key(&address)
            || self.drawn.contains(&address)
            || self.computed.contains(&address)
    }

    /// Notes which nodes are computed from members and inputs.
    pub(super) fn find_computed(&mut self, lines: &[Line<T>]) {
        for line in lines {
            if let Line::Node(node) = line
                && node.inputs.iter().any(|input| self.is_made(input))
            {
                self.computed.insert(address(node));
            }
        }
    }

    /// The place of a constant; of a leaf that is neither a member nor an input its value is one.
    pub(super) fn constant(&mut self, input: &Input<T>) -> Place {
        let value = input.clone().value;
        self.captured.push(input.clone().value);
        let known = self.values.iter().position(|known| is_same_constant(known, &value));
        let place = known.map_or_else(|| self.new_value(value), |place| place as u32);
        if let Some(node) = &input.node {
            self.places.insert(address(node), Place::Value(place));
        }
        Place::Value(place)
    }

    #[track_caller]
    pub(super) fn place(&mut self, input: &Input<T>) -> Place {
        let Some(node) = &input.node else { return self.constant(input) };
        let Some(&place) = self.places.get(&address(node)) else {
            assert!(
                node.is_leaf() || node.number < self.start,
                "`{}` ran on another thread, or in another order than it was recorded: such a step cannot be compiled",
                node.name()
            );
            return self.constant(input);
        };
        let is_old = |before: &Option<Tensor<T>>| match (before, &input.value) {
            (Some(before), Saved::Value(value)) => value.is_same_view(before),
            _ => true,
        };
        assert!(
            !self.changed.iter().any(|(changed, before)| *changed == place && is_old(before)),
            "the step reads numbers of shape {:?} that a parameter or a buffer had before it changed, after that: such a \
             step cannot be compiled",
            input.value.shape()
        );
        place
    }

    #[track_caller]
    pub(super) fn line(&mut self, line: &Line<T>, members: &[Member<T>]) {
        self.recomputation = match line {
            Line::Node(node) if !self.computed.contains(&address(node)) => return,
            Line::Node(node) => self.recomputation_of(node.number),
            Line::Effect(_) => 0,
        };
        let operands: Vec<Place> = line.reads().iter().map(|input| self.place(input)).collect();
        let kind = match line {
            Line::Node(node) => return self.node(node, operands),
            Line::Effect(TracedEffect::Count(counter)) => {
                Kind::Count { member: member_at(members, *counter) }
            }
            Line::Effect(TracedEffect::Of(effect)) => match &**effect {
                Effect::Update { parameter, before, optimizer, place, .. } => {
                    let Some(&at @ Place::Member(member)) = self.places.get(&address(parameter)) else {
                        panic!(
                            "step: an optimizer changes a parameter that is no member of the model that was given"
                        )
                    };
                    self.changed.push((at, Some(before.clone())));
                    let number = self.optimizers.iter().position(|other| other == optimizer);
                    let optimizer = number
                        .expect("step: the optimizer is not one that was given to the compiled function");
                    Kind::Update { member, optimizer, place: *place }
                }
                Effect::Assign { buffer, .. } => {
                    let member = member_at(members, *buffer);
                    self.changed.push((Place::Member(member), None));
                    Kind::Assign { member }
                }
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
        let recomputation = self.recomputation;
        self.instructions.push(Instruction {
            kind,
            operands,
            results,
            recomputation,
            ..Instruction::default()
        });
    }

    /// The number of the innermost recomputation that made a node, from 1 on; 0 if it was made outside of all of them.
    fn recomputation_of(&self, number: u64) -> u32 {
        let around = (1..).zip(&self.recomputations).filter(|(_, numbers)| numbers.contains(&number));
        around.min_by_key(|(_, numbers)| numbers.end() - numbers.start()).map_or(0, |(i, _)| i)
    }

    fn node(&mut self, node: &Arc<Node<T>>, operands: Vec<Place>) {
        let kind = match &node.origin {
            Origin::Leaf | Origin::Input(_) | Origin::Detach => {
                self.places.extend(operands.first().map(|&place| (address(node), place)));
                return;
            }
            Origin::Operation(operation) => {
                if let Some(Fusion::Computed(i)) = operation.fusion() {
                    self.places.insert(address(node), operands[i]);
                    return;
                }
                let is_view =
                    matches!(operation.fusion(), Some(Fusion::Reshape | Fusion::Expand | Fusion::Permute));
                let input = node.inputs.first().filter(|_| is_view).and_then(|input| input.value.value());
                match input.zip(node.output.as_ref()).and_then(|(x, y)| x.view_to(y)) {
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
        if let Some(place) = self.equal(&kind, &operands, &node.shape) {
            self.places.insert(address(node), place);
            return;
        }
        let value = self.new_value(Saved::Shape(node.shape.clone()));
        if !matches!(kind, Kind::Operation(_) | Kind::View(..)) {
            self.discrete.push(value);
        }
        self.places.insert(address(node), Place::Value(value));
        self.instruction(kind, operands, vec![value]);
    }

    /// The result of an instruction before that computes the same.
    fn equal(&self, kind: &Kind<T>, operands: &[Place], shape: &[usize]) -> Option<Place> {
        let is_changed = |place: &Place| self.changed.iter().any(|(changed, _)| changed == place);
        if operands.is_empty() || operands.iter().any(is_changed) {
            return None;
        }
        let is_equal = |instruction: &&Instruction<T>| {
            let of_shape = |&result: &u32| self.values[result as usize].shape() == shape;
            // A result that is computed again need not be kept until then.
            instruction.recomputation == self.recomputation
                && instruction.operands == operands
                && instruction.results.first().is_some_and(of_shape)
                && computes_the_same(&instruction.kind, kind)
        };
        let known = self.instructions.iter().find(is_equal)?;
        Some(Place::Value(known.results[0]))
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

/// Whether two operations on the same operands, with results of one shape, are known to have the same results.
fn computes_the_same<T: Float>(one: &Kind<T>, other: &Kind<T>) -> bool {
    match (one, other) {
        (Kind::View(one, _), Kind::View(other, _)) => one == other,
        (Kind::Operation(one), Kind::Operation(other)) if one.kind() == other.kind() => {
            let is_known = |fusion: &Fusion| {
                matches!(
                    fusion,
                    Fusion::Matmul | Fusion::Linear | Fusion::MeanSquaredDifference | Fusion::Reduce(..)
                )
            };
            match (one.expression(), other.expression()) {
                // As text, 0 is not -0.
                (Some(one), Some(other)) => one == other && one.to_string() == other.to_string(),
                (None, None) => {
                    one.fusion().filter(is_known).is_some_and(|fusion| Some(fusion) == other.fusion())
                }
                _ => false,
            }
        }
        _ => false,
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

/// The most elements of constants that are compared.
const FEW: usize = 16;

/// Whether two tensors are the same, bit for bit.
pub(super) fn have_same_bits<T: Float>(x: &Tensor<T>, y: &Tensor<T>) -> bool {
    let bits = |x: T| x.to_f64().to_bits();
    x.shape() == y.shape() && x.iter().zip(y.iter()).all(|(x, y)| bits(x) == bits(y))
}
