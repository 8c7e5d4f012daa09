//! The reading of a scalar function on whole variables, which go to the tape.

use std::cell::RefCell;

use gradus_tensor::{Float, Tensor};

use super::elementwise::{Binary, Unary};
use super::function::{BinaryFunction, UnaryFunction};
use super::real::{Lift, Real};
use super::vocabulary::{real_functions, real_operators};
use crate::tape::{Var, apply};

/// The variables that a text has made so far; handles to them are `Copy`, as the text expects.
type Arena<T> = RefCell<Vec<Var<T>>>;

/// A method of two variables.
type BinaryMethod<'f, T> = &'f dyn Fn(&Var<T>, &Var<T>) -> Var<T>;

/// A variable in an arena. Its methods are calls and not inlined, so that the texts of all functions stay short.
#[derive(Clone, Copy)]
pub(crate) struct Traced<'a, T: Float> {
    arena: &'a Arena<T>,
    index: usize,
}

impl<'a, T: Float> Traced<'a, T> {
    #[inline(never)]
    fn new(arena: &'a Arena<T>, var: Var<T>) -> Self {
        let mut vars = arena.borrow_mut();
        vars.push(var);
        Self { arena, index: vars.len() - 1 }
    }

    fn var(self) -> Var<T> {
        self.arena.borrow()[self.index].clone()
    }

    #[inline(never)]
    fn unary(self, f: &dyn Fn(&Var<T>) -> Var<T>) -> Self {
        Self::new(self.arena, f(&self.var()))
    }

    #[inline(never)]
    fn binary(self, other: Self, f: BinaryMethod<'_, T>) -> Self {
        Self::new(self.arena, f(&self.var(), &other.var()))
    }

    #[inline(never)]
    fn compare(self, other: Self, f: fn(&Tensor<T>, Tensor<T>) -> Tensor<bool>) -> Self {
        let (left, right) = (self.var(), other.var());
        Self::new(self.arena, f(left.value(), right.into_value()).cast::<T>().into())
    }
}

/// The value of a text for these variables.
pub(crate) fn traced<T: Float>(
    inputs: &[Var<T>],
    text: impl for<'a> FnOnce(&[Traced<'a, T>]) -> Traced<'a, T>,
) -> Var<T> {
    let arena = Arena::default();
    let symbols: Vec<Traced<'_, T>> = inputs.iter().map(|x| Traced::new(&arena, x.clone())).collect();
    text(&symbols).var()
}

impl<T: Float> Real for Traced<'_, T> {
    real_functions! { each traced }
    real_functions! { binary traced_binary }
    real_functions! { comparison traced_comparison }

    fn gate(self, cotangent: Self) -> Self {
        self.binary(cotangent, &Var::gated)
    }
    fn softplus(self) -> Self {
        self.unary(&|x| x.softplus(1.0, f64::INFINITY))
    }
    fn polygamma(self, order: usize) -> Self {
        self.unary(&|x| x.polygamma(order))
    }
    fn select(self, if_true: impl Lift<Self>, if_false: impl Lift<Self>) -> Self {
        let condition = self.var().value().ne(T::ZERO);
        if_true.lift(self).binary(if_false.lift(self), &|x, y| Var::where_(&condition, x, y))
    }
    fn constant(self, value: f64) -> Self {
        Self::new(self.arena, T::from_f64(value).into())
    }
    fn detach(self) -> Self {
        self.unary(&Var::detach)
    }
    fn apply<F: UnaryFunction>(self, function: F) -> Self {
        Self::new(self.arena, apply(Unary(function), &[&self.var()]))
    }
    fn apply_with<F: BinaryFunction>(self, other: Self, function: F) -> Self {
        Self::new(self.arena, apply(Binary(function), &[&self.var(), &other.var()]))
    }
}

real_operators! {
    ['a, T: Float] Traced<'a, T>, |x, y|
    Add add + x.binary(y, &|x, y| x + y);
    Sub sub - x.binary(y, &|x, y| x - y);
    Mul mul * x.binary(y, &|x, y| x * y);
    Div div / x.binary(y, &|x, y| x / y);
    Neg neg - x.unary(&|x| -x);
}
