//! Optimizers: values with state, which change a model's parameters.
//!
//! An optimizer is a [`Rule`], the formula of one parameter's step, and what is common to all rules around it:
//! learning rates, weight decay, groups of parameters, and the state of each parameter ([`Descent`]).

mod adadelta;
mod adagrad;
mod adam;
mod clip;
mod descent;
mod plateau;
mod rmsprop;
mod schedule;
mod sgd;

use gradus_autograd::{Float, Gradients};

pub use adadelta::{Adadelta, AdadeltaRule};
pub use adagrad::{Adagrad, AdagradRule};
pub use adam::{Adam, AdamRule, AdamW};
pub use clip::{clip_grad_norm, clip_grad_value};
pub use descent::{Descent, Rule, Step};
pub use plateau::ReduceLrOnPlateau;
pub use rmsprop::{RmsProp, RmsPropRule};
pub use schedule::{
    CosineAnnealingLr, ExponentialLr, LinearLr, MultiStepLr, OneCycleLr, Schedule, StepLr, Then,
};
pub use sgd::{Sgd, SgdRule};

use crate::module::Module;

/// Something that makes a step from gradients.
///
/// A new formula needs no more than a [`Rule`]; this trait is for what is not a rule for each parameter alone.
///
/// ```
/// use gradus_autograd::{Float, Gradients};
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
    /// ([`Module::names_without_gradient`] tells which). A gradient is taken as it is: NaN makes the parameter and
    /// its optimizer state NaN.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Parameter, Sgd};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let loss = p.square().sum(..); // the gradient is 6
    /// Sgd::new(0.25).step(&mut p, &loss.backward());
    /// assert_eq!(p.item(), 1.5);
    /// ```
    ///
    /// # Panics
    /// If it is the first step and a [group](Descent::group) matches no parameter of the model.
    #[track_caller]
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>);

    /// The learning rates: first that of the parameters in no group, then that of each group. Never empty.
    fn learning_rates(&self) -> &[LearningRate];

    /// The learning rates, to be changed.
    fn learning_rates_mut(&mut self) -> &mut [LearningRate];

    /// The learning rate of the next step, of the parameters in no group.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Sgd};
    ///
    /// assert_eq!(Sgd::<f32>::new(0.25).lr(), 0.25);
    /// ```
    fn lr(&self) -> f64 {
        self.learning_rates()[0].current
    }

    /// Sets the learning rate from the next step on; that of each group keeps its proportion to it.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Sgd};
    ///
    /// let mut sgd = Sgd::<f32>::new(0.5).group(|name| name.ends_with("bias"), |sgd| sgd.learning_rate(1.0));
    /// sgd.set_lr(0.1);
    /// let rates: Vec<f64> = sgd.learning_rates().iter().map(|rate| rate.current).collect();
    /// assert_eq!(rates, [0.1, 0.2]);
    /// ```
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

    /// Sets all learning rates to what a schedule says for a step (0, 1, ...), each from where it started.
    ///
    /// ```
    /// use gradus_nn::{ExponentialLr, Optimizer, Parameter, Sgd};
    ///
    /// let (mut p, mut sgd) = (Parameter::new([0.0_f64]), Sgd::new(1.0));
    /// let schedule = ExponentialLr::new(0.5);
    /// for step in 0..3 {
    ///     sgd.follow(&schedule, step);
    ///     let loss = &p * 1.0; // the gradient is 1
    ///     sgd.step(&mut p, &loss.backward());
    /// }
    /// assert_eq!(p.item(), -1.75); // 0 - 1 - 0.5 - 0.25
    /// ```
    ///
    /// # Panics
    /// If the schedule does, or gives a rate that is negative or not finite.
    #[track_caller]
    fn follow(&mut self, schedule: &dyn Schedule, step: usize) {
        for rate in self.learning_rates_mut() {
            let lr = schedule.lr(step, rate.initial);
            rate.current = non_negative("follow: the learning rate of the schedule", lr);
        }
    }
}

/// The learning rate of a group of parameters, and the one it started with, which schedules start from.
///
/// ```
/// use gradus_nn::{LearningRate, Optimizer, Sgd};
///
/// let mut sgd = Sgd::<f32>::new(0.5);
/// sgd.set_lr(0.25);
/// assert_eq!(sgd.learning_rates(), [LearningRate { initial: 0.5, current: 0.25 }]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRate {
    /// Before any schedule.
    pub initial: f64,
    /// In the next step.
    pub current: f64,
}

impl LearningRate {
    /// A rate to start with.
    ///
    /// ```
    /// use gradus_nn::LearningRate;
    ///
    /// assert_eq!(LearningRate::new(0.5), LearningRate { initial: 0.5, current: 0.5 });
    /// ```
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

/// The value, which must be a part of 1, and not all of it.
#[track_caller]
fn fraction(option: &str, value: f64) -> f64 {
    assert!((0.0..1.0).contains(&value), "{option} is {value}: it must be from 0 to below 1");
    value
}
