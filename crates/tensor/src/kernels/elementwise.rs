//! One function on every element of one or several operands.
//!
//! Operands that are walked against the grain are copied first, by tiles, which costs less than jumping. The
//! rest is loops over contiguous or repeated elements, compiled for several instruction sets and shared among
//! threads.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::array::from_fn;
use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::buffer::Buffer;
use super::runs::Runs;
use super::simd::dispatch;
use super::threads::for_each_part;
use crate::element::Element;
use crate::layout::Layout;
use crate::tensor::Tensor;

/// From this many elements on, work is shared: below, waking another thread costs as much as the work.
pub(super) const SHARED: usize = 64 * 1024;
/// The elements of a part.
pub(super) const PART: usize = 16 * 1024;

/// The elements that are read at once where targets might overlap.
const WIDE: usize = 16;

/// How many elements a thread takes at once of so many.
pub(super) fn part_length(len: usize) -> usize {
    if len < SHARED { len } else { PART }
}

/// A buffer of which `part(start, elements)` writes the elements from `start` on, `length` at once (the last
/// part may be shorter).
///
/// # Safety
/// `part` must write every element it is given.
#[inline]
pub(super) unsafe fn fill<U: Element>(
    len: usize,
    length: usize,
    part: impl Fn(usize, &mut [MaybeUninit<U>]) + Sync,
) -> Buffer<U> {
    // SAFETY: parts cover all elements, and `part` writes all of each.
    unsafe {
        Buffer::build(len, |out| {
            for_each_part(out, length, |start, out| {
                dispatch(
                    #[inline(always)]
                    || part(start, out),
                );
            });
        })
    }
}

/// The elements of a tensor in logical order.
fn in_order<T: Element>(x: &Tensor<T>) -> Cow<'_, Tensor<T>> {
    if x.is_contiguous() { Cow::Borrowed(x) } else { Cow::Owned(x.contiguous()) }
}

/// The results of `f` in logical order.
pub(crate) fn map<T: Element, U: Element>(x: &Tensor<T>, f: impl Fn(T) -> U + Sync) -> Buffer<U> {
    let x = in_order(x);
    let x = x.as_slice().expect("in order");
    // SAFETY: `x` has an element for each of the part's.
    unsafe {
        fill(
            x.len(),
            part_length(x.len()),
            #[inline(always)]
            |start, out| {
                let x = &x[start..start + out.len()];
                for (out, &x) in out.iter_mut().zip(x) {
                    out.write(f(x));
                }
            },
        )
    }
}

/// Replaces each element by the result of `f` on it.
pub(crate) fn map_inplace<T: Element>(x: &mut [T], f: impl Fn(T) -> T + Sync) {
    let length = part_length(x.len());
    for_each_part(x, length, |_, x| {
        dispatch(
            #[inline(always)]
            || {
                for x in x {
                    *x = f(*x);
                }
            },
        );
    });
}

/// The results of `f` on the elements of two operands, broadcast to one shape, in logical order.
pub(crate) fn zip<T: Element, U: Element, V: Element>(
    shape: &[usize],
    x: &Tensor<T>,
    y: &Tensor<U>,
    f: impl Fn(T, U) -> V + Sync,
) -> Buffer<V> {
    if let (true, true, Some(x), Some(y)) =
        (x.shape() == shape, y.shape() == shape, x.as_slice(), y.as_slice())
    {
        // SAFETY: both operands have an element for each of the part's.
        return unsafe {
            fill(
                x.len(),
                part_length(x.len()),
                #[inline(always)]
                |start, out| {
                    let (x, y) = (&x[start..start + out.len()], &y[start..start + out.len()]);
                    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
                        out.write(f(x, y));
                    }
                },
            )
        };
    }
    if let (true, Some(x), Some(&[y])) = (x.shape() == shape, x.as_slice(), y.as_slice()) {
        // SAFETY: the operand has an element for each of the part's.
        return unsafe {
            fill(
                x.len(),
                part_length(x.len()),
                #[inline(always)]
                |start, out| {
                    for (out, &x) in out.iter_mut().zip(&x[start..]) {
                        out.write(f(x, y));
                    }
                },
            )
        };
    }
    let (x, y) = (with_the_grain(x, shape), with_the_grain(y, shape));
    let runs = Runs::new(shape, [&x.layout().expand(shape), &y.layout().expand(shape)]);
    let (x, y) = (x.buffer(), y.buffer());
    let len = shape.iter().product();
    // SAFETY: the runs of a range have as many elements as the range; those of `out` are written in order.
    unsafe {
        fill(
            len,
            part_length(len),
            #[inline(always)]
            |first, out| {
                let (range, mut rest) = (first..first + out.len(), out);
                runs.for_each(
                    range,
                    #[inline(always)]
                    |[x0, y0], length| {
                        let out;
                        (out, rest) = std::mem::take(&mut rest).split_at_mut(length);
                        match runs.strides() {
                            [1, 1] => {
                                let (x, y) = (&x[x0..x0 + length], &y[y0..y0 + length]);
                                for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
                                    out.write(f(x, y));
                                }
                            }
                            [1, 0] => {
                                let y = y[y0];
                                for (out, &x) in out.iter_mut().zip(&x[x0..x0 + length]) {
                                    out.write(f(x, y));
                                }
                            }
                            [0, 1] => {
                                let x = x[x0];
                                for (out, &y) in out.iter_mut().zip(&y[y0..y0 + length]) {
                                    out.write(f(x, y));
                                }
                            }
                            [sx, sy] => {
                                for (i, out) in out.iter_mut().enumerate() {
                                    out.write(f(x[at(x0, i, sx)], y[at(y0, i, sy)]));
                                }
                            }
                        }
                    },
                );
            },
        )
    }
}

/// Replaces each element of a row-major buffer by the result of `f` on it and on its partner in `y`, which is
/// repeated to the buffer's shape.
pub(crate) fn zip_inplace<T: Element, U: Element>(
    x: &mut [T],
    shape: &[usize],
    y: &Tensor<U>,
    f: impl Fn(T, U) -> T + Sync,
) {
    let length = part_length(x.len());
    if let (true, Some(y)) = (y.shape() == shape, y.as_slice()) {
        return for_each_part(x, length, |start, x| {
            dispatch(
                #[inline(always)]
                || {
                    for (x, &y) in x.iter_mut().zip(&y[start..]) {
                        *x = f(*x, y);
                    }
                },
            );
        });
    }
    let y = with_the_grain(y, shape);
    let runs = Runs::new(shape, [&Layout::contiguous(shape), &y.layout().expand(shape)]);
    let y = y.buffer();
    for_each_part(x, length, |first, x| {
        dispatch(
            #[inline(always)]
            || {
                runs.for_each(
                    first..first + x.len(),
                    #[inline(always)]
                    |[x0, y0], length| {
                        let x = &mut x[x0 - first..x0 - first + length];
                        match runs.strides() {
                            [1, 1] => {
                                for (x, &y) in x.iter_mut().zip(&y[y0..y0 + length]) {
                                    *x = f(*x, y);
                                }
                            }
                            [1, 0] => {
                                let y = y[y0];
                                for x in x {
                                    *x = f(*x, y);
                                }
                            }
                            [_, stride] => {
                                for (i, x) in x.iter_mut().enumerate() {
                                    *x = f(*x, y[at(y0, i, stride)]);
                                }
                            }
                        }
                    },
                );
            },
        );
    });
}

/// The results of `f` on the elements of `N` operands, broadcast to one shape, in logical order.
pub(crate) fn zip_many<T: Element, V: Element, const N: usize>(
    shape: &[usize],
    operands: [&Tensor<T>; N],
    f: impl Fn([T; N]) -> V + Sync,
) -> Buffer<V> {
    let operands = operands.map(|x| x.expand(shape).contiguous());
    let operands: [&[T]; N] = from_fn(|k| operands[k].as_slice().expect("in order"));
    let len = shape.iter().product();
    // SAFETY: every operand has an element for each of the part's.
    unsafe {
        fill(
            len,
            part_length(len),
            #[inline(always)]
            |start, out| {
                let operands: [&[T]; N] = from_fn(|k| &operands[k][start..start + out.len()]);
                for (i, out) in out.iter_mut().enumerate() {
                    out.write(f(from_fn(|k| operands[k][i])));
                }
            },
        )
    }
}

/// Replaces the elements of `N` row-major buffers of one shape by the results of `f` on them and on those of
/// another operand, all in one pass.
pub(crate) fn zip_inplace_many<T: Element, U: Element, const N: usize>(
    targets: [&mut [T]; N],
    y: &Tensor<U>,
    f: impl Fn([T; N], U) -> [T; N] + Sync,
) {
    let y = in_order(y);
    let y = y.as_slice().expect("in order");
    super::threads::for_each_part_of(targets, part_length(y.len()), |start, targets| {
        dispatch(
            #[inline(always)]
            || {
                let mut targets = targets;
                let length = targets.first().map_or(0, |target| target.len());
                let y = &y[start..start + length];
                let whole = length - length % WIDE;
                for place in (0..whole).step_by(WIDE) {
                    // Copies of fixed size, which cannot overlap, so that the loop over them becomes wide
                    // instructions.
                    let mut wide = [[T::default(); WIDE]; N];
                    for (wide, target) in wide.iter_mut().zip(&targets) {
                        wide.copy_from_slice(&target[place..place + WIDE]);
                    }
                    let mut wide_y = [U::default(); WIDE];
                    wide_y.copy_from_slice(&y[place..place + WIDE]);
                    for i in 0..WIDE {
                        let results = f(column(&wide, i), wide_y[i]);
                        for k in 0..N {
                            wide[k][i] = results[k];
                        }
                    }
                    for (wide, target) in wide.iter().zip(&mut targets) {
                        target[place..place + WIDE].copy_from_slice(wide);
                    }
                }
                for i in whole..length {
                    let results = f(from_fn(|k| targets[k][i]), y[i]);
                    for (target, result) in targets.iter_mut().zip(results) {
                        target[i] = result;
                    }
                }
            },
        );
    });
}

/// The operand itself, or a copy of it if it would be walked with a stride other than 0 and 1.
fn with_the_grain<'a, T: Element>(x: &'a Tensor<T>, shape: &[usize]) -> Cow<'a, Tensor<T>> {
    // Below this a copy costs more than it saves.
    const LARGE: usize = 4096;
    let inner = x.shape().iter().zip(x.strides()).rev().find(|(size, _)| **size != 1);
    let along = inner.is_none_or(|(_, stride)| *stride == 1);
    let large = shape.iter().product::<usize>() >= LARGE;
    if along || !large { Cow::Borrowed(x) } else { Cow::Owned(x.contiguous()) }
}

/// Element `i` of each.
#[inline(always)]
fn column<T: Element, const N: usize>(rows: &[[T; WIDE]; N], i: usize) -> [T; N] {
    let mut column = [T::default(); N];
    for (element, row) in column.iter_mut().zip(rows) {
        *element = row[i];
    }
    column
}

/// The place of element `i` of a run.
#[inline(always)]
pub(super) fn at(start: usize, i: usize, stride: isize) -> usize {
    start.wrapping_add_signed(i as isize * stride)
}
