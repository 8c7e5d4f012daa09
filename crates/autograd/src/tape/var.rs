//! The variable: numbers that may remember where they came from.

use std::fmt::{self, Debug, Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use gradus_tensor::{Float, Shape, Tensor};

use super::node::{Node, Origin};
use super::operation::{is_recorded, remember};
use super::saves::Saves;
use super::{example, mode};

/// A tensor that takes part in differentiation.
///
/// It is either a *constant*, or *tracked*: a leaf, or the result of an operation on something tracked.
/// Cloning is cheap and gives the same variable, not a new one. A `Var` can be sent to other threads.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
///
/// let x = Var::leaf(Tensor::from([0.0_f64, 1.0]));
/// let y = x.sin() * 2.0;
/// assert!(y.is_tracked());
/// assert!(!y.detach().is_tracked());
/// ```
///
/// # Two precisions
/// All variables of a tape have one element type, so a variable has no `cast`. A part that needs another precision is a
/// tape of its own: its input is a leaf with the cast numbers, and the gradient of that leaf, cast back, is where the
/// first tape goes on. (This is the chain rule, for first derivatives.)
///
/// ```
/// use gradus_autograd::{Tensor, Var};
///
/// let x = Var::leaf(Tensor::from([1.0_f32, 2.0]));
/// let y = x.square();
/// let y_double = Var::leaf(y.value().cast::<f64>());
/// let loss = y_double.sqrt().sum(..); // in f64
/// let gradient = loss.backward().get(&y_double).unwrap().cast::<f32>();
/// assert_eq!(y.backward_with(&gradient).get(&x), Some(&Tensor::from([1.0, 1.0])));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Var<T: Float = f32> {
    value: Tensor<T>,
    node: Option<Arc<Node<T>>>,
}

impl<T: Float> Var<T> {
    /// A new variable that gradients can be asked for.
    pub fn leaf(value: impl Into<Tensor<T>>) -> Self {
        let value = value.into();
        Self { node: Some(Node::leaf(value.shape())), value }
    }

    /// A constant: an operation on constants alone is not recorded.
    pub fn constant(value: impl Into<Tensor<T>>) -> Self {
        Self { value: value.into(), node: None }
    }

    /// Data with an identity on the tape and without a gradient: operations on it are recorded, so that a step can be
    /// run again on other data.
    ///
    /// ```
    /// use gradus_autograd::{Tape, Tensor, Var};
    ///
    /// let (x, w) = (Var::input(Tensor::from([1.0, 2.0])), Var::leaf(Tensor::from(3.0)));
    /// let y = (&x * &w).sum(..);
    /// assert_eq!(Tape::of(&y).iter().next().unwrap().to_string(), "%0 = input : [2] f64");
    /// let gradients = y.backward();
    /// assert_eq!((gradients.get(&w), gradients.get(&x)), (Some(&Tensor::from(3.0)), None));
    /// ```
    pub fn input(value: impl Into<Tensor<T>>) -> Self {
        let value = value.into();
        Self { node: Some(Node::input(value.shape(), T::NAME)), value }
    }

    pub(crate) fn tracked(value: Tensor<T>, node: Arc<Node<T>>) -> Self {
        Self { value, node: Some(node) }
    }

    /// A variable of which nothing but the node is known: its numbers are zeros.
    pub(crate) fn of_node(node: &Arc<Node<T>>) -> Self {
        Self { value: Tensor::scalar(T::ZERO).expand(&node.shape), node: Some(Arc::clone(node)) }
    }

    pub(crate) fn from_parts(value: Tensor<T>, node: Option<Arc<Node<T>>>) -> Self {
        Self { value, node }
    }

    pub(crate) fn node(&self) -> Option<&Arc<Node<T>>> {
        self.node.as_ref()
    }

    pub(crate) fn into_parts(self) -> (Tensor<T>, Option<Arc<Node<T>>>) {
        (self.value, self.node)
    }

    /// The numbers.
    ///
    /// # Panics
    /// In a function that is being compiled, if the variable is on the tape.
    #[inline]
    #[track_caller]
    pub fn value(&self) -> &Tensor<T> {
        example::note(self.node());
        if self.node.is_some() {
            mode::look("value");
        }
        &self.value
    }

    /// The numbers, for the library, which runs on other numbers whatever it does with them.
    #[inline]
    pub(crate) fn raw(&self) -> &Tensor<T> {
        &self.value
    }

    /// The numbers, also while a step is traced: for checks and shapes, and never for results.
    #[inline]
    #[doc(hidden)]
    pub fn numbers(&self) -> &Tensor<T> {
        example::note(self.node());
        &self.value
    }

    /// The numbers of a leaf or a constant, to be changed in place by a compiled step, which keeps their shape.
    #[doc(hidden)]
    pub fn numbers_mut(&mut self) -> &mut Tensor<T> {
        &mut self.value
    }

    /// The numbers, without their place on the tape.
    ///
    /// # Panics
    /// As [`value`](Self::value) does.
    #[track_caller]
    pub fn into_value(self) -> Tensor<T> {
        example::note(self.node());
        if self.node.is_some() {
            mode::look("into_value");
        }
        self.value
    }

    /// The numbers of a leaf or a constant, to be changed in place, as an optimizer does.
    ///
    /// The variable stays the same one. A tape that was recorded before keeps the old numbers (they are
    /// copied first if it does), so its gradients stay right.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let mut x = Var::leaf(Tensor::from(3.0));
    /// let y = &x * &x;
    /// x.update(|x| *x -= 1.0);
    /// assert_eq!(x.item(), 2.0);
    /// assert_eq!(y.backward().get(&x), Some(&Tensor::from(6.0))); // at 3
    /// ```
    ///
    /// # Panics
    /// If the variable is the result of an operation, or if the new value has another shape.
    #[track_caller]
    pub fn update(&mut self, update: impl FnOnce(&mut Tensor<T>)) {
        if let Some(node) = self.node.as_ref().filter(|node| !node.is_leaf()) {
            panic!(
                "update: the variable is the result of `{}`; only a leaf or a constant can be changed (detach it first)",
                node.name()
            );
        }
        example::note(self.node());
        let shape = Shape::from_slice(self.value.shape());
        update(&mut self.value);
        assert!(
            self.value.shape() == &shape[..],
            "update: the new value has shape {:?}, the variable {shape:?}: they must be equal",
            self.value.shape()
        );
    }

    /// The sizes of the axes.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        self.value.shape()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.value.rank()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The one element of a variable that has just one.
    ///
    /// # Panics
    /// If there are more or none.
    #[track_caller]
    pub fn item(&self) -> T {
        self.value().item()
    }

    /// Whether gradients flow to it: it is a leaf, or made from one while recording.
    #[inline]
    pub fn is_tracked(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.is_differentiable)
    }

    /// Whether this is a leaf: gradients flow to it, and end there.
    pub fn is_leaf(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.is_differentiable && node.is_leaf())
    }

    /// The identity of a variable on the tape, which tells it from all others; `None` for a constant.
    ///
    /// It stays the same when the numbers are changed, and can be the key of a map: an optimizer keeps its
    /// state by it.
    pub fn identity(&self) -> Option<Identity<T>> {
        self.node.clone().map(Identity)
    }

    /// The same numbers as a constant: no gradient flows through. Inside [`keep_values`](crate::keep_values) the tape
    /// shows where they came from.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from(3.0));
    /// let y = &x * x.detach(); // the derivative is x, not 2 x
    /// assert_eq!(y.backward().get(&x), Some(&Tensor::from(3.0)));
    /// ```
    pub fn detach(&self) -> Self {
        let node = (mode::is_keeping_values() && is_recorded(&[self]))
            .then(|| Node::new(Origin::Detach, remember(&[self], Saves::ALL), None, self.shape()));
        Self { value: self.value.clone(), node }
    }
}

/// The identity of a variable on the tape; see [`Var::identity`].
#[derive(Debug, Clone)]
pub struct Identity<T: Float = f32>(pub(crate) Arc<Node<T>>);

impl<T: Float> PartialEq for Identity<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Float> Eq for Identity<T> {}

impl<T: Float> Hash for Identity<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl<T: Float, V: Into<Tensor<T>>> From<V> for Var<T> {
    /// A constant.
    fn from(value: V) -> Self {
        Self::constant(value)
    }
}

impl<T: Float> From<&Var<T>> for Var<T> {
    fn from(var: &Var<T>) -> Self {
        var.clone()
    }
}

/// The numbers, as a tensor prints them.
impl<T: Float> Display for Var<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self.value(), f)
    }
}

/// The kind of variable, and the tensor.
impl<T: Float> Debug for Var<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = self.node.as_ref().map_or("constant", |node| node.name());
        write!(f, "Var({kind}) {:?}", self.value())
    }
}

impl<T: Float> Debug for Node<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} : {:?} {}", self.name(), self.shape, T::NAME)
    }
}
