//! Attention.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::{Attention, Head};
use crate::shape::{Shape, broadcast, checked_count, expands};
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// `softmax(scale * self key^T + mask) value` over the last two axes, queries `[..., L, E]`, keys `[..., S, E]` and
    /// values `[..., S, V]` to `[..., L, V]` (Vaswani et al., "Attention is all you need", 2017). Leading axes
    /// broadcast. With `is_causal` query `i` sees only keys up to `i`. A query that sees no key gives zeros.
    ///
    /// The scores are computed block by block and never held as a whole.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (query, key) = (Tensor::zeros([2, 3]), Tensor::<f64>::ones([2, 3]));
    /// let value = Tensor::from([[1.0], [3.0]]);
    /// let y = query.scaled_dot_product_attention(&key, &value, None, false, 1.0);
    /// assert_eq!(y, Tensor::from([[2.0], [2.0]])); // all scores are equal
    /// let y = query.scaled_dot_product_attention(&key, &value, None, true, 1.0);
    /// assert_eq!(y, Tensor::from([[1.0], [2.0]])); // the first sees only the first
    /// ```
    ///
    /// # Panics
    /// If an operand has fewer than two axes, sizes differ, or the leading axes or the mask do not broadcast.
    #[track_caller]
    pub fn scaled_dot_product_attention(
        &self,
        key: &Self,
        value: &Self,
        mask: Option<&Self>,
        is_causal: bool,
        scale: T,
    ) -> Self {
        let mask_shape = mask.map(Self::shape);
        let shape = attention_shape(self.shape(), key.shape(), value.shape(), mask_shape).or_panic();
        let (batch, result) = shape.split_at(shape.len() - 2);
        let heads = self.heads(key, value, mask, batch);
        let attention = Attention { causal: is_causal, scale };
        Self::from_buffer(T::attention(&heads, [result[0], result[1]], attention), &shape)
    }

    /// The gradients of [`scaled_dot_product_attention`](Self::scaled_dot_product_attention) with respect to queries,
    /// keys and values, from the gradient of its result. They have all leading axes, also where an operand was
    /// broadcast.
    ///
    /// # Panics
    /// Like `scaled_dot_product_attention`, and if `gradient` has another shape than its result.
    #[track_caller]
    pub fn scaled_dot_product_attention_gradient(
        &self,
        key: &Self,
        value: &Self,
        mask: Option<&Self>,
        is_causal: bool,
        scale: T,
        gradient: &Self,
    ) -> [Self; 3] {
        let mask_shape = mask.map(Self::shape);
        let shape = attention_shape(self.shape(), key.shape(), value.shape(), mask_shape).or_panic();
        assert!(
            gradient.shape() == &shape[..],
            "scaled_dot_product_attention_gradient: the gradient has shape {:?} and the result {shape:?}: they must \
             be equal",
            gradient.shape()
        );
        let batch = &shape[..shape.len() - 2];
        let gradients = gradient.matrices(batch, gradient.last_two());
        let attention = Attention { causal: is_causal, scale };
        let of = T::attention_gradient(&self.heads(key, value, mask, batch), &gradients, attention);
        let with_batch = |x: &Self| [batch, &x.last_two()].concat();
        let shapes = [self, key, value].map(with_batch);
        let mut of = of.into_iter().zip(&shapes).map(|(buffer, shape)| Self::from_buffer(buffer, shape));
        std::array::from_fn(|_| of.next().expect("three of each"))
    }

    fn heads<'a>(
        &'a self,
        key: &'a Self,
        value: &'a Self,
        mask: Option<&'a Self>,
        batch: &[usize],
    ) -> Vec<Head<'a, T>> {
        let [queries, keys, values] = [self, key, value].map(|x| x.matrices(batch, x.last_two()));
        let scores = [self.last_two()[0], key.last_two()[0]];
        let masks = mask.map(|mask| mask.matrices(batch, scores));
        (0..queries.len())
            .map(|i| Head {
                query: queries[i],
                key: keys[i],
                value: values[i],
                mask: masks.as_ref().map(|masks| masks[i]),
            })
            .collect()
    }

    /// The sizes of the last two axes.
    fn last_two(&self) -> [usize; 2] {
        [self.shape()[self.rank() - 2], self.shape()[self.rank() - 1]]
    }
}

/// The shape of [`Tensor::scaled_dot_product_attention`].
#[doc(hidden)]
pub fn attention_shape(
    query: &[usize],
    key: &[usize],
    value: &[usize],
    mask: Option<&[usize]>,
) -> Result<Shape, TensorError> {
    let operation = "scaled_dot_product_attention";
    let mismatch = |left: &[usize], right: &[usize], expected| {
        Err(TensorError::mismatch(operation, left, right, expected))
    };
    let ([front @ .., queries, width], [key_front @ .., keys, key_width]) = (query, key) else {
        return mismatch(query, key, "queries and keys need at least two axes, [..., length, width]");
    };
    let [value_front @ .., value_keys, values] = value else {
        return mismatch(key, value, "values need at least two axes, [..., length, width]");
    };
    if width != key_width {
        return mismatch(query, key, "the last axes of queries and keys must be equal");
    }
    if keys != value_keys {
        return mismatch(key, value, "keys and values must have the same last axis but one");
    }
    let Some(batch) = broadcast(front, key_front) else {
        return mismatch(query, key, "the axes of queries and keys before the last two must broadcast");
    };
    let Some(mut shape) = broadcast(&batch, value_front) else {
        return mismatch(query, value, "the axes of queries and values before the last two must broadcast");
    };
    if let Some(mask) = mask {
        let scores = [&shape[..], &[*queries, *keys]].concat();
        if !expands(mask, &scores) {
            let expected = "the first, the mask, must broadcast to the second, the shape of the scores, \
                            [..., queries, keys]";
            return mismatch(mask, &scores, expected);
        }
    }
    shape.extend([*queries, *values]);
    checked_count(operation, &shape)?;
    Ok(shape)
}
