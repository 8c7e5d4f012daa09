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
    let part = |start: usize, out: &mut [MaybeUninit<U>]| {
        dispatch(
            #[inline(always)]
            || part(start, out),
        );
    };
    // SAFETY: as the caller promises.
    unsafe { fill_parts(len, length, &part) }
}

/// [`fill`] with vectors of at most 256 bits.
///
/// # Safety
/// `part` must write every element it is given.
#[inline]
pub(crate) unsafe fn fill_narrow<U: Element>(
    len: usize,
    length: usize,
    part: impl Fn(usize, &mut [MaybeUninit<U>]) + Sync,
) -> Buffer<U> {
    let part = |start: usize, out: &mut [MaybeUninit<U>]| {
        dispatch_narrow(
            #[inline(always)]
            || part(start, out),
        );
    };
    // SAFETY: as the caller promises.
    unsafe { fill_parts(len, length, &part) }
}

/// [`fill`], compiled once for all that fill.
///
/// # Safety
/// `part` must write every element it is given.
pub(crate) unsafe fn fill_parts<U: Copy + Send>(
    len: usize,
    length: usize,
    part: &(dyn Fn(usize, &mut [MaybeUninit<U>]) + Sync),
) -> Buffer<U> {
    // SAFETY: parts cover all elements, and `part` writes all of each.
    unsafe { Buffer::build(len, |out| for_each_part(out, length, part)) }
}
