use gradus_tensor::{Float, Rng, Tensor};

use super::{KlDivergence, broadcast, check, check_positive, two_parameters};
use crate::tape::Var;

/// log(2 pi) / 2.
const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_7;

/// The normal distribution with mean `loc` and standard deviation `scale`.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_autograd::distributions::Normal;
///
/// let normal = Normal::new(Tensor::from([0.0_f64, 3.0]), 2.0);
/// assert_eq!(normal.sample(&mut seeded(0)).shape(), [2]);
/// assert!((normal.log_prob(0.0).value()[[0]] + (8.0 * std::f64::consts::PI).ln() / 2.0).abs() < 1e-15);
///
/// // The derivative of the mean of squares by the standard deviation is twice the standard deviation.
/// let scale = Var::leaf(3.0_f64);
/// let x = Normal::new(0.0, &scale).expand([10_000]).rsample(&mut seeded(0));
/// let slope = x.square().mean(..).backward().get(&scale).unwrap().item();
/// assert!((slope - 6.0).abs() < 0.5);
/// ```
///
/// # Panics
/// If the parameters do not broadcast, `loc` is infinite or NaN, or `scale` is not positive and finite.
#[derive(Debug, Clone)]
pub struct Normal<T: Float = f32> {
    loc: Var<T>,
    scale: Var<T>,
}

two_parameters!(Normal { loc, scale });

impl<T: Float> Normal<T> {
    /// Distributions with these means and standard deviations, which broadcast.
    #[track_caller]
    pub fn new(loc: impl Into<Var<T>>, scale: impl Into<Var<T>>) -> Self {
        let (loc, scale) = (loc.into(), scale.into());
        check("Normal", "loc", &loc, Float::is_finite, "finite");
        check_positive("Normal", "scale", &scale);
        let [loc, scale] = broadcast("Normal", &loc, &scale);
        Self { loc, scale }
    }

    /// `loc`.
    #[track_caller]
    pub fn mean(&self) -> Var<T> {
        self.loc.clone()
    }

    /// `scale`.
    #[track_caller]
    pub fn stddev(&self) -> Var<T> {
        self.scale.clone()
    }

    /// The square of `scale`.
    #[track_caller]
    pub fn variance(&self) -> Var<T> {
        self.scale.square()
    }

    /// A number from each distribution, by [`Tensor::randn`].
    #[track_caller]
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
        self.loc.value() + self.scale.value() * Tensor::randn(self.shape(), rng)
    }

    /// `loc + scale z`, where z is a constant number of [`Tensor::randn`]: the numbers of [`sample`](Self::sample),
    /// with a gradient.
    #[track_caller]
    pub fn rsample(&self, rng: &mut (impl Rng + ?Sized)) -> Var<T> {
        &self.loc + &self.scale * Tensor::randn(self.shape(), rng)
    }

    /// -((x - loc) / scale)^2 / 2 - log(scale) - log(2 pi) / 2.
    #[track_caller]
    pub fn log_prob(&self, value: impl Into<Var<T>>) -> Var<T> {
        let distance = (value.into() - &self.loc) / &self.scale;
        distance.square() * T::from_f64(-0.5) - self.scale.log() - T::from_f64(HALF_LOG_TAU)
    }

    /// log(scale) + log(2 pi e) / 2.
    #[track_caller]
    pub fn entropy(&self) -> Var<T> {
        self.scale.log() + T::from_f64(HALF_LOG_TAU + 0.5)
    }
}

impl<T: Float> KlDivergence<T> for Normal<T> {
    #[track_caller]
    fn kl_divergence(&self, other: &Self) -> Var<T> {
        // With s the quotient of the deviations, (s^2 - 1) / 2 - log(s), written so that it loses no digits near s = 1.
        let quotient = &self.scale / &other.scale;
        let excess = &quotient - T::ONE;
        let distance = (&self.loc - &other.loc) / &other.scale;
        (excess.square() + distance.square()) * T::from_f64(0.5) + (excess - quotient.log())
    }
}
