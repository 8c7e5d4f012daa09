//! Results made in parts, which threads share.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::mem::MaybeUninit;

use crate::element::Element;
use crate::runtime::{Buffer, dispatch, dispatch_narrow, for_each_part};

/// From this many elements on, work is shared: below, waking another thread costs as much as the work.
pub(crate) const SHARED: usize = 64 * 1024;
/// The elements of a part.
pub(crate) const PART: usize = 16 * 1024;

/// The number of elements, of `len`, that a thread takes at once.
pub(crate) fn part_length(len: usize) -> usize {
    if len < SHARED { len } else { PART }
}

/// A buffer of which `part(start, elements)` writes the elements from `start` on, `length` at once (the last
/// part may be shorter).
///
/// # Safety
/// `part` must write every element it is given.
#[inline]
pub(crate) unsafe fn fill<U: Element>(
    len: usize,
    length: usize,
    part: impl Fn(usize, &mut [MaybeUninit<U>]) + Sync,
) -> Buffer<U> {
    // SAFETY: parts cover all elements, and `part` writes all of each.
    unsafe { Buffer::build(len, |out| write(out, length, part)) }
}

/// Calls `part(start, elements)` for parts of `out`, as [`fill`] does.
#[inline]
pub(crate) fn write<U: Element>(
    out: &mut [MaybeUninit<U>],
    length: usize,
    part: impl Fn(usize, &mut [MaybeUninit<U>]) + Sync,
) {
    let part = |start: usize, out: &mut [MaybeUninit<U>]| {
        dispatch(
            #[inline(always)]
            || part(start, out),
        );
    };
    write_parts(out, length, &part);
}

/// [`write`] with vectors of at most 256 bits.
#[inline]
pub(crate) fn write_narrow<U: Element>(
    out: &mut [MaybeUninit<U>],
    length: usize,
    part: impl Fn(usize, &mut [MaybeUninit<U>]) + Sync,
) {
    let part = |start: usize, out: &mut [MaybeUninit<U>]| {
        dispatch_narrow(
            #[inline(always)]
            || part(start, out),
        );
    };
    write_parts(out, length, &part);
}

/// [`fill`] without a choice of instructions.
///
/// # Safety
/// `part` must write every element it is given.
pub(crate) unsafe fn fill_parts<U: Copy + Send>(
    len: usize,
    length: usize,
    part: &(dyn Fn(usize, &mut [MaybeUninit<U>]) + Sync),
) -> Buffer<U> {
    // SAFETY: parts cover all elements, and `part` writes all of each.
    unsafe { Buffer::build(len, |out| write_parts(out, length, part)) }
}

/// [`write`] without a choice of instructions, compiled once for all that write.
pub(crate) fn write_parts<U: Copy + Send>(
    out: &mut [MaybeUninit<U>],
    length: usize,
    part: &(dyn Fn(usize, &mut [MaybeUninit<U>]) + Sync),
) {
    for_each_part(out, length, part);
}

/// Elements to write over.
///
/// # Safety
/// Only initialised elements may be written there.
pub(crate) unsafe fn unwritten<U: Copy>(elements: &mut [U]) -> &mut [MaybeUninit<U>] {
    // SAFETY: they are borrowed uniquely, and stay initialised, as the caller promises.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len()) }
}
