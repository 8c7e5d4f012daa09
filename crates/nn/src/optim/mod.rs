//! Optimizers: values with state that change a model's parameters.
//!
//! An optimizer is a [`Descent`] of a [`Rule`]. The rule is the formula of one parameter's step; the descent has the
//! learning rates, the weight decay, the groups of parameters and the state of each parameter.

mod adadelta;
mod adagrad;
mod adam;
mod average;
mod clip;
mod descent;
mod plateau;
mod rmsprop;
pub mod schedule;
mod sgd;
mod state;

use std::sync::Arc;

use gradus_autograd::{Float, Gradients, Tensor};

pub use adadelta::{Adadelta, AdadeltaRule};
pub use adagrad::{Adagrad, AdagradRule};
pub use adam::{Adam, AdamRule, AdamW};
pub use average::AveragedModel;
pub use clip::{clip_grad_norm, clip_grad_value};
pub use descent::{Descent, Rule, Step};
pub use plateau::ReduceLrOnPlateau;
pub use rmsprop::{RmsProp, RmsPropRule};
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdRule};

use crate::module::Module;

/// Methods that set a number of a rule, each with the check and the name for messages.
macro_rules! options {
    ($($(#[$doc:meta])* $option:ident: $check:ident($name:literal);)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// If the number is out of range, or after a group or a step.
        #[must_use]
        #[track_caller]
        pub fn $option(self, $option: f64) -> Self {
            $check(concat!(stringify!($option), ": ", $name), $option);
            self.change(stringify!($option), |rule| rule.$option = $option)
        }
    )*};
}
use options;

/// An algorithm that changes a model's parameters by their gradients.
///
/// A new formula for single parameters is a [`Rule`]; this trait is for algorithms that look at several parameters at
/// once.
///
/// ```
/// use gradus_autograd::{Float, Gradients, Tensor};
/// use gradus_nn::{LearningRate, Module, Optimizer, Parameter};
///
/// /// Steps of a fixed size against the sign of the gradient.
/// struct SignDescent(LearningRate);
///
/// impl<T: Float> Optimizer<T> for SignDescent {
///     fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>) {
///         let rate = T::from_f64(self.0.current);
///         for parameter in model.parameters_mut() {
///             if let Some(gradient) = gradients.get(parameter) {
///                 parameter.update(|p| *p -= gradient.sign() * rate);
///             }
///         }
///     }
///     fn learning_rates(&self) -> &[LearningRate] {
///         std::slice::from_ref(&self.0)
///     }
///     fn learning_rates_mut(&mut self) -> &mut [LearningRate] {
///         std::slice::from_mut(&mut self.0)
///     }
/// }
///
/// let mut p = Parameter::new([3.0_f64]);
/// let loss = p.square().sum(..);
/// SignDescent(LearningRate::new(0.5)).step(&mut p, &loss.backward());
/// assert_eq!(p.item(), 2.5);
/// ```
pub trait Optimizer<T: Float> {
    /// Changes every parameter of the model for which there is a gradient; others stay as they are
    /// ([`Module::names_without_gradient`] tells which), and so do [frozen](Module::freeze) ones. A gradient that is
    /// infinite or NaN spoils the parameter: with debug assertions it is refused, and [`Module::check_finite`] finds it in
    /// any build.
    ///
    /// # Panics
    /// If debug assertions are on and a gradient is not finite; if it is the first step and a [group](Descent::group)
    /// matches no parameter of the model; or if there are gradients, but not one for a parameter of this model: they are
    /// gradients of another model, such as a clone. Gradients of other leaves are allowed beside gradients of this model,
    /// and so are steps of a model that is wholly frozen.
    #[track_caller]
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>);

    /// The learning rates, never empty: the first for parameters in no group, then one for each group.
    fn learning_rates(&self) -> &[LearningRate];

    /// The learning rates, to change them.
    ///
    /// # Panics
    /// In a function that is being compiled.
    #[track_caller]
    fn learning_rates_mut(&mut self) -> &mut [LearningRate];

    /// The name of the parameter whose state has this place; `None` if there is none, or the optimizer cannot be part of a
    /// compiled step.
    #[doc(hidden)]
    fn parameter_at(&self, place: usize) -> Option<&Arc<str>> {
        let _ = place;
        None
    }

    /// Makes a step of the parameter whose state has this place, as a part of [`step`](Self::step).
    #[doc(hidden)]
    fn update_at(&mut self, place: usize, parameter: &mut Tensor<T>, gradient: &Tensor<T>) {
        let _ = (place, parameter, gradient);
        unreachable!("the optimizer has no part in a compiled step")
    }

    /// The learning rate of the next step, for parameters in no group.
    fn lr(&self) -> f64 {
        self.learning_rates()[0].current
    }

    /// Sets the learning rate from the next step on; the rates of groups keep their proportion to it.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    fn set_lr(&mut self, lr: f64) {
        non_negative("set_lr: the learning rate", lr);
        let rates = self.learning_rates_mut();
        let first = rates[0].initial;
        for rate in rates {
            // Equal rates stay equal, also if they started at 0; otherwise nothing is in proportion to 0.
            if rate.initial == first {
                rate.current = lr;
            } else if first != 0.0 {
                rate.current = lr * (rate.initial / first);
            }
        }
    }

    /// Sets every learning rate to the rate that a schedule gives for a step (0, 1, ...), from its initial rate; see
    /// [`schedule`] for an example.
    ///
    /// # Panics
    /// If the schedule panics, or gives a rate that is negative or not finite.
    #[track_caller]
    fn follow(&mut self, schedule: &dyn Schedule, step: usize) {
        for rate in self.learning_rates_mut() {
            let lr = schedule.lr(step, rate.initial);
            rate.current = non_negative("follow: the learning rate of the schedule", lr);
        }
    }
}

/// The learning rate of a group of parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRate {
    /// The rate that schedules start from.
    pub initial: f64,
    /// The rate of the next step.
    pub current: f64,
}

impl LearningRate {
    /// A rate that is initial and current.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        non_negative("learning_rate: the rate", lr);
        Self { initial: lr, current: lr }
    }
}

/// The value, which must be finite and not negative.
#[track_caller]
fn non_negative(option: &str, value: f64) -> f64 {
    assert!(value >= 0.0 && value.is_finite(), "{option} is {value}: it must be 0 or larger, and finite");
    value
}

/// The value, which must be from 0 to below 1.
#[track_caller]
fn fraction(option: &str, value: f64) -> f64 {
    assert!((0.0..1.0).contains(&value), "{option} is {value}: it must be from 0 to below 1");
    value
}
