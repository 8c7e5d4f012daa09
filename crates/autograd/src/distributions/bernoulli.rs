use gradus_tensor::{Float, Rng, Tensor};

use super::{KlDivergence, check};
use crate::tape::Var;

/// 1 with a probability, and otherwise 0. Made from probabilities, which may be 0 or 1, or from logits,
/// log(p / (1 - p)), which stay accurate far out.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_autograd::distributions::Bernoulli;
///
/// let coins = Bernoulli::from_probs(Tensor::from([0.0_f64, 0.25, 1.0]));
/// assert_eq!(coins.variance().value(), &Tensor::from([0.0, 0.1875, 0.0]));
/// assert_eq!(coins.log_prob(1.0).value(), &Tensor::from([f64::NEG_INFINITY, 0.25_f64.ln(), 0.0]));
/// let sample = Bernoulli::from_logits(0.0_f32).expand([4]).sample(&mut seeded(1));
/// assert!(sample.iter().all(|x| x == 0.0 || x == 1.0));
/// ```
///
/// # Panics
/// If a probability is not between 0 and 1, or a logit is infinite or NaN.
#[derive(Debug, Clone)]
pub struct Bernoulli<T: Float = f32> {
    form: Form,
    parameter: Var<T>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Probs,
    Logits,
}

/// A probability and its logarithm.
struct Outcome<T: Float> {
    probability: Var<T>,
    logarithm: Var<T>,
}

impl<T: Float> Bernoulli<T> {
    /// Distributions with these probabilities of 1.
    #[track_caller]
    pub fn from_probs(probs: impl Into<Var<T>>) -> Self {
        let parameter = probs.into();
        check("Bernoulli", "probs", &parameter, |p| (T::ZERO..=T::ONE).contains(&p), "between 0 and 1");
        Self { form: Form::Probs, parameter }
    }

    /// Distributions whose probabilities of 1 are the `sigmoid` of these numbers.
    #[track_caller]
    pub fn from_logits(logits: impl Into<Var<T>>) -> Self {
        let parameter = logits.into();
        check("Bernoulli", "logits", &parameter, Float::is_finite, "finite");
        Self { form: Form::Logits, parameter }
    }

    /// The shape of the parameter.
    pub fn shape(&self) -> &[usize] {
        self.parameter.shape()
    }

    /// The same distributions, repeated to a larger shape.
    #[track_caller]
    pub fn expand(&self, shape: impl AsRef<[usize]>) -> Self {
        Self { form: self.form, parameter: self.parameter.expand(shape) }
    }

    /// The probability of 1.
    #[track_caller]
    pub fn probs(&self) -> Var<T> {
        match self.form {
            Form::Probs => self.parameter.clone(),
            Form::Logits => self.parameter.sigmoid(),
        }
    }

    /// The outcomes 0 and 1.
    fn outcomes(&self) -> [Outcome<T>; 2] {
        let x = &self.parameter;
        match self.form {
            Form::Probs => [
                Outcome { probability: -x + T::ONE, logarithm: (-x).log1p() },
                Outcome { probability: x.clone(), logarithm: x.log() },
            ],
            Form::Logits => {
                [-x, x.clone()].map(|x| Outcome { probability: x.sigmoid(), logarithm: x.logsigmoid() })
            }
        }
    }

    /// The probability of 1.
    #[track_caller]
    pub fn mean(&self) -> Var<T> {
        self.probs()
    }

    /// p (1 - p).
    #[track_caller]
    pub fn variance(&self) -> Var<T> {
        let [zero, one] = self.outcomes();
        zero.probability * one.probability
    }

    /// 0 or 1 from each distribution, by [`Tensor::bernoulli`].
    #[track_caller]
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
        self.probs().value().bernoulli(rng)
    }

    /// log(p) of 1, log(1 - p) of 0, and minus infinity of other numbers.
    #[track_caller]
    pub fn log_prob(&self, value: impl Into<Var<T>>) -> Var<T> {
        let (value, [zero, one]) = (value.into(), self.outcomes());
        let other = Var::where_(value.eq(&value), -T::INFINITY, T::NAN);
        let other = Var::where_(value.eq(T::ZERO), zero.logarithm, other);
        Var::where_(value.eq(T::ONE), one.logarithm, other)
    }

    /// -p log(p) - (1 - p) log(1 - p).
    #[track_caller]
    pub fn entropy(&self) -> Var<T> {
        let [zero, one] = self.outcomes().map(|x| x.logarithm.multiply_no_nan(x.probability));
        -(zero + one)
    }
}

impl<T: Float> KlDivergence<T> for Bernoulli<T> {
    #[track_caller]
    fn kl_divergence(&self, other: &Self) -> Var<T> {
        let ([p0, p1], [q0, q1]) = (self.outcomes(), other.outcomes());
        let zero = (p0.logarithm - q0.logarithm).multiply_no_nan(p0.probability);
        zero + (p1.logarithm - q1.logarithm).multiply_no_nan(p1.probability)
    }
}
