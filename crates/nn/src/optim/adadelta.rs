//! Adadelta.

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Rule, Step};
use super::{fraction, non_negative};

/// Adadelta, gradient descent with steps as large as recent ones were, relative to recent gradients (Zeiler,
/// "ADADELTA: an adaptive learning rate method", 2012). The learning rate is usually 1.
///
/// With gradient g and parameter p: `g += weight_decay * p`; `v = rho * v + (1 - rho) * g^2`;
/// `d = sqrt(u + eps) / sqrt(v + eps) * g`; `u = rho * u + (1 - rho) * d^2`; `p -= lr * d`. Both start at 0.
/// Rho is 0.9 and eps 1e-6, if not set.
///
/// ```
/// use gradus_nn::{Adadelta, Optimizer, Parameter};
///
/// let mut p = Parameter::new([3.0_f64]);
/// let loss = &p * 4.0; // the gradient is 4
/// Adadelta::new(1.0).rho(0.75).eps(5.0).step(&mut p, &loss.backward());
/// let d = (5.0_f64 / 9.0).sqrt() * 4.0; // sqrt(0 + 5) / sqrt(0.25 * 4^2 + 5) * 4
/// assert!((p.item() - (3.0 - d)).abs() < 1e-12);
/// ```
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
    /// The same with another rho: how much of the running means is kept.
    ///
    /// ```
    /// use gradus_nn::{Adadelta, Optimizer, Parameter};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let loss = &p * 4.0;
    /// Adadelta::new(1.0).rho(0.0).eps(9.0).step(&mut p, &loss.backward());
    /// assert!((p.item() - 0.6).abs() < 1e-12); // 3 - sqrt(9) / sqrt(4^2 + 9) * 4
    /// ```
    ///
    /// # Panics
    /// Unless it is from 0 to below 1.
    #[must_use]
    #[track_caller]
    pub fn rho(self, rho: f64) -> Self {
        fraction("rho: rho", rho);
        self.change(|rule| rule.rho = rho)
    }

    /// The same with another eps, which keeps the divisor from 0 and lets the steps begin.
    ///
    /// ```
    /// use gradus_nn::{Adadelta, Optimizer, Parameter};
    ///
    /// let mut p = Parameter::new([3.0_f64]);
    /// let loss = &p * 4.0;
    /// Adadelta::new(1.0).eps(0.0).step(&mut p, &loss.backward());
    /// assert_eq!(p.item(), 3.0); // there were no steps yet
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
