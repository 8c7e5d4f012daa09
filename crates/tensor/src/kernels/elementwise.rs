//! One function on every element of one or several operands.
//!
//! Operands that are walked against the grain are copied first, by tiles, which costs less than jumping. The
//! rest is loops over contiguous or repeated elements, compiled for several instruction sets and shared among
//! threads.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::array::from_fn;
use std::mem::MaybeUninit;

use crate::element::{Element, Float};
use crate::kernels::copy::{Elements, Transposition, copy, in_order};
use crate::kernels::lines::{LINE, Line};
use crate::kernels::parts::{SHARED, fill, fill_parts, part_length};
use crate::kernels::reduce::{write_all, write_long};
use crate::kernels::runs::Runs;
use crate::layout::{Layout, Strided};
use crate::runtime::Buffer;
use crate::runtime::dispatch;
use crate::runtime::{for_each_part, for_each_part_of};

/// The elements that are read at once where targets might overlap.
const WIDE: usize = 16;

/// The results of `f` in logical order.
pub(crate) fn map<T: Element, U: Element>(x: Strided<'_, T>, f: impl Fn(T) -> U + Sync) -> Buffer<U> {
    map_lines(
        x,
        #[inline(always)]
        |x, out| {
            write_all(out, x.iter().map(|&x| f(x)));
        },
    )
}

/// [`map`] with a function such as e^x.
pub(crate) fn map_function<T: Float>(x: Strided<'_, T>, f: impl Fn(T) -> T + Sync) -> Buffer<T> {
    map_lines(
        x,
        #[inline(always)]
        |x, out| {
            write_long(out, x.iter().map(|&x| f(x)));
        },
    )
}

/// [`map`] with a function of lines, which must write all elements.
#[inline]
fn map_lines<T: Element, U: Element>(
    x: Strided<'_, T>,
    line: impl Fn(&[T], &mut [MaybeUninit<U>]) + Sync,
) -> Buffer<U> {
    let x = in_order(x.data, x.layout);
    let x: &[T] = &x;
    // SAFETY: the two functions above write all elements.
    unsafe {
        fill(
            x.len(),
            part_length(x.len()),
            #[inline(always)]
            |start, out| line(&x[start..start + out.len()], out),
        )
    }
}

/// Replaces each element by the result of `f` on it.
pub(crate) fn map_inplace<T: Element>(x: &mut [T], f: impl Fn(T) -> T + Sync) {
    let length = part_length(x.len());
    let part: &(dyn Fn(usize, &mut [T]) + Sync) = &|_, x| {
        dispatch(
            #[inline(always)]
            || {
                for x in x {
                    *x = f(*x);
                }
            },
        );
    };
    for_each_part(x, length, part);
}

/// The results of `f` on the elements of two operands, broadcast to one shape, in logical order.
pub(crate) fn zip<T: Element, U: Element, V: Element>(
    shape: &[usize],
    x: Strided<'_, T>,
    y: Strided<'_, U>,
    f: impl Fn(T, U) -> V + Sync,
) -> Buffer<V> {
    let line = |x: &[T], y: &[U], out: &mut [MaybeUninit<V>]| {
        dispatch(
            #[inline(always)]
            || {
                for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
                    out.write(f(x, y));
                }
            },
        );
    };
    // SAFETY: with as many elements in each operand as in the line, it is written whole.
    unsafe { zip_lines(shape, x, y, &line) }
}

/// A function of elements side by side: of two operands, and where its results go.
type LineFunction<'a, T, U, V> = &'a (dyn Fn(&[T], &[U], &mut [MaybeUninit<V>]) + Sync);

/// [`zip`] with a function of lines, compiled once for all of them.
///
/// # Safety
/// `line` must write every element of its line.
#[inline(never)]
unsafe fn zip_lines<T: Element, U: Element, V: Element>(
    shape: &[usize],
    x: Strided<'_, T>,
    y: Strided<'_, U>,
    line: LineFunction<'_, T, U, V>,
) -> Buffer<V> {
    if let (Some(x), Some(y)) = (x.slice_of(shape), y.slice_of(shape)) {
        if x.len() < SHARED {
            // SAFETY: the line is the whole.
            return unsafe { Buffer::build(x.len(), |out| line(x, y, out)) };
        }
        let part = |start: usize, out: &mut [MaybeUninit<V>]| {
            line(&x[start..start + out.len()], &y[start..start + out.len()], out);
        };
        // SAFETY: a part is a line.
        return unsafe { fill_parts(x.len(), part_length(x.len()), &part) };
    }
    // SAFETY: as the caller promises.
    unsafe { zip_runs(shape, x, y, line) }
}

/// [`zip_lines`] of operands that are broadcast or strided: apart, as its copies of lines need much of the stack.
///
/// # Safety
/// As for [`zip_lines`].
#[inline(never)]
unsafe fn zip_runs<T: Element, U: Element, V: Element>(
    shape: &[usize],
    x: Strided<'_, T>,
    y: Strided<'_, U>,
    line: LineFunction<'_, T, U, V>,
) -> Buffer<V> {
    let len = shape.iter().product();
    // Bands of one operand at most: those of the other might have another height.
    let x = Operand::new(x, shape, true);
    let y = Operand::new(y, shape, x.bands.is_none());
    let runs = Runs::new(shape, [&x.layout, &y.layout]);
    let [x_stride, y_stride] = runs.strides();
    let part = |first: usize, out: &mut [MaybeUninit<V>]| {
        let ((x, x_first), (y, y_first)) = (x.part(first, out.len()), y.part(first, out.len()));
        let (mut x, mut y) = (Line::new(&x, x_stride), Line::new(&y, y_stride));
        let (range, mut rest) = (first..first + out.len(), out);
        runs.for_each(range, |[x0, y0], length| {
            let out;
            (out, rest) = std::mem::take(&mut rest).split_at_mut(length);
            for (i, out) in out.chunks_mut(LINE).enumerate() {
                let (from, length) = (i * LINE, out.len());
                line(x.get(x0 - x_first, from, length), y.get(y0 - y_first, from, length), out);
            }
        });
    };
    let length = x.band_length().or(y.band_length()).unwrap_or(part_length(len));
    // SAFETY: the runs of a range have as many elements as the part, and each of their lines is written.
    unsafe { fill_parts(len, length, &part) }
}

/// An operand of a result: its elements, or instructions how to copy some rows of the result, one band after another, which
/// are used while they are in the second-level cache.
struct Operand<'a, T> {
    elements: Elements<'a, T>,
    layout: Layout,
    bands: Option<Transposition>,
}

impl<'a, T: Element> Operand<'a, T> {
    fn new(x: Strided<'a, T>, shape: &[usize], may_be_bands: bool) -> Self {
        let may_be_bands = may_be_bands && *x.shape() == *shape && x.layout.len() >= SHARED;
        let bands = if may_be_bands { Transposition::of(x.layout) } else { None };
        // Longer rows would make bands of a few lines.
        if let Some(bands) = bands.filter(|bands| bands.row() <= BAND / 16) {
            let (elements, layout) = (Elements::Borrowed(x.data), Layout::contiguous(shape));
            return Self { elements, layout, bands: Some(bands) };
        }
        let (elements, layout) = with_the_grain(x, shape);
        Self { elements, layout, bands: None }
    }

    /// The elements of a band.
    fn band_length(&self) -> Option<usize> {
        self.bands.as_ref().map(|bands| BAND / bands.row() / 8 * 8 * bands.row())
    }

    /// Where the elements of a part are, and how far before that they would lie if it began with the first one.
    fn part(&self, first: usize, len: usize) -> (Elements<'_, T>, usize) {
        match &self.bands {
            Some(bands) => (Elements::Copied(bands.copy_band(&self.elements, first, len)), first),
            None => (Elements::Borrowed(&self.elements), 0),
        }
    }
}

/// Replaces each element of a row-major buffer by the result of `f` on it and on its partner in `y`, which is
/// repeated to the buffer's shape.
pub(crate) fn zip_inplace<T: Element, U: Element>(
    x: &mut [T],
    shape: &[usize],
    y: Strided<'_, U>,
    f: impl Fn(T, U) -> T + Sync,
) {
    zip_lines_inplace(x, shape, y, &|x: &mut [T], y: &[U]| zip_line_inplace(x, y, &f));
}

/// [`zip_inplace`] of as many elements as are in `x`, side by side.
pub(crate) fn zip_slices_inplace<T: Element, U: Element>(x: &mut [T], y: &[U], f: impl Fn(T, U) -> T + Sync) {
    let part = |start: usize, x: &mut [T]| zip_line_inplace(x, &y[start..start + x.len()], &f);
    // Compiled once for all functions.
    let part: &(dyn Fn(usize, &mut [T]) + Sync) = &part;
    for_each_part(x, part_length(x.len()), part);
}

#[inline]
fn zip_line_inplace<T: Element, U: Element>(x: &mut [T], y: &[U], f: &impl Fn(T, U) -> T) {
    dispatch(
        #[inline(always)]
        || {
            for (x, &y) in x.iter_mut().zip(y) {
                *x = f(*x, y);
            }
        },
    );
}

/// [`zip_inplace`] with a function of lines, compiled once for all of them.
fn zip_lines_inplace<T: Element, U: Element>(
    x: &mut [T],
    shape: &[usize],
    y: Strided<'_, U>,
    line: &(dyn Fn(&mut [T], &[U]) + Sync),
) {
    let length = part_length(x.len());
    if let Some(y) = y.slice_of(shape) {
        return for_each_part(x, length, |start, x| line(x, &y[start..start + x.len()]));
    }
    let (y, y_layout) = with_the_grain(y, shape);
    let y: &[U] = &y;
    let runs = Runs::new(shape, [&Layout::contiguous(shape), &y_layout]);
    for_each_part(x, length, |first, x| {
        let mut y = Line::new(y, runs.strides()[1]);
        runs.for_each(first..first + x.len(), |[x0, y0], length| {
            let x = &mut x[x0 - first..x0 - first + length];
            for (i, x) in x.chunks_mut(LINE).enumerate() {
                let length = x.len();
                line(x, y.get(y0, i * LINE, length));
            }
        });
    });
}

/// The most elements of a band.
const BAND: usize = 32 * 1024;

/// The elements of `x` where the condition holds and of `y` where it does not, broadcast to one shape, in logical order.
pub(crate) fn choose<T: Element>(
    shape: &[usize],
    condition: Strided<'_, bool>,
    x: Strided<'_, T>,
    y: Strided<'_, T>,
) -> Buffer<T> {
    let len = shape.iter().product();
    let (condition, c_layout) = with_the_grain(condition, shape);
    let ((x, x_layout), (y, y_layout)) = (with_the_grain(x, shape), with_the_grain(y, shape));
    let (condition, x, y): (&[bool], &[T], &[T]) = (&condition, &x, &y);
    let runs = Runs::new(shape, [&c_layout, &x_layout, &y_layout]);
    let [c_stride, x_stride, y_stride] = runs.strides();
    let part = |first: usize, out: &mut [MaybeUninit<T>]| {
        let mut condition = Line::new(condition, c_stride);
        let (mut x, mut y) = (Line::new(x, x_stride), Line::new(y, y_stride));
        let (range, mut rest) = (first..first + out.len(), out);
        runs.for_each(range, |[c0, x0, y0], length| {
            let out;
            (out, rest) = std::mem::take(&mut rest).split_at_mut(length);
            for (i, out) in out.chunks_mut(LINE).enumerate() {
                let (from, length) = (i * LINE, out.len());
                let operands =
                    (condition.get(c0, from, length), x.get(x0, from, length), y.get(y0, from, length));
                dispatch(
                    #[inline(always)]
                    || {
                        for (((out, &c), &x), &y) in
                            out.iter_mut().zip(operands.0).zip(operands.1).zip(operands.2)
                        {
                            out.write(if c { x } else { y });
                        }
                    },
                );
            }
        });
    };
    // SAFETY: the runs of a range have as many elements as the part, and each of their lines is written.
    unsafe { fill_parts(len, part_length(len), &part) }
}

/// The results of `f` on the elements of `N` operands of `len` elements each.
pub(crate) fn zip_many<T: Element, V: Element, const N: usize>(
    len: usize,
    operands: [&[T]; N],
    f: impl Fn([T; N]) -> V + Sync,
) -> Buffer<V> {
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
    y: Strided<'_, U>,
    f: impl Fn([T; N], U) -> [T; N] + Sync,
) {
    let y = in_order(y.data, y.layout);
    let y: &[U] = &y;
    for_each_part_of(targets, part_length(y.len()), |start, targets| {
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

/// The operand itself, or a copy of it if it would be walked with a stride other than 0 and 1; and its layout, expanded
/// to the shape.
fn with_the_grain<'a, T: Element>(x: Strided<'a, T>, shape: &[usize]) -> (Elements<'a, T>, Layout) {
    // Below this a copy costs more than it saves.
    const LARGE: usize = 4096;
    let inner = x.shape().iter().zip(&x.layout.strides).rev().find(|(size, _)| **size != 1);
    let along = inner.is_none_or(|(_, stride)| *stride == 1) || x.layout.is_contiguous();
    let large = shape.iter().product::<usize>() >= LARGE;
    if along || !large {
        (Elements::Borrowed(x.data), x.layout.expand(shape))
    } else {
        (Elements::Copied(copy(x)), Layout::contiguous(x.shape()).expand(shape))
    }
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
