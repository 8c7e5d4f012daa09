//! Clipping: the bound on what one example may give.

use gradus_autograd::{Float, Gradients, PerExampleGradients, Tensor};

use crate::error::{PrivacyError, Result};

/// How the gradient of an example is clipped to a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clipping {
    /// All parameters together, as one vector: times `min(1, max_norm / norm)`.
    #[default]
    Flat,
    /// Each of n parameters by itself, to `max_norm / sqrt(n)`, so that the whole has norm `max_norm` at most, too: a layer with
    /// large gradients does not shrink the others.
    PerTensor,
}

/// The sum of the clipped gradients of some examples: one example more or less changes it by the clipping norm at most. It is
/// not private before [`DpSgd::add_noise`](crate::DpSgd::add_noise).
#[derive(Debug)]
#[must_use = "the sum is for `DpSgd::add_noise`"]
pub struct ClippedSum<T: Float = f32> {
    pub(crate) gradients: Gradients<T>,
    pub(crate) batch: usize,
    pub(crate) max_norm: f64,
}

impl<T: Float> ClippedSum<T> {
    /// The sums, with the sum of the losses.
    pub fn gradients(&self) -> &Gradients<T> {
        &self.gradients
    }

    /// The number of examples.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Adds the sum of other examples: a batch in parts.
    ///
    /// # Panics
    /// If it was clipped to another norm.
    #[track_caller]
    pub fn accumulate(&mut self, other: Self) {
        assert!(
            self.max_norm == other.max_norm,
            "accumulate: one sum is clipped to norm {}, the other to {}: they must be equal",
            self.max_norm,
            other.max_norm
        );
        self.gradients.accumulate(other.gradients);
        self.batch += other.batch;
    }
}

impl Clipping {
    /// The sum of the gradients of all examples, each clipped.
    ///
    /// Norms are rounded up where gradients are sums that cancel ([`PerExampleGradients::norm_bounds`]), or rounding could let
    /// an example exceed its bound.
    pub(crate) fn sum<T: Float>(
        self,
        found: &PerExampleGradients<T>,
        max_norm: f64,
    ) -> Result<ClippedSum<T>> {
        let norms = found.norm_bounds();
        let zeros = Tensor::zeros(found.losses().shape());
        let whole = norms.iter().fold(zeros, |sum, norms| sum + norms.square()).sqrt();
        check_finite(&whole)?;
        let factors = |norms: &Tensor<T>, most: f64| {
            norms.map(|norm| {
                let norm = norm.to_f64();
                T::from_f64(if norm > most { most / norm } else { 1.0 })
            })
        };
        let weights = match self {
            Self::Flat => vec![factors(&whole, max_norm); norms.len()],
            Self::PerTensor => {
                let most = max_norm / (norms.len() as f64).sqrt();
                norms.iter().map(|norms| factors(norms, most)).collect()
            }
        };
        Ok(ClippedSum { gradients: found.weighted_each(&weights), batch: whole.len(), max_norm })
    }
}

/// A gradient that is infinite or NaN has such a norm.
fn check_finite<T: Float>(norms: &Tensor<T>) -> Result<()> {
    let mut places = norms.iter().enumerate().filter(|(_, norm)| !norm.is_finite()).map(|(place, _)| place);
    match places.next() {
        None => Ok(()),
        Some(first) => Err(PrivacyError::NotFinite { count: 1 + places.count(), batch: norms.len(), first }),
    }
}
