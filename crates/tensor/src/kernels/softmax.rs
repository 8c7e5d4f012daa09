//! Functions of whole rows, each read and written while it is in the first-level cache.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::mem::MaybeUninit;

use smallvec::SmallVec;

use crate::element::Float;
use crate::kernels::parts::{PART, SHARED, fill};
use crate::kernels::reduce::extremes::largest;
use crate::kernels::reduce::{Reduction, Rows, reduce, write_all, write_long};
use crate::layout::Strided;
use crate::runtime::Buffer;

/// The results of `row(number, x, out)` for each row of `length` elements.
///
/// # Safety
/// `row` must write every element it is given.
#[inline(always)]
pub(crate) unsafe fn for_each_row<T: Float>(
    x: &[T],
    length: usize,
    row: impl Fn(usize, &[T], &mut [MaybeUninit<T>]) + Sync,
) -> Buffer<T> {
    // SAFETY: the caller's promise.
    unsafe { for_each_block(x, length, 1, row) }
}

/// The results of `block(number of its first row, x, out)` for each block of `rows` rows of `length` elements; the last one
/// may have fewer.
///
/// # Safety
/// `block` must write every element it is given.
#[inline(always)]
unsafe fn for_each_block<T: Float>(
    x: &[T],
    length: usize,
    rows: usize,
    block: impl Fn(usize, &[T], &mut [MaybeUninit<T>]) + Sync,
) -> Buffer<T> {
    let length = length.max(1);
    let part = if x.len() < SHARED { x.len() } else { (PART / length).max(1) * length };
    // SAFETY: parts are whole rows, all of which `block` writes.
    unsafe {
        fill(
            x.len(),
            part,
            #[inline(always)]
            |start, out| {
                let x = x[start..start + out.len()].chunks(rows * length);
                for (i, (x, out)) in x.zip(out.chunks_mut(rows * length)).enumerate() {
                    block(start / length + i * rows, x, out);
                }
            },
        )
    }
}

/// The most elements of short rows whose powers are taken at once: a single row would leave most of a vector empty.
const BLOCK: usize = 512;
/// The most rows of a block.
const ROWS: usize = 32;

/// The number of rows of this length that are taken at once.
fn rows_at_once(length: usize) -> usize {
    (BLOCK / length.max(1)).clamp(1, ROWS)
}

/// For each row of a block its largest element, and the sum of e^(x - largest).
struct Block<T> {
    shifts: [T; ROWS],
    sums: [T; ROWS],
}

impl<T: Float> Block<T> {
    /// Writes e^(x - shift) for rows of `length` elements, where the shift is the largest element of the row; returns what is
    /// written.
    #[inline(always)]
    fn write_powers<'a>(x: &[T], length: usize, out: &'a mut [MaybeUninit<T>]) -> (Self, &'a mut [T]) {
        let mut block = Self { shifts: [T::ZERO; ROWS], sums: [T::ZERO; ROWS] };
        let length = length.max(1);
        for (shift, x) in block.shifts.iter_mut().zip(x.chunks_exact(length)) {
            *shift = largest(x);
        }
        let powers = if x.len() == length {
            let shift = block.shifts[0];
            write_long(out, x.iter().map(|&x| (x - shift).exp()))
        } else {
            let out = write_all(out, x.iter().copied());
            for (x, &shift) in out.chunks_exact_mut(length).zip(&block.shifts) {
                for x in x {
                    *x -= shift;
                }
            }
            for x in &mut *out {
                *x = x.exp();
            }
            out
        };
        for (sum, powers) in block.sums.iter_mut().zip(powers.chunks_exact(length)) {
            *sum = T::sum_row(powers);
        }
        (block, powers)
    }
}

/// e^x / sum(e^x) of each row of `length` elements.
pub(crate) fn softmax_rows<T: Float>(x: &[T], length: usize) -> Buffer<T> {
    // SAFETY: `write_powers` writes all.
    unsafe {
        for_each_block(
            x,
            length,
            rows_at_once(length),
            #[inline(always)]
            |_, x, out| {
                let (block, powers) = Block::write_powers(x, length, out);
                for (powers, sum) in powers.chunks_exact_mut(length).zip(block.sums) {
                    // The sum is at least 1, so neither this nor its reciprocal is out of range.
                    let scale = sum.reciprocal();
                    for power in powers {
                        *power *= scale;
                    }
                }
            },
        )
    }
}

/// x - log(sum(e^x)) of each row of `length` elements.
pub(crate) fn log_softmax_rows<T: Float>(x: &[T], length: usize) -> Buffer<T> {
    // SAFETY: `write_powers` writes all.
    unsafe {
        for_each_block(
            x,
            length,
            rows_at_once(length),
            #[inline(always)]
            |_, x, out| {
                let (block, powers) = Block::write_powers(x, length, out);
                let rows = powers.chunks_exact_mut(length).zip(x.chunks_exact(length));
                for ((out, x), (shift, sum)) in rows.zip(block.shifts.into_iter().zip(block.sums)) {
                    let log = sum.log();
                    for (out, &x) in out.iter_mut().zip(x) {
                        *out = (x - shift) - log;
                    }
                }
            },
        )
    }
}

/// -log(softmax) at the target of each row of `length` elements; 0 without a target.
pub(crate) fn cross_entropy_rows<T: Float>(x: &[T], length: usize, targets: &[Option<usize>]) -> Buffer<T> {
    let part = if x.len() < SHARED { targets.len() } else { (PART / length).max(1) };
    let rows = rows_at_once(length);
    // SAFETY: every element of the part is written.
    unsafe {
        fill(
            targets.len(),
            part,
            #[inline(always)]
            |start, out| {
                let mut powers: SmallVec<[MaybeUninit<T>; BLOCK]> =
                    SmallVec::from_elem(MaybeUninit::uninit(), rows * length);
                for (i, out) in out.chunks_mut(rows).enumerate() {
                    let first = start + i * rows;
                    let x = &x[first * length..(first + out.len()) * length];
                    let (mut block, _) = Block::write_powers(x, length, &mut powers[..x.len()]);
                    for sum in &mut block.sums[..out.len()] {
                        *sum = sum.log();
                    }
                    for (row, out) in out.iter_mut().enumerate() {
                        // Two differences of near numbers: log(sum(e^x)) - x would lose the digits of a small loss.
                        let x = &x[row * length..][..length];
                        let loss = |target: usize| block.sums[row] - (x[target] - block.shifts[row]);
                        out.write(targets[first + row].map_or(T::ZERO, loss));
                    }
                }
            },
        )
    }
}

/// `scale` times the difference of the softmax of each row of `length` elements and 1 at its target; zeros without a
/// target.
pub(crate) fn softmax_minus_one_hot_rows<T: Float>(
    x: &[T],
    length: usize,
    targets: &[Option<usize>],
    scale: T,
) -> Buffer<T> {
    // SAFETY: `write_powers` writes all.
    unsafe {
        for_each_block(
            x,
            length,
            rows_at_once(length),
            #[inline(always)]
            |first, x, out| {
                let (block, powers) = Block::write_powers(x, length, out);
                let rows = powers.chunks_exact_mut(length).zip(&targets[first..]);
                for ((powers, target), sum) in rows.zip(block.sums) {
                    let Some(target) = *target else {
                        powers.fill(T::ZERO);
                        continue;
                    };
                    powers[target] -= sum;
                    let factor = scale / sum;
                    for power in powers {
                        *power *= factor;
                    }
                }
            },
        )
    }
}

/// log(sum(e^x)) along axes.
pub(crate) fn logsumexp_along<T: Float>(x: Strided<'_, T>, axes: &[usize]) -> Buffer<T> {
    reduce(x, axes, &LogSumExp)
}

/// The sum of e^(x - shift), with the bits of the sum of a row of these powers.
#[inline(always)]
fn sum_powers<T: Float>(x: &[T], shift: T) -> T {
    // Powers first and then their sum: both at once are too much for the registers.
    #[inline(always)]
    fn through<T: Float>(x: &[T], shift: T, powers: &mut [T]) -> T {
        for (power, &x) in powers.iter_mut().zip(x) {
            *power = (x - shift).exp();
        }
        T::sum_row(powers)
    }
    const SHORT: usize = 128;
    if x.len() <= SHORT {
        return through(x, shift, &mut [T::ZERO; SHORT][..x.len()]);
    }
    let mut powers = Buffer::filled(x.len(), T::ZERO);
    through(x, shift, powers.get_mut().expect("nobody else has it"))
}

/// log(sum(e^x)).
struct LogSumExp;

impl<T: Float> Reduction<T> for LogSumExp {
    type Output = T;
    const ACROSS: bool = false;
    const WIDE: bool = true;

    #[inline(always)]
    fn lane(&self, lane: &[T]) -> T {
        let largest = largest(lane);
        // Infinities would give inf - inf.
        let shift = if largest.is_finite() { largest } else { T::ZERO };
        let sum = sum_powers(lane, shift);
        sum.log() + shift
    }

    fn across(&self, _: Rows<'_, T>, _: &mut [MaybeUninit<T>]) {
        unreachable!("only along lanes");
    }
}
