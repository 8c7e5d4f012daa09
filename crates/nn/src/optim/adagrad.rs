//! Adagrad.

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Rule, Step};
use super::non_negative;

/// Adagrad, gradient descent with steps scaled by the sum of all squared gradients (Duchi, Hazan and Singer,
/// "Adaptive subgradient methods for online learning and stochastic optimization", 2011).
///
/// With gradient g and parameter p, at step t: `g += weight_decay * p`; `v += g^2`, which starts at
/// `initial_accumulator_value`; `p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(v) + eps)`. Eps is 1e-10 and the
/// others are 0, if not set.
///
/// ```
/// use gradus_nn::{Adagrad, Optimizer, Parameter};
///
/// let mut p = Parameter::new([3.0_f64]);
/// let mut adagrad = Adagrad::new(0.5);
/// for slope in [3.0, 4.0] {
///     let loss = &p * slope;
///     adagrad.step(&mut p, &loss.backward());
/// }
/// assert!((p.item() - 2.1).abs() < 1e-9); // 3 - 0.5 * 3 / 3 - 0.5 * 4 / sqrt(3^2 + 4^2)
/// ```
pub type Adagrad<T = f32> = Descent<AdagradRule, T>;

/// The formula of [`Adagrad`].
#[derive(Debug, Clone)]
pub struct AdagradRule {
    lr_decay: f64,
    initial_accumulator_value: f64,
    eps: f64,
}

impl Default for AdagradRule {
    fn default() -> Self {
        Self { lr_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }
}

impl Rule for AdagradRule {
    fn slots(&self) -> usize {
        1
    }

    fn initial(&self) -> f64 {
        self.initial_accumulator_value
    }

    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
        let lr = T::from_f64(step.lr / (1.0 + f64::from(step.t - 1) * self.lr_decay));
        let eps = T::from_f64(self.eps);
        let decayed = step.decayed();
        Tensor::zip_inplace_many(
            [p, &mut state[0]],
            g,
            #[inline(always)]
            move |[p, v], g| {
                let g = decayed(p, g);
                let v = v + g * g;
                [p - lr * (g / (v.sqrt() + eps)), v]
            },
        );
    }
}

impl<T: Float> Adagrad<T> {
    /// The same with a learning rate that decays, at step t by the factor `1 / (1 + (t - 1) * lr_decay)`.
    ///
    /// ```
    /// use gradus_nn::{Adagrad, Optimizer, Parameter};
    ///
    /// let mut p = Parameter::new([0.0_f64]);
    /// let mut adagrad = Adagrad::new(1.0).lr_decay(1.0);
    /// for slope in [3.0, 4.0] {
    ///     let loss = &p * slope;
    ///     adagrad.step(&mut p, &loss.backward());
    /// }
    /// assert!((p.item() + 1.4).abs() < 1e-9); // 0 - 3 / 3 - 1 / 2 * 4 / 5
    /// ```
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn lr_decay(self, lr_decay: f64) -> Self {
        non_negative("lr_decay: the decay", lr_decay);
        self.change(|rule| rule.lr_decay = lr_decay)
    }

    /// The same with a sum of squares that starts elsewhere than at 0.
    ///
    /// ```
    /// use gradus_nn::{Adagrad, Optimizer, Parameter};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let loss = &p * 4.0;
    /// Adagrad::new(0.5).initial_accumulator_value(9.0).step(&mut p, &loss.backward());
    /// assert!((p.item() - 2.6).abs() < 1e-9); // 3 - 0.5 * 4 / sqrt(9 + 4^2)
    /// ```
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn initial_accumulator_value(self, value: f64) -> Self {
        non_negative("initial_accumulator_value: the value", value);
        self.change(|rule| rule.initial_accumulator_value = value)
    }

    /// The same with another eps, which keeps the divisor from 0.
    ///
    /// ```
    /// use gradus_nn::{Adagrad, Optimizer, Parameter};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let loss = &p * 4.0;
    /// Adagrad::new(0.5).eps(4.0).step(&mut p, &loss.backward());
    /// assert_eq!(p.item(), 2.75); // 3 - 0.5 * 4 / (4 + 4)
    /// ```
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn eps(self, eps: f64) -> Self {
        non_negative("eps: eps", eps);
        self.change(|rule| rule.eps = eps)
    }
}
