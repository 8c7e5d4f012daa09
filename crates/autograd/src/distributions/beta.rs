use gradus_tensor::{Float, Rng, Tensor};

use super::{KlDivergence, broadcast, check_positive, supported, two_parameters};
use crate::tape::Var;

/// The beta distribution with the exponents `concentration1` of x and `concentration0` of 1 - x, each plus 1; with both
/// 1 it is uniform.
///
/// ```
/// use gradus_autograd::distributions::Beta;
///
/// let beta = Beta::new(3.0_f64, 1.0);
/// assert_eq!((beta.mean().item(), beta.variance().item()), (0.75, 0.0375));
/// assert!((beta.log_prob(0.5).item() - 0.75_f64.ln()).abs() < 1e-15); // the density is 3 x^2
/// ```
///
/// # Panics
/// If the parameters do not broadcast, or one is not positive and finite.
#[derive(Debug, Clone)]
pub struct Beta<T: Float = f32> {
    concentration1: Var<T>,
    concentration0: Var<T>,
}

two_parameters!(Beta { concentration1, concentration0 });

impl<T: Float> Beta<T> {
    /// Distributions with these parameters, which broadcast.
    #[track_caller]
    pub fn new(concentration1: impl Into<Var<T>>, concentration0: impl Into<Var<T>>) -> Self {
        let (a, b) = (concentration1.into(), concentration0.into());
        check_positive("Beta", "concentration1", &a);
        check_positive("Beta", "concentration0", &b);
        let [concentration1, concentration0] = broadcast("Beta", &a, &b);
        Self { concentration1, concentration0 }
    }

    /// With concentrations a and b: a, b and a + b.
    fn parameters(&self) -> [Var<T>; 3] {
        let (a, b) = (&self.concentration1, &self.concentration0);
        [a.clone(), b.clone(), a + b]
    }

    /// a / (a + b).
    #[track_caller]
    pub fn mean(&self) -> Var<T> {
        let [a, _, sum] = self.parameters();
        a / sum
    }

    /// a b / ((a + b)^2 (a + b + 1)).
    #[track_caller]
    pub fn variance(&self) -> Var<T> {
        let [a, b, sum] = self.parameters();
        (a / &sum) * (b / &sum) / (sum + T::ONE)
    }

    /// A number from each distribution, by [`Tensor::beta`].
    #[track_caller]
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
        Tensor::beta(self.concentration1.value(), self.concentration0.value(), rng)
    }

    /// The logarithm of the beta function: lgamma(a) + lgamma(b) - lgamma(a + b).
    fn log_normaliser(&self) -> Var<T> {
        let [a, b, sum] = self.parameters().map(|x| x.lgamma());
        a + b - sum
    }

    /// (a - 1) log(x) + (b - 1) log(1 - x), minus the logarithm of the beta function.
    #[track_caller]
    pub fn log_prob(&self, value: impl Into<Var<T>>) -> Var<T> {
        let (value, [a, b, _]) = (value.into(), self.parameters());
        let other = (-&value).log1p().multiply_no_nan(b - T::ONE);
        let log_prob = (a - T::ONE).xlogy(&value) + other - self.log_normaliser();
        supported(&value, T::ZERO, T::ONE, log_prob)
    }

    /// The logarithm of the beta function - (a - 1) digamma(a) - (b - 1) digamma(b) + (a + b - 2) digamma(a + b).
    #[track_caller]
    pub fn entropy(&self) -> Var<T> {
        let [a, b, sum] = self.parameters();
        let term = |x: &Var<T>, n: T| (x - n) * x.digamma();
        self.log_normaliser() - term(&a, T::ONE) - term(&b, T::ONE) + term(&sum, T::from_f64(2.0))
    }
}

impl<T: Float> KlDivergence<T> for Beta<T> {
    #[track_caller]
    fn kl_divergence(&self, other: &Self) -> Var<T> {
        let ([a, b, sum], [a2, b2, sum2]) = (self.parameters(), other.parameters());
        let term = |x: &Var<T>, other: &Var<T>| (x - other) * x.digamma();
        let means = term(&a, &a2) + term(&b, &b2) - term(&sum, &sum2);
        means + (other.log_normaliser() - self.log_normaliser())
    }
}
