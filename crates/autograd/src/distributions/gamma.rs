use gradus_tensor::{Float, Rng, Tensor};

use super::{KlDivergence, broadcast, check_positive, supported, two_parameters};
use crate::tape::Var;

/// The gamma distribution with shape `concentration` and inverse scale `rate`; with concentration 1 it is the
/// exponential distribution.
///
/// ```
/// use gradus_autograd::distributions::Gamma;
///
/// let gamma = Gamma::new(1.0_f64, 2.0);
/// assert_eq!((gamma.mean().item(), gamma.variance().item()), (0.5, 0.25));
/// assert_eq!(gamma.log_prob(3.0).item(), 2.0_f64.ln() - 6.0);
/// assert_eq!(gamma.log_prob(-1.0).item(), f64::NEG_INFINITY);
/// ```
///
/// # Panics
/// If the parameters do not broadcast, or one is not positive and finite.
#[derive(Debug, Clone)]
pub struct Gamma<T: Float = f32> {
    concentration: Var<T>,
    rate: Var<T>,
}

two_parameters!(Gamma { concentration, rate });

impl<T: Float> Gamma<T> {
    /// Distributions with these parameters, which broadcast.
    #[track_caller]
    pub fn new(concentration: impl Into<Var<T>>, rate: impl Into<Var<T>>) -> Self {
        let (concentration, rate) = (concentration.into(), rate.into());
        check_positive("Gamma", "concentration", &concentration);
        check_positive("Gamma", "rate", &rate);
        let [concentration, rate] = broadcast("Gamma", &concentration, &rate);
        Self { concentration, rate }
    }

    /// concentration / rate.
    #[track_caller]
    pub fn mean(&self) -> Var<T> {
        &self.concentration / &self.rate
    }

    /// concentration / rate^2.
    #[track_caller]
    pub fn variance(&self) -> Var<T> {
        &self.concentration / &self.rate / &self.rate
    }

    /// A number from each distribution, by [`Tensor::standard_gamma`].
    #[track_caller]
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
        self.concentration.value().standard_gamma(rng) / self.rate.value()
    }

    /// With concentration a and rate b: a log(b) + (a - 1) log(x) - b x - lgamma(a).
    #[track_caller]
    pub fn log_prob(&self, value: impl Into<Var<T>>) -> Var<T> {
        let (value, a, b) = (value.into(), &self.concentration, &self.rate);
        let log_prob = a.xlogy(b) + (a - T::ONE).xlogy(&value) - b * &value - a.lgamma();
        // At infinity the terms have no sum.
        supported(&value, T::ZERO, T::MAX, log_prob)
    }

    /// a - log(b) + lgamma(a) + (1 - a) digamma(a).
    #[track_caller]
    pub fn entropy(&self) -> Var<T> {
        let (a, b) = (&self.concentration, &self.rate);
        a - b.log() + a.lgamma() + (-a + T::ONE) * a.digamma()
    }
}

impl<T: Float> KlDivergence<T> for Gamma<T> {
    #[track_caller]
    fn kl_divergence(&self, other: &Self) -> Var<T> {
        let (a, quotient) = (&self.concentration, &other.rate / &self.rate);
        let of_concentration =
            (a - &other.concentration) * a.digamma() + (other.concentration.lgamma() - a.lgamma());
        of_concentration + (a * (&quotient - T::ONE) - &other.concentration * quotient.log())
    }
}
