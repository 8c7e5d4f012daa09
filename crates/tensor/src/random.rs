//! Random tensors, the same on every platform and in every release.

use rand::{Rng, SeedableRng};

pub use rand::rngs::Xoshiro256PlusPlus;

use crate::dims::checked_count;
use crate::element::Float;
use crate::error::OrPanic;
use crate::tensor::Tensor;

/// The generator that this project uses where a run must be repeatable: xoshiro256++ (Blackman and Vigna,
/// 2019), its state filled from the seed by SplitMix64. Its stream is the same on every platform and in
/// every release. Any other generator of the `rand` crate will do as well.
///
/// ```
/// use gradus_tensor::{Tensor, seeded};
///
/// let x = Tensor::<f32>::rand([2], &mut seeded(42));
/// assert_eq!(x, Tensor::rand([2], &mut seeded(42)));
/// ```
pub fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

impl<T: Float> Tensor<T> {
    /// Numbers uniform in [0, 1), in logical order from one 64-bit draw each: its top 24 bits for `f32`,
    /// 53 for `f64`.
    ///
    /// # Panics
    /// If the shape has more elements than a machine can hold.
    #[track_caller]
    pub fn rand(shape: impl AsRef<[usize]>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.as_ref();
        let count = checked_count("rand", shape).or_panic();
        Self::from_parts((0..count).map(|_| T::from_random_bits(rng.next_u64())).collect(), shape)
    }

    /// Numbers from the standard normal distribution (mean 0, variance 1), by the transform of Box and
    /// Muller (1958) in `f64`: elements are made in pairs from two 64-bit draws, through the portable
    /// `libm`, so that no platform's own mathematics changes a bit.
    ///
    /// # Panics
    /// If the shape has more elements than a machine can hold.
    #[track_caller]
    pub fn randn(shape: impl AsRef<[usize]>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.as_ref();
        let count = checked_count("randn", shape).or_panic();
        let mut data = Vec::with_capacity(count + 1);
        while data.len() < count {
            // 1 - u lies in (0, 1], where the logarithm is finite.
            let radius = (-2.0 * libm::log(1.0 - f64::from_random_bits(rng.next_u64()))).sqrt();
            let angle = std::f64::consts::TAU * f64::from_random_bits(rng.next_u64());
            data.extend([libm::cos(angle), libm::sin(angle)].map(|x| T::from_f64(radius * x)));
        }
        data.truncate(count);
        Self::from_parts(data, shape)
    }
}
