//! Stochastic gradient descent.

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Rule, Step};
use super::{fraction, options};

/// Stochastic gradient descent with momentum (Polyak, 1964) or Nesterov's momentum (Nesterov, 1983, as in Sutskever et
/// al., 2013).
///
/// With gradient g and parameter p: `g += weight_decay * p`; `v = momentum * v + (1 - dampening) * g`, in the
/// first step `v = g`; `p -= lr * v`, or with Nesterov's momentum `p -= lr * (g + momentum * v)`.
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
pub type Sgd<T = f32> = Descent<SgdRule, T>;

/// The formula of [`Sgd`].
#[derive(Debug, Clone, Default)]
pub struct SgdRule {
    momentum: f64,
    dampening: f64,
    nesterov: bool,
}

impl Rule for SgdRule {
    fn slots(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }

    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
        let [lr, momentum] = [step.lr, self.momentum].map(T::from_f64);
        let decayed = step.decayed();
        let [velocity] = state else {
            return p.zip_inplace(
                g,
                #[inline(always)]
                move |p, g| p - lr * decayed(p, g),
            );
        };
        // The first velocity is the gradient itself.
        let [kept, fresh] =
            if step.t == 1 { [0.0, 1.0] } else { [self.momentum, 1.0 - self.dampening] }.map(T::from_f64);
        let nesterov = self.nesterov;
        Tensor::zip_inplace_many(
            [p, velocity],
            g,
            #[inline(always)]
            move |[p, v], g| {
                let g = decayed(p, g);
                let v = kept * v + fresh * g;
                [p - lr * if nesterov { g + momentum * v } else { v }, v]
            },
        );
    }
}

impl<T: Float> Sgd<T> {
    /// Sets the momentum, the part of the last step's velocity that is kept; 0 by default.
    ///
    /// # Panics
    /// Unless it is from 0 to below 1, and above 0 with [`nesterov`](Self::nesterov); or after a group or a step.
    #[must_use]
    #[track_caller]
    pub fn momentum(self, momentum: f64) -> Self {
        fraction("momentum: the momentum", momentum);
        check_nesterov(self.rule().nesterov, momentum);
        self.change("momentum", |rule| rule.momentum = momentum)
    }

    options! {
        /// Sets the dampening, the part of a gradient that does not enter the velocity; 0 by default.
        dampening: fraction("the dampening");
    }

    /// Takes Nesterov's momentum: the step looks ahead along the velocity.
    ///
    /// # Panics
    /// Without [`momentum`](Self::momentum), or after a group or a step.
    #[must_use]
    #[track_caller]
    pub fn nesterov(self) -> Self {
        check_nesterov(true, self.rule().momentum);
        self.change("nesterov", |rule| rule.nesterov = true)
    }
}

#[track_caller]
fn check_nesterov(nesterov: bool, momentum: f64) {
    assert!(
        !nesterov || momentum > 0.0,
        "nesterov: the momentum is 0: set one above 0 with `momentum` before"
    );
}
