//! Attention, and what transformers are made of.

use gradus_autograd::{AttentionMask, Float, Tensor, Var};
use rand::Rng;

use crate::init;
use crate::linear::{Linear, laid_out};
use crate::norm::LayerNorm;
use crate::parameter::Parameter;
use crate::sequential::Layer;

/// One vector for each of a number of words: rows of a weight, by their indices.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_nn::Embedding;
///
/// let layer: Embedding = Embedding::new(10, 4, &mut seeded(0));
/// let y = layer.forward(&Tensor::from([[1, 2, 1], [9, 0, 0]]));
/// assert_eq!(y.shape(), [2, 3, 4]);
/// assert_eq!(y.value().select(0, 0).select(0, 0), layer.weight.value().select(0, 1));
/// ```
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct Embedding<T: Float = f32> {
    /// `[words, width]`.
    pub weight: Parameter<T>,
    /// The word that fills up short texts, if there is one: its vector is zeros, and stays what it is.
    #[module(skip)]
    pub padding_idx: Option<isize>,
}

impl<T: Float> Embedding<T> {
    /// Vectors from the standard normal distribution.
    #[track_caller]
    pub fn new(words: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { weight: Parameter::new(Tensor::randn([words, width], rng)), padding_idx: None }
    }

    /// With a word that fills up short texts: its vector becomes zeros, and gets no gradient. A negative one counts
    /// from the end.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_nn::Embedding;
    ///
    /// let layer = Embedding::<f64>::new(3, 2, &mut seeded(0)).padding_idx(-1);
    /// let y = layer.forward(&Tensor::from([0, 2]));
    /// assert_eq!(y.value().select(0, 1), Tensor::zeros([2]));
    /// let gradients = y.sum(..).backward();
    /// assert_eq!(gradients.get(&layer.weight), Some(&Tensor::from([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])));
    /// ```
    ///
    /// # Panics
    /// If there is no such word.
    #[track_caller]
    pub fn padding_idx(mut self, word: isize) -> Self {
        let words = self.weight.shape()[0] as isize;
        assert!(
            (-words..words).contains(&word),
            "Embedding: padding_idx is {word} for {words} words: allowed are -{words} to {}",
            words - 1
        );
        let row = Tensor::arange(0, words as i64, 1).eq(word.rem_euclid(words) as i64).unsqueeze(1);
        self.weight.update(|weight| *weight = Tensor::where_(&row, T::ZERO, &*weight));
        Self { padding_idx: Some(word), ..self }
    }

    /// `[...]` to `[..., width]`.
    ///
    /// # Panics
    /// If an index is out of range.
    #[track_caller]
    pub fn forward(&self, index: &Tensor<i64>) -> Var<T> {
        self.weight.embedding(index, self.padding_idx)
    }
}

/// Attention of several heads, each with a part of the features (Vaswani et al., "Attention is all you need", 2017).
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
    /// `[3 width, width]`: of the queries, the keys and the values.
    pub in_proj_weight: Parameter<T>,
    /// `[3 width]`.
    pub in_proj_bias: Parameter<T>,
    /// From the values of all heads side by side to the output.
    pub out_proj: Linear<T>,
    /// The number of heads.
    #[module(skip)]
    pub num_heads: usize,
}

impl<T: Float> MultiheadAttention<T> {
    /// For inputs of `width` features. The weight of the inputs is drawn by
    /// [`xavier_uniform`](init::xavier_uniform), then that of the output as in [`Linear`]; biases are zeros.
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

    /// Attention of an input, `[..., length, width]`, to itself; see
    /// [`scaled_dot_product_attention`](Var::scaled_dot_product_attention) for the mask.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: &Var<T>, mask: Option<AttentionMask<'_, T>>, is_causal: bool) -> Var<T> {
        // Three products of parts of the weight: one product would have to be taken apart, and its gradient put together.
        self.forward_to([x; 3], mask, is_causal)
    }

    /// Attention of queries, `[..., L, width]`, to keys and values, `[..., S, width]`.
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
        let (weights, biases) =
            (self.in_proj_weight.split(&[width; 3], 0), self.in_proj_bias.split(&[width; 3], 0));
        for x in [query, key, value] {
            self.check(x);
        }
        let project = |x: &Var<T>, i: usize| x.linear(&weights[i], Some(&biases[i]));
        self.attend([&project(query, 0), &project(key, 1), &project(value, 2)], mask, is_causal)
    }

    #[track_caller]
    fn attend(&self, parts: [&Var<T>; 3], mask: Option<AttentionMask<'_, T>>, is_causal: bool) -> Var<T> {
        let width = self.in_proj_weight.shape()[1];
        let heads = |x: &Var<T>| {
            let (front, _) = x.shape().split_at(x.rank() - 1);
            x.reshape([front, &[self.num_heads, width / self.num_heads]].concat()).transpose(-3, -2)
        };
        let [query, key, value] = parts.map(heads);
        let y = query.scaled_dot_product_attention(&key, &value, mask, is_causal, None);
        self.out_proj.forward(&y.transpose(-3, -2).reshape(parts[0].shape()))
    }

    #[track_caller]
    fn check(&self, x: &Var<T>) {
        let width = self.in_proj_weight.shape()[1];
        assert!(
            x.rank() >= 2 && x.shape().last() == Some(&width),
            "MultiheadAttention: an input has shape {:?}; it must be [..., length, {width}]",
            x.shape()
        );
    }
}

/// A block of a transformer: attention, and then two dense layers with [`gelu_tanh`](Var::gelu_tanh) between them, each
/// of the input normalised before and added to it after (pre-norm, as in GPT-2; Radford et al., 2019).
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::TransformerBlock;
///
/// let block = TransformerBlock::new(6, 2, 24, &mut seeded(0));
/// let x = Var::constant(Tensor::<f32>::ones([5, 7, 6]));
/// assert_eq!(block.forward(&x, None, true).shape(), [5, 7, 6]);
/// ```
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct TransformerBlock<T: Float = f32> {
    /// Before the attention.
    pub norm1: LayerNorm<T>,
    /// The attention of the block to itself.
    pub self_attn: MultiheadAttention<T>,
    /// Before the dense layers.
    pub norm2: LayerNorm<T>,
    /// From `width` to `hidden`.
    pub linear1: Linear<T>,
    /// From `hidden` to `width`.
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

    /// `[..., length, width]` to the same.
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

/// Without a mask, and not causal.
impl<T: Float> Layer<T> for TransformerBlock<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x, None, false)
    }
}
