//! Embedding.

use gradus_autograd::{Float, Indices, Tensor, Var};
use rand::Rng;

use crate::inside;
use crate::parameter::Parameter;

/// A table of vectors: an index gives a row of the weight.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_nn::Embedding;
///
/// let layer = Embedding::<f64>::new(3, 2, &mut seeded(0)).padding_idx(-1);
/// let y = layer.forward(&Tensor::from([[0, 1], [0, 2]]));
/// assert_eq!(y.shape(), [2, 2, 2]);
/// assert_eq!(y.value().select(0, 1).select(0, 1), Tensor::zeros([2]));
/// let gradients = y.sum(..).backward();
/// assert_eq!(gradients.get(&layer.weight), Some(&Tensor::from([[2.0, 2.0], [1.0, 1.0], [0.0, 0.0]])));
/// ```
#[derive(Debug, Clone, gradus_derive::Module)]
pub struct Embedding<T: Float = f32> {
    /// The vectors, `[words, width]`.
    pub weight: Parameter<T>,
    /// Optional index of the padding, whose vector gets no gradient.
    #[module(skip)]
    pub padding_idx: Option<isize>,
}

impl<T: Float> Embedding<T> {
    /// With vectors drawn from the standard normal distribution.
    #[track_caller]
    pub fn new(words: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { weight: Parameter::new(Tensor::randn([words, width], rng)), padding_idx: None }
    }

    /// Sets the index of the padding: its vector becomes zeros, and gets no gradient. A negative index counts from the
    /// end.
    ///
    /// # Panics
    /// If the index is out of range.
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

    /// The vectors of indices: `[...]` to `[..., width]`.
    ///
    /// # Panics
    /// If an index is out of range.
    #[track_caller]
    pub fn forward(&self, index: impl Into<Indices<T>>) -> Var<T> {
        inside::open(self).gives(self.weight.embedding(index, self.padding_idx))
    }
}
