use gradus_tensor::{Float, Rng, Tensor};

use super::{KlDivergence, broadcast, check, two_parameters};
use crate::tape::Var;

/// The uniform distribution from `low` up to, but not including, `high`.
///
/// ```
/// use gradus_autograd::distributions::Uniform;
///
/// let uniform = Uniform::new(0.0_f64, 4.0);
/// assert_eq!((uniform.mean().item(), uniform.variance().item()), (2.0, 4.0 / 3.0));
/// assert_eq!(uniform.log_prob(1.0).item(), -4.0_f64.ln());
/// assert_eq!(uniform.log_prob(4.0).item(), f64::NEG_INFINITY);
/// ```
///
/// # Panics
/// If the parameters do not broadcast, an element of `low` is not below the one of `high`, or the distance between them
/// is infinite.
#[derive(Debug, Clone)]
pub struct Uniform<T: Float = f32> {
    low: Var<T>,
    high: Var<T>,
}

two_parameters!(Uniform { low, high });

impl<T: Float> Uniform<T> {
    /// Distributions between these bounds, which broadcast.
    #[track_caller]
    pub fn new(low: impl Into<Var<T>>, high: impl Into<Var<T>>) -> Self {
        let [low, high] = broadcast("Uniform", &low.into(), &high.into());
        let width = Var::constant(high.value() - low.value());
        let rule = "positive and finite, and so must be `low` and `high`";
        check("Uniform", "high - low", &width, |x| x > T::ZERO && x.is_finite(), rule);
        Self { low, high }
    }

    fn width(&self) -> Var<T> {
        &self.high - &self.low
    }

    /// (low + high) / 2.
    #[track_caller]
    pub fn mean(&self) -> Var<T> {
        &self.low + self.width() * T::from_f64(0.5)
    }

    /// (high - low)^2 / 12.
    #[track_caller]
    pub fn variance(&self) -> Var<T> {
        self.width().square() / T::from_f64(12.0)
    }

    /// A number from each distribution, by [`Tensor::rand`]. Rounding may give `high`, as in [`Tensor::uniform`].
    #[track_caller]
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Tensor<T> {
        let (low, high) = (self.low.value(), self.high.value());
        low + (high - low) * Tensor::rand(self.shape(), rng)
    }

    /// `low + (high - low) u`, where u is a constant number of [`Tensor::rand`]: the numbers of
    /// [`sample`](Self::sample), with a gradient.
    #[track_caller]
    pub fn rsample(&self, rng: &mut (impl Rng + ?Sized)) -> Var<T> {
        &self.low + self.width() * Tensor::rand(self.shape(), rng)
    }

    /// -log(high - low), and minus infinity below `low` and from `high` on.
    #[track_caller]
    pub fn log_prob(&self, value: impl Into<Var<T>>) -> Var<T> {
        let value = value.into();
        let (inside, nothing, nan) = (-self.width().log(), -T::INFINITY, T::NAN);
        let not_below = Var::where_(value.lt(&self.high), inside, nothing);
        Var::where_(value.ge(&self.low), not_below, Var::where_(value.eq(&value), nothing, nan))
    }

    /// log(high - low).
    #[track_caller]
    pub fn entropy(&self) -> Var<T> {
        self.width().log()
    }
}

impl<T: Float> KlDivergence<T> for Uniform<T> {
    #[track_caller]
    fn kl_divergence(&self, other: &Self) -> Var<T> {
        let within = (other.width() / self.width()).log();
        let below = Var::where_(self.low.lt(&other.low), T::INFINITY, within);
        Var::where_(self.high.gt(&other.high), T::INFINITY, below)
    }
}
