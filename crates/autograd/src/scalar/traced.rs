//! The reading of a scalar function on whole variables, which go to the tape.

use std::cell::RefCell;
use std::ops::Neg;

use gradus_tensor::{Float, Tensor};

use super::elementwise::{Binary, Unary};
use super::function::{BinaryFunction, UnaryFunction};
use super::real::{Lift, Real};
use super::vocabulary::{real_functions, real_operators};
use crate::tape::{Var, apply};

/// The variables that a text has made so far; handles to them are `Copy`, as the text expects.
type Arena<T> = RefCell<Vec<Var<T>>>;

/// A variable in an arena.
#[derive(Clone, Copy)]
pub(crate) struct Traced<'a, T: Float> {
    arena: &'a Arena<T>,
    index: usize,
}

impl<'a, T: Float> Traced<'a, T> {
    fn new(arena: &'a Arena<T>, var: Var<T>) -> Self {
        let mut vars = arena.borrow_mut();
        vars.push(var);
        Self { arena, index: vars.len() - 1 }
    }

    fn var(self) -> Var<T> {
        self.arena.borrow()[self.index].clone()
    }

    fn unary(self, f: impl Fn(&Var<T>) -> Var<T>) -> Self {
        Self::new(self.arena, f(&self.var()))
    }

    fn binary(self, other: Self, f: impl Fn(&Var<T>, &Var<T>) -> Var<T>) -> Self {
        Self::new(self.arena, f(&self.var(), &other.var()))
    }

    fn compare(self, other: impl Lift<Self>, f: impl Fn(&Tensor<T>, Tensor<T>) -> Tensor<bool>) -> Self {
        let (left, right) = (self.var(), other.lift(self).var());
        Self::new(self.arena, f(left.value(), right.into_value()).to_number::<T>().into())
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

    fn gate(self, cotangent: Self) -> Self {
        self.binary(cotangent, Var::gated)
    }
    fn pow(self, exponent: impl Lift<Self>) -> Self {
        self.binary(exponent.lift(self), |x, y| x.pow(y))
    }
    fn softplus(self) -> Self {
        self.unary(|x| x.softplus(1.0, f64::INFINITY))
    }
    fn polygamma(self, order: usize) -> Self {
        self.unary(|x| x.polygamma(order))
    }
    fn gt(self, other: impl Lift<Self>) -> Self {
        self.compare(other, |x, y| x.gt(y))
    }
    fn lt(self, other: impl Lift<Self>) -> Self {
        self.compare(other, |x, y| x.lt(y))
    }
    fn ge(self, other: impl Lift<Self>) -> Self {
        self.compare(other, |x, y| x.ge(y))
    }
    fn le(self, other: impl Lift<Self>) -> Self {
        self.compare(other, |x, y| x.le(y))
    }
    fn eq(self, other: impl Lift<Self>) -> Self {
        self.compare(other, |x, y| x.eq(y))
    }
    fn select(self, if_true: impl Lift<Self>, if_false: impl Lift<Self>) -> Self {
        let condition = self.var().value().ne(T::ZERO);
        if_true.lift(self).binary(if_false.lift(self), |x, y| Var::where_(&condition, x, y))
    }
    fn constant(self, value: f64) -> Self {
        Self::new(self.arena, T::from_f64(value).into())
    }
    fn detach(self) -> Self {
        self.unary(Var::detach)
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
    Add add + x.binary(y, |x, y| x + y);
    Sub sub - x.binary(y, |x, y| x - y);
    Mul mul * x.binary(y, |x, y| x * y);
    Div div / x.binary(y, |x, y| x / y);
}

impl<T: Float> Neg for Traced<'_, T> {
    type Output = Self;
    fn neg(self) -> Self {
        self.unary(|x| -x)
    }
}
