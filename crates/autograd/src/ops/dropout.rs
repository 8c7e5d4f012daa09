//! Dropout.

use gradus_tensor::{Float, Tensor};

use super::operations::operations;
use crate::tape::{Indices, Operand, Var, apply};

operations! {
    /// The inputs are x and the key. The mask follows from the key, and is made again for the gradient.
    Linear Dropout { p: f64 }: "dropout",
        shape |x| Ok(x[0].into()),
        forward |x| {
            let (x, key) = (x[0], hash(x.indices(1).item() as u64));
            // Of 2^53 equally likely numbers, the first are dropped.
            let (dropped, kept) = ((p * (1_u64 << 53) as f64) as u64, T::from_f64(1.0 / (1.0 - p)));
            let factors = Tensor::arange(0_i64, x.len() as i64, 1).map(
                #[inline(always)]
                move |i| if hash(key.wrapping_add(i as u64)) >> 11 < dropped { T::ZERO } else { kept },
            );
            x.multiply_no_nan(factors.reshape(x.shape()))
        },
        vjp |context, _| context.cotangent().dropout(*p, context.indices(1)),
        batched |batch| {
            if batch.is_batched(1) {
                // Each example has a mask of its own, which follows from its own key.
                return None;
            }
            let ones = Var::constant(Tensor::ones(batch.shape(0)));
            batch.given(0).multiply_no_nan(ones.dropout(*p, batch.given_indices(1)))
        };
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

impl<T: Float> Var<T> {
    /// Each element 0 with probability `p`, and otherwise divided by `1 - p`, which keeps its mean (Srivastava et
    /// al., "Dropout", 2014).
    ///
    /// Whether an element is dropped follows from `key`, one integer, and the place of the element: the same key
    /// gives the same mask. A layer that draws new keys is `Dropout` of `gradus-nn`.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::<f64>::ones([10_000]));
    /// let y = x.dropout(0.25, 7);
    /// assert!((y.value().mean(..).item() - 1.0).abs() < 0.05);
    /// assert_eq!(y.sum(..).backward().get(&x), Some(x.dropout(0.25, 7).value()));
    /// ```
    ///
    /// # Panics
    /// If `p` is not between 0 and 1, or `key` is not one integer.
    #[track_caller]
    pub fn dropout(&self, p: f64, key: impl Into<Indices<T>>) -> Self {
        let key = key.into();
        assert!((0.0..=1.0).contains(&p), "dropout: p is {p}; it must be between 0 and 1");
        assert!(key.len() == 1, "dropout: the key has shape {:?}; it must be one integer", key.shape());
        apply(Dropout { p }, &[Operand::Var(self), Operand::Indices(&key)])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    use proptest::prelude::*;
    vec![case!(
        "dropout", (shape, p, key) in (shapes(0..=3, 0..=5), 0.0..0.9, any::<i64>()), [shape],
        |x| x.dropout(p, key)
    )]
}
