//! The inputs of an operation: numbers, indices or truth values.

use std::ops::Index;
use std::sync::Arc;

use gradus_tensor::shapes::copied;
use gradus_tensor::{Float, Shape, Tensor};

use super::discrete::{Indices, Mask};
use super::example;
use super::node::{Node, Saved};
use super::var::Var;

/// One input of [`apply`](crate::apply): a variable, indices or a mask.
///
/// An operation on variables alone takes `&[&x, &y]`; one that also reads indices,
/// `&[Operand::Var(&x), Operand::Indices(&index)]`.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a, T: Float> {
    /// Numbers, which may have a gradient.
    Var(&'a Var<T>),
    /// Integers, without a gradient.
    Indices(&'a Indices<T>),
    /// Truth values, without a gradient.
    Mask(&'a Mask<T>),
}

impl<'a, T: Float> From<&'a Var<T>> for Operand<'a, T> {
    #[inline]
    fn from(var: &'a Var<T>) -> Self {
        Self::Var(var)
    }
}

impl<'a, T: Float> From<&'a Indices<T>> for Operand<'a, T> {
    fn from(indices: &'a Indices<T>) -> Self {
        Self::Indices(indices)
    }
}

impl<'a, T: Float> From<&'a Mask<T>> for Operand<'a, T> {
    fn from(mask: &'a Mask<T>) -> Self {
        Self::Mask(mask)
    }
}

impl<'a, T: Float> Operand<'a, T> {
    pub(crate) fn node(self) -> Option<&'a Arc<Node<T>>> {
        match self {
            Self::Var(var) => var.node(),
            Self::Indices(indices) => indices.node(),
            Self::Mask(mask) => mask.node(),
        }
    }

    #[doc(hidden)]
    pub fn value(self) -> OperandValue<'a, T> {
        match self {
            Self::Var(var) => OperandValue::Number(var.raw()),
            Self::Indices(indices) => OperandValue::Indices(indices.raw()),
            Self::Mask(mask) => OperandValue::Mask(mask.raw()),
        }
    }

    /// The value, of which something is made without a place on the tape.
    pub(crate) fn read(self) -> OperandValue<'a, T> {
        example::note(self.node());
        self.value()
    }

    /// The value that a node keeps; of numbers only the shape, unless `keep`.
    pub(crate) fn saved(self, keep: bool) -> Saved<T> {
        match self {
            Self::Var(var) if keep => Saved::Value(var.raw().clone()),
            Self::Var(var) => Saved::Shape(copied(var.shape())),
            Self::Indices(indices) => Saved::Indices(indices.raw().clone()),
            Self::Mask(mask) => Saved::Mask(mask.raw().clone()),
        }
    }
}

/// An operand that outlives the call.
#[derive(Debug, Clone)]
pub(crate) enum OwnedOperand<T: Float> {
    Var(Var<T>),
    Indices(Indices<T>),
    Mask(Mask<T>),
}

impl<'a, T: Float> From<&'a OwnedOperand<T>> for Operand<'a, T> {
    fn from(owned: &'a OwnedOperand<T>) -> Self {
        match owned {
            OwnedOperand::Var(var) => Self::Var(var),
            OwnedOperand::Indices(indices) => Self::Indices(indices),
            OwnedOperand::Mask(mask) => Self::Mask(mask),
        }
    }
}

impl<T: Float> From<Operand<'_, T>> for OwnedOperand<T> {
    fn from(operand: Operand<'_, T>) -> Self {
        match operand {
            Operand::Var(var) => Self::Var(var.clone()),
            Operand::Indices(indices) => Self::Indices(indices.clone()),
            Operand::Mask(mask) => Self::Mask(mask.clone()),
        }
    }
}

impl<T: Float> OwnedOperand<T> {
    pub(crate) fn node(&self) -> Option<&Arc<Node<T>>> {
        Operand::from(self).node()
    }

    pub(crate) fn var(&self) -> Option<&Var<T>> {
        if let Self::Var(var) = self { Some(var) } else { None }
    }

    pub(crate) fn indices(&self) -> Option<&Indices<T>> {
        if let Self::Indices(indices) = self { Some(indices) } else { None }
    }

    pub(crate) fn mask(&self) -> Option<&Mask<T>> {
        if let Self::Mask(mask) = self { Some(mask) } else { None }
    }

    /// The same with one axis moved in front of the others.
    #[track_caller]
    pub(crate) fn moved_to_front(self, axis: usize) -> Self {
        if axis == 0 {
            return self;
        }
        let order: Shape =
            std::iter::once(axis).chain((0..self.shape().len()).filter(|&other| other != axis)).collect();
        match self {
            Self::Var(var) => Self::Var(var.permute(order)),
            // As a constant: discrete values have no such operation on the tape.
            Self::Indices(indices) => Self::Indices(Indices::constant(indices.value().permute(order))),
            Self::Mask(mask) => Self::Mask(Mask::constant(mask.value().permute(order))),
        }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Self::Var(var) => var.shape(),
            Self::Indices(indices) => indices.shape(),
            Self::Mask(mask) => mask.shape(),
        }
    }

    #[track_caller]
    pub(crate) fn reshape(&self, shape: Shape) -> Self {
        match self {
            Self::Var(var) => Self::Var(var.reshape(shape)),
            Self::Indices(indices) => Self::Indices(indices.reshape(shape)),
            Self::Mask(mask) => Self::Mask(mask.reshape(shape)),
        }
    }

    #[track_caller]
    pub(crate) fn expand(&self, shape: &[usize]) -> Self {
        match self {
            Self::Var(var) => Self::Var(var.expand(shape)),
            Self::Indices(indices) => Self::Indices(indices.expand(shape)),
            Self::Mask(mask) => Self::Mask(mask.expand(shape)),
        }
    }
}

/// The value of an operand.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum OperandValue<'a, T: Float> {
    Number(&'a Tensor<T>),
    Indices(&'a Tensor<i64>),
    Mask(&'a Tensor<bool>),
}

impl<'a, T: Float> OperandValue<'a, T> {
    /// The value, to be kept.
    pub(crate) fn saved(self) -> Saved<T> {
        match self {
            Self::Number(value) => Saved::Value(value.clone()),
            Self::Indices(value) => Saved::Indices(value.clone()),
            Self::Mask(value) => Saved::Mask(value.clone()),
        }
    }

    pub(crate) fn shape(self) -> &'a [usize] {
        match self {
            Self::Number(value) => value.shape(),
            Self::Indices(value) => value.shape(),
            Self::Mask(value) => value.shape(),
        }
    }
}

/// The inputs of a forward pass: `inputs[i]` are numbers, [`inputs.indices(i)`](Self::indices) integers and
/// [`inputs.mask(i)`](Self::mask) truth values.
///
/// ```
/// use gradus_autograd::{Indices, Inputs, Operand, Operation, Tensor, Var, apply};
///
/// #[derive(Debug)]
/// struct Rows;
///
/// impl Operation<f64> for Rows {
///     fn name(&self) -> &'static str {
///         "rows"
///     }
///     fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
///         inputs[0].index_select(0, inputs.indices(1))
///     }
/// }
///
/// let (x, index) = (Var::constant([1.0, 2.0, 3.0]), Indices::constant([2, 0]));
/// assert_eq!(apply(Rows, &[Operand::Var(&x), Operand::Indices(&index)]).value(), &Tensor::from([3.0, 1.0]));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T: Float>(pub(crate) &'a [OperandValue<'a, T>]);

impl<'a, T: Float> Inputs<'a, T> {
    /// The number of inputs.
    #[allow(clippy::len_without_is_empty, reason = "an operation has inputs")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The numbers of an input; `None` if it is missing or of another kind.
    pub fn get(&self, input: usize) -> Option<&'a Tensor<T>> {
        match self.0.get(input) {
            Some(OperandValue::Number(value)) => Some(value),
            _ => None,
        }
    }

    /// All inputs that are numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = &'a Tensor<T>> {
        (0..self.len()).filter_map(|input| self.get(input))
    }

    /// The integers of an input.
    ///
    /// # Panics
    /// If the input is missing or of another kind.
    #[track_caller]
    pub fn indices(&self, input: usize) -> &'a Tensor<i64> {
        let Some(OperandValue::Indices(value)) = self.0.get(input) else {
            panic!("input {input} is not indices")
        };
        value
    }

    /// The truth values of an input.
    ///
    /// # Panics
    /// If the input is missing or of another kind.
    #[track_caller]
    pub fn mask(&self, input: usize) -> &'a Tensor<bool> {
        let Some(OperandValue::Mask(value)) = self.0.get(input) else {
            panic!("input {input} is not a mask")
        };
        value
    }
}

impl<'a, T: Float> Index<usize> for Inputs<'a, T> {
    type Output = &'a Tensor<T>;

    #[inline]
    #[track_caller]
    fn index(&self, input: usize) -> &&'a Tensor<T> {
        let OperandValue::Number(value) = &self.0[input] else { panic!("input {input} is not numbers") };
        value
    }
}
