//! Running results along an axis: each from the one before it and its own element.
//!
//! A sum that takes one element after another loses digits in proportion to the length. So the rounding error of a
//! running sum or product runs along, and is added to each result (Ogita, Rump and Oishi, "Accurate sum and dot product",
//! 2005). Products and recurrences of a type narrower than `f64` run in `f64`, which has digits to spare for them.

use std::array::from_fn;
use std::ops::Range;

use crate::element::Number;
use crate::kernels::copy::copy;
use crate::kernels::elementwise::map;
use crate::kernels::range::{Product, headroom, is_finite, product_in_range};
use crate::layout::Strided;
use crate::runtime::Buffer;
use crate::runtime::dispatch;

/// The columns that are walked side by side: as long as their states stay in the cache.
const STRIP: usize = 1024;
/// The columns whose states are in registers at once.
const WIDTH: usize = 16;
/// The places after which a state is settled.
const SETTLED: usize = 8;

/// A running result: the state of a lane is `N` numbers.
trait Scan<T: Number, const N: usize> {
    /// The numbers of a state.
    type State: Number;
    /// A number that goes with each element, if any.
    type Other: Copy;
    /// The state after the first element of a lane.
    fn start(x: T) -> [Self::State; N];
    /// The state after one more element.
    fn step(state: [Self::State; N], x: T, other: Self::Other) -> [Self::State; N];
    /// Another state with the same result, made every [`SETTLED`] places.
    #[inline(always)]
    fn settle(state: [Self::State; N]) -> [Self::State; N] {
        state
    }
    /// The number that takes the place of the element.
    fn result(state: [Self::State; N]) -> T;
    /// Whether no state so far was out of range.
    fn in_range(state: [Self::State; N]) -> bool;
}

/// Running sums: the sum, its rounding error, and the sum of the last few elements.
struct Sums;

impl<T: Number> Scan<T, 3> for Sums {
    type State = T;
    type Other = ();
    #[inline(always)]
    fn start(x: T) -> [T; 3] {
        [x, T::ZERO, T::ZERO]
    }
    #[inline(always)]
    fn step([sum, error, few]: [T; 3], x: T, (): ()) -> [T; 3] {
        if T::INTEGER { [sum.wrapping_add(x), error, few] } else { [sum, error, few + x] }
    }
    #[inline(always)]
    fn settle([sum, error, few]: [T; 3]) -> [T; 3] {
        if T::INTEGER {
            return [sum, error, few];
        }
        let next = sum + few;
        [next, error + error_of_sum(sum, few, next), T::ZERO]
    }
    #[inline(always)]
    fn result([sum, error, few]: [T; 3]) -> T {
        if T::INTEGER { sum } else { sum + (error + few) }
    }
    #[inline(always)]
    fn in_range(state: [T; 3]) -> bool {
        is_finite::<T>(Self::result(state))
    }
}

/// The sums of all elements up to each place.
pub(crate) fn running_sums<T: Number>(x: Strided<'_, T>, spans: [usize; 3]) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    let nothing = vec![(); data.len()];
    if !walk::<T, Sums, 3>(data, &nothing, spans) {
        // Where a partial sum was too large, results are computed from smaller numbers. The error of an infinite sum
        // is not a number: these are added at last.
        let [down, up] = headroom::<T>();
        let mut scaled = map(x, |x| x * down);
        let scaled = scaled.get_mut().expect("nobody else has it");
        walk::<T, Sums, 3>(scaled, &nothing, spans);
        for (x, &scaled) in data.iter_mut().zip(&*scaled).filter(|(x, _)| !is_finite(**x)) {
            *x = scaled * up;
        }
        let elements = copy(x);
        mend(data, spans, |before, i| before + elements.as_slice()[i]);
    }
    results
}

/// Running products of floats: the product, its rounding error, and the smallest magnitude of a product so far.
struct FloatProducts;

impl<T: Number> Scan<T, 3> for FloatProducts {
    type State = f64;
    type Other = ();
    #[inline(always)]
    fn start(x: T) -> [f64; 3] {
        [x.to_f64(), 0.0, f64::INFINITY]
    }
    #[inline(always)]
    fn step([product, error, smallest]: [f64; 3], x: T, (): ()) -> [f64; 3] {
        let x = x.to_f64();
        let next = product * x;
        let error = if is_narrow::<T>() { 0.0 } else { error.mul_add(x, product.mul_add(x, -next)) };
        [next, error, if next.abs() < smallest { next.abs() } else { smallest }]
    }
    #[inline(always)]
    fn result([product, error, _]: [f64; 3]) -> T {
        T::from_f64(if is_narrow::<T>() { product } else { product + error })
    }
    #[inline(always)]
    fn in_range([product, error, smallest]: [f64; 3]) -> bool {
        // So that rounding errors are in range too.
        is_finite(product + error) && (smallest >= f64::MIN_POSITIVE / f64::EPSILON)
    }
}

/// Running products of integers.
struct IntegerProducts;

impl<T: Number> Scan<T, 1> for IntegerProducts {
    type State = T;
    type Other = ();
    #[inline(always)]
    fn start(x: T) -> [T; 1] {
        [x]
    }
    #[inline(always)]
    fn step([product]: [T; 1], x: T, (): ()) -> [T; 1] {
        [product.wrapping_mul(x)]
    }
    #[inline(always)]
    fn result([product]: [T; 1]) -> T {
        product
    }
    #[inline(always)]
    fn in_range(_: [T; 1]) -> bool {
        true
    }
}

/// The products of all elements up to each place.
pub(crate) fn running_products<T: Number>(x: Strided<'_, T>, spans: [usize; 3]) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    let nothing = vec![(); data.len()];
    if T::INTEGER {
        walk::<T, IntegerProducts, 1>(data, &nothing, spans);
    } else if !walk::<T, FloatProducts, 3>(data, &nothing, spans) {
        let [_, size, inner] = spans;
        let factors = copy(x);
        let blocks = factors.as_slice().chunks_exact((size * inner).max(1));
        for (block, factors) in data.chunks_exact_mut((size * inner).max(1)).zip(blocks) {
            for column in 0..inner {
                let lane = || factors[column..].iter().step_by(inner).copied();
                if !product_in_range(lane().map(Number::to_f64)) {
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

/// Each element plus its factor times the result before it, for floats: the result and its rounding error.
struct FloatRecurrence;

impl<T: Number> Scan<T, 2> for FloatRecurrence {
    type State = f64;
    type Other = T;
    #[inline(always)]
    fn start(x: T) -> [f64; 2] {
        [x.to_f64(), 0.0]
    }
    #[inline(always)]
    fn step([y, error]: [f64; 2], x: T, factor: T) -> [f64; 2] {
        let (x, factor) = (x.to_f64(), factor.to_f64());
        let product = factor * y;
        let next = product + x;
        if is_narrow::<T>() {
            return [next, 0.0];
        }
        let errors = factor.mul_add(y, -product) + error_of_sum(product, x, next);
        [next, factor.mul_add(error, errors)]
    }
    #[inline(always)]
    fn result([y, error]: [f64; 2]) -> T {
        T::from_f64(if is_narrow::<T>() { y } else { y + error })
    }
    #[inline(always)]
    fn in_range([y, error]: [f64; 2]) -> bool {
        is_finite(y + error)
    }
}

/// The same for integers.
struct IntegerRecurrence;

impl<T: Number> Scan<T, 1> for IntegerRecurrence {
    type State = T;
    type Other = T;
    #[inline(always)]
    fn start(x: T) -> [T; 1] {
        [x]
    }
    #[inline(always)]
    fn step([y]: [T; 1], x: T, factor: T) -> [T; 1] {
        [x.wrapping_add(factor.wrapping_mul(y))]
    }
    #[inline(always)]
    fn result([y]: [T; 1]) -> T {
        y
    }
    #[inline(always)]
    fn in_range(_: [T; 1]) -> bool {
        true
    }
}

/// Each element plus its factor times the result before it; the first factors are not read.
pub(crate) fn recurrence<T: Number>(x: Strided<'_, T>, factors: &[T], spans: [usize; 3]) -> Buffer<T> {
    let mut results = copy(x);
    let data = results.get_mut().expect("nobody else has it");
    if T::INTEGER {
        walk::<T, IntegerRecurrence, 1>(data, factors, spans);
    } else if !walk::<T, FloatRecurrence, 2>(data, factors, spans) {
        // The error of an infinite result is not a number.
        let elements = copy(x);
        mend(data, spans, |before, i| factors[i] * before + elements.as_slice()[i]);
    }
    results
}

/// Whether the rounding errors of `f64` are beyond the digits of this type.
const fn is_narrow<T>() -> bool {
    size_of::<T>() < size_of::<f64>()
}

/// The rounding error of `sum`, the sum of `a` and `b` (Knuth, "The Art of Computer Programming", volume 2, 1969).
#[inline(always)]
pub(crate) fn error_of_sum<T: Number>(a: T, b: T, sum: T) -> T {
    let share = sum - a;
    (a - (sum - share)) + (b - share)
}

/// Replaces each result that is not finite by `plain` of the one before it and its place.
#[cold]
fn mend<T: Number>(data: &mut [T], [_, size, inner]: [usize; 3], plain: impl Fn(T, usize) -> T) {
    for i in 0..data.len() {
        if i / inner % size > 0 && !is_finite(data[i]) {
            data[i] = plain(data[i - inner], i);
        }
    }
}

/// States of `W` columns side by side.
type States<S, const N: usize, const W: usize> = [[S; W]; N];

/// Puts results in the place of the elements, along an axis that is given as the number of indices before, along and
/// after it. Returns whether all states were in range.
fn walk<T: Number, S: Scan<T, N>, const N: usize>(
    data: &mut [T],
    others: &[S::Other],
    [_, size, inner]: [usize; 3],
) -> bool {
    let length = (size * inner).max(1);
    let blocks = data.chunks_exact_mut(length).zip(others.chunks_exact(length));
    dispatch(
        #[inline(always)]
        || {
            let mut in_range = true;
            for (block, others) in blocks {
                if inner == 1 {
                    let mut states = start::<T, S, N, 1>(block, 0);
                    advance::<T, S, N, 1>(&mut states, block, others, 1..block.len(), [1, 0]);
                    in_range &= S::in_range(states.map(|[state]| state));
                    continue;
                }
                for first in (0..inner).step_by(STRIP) {
                    let columns = first..inner.min(first + STRIP);
                    in_range &= walk_strip::<T, S, N>(block, others, [size, inner], columns);
                }
            }
            in_range
        },
    )
}

/// A few rows at a time, so that they are read from the cache however many columns there are.
#[inline(always)]
fn walk_strip<T: Number, S: Scan<T, N>, const N: usize>(
    block: &mut [T],
    others: &[S::Other],
    [size, inner]: [usize; 2],
    columns: Range<usize>,
) -> bool {
    let mut wide = [[[S::State::ZERO; WIDTH]; N]; STRIP / WIDTH];
    let mut single = [[[S::State::ZERO; 1]; N]; WIDTH];
    let (wide, single) = (&mut wide[..columns.len() / WIDTH], &mut single[..columns.len() % WIDTH]);
    let (wide_columns, single_columns) =
        (columns.clone().step_by(WIDTH), columns.end - single.len()..columns.end);
    for (states, column) in wide.iter_mut().zip(wide_columns.clone()) {
        *states = start::<T, S, N, WIDTH>(block, column);
    }
    for (states, column) in single.iter_mut().zip(single_columns.clone()) {
        *states = start::<T, S, N, 1>(block, column);
    }
    for row in (1..size).step_by(SETTLED) {
        let rows = row..size.min(row + SETTLED);
        for (states, column) in wide.iter_mut().zip(wide_columns.clone()) {
            advance::<T, S, N, WIDTH>(states, block, others, rows.clone(), [inner, column]);
        }
        for (states, column) in single.iter_mut().zip(single_columns.clone()) {
            advance::<T, S, N, 1>(states, block, others, rows.clone(), [inner, column]);
        }
    }
    wide.iter().all(|states| (0..WIDTH).all(|k| S::in_range(from_fn(|n| states[n][k]))))
        && single.iter().all(|states| S::in_range(from_fn(|n| states[n][0])))
}

/// The states after the first row of columns.
#[inline(always)]
fn start<T: Number, S: Scan<T, N>, const N: usize, const W: usize>(
    block: &[T],
    column: usize,
) -> States<S::State, N, W> {
    let mut states = [[S::State::ZERO; W]; N];
    for (k, &x) in block[column..][..W].iter().enumerate() {
        let state = S::start(x);
        (0..N).for_each(|n| states[n][k] = state[n]);
    }
    states
}

/// Walks rows of columns.
#[inline(always)]
fn advance<T: Number, S: Scan<T, N>, const N: usize, const W: usize>(
    states: &mut States<S::State, N, W>,
    block: &mut [T],
    others: &[S::Other],
    rows: Range<usize>,
    [inner, column]: [usize; 2],
) {
    // A copy, which is in registers.
    let mut all = *states;
    let places = rows.start * inner..rows.end * inner;
    let elements = block[places.clone()].chunks_exact_mut(inner);
    let others = others[places].chunks_exact(inner);
    for (row, (elements, others)) in rows.zip(elements.zip(others)) {
        let elements: &mut [T; W] = elements[column..].first_chunk_mut().expect("as wide as the states");
        let others: [S::Other; W] = *others[column..].first_chunk().expect("one for each element");
        for k in 0..W {
            let state = S::step(from_fn(|n| all[n][k]), elements[k], others[k]);
            (0..N).for_each(|n| all[n][k] = state[n]);
            elements[k] = S::result(state);
        }
        if row % SETTLED == 0 {
            (0..W).for_each(|k| {
                let state = S::settle(from_fn(|n| all[n][k]));
                (0..N).for_each(|n| all[n][k] = state[n]);
            });
        }
    }
    *states = all;
}
