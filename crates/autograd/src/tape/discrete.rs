//! Discrete values, which choose among others and have no gradient: indices and masks.

use std::fmt::{self, Debug, Display, Formatter};
use std::ops::Deref;
use std::sync::Arc;

use gradus_tensor::shapes::{broadcast_shapes, expand_shape, reshape_shape};
use gradus_tensor::{Dims, Element, Float, OrPanic, Shape, Tensor, TensorError};

use super::node::{Node, Origin};
use super::operand::{Inputs, Operand};
use super::operation::{is_recorded, remember, values_of};
use super::{Batch, Saves, example, mode, watch};
use crate::scalar::Expression;

/// A tensor of integers or truth values that other operations read: [`Indices`] or a [`Mask`].
///
/// It dereferences to the tensor. Inside [`keep_values`](crate::keep_values) it also remembers the operation that
/// made it, so that the tape shows the decision, and can be run again on other numbers. Outside it remembers nothing:
/// a list of predictions must not keep the tapes of all batches alive.
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var, keep_values};
///
/// let x = Var::leaf(Tensor::from([3.0, 1.0, 2.0]));
/// let largest = keep_values(|| x.masked_fill(x.lt(2.0), 0.0));
/// assert_eq!(Tape::of(&largest).to_string(), "\
/// %0 = leaf : [3] f64
/// %1 = lt %0 2 : [3] bool
/// %2 = masked_fill %0 %1 { value: 0.0 } : [3] f64
/// ");
/// ```
#[derive(Clone)]
#[must_use]
pub struct Discrete<E, T: Float = f32> {
    value: Tensor<E>,
    node: Option<Arc<Node<T>>>,
}

/// Integers: places along an axis, or classes.
pub type Indices<T = f32> = Discrete<i64, T>;

/// Truth values: which elements are chosen.
pub type Mask<T = f32> = Discrete<bool, T>;

/// An operation whose result has no gradient: integers or truth values.
///
/// ```
/// use gradus_autograd::{DiscreteOperation, Inputs, Tensor, Var, decide};
///
/// #[derive(Debug)]
/// struct IsLarge;
///
/// impl DiscreteOperation<f64, bool> for IsLarge {
///     fn name(&self) -> &'static str {
///         "is_large"
///     }
///     fn forward(&self, inputs: &Inputs<f64>) -> Tensor<bool> {
///         inputs[0].abs().gt(10.0)
///     }
/// }
///
/// let x = Var::leaf(Tensor::from([-20.0, 3.0]));
/// let y = x.masked_fill(decide(IsLarge, &[&x]), 0.0);
/// assert_eq!(y.value(), &Tensor::from([0.0, 3.0]));
/// ```
pub trait DiscreteOperation<T: Float, E: Element>: Debug + Send + Sync + 'static {
    /// The name shown on the tape and in messages.
    fn name(&self) -> &'static str;

    /// The shape of the result; see [`Operation::shape`](crate::Operation::shape).
    ///
    /// # Errors
    /// The error that [`forward`](Self::forward) panics with for inputs of these shapes.
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        let _ = inputs;
        None
    }

    /// The result for these inputs. It must depend on nothing but them and the attributes.
    #[track_caller]
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<E>;

    /// The function of numbers that an elementwise operation with a mask as its result is, for a mask being 1 where it is true,
    /// else 0; `None`, the default, if it is another operation. A compiled step computes such a mask where it is read.
    fn expression(&self) -> Option<Expression> {
        None
    }

    /// The result for a whole batch; see [`Operation::batched`](crate::Operation::batched).
    fn batched(&self, batch: &Batch<T>) -> Option<Discrete<E, T>> {
        let _ = batch;
        None
    }
}

/// Runs an operation whose result is discrete. Inside [`keep_values`](crate::keep_values) it writes the operation to
/// the tape, if an input is on it.
///
/// # Panics
/// As the operation does, at the caller's line.
#[track_caller]
#[inline(never)]
pub fn decide<'a, T: Float, E: Discreteness<T>, A: Copy + Into<Operand<'a, T>>>(
    operation: impl DiscreteOperation<T, E>,
    inputs: &[A],
) -> Discrete<E, T> {
    let frame = watch::begin(|| operation.name());
    let value = operation.forward(&Inputs(&values_of(inputs)));
    drop(frame);
    let node = (mode::is_keeping_values() && is_recorded(inputs)).then(|| {
        let remembered = remember(inputs, Saves::ALL);
        Node::new(E::origin(Arc::new(operation)), remembered, None, value.shape())
    });
    Discrete { value, node }
}

/// The kinds of discrete values: `i64` and `bool`.
pub trait Discreteness<T: Float>: Element {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only the two types of this crate implement it")]
    fn origin(operation: Arc<dyn DiscreteOperation<T, Self>>) -> Origin<T>;
    #[doc(hidden)]
    fn operand(discrete: &Discrete<Self, T>) -> Operand<'_, T>;
    #[doc(hidden)]
    fn input<'a>(inputs: &Inputs<'a, T>, input: usize) -> &'a Tensor<Self>;
}

macro_rules! discreteness {
    ($($element:ty, $kind:ident, $method:ident;)*) => {$(
        impl<T: Float> Discreteness<T> for $element {
            #[allow(private_interfaces, reason = "see the trait")]
            fn origin(operation: Arc<dyn DiscreteOperation<T, Self>>) -> Origin<T> {
                Origin::$kind(operation)
            }
            fn operand(discrete: &Discrete<Self, T>) -> Operand<'_, T> {
                Operand::$kind(discrete)
            }
            fn input<'a>(inputs: &Inputs<'a, T>, input: usize) -> &'a Tensor<Self> {
                inputs.$method(input)
            }
        }
    )*};
}

discreteness! {
    i64, Indices, indices;
    bool, Mask, mask;
}

#[derive(Debug)]
struct Reshape {
    shape: Shape,
}

impl<T: Float, E: Discreteness<T>> DiscreteOperation<T, E> for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(reshape_shape(inputs[0], &self.shape.clone().into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<E> {
        E::input(inputs, 0).reshape(&self.shape[..])
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Discrete<E, T>> {
        Some(batch.decide(Self { shape: batch.raised(&self.shape) }))
    }
}

#[derive(Debug)]
struct Expand {
    shape: Shape,
}

impl<T: Float, E: Discreteness<T>> DiscreteOperation<T, E> for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(expand_shape(inputs[0], &self.shape))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<E> {
        E::input(inputs, 0).expand(&self.shape)
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Discrete<E, T>> {
        Some(batch.decide_each(Self { shape: batch.raised(&self.shape) }))
    }
}

impl<E: Discreteness<T>, T: Float> Discrete<E, T> {
    /// The same values in another shape; see [`Tensor::reshape`].
    ///
    /// # Panics
    /// If the shape has another number of elements.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Dims>) -> Self {
        let shape = reshape_shape(self.value.shape(), &shape.into()).or_panic();
        decide(Reshape { shape }, &[E::operand(self)])
    }

    /// The same values, repeated along axes of size 1 and new axes in front; see [`Tensor::expand`].
    ///
    /// # Panics
    /// If this shape does not broadcast to the other.
    #[track_caller]
    pub fn expand(&self, shape: impl AsRef<[usize]>) -> Self {
        decide(Expand { shape: Shape::from_slice(shape.as_ref()) }, &[E::operand(self)])
    }
}

#[derive(Debug)]
struct MaskedFill<E> {
    value: E,
}

impl<T: Float, E: Discreteness<T>> DiscreteOperation<T, E> for MaskedFill<E> {
    fn name(&self) -> &'static str {
        "masked_fill"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(broadcast_shapes("masked_fill", inputs[0], inputs[1]))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<E> {
        E::input(inputs, 0).masked_fill(inputs.mask(1), self.value)
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Discrete<E, T>> {
        Some(batch.decide_each(Self { value: self.value }))
    }
}

impl<E: Discreteness<T>, T: Float> Discrete<E, T> {
    /// `value` where the mask is true, and these elements where it is not; see [`Tensor::masked_fill`].
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn masked_fill(&self, mask: impl Into<Mask<T>>, value: E) -> Self {
        decide(MaskedFill { value }, &[E::operand(self), Operand::Mask(&mask.into())])
    }
}

impl<E: Element, T: Float> Discrete<E, T> {
    /// A constant: values without an origin on the tape.
    pub fn constant(value: impl Into<Tensor<E>>) -> Self {
        Self { value: value.into(), node: None }
    }

    /// Data with an identity on the tape; see [`Var::input`](crate::Var::input).
    pub fn input(value: impl Into<Tensor<E>>) -> Self {
        let value = value.into();
        Self { node: Some(Node::input(value.shape(), E::NAME)), value }
    }

    pub(crate) fn from_parts(value: Tensor<E>, node: Option<Arc<Node<T>>>) -> Self {
        Self { value, node }
    }

    pub(crate) fn node(&self) -> Option<&Arc<Node<T>>> {
        self.node.as_ref()
    }

    /// The integers or truth values.
    ///
    /// # Panics
    /// In a function that is being compiled, if the values are on the tape.
    #[inline]
    #[track_caller]
    pub fn value(&self) -> &Tensor<E> {
        example::note(self.node());
        if self.node.is_some() {
            mode::look("value");
        }
        &self.value
    }

    /// The values, for the library, which runs on other values whatever it does with them.
    pub(crate) fn raw(&self) -> &Tensor<E> {
        &self.value
    }

    /// The values, also while a step is traced: for checks and shapes, and never for results.
    #[doc(hidden)]
    pub fn numbers(&self) -> &Tensor<E> {
        &self.value
    }

    /// The integers or truth values, without their place on the tape.
    ///
    /// # Panics
    /// As [`value`](Self::value) does.
    #[track_caller]
    pub fn into_value(self) -> Tensor<E> {
        example::note(self.node());
        if self.node.is_some() {
            mode::look("into_value");
        }
        self.value
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
}

impl<E, T: Float> Deref for Discrete<E, T> {
    type Target = Tensor<E>;

    /// # Panics
    /// As [`Discrete::value`] does.
    #[track_caller]
    fn deref(&self) -> &Tensor<E> {
        example::note(self.node.as_ref());
        if self.node.is_some() {
            mode::look("deref");
        }
        &self.value
    }
}

impl<E: Element, T: Float, V: Into<Tensor<E>>> From<V> for Discrete<E, T> {
    /// A constant.
    fn from(value: V) -> Self {
        Self::constant(value)
    }
}

impl<E: Clone, T: Float> From<&Discrete<E, T>> for Discrete<E, T> {
    fn from(discrete: &Discrete<E, T>) -> Self {
        discrete.clone()
    }
}

/// Equal values in equal shapes.
impl<E: Element, T: Float> PartialEq<Tensor<E>> for Discrete<E, T> {
    fn eq(&self, other: &Tensor<E>) -> bool {
        *self.value() == *other
    }
}

impl<E: Element, T: Float> PartialEq for Discrete<E, T> {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

/// The values, as a tensor prints them.
impl<E, T: Float> Display for Discrete<E, T>
where
    Tensor<E>: Display,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&**self, f)
    }
}

impl<E, T: Float> Debug for Discrete<E, T>
where
    Tensor<E>: Debug,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, f)
    }
}
