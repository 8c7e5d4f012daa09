//! Attention, by blocks of queries whose scores stay in the cache.

use super::buffer::Buffer;
use super::extremes::largest;
use super::gemm::{MatrixRef, Over, multiply};
use super::simd::dispatch;
use super::sum::sum_lane;
use super::threads::for_each_piece_with;
use crate::element::Float;

/// Queries of a block, so that a causal one leaves out nearly half of the keys.
const QUERIES: usize = 32;
/// From this many multiplications on, heads are shared among threads.
const SHARED: usize = 1 << 20;

/// The operands of one head: queries, keys and values, and what is added to the scores.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a, T> {
    pub(crate) query: MatrixRef<'a, T>,
    pub(crate) key: MatrixRef<'a, T>,
    pub(crate) value: MatrixRef<'a, T>,
    pub(crate) mask: Option<MatrixRef<'a, T>>,
}

/// What all heads have in common.
#[derive(Clone, Copy)]
pub(crate) struct Attention<T> {
    /// Query `i` sees only keys up to `i`.
    pub(crate) causal: bool,
    pub(crate) scale: T,
}

impl<T: Float> Attention<T> {
    /// The blocks of queries: the first one, how many there are, and how many keys they can see.
    fn blocks(self, head: &Head<T>) -> impl Iterator<Item = (usize, usize, usize)> {
        let (queries, all) = (head.query.rows, head.key.rows);
        (0..queries).step_by(QUERIES).map(move |first| {
            let count = QUERIES.min(queries - first);
            (first, count, if self.causal { all.min(first + count) } else { all })
        })
    }

    /// Writes the softmax of the scores of `count` queries against the first `keys`; zeros where there is nothing to
    /// see.
    fn weights(self, head: &Head<T>, first: usize, count: usize, keys: usize, out: &mut [T]) {
        let query = head.query.of_rows(&(first..first + count));
        multiply(out, Over::Anything, self.scale, query, head.key.of_rows(&(0..keys)).t());
        if keys == 0 {
            return;
        }
        dispatch(
            #[inline(always)]
            || {
                for (row, scores) in (first..).zip(out.chunks_exact_mut(keys).take(count)) {
                    let seen = if self.causal { keys.min(row + 1) } else { keys };
                    let (scores, hidden) = scores.split_at_mut(seen);
                    hidden.fill(T::ZERO);
                    if let Some(mask) = head.mask {
                        let start = mask.offset.wrapping_add_signed(row as isize * mask.row_stride);
                        for (column, score) in scores.iter_mut().enumerate() {
                            *score +=
                                mask.data[start.wrapping_add_signed(column as isize * mask.column_stride)];
                        }
                    }
                    let shift = largest(scores);
                    if shift == -T::INFINITY {
                        scores.fill(T::ZERO);
                        continue;
                    }
                    for score in &mut *scores {
                        *score = (*score - shift).exp();
                    }
                    let scale = sum_lane(
                        scores,
                        #[inline(always)]
                        |x| x,
                    )
                    .reciprocal();
                    for score in scores {
                        *score *= scale;
                    }
                }
            },
        );
    }
}

fn work<T>(heads: &[Head<T>]) -> usize {
    heads.iter().map(|head| head.query.rows * head.key.rows * (head.query.columns + head.value.columns)).sum()
}

fn block_size<T>(head: &Head<T>) -> usize {
    QUERIES.min(head.query.rows) * head.key.rows
}

/// The values of the keys that each query sees, in the proportions of the softmax of their scores; one head, `queries`
/// by `width`, after another.
pub(crate) fn attention<T: Float>(
    heads: &[Head<T>],
    [queries, width]: [usize; 2],
    attention: Attention<T>,
) -> Buffer<T> {
    let size = queries * width;
    let mut out = Buffer::filled(heads.len() * size, T::ZERO);
    let data = out.get_mut().expect("nobody else has it");
    for_each_piece_with(heads.len(), work(heads) >= SHARED, [(data, size)], |number, [out]| {
        let head = &heads[number];
        let mut scratch = Buffer::filled(block_size(head), T::ZERO);
        let weights = scratch.get_mut().expect("nobody else has it");
        for (first, count, keys) in attention.blocks(head) {
            attention.weights(head, first, count, keys, weights);
            let weights = MatrixRef::row_major(&weights[..count * keys], count, keys);
            let out = &mut out[first * width..];
            multiply(out, Over::Anything, T::ONE, weights, head.value.of_rows(&(0..keys)));
        }
    });
    out
}

/// The gradients of [`attention`] with respect to queries, keys and values, from those of its results, `gradients`.
pub(crate) fn attention_gradient<T: Float>(
    heads: &[Head<T>],
    gradients: &[MatrixRef<T>],
    attention: Attention<T>,
) -> [Buffer<T>; 3] {
    let sizes = heads
        .first()
        .map_or([0; 3], |head| [head.query, head.key, head.value].map(|matrix| matrix.rows * matrix.columns));
    let mut buffers = sizes.map(|size| Buffer::filled(heads.len() * size, T::ZERO));
    let [dq, dk, dv] = buffers.each_mut().map(|buffer| buffer.get_mut().expect("nobody else has it"));
    let parts = [(dq, sizes[0]), (dk, sizes[1]), (dv, sizes[2])];
    for_each_piece_with(heads.len(), work(heads) >= SHARED, parts, |number, [dq, dk, dv]| {
        let (head, g) = (&heads[number], gradients[number]);
        let mut scratch = [block_size(head); 2].map(|size| Buffer::filled(size, T::ZERO));
        let [weights, slopes] =
            scratch.each_mut().map(|buffer| buffer.get_mut().expect("nobody else has it"));
        for (first, count, keys) in attention.blocks(head) {
            let rows = first..first + count;
            let (weights, slopes) = (&mut weights[..count * keys], &mut slopes[..count * keys]);
            attention.weights(head, first, count, keys, weights);
            let g = g.of_rows(&rows);
            multiply(slopes, Over::Anything, T::ONE, g, head.value.of_rows(&(0..keys)).t());
            multiply(dv, Over::Sum, T::ONE, MatrixRef::row_major(weights, count, keys).t(), g);
            softmax_gradient(weights, slopes, keys, attention.scale);
            let slopes = MatrixRef::row_major(slopes, count, keys);
            let dq = &mut dq[first * head.query.columns..];
            multiply(dq, Over::Anything, T::ONE, slopes, head.key.of_rows(&(0..keys)));
            multiply(dk, Over::Sum, T::ONE, slopes.t(), head.query.of_rows(&rows));
        }
    });
    buffers
}

/// Replaces the gradient of each row of weights by that of its scores, times `scale`.
fn softmax_gradient<T: Float>(weights: &mut [T], slopes: &mut [T], keys: usize, scale: T) {
    dispatch(
        #[inline(always)]
        || {
            for (weights, slopes) in
                weights.chunks_exact_mut(keys.max(1)).zip(slopes.chunks_exact_mut(keys.max(1)))
            {
                for (slope, &weight) in slopes.iter_mut().zip(&*weights) {
                    *slope *= weight;
                }
                let mean = sum_lane(
                    slopes,
                    #[inline(always)]
                    |x| x,
                );
                for (slope, &weight) in slopes.iter_mut().zip(&*weights) {
                    *slope = (*slope - weight * mean) * scale;
                }
            }
        },
    );
}
