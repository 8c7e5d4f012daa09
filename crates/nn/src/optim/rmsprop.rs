//! `RMSprop`.

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Rule, Step};
use super::{fraction, non_negative, options};

/// `RMSprop`: steps scaled by a running mean of the squared gradient (Hinton, "Neural networks for machine learning",
/// lecture 6e, 2012).
///
/// With gradient g and parameter p: `g += weight_decay * p`; `v = alpha * v + (1 - alpha) * g^2`;
/// `u = g / (sqrt(v) + eps)`; `p -= lr * u`. With momentum, `b = momentum * b + u` replaces u in the last formula.
/// Centered (Graves, 2013), `v - a^2` replaces v under the root, where `a = alpha * a + (1 - alpha) * g`. All start at
/// 0.
pub type RmsProp<T = f32> = Descent<RmsPropRule, T>;

/// The formula of [`RmsProp`].
#[derive(Debug, Clone)]
pub struct RmsPropRule {
    alpha: f64,
    eps: f64,
    momentum: f64,
    centered: bool,
}

impl Default for RmsPropRule {
    fn default() -> Self {
        Self { alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false }
    }
}

impl Rule for RmsPropRule {
    fn slots(&self) -> usize {
        1 + usize::from(self.centered) + usize::from(self.momentum != 0.0)
    }

    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
        let [lr, eps, momentum] = [step.lr, self.eps, self.momentum].map(T::from_f64);
        let [kept, fresh] = [self.alpha, 1.0 - self.alpha].map(T::from_f64);
        let decayed = step.decayed();
        let averaged = move |mean: T, x: T| kept * mean + fresh * x;
        // v - a^2 by itself, from squares alone: the difference of the two would lose its digits, and be negative at
        // times (Finch, "Incremental calculation of weighted mean and variance", 2009).
        let centred = move |[variance, mean]: [T; 2], g: T| {
            [kept * (variance + fresh * (g - mean).square()), averaged(mean, g)]
        };
        match (state, self.centered) {
            ([square], _) => Tensor::zip_inplace_many(
                [p, square],
                g,
                #[inline(always)]
                move |[p, v], g| {
                    let g = decayed(p, g);
                    let v = averaged(v, g * g);
                    [p - lr * (g / (v.sqrt() + eps)), v]
                },
            ),
            ([square, velocity], false) => Tensor::zip_inplace_many(
                [p, square, velocity],
                g,
                #[inline(always)]
                move |[p, v, b], g| {
                    let g = decayed(p, g);
                    let v = averaged(v, g * g);
                    let b = momentum * b + g / (v.sqrt() + eps);
                    [p - lr * b, v, b]
                },
            ),
            ([variance, mean], true) => Tensor::zip_inplace_many(
                [p, variance, mean],
                g,
                #[inline(always)]
                move |[p, v, a], g| {
                    let g = decayed(p, g);
                    let [v, a] = centred([v, a], g);
                    [p - lr * (g / (v.sqrt() + eps)), v, a]
                },
            ),
            ([variance, mean, velocity], _) => Tensor::zip_inplace_many(
                [p, variance, mean, velocity],
                g,
                #[inline(always)]
                move |[p, v, a, b], g| {
                    let g = decayed(p, g);
                    let [v, a] = centred([v, a], g);
                    let b = momentum * b + g / (v.sqrt() + eps);
                    [p - lr * b, v, a, b]
                },
            ),
            _ => unreachable!("as many as `slots`"),
        }
    }
}

impl<T: Float> RmsProp<T> {
    options! {
        /// Sets alpha, the part of the running means that a step keeps; 0.99 by default.
        alpha: fraction("alpha");
        /// Sets eps, which keeps the divisor from 0; 1e-8 by default.
        eps: non_negative("eps");
        /// Sets the momentum, the part of the last step that is added to the next; 0 by default.
        momentum: fraction("the momentum");
    }

    /// Scales steps by the variance of the gradient, not by its mean square.
    ///
    /// # Panics
    /// After a group or a step.
    #[must_use]
    #[track_caller]
    pub fn centered(self) -> Self {
        self.change("centered", |rule| rule.centered = true)
    }
}
