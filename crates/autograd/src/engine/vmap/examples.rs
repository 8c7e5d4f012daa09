//! The inputs and the results of a function of one example.

use std::ops::Deref;

use gradus_tensor::{Element, Float, Tensor};

use crate::tape::node::Node;
use crate::tape::{Indices, Lifted, Mask, OwnedOperand, Var};

/// One example: a slice of its variables, `x[0]`, and after them [`indices`](Self::indices) and [`masks`](Self::mask), by the
/// number of the input.
///
/// ```
/// use gradus_autograd::{Indices, Operand, Tensor, Var, vmap};
///
/// let (logits, classes) = (Var::leaf(Tensor::from([[0.0, 9.0], [9.0, 0.0]])), Indices::constant([1, 1]));
/// let inputs = [Operand::Var(&logits), Operand::Indices(&classes)];
/// let losses = vmap(|x| x[0].softmax_cross_entropy(0, x.indices(1), None), &inputs, &[Some(0), Some(0)]);
/// assert!(losses.value().lt(Tensor::from([0.001, 9.1])).all(..).item());
/// ```
#[derive(Debug)]
pub struct Examples<T: Float = f32> {
    numbers: Vec<Var<T>>,
    others: Vec<OwnedOperand<T>>,
}

impl<T: Float> Examples<T> {
    pub(super) fn new(examples: &[OwnedOperand<T>]) -> Self {
        let numbers: Vec<Var<T>> = examples.iter().filter_map(OwnedOperand::var).cloned().collect();
        let others = examples[numbers.len()..].to_vec();
        Self { numbers, others }
    }

    /// The indices of an input.
    ///
    /// # Panics
    /// If the input is missing or of another kind.
    #[track_caller]
    pub fn indices(&self, input: usize) -> &Indices<T> {
        let found = self.other(input).and_then(OwnedOperand::indices);
        found.unwrap_or_else(|| panic!("vmap: input {input} is not indices"))
    }

    /// The mask of an input.
    ///
    /// # Panics
    /// If the input is missing or of another kind.
    #[track_caller]
    pub fn mask(&self, input: usize) -> &Mask<T> {
        let found = self.other(input).and_then(OwnedOperand::mask);
        found.unwrap_or_else(|| panic!("vmap: input {input} is not a mask"))
    }

    /// The same without gradients.
    pub(super) fn detached(&self) -> Self {
        Self { numbers: self.numbers.iter().map(Var::detach).collect(), others: self.others.clone() }
    }

    fn other(&self, input: usize) -> Option<&OwnedOperand<T>> {
        self.others.get(input.checked_sub(self.numbers.len())?)
    }
}

impl<T: Float> Deref for Examples<T> {
    type Target = [Var<T>];

    fn deref(&self) -> &[Var<T>] {
        &self.numbers
    }
}

/// The results of a function of one example: a variable, [`Indices`] or a [`Mask`]; or an array, a `Vec`, an `Option` or a
/// tuple of them.
pub trait Results<T: Float>: Sized {
    /// The same with other variables.
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "users have no need to implement it")]
    fn map(self, f: &mut dyn FnMut(OwnedOperand<T>) -> OwnedOperand<T>) -> Self;
}

macro_rules! single_results {
    ($($type:ident $kind:ident;)*) => {$(
        impl<T: Float> Results<T> for $type<T> {
            #[allow(private_interfaces, reason = "see the trait")]
            fn map(self, f: &mut dyn FnMut(OwnedOperand<T>) -> OwnedOperand<T>) -> Self {
                match f(OwnedOperand::$kind(self)) {
                    OwnedOperand::$kind(result) => result,
                    _ => unreachable!("the kind of a result does not change"),
                }
            }
        }
    )*};
}
single_results! {
    Var Var;
    Indices Indices;
    Mask Mask;
}

macro_rules! several_results {
    ($([$($generics:tt)*] $type:ty, |$results:ident, $f:ident| $mapped:expr;)*) => {$(
        impl<T: Float, $($generics)*> Results<T> for $type {
            #[allow(private_interfaces, reason = "see the trait")]
            fn map(self, $f: &mut dyn FnMut(OwnedOperand<T>) -> OwnedOperand<T>) -> Self {
                let $results = self;
                $mapped
            }
        }
    )*};
}
several_results! {
    [R: Results<T>] Vec<R>, |results, f| results.into_iter().map(|result| result.map(f)).collect();
    [R: Results<T>] Option<R>, |results, f| results.map(|result| result.map(f));
    [R: Results<T>, const N: usize] [R; N], |results, f| results.map(|result| result.map(f));
    [A: Results<T>, B: Results<T>] (A, B), |results, f| (results.0.map(f), results.1.map(f));
    [A: Results<T>, B: Results<T>, C: Results<T>] (A, B, C),
        |results, f| (results.0.map(f), results.1.map(f), results.2.map(f));
}

impl<T: Float> Lifted<T> {
    /// The first example, as a leaf at this depth; what is the same for all examples is itself.
    pub(super) fn example(&self, size: usize, depth: usize) -> OwnedOperand<T> {
        if !self.is_batched {
            return self.operand.clone();
        }
        match &self.operand {
            OwnedOperand::Var(var) => {
                let leaf = Node::leaf_at(depth, self.shape());
                OwnedOperand::Var(Var::tracked(first(var.raw(), size), leaf))
            }
            OwnedOperand::Indices(indices) => {
                let node = Node::input_at(depth, self.shape(), i64::NAME);
                OwnedOperand::Indices(Indices::from_parts(first(indices.raw(), size), Some(node)))
            }
            OwnedOperand::Mask(mask) => {
                let node = Node::input_at(depth, self.shape(), bool::NAME);
                OwnedOperand::Mask(Mask::from_parts(first(mask.raw(), size), Some(node)))
            }
        }
    }

    /// One of the examples, on the tape of the whole; numbers that are not on it are a leaf, as a function may differentiate.
    pub(super) fn leaf(&self, place: usize) -> OwnedOperand<T> {
        match &self.operand {
            OwnedOperand::Var(var) if self.is_batched && !var.is_tracked() => {
                OwnedOperand::Var(Var::leaf(var.value().select(0, place as isize)))
            }
            _ => self.at(place),
        }
    }

    /// One of the examples.
    pub(super) fn at(&self, place: usize) -> OwnedOperand<T> {
        let place = place as isize;
        match &self.operand {
            same if !self.is_batched => same.clone(),
            OwnedOperand::Var(var) => OwnedOperand::Var(var.select(0, place)),
            OwnedOperand::Indices(indices) => {
                OwnedOperand::Indices(Indices::constant(indices.value().select(0, place)))
            }
            OwnedOperand::Mask(mask) => OwnedOperand::Mask(Mask::constant(mask.value().select(0, place))),
        }
    }
}

/// The first example; zeros without examples.
fn first<E: Element>(all: &Tensor<E>, size: usize) -> Tensor<E> {
    if size == 0 { Tensor::full(&all.shape()[1..], E::default()) } else { all.select(0, 0) }
}
