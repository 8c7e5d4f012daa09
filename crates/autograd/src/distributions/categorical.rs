use gradus_tensor::shapes::expand_shape;
use gradus_tensor::{Float, Rng, Shape, Tensor};

use super::{KlDivergence, check};
use crate::tape::{Indices, Var};

/// One of the categories 0 to n - 1, which the last axis of the parameter counts: logits, whose `softmax` are the
/// probabilities, or probabilities, which need not sum to 1.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_autograd::distributions::Categorical;
///
/// let next = Categorical::from_probs(Tensor::from([[1.0_f64, 3.0], [1.0, 0.0]]));
/// assert_eq!(next.shape(), [2]);
/// assert!(next.probs().value().allclose(&Tensor::from([[0.25, 0.75], [1.0, 0.0]]), 1e-15, 0.0));
/// assert_eq!(next.sample(&mut seeded(0)).shape(), [2]);
/// let log_prob = next.log_prob(Tensor::from([0, 0]));
/// assert!(log_prob.value().allclose(&Tensor::from([0.25_f64.ln(), 0.0]), 1e-15, 0.0));
/// ```
///
/// # Panics
/// If there is no category, a logit is NaN or infinite (but minus infinity is a category that never comes), a
/// probability is negative, infinite or NaN, or a row allows no category.
#[derive(Debug, Clone)]
pub struct Categorical<T: Float = f32> {
    /// The logarithms of the probabilities.
    logits: Var<T>,
}

impl<T: Float> Categorical<T> {
    /// Distributions whose probabilities are the `softmax` of these numbers along the last axis: `[..., n]`.
    #[track_caller]
    pub fn from_logits(logits: impl Into<Var<T>>) -> Self {
        let logits = logits.into();
        let allowed = |x: T| x < T::INFINITY;
        check("Categorical", "logits", &logits, allowed, "finite, or minus infinity");
        Self::normalised("logits", &logits)
    }

    /// Distributions with probabilities in proportion to these numbers along the last axis: `[..., n]`.
    #[track_caller]
    pub fn from_probs(probs: impl Into<Var<T>>) -> Self {
        let probs = probs.into();
        let allowed = |x: T| x >= T::ZERO && x.is_finite();
        check("Categorical", "probs", &probs, allowed, "finite and not negative");
        Self::normalised("probs", &probs.log())
    }

    #[track_caller]
    fn normalised(name: &str, logits: &Var<T>) -> Self {
        let categories = logits.shape().last().copied().unwrap_or(0);
        assert!(
            categories > 0,
            "Categorical: `{name}` has shape {:?}: its last axis must run over one category at least",
            logits.shape()
        );
        assert!(
            logits.value().max(-1).iter().all(|x| x > -T::INFINITY),
            "Categorical: a row of `{name}` of shape {:?} gives all categories the probability 0: one at least must be \
             possible",
            logits.shape()
        );
        Self { logits: logits.log_softmax(-1) }
    }

    /// The shape of a sample: the shape of the parameter, without the last axis.
    pub fn shape(&self) -> &[usize] {
        &self.logits.shape()[..self.logits.rank() - 1]
    }

    fn categories(&self) -> usize {
        self.logits.shape()[self.logits.rank() - 1]
    }

    /// The same distributions, repeated to a larger shape of a sample.
    #[track_caller]
    pub fn expand(&self, shape: impl AsRef<[usize]>) -> Self {
        let mut sizes = Shape::from_slice(shape.as_ref());
        sizes.push(self.categories());
        Self { logits: self.logits.expand(sizes) }
    }

    /// The logarithms of the probabilities: `[..., n]`.
    #[track_caller]
    pub fn logits(&self) -> Var<T> {
        self.logits.clone()
    }

    /// The probabilities: `[..., n]`.
    #[track_caller]
    pub fn probs(&self) -> Var<T> {
        self.logits.exp()
    }

    /// A category from each distribution, by [`Tensor::multinomial`].
    #[track_caller]
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Tensor<i64> {
        self.logits.value().exp().multinomial(1, true, rng).squeeze(-1)
    }

    /// The logarithm of the probability of categories; the distributions are expanded to their shape.
    ///
    /// # Panics
    /// If an integer is not a category, or the distributions cannot be expanded to the shape.
    #[track_caller]
    pub fn log_prob(&self, value: impl Into<Indices<T>>) -> Var<T> {
        let value = value.into();
        let categories = self.categories() as i64;
        if let Some(x) = value.iter().find(|x| !(0..categories).contains(x)) {
            panic!(
                "Categorical: log_prob: category {x} is out of range: of {categories} categories, allowed are 0 to {}",
                categories - 1
            );
        }
        assert!(
            expand_shape(self.shape(), value.shape()).is_ok(),
            "Categorical: log_prob: the distributions have shape {:?} and the value {:?}: the first must expand to the \
             second",
            self.shape(),
            value.shape()
        );
        let mut places = Shape::from_slice(value.shape());
        let all = self.expand(&places);
        places.push(1);
        all.logits.gather(-1, value.reshape(places)).squeeze(-1)
    }

    /// The sum over the categories of the probabilities times these numbers. The numbers of impossible categories are left
    /// out, so that they have no gradient.
    fn mean_of(&self, x: &Var<T>) -> Var<T> {
        let possible = Var::where_(self.logits.gt(-T::INFINITY), x, T::ZERO);
        possible.multiply_no_nan(self.probs()).sum(-1)
    }

    /// The sum of -p log(p) over the categories.
    #[track_caller]
    pub fn entropy(&self) -> Var<T> {
        -self.mean_of(&self.logits)
    }
}

impl<T: Float> KlDivergence<T> for Categorical<T> {
    #[track_caller]
    fn kl_divergence(&self, other: &Self) -> Var<T> {
        assert!(
            self.categories() == other.categories(),
            "kl_divergence: one distribution has {} categories and the other {}: they must have as many",
            self.categories(),
            other.categories()
        );
        self.mean_of(&(&self.logits - &other.logits))
    }
}
