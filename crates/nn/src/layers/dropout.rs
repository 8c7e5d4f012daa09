//! Dropout.

use gradus_autograd::{AsVar, Float, Rng, Var, seeded};

use super::sequential::Layer;
use crate::counter::Counter;
use crate::inside;

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
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct Dropout {
    /// The probability with which an element is dropped.
    #[module(skip)]
    pub p: f64,
    /// Whether it is in training mode.
    #[module(mode)]
    pub training: bool,
    /// The key of the next mask.
    pub key: Counter,
}

impl Dropout {
    /// In training mode, with masks from this seed.
    ///
    /// # Panics
    /// If `p` is not between 0 and 1.
    #[track_caller]
    pub fn new(p: f64, seed: u64) -> Self {
        check_probability(p);
        // Random, so that layers with seeds 0 and 1 do not share keys.
        let key = Counter::non_persistent(seeded(seed).next_u64() as i64);
        Self { p, training: true, key }
    }

    /// The output in the mode that the layer is in.
    ///
    /// # Panics
    /// In training, if `p` is not between 0 and 1.
    #[track_caller]
    pub fn forward<T: Float>(&self, x: impl AsVar<T>) -> Var<T> {
        let scope = inside::open(self);
        let x = &*x.as_var();
        scope.gives(if self.training { x.dropout(self.p, self.key.next_key()) } else { x.clone() })
    }
}

#[track_caller]
fn check_probability(p: f64) {
    assert!((0.0..=1.0).contains(&p), "Dropout: p is {p}; it must be between 0 and 1");
}

impl<T: Float> Layer<T> for Dropout {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}
