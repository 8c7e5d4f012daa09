//! The tape as a list: every operation behind a result, in an order in which it could be run again.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter, Write};
use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use super::node::{Node, Origin, address};
use super::operand::OperandValue;
use super::var::Var;
use crate::scalar::Expression;

/// The nodes behind a result, origins first (a Wengert list; Wengert, 1964).
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var};
///
/// let w = Var::leaf(Tensor::from([1.0, 2.0]));
/// let loss = (&w * 3.0).sum(0);
/// let tape = Tape::of(&loss).label(&w, "weight");
/// assert_eq!(tape.to_string(), "\
/// %0 = weight : [2] f64
/// %1 = mul %0 3 : [2] f64
/// %2 = sum %1 { axes: [0], keepdim: false } : [] f64
/// ");
/// assert_eq!(tape.len(), 3);
/// ```
#[derive(Debug)]
pub struct Tape<T: Float = f32> {
    nodes: Vec<Arc<Node<T>>>,
    positions: HashMap<usize, usize>,
    labels: HashMap<usize, String>,
}

/// One line of a [`Tape`].
#[derive(Debug)]
pub struct TapeNode<'a, T: Float> {
    tape: &'a Tape<T>,
    position: usize,
}

impl<T: Float> Tape<T> {
    /// The tape behind a variable; empty for a constant.
    #[inline(never)]
    pub fn of(var: &Var<T>) -> Self {
        let mut nodes: Vec<Arc<Node<T>>> = Vec::new();
        let mut positions = HashMap::new();
        let mut found: Vec<Arc<Node<T>>> = var.node().into_iter().cloned().collect();
        while let Some(node) = found.pop() {
            if positions.insert(address(&node), 0).is_none() {
                found.extend(node.inputs.iter().rev().filter_map(|input| input.node.clone()));
                nodes.push(node);
            }
        }
        // A node is deeper than all its inputs; a stable sort keeps the order deterministic.
        nodes.sort_by_key(|node| node.depth);
        positions.extend(nodes.iter().enumerate().map(|(i, node)| (address(node), i)));
        Self { nodes, positions, labels: HashMap::new() }
    }

    /// Shows a variable under a name in place of its operation's; without effect if it is not on the tape.
    #[must_use]
    pub fn label(mut self, var: &Var<T>, name: impl Into<String>) -> Self {
        if let Some(&position) = var.node().and_then(|node| self.positions.get(&address(node))) {
            self.labels.insert(position, name.into());
        }
        self
    }

    /// The number of nodes, leaves included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes: the variable was a constant.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The number of bytes of the buffers that nodes keep for their rules, each counted once.
    pub fn bytes(&self) -> usize {
        let outputs = self.nodes.iter().filter_map(|node| node.output.as_ref());
        let inputs =
            self.nodes.iter().flat_map(|node| &node.inputs).filter_map(|input| input.value.operand());
        let buffer = |value| match value {
            OperandValue::Number(value) => value.buffer_id_and_bytes(),
            OperandValue::Indices(value) => value.buffer_id_and_bytes(),
            OperandValue::Mask(value) => value.buffer_id_and_bytes(),
        };
        let kept = outputs.map(OperandValue::Number).chain(inputs);
        let buffers: HashMap<usize, usize> = kept.map(buffer).collect();
        buffers.values().sum()
    }

    /// The nodes, origins first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TapeNode<'_, T>> + '_ {
        (0..self.nodes.len()).map(|position| TapeNode { tape: self, position })
    }

    /// The tape as a graph in the language of Graphviz: `dot -Tsvg` draws it.
    pub fn to_dot(&self) -> String {
        let mut out = String::from("digraph tape {\n  node [fontname=\"monospace\", shape=box];\n");
        for (line, node) in self.iter().zip(&self.nodes) {
            let i = line.position();
            let style = if node.is_leaf() { ", style=filled, fillcolor=lightgrey" } else { "" };
            let text =
                format!("{}{}", line.label(), line.attributes().map_or(String::new(), |a| format!("\n{a}")));
            let label = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = writeln!(out, "  n{i} [label=\"{label}\\n{:?}\"{style}];", node.shape);
            for input in line.inputs().flatten() {
                let _ = writeln!(out, "  n{input} -> n{i};");
            }
        }
        out.push_str("}\n");
        out
    }

    pub(crate) fn nodes(&self) -> &[Arc<Node<T>>] {
        &self.nodes
    }

    /// The line of a node that is on the tape.
    pub(crate) fn line(&self, node: &Arc<Node<T>>) -> TapeNode<'_, T> {
        TapeNode { tape: self, position: self.positions[&address(node)] }
    }
}

impl<'a, T: Float> TapeNode<'a, T> {
    pub(crate) fn node(&self) -> &'a Arc<Node<T>> {
        &self.tape.nodes[self.position]
    }

    /// The place on the tape.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The name of the operation, or `leaf`.
    pub fn operation(&self) -> &'static str {
        self.node().name()
    }

    /// The name given with [`Tape::label`], or else the operation's.
    pub fn label(&self) -> &'a str {
        self.tape.labels.get(&self.position).map_or(self.node().name(), String::as_str)
    }

    /// The attributes of the operation, if it has any: `{ axes: [0], keepdim: false }`.
    pub fn attributes(&self) -> Option<String> {
        let text = match &self.node().origin {
            Origin::Leaf | Origin::Input(_) | Origin::Detach => return None,
            Origin::Gradient(gradient) => format!("{{ of: {} }}", gradient.call.node.name()),
            Origin::Operation(operation) => format!("{operation:?}"),
            Origin::Indices(operation) => format!("{operation:?}"),
            Origin::Mask(operation) => format!("{operation:?}"),
        };
        let (start, end) = text.find('{').zip(text.rfind('}'))?;
        // A tensor among them is printed over several lines.
        Some(text[start..=end].split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// For each input its place on the tape, or `None` for a constant.
    pub fn inputs(&self) -> impl Iterator<Item = Option<usize>> + 'a {
        let (node, tape) = (self.node(), self.tape);
        node.inputs.iter().map(|input| input.node.as_ref().map(|origin| tape.positions[&address(origin)]))
    }

    /// The function of numbers that the operation is for each element; see [`Expression`].
    pub fn expression(&self) -> Option<Expression> {
        self.node().operation()?.expression()
    }

    /// The shape of the result.
    pub fn shape(&self) -> &'a [usize] {
        &self.node().shape
    }

    /// The numbers of an input, if the tape keeps them; `None` if the input is missing or of another kind.
    pub fn input(&self, input: usize) -> Option<&'a Tensor<T>> {
        self.node().inputs.get(input)?.value.value()
    }

    /// The result, if the tape keeps it.
    pub fn output(&self) -> Option<&'a Tensor<T>> {
        self.node().output.as_ref()
    }
}

/// `%4 = mul %1 %3 : [64, 128] f32`
impl<T: Float> Display for TapeNode<'_, T> {
    #[inline(never)]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "%{} = {}", self.position, self.label())?;
        for (input, remembered) in self.inputs().zip(&self.node().inputs) {
            match (input, remembered.value.value()) {
                (Some(position), _) => write!(f, " %{position}")?,
                (None, Some(value)) if value.len() == 1 => write!(f, " {}", value.item())?,
                (None, _) => write!(f, " {}{:?}", remembered.value.kind(), remembered.value.shape())?,
            }
        }
        if let Some(attributes) = self.attributes() {
            write!(f, " {attributes}")?;
        }
        write!(f, " : {:?} {}", self.shape(), self.node().element())
    }
}

impl<T: Float> Display for Tape<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|node| writeln!(f, "{node}"))
    }
}
