//! The transformer block.

use gradus_autograd::{AttentionMask, Float, Var};
use rand::Rng;

use super::attention::MultiheadAttention;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::sequential::Layer;

/// A block of a transformer: `x + attention(norm(x))`, then `x + linear(gelu_tanh(linear(norm(x))))` (pre-norm, as in
/// GPT-2; Radford et al., 2019).
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct TransformerBlock<T: Float = f32> {
    /// The norm before the attention.
    pub norm1: LayerNorm<T>,
    /// The attention.
    pub self_attn: MultiheadAttention<T>,
    /// The norm before the dense layers.
    pub norm2: LayerNorm<T>,
    /// The dense layer from `width` to `hidden`.
    pub linear1: Linear<T>,
    /// The dense layer from `hidden` to `width`.
    pub linear2: Linear<T>,
}

impl<T: Float> TransformerBlock<T> {
    /// For inputs of `width` features, with `hidden` features between the dense layers.
    ///
    /// # Panics
    /// If `num_heads` does not divide `width`.
    #[track_caller]
    pub fn new(width: usize, num_heads: usize, hidden: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self {
            norm1: LayerNorm::new([width]),
            self_attn: MultiheadAttention::new(width, num_heads, rng),
            norm2: LayerNorm::new([width]),
            linear1: Linear::new(width, hidden, rng),
            linear2: Linear::new(hidden, width, rng),
        }
    }

    /// The output for an input `[..., length, width]`, in the same shape.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: &Var<T>, mask: Option<AttentionMask<'_, T>>, is_causal: bool) -> Var<T> {
        let x = x + self.self_attn.forward(&self.norm1.forward(x), mask, is_causal);
        let hidden = self.linear1.forward(&self.norm2.forward(&x)).gelu_tanh();
        x + self.linear2.forward(&hidden)
    }
}

/// Attention without a mask, not causal.
impl<T: Float> Layer<T> for TransformerBlock<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x, None, false)
    }
}
