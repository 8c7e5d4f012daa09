//! Probability distributions: random numbers, their densities, entropies and divergences.
//!
//! Names and parameters are PyTorch's. The parameters are values that turn into a [`Var`] (a number, a tensor, a
//! variable, a parameter of a model); they broadcast, and each element is a distribution of its own. `expand` makes
//! more of them: `Normal::new(0.0, 1.0).expand([1000]).sample(rng)` are a thousand numbers. (Where nothing else says
//! which float type a distribution has, `let normal: Normal = Normal::new(0.0, 1.0)` chooses `f32`.)
//!
//! | | `sample` | `rsample` | support |
//! | --- | :-: | :-: | --- |
//! | [`Normal`] | + | + | all numbers |
//! | [`Uniform`] | + | + | `low` to `high`, without `high` |
//! | [`Bernoulli`] | + | | 0 and 1 |
//! | [`Categorical`] | + | | 0 to n - 1 |
//! | [`Gamma`] | + | | from 0 |
//! | [`Beta`] | + | | 0 to 1 |
//!
//! `sample` gives a tensor. `rsample` gives a variable through which gradients flow to the parameters (the pathwise or
//! reparameterised gradient: Kingma and Welling, "Auto-encoding variational Bayes", 2014). `Gamma` and `Beta` have
//! none: it would need derivatives of the incomplete gamma and beta functions by their parameters. For them and for
//! discrete values there is the score function: the gradient of the mean of f(x) is the mean of f(x) times the gradient
//! of `log_prob(x)` (Williams, "Simple statistical gradient-following algorithms", 1992).
//!
//! `log_prob` is the logarithm of the density, or of the probability of a discrete value; outside the support it is
//! minus infinity, and NaN of NaN. [`kl_divergence`] is for two distributions of one family. Everything but `sample` is
//! differentiable by the parameters, and `log_prob` by a continuous value, to any order.
//!
//! ```
//! use gradus_autograd::{Tensor, Var, seeded};
//! use gradus_autograd::distributions::{Normal, kl_divergence};
//!
//! // The loss of a variational auto-encoder has such terms.
//! let (loc, scale) = (Var::leaf(Tensor::from([0.5, -1.0])), Var::leaf(Tensor::from([1.0, 2.0])));
//! let (posterior, prior) = (Normal::new(&loc, &scale), Normal::new(0.0, 1.0));
//! let z = posterior.rsample(&mut seeded(0));
//! let loss = kl_divergence(&posterior, &prior).sum(..) + z.square().sum(..);
//! assert!(loss.backward().get(&scale).is_some());
//! assert_eq!(kl_divergence(&prior, &prior).item(), 0.0);
//! ```
//!
//! # Panics
//! Methods panic where a parameter is not allowed (each family says which are), and where shapes do not broadcast.

mod bernoulli;
mod beta;
mod categorical;
mod gamma;
mod normal;
mod uniform;

use gradus_tensor::{Float, OrPanic, Shape, broadcast_shapes};

use crate::tape::Var;

pub use bernoulli::Bernoulli;
pub use beta::Beta;
pub use categorical::Categorical;
pub use gamma::Gamma;
pub use normal::Normal;
pub use uniform::Uniform;

/// Families with a formula for the divergence of one member from another; see [`kl_divergence`].
pub trait KlDivergence<T: Float> {
    /// The divergence of this distribution from another one.
    #[track_caller]
    fn kl_divergence(&self, other: &Self) -> Var<T>;
}

/// The divergence of Kullback and Leibler ("On information and sufficiency", 1951) of `p` from `q`: the mean under `p`
/// of the difference of the logarithms of their densities. It is 0 for equal distributions and otherwise positive,
/// infinite where `p` allows a value that `q` does not. The shapes broadcast.
///
/// ```
/// use gradus_autograd::distributions::{Bernoulli, kl_divergence};
///
/// let (p, q) = (Bernoulli::from_probs(1.0), Bernoulli::from_probs(0.25));
/// assert!((kl_divergence(&p, &q).item() - 4.0_f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the shapes do not broadcast.
#[track_caller]
pub fn kl_divergence<T: Float, D: KlDivergence<T>>(p: &D, q: &D) -> Var<T> {
    p.kl_divergence(q)
}

/// Panics unless all numbers of a parameter are allowed.
#[track_caller]
fn check<T: Float>(family: &str, name: &str, parameter: &Var<T>, allowed: impl Fn(T) -> bool, rule: &str) {
    if let Some(x) = parameter.numbers().iter().find(|&x| !allowed(x)) {
        panic!("{family}: `{name}` of shape {:?} holds {x}: it must be {rule}", parameter.shape());
    }
}

/// Panics unless all numbers of a parameter are positive and finite.
#[track_caller]
fn check_positive<T: Float>(family: &str, name: &str, parameter: &Var<T>) {
    check(family, name, parameter, |x| x > T::ZERO && x.is_finite(), "positive and finite");
}

/// Two parameters in the shape that they broadcast to.
#[track_caller]
fn broadcast<T: Float>(family: &'static str, x: &Var<T>, y: &Var<T>) -> [Var<T>; 2] {
    let shape = broadcast_shapes(family, x.shape(), y.shape()).or_panic();
    [x, y].map(|x| expanded(x, &shape))
}

fn expanded<T: Float>(x: &Var<T>, shape: &Shape) -> Var<T> {
    if x.shape() == &shape[..] { x.clone() } else { x.expand(shape) }
}

/// The logarithm of a density, or minus infinity where the value is below the support or above it.
#[track_caller]
fn supported<T: Float>(value: &Var<T>, low: T, high: T, log_prob: Var<T>) -> Var<T> {
    let nothing = || Var::constant(-T::INFINITY);
    Var::where_(value.lt(low), nothing(), Var::where_(value.gt(high), nothing(), log_prob))
}

/// What all families of two parameters have.
macro_rules! two_parameters {
    ($family:ident { $first:ident, $second:ident }) => {
        impl<T: Float> $family<T> {
            /// The shape of the parameters.
            pub fn shape(&self) -> &[usize] {
                self.$first.shape()
            }

            /// The same distributions, repeated to a larger shape.
            ///
            /// # Panics
            /// If the shape of the parameters does not broadcast to it.
            #[track_caller]
            pub fn expand(&self, shape: impl AsRef<[usize]>) -> Self {
                let shape = shape.as_ref();
                Self { $first: self.$first.expand(shape), $second: self.$second.expand(shape) }
            }
        }
    };
}
use two_parameters;
