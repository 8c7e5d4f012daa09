//! Batches by independent draws.

use std::fmt::{self, Debug, Formatter};

use rand::CryptoRng;

use crate::dataset::Dataset;
use crate::order;

/// Batches that each sample joins with the same probability, by itself and anew each time: so their sizes differ, and a batch
/// may be empty. An iterator without end; `take` gives a number of steps.
///
/// This is the sampling for which training with differential privacy states its epsilon, and there nobody may know who is in
/// a batch. So the generator must be a cryptographically secure one, such as `gradus::privacy::SecureRng`; `seeded(0)` does not
/// compile. For other purposes there is [`order::poisson`].
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::Tensor;
/// use gradus::data::PoissonBatches;
/// use rand::{SeedableRng, rngs::ChaCha20Rng};
///
/// let (x, y) = (Tensor::<f32>::zeros([1000, 3]), Tensor::from(0..1000));
/// # let rng = ChaCha20Rng::seed_from_u64(0); // in place of `SecureRng::new()?`
/// for (x, y) in PoissonBatches::new((&x, &y), 0.02, rng).take(100) {
///     assert!(x.shape() == [y.len(), 3] && y.len() < 60); // about 20
/// }
/// ```
pub struct PoissonBatches<D, R> {
    data: D,
    rate: f64,
    rng: R,
}

impl<D: Dataset, R: CryptoRng> PoissonBatches<D, R> {
    /// Each sample joins each batch with probability `rate`.
    ///
    /// # Panics
    /// If the rate is not from 0 to 1, or the members of a tuple have different lengths.
    #[track_caller]
    pub fn new(data: D, rate: f64, rng: R) -> Self {
        order::check_rate("PoissonBatches", rate);
        let _ = data.len();
        Self { data, rate, rng }
    }
}

impl<D: Dataset, R: CryptoRng> Iterator for PoissonBatches<D, R> {
    type Item = D::Batch;

    fn next(&mut self) -> Option<D::Batch> {
        Some(self.data.batch(&order::poisson(self.data.len(), self.rate, &mut self.rng)))
    }
}

impl<D: Dataset, R> Debug for PoissonBatches<D, R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PoissonBatches: {} samples, rate {}", self.data.len(), self.rate)
    }
}
