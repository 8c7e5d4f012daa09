//! The transformer block.

use gradus_autograd::{AsVar, AttentionMask, Float, Var};
use rand::Rng;

use super::activation::GeluTanh;
use super::attention::MultiheadAttention;
use super::dropout::Dropout;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::sequential::Layer;
use crate::inside;

/// A block of a transformer: `x + attention(norm(x))`, then `x + linear(activation(linear(norm(x))))` (pre-norm, as in
/// GPT-2; Radford et al., 2019).
///
/// With [`post_norm`](Self::post_norm) it is `norm(x + attention(x))`, then `norm(x + linear(activation(linear(x))))`, as in
/// the first transformer and PyTorch's `TransformerEncoderLayer` (Vaswani et al., "Attention is all you need", 2017).
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::{Relu, TransformerBlock};
///
/// let layer = TransformerBlock::new(6, 2, 12, &mut seeded(0)).post_norm().activation(Relu).dropout(0.1, 1);
/// let x = Var::constant(Tensor::<f32>::ones([5, 7, 6]));
/// assert_eq!(layer.forward(&x, None, false).shape(), [5, 7, 6]);
/// ```
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct TransformerBlock<T: Float = f32> {
    /// The norm of the attention's input, or of its sum with the output.
    pub norm1: LayerNorm<T>,
    /// The attention.
    pub self_attn: MultiheadAttention<T>,
    /// The norm of the dense layers' input, or of its sum with the output.
    pub norm2: LayerNorm<T>,
    /// The dense layer from `width` to `hidden`.
    pub linear1: Linear<T>,
    /// The dense layer from `hidden` to `width`.
    pub linear2: Linear<T>,
    /// The function between the dense layers: `gelu_tanh`, or another one that keeps the shape.
    pub activation: Box<dyn Layer<T>>,
    /// Applied to the output of the attention, of the activation and of the second dense layer.
    pub dropout: Option<Dropout>,
    /// Whether the norms come before attention and dense layers, or after the sums.
    #[module(skip)]
    pub norm_first: bool,
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
            activation: Box::new(GeluTanh),
            dropout: None,
            norm_first: true,
        }
    }

    /// Puts the norms after the sums.
    #[must_use]
    pub fn post_norm(self) -> Self {
        Self { norm_first: false, ..self }
    }

    /// Replaces the function between the dense layers by another one that keeps the shape.
    #[must_use]
    pub fn activation(self, activation: impl Layer<T> + 'static) -> Self {
        Self { activation: Box::new(activation), ..self }
    }

    /// Adds [`Dropout`] with probability `p` after attention, activation and second dense layer, with masks from this seed.
    /// It does not drop weights of the attention.
    ///
    /// # Panics
    /// If `p` is not between 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64, seed: u64) -> Self {
        Self { dropout: Some(Dropout::new(p, seed)), ..self }
    }

    /// The output for an input `[..., length, width]`, in the same shape.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>, mask: Option<AttentionMask<T>>, is_causal: bool) -> Var<T> {
        let scope = inside::open(self);
        let x = &*x.as_var();
        scope.gives(if self.norm_first {
            let x = x + self.dropped(self.self_attn.forward(self.norm1.forward(x), mask, is_causal));
            let y = self.dense(&self.norm2.forward(&x));
            x + y
        } else {
            let x = x + self.dropped(self.self_attn.forward(x, mask, is_causal));
            let x = self.norm1.forward(&x);
            self.norm2.forward(&(&x + self.dense(&x)))
        })
    }

    #[track_caller]
    fn dense(&self, x: &Var<T>) -> Var<T> {
        let hidden = self.activation.forward(&self.linear1.forward(x));
        self.dropped(self.linear2.forward(self.dropped(hidden)))
    }

    #[track_caller]
    fn dropped(&self, x: Var<T>) -> Var<T> {
        match &self.dropout {
            Some(dropout) => dropout.forward(&x),
            None => x,
        }
    }
}

/// Attention without a mask, not causal.
impl<T: Float> Layer<T> for TransformerBlock<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x, None, false)
    }
}
