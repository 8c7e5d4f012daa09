//! Optimizers: values with state, which change a model's parameters.

mod adam;
mod sgd;

use gradus_autograd::{Float, Gradients};

pub use adam::{Adam, AdamW};
pub use sgd::Sgd;

use crate::module::Module;

/// Something that makes a step from gradients.
///
/// ```
/// use gradus_autograd::{Float, Gradients};
/// use gradus_nn::{Module, Optimizer, Parameter, Path};
///
/// /// Steps of a fixed size against the sign of the gradient.
/// struct SignDescent(f64);
///
/// impl<T: Float> Optimizer<T> for SignDescent {
///     fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>) {
///         model.visit_mut(Path::ROOT, &mut |_, parameter| {
///             if let Some(gradient) = gradients.get(parameter) {
///                 parameter.update(|p| *p -= gradient.sign() * T::from_f64(self.0));
///             }
///         });
///     }
/// }
///
/// let mut p = Parameter::new([3.0_f64]);
/// let loss = p.square().sum(..);
/// SignDescent(0.5).step(&mut p, &loss.backward());
/// assert_eq!(p.item(), 2.5);
/// ```
pub trait Optimizer<T: Float> {
    /// Changes every parameter of the model for which there is a gradient; others stay as they are
    /// ([`Module::names_without_gradient`] tells which).
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Parameter, Sgd};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let loss = p.square().sum(..); // the gradient is 6
    /// Sgd::new(0.25).step(&mut p, &loss.backward());
    /// assert_eq!(p.item(), 1.5);
    /// ```
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>);
}
