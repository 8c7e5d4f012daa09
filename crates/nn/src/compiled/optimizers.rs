//! The optimizers of a compiled step.

use gradus_autograd::Float;

use crate::optim::{Descent, Optimizer, Rule};

/// Optimizers that a compiled function changes: one, several as a tuple, or none, `()`.
pub trait Optimizers<T: Float> {
    /// The optimizer of a number; `None` if there are fewer.
    fn nth(&mut self, n: usize) -> Option<&mut dyn Optimizer<T>>;
}

impl<T: Float, R: Rule> Optimizers<T> for Descent<R, T> {
    fn nth(&mut self, n: usize) -> Option<&mut dyn Optimizer<T>> {
        (n == 0).then_some(self)
    }
}

impl<T: Float, O: Optimizer<T>> Optimizers<T> for Box<O> {
    fn nth(&mut self, n: usize) -> Option<&mut dyn Optimizer<T>> {
        (n == 0).then_some(&mut **self)
    }
}

impl<T: Float> Optimizers<T> for Box<dyn Optimizer<T>> {
    fn nth(&mut self, n: usize) -> Option<&mut dyn Optimizer<T>> {
        (n == 0).then_some(&mut **self)
    }
}

macro_rules! optimizers {
    ($(($($name:ident $i:tt),*);)*) => {$(
        impl<T: Float, $($name: Optimizer<T>),*> Optimizers<T> for ($($name,)*) {
            fn nth(&mut self, n: usize) -> Option<&mut dyn Optimizer<T>> {
                match n {
                    $($i => Some(&mut self.$i),)*
                    _ => None,
                }
            }
        }
    )*};
}

optimizers! {
    ();
    (A 0, B 1);
    (A 0, B 1, C 2);
}
