//! Attention.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::{self, Attention, Head, MatrixRef};
use crate::layout::Layout;
use crate::shape::{Shape, broadcast_shapes, checked_count};
use crate::tensor::Tensor;

/// The shapes of an attention, checked.
struct Sizes {
    batch: Shape,
    queries: usize,
    keys: usize,
    width: usize,
    values: usize,
}

impl<T: Float> Tensor<T> {
    /// `softmax(scale * self key^T + mask) value` over the last two axes, queries `[..., L, E]`, keys `[..., S, E]` and
    /// values `[..., S, V]` to `[..., L, V]` (Vaswani et al., "Attention is all you need", 2017). Leading axes
    /// broadcast. With `is_causal` query `i` sees only keys up to `i`. A query that sees no key gives zeros.
    ///
    /// The scores are made block by block and never held as a whole.
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
        let sizes = self.attention_sizes(key, value, mask.map(Self::shape));
        let shape = [&sizes.batch[..], &[sizes.queries, sizes.values]].concat();
        checked_count("scaled_dot_product_attention", &shape).or_panic();
        let heads = self.heads(key, value, mask, &sizes);
        let attention = Attention { causal: is_causal, scale };
        Self::from_buffer(T::attention(&heads, [sizes.queries, sizes.values], attention), &shape)
    }

    /// The gradients of [`scaled_dot_product_attention`](Self::scaled_dot_product_attention) with respect to queries,
    /// keys and values, from the gradient of its result. They have all leading axes, also where an operand was
    /// broadcast.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (query, key) = (Tensor::zeros([1, 3]), Tensor::<f64>::ones([2, 3]));
    /// let (value, g) = (Tensor::from([[1.0], [3.0]]), Tensor::from([[10.0]]));
    /// let [_, _, of_value] = query.scaled_dot_product_attention_gradient(&key, &value, None, false, 1.0, &g);
    /// assert_eq!(of_value, Tensor::from([[5.0], [5.0]]));
    /// ```
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
        let sizes = self.attention_sizes(key, value, mask.map(Self::shape));
        let shape = [&sizes.batch[..], &[sizes.queries, sizes.values]].concat();
        assert!(
            gradient.shape() == shape,
            "scaled_dot_product_attention_gradient: the gradient has shape {:?} and the result {shape:?}: they must \
             be equal",
            gradient.shape()
        );
        let heads = self.heads(key, value, mask, &sizes);
        let gradients = gradient.matrices(&sizes.batch, [sizes.queries, sizes.values]);
        let attention = Attention { causal: is_causal, scale };
        let [dq, dk, dv] = T::attention_gradient(&heads, &gradients, attention);
        let of =
            |buffer, rows, columns| Self::from_buffer(buffer, &[&sizes.batch[..], &[rows, columns]].concat());
        [
            of(dq, sizes.queries, sizes.width),
            of(dk, sizes.keys, sizes.width),
            of(dv, sizes.keys, sizes.values),
        ]
    }

    #[track_caller]
    fn attention_sizes(&self, key: &Self, value: &Self, mask: Option<&[usize]>) -> Sizes {
        let operation = "scaled_dot_product_attention";
        let ([front @ .., queries, width], [key_front @ .., keys, key_width]) = (self.shape(), key.shape())
        else {
            mismatch(
                self.shape(),
                key.shape(),
                "queries and keys need at least two axes, [..., length, width]",
            )
        };
        let [value_front @ .., value_keys, values] = value.shape() else {
            mismatch(key.shape(), value.shape(), "values need at least two axes, [..., length, width]")
        };
        if width != key_width {
            mismatch(self.shape(), key.shape(), "the last axes of queries and keys must be equal");
        }
        if keys != value_keys {
            mismatch(key.shape(), value.shape(), "keys and values must have the same last axis but one");
        }
        let batch = broadcast_shapes(operation, front, key_front)
            .and_then(|batch| broadcast_shapes(operation, &batch, value_front));
        let Ok(batch) = batch else {
            if broadcast_shapes(operation, front, key_front).is_err() {
                mismatch(
                    self.shape(),
                    key.shape(),
                    "the axes of queries and keys before the last two must broadcast",
                )
            }
            mismatch(
                self.shape(),
                value.shape(),
                "the axes of queries and values before the last two must broadcast",
            )
        };
        if let Some(mask) = mask {
            let scores = [&batch[..], &[*queries, *keys]].concat();
            let common = broadcast_shapes(operation, mask, &scores);
            if common.is_err() || common.is_ok_and(|common| common[..] != scores[..]) {
                mismatch(
                    mask,
                    &scores,
                    "the first, the mask, must broadcast to the second, the shape of the scores, \
                     [..., queries, keys]",
                );
            }
        }
        Sizes { batch, queries: *queries, keys: *keys, width: *width, values: *values }
    }

    fn heads<'a>(
        &'a self,
        key: &'a Self,
        value: &'a Self,
        mask: Option<&'a Self>,
        sizes: &Sizes,
    ) -> Vec<Head<'a, T>> {
        let queries = self.matrices(&sizes.batch, [sizes.queries, sizes.width]);
        let keys = key.matrices(&sizes.batch, [sizes.keys, sizes.width]);
        let values = value.matrices(&sizes.batch, [sizes.keys, sizes.values]);
        let masks = mask.map(|mask| mask.matrices(&sizes.batch, [sizes.queries, sizes.keys]));
        (0..queries.len())
            .map(|i| Head {
                query: queries[i],
                key: keys[i],
                value: values[i],
                mask: masks.as_ref().map(|masks| masks[i]),
            })
            .collect()
    }

    /// The matrices of the last two axes, broadcast to these sizes.
    fn matrices(&self, batch: &[usize], matrix: [usize; 2]) -> Vec<MatrixRef<'_, T>> {
        let layout = self.layout().expand(&[batch, &matrix].concat());
        let front = Layout {
            shape: Shape::from_slice(batch),
            strides: layout.strides[..batch.len()].into(),
            offset: layout.offset,
        };
        let mut matrices = Vec::with_capacity(front.len());
        kernels::for_each_run(batch, [&front], |[start], length, [stride]| {
            matrices.extend((0..length as isize).map(|i| MatrixRef {
                data: self.buffer(),
                offset: start.wrapping_add_signed(i * stride),
                rows: matrix[0],
                columns: matrix[1],
                row_stride: layout.strides[batch.len()],
                column_stride: layout.strides[batch.len() + 1],
            }));
        });
        matrices
    }
}

#[track_caller]
fn mismatch(left: &[usize], right: &[usize], expected: &'static str) -> ! {
    let operation = "scaled_dot_product_attention";
    TensorError::mismatch(operation, left, right, expected).panic()
}
