//! Dropout.

use std::sync::atomic::{AtomicU64, Ordering};

use gradus_autograd::{Float, Tensor, Var};

use super::sequential::Layer;

/// In training each element is 0 with probability `p`, and otherwise divided by `1 - p`, which keeps its mean; in
/// evaluation mode it stays (Srivastava et al., "Dropout", 2014).
///
/// The mask follows from the seed, the number of forward passes in training so far, and the place of the element.
/// So a run can be repeated, and a clone goes on as the original would. Of several threads that train with one layer,
/// each pass has a mask of its own, but which one depends on their order; clones do not depend on each other.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::Dropout;
///
/// let layer = Dropout::new(0.25, 0);
/// let y = layer.forward(&Var::constant(Tensor::<f64>::ones([10_000])));
/// assert!((y.value().mean(..).item() - 1.0).abs() < 0.05);
/// ```
#[derive(Debug, gradus_derive::Module)]
pub struct Dropout {
    /// The probability with which an element is dropped.
    #[module(skip)]
    pub p: f64,
    /// Whether it is in training mode.
    #[module(mode)]
    pub training: bool,
    #[module(skip)]
    seed: u64,
    /// The number of forward passes in training so far.
    #[module(skip)]
    passes: AtomicU64,
}

impl Dropout {
    /// In training mode, with masks from this seed.
    ///
    /// # Panics
    /// If `p` is not between 0 and 1.
    #[track_caller]
    pub fn new(p: f64, seed: u64) -> Self {
        check_probability(p);
        Self { p, training: true, seed, passes: AtomicU64::new(0) }
    }

    /// The output in the mode that the layer is in.
    ///
    /// # Panics
    /// In training, if `p` is not between 0 and 1.
    #[track_caller]
    pub fn forward<T: Float>(&self, x: &Var<T>) -> Var<T> {
        if !self.training {
            return x.clone();
        }
        check_probability(self.p);
        let key = hash(hash(self.seed).wrapping_add(self.passes.fetch_add(1, Ordering::Relaxed)));
        // Of 2^53 numbers that are equally likely, the first are dropped.
        let (dropped, kept) = ((self.p * (1_u64 << 53) as f64) as u64, T::from_f64(1.0 / (1.0 - self.p)));
        let places = Tensor::arange(0_i64, x.len() as i64, 1);
        let factors = places.map(
            #[inline(always)]
            move |i| if hash(key.wrapping_add(i as u64)) >> 11 < dropped { T::ZERO } else { kept },
        );
        x.multiply_no_nan(factors.reshape(x.shape()))
    }
}

/// A step of the generator `SplitMix64`: consecutive numbers give independent ones (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014).
#[inline(always)]
fn hash(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[track_caller]
fn check_probability(p: f64) {
    assert!((0.0..=1.0).contains(&p), "Dropout: p is {p}; it must be between 0 and 1");
}

impl Clone for Dropout {
    /// A layer that goes on with the same masks.
    fn clone(&self) -> Self {
        let passes = AtomicU64::new(self.passes.load(Ordering::Relaxed));
        Self { p: self.p, training: self.training, seed: self.seed, passes }
    }
}

impl<T: Float> Layer<T> for Dropout {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}
