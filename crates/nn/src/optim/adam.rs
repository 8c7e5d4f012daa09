//! Adam and `AdamW`.

use std::fmt::{self, Debug, Formatter};

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Rule, Step};
use super::{fraction, non_negative, options};

/// Adam: steps scaled by running moments of the gradient (Kingma and Ba, "Adam: a method for stochastic optimization",
/// 2015).
///
/// With gradient g and parameter p, at step t: `g += weight_decay * p`; `m += (1 - beta1) * (g - m)`;
/// `v = beta2 * v + (1 - beta2) * g^2`; `p -= lr * m' / (sqrt(v') + eps)`, where `m' = m / (1 - beta1^t)` and
/// `v' = v / (1 - beta2^t)` correct for m and v starting at 0.
pub type Adam<T = f32> = Descent<AdamRule<false>, T>;

/// [`Adam`] with weight decay that is not part of the gradient, and so not scaled by its moments (Loshchilov and
/// Hutter, "Decoupled weight decay regularization", 2019).
///
/// The gradient stays as it is; instead `p *= 1 - lr * weight_decay` comes first. The weight decay is 0.01 by default.
pub type AdamW<T = f32> = Descent<AdamRule<true>, T>;

/// The formula of [`Adam`], or with `DECOUPLED` weight decay the formula of [`AdamW`].
#[derive(Clone)]
pub struct AdamRule<const DECOUPLED: bool> {
    betas: [f64; 2],
    eps: f64,
    amsgrad: bool,
}

impl<const DECOUPLED: bool> Debug for AdamRule<DECOUPLED> {
    /// With a name of its own for each formula: states of optimizers are told apart by it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { betas, eps, amsgrad } = self;
        let name = if DECOUPLED { "AdamWRule" } else { "AdamRule" };
        let mut fields = f.debug_struct(name);
        fields.field("betas", betas).field("eps", eps).field("amsgrad", amsgrad).finish()
    }
}

impl<const DECOUPLED: bool> Default for AdamRule<DECOUPLED> {
    fn default() -> Self {
        Self { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false }
    }
}

impl<const DECOUPLED: bool> Rule for AdamRule<DECOUPLED> {
    const WEIGHT_DECAY: f64 = if DECOUPLED { 0.01 } else { 0.0 };

    fn slots(&self) -> usize {
        if self.amsgrad { 3 } else { 2 }
    }

    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
        let [beta1, beta2] = self.betas;
        let [fresh1, kept2, fresh2, eps] = [1.0 - beta1, beta2, 1.0 - beta2, self.eps].map(T::from_f64);
        let lr = T::from_f64(step.lr / (1.0 - beta1.powi(step.t)));
        let correction = T::from_f64((1.0 - beta2.powi(step.t)).sqrt());
        let shrink = T::from_f64(1.0 - step.lr * step.weight_decay);
        let decayed = step.decayed();
        let moved = move |[p, m, v]: [T; 3], g: T| {
            let (p, g) = if DECOUPLED { (p * shrink, g) } else { (p, decayed(p, g)) };
            [p, m + fresh1 * (g - m), kept2 * v + fresh2 * g * g]
        };
        let descended = move |p: T, m: T, v: T| p - lr * (m / (v.sqrt() / correction + eps));
        match state {
            [first, second, largest] => Tensor::zip_inplace_many(
                [p, first, second, largest],
                g,
                #[inline(always)]
                move |[p, m, v, largest], g| {
                    let [p, m, v] = moved([p, m, v], g);
                    let largest = if largest >= v { largest } else { v }; // NaN stays
                    [descended(p, m, largest), m, v, largest]
                },
            ),
            [first, second] => Tensor::zip_inplace_many(
                [p, first, second],
                g,
                #[inline(always)]
                move |[p, m, v], g| {
                    let [p, m, v] = moved([p, m, v], g);
                    [descended(p, m, v), m, v]
                },
            ),
            _ => unreachable!("as many as `slots`"),
        }
    }
}

impl<const DECOUPLED: bool, T: Float> Descent<AdamRule<DECOUPLED>, T> {
    options! {
        /// Sets eps, which keeps the divisor from 0; 1e-8 by default.
        eps: non_negative("eps");
    }

    /// Sets the parts of the first and of the second moment that a step keeps; 0.9 and 0.999 by default.
    ///
    /// # Panics
    /// Unless both are from 0 to below 1, or after a group or a step.
    #[must_use]
    #[track_caller]
    pub fn betas(self, first: f64, second: f64) -> Self {
        let betas = [fraction("betas: the first", first), fraction("betas: the second", second)];
        self.change("betas", |rule| rule.betas = betas)
    }

    /// Takes the largest second moment so far as the divisor (Reddi et al., "On the convergence of Adam and beyond",
    /// 2018).
    ///
    /// # Panics
    /// After a group or a step.
    #[must_use]
    #[track_caller]
    pub fn amsgrad(self) -> Self {
        self.change("amsgrad", |rule| rule.amsgrad = true)
    }
}
