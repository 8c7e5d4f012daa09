//! Variables in place of others.

use gradus_autograd::compile::Exchange;
use gradus_autograd::{Float, Indices, Mask, OperandValue, Var};

/// Gives each variable an identity.
pub(super) struct AsInputs;

impl<T: Float> Exchange<T> for AsInputs {
    fn var(&mut self, old: &Var<T>) -> Var<T> {
        Var::input(old.numbers())
    }
    fn indices(&mut self, old: &Indices<T>) -> Indices<T> {
        Indices::input(old.numbers())
    }
    fn mask(&mut self, old: &Mask<T>) -> Mask<T> {
        Mask::input(old.numbers())
    }
}

/// Makes constants.
pub(super) struct Detached;

impl<T: Float> Exchange<T> for Detached {
    fn var(&mut self, old: &Var<T>) -> Var<T> {
        Var::constant(old.numbers())
    }
    fn indices(&mut self, old: &Indices<T>) -> Indices<T> {
        Indices::constant(old.numbers())
    }
    fn mask(&mut self, old: &Mask<T>) -> Mask<T> {
        Mask::constant(old.numbers())
    }
}

/// Copies.
pub(super) struct Same;

impl<T: Float> Exchange<T> for Same {
    fn var(&mut self, old: &Var<T>) -> Var<T> {
        old.clone()
    }
    fn indices(&mut self, old: &Indices<T>) -> Indices<T> {
        old.clone()
    }
    fn mask(&mut self, old: &Mask<T>) -> Mask<T> {
        old.clone()
    }
}

/// The results of a program.
pub(super) struct Results<O>(pub(super) O);

impl<'a, T: Float, O: Iterator<Item = OperandValue<'a, T>>> Exchange<T> for Results<O> {
    fn var(&mut self, _: &Var<T>) -> Var<T> {
        let Some(OperandValue::Number(value)) = self.0.next() else {
            unreachable!("the results are as before")
        };
        value.clone().into()
    }
    fn indices(&mut self, _: &Indices<T>) -> Indices<T> {
        let Some(OperandValue::Indices(value)) = self.0.next() else {
            unreachable!("the results are as before")
        };
        value.clone().into()
    }
    fn mask(&mut self, _: &Mask<T>) -> Mask<T> {
        let Some(OperandValue::Mask(value)) = self.0.next() else {
            unreachable!("the results are as before")
        };
        value.clone().into()
    }
}
