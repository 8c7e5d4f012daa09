//! Attention, by blocks of queries whose scores stay in the cache.

use crate::element::Float;
use crate::kernels::matmul::{MatrixRef, Over, multiply};
use crate::kernels::reduce::extremes::largest;
use crate::runtime::Buffer;
use crate::runtime::dispatch;
use crate::runtime::for_each_piece_with;

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

/// The options that all heads share.
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

    /// Whether a query does not see a key, which then has no influence, whatever it and its value hold.
    fn hides(self, head: &Head<T>, query: usize, key: usize) -> bool {
        self.causal && key > query || head.mask.is_some_and(|mask| mask.at(query, key) == -T::INFINITY)
    }

    /// Writes the softmax of the scores of `count` queries against the first `keys`; 0 for a key that is hidden, and
    /// zeros where there is nothing to see.
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
                            let added =
                                mask.data[start.wrapping_add_signed(column as isize * mask.column_stride)];
                            *score = if added == -T::INFINITY { added } else { *score + added };
                        }
                    }
                    let shift = largest(scores);
                    // Among scores of minus infinity, NaN may have been passed over.
                    if shift == -T::INFINITY && !scores.iter().any(|score| score.is_nan()) {
                        scores.fill(T::ZERO);
                        continue;
                    }
                    for score in &mut *scores {
                        *score = (*score - shift).exp();
                    }
                    let sum = T::sum_row(scores);
                    if sum.is_nan() {
                        for (key, weight) in scores.iter_mut().enumerate() {
                            *weight = if self.hides(head, row, key) { T::ZERO } else { sum };
                        }
                        continue;
                    }
                    let scale = sum.reciprocal();
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
            let hides = &|row, key| attention.hides(head, first + row, key);
            let out = &mut out[first * width..];
            multiply_seen(out, Over::Anything, weights, head.value.of_rows(&(0..keys)), hides);
        }
    });
    out
}

/// The gradients of [`attention`] with respect to queries, keys and values, from the gradients of its results.
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
            let hides = &|row, key| attention.hides(head, first + row, key);
            let hides_back = &|key, row| hides(row, key);
            multiply_seen(dv, Over::Sum, MatrixRef::row_major(weights, count, keys).t(), g, hides_back);
            softmax_gradient(weights, slopes, keys, attention.scale, hides);
            let slopes = MatrixRef::row_major(slopes, count, keys);
            let dq = &mut dq[first * head.query.columns..];
            multiply_seen(dq, Over::Anything, slopes, head.key.of_rows(&(0..keys)), hides);
            multiply_seen(dk, Over::Sum, slopes.t(), head.query.of_rows(&rows), hides_back);
        }
    });
    buffers
}

/// Replaces the gradient of each row of weights by `scale` times the gradient of its scores: 0 for a hidden key.
fn softmax_gradient<T: Float>(
    weights: &[T],
    slopes: &mut [T],
    keys: usize,
    scale: T,
    hides: &dyn Fn(usize, usize) -> bool,
) {
    dispatch(
        #[inline(always)]
        || {
            let rows = weights.chunks_exact(keys.max(1)).zip(slopes.chunks_exact_mut(keys.max(1)));
            for (row, (weights, slopes)) in rows.enumerate() {
                for (slope, &weight) in slopes.iter_mut().zip(weights) {
                    // A key of weight 0 has no gradient, as in `softmax`.
                    *slope = slope.multiply_no_nan(weight);
                }
                let mut mean = T::sum_row(slopes);
                // A weight of 0 does not keep out infinities and NaN.
                let finite = mean.is_finite();
                if !finite {
                    // Whoever sees nothing has no weights, and no gradient.
                    let blind = weights.iter().all(|&weight| weight == T::ZERO);
                    clear(slopes, |key| blind || hides(row, key));
                    mean = T::sum_row(slopes);
                }
                for (slope, &weight) in slopes.iter_mut().zip(weights) {
                    *slope = (*slope - mean.multiply_no_nan(weight)) * scale;
                }
                if !finite {
                    clear(slopes, |key| hides(row, key));
                }
            }
        },
    );
}

fn clear<T: Float>(slopes: &mut [T], hidden: impl Fn(usize) -> bool) {
    for (key, slope) in slopes.iter_mut().enumerate() {
        if hidden(key) {
            *slope = T::ZERO;
        }
    }
}

/// Like [`multiply`], where the factors of pairs that are hidden from each other are 0, and stay without influence
/// beside infinities and NaN in `x`.
fn multiply_seen<T: Float>(
    out: &mut [T],
    over: Over,
    factors: MatrixRef<T>,
    x: MatrixRef<T>,
    hides: &dyn Fn(usize, usize) -> bool,
) {
    if over == Over::Anything {
        multiply(out, over, T::ONE, factors, x);
        // One element of `x` that is not finite makes its whole column so.
        if out[..x.columns].iter().all(|x| x.is_finite()) {
            return;
        }
    }
    if is_finite(x) {
        if over == Over::Sum {
            multiply(out, over, T::ONE, factors, x);
        }
        return;
    }
    let mut numbers = Buffer::filled(x.rows * x.columns, T::ZERO);
    let numbers = numbers.get_mut().expect("nobody else has it");
    for (place, number) in numbers.iter_mut().enumerate() {
        let x = x.at(place / x.columns, place % x.columns);
        *number = if x.is_finite() { x } else { T::ZERO };
    }
    multiply(out, over, T::ONE, factors, MatrixRef::row_major(numbers, x.rows, x.columns));
    for (i, column) in (0..numbers.len()).map(|place| (place / x.columns, place % x.columns)) {
        let x_here = x.at(i, column);
        for row in (0..factors.rows).filter(|&row| !x_here.is_finite() && !hides(row, i)) {
            out[row * x.columns + column] += factors.at(row, i) * x_here;
        }
    }
}

fn is_finite<T: Float>(x: MatrixRef<T>) -> bool {
    if x.column_stride != 1 || x.columns == 0 {
        return (0..x.rows).all(|row| (0..x.columns).all(|column| x.at(row, column).is_finite()));
    }
    dispatch(
        #[inline(always)]
        || {
            (0..x.rows).all(|row| {
                let start = x.offset.wrapping_add_signed(row as isize * x.row_stride);
                x.data[start..][..x.columns].iter().fold(true, |finite, x| finite & x.is_finite())
            })
        },
    )
}
