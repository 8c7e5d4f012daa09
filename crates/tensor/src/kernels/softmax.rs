//! Functions of whole rows, each read and written while it is in the first-level cache.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::mem::MaybeUninit;

use crate::element::Float;
use crate::kernels::parts::{PART, SHARED, fill};
use crate::kernels::reduce::extremes::largest;
use crate::kernels::reduce::{Reduction, Rows, reduce, write_all};
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
    let part = if x.len() < SHARED { x.len() } else { (PART / length).max(1) * length };
    // SAFETY: parts are whole rows, each of which `row` writes.
    unsafe {
        fill(
            x.len(),
            part,
            #[inline(always)]
            |start, out| {
                let rows = x[start..start + out.len()].chunks_exact(length.max(1));
                let first = start / length.max(1);
                for (i, (x, out)) in (first..).zip(rows.zip(out.chunks_exact_mut(length.max(1)))) {
                    row(i, x, out);
                }
            },
        )
    }
}

/// The sum of e^(x - shift), bit by bit that of a row of these powers.
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

/// Writes e^(x - shift), where the shift is the largest element; returns it, what is written, and the sum of that.
#[inline(always)]
fn write_powers<'a, T: Float>(x: &[T], out: &'a mut [MaybeUninit<T>]) -> (T, &'a mut [T], T) {
    let shift = largest(x);
    let powers = write_all(out, x.iter().map(|&x| (x - shift).exp()));
    let sum = T::sum_row(powers);
    (shift, powers, sum)
}

/// e^x / sum(e^x) of each row of `length` elements.
pub(crate) fn softmax_rows<T: Float>(x: &[T], length: usize) -> Buffer<T> {
    // SAFETY: `write_powers` writes all.
    unsafe {
        for_each_row(
            x,
            length,
            #[inline(always)]
            |_, x, out| {
                let (_, powers, sum) = write_powers(x, out);
                // The sum is at least 1, so neither this nor its reciprocal is out of range.
                let scale = sum.reciprocal();
                for power in powers {
                    *power *= scale;
                }
            },
        )
    }
}

/// x - log(sum(e^x)) of each row of `length` elements.
pub(crate) fn log_softmax_rows<T: Float>(x: &[T], length: usize) -> Buffer<T> {
    // SAFETY: `write_powers` writes all.
    unsafe {
        for_each_row(
            x,
            length,
            #[inline(always)]
            |_, x, out| {
                let (shift, powers, sum) = write_powers(x, out);
                let log = sum.log();
                for (out, &x) in powers.iter_mut().zip(x) {
                    *out = (x - shift) - log;
                }
            },
        )
    }
}

/// -log(softmax) at the target of each row of `length` elements; 0 without a target.
pub(crate) fn cross_entropy_rows<T: Float>(x: &[T], length: usize, targets: &[Option<usize>]) -> Buffer<T> {
    let part = if x.len() < SHARED { targets.len() } else { (PART / length).max(1) };
    // SAFETY: every element of the part is written.
    unsafe {
        fill(
            targets.len(),
            part,
            #[inline(always)]
            |start, out| {
                for (i, out) in (start..).zip(out) {
                    let Some(target) = targets[i] else {
                        out.write(T::ZERO);
                        continue;
                    };
                    let x = &x[i * length..(i + 1) * length];
                    let shift = largest(x);
                    let sum = sum_powers(x, shift);
                    // Two differences of near numbers: log(sum(e^x)) - x would lose the digits of a small loss.
                    out.write(sum.log() - (x[target] - shift));
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
    // SAFETY: `write_powers` and `write_all` write all.
    unsafe {
        for_each_row(
            x,
            length,
            #[inline(always)]
            |i, x, out| {
                let Some(target) = targets[i] else {
                    write_all(out, x.iter().map(|_| T::ZERO));
                    return;
                };
                let (_, powers, sum) = write_powers(x, out);
                powers[target] -= sum;
                let factor = scale / sum;
                for power in powers {
                    *power *= factor;
                }
            },
        )
    }
}

/// log(sum(e^x)) along axes.
pub(crate) fn logsumexp_along<T: Float>(x: Strided<'_, T>, axes: &[usize]) -> Buffer<T> {
    reduce(x, axes, &LogSumExp)
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
