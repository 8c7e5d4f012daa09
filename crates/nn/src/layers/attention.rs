//! Multi-head attention.

use gradus_autograd::{AttentionMask, Float, Tensor, Var};
use rand::Rng;

use super::linear::{Linear, laid_out};
use crate::init;
use crate::parameter::Parameter;

/// Multi-head attention, each head with its part of the features (Vaswani et al., "Attention is all you need", 2017).
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::{Module, MultiheadAttention};
///
/// let layer = MultiheadAttention::new(6, 2, &mut seeded(0));
/// let x = Var::constant(Tensor::<f32>::ones([5, 7, 6]));
/// assert_eq!(layer.forward(&x, None, true).shape(), [5, 7, 6]);
/// let names: Vec<String> = layer.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]);
/// ```
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct MultiheadAttention<T: Float = f32> {
    /// The projections of the queries, the keys and the values, `[3 width, width]`.
    pub in_proj_weight: Parameter<T>,
    /// The biases of these projections, `[3 width]`.
    pub in_proj_bias: Parameter<T>,
    /// The projection of the concatenated outputs of the heads.
    pub out_proj: Linear<T>,
    /// The number of heads.
    #[module(skip)]
    pub num_heads: usize,
}

impl<T: Float> MultiheadAttention<T> {
    /// For inputs of `width` features. `in_proj_weight` is drawn by [`xavier_uniform`](init::xavier_uniform), then the
    /// weight of `out_proj` as in [`Linear::new`]; biases are zeros.
    ///
    /// # Panics
    /// If `num_heads` does not divide `width`.
    #[track_caller]
    pub fn new(width: usize, num_heads: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        assert!(
            num_heads > 0 && width.is_multiple_of(num_heads),
            "MultiheadAttention: the width is {width} and num_heads {num_heads}: it must divide the width"
        );
        let in_proj_weight = laid_out(init::xavier_uniform([3 * width, width], 1.0, rng));
        let mut out_proj = Linear::new(width, width, rng);
        out_proj.bias = Some(Parameter::new(Tensor::zeros([width])));
        Self {
            in_proj_weight: Parameter::new(in_proj_weight),
            in_proj_bias: Parameter::new(Tensor::zeros([3 * width])),
            out_proj,
            num_heads,
        }
    }

    /// Self-attention of an input `[..., length, width]`; see
    /// [`scaled_dot_product_attention`](Var::scaled_dot_product_attention) for the mask.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: &Var<T>, mask: Option<AttentionMask<'_, T>>, is_causal: bool) -> Var<T> {
        // With three products, nothing has to be split, nor gradients joined.
        self.forward_to([x; 3], mask, is_causal)
    }

    /// Attention of queries `[..., L, width]` to keys and values `[..., S, width]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward_to(
        &self,
        [query, key, value]: [&Var<T>; 3],
        mask: Option<AttentionMask<'_, T>>,
        is_causal: bool,
    ) -> Var<T> {
        let width = self.in_proj_weight.shape()[1];
        for x in [query, key, value] {
            assert!(
                x.rank() >= 2 && x.shape().last() == Some(&width),
                "MultiheadAttention: an input has shape {:?}; it must be [..., length, {width}]",
                x.shape()
            );
        }
        let weights = self.in_proj_weight.split(&[width; 3], 0);
        let biases = self.in_proj_bias.split(&[width; 3], 0);
        let heads = |x: &Var<T>, i: usize| {
            let (front, _) = x.shape().split_at(x.rank() - 1);
            let shape = [front, &[self.num_heads, width / self.num_heads]].concat();
            x.linear(&weights[i], Some(&biases[i])).reshape(shape).transpose(-3, -2)
        };
        let [q, k, v] = [heads(query, 0), heads(key, 1), heads(value, 2)];
        let y = q.scaled_dot_product_attention(&k, &v, mask, is_causal, None);
        self.out_proj.forward(&y.transpose(-3, -2).reshape(query.shape()))
    }
}
