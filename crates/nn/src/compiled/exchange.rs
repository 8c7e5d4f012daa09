//! Variables in place of others.

use gradus_autograd::compile::Exchange;
use gradus_autograd::{Float, Indices, Mask, Var};

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

pub(super) enum Output<T: Float> {
    Var(Var<T>),
    Indices(Indices<T>),
    Mask(Mask<T>),
}

/// Gives the results of a program.
pub(super) struct Outputs<O>(pub(super) O);

impl<T: Float, O: Iterator<Item = Output<T>>> Exchange<T> for Outputs<O> {
    fn var(&mut self, _: &Var<T>) -> Var<T> {
        let Some(Output::Var(var)) = self.0.next() else { unreachable!("the results are as before") };
        var
    }
    fn indices(&mut self, _: &Indices<T>) -> Indices<T> {
        let Some(Output::Indices(indices)) = self.0.next() else { unreachable!("the results are as before") };
        indices
    }
    fn mask(&mut self, _: &Mask<T>) -> Mask<T> {
        let Some(Output::Mask(mask)) = self.0.next() else { unreachable!("the results are as before") };
        mask
    }
}
