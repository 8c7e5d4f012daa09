//! Sums, whose order of additions depends on the number of elements alone.
//!
//! The elements of a lane go in turn to [`WIDTH`] partial sums, [`BLOCK`] elements before these begin anew.
//! Blocks are joined by halves, as a binary counter adds: two sums over as many blocks each become one, and in
//! the end what is left, from the last (Higham, "The accuracy of floating point summation", 1993: errors grow
//! with the logarithm of the length). All that happens to each of the partial sums on its own; at last they
//! are joined themselves.
//!
//! There are two ways through one tree, with the same bits: along a lane, partial sums side by side in a vector,
//! and across rows that lie one after another, as many lanes side by side as rows are long.

#![allow(unsafe_code, reason = "places of a stack that are not initialised; see SAFETY")]

use std::hint::black_box;
use std::mem::MaybeUninit;

use crate::element::{Float, Number};
use crate::kernels::range::{headroom, is_finite};
use crate::kernels::reduce::columns::{sum_across, sum_across_in};
use crate::kernels::reduce::{Reduction, Rows};
use crate::runtime::Buffer;
use crate::runtime::dispatch;
use crate::runtime::for_each_part;

/// The partial sums: a vector of `f32` in AVX-512.
pub(super) const WIDTH: usize = 16;
/// The elements between whose sums the tree branches.
pub(super) const BLOCK: usize = 8 * WIDTH;
/// A subtree that is a page of `f32`, the memory's own unit.
const UNIT: usize = 8 * BLOCK;
/// A subtree that a thread takes at once. A power of two times `UNIT`, as what is joined must be subtrees.
const CHUNK: usize = 256 * UNIT;

/// The places of a chunk that are read in turn: so several pages are on their way from the memory at once.
const PLACES: usize = 4;

/// The sum of `each` of the elements, divided by a number; 1 for the sum itself.
///
/// A result that is not finite is computed again from smaller numbers: perhaps only a partial sum was too large, or
/// the mean is in range and the sum is not.
pub(crate) struct Sum<T, E> {
    pub(crate) each: E,
    pub(crate) divisor: T,
}

/// The term that each element adds.
pub(crate) trait Term<T>: Fn(T) -> T + Copy + Sync {}
impl<T, E: Fn(T) -> T + Copy + Sync> Term<T> for E {}

/// The element itself.
#[inline(always)]
pub(crate) fn itself<T>(x: T) -> T {
    x
}

/// The square of the distance from a number.
#[inline(always)]
pub(crate) fn square_from<T: Float>(origin: T) -> impl Term<T> {
    #[inline(always)]
    move |x: T| (x - origin).square()
}

impl<T: Number, E: Term<T>> Reduction<T> for Sum<T, E> {
    type Output = T;
    const ACROSS: bool = true;
    const WIDE: bool = true;

    #[inline(always)]
    fn lane(&self, lane: &[T]) -> T {
        let result = self.finish(sum_lane(lane, self.each));
        if is_finite(result) { result } else { self.with_headroom(lane) }
    }

    #[inline(always)]
    fn across(&self, rows: Rows<'_, T>, out: &mut [MaybeUninit<T>]) {
        self.finish_all(rows, sum_across(rows, out, self.each));
    }
}

impl<T: Number, E: Term<T>> Sum<T, E> {
    /// [`across`](Reduction::across) with memory for the stack, of [`stack_size`](super::stack_size) elements.
    #[inline(always)]
    pub(crate) fn across_in(&self, rows: Rows<'_, T>, out: &mut [MaybeUninit<T>], stack: &mut [T]) {
        self.finish_all(rows, sum_across_in(rows, out, self.each, stack));
    }

    #[inline(always)]
    fn finish_all(&self, rows: Rows<'_, T>, results: &mut [T]) {
        let mut all = true;
        for result in results.iter_mut() {
            *result = self.finish(*result);
            all &= is_finite(*result);
        }
        if all {
            return;
        }
        let columns = results.len();
        for (column, result) in results.iter_mut().enumerate() {
            if !is_finite(*result) {
                *result = self.with_headroom(&rows.column(column, columns));
            }
        }
    }

    #[inline(always)]
    fn finish(&self, sum: T) -> T {
        if self.divisor == T::ONE { sum } else { sum / self.divisor }
    }

    #[cold]
    #[inline(never)]
    fn with_headroom(&self, lane: &[T]) -> T {
        let [down, up] = headroom::<T>();
        let lower: Vec<T> = lane.iter().map(|&x| (self.each)(x) * down).collect();
        self.finish(T::sum_row(&lower)) * up
    }
}

/// The sum of a row, for kernels that need it on their way.
pub(crate) fn sum_row<T: Number>(row: &[T]) -> T {
    sum_lane(row, itself)
}

/// The sum of the squares of the distances of a row's elements from a number.
pub(crate) fn sum_row_squares<T: Float>(row: &[T], origin: T) -> T {
    sum_lane(row, square_from(origin))
}

/// The partial sums of a lane or of a subtree of it.
pub(crate) type Partial<T> = [T; WIDTH];

/// The partial sums of at most a chunk of a lane.
#[inline(always)]
pub(crate) fn partial_sums<T: Number>(part: &[T]) -> Partial<T> {
    if part.len() <= BLOCK { sum_block(part, itself) } else { sum_chunk(part, itself) }
}

/// The partial sums of a lane whose parts have these, in order; all parts but the last are of one size, a power of two
/// times [`BLOCK`].
pub(crate) fn join_partial_sums<T: Number>(parts: &mut [Partial<T>]) -> Partial<T> {
    // In place: the stack is never deeper than the number of parts summed.
    tree(parts.len(), |step| match step {
        Step::Sum(part, place) => parts[place] = parts[part],
        Step::Join(place) => parts[place] = join(parts[place], parts[place + 1]),
    });
    parts[0]
}

/// The sum of partial sums.
pub(crate) fn sum_of_partial_sums<T: Number>(sums: Partial<T>) -> T {
    join_all(sums)
}

/// One step of the way from blocks to their tree; sums wait on a stack.
pub(super) enum Step {
    /// Sum the block of this number to this place of the stack.
    Sum(usize, usize),
    /// Add the place behind this one to it.
    Join(usize),
}

/// The tree over this number of blocks.
#[inline(always)]
pub(super) fn tree(blocks: usize, mut step: impl FnMut(Step)) {
    let mut top = 0;
    for block in 0..blocks {
        step(Step::Sum(block, top));
        // Each carry of the counter.
        for _ in 0..block.trailing_ones() {
            top -= 1;
            step(Step::Join(top));
        }
        top += 1;
    }
    for place in (1..top).rev() {
        step(Step::Join(place - 1));
    }
}

/// The places that a tree over this number of blocks needs.
#[inline(always)]
pub(super) const fn depth(blocks: usize) -> usize {
    (usize::BITS - blocks.leading_zeros()) as usize
}

#[inline(always)]
fn join<T: Number>(a: Partial<T>, b: Partial<T>) -> Partial<T> {
    let mut sums = a;
    for k in 0..WIDTH {
        sums[k] = sums[k].wrapping_add(b[k]);
    }
    sums
}

/// The partial sums of at most a block.
#[inline(always)]
fn sum_block<T: Number>(block: &[T], f: impl Term<T>) -> Partial<T> {
    let mut sums = [T::ZERO; WIDTH];
    let (vectors, tail) = block.as_chunks::<WIDTH>();
    for vector in vectors {
        for k in 0..WIDTH {
            sums[k] = sums[k].wrapping_add(f(vector[k]));
        }
    }
    for (sum, &x) in sums.iter_mut().zip(tail) {
        *sum = sum.wrapping_add(f(x));
    }
    sums
}

/// The partial sums of a unit, which is read in order.
#[inline(always)]
fn sum_unit<T: Number>(unit: &[T; UNIT], f: impl Term<T>) -> Partial<T> {
    // Four blocks in registers: more of them would be read in an order that the memory is slow at.
    let mut halves = [[T::ZERO; WIDTH]; 2];
    for (half, sums) in halves.iter_mut().enumerate() {
        let block = |number: usize| sum_block(&unit[half * UNIT / 2 + number * BLOCK..][..BLOCK], f);
        *sums = join(join(block(0), block(1)), join(block(2), block(3)));
    }
    join(halves[0], halves[1])
}

/// The partial sums of at most a unit.
#[inline(always)]
fn sum_blocks<T: Number>(lane: &[T], f: impl Term<T>) -> Partial<T> {
    let (front, back) = lane.split_at(lane.len().min(UNIT / 2));
    join(sum_half(front, f), sum_half(back, f))
}

/// The partial sums of at most half a unit.
#[inline(always)]
fn sum_half<T: Number>(half: &[T], f: impl Term<T>) -> Partial<T> {
    let (whole, tail) = half.as_chunks::<BLOCK>();
    // A block that is not there is zeros, which change no bit of sums that began at zero; of a whole half, that is the tail.
    let mut sums = [[T::ZERO; WIDTH]; UNIT / BLOCK / 2 + 1];
    for (k, block) in whole.iter().enumerate() {
        sums[k] = sum_block(block, f);
    }
    sums[whole.len()] = sum_block(tail, f);
    join(join(sums[0], sums[1]), join(sums[2], sums[3]))
}

/// The partial sums of at most a chunk.
fn sum_chunk<T: Number>(chunk: &[T], f: impl Term<T>) -> Partial<T> {
    dispatch(
        #[inline(always)]
        || sums_of_chunk(chunk, f),
    )
}

/// The sum of at most a chunk: the partial sums, too, are joined in registers.
fn join_chunk<T: Number>(chunk: &[T], f: impl Term<T>) -> T {
    dispatch(
        #[inline(always)]
        || join_all(sums_of_chunk(chunk, f)),
    )
}

#[inline(always)]
fn sums_of_chunk<T: Number>(chunk: &[T], f: impl Term<T>) -> Partial<T> {
    let (units, rest) = chunk.as_chunks::<UNIT>();
    if units.is_empty() {
        return sum_blocks(rest, f);
    }
    // The places of a whole chunk take turns; each has a stack of its own.
    let places = if chunk.len() == CHUNK { PLACES } else { 1 };
    let of_place = units.len() / places;
    let mut stack = [MaybeUninit::<Partial<T>>::uninit(); PLACES * depth(CHUNK / UNIT / PLACES)];
    // SAFETY: a tree joins and leaves only what it has summed.
    let at = |stack: &[MaybeUninit<Partial<T>>], k: usize| unsafe { stack[k].assume_init() };
    // The rest, shorter than a unit, comes last.
    let count = of_place + usize::from(!rest.is_empty());
    tree(
        count,
        #[inline(always)]
        |step| match step {
            Step::Sum(number, top) if number == of_place => {
                stack[top].write(sum_blocks(rest, f));
            }
            Step::Sum(number, top) => {
                for k in 0..places {
                    stack[top * places + k].write(sum_unit(&units[k * of_place + number], f));
                }
            }
            Step::Join(top) => {
                for k in top * places..(top + 1) * places {
                    stack[k].write(join(at(&stack, k), at(&stack, k + places)));
                }
            }
        },
    );
    let sums = |k| at(&stack, k);
    if places == 1 { sums(0) } else { join(join(sums(0), sums(1)), join(sums(2), sums(3))) }
}

/// The sum of `f` of the elements of a lane.
#[inline(always)]
fn sum_lane<T: Number>(lane: &[T], f: impl Term<T>) -> T {
    macro_rules! short {
        ($($length:literal)*) => {
            match lane.len() {
                $($length => return sum_short::<T, $length>(lane, f),)*
                _ => {}
            }
        };
    }
    short! { 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 }
    if lane.len() <= BLOCK {
        // Through memory, where partial sums lie side by side: otherwise LLVM makes vectors of two in the loop, as two are
        // added in the end.
        join_all(black_box(sum_block(lane, f)))
    } else if lane.len() <= CHUNK {
        join_chunk(lane, f)
    } else {
        join_all(sum_long(lane, f))
    }
}

/// The sum of a lane that has no more elements than there are partial sums.
#[inline(always)]
fn sum_short<T: Number, const LENGTH: usize>(lane: &[T], f: impl Term<T>) -> T {
    let lane: &[T; LENGTH] = lane.first_chunk().expect("a lane of this length");
    // What began as zero is never -0.
    join_all(lane.map(f)).wrapping_add(T::ZERO)
}

/// The sum of the partial sums, of which those at the end may be missing.
#[inline(always)]
fn join_all<T: Number, const COUNT: usize>(sums: [T; COUNT]) -> T {
    let mut sums = sums;
    let mut half = WIDTH / 2;
    while half > 0 {
        for k in 0..half.min(COUNT.saturating_sub(half)) {
            sums[k] = sums[k].wrapping_add(sums[k + half]);
        }
        half /= 2;
    }
    sums[0]
}

/// The partial sums of a lane of several chunks, which threads share.
#[cold]
#[inline(never)]
fn sum_long<T: Number>(lane: &[T], f: impl Term<T>) -> Partial<T> {
    let chunks = lane.len().div_ceil(CHUNK);
    let mut partials = Buffer::filled(chunks * WIDTH, T::ZERO);
    let partials = partials.get_mut().expect("nobody else has it");
    for_each_part(partials, WIDTH, |start, out| {
        let first = start / WIDTH * CHUNK;
        out.copy_from_slice(&sum_chunk(&lane[first..lane.len().min(first + CHUNK)], f));
    });
    join_partial_sums(partials.as_chunks_mut::<WIDTH>().0)
}
