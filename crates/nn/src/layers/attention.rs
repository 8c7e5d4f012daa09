//! Multi-head attention.

use gradus_autograd::{AsVar, AttentionMask, Float, Tensor, Var};
use rand::Rng;

use super::linear::{Linear, laid_out};
use crate::init;
use crate::inside;
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
///
/// A mask has to broadcast to `[..., heads, queries, keys]`. For the padding of each sequence that is
/// `[batch, 1, 1, keys]`:
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::MultiheadAttention;
///
/// let layer = MultiheadAttention::new(6, 2, &mut seeded(0));
/// let x = Var::constant(Tensor::<f32>::ones([2, 3, 6]));
/// let is_padding = Tensor::from([[false, false, false], [false, false, true]]);
/// let allowed = is_padding.logical_not().unsqueeze(1).unsqueeze(1);
/// let (_, weights) = layer.forward_with_weights([&x; 3], Some((&allowed).into()), false);
/// assert_eq!(weights.shape(), [2, 3, 3]);
/// assert_eq!(weights.select(0, 1).select(0, 0).value(), &Tensor::from([0.5, 0.5, 0.0]));
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
    pub fn forward(&self, x: impl AsVar<T>, mask: Option<AttentionMask<T>>, is_causal: bool) -> Var<T> {
        let x = &*x.as_var();
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
        inputs: [&Var<T>; 3],
        mask: Option<AttentionMask<T>>,
        is_causal: bool,
    ) -> Var<T> {
        let scope = inside::open(self);
        let [q, k, v] = self.heads(inputs);
        let y = q.scaled_dot_product_attention(&k, &v, mask, is_causal, None);
        scope.gives(self.joined(&y, inputs[0].shape()))
    }

    /// Like [`forward_to`](Self::forward_to), with the weights of the keys for each query, averaged over the heads:
    /// `[..., L, S]`. A query that sees no key has weights of zero.
    ///
    /// This costs time and memory for all weights of all heads, which [`forward_to`](Self::forward_to) never holds.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward_with_weights(
        &self,
        inputs: [&Var<T>; 3],
        mask: Option<AttentionMask<T>>,
        is_causal: bool,
    ) -> (Var<T>, Var<T>) {
        let scope = inside::open(self);
        let [q, k, v] = self.heads(inputs);
        let y = q.scaled_dot_product_attention(&k, &v, mask.clone(), is_causal, None);
        // Attention to the unit vectors is the weights themselves, with the same rules for what is hidden.
        let units = Var::constant(Tensor::eye(k.shape()[k.rank() - 2]));
        let weights = q.scaled_dot_product_attention(&k, &units, mask, is_causal, None).mean(-3);
        (scope.gives(self.joined(&y, inputs[0].shape())), weights)
    }

    /// Queries, keys and values, `[..., heads, length, width / heads]`.
    #[track_caller]
    fn heads(&self, inputs: [&Var<T>; 3]) -> [Var<T>; 3] {
        let width = self.in_proj_weight.shape()[1];
        for x in inputs {
            assert!(
                x.rank() >= 2 && x.shape().last() == Some(&width),
                "MultiheadAttention: an input has shape {:?}; it must be [..., length, {width}]",
                x.shape()
            );
        }
        let weights = self.in_proj_weight.split([width; 3], 0);
        let biases = self.in_proj_bias.split([width; 3], 0);
        std::array::from_fn(|i| {
            let (front, _) = inputs[i].shape().split_at(inputs[i].rank() - 1);
            let shape = [front, &[self.num_heads, width / self.num_heads]].concat();
            inputs[i].linear(&weights[i], Some(&biases[i])).reshape(shape).transpose(-3, -2)
        })
    }

    /// The projection of the outputs of all heads.
    #[track_caller]
    fn joined(&self, y: &Var<T>, shape: &[usize]) -> Var<T> {
        self.out_proj.forward(y.transpose(-3, -2).reshape(shape))
    }
}
