//! One node of the tape: an operation that happened. It never changes after it is made.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

#[cfg(feature = "proptest")]
use gradus_tensor::TensorError;
use gradus_tensor::shapes::copied;
use gradus_tensor::{Element, Float, Shape, Tensor};
use smallvec::SmallVec;

use super::discrete::DiscreteOperation;
use super::operand::OperandValue;
use super::operation::Operation;
use super::rule_call::GradientOf;
use super::var::Var;
use super::watch::{self, Place};
use super::{example, mode};

/// The origin of a node's value.
pub(crate) enum Origin<T: Float> {
    /// A variable that gradients can be asked for.
    Leaf,
    /// Data: an identity without a gradient, of elements of this type.
    Input(&'static str),
    Operation(Arc<dyn Operation<T>>),
    Indices(Arc<dyn DiscreteOperation<T, i64>>),
    Mask(Arc<dyn DiscreteOperation<T, bool>>),
    /// The value of the input, without its gradient.
    Detach,
    /// The gradient for one input by a rule that computes with numbers, in a traced step.
    Gradient(GradientOf<T>),
}

/// An operation that happened, or a leaf.
///
/// Nodes own their inputs' nodes, so the graph points from results to origins, has no cycles, and a
/// branch that nobody holds dies at once.
pub(crate) struct Node<T: Float> {
    pub(crate) origin: Origin<T>,
    pub(crate) inputs: Vec<Input<T>>,
    /// Kept if the rule reads it.
    pub(crate) output: Option<Tensor<T>>,
    pub(crate) shape: Shape,
    /// Whether gradients flow here: this is a leaf, or made from one by operations that have gradients.
    pub(crate) is_differentiable: bool,
    /// One more than the depth of the deepest input; 0 for a user's leaf. In a traced step, only differentiable inputs count.
    pub(crate) depth: usize,
    /// Later nodes of a thread have larger numbers.
    pub(crate) number: u64,
    /// The line and the layer that made it, if somebody looked on.
    pub(crate) place: Option<Box<Place>>,
}

/// An input as its node remembers it.
pub(crate) struct Input<T: Float> {
    /// `None` for a constant.
    pub(crate) node: Option<Arc<Node<T>>>,
    pub(crate) value: Saved<T>,
}

impl<T: Float> Input<T> {
    /// The node, if gradients flow to it.
    pub(crate) fn differentiable(&self) -> Option<&Arc<Node<T>>> {
        self.node.as_ref().filter(|node| node.is_differentiable)
    }
}

/// An input's numbers, if the rule reads them, or only their shape. Indices and masks are always kept.
pub(crate) enum Saved<T> {
    Value(Tensor<T>),
    Shape(Shape),
    Indices(Tensor<i64>),
    Mask(Tensor<bool>),
}

impl<T> Saved<T> {
    /// No value.
    #[inline]
    pub(crate) fn nothing() -> Self {
        Self::Shape(Shape::new())
    }
}

impl<T: Float> Saved<T> {
    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Self::Value(value) => value.shape(),
            Self::Shape(shape) => shape,
            Self::Indices(indices) => indices.shape(),
            Self::Mask(mask) => mask.shape(),
        }
    }

    /// The name under which a constant is printed.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Value(_) | Self::Shape(_) => "constant",
            Self::Indices(_) => "indices",
            Self::Mask(_) => "mask",
        }
    }

    /// The value, if it is kept.
    pub(crate) fn operand(&self) -> Option<OperandValue<'_, T>> {
        match self {
            Self::Value(value) => Some(OperandValue::Number(value)),
            Self::Shape(_) => None,
            Self::Indices(indices) => Some(OperandValue::Indices(indices)),
            Self::Mask(mask) => Some(OperandValue::Mask(mask)),
        }
    }

    /// The numbers, to write to.
    pub(crate) fn value_mut(&mut self) -> Option<&mut Tensor<T>> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The numbers, if they are kept.
    pub(crate) fn value(&self) -> Option<&Tensor<T>> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: Float> Clone for Input<T> {
    fn clone(&self) -> Self {
        let value = match &self.value {
            Saved::Value(value) => Saved::Value(value.clone()),
            Saved::Shape(shape) => Saved::Shape(shape.clone()),
            Saved::Indices(indices) => Saved::Indices(indices.clone()),
            Saved::Mask(mask) => Saved::Mask(mask.clone()),
        };
        Self { node: self.node.clone(), value }
    }
}

thread_local! {
    /// Nodes made minus nodes dropped by this thread.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// Nodes made by this thread.
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// The number of tape nodes that this thread has made, less the number that it has dropped.
///
/// For a program that trains on one thread, this is the number of nodes alive; a number that grows from
/// step to step means that something holds on to old losses.
///
/// ```
/// use gradus_autograd::{Tensor, Var, live_nodes};
///
/// let before = live_nodes();
/// let x = Var::leaf(Tensor::from(2.0));
/// let loss = (&x * &x).exp();
/// assert_eq!(live_nodes() - before, 3);
/// loss.backward();
/// assert_eq!(live_nodes() - before, 1);
/// ```
pub fn live_nodes() -> isize {
    LIVE.get()
}

/// The number of nodes that this thread has made so far.
pub(crate) fn nodes_made() -> u64 {
    MADE.get()
}

/// The number of a line of the trace that is no node.
pub(crate) fn next_number() -> u64 {
    MADE.set(MADE.get() + 1);
    MADE.get()
}

impl<T: Float> Node<T> {
    pub(crate) fn new(
        origin: Origin<T>,
        inputs: Vec<Input<T>>,
        output: Option<Tensor<T>>,
        shape: &[usize],
    ) -> Arc<Self> {
        // Data is on the tape of a traced step alone, and must not change the order in which gradients add up there.
        let counts =
            |node: &&Arc<Self>| node.is_differentiable || !mode::is_tracing() || example::depends(node);
        let nodes = inputs.iter().filter_map(|input| input.node.as_ref()).filter(counts);
        let deepest = nodes.map(|node| node.depth + 1).max();
        Self::at(deepest.unwrap_or(0), origin, inputs, output, shape)
    }

    #[inline]
    fn at(
        depth: usize,
        origin: Origin<T>,
        inputs: Vec<Input<T>>,
        output: Option<Tensor<T>>,
        shape: &[usize],
    ) -> Arc<Self> {
        LIVE.set(LIVE.get() + 1);
        MADE.set(MADE.get() + 1);
        let is_differentiable = match origin {
            Origin::Leaf => true,
            Origin::Operation(_) => {
                mode::is_recording() && inputs.iter().any(|input| input.differentiable().is_some())
            }
            Origin::Gradient(_)
            | Origin::Input(_)
            | Origin::Indices(_)
            | Origin::Mask(_)
            | Origin::Detach => false,
        };
        let place = match origin {
            Origin::Operation(_) if mode::is_watching() => watch::last_place(),
            _ => None,
        };
        Arc::new(Self {
            origin,
            is_differentiable,
            inputs,
            output,
            shape: copied(shape),
            depth,
            number: MADE.get(),
            place,
        })
    }

    pub(crate) fn leaf(shape: &[usize]) -> Arc<Self> {
        Self::leaf_at(0, shape)
    }

    /// A leaf at a given depth: a walk that stops there does not look behind it.
    pub(crate) fn leaf_at(depth: usize, shape: &[usize]) -> Arc<Self> {
        Self::at(depth, Origin::Leaf, Vec::new(), None, shape)
    }

    pub(crate) fn input(shape: &[usize], element: &'static str) -> Arc<Self> {
        Self::input_at(0, shape, element)
    }

    /// Data at a given depth; see [`leaf_at`](Self::leaf_at).
    pub(crate) fn input_at(depth: usize, shape: &[usize], element: &'static str) -> Arc<Self> {
        Self::at(depth, Origin::Input(element), Vec::new(), None, shape)
    }

    /// A node with the value of another one, behind which no walk looks: in a compiled step, a variable of a part of the
    /// step that is differentiated by itself. It is a leaf if gradients are wanted, and otherwise data.
    pub(crate) fn stand_in(of: Input<T>, is_leaf: bool) -> Arc<Self> {
        let (origin, shape) =
            (if is_leaf { Origin::Leaf } else { Origin::Input(T::NAME) }, copied(of.value.shape()));
        Self::at(0, origin, vec![of], None, &shape)
    }

    /// Whether it is an origin: a leaf, or data.
    pub(crate) fn is_leaf(&self) -> bool {
        matches!(self.origin, Origin::Leaf | Origin::Input(_))
    }

    /// The operation, if its result is numbers.
    pub(crate) fn operation(&self) -> Option<&Arc<dyn Operation<T>>> {
        match &self.origin {
            Origin::Operation(operation) => Some(operation),
            _ => None,
        }
    }

    /// An input that is numbers, if they are kept.
    pub(crate) fn input_var(&self, input: usize) -> Option<Var<T>> {
        let Input { node, value } = self.inputs.get(input)?;
        Some(Var::from_parts(value.value()?.clone(), node.clone()))
    }

    /// The name of the operation, `leaf` or `input`.
    pub(crate) fn name(&self) -> &'static str {
        match &self.origin {
            Origin::Leaf => "leaf",
            Origin::Input(_) => "input",
            Origin::Operation(operation) => operation.name(),
            Origin::Indices(operation) => operation.name(),
            Origin::Mask(operation) => operation.name(),
            Origin::Detach => "detach",
            Origin::Gradient(_) => "gradient",
        }
    }

    /// The shape that the operation predicts from the shapes of its inputs; `None` if it predicts none.
    #[cfg(feature = "proptest")]
    pub(crate) fn expected_shape(&self) -> Option<Result<Shape, TensorError>> {
        let inputs: Vec<&[usize]> = self.inputs.iter().map(|input| input.value.shape()).collect();
        match &self.origin {
            Origin::Leaf | Origin::Input(_) | Origin::Detach | Origin::Gradient(_) => {
                Some(Ok(self.shape.clone()))
            }
            Origin::Operation(operation) => operation.shape(&inputs),
            Origin::Indices(operation) => operation.shape(&inputs),
            Origin::Mask(operation) => operation.shape(&inputs),
        }
    }

    /// The name of the type of the elements.
    pub(crate) fn element(&self) -> &'static str {
        match self.origin {
            Origin::Leaf | Origin::Operation(_) | Origin::Detach | Origin::Gradient(_) => T::NAME,
            Origin::Input(element) => element,
            Origin::Indices(_) => i64::NAME,
            Origin::Mask(_) => bool::NAME,
        }
    }
}

/// The key of a node in maps: its address, which is unique while the node is held.
pub(crate) fn address<T: Float>(node: &Arc<Node<T>>) -> usize {
    Arc::as_ptr(node) as usize
}

/// A map from [`address`]es, or from keys that hash as one.
pub(crate) type AddressMap<K, V> = HashMap<K, V, BuildHasherDefault<AddressHasher>>;
pub(crate) type AddressSet<K> = HashSet<K, BuildHasherDefault<AddressHasher>>;

/// Spreads addresses over a table (Knuth, "Sorting and searching", 1973, section 6.4: multiplication by the
/// golden ratio). No adversary chooses them, and the default hasher would cost more than everything else that a
/// small operation does.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_usize(&mut self, address: usize) {
        self.write_u64(address as u64);
    }
    fn write_u64(&mut self, word: u64) {
        let product = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // The table looks at the low bits, which a multiplication does not reach from above.
        self.0 = product ^ (product >> 32);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

impl<T: Float> Drop for Node<T> {
    /// Dropping a chain by recursion would overflow the stack, so nodes that die with this one are
    /// collected in a list.
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
        let mut dying = SmallVec::new();
        take_nodes(self, &mut dying);
        while let Some(node) = dying.pop() {
            let mut node = node;
            if let Some(node) = Arc::get_mut(&mut node) {
                // The usual case, without moving it: it is dropped where it is, with nothing behind it.
                take_nodes(node, &mut dying);
            } else if let Some(mut node) = Arc::into_inner(node) {
                // Another thread has let go meanwhile.
                take_nodes(&mut node, &mut dying);
            }
        }
    }
}

fn take_nodes<T: Float>(node: &mut Node<T>, dying: &mut SmallVec<[Arc<Node<T>>; 8]>) {
    dying.extend(node.inputs.iter_mut().filter_map(|input| input.node.take()));
}
