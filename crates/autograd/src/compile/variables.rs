//! What goes into a compiled function and comes out of it.

use gradus_tensor::Float;

use crate::tape::{Indices, Mask, Operand, Var};

/// Inputs or results of a compiled function: variables, indices, masks, and tuples, arrays, lists and options of them.
pub trait Variables<T: Float>: Sized {
    /// Shows each variable.
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Operand<'a, T>));

    /// Shows the lengths of lists, and 1 for an option with a value and 0 for one without: values with equally many variables
    /// may differ in them.
    fn structure(&self, visitor: &mut dyn FnMut(usize)) {
        let _ = visitor;
    }

    /// The same with other variables in place of these, in the order of [`visit`](Self::visit).
    #[must_use]
    fn exchange(&self, exchange: &mut dyn Exchange<T>) -> Self;
}

/// Gives a variable in place of another one.
#[doc(hidden)]
pub trait Exchange<T: Float> {
    fn var(&mut self, old: &Var<T>) -> Var<T>;
    fn indices(&mut self, old: &Indices<T>) -> Indices<T>;
    fn mask(&mut self, old: &Mask<T>) -> Mask<T>;
}

macro_rules! single {
    ($($kind:ty, $operand:ident, $method:ident;)*) => {$(
        impl<T: Float> Variables<T> for $kind {
            fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Operand<'a, T>)) {
                visitor(Operand::$operand(self));
            }
            fn exchange(&self, exchange: &mut dyn Exchange<T>) -> Self {
                exchange.$method(self)
            }
        }
    )*};
}

single! {
    Var<T>, Var, var;
    Indices<T>, Indices, indices;
    Mask<T>, Mask, mask;
}

macro_rules! tuples {
    ($(($($name:ident $i:tt),*);)*) => {$(
        impl<T: Float, $($name: Variables<T>),*> Variables<T> for ($($name,)*) {
            #[allow(unused_variables, reason = "the empty tuple has no variables")]
            fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Operand<'a, T>)) {
                $(self.$i.visit(visitor);)*
            }
            #[allow(unused_variables, reason = "the empty tuple has no variables")]
            fn structure(&self, visitor: &mut dyn FnMut(usize)) {
                $(self.$i.structure(visitor);)*
            }
            #[allow(unused_variables, clippy::unused_unit, reason = "the empty tuple has no variables")]
            fn exchange(&self, exchange: &mut dyn Exchange<T>) -> Self {
                ($(self.$i.exchange(exchange),)*)
            }
        }
    )*};
}

tuples! {
    ();
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
}

impl<T: Float, V: Variables<T>, const N: usize> Variables<T> for [V; N] {
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Operand<'a, T>)) {
        for value in self {
            value.visit(visitor);
        }
    }
    fn structure(&self, visitor: &mut dyn FnMut(usize)) {
        for value in self {
            value.structure(visitor);
        }
    }
    fn exchange(&self, exchange: &mut dyn Exchange<T>) -> Self {
        std::array::from_fn(|i| self[i].exchange(exchange))
    }
}

impl<T: Float, V: Variables<T>> Variables<T> for Vec<V> {
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Operand<'a, T>)) {
        for value in self {
            value.visit(visitor);
        }
    }
    fn structure(&self, visitor: &mut dyn FnMut(usize)) {
        visitor(self.len());
        for value in self {
            value.structure(visitor);
        }
    }
    fn exchange(&self, exchange: &mut dyn Exchange<T>) -> Self {
        self.iter().map(|value| value.exchange(exchange)).collect()
    }
}

impl<T: Float, V: Variables<T>> Variables<T> for Option<V> {
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Operand<'a, T>)) {
        if let Some(value) = self {
            value.visit(visitor);
        }
    }
    fn structure(&self, visitor: &mut dyn FnMut(usize)) {
        visitor(usize::from(self.is_some()));
        if let Some(value) = self {
            value.structure(visitor);
        }
    }
    fn exchange(&self, exchange: &mut dyn Exchange<T>) -> Self {
        self.as_ref().map(|value| value.exchange(exchange))
    }
}
