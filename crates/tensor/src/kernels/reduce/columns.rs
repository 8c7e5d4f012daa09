//! Sums of columns: the tree of [`sum`](super::sum), as many lanes side by side as rows are long.

use std::array::from_fn;
use std::mem::MaybeUninit;

use super::sum::{BLOCK, Step, Term, WIDTH, depth, itself, tree};
use super::{Rows, write_all};
use crate::element::Number;
use crate::runtime::Buffer;

/// The rows of a block that go to one partial sum, and are added to it at once.
const STREAMS: usize = BLOCK / WIDTH;

/// The elements that [`sum_across_in`] needs for its stack.
pub(crate) fn stack_size(rows: usize, columns: usize) -> usize {
    depth(rows.div_ceil(BLOCK)) * WIDTH.min(rows) * columns
}

/// The sums of `each` of the elements of columns.
#[inline(always)]
pub(super) fn sum_across<'a, T: Number>(
    rows: Rows<'_, T>,
    out: &'a mut [MaybeUninit<T>],
    each: impl Term<T>,
) -> &'a mut [T] {
    let mut stack = Buffer::filled(stack_size(rows.count, out.len()), T::ZERO);
    sum_across_in(rows, out, each, stack.get_mut().expect("nobody else has it"))
}

/// [`sum_across`] with memory for its stack.
#[inline(always)]
pub(super) fn sum_across_in<'a, T: Number>(
    rows: Rows<'_, T>,
    out: &'a mut [MaybeUninit<T>],
    each: impl Term<T>,
    stack: &mut [T],
) -> &'a mut [T] {
    let columns = out.len();
    let (blocks, level) = (rows.count.div_ceil(BLOCK), WIDTH.min(rows.count) * columns);
    tree(
        blocks,
        #[inline(always)]
        |step| match step {
            Step::Sum(block, place) => {
                let block = rows.part(block * BLOCK, BLOCK);
                sum_block_across(block, columns, &mut stack[place * level..][..level], each);
            }
            Step::Join(place) => {
                let (sums, others) = stack[place * level..].split_at_mut(level);
                add(sums, others, itself);
            }
        },
    );
    // With fewer rows than partial sums, the others are zeros: adding those changes no bit of a sum that began
    // at zero.
    let sums = &mut stack[..level];
    let mut half = WIDTH / 2;
    while half > 0 {
        let (sums, others) = sums.split_at_mut(level.min(half * columns));
        add(sums, others, itself);
        half /= 2;
    }
    write_all(out, stack[..columns].iter().copied())
}

/// Adds `each` of the others to the sum in its place, as far as both go.
#[inline(always)]
fn add<T: Number>(sums: &mut [T], others: &[T], each: impl Term<T>) {
    for (sum, &x) in sums.iter_mut().zip(others) {
        *sum = sum.wrapping_add(each(x));
    }
}

/// The partial sums of at most a block of rows, each after the other.
#[inline(always)]
fn sum_block_across<T: Number>(rows: Rows<'_, T>, columns: usize, sums: &mut [T], each: impl Term<T>) {
    // Without gaps, `WIDTH` rows are one long row.
    let joined = rows.stride == columns as isize;
    let length = if joined { sums.len() } else { columns };
    for (k, sums) in sums.chunks_exact_mut(length).enumerate() {
        let count = rows.count.saturating_sub(k).div_ceil(WIDTH);
        sum_streams(
            count,
            #[inline(always)]
            |number| {
                let row = k + number * WIDTH;
                rows.row(row, if joined { length.min((rows.count - row) * columns) } else { length })
            },
            sums,
            each,
        );
    }
}

/// The sums of `each` of the elements at the same place of vectors, of which the last may be shorter.
#[inline(always)]
fn sum_streams<'a, T: Number>(
    count: usize,
    vector: impl Fn(usize) -> &'a [T],
    sums: &mut [T],
    each: impl Term<T>,
) {
    let length = sums.len();
    if count == STREAMS && vector(STREAMS - 1).len() == length {
        // At once, as sums in memory would be read and written each time.
        let all: [&[T]; STREAMS] = from_fn(|number| &vector(number)[..length]);
        for (j, sum) in sums.iter_mut().enumerate() {
            let mut total = T::ZERO;
            for vector in all {
                total = total.wrapping_add(each(vector[j]));
            }
            *sum = total;
        }
        return;
    }
    let first = if count == 0 { &[] } else { vector(0) };
    let (begun, missing) = sums.split_at_mut(first.len());
    for (sum, &x) in begun.iter_mut().zip(first) {
        *sum = T::ZERO.wrapping_add(each(x));
    }
    missing.fill(T::ZERO);
    for number in 1..count {
        add(sums, vector(number), each);
    }
}
