//! Adadelta.

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Rule, Step};
use super::{fraction, non_negative, options};

/// Adadelta: steps in proportion to the size of recent steps divided by the size of recent gradients (Zeiler,
/// "ADADELTA: an adaptive learning rate method", 2012). The learning rate is usually 1.
///
/// With gradient g and parameter p: `g += weight_decay * p`; `v = rho * v + (1 - rho) * g^2`;
/// `d = sqrt(u + eps) / sqrt(v + eps) * g`; `u = rho * u + (1 - rho) * d^2`; `p -= lr * d`. Both u and v start at 0.
pub type Adadelta<T = f32> = Descent<AdadeltaRule, T>;

/// The formula of [`Adadelta`].
#[derive(Debug, Clone)]
pub struct AdadeltaRule {
    rho: f64,
    eps: f64,
}

impl Default for AdadeltaRule {
    fn default() -> Self {
        Self { rho: 0.9, eps: 1e-6 }
    }
}

impl Rule for AdadeltaRule {
    fn slots(&self) -> usize {
        2
    }

    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
        let [lr, eps, rho, fresh] = [step.lr, self.eps, self.rho, 1.0 - self.rho].map(T::from_f64);
        let decayed = step.decayed();
        let [squares, steps] = state else { unreachable!("as many as `slots`") };
        Tensor::zip_inplace_many(
            [p, squares, steps],
            g,
            #[inline(always)]
            move |[p, v, u], g| {
                let g = decayed(p, g);
                let v = rho * v + fresh * g * g;
                let d = (u + eps).sqrt() / (v + eps).sqrt() * g;
                [p - lr * d, v, rho * u + fresh * d * d]
            },
        );
    }
}

impl<T: Float> Adadelta<T> {
    options! {
        /// Sets rho, the part of the running means that a step keeps; 0.9 by default.
        rho: fraction("rho");
        /// Sets eps, which keeps the divisor from 0 and makes the first step possible; 1e-6 by default.
        eps: non_negative("eps");
    }
}
