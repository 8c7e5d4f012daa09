//! The context of a gradient rule: the values that it may read.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use super::discrete::{Discrete, Indices, Mask};
use super::node::{AddressMap, Node, Saved, address};
use super::operand::OwnedOperand;
use super::var::Var;
use super::{example, mode};

/// Nodes, which are held so that no others get their addresses, with their gradients.
pub(crate) type Found<T> = AddressMap<usize, (Arc<Node<T>>, Var<T>)>;

/// The inputs, the output and the cotangent of an operation, for its gradient rule.
///
/// While a backward pass is itself being recorded, the values that the context hands out remember where they came
/// from; otherwise they are constants. That is all there is to derivatives of higher order.
#[derive(Debug)]
pub struct Context<'a, T: Float> {
    node: &'a Arc<Node<T>>,
    /// The cotangent of the output in reverse mode, the tangent of an input in forward mode.
    given: &'a Var<T>,
    recorded: bool,
    /// The backward pass does not look at nodes of a smaller depth.
    floor: usize,
    /// The inputs whose gradients are needed, if not all that are tracked.
    asked: Option<&'a [usize]>,
    /// All gradients of a backward pass so far.
    found: Option<&'a RefCell<Found<T>>>,
    /// Whether the rule has taken the gradient of its input so far.
    taken: Cell<bool>,
}

impl<'a, T: Float> Context<'a, T> {
    pub(crate) fn new(node: &'a Arc<Node<T>>, given: &'a Var<T>) -> Self {
        let recorded = mode::makes_nodes();
        if !recorded {
            // The rule's own operations have no place on the tape.
            example::note(Some(node));
        }
        Self { node, given, recorded, floor: 0, asked: None, found: None, taken: Cell::new(false) }
    }

    /// This context within a backward pass that has found these gradients, and that ends at the depth `floor`.
    pub(crate) fn within(self, found: &'a RefCell<Found<T>>, floor: usize) -> Self {
        Self { found: Some(found), floor, ..self }
    }

    /// This context, asked for the gradients of these inputs only.
    pub(crate) fn asked_for(&self, inputs: &'a [usize]) -> Self {
        Self { asked: Some(inputs), ..Self::new(self.node, self.given) }
    }

    /// Whether a gradient with respect to an input is needed.
    pub fn needs(&self, input: usize) -> bool {
        match self.asked {
            Some(asked) => asked.contains(&input),
            None => self.node.inputs[input].differentiable().is_some_and(|node| node.depth >= self.floor),
        }
    }

    /// The gradient with respect to the output, in its shape.
    pub fn cotangent(&self) -> &'a Var<T> {
        self.given
    }

    /// In [`Operation::jvp`](crate::Operation::jvp): the change of the input, in its shape.
    pub fn tangent(&self) -> &'a Var<T> {
        self.given
    }

    /// An input.
    ///
    /// # Panics
    /// If the operation does not list it in [`Operation::saves`](crate::Operation::saves).
    #[track_caller]
    pub fn input(&self, input: usize) -> Var<T> {
        let node = self.node.inputs[input].node.clone().filter(|_| self.recorded);
        Var::from_parts(self.input_numbers(input).clone(), node)
    }

    /// An input of indices.
    ///
    /// # Panics
    /// If it is of another kind.
    #[track_caller]
    pub fn indices(&self, input: usize) -> Indices<T> {
        let Saved::Indices(value) = &self.node.inputs[input].value else {
            panic!("input {input} is not indices")
        };
        Discrete::from_parts(value.clone(), self.node.inputs[input].node.clone().filter(|_| self.recorded))
    }

    /// An input that is a mask.
    ///
    /// # Panics
    /// If it is of another kind.
    #[track_caller]
    pub fn mask(&self, input: usize) -> Mask<T> {
        let Saved::Mask(value) = &self.node.inputs[input].value else {
            panic!("input {input} is not a mask")
        };
        Discrete::from_parts(value.clone(), self.node.inputs[input].node.clone().filter(|_| self.recorded))
    }

    /// An input of which nothing but the place on the tape is wanted: its numbers are zeros.
    pub(crate) fn identity(&self, input: usize) -> Var<T> {
        let node = self.node.inputs[input].node.as_ref();
        node.map_or_else(|| Tensor::scalar(T::ZERO).expand(self.shape(input)).into(), Var::of_node)
    }

    /// The number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// The number of inputs that are numbers; they come before all others.
    pub(crate) fn numbers(&self) -> usize {
        (0..self.inputs()).take_while(|&input| self.operand(input).is_none()).count()
    }

    /// An input that is indices or a mask; `None` if it is numbers.
    pub(crate) fn operand(&self, input: usize) -> Option<OwnedOperand<T>> {
        match self.node.inputs[input].value {
            Saved::Value(_) | Saved::Shape(_) => None,
            Saved::Indices(_) => Some(OwnedOperand::Indices(self.indices(input))),
            Saved::Mask(_) => Some(OwnedOperand::Mask(self.mask(input))),
        }
    }

    /// Whether there is an input of this number.
    pub(crate) fn has_input(&self, input: usize) -> bool {
        input < self.node.inputs.len()
    }

    /// The numbers of an input.
    #[track_caller]
    pub(crate) fn input_value(&self, input: usize) -> &'a Tensor<T> {
        example::note(self.node.inputs[input].node.as_ref());
        mode::look("input");
        self.input_numbers(input)
    }

    #[track_caller]
    fn input_numbers(&self, input: usize) -> &'a Tensor<T> {
        let Some(value) = self.node.inputs[input].value.value() else {
            self.not_saved(&format!("input {input}"))
        };
        value
    }

    /// The output.
    ///
    /// # Panics
    /// If the operation does not list it in [`Operation::saves`](crate::Operation::saves).
    #[track_caller]
    pub fn output(&self) -> Var<T> {
        Var::from_parts(self.output_numbers().clone(), self.recorded.then(|| Arc::clone(self.node)))
    }

    /// The numbers of the output.
    #[track_caller]
    pub(crate) fn output_value(&self) -> &'a Tensor<T> {
        example::note(Some(self.node));
        mode::look("output");
        self.output_numbers()
    }

    #[track_caller]
    pub(crate) fn output_numbers(&self) -> &'a Tensor<T> {
        let Some(value) = &self.node.output else { self.not_saved("the output") };
        value
    }

    /// The shape of an input, which need not be saved.
    pub fn shape(&self, input: usize) -> &'a [usize] {
        self.node.inputs[input].value.shape()
    }

    /// Whether the rule's own operations are being recorded, for a derivative of higher order.
    ///
    /// A rule that asks may compute with numbers where this is false: in a compiled step it then runs again as a whole.
    pub fn is_recorded(&self) -> bool {
        if self.recorded && !mode::is_recording() {
            mode::look("is_recorded");
            return false;
        }
        self.recorded
    }

    /// Whether the variables that the context hands out are on the tape.
    pub(crate) fn is_on_tape(&self) -> bool {
        self.recorded
    }

    /// The gradient accumulated for an input so far; zeros before the first contribution.
    ///
    /// For a rule that adds to a few places of it and returns the sum: the gradient of a tensor that is read in many
    /// small parts does then not cost the whole size for each part.
    pub(crate) fn gradient_so_far(&self, input: usize) -> Var<T> {
        let take = || {
            let origin = self.node.inputs[input].differentiable()?;
            let mut found = self.found?.borrow_mut();
            let (_, gradient) = found.get_mut(&address(origin))?;
            self.taken.set(true);
            // A placeholder, until the rule returns the sum.
            Some(std::mem::replace(gradient, self.given.clone()))
        };
        take().unwrap_or_else(|| Var::constant(Tensor::scalar(T::ZERO).expand(self.shape(input))))
    }

    /// Whether the rule that runs has taken the [gradient so far](Self::gradient_so_far).
    pub(crate) fn took(&self) -> bool {
        self.taken.get()
    }

    /// Whether the last rule has taken the [gradient so far](Self::gradient_so_far).
    pub(crate) fn has_taken(&self) -> bool {
        self.taken.take()
    }

    #[track_caller]
    fn not_saved(&self, what: &str) -> ! {
        panic!("{}: the gradient rule reads {what}, which `saves` does not list", self.node.name())
    }
}
