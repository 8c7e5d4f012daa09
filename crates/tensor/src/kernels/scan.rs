//! Running results along an axis: each from the one before it and its own element.
//!
//! A sum that takes one element after another would lose digits in proportion to the length. So what rounding leaves
//! out of a running sum or product runs along, and is added to each result (Neumaier, "Rundungsfehleranalyse einiger
//! Verfahren zur Summation endlicher Summen", 1974; Ogita, Rump and Oishi, "Accurate sum and dot product", 2005).

use super::buffer::Buffer;
use super::copy::copy;
use crate::element::Number;
use crate::range::{Product, headroom, is_finite, out_of_range, product_in_range};
use crate::tensor::Tensor;

/// The columns that are walked side by side: as long as their state stays in the cache.
const STRIP: usize = 1024;
/// The places after which a state is settled.
const SETTLED: usize = 16;

/// Walks an axis, given as the number of indices before, along and after it. Each lane has a state, the first element
/// and zero at first, which `step` makes from itself, an element and its place; `result` takes the place of the
/// element. From time to time `settle` makes it another one with the same result. Returns whether all states were
/// accepted in the end.
#[inline(always)]
fn walk<T: Number>(
    data: &mut [T],
    [_, size, inner]: [usize; 3],
    step: impl Fn([T; 2], T, usize) -> [T; 2],
    result: impl Fn([T; 2]) -> T,
    settle: impl Fn([T; 2]) -> [T; 2],
    accept: impl Fn([T; 2]) -> bool,
) -> bool {
    let mut accepted = true;
    if inner == 1 {
        // One lane after another, with the state in registers.
        for (number, lane) in data.chunks_exact_mut(size.max(1)).enumerate() {
            let mut state = [lane[0], T::ZERO];
            for (i, x) in lane.iter_mut().enumerate().skip(1) {
                state = step(state, *x, number * size + i);
                *x = result(state);
                if i % SETTLED == 0 {
                    state = settle(state);
                }
            }
            accepted &= accept(state);
        }
        return accepted;
    }
    let mut states = [[T::ZERO; STRIP]; 2];
    for (outer, block) in data.chunks_exact_mut((size * inner).max(1)).enumerate() {
        for first in (0..inner).step_by(STRIP) {
            let width = STRIP.min(inner - first);
            let [sums, rests] = &mut states;
            let (sums, rests) = (&mut sums[..width], &mut rests[..width]);
            sums.copy_from_slice(&block[first..][..width]);
            rests.fill(T::ZERO);
            for i in 1..size {
                let start = i * inner + first;
                let states = sums.iter_mut().zip(&mut *rests);
                for (k, (x, (sum, rest))) in block[start..][..width].iter_mut().zip(states).enumerate() {
                    let state = step([*sum, *rest], *x, outer * size * inner + start + k);
                    [*sum, *rest] = state;
                    *x = result(state);
                }
                if i % SETTLED == 0 {
                    for (sum, rest) in sums.iter_mut().zip(&mut *rests) {
                        [*sum, *rest] = settle([*sum, *rest]);
                    }
                }
            }
            accepted &= sums.iter().zip(&*rests).fold(true, |all, (&sum, &rest)| all & accept([sum, rest]));
        }
    }
    accepted
}

/// What rounding left out of `sum`, that of `a` and `b` (Knuth, "The Art of Computer Programming", volume 2, 1969); 0 of
/// a sum that is infinite or NaN.
#[inline(always)]
pub(super) fn error_of_sum<T: Number>(a: T, b: T, sum: T) -> T {
    let share = sum - a;
    finite_or_zero((a - (sum - share)) + (b - share))
}

/// The sum of two numbers, and what rounding left out of it: a rest that grows loses digits too.
#[inline(always)]
pub(super) fn settled<T: Number>([sum, rest]: [T; 2]) -> [T; 2] {
    let total = sum + rest;
    [total, error_of_sum(sum, rest, total)]
}

/// What rounding left out of `product`, that of `a` and `b` (Dekker, "A floating-point technique for extending the
/// available precision", 1971); 0 where that is out of range.
#[inline(always)]
fn error_of_product<T: Number>(a: T, b: T, product: T) -> T {
    let splitter = T::from_f64(if size_of::<T>() == 4 { 4097.0 } else { 134_217_729.0 });
    let split = |x: T| {
        let scaled = splitter * x;
        let high = scaled - (scaled - x);
        [high, x - high]
    };
    let ([a, a_low], [b, b_low]) = (split(a), split(b));
    finite_or_zero(((a * b - product) + a * b_low + a_low * b) + a_low * b_low)
}

#[inline(always)]
fn itself<T>(state: T) -> T {
    state
}

#[inline(always)]
fn finite_or_zero<T: Number>(x: T) -> T {
    if is_finite(x) { x } else { T::ZERO }
}

/// The sums of all elements up to each place.
pub(crate) fn running_sums<T: Number>(x: &Tensor<T>, spans: [usize; 3]) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    if T::INTEGER {
        walk(data, spans, |[sum, rest], x, _| [sum.wrapping_add(x), rest], |[sum, _]| sum, itself, |_| true);
    } else if !compensated_sums(data, spans) {
        // Where a partial sum was too large, the rest of its lane is computed from smaller numbers.
        let [down, up] = headroom::<T>();
        let mut scaled = copy(&x.map(|x| x * down));
        let scaled = scaled.get_mut().expect("nobody else has it");
        compensated_sums(scaled, spans);
        for (x, &scaled) in data.iter_mut().zip(&*scaled).filter(|(x, _)| !is_finite(**x)) {
            *x = scaled * up;
        }
    }
    results
}

/// Whether all were in range.
fn compensated_sums<T: Number>(data: &mut [T], spans: [usize; 3]) -> bool {
    walk(
        data,
        spans,
        #[inline(always)]
        |[sum, rest], x, _| {
            let next = sum + x;
            [next, rest + error_of_sum(sum, x, next)]
        },
        #[inline(always)]
        |[sum, rest]| sum + rest,
        settled,
        #[inline(always)]
        |[sum, _]| is_finite(sum),
    )
}

/// The products of all elements up to each place.
pub(crate) fn running_products<T: Number>(x: &Tensor<T>, spans: [usize; 3]) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    if T::INTEGER {
        walk(
            data,
            spans,
            |[product, rest], x, _| [product.wrapping_mul(x), rest],
            |[product, _]| product,
            itself,
            |_| true,
        );
        return results;
    }
    // The rest is not a number once a product is out of range, and from then on is left alone.
    let lost = T::from_f64(f64::NAN);
    let in_range = walk(
        data,
        spans,
        #[inline(always)]
        |[product, rest], x, _| {
            let next = product * x;
            let carried = rest * x + error_of_product(product, x, next);
            [next, if out_of_range(product, x, next) { lost } else { carried }]
        },
        #[inline(always)]
        |[product, rest]| if is_finite(rest) { product + rest } else { product },
        #[inline(always)]
        |[product, rest]| if is_finite(rest) { settled([product, rest]) } else { [product, rest] },
        #[inline(always)]
        |[_, rest]| is_finite(rest),
    );
    if !in_range {
        let [_, size, inner] = spans;
        let factors = copy(x);
        let blocks = factors.as_slice().chunks_exact((size * inner).max(1));
        for (block, factors) in data.chunks_exact_mut((size * inner).max(1)).zip(blocks) {
            for column in 0..inner {
                let lane = || factors[column..].iter().step_by(inner).copied();
                if !product_in_range(lane()) {
                    let mut product = Product::EMPTY;
                    for (result, x) in block[column..].iter_mut().step_by(inner).zip(lane()) {
                        product = product.times(x);
                        *result = product.value();
                    }
                }
            }
        }
    }
    results
}

/// Each element plus its factor times the result before it; the first factors are not read.
pub(crate) fn recurrence<T: Number>(x: &Tensor<T>, factors: &[T], spans: [usize; 3]) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    if T::INTEGER {
        walk(
            data,
            spans,
            |[y, rest], x, i| [x.wrapping_add(factors[i].wrapping_mul(y)), rest],
            |[y, _]| y,
            itself,
            |_| true,
        );
        return results;
    }
    walk(
        data,
        spans,
        #[inline(always)]
        |[y, rest], x, i| {
            let factor = factors[i];
            let product = factor * y;
            let next = product + x;
            let errors = error_of_product(factor, y, product) + error_of_sum(product, x, next);
            [next, finite_or_zero(factor * rest + errors)]
        },
        #[inline(always)]
        |[y, rest]| y + rest,
        settled,
        |_| true,
    );
    results
}
