//! Optimizers: values with state, which change a model's parameters.

mod sgd;

use gradus_autograd::{Float, Gradients};

pub use sgd::Sgd;

use crate::module::Module;

/// Something that makes a step from gradients.
pub trait Optimizer<T: Float> {
    /// Changes every parameter of the model for which there is a gradient; others stay as they are
    /// ([`Module::names_without_gradient`] tells which).
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>);
}
