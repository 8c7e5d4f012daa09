//! Adagrad.

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Rule, Step};
use super::{non_negative, options};

/// Adagrad: steps scaled by the sum of all squared gradients (Duchi, Hazan and Singer, "Adaptive
/// subgradient methods for online learning and stochastic optimization", 2011).
///
/// With gradient g and parameter p, at step t: `g += weight_decay * p`; `v += g^2`, which starts at
/// `initial_accumulator_value`; `p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(v) + eps)`.
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
    options! {
        /// Sets the decay of the learning rate, which step t multiplies by `1 / (1 + (t - 1) * lr_decay)`; 0 by
        /// default.
        lr_decay: non_negative("the decay");
        /// Sets the initial value of the sum of squares; 0 by default.
        initial_accumulator_value: non_negative("the value");
        /// Sets eps, which keeps the divisor from 0; 1e-10 by default.
        eps: non_negative("eps");
    }
}
