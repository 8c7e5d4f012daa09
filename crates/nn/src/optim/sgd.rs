//! Stochastic gradient descent.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use gradus_autograd::{Float, Gradients, Identity, Tensor};

use super::Optimizer;
use crate::module::{Module, Path};

/// Stochastic gradient descent, with momentum (Polyak, 1964), Nesterov's variant of it (Nesterov, 1983, as in
/// Sutskever et al., 2013) and weight decay.
///
/// With gradient g and parameter p: `g += weight_decay * p`; `v = momentum * v + (1 - dampening) * g`, which
/// starts at g; `p -= learning_rate * v`, or with Nesterov `p -= learning_rate * (g + momentum * v)`.
///
/// ```
/// use gradus_nn::{Module, Optimizer, Parameter, Sgd};
///
/// let mut p = Parameter::new([1.0_f64]);
/// let mut sgd = Sgd::new(0.5).momentum(0.5);
/// for _ in 0..2 {
///     let loss = p.square().sum(..); // the gradient is 2 p
///     sgd.step(&mut p, &loss.backward());
/// }
/// assert_eq!(p.value().item(), -0.5); // 1 - 0.5 * 2 = 0, then 0 - 0.5 * (0.5 * 2 + 0)
/// ```
#[derive(Debug, Clone)]
pub struct Sgd<T: Float = f32> {
    /// The size of a step, also called `lr`.
    pub learning_rate: f64,
    /// How much of the last step's velocity is kept: from 0, none, to below 1.
    pub momentum: f64,
    /// How much less of a gradient enters the velocity.
    pub dampening: f64,
    /// Whether the step looks ahead along the velocity.
    pub nesterov: bool,
    /// The strength of the pull towards zero.
    pub weight_decay: f64,
    /// By parameter.
    velocity: HashMap<Identity<T>, Tensor<T>>,
}

impl<T: Float> Sgd<T> {
    /// Plain gradient descent.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Parameter, Sgd};
    ///
    /// let mut p = Parameter::new([1.0_f64]);
    /// let loss = &p * 4.0; // the gradient is 4
    /// Sgd::new(0.5).step(&mut p, &loss.backward());
    /// assert_eq!(p.item(), -1.0); // 1 - 0.5 * 4
    /// ```
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            velocity: HashMap::new(),
        }
    }

    /// The same with momentum.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Parameter, Sgd};
    ///
    /// let mut p = Parameter::new([0.0_f64]);
    /// let mut sgd = Sgd::new(1.0).momentum(0.5);
    /// for _ in 0..2 {
    ///     let loss = &p * 1.0; // the gradient is 1
    ///     sgd.step(&mut p, &loss.backward());
    /// }
    /// assert_eq!(p.item(), -2.5); // 0 - 1 = -1, then -1 - (0.5 * 1 + 1)
    /// ```
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// The same with dampening of the momentum.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Parameter, Sgd};
    ///
    /// let mut p = Parameter::new([0.0_f64]);
    /// let mut sgd = Sgd::new(1.0).momentum(0.5).dampening(0.25);
    /// for _ in 0..2 {
    ///     let loss = &p * 1.0; // the gradient is 1
    ///     sgd.step(&mut p, &loss.backward());
    /// }
    /// assert_eq!(p.item(), -2.25); // 0 - 1 = -1, then -1 - (0.5 * 1 + 0.75 * 1)
    /// ```
    #[must_use]
    pub fn dampening(self, dampening: f64) -> Self {
        Self { dampening, ..self }
    }

    /// The same with Nesterov's momentum.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Parameter, Sgd};
    ///
    /// let mut p = Parameter::new([0.0_f64]);
    /// let mut sgd = Sgd::new(1.0).momentum(0.5).nesterov();
    /// for _ in 0..2 {
    ///     let loss = &p * 1.0; // the gradient is 1
    ///     sgd.step(&mut p, &loss.backward());
    /// }
    /// assert_eq!(p.item(), -3.25); // 0 - (1 + 0.5 * 1) = -1.5, then -1.5 - (1 + 0.5 * 1.5)
    /// ```
    #[must_use]
    pub fn nesterov(self) -> Self {
        Self { nesterov: true, ..self }
    }

    /// The same with weight decay.
    ///
    /// ```
    /// use gradus_nn::{Optimizer, Parameter, Sgd};
    ///
    /// let mut p = Parameter::new([2.0_f64]);
    /// let loss = &p * 0.0; // the gradient is 0
    /// Sgd::new(1.0).weight_decay(0.25).step(&mut p, &loss.backward());
    /// assert_eq!(p.item(), 1.5); // 2 - 0.25 * 2
    /// ```
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl<T: Float> Optimizer<T> for Sgd<T> {
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>) {
        let [rate, momentum, fresh, decay] =
            [self.learning_rate, self.momentum, 1.0 - self.dampening, self.weight_decay].map(T::from_f64);
        let decayed = move |p: T, g: T| if decay == T::ZERO { g } else { g + decay * p };
        model.visit_mut(Path::ROOT, &mut |_, parameter| {
            let Some(gradient) = gradients.get(parameter) else { return };
            let Some(identity) = parameter.identity().filter(|_| self.momentum != 0.0) else {
                return parameter.update(|p| {
                    p.zip_inplace(
                        gradient,
                        #[inline(always)]
                        move |p, g| p - rate * decayed(p, g),
                    );
                });
            };
            let (velocity, kept, fresh) = match self.velocity.entry(identity) {
                Entry::Occupied(old) => (old.into_mut(), momentum, fresh),
                // The first velocity is the gradient itself.
                Entry::Vacant(new) => (new.insert(Tensor::zeros(gradient.shape())), T::ZERO, T::ONE),
            };
            let nesterov = self.nesterov;
            parameter.update(|p| {
                Tensor::zip_inplace_many(
                    [p, velocity],
                    gradient,
                    #[inline(always)]
                    move |[p, v], g| {
                        let g = decayed(p, g);
                        let v = kept * v + fresh * g;
                        [p - rate * if nesterov { g + momentum * v } else { v }, v]
                    },
                );
            });
        });
    }
}
