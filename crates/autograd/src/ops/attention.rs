//! Attention, as one operation that never holds all scores.

use gradus_tensor::shapes::attention_shape;
use gradus_tensor::{Float, Shape, Tensor, TensorError, keepdim};
use smallvec::smallvec;

use super::matmul::count;
use crate::engine::gradients_of_composition;
use crate::tape::{Batch, Context, InputGradients, Inputs, Mask, Operation, Saves, Var, apply};

/// The mask of [`Var::scaled_dot_product_attention`]; truth values and variables turn into it.
#[derive(Debug, Clone)]
pub enum AttentionMask<T: Float = f32> {
    /// Where false, a query does not see a key.
    Allowed(Mask<T>),
    /// Added to the scores; minus infinity excludes.
    Added(Var<T>),
}

macro_rules! attention_masks {
    ($($from:ty => $kind:ident;)*) => {$(
        impl<T: Float> From<$from> for AttentionMask<T> {
            fn from(mask: $from) -> Self {
                Self::$kind(mask.into())
            }
        }
    )*};
}

attention_masks! {
    Tensor<bool> => Allowed;
    &Tensor<bool> => Allowed;
    Mask<T> => Allowed;
    &Mask<T> => Allowed;
    Var<T> => Added;
    &Var<T> => Added;
}

/// The inputs are queries, keys and values, and an optional mask that is added to the scores.
#[derive(Debug)]
struct Attention {
    is_causal: bool,
    scale: f64,
}

impl Attention {
    /// The same function, composed of other operations. With `finite` queries, keys, values and gradients, a weight
    /// of 0 suffices to exclude hidden keys.
    fn composed<T: Float>(&self, inputs: &[Var<T>], finite: bool) -> Var<T> {
        let (query, key, value) = (&inputs[0], &inputs[1], &inputs[2]);
        let sizes = [query, key].map(|x| x.shape()[x.rank() - 2]);
        let hidden = self.hidden(inputs.get(3), sizes);
        // Beside infinities and NaN, each query has to have keys and values of its own, without the hidden ones.
        let seen = |x: &Var<T>, hidden: &Mask<T>| {
            let column = [hidden.shape(), &[1]].concat();
            x.unsqueeze(-3).masked_fill(hidden.reshape(column), T::ZERO)
        };
        let apart = hidden.as_ref().filter(|_| !finite);
        let products = match apart {
            Some(hidden) => (query.unsqueeze(-2) * seen(key, hidden)).sum(-1),
            None => query.matmul(&key.t()),
        };
        let mut scores = products * T::from_f64(self.scale);
        if let Some(mask) = inputs.get(3) {
            scores += mask;
        }
        if sizes[1] == 0 {
            return scores.matmul(value);
        }
        if let Some(hidden) = &hidden {
            scores = scores.masked_fill(hidden, -T::INFINITY);
        }
        let blind = scores.max(keepdim(-1)).eq(-T::INFINITY);
        let weights = scores.masked_fill(&blind, T::ZERO).softmax(-1);
        let weightless = hidden.as_ref().map_or(blind.clone(), |hidden| blind | hidden);
        let weights = weights.masked_fill(&weightless, T::ZERO);
        match apart {
            Some(hidden) => (weights.unsqueeze(-1) * seen(value, hidden)).sum(-2),
            None => weights.matmul(value),
        }
    }

    /// The keys that a query does not see; `None` if every query sees all.
    fn hidden<T: Float>(&self, mask: Option<&Var<T>>, [queries, keys]: [usize; 2]) -> Option<Mask<T>> {
        let masked = mask.map(|mask| mask.eq(-T::INFINITY));
        let later = self.is_causal.then(|| {
            let (rows, columns) = (Tensor::arange(0, queries as i64, 1), Tensor::arange(0, keys as i64, 1));
            columns.gt(rows.unsqueeze(1))
        });
        match (masked, later) {
            (Some(masked), Some(later)) => Some(masked | later),
            (masked, later) => masked.or(later.map(Mask::constant)),
        }
    }
}

impl<T: Float> Operation<T> for Attention {
    fn name(&self) -> &'static str {
        "scaled_dot_product_attention"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(attention_shape(inputs[0], inputs[1], inputs[2], inputs.get(3).copied()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let mask = inputs.get(3);
        let scale = T::from_f64(self.scale);
        inputs[0].scaled_dot_product_attention(inputs[1], inputs[2], mask, self.is_causal, scale)
    }
    fn saves(&self) -> Saves {
        Saves::INPUTS
    }
    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        let composed = |context: &Context<T>| {
            let finite = |x: &Tensor<T>| x.isfinite().all(..).item();
            let finite =
                (0..3).all(|i| finite(context.input_value(i))) && finite(context.cotangent().value());
            gradients_of_composition(context, |inputs| self.composed(inputs, finite))
        };
        if context.is_recorded() {
            return Some(composed(context));
        }
        let mask = context.has_input(3).then(|| context.input_value(3));
        // The gradient of the mask has the size of all scores in any case.
        let of_mask = if mask.is_some() && context.needs(3) {
            composed(&context.asked_for(&[3])).pop().flatten()
        } else {
            None
        };
        let [query, key, value] = [0, 1, 2].map(|i| context.input_value(i));
        let (scale, g) = (T::from_f64(self.scale), context.cotangent().value());
        let [of_query, of_key, of_value] =
            query.scaled_dot_product_attention_gradient(key, value, mask, self.is_causal, scale, g);
        Some(smallvec![Some(of_query.into()), Some(of_key.into()), Some(of_value.into()), of_mask])
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Var<T>> {
        let rank = batch.output_shape().len();
        let mut inputs: Vec<Var<T>> = (0..batch.len()).map(|input| batch.aligned(input, rank)).collect();
        if !(0..3).any(|input| batch.is_batched(input)) {
            // Examples of the mask alone.
            inputs[0] = inputs[0]
                .expand(batch.raised(&[&vec![1; rank - batch.shape(0).len()], batch.shape(0)].concat()));
        }
        Some(apply(Self { is_causal: self.is_causal, scale: self.scale }, &inputs.iter().collect::<Vec<_>>()))
    }
    /// Of all scores, hidden ones included, and of the values for them.
    fn multiply_adds(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        let [query, key] = [0, 1].map(|i| &inputs[i][inputs[i].len() - 2..]);
        let (front, size) = output.split_at(output.len() - 2);
        (count(front) * query[0] * key[0] * (query[1] + size[1])) as u64
    }
}

impl<T: Float> Var<T> {
    /// `softmax(scale * self key^T + mask) value` over the last two axes: of queries, `[..., L, E]`, keys `[..., S,
    /// E]` and values `[..., S, V]`, `[..., L, V]` (Vaswani et al., "Attention is all you need", 2017). Leading axes
    /// broadcast, and so does the mask, to `[..., L, S]`. With `is_causal` query `i` sees only keys up to `i`.
    /// Without a scale it is `1 / sqrt(E)`. A query that sees no key gives zeros.
    ///
    /// Neither the result nor its gradients ever hold all scores: they are made block by block, and made again for
    /// the gradients.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let (query, key) = (Var::constant(Tensor::zeros([2, 3])), Var::constant(Tensor::ones([2, 3])));
    /// let value = Var::leaf(Tensor::from([[1.0], [3.0]]));
    /// let y = query.scaled_dot_product_attention(&key, &value, None, true, None);
    /// assert_eq!(y.value(), &Tensor::from([[1.0], [2.0]])); // the first sees only the first
    /// assert_eq!(y.sum(..).backward().get(&value), Some(&Tensor::from([[1.5], [0.5]])));
    /// ```
    ///
    /// # Panics
    /// If an operand has fewer than two axes, sizes differ, or the leading axes or the mask do not broadcast.
    #[track_caller]
    pub fn scaled_dot_product_attention(
        &self,
        key: &Self,
        value: &Self,
        mask: Option<AttentionMask<T>>,
        is_causal: bool,
        scale: Option<f64>,
    ) -> Self {
        let width = self.shape().last().map_or(1, |&width| width);
        let operation = Attention { is_causal, scale: scale.unwrap_or(1.0 / (width as f64).sqrt()) };
        match mask {
            None => apply(operation, &[self, key, value]),
            Some(AttentionMask::Added(mask)) => apply(operation, &[self, key, value, &mask]),
            Some(AttentionMask::Allowed(allowed)) => {
                let mask = Self::where_(allowed, T::ZERO, -T::INFINITY);
                apply(operation, &[self, key, value, &mask])
            }
        }
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case};
    use proptest::prelude::*;
    let sizes = || (0..=3_usize, 0..=4_usize, 1..=3_usize, 0..=3_usize);
    let mask = || prop_oneof![Just(None), any::<bool>().prop_map(Some)];
    vec![case!(
        "scaled_dot_product_attention",
        ((left, right), (queries, keys, width, values), mask, causal, scale) in
            (broadcast_pair(), sizes(), mask(), any::<bool>(), prop::option::of(0.1..2.0)),
        [
            [&left[..], &[queries, width]].concat(),
            [&right[..], &[keys, width]].concat(),
            [&left[..], &[keys, values]].concat(),
            [queries, keys],
        ],
        |q, k, v, m| {
            // Which pairs are allowed must not change with the values.
            let allowed = Tensor::arange(0, (queries * keys) as i64, 1).map(|i| i % 3 != 1).reshape([queries, keys]);
            let mask = mask.map(|added| if added { m.into() } else { (&allowed).into() });
            q.scaled_dot_product_attention(k, v, mask, causal, scale)
        }
    )]
}
