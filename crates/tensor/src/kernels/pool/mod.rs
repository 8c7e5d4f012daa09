//! The largest of windows, and their means, over the last two axes.
//!
//! Rows of a window first, which are side by side in memory, then its columns.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

mod by_two;

use std::mem::MaybeUninit;

use crate::element::{Element, Float};
use crate::kernels::parts::{PART, SHARED, fill};
use crate::kernels::range::headroom;
use crate::kernels::reduce::write_all;
use crate::runtime::Buffer;

/// A window along one axis: every `step`-th place from `start` to `end`, which are within the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) step: usize,
    /// Of how many elements the mean is.
    pub(crate) count: usize,
}

impl Window {
    #[inline(always)]
    fn places(self) -> impl Iterator<Item = usize> {
        // `step_by` would divide, to know their number.
        let mut next = self.start;
        std::iter::from_fn(
            #[inline(always)]
            move || {
                let place = next;
                next += self.step;
                (place < self.end).then_some(place)
            },
        )
    }
}

/// Windows along height and width, and the sizes of the input along both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows<'a> {
    pub(crate) y: &'a [Window],
    pub(crate) x: &'a [Window],
    pub(crate) size: [usize; 2],
}

impl Windows<'_> {
    fn results(&self) -> usize {
        self.y.len() * self.x.len()
    }

    fn elements(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Whether they are of two by two, side by side, and cover everything.
    fn by_two(&self) -> bool {
        let along = |windows: &[Window], size: usize| {
            let window =
                |i: usize, window: &Window| (window.start, window.end, window.step) == (2 * i, 2 * i + 2, 1);
            2 * windows.len() == size && windows.iter().enumerate().all(|(i, at)| window(i, at))
        };
        self.results() > 0 && along(self.y, self.size[0]) && along(self.x, self.size[1])
    }
}

/// The length of parts that are whole images of `image` elements, of `len` in all.
pub(crate) fn part(len: usize, image: usize, source: usize) -> usize {
    let work = image.max(source).max(1);
    if len / image.max(1) * work < SHARED { len } else { (PART / work).max(1) * image }
}

#[inline(always)]
pub(crate) fn wins<T: Float>(x: T, best: T) -> bool {
    (x > best) | x.is_nan()
}

/// Results for images one after another: `row` writes the results of a window of rows; `state` makes its scratch memory,
/// once for a part.
#[inline(always)]
fn each_row<T: Float, U: Element, S>(
    x: &[T],
    windows: Windows<'_>,
    state: impl Fn() -> S + Sync,
    row: impl Fn(&mut S, &[T], Window, &mut [MaybeUninit<U>]) + Sync,
) -> Buffer<U> {
    let (elements, results) = (windows.elements(), windows.results());
    let len = x.len() / elements.max(1) * results;
    // SAFETY: every row of every image of the part is written.
    unsafe {
        fill(
            len,
            part(len, results, elements),
            #[inline(always)]
            |start, out| {
                let mut state = state();
                let images = x[start / results.max(1) * elements..].chunks_exact(elements);
                for (x, out) in images.zip(out.chunks_exact_mut(results)) {
                    for (y, out) in windows.y.iter().zip(out.chunks_exact_mut(windows.x.len())) {
                        row(&mut state, x, *y, out);
                    }
                }
            },
        )
    }
}

/// Gradients for images one after another: `row` adds to an image, of this number, what comes of a window of rows and the
/// gradients of its results.
#[inline(always)]
fn each_row_back<T: Float, S>(
    g: &[T],
    windows: Windows<'_>,
    state: impl Fn() -> S + Sync,
    row: impl Fn(&mut S, usize, Window, &[T], &mut [T]) + Sync,
) -> Buffer<T> {
    let (elements, results) = (windows.elements(), windows.results());
    let len = g.len() / results.max(1) * elements;
    // SAFETY: all is written at first.
    unsafe {
        fill(
            len,
            part(len, elements, elements),
            #[inline(always)]
            |start, out| {
                let mut state = state();
                let count = out.len();
                let out = write_all(out, std::iter::repeat_n(T::ZERO, count));
                for (i, out) in (start / elements.max(1)..).zip(out.chunks_exact_mut(elements.max(1))) {
                    let g = &g[i * results..][..results];
                    for (y, g) in windows.y.iter().zip(g.chunks_exact(windows.x.len())) {
                        row(&mut state, i, *y, g, out);
                    }
                }
            },
        )
    }
}

/// The largest element of each window; -inf of a window without any, NaN where there is one.
pub(crate) fn max_pool<T: Float>(x: &[T], windows: Windows<'_>) -> Buffer<T> {
    if windows.by_two() {
        return by_two::max_pool(x, windows.size);
    }
    let width = windows.size[1];
    each_row(
        x,
        windows,
        || Buffer::filled(width, T::ZERO),
        #[inline(always)]
        |rows, x, y, out| {
            let rows = &mut rows.get_mut().expect("nobody else has it")[..width];
            let mut places = y.places();
            match places.next() {
                Some(row) => rows.copy_from_slice(&x[row * width..][..width]),
                None => rows.fill(-T::INFINITY),
            }
            for row in places {
                for (best, &x) in rows.iter_mut().zip(&x[row * width..][..width]) {
                    *best = if wins(x, *best) { x } else { *best };
                }
            }
            for (window, out) in windows.x.iter().zip(out) {
                let mut best = -T::INFINITY;
                for column in window.places() {
                    let x = rows[column];
                    best = if wins(x, best) { x } else { best };
                }
                out.write(best);
            }
        },
    )
}

/// Where in its image the largest element of each window is, row by row: the first of several, the last NaN; -1 if the
/// window has none.
pub(crate) fn max_pool_places<T: Float>(x: &[T], windows: Windows<'_>) -> Buffer<i64> {
    each_row(
        x,
        windows,
        || Best::new(windows.size[1]),
        #[inline(always)]
        |best, x, y, out| {
            best.of_rows(x, y);
            for (window, out) in windows.x.iter().zip(out) {
                out.write(best.place(*window));
            }
        },
    )
}

/// The gradient of [`max_pool`] for its input, where `g` is that for the result.
pub(crate) fn max_pool_gradient<T: Float>(x: &[T], g: &[T], windows: Windows<'_>) -> Buffer<T> {
    if windows.by_two() {
        return by_two::max_pool_gradient(x, g, windows.size);
    }
    if windows.results() == 0 {
        return Buffer::filled(x.len(), T::ZERO);
    }
    let elements = windows.elements();
    each_row_back(
        g,
        windows,
        || Best::new(windows.size[1]),
        #[inline(always)]
        |best, image, y, g, out| {
            best.of_rows(&x[image * elements..][..elements], y);
            for (window, &g) in windows.x.iter().zip(g) {
                if let Ok(place) = usize::try_from(best.place(*window)) {
                    out[place] += g;
                }
            }
        },
    )
}

/// The largest element of each column of some rows, and the row it is in.
struct Best<T: Float> {
    values: Buffer<T>,
    rows: Buffer<u32>,
    width: usize,
}

impl<T: Float> Best<T> {
    fn new(width: usize) -> Self {
        Self { values: Buffer::filled(width, T::ZERO), rows: Buffer::filled(width, 0), width }
    }

    #[inline(always)]
    fn of_rows(&mut self, x: &[T], window: Window) {
        let values = self.values.get_mut().expect("nobody else has it");
        let rows = self.rows.get_mut().expect("nobody else has it");
        let mut places = window.places();
        if let Some(row) = places.next() {
            values.copy_from_slice(&x[row * self.width..][..self.width]);
            rows.fill(row as u32);
        }
        for row in places {
            let (x, place) = (&x[row * self.width..][..self.width], row as u32);
            for ((best, row), &x) in values.iter_mut().zip(&mut *rows).zip(x) {
                let wins = wins(x, *best);
                *best = if wins { x } else { *best };
                *row = if wins { place } else { *row };
            }
        }
        if window.start >= window.end {
            rows.fill(u32::MAX);
        }
    }

    /// In a window of columns, the place in the image; of equal ones the first row by row, of NaN the last.
    #[expect(clippy::needless_bitwise_bool, reason = "no branches, which nobody can predict")]
    #[inline(always)]
    fn place(&self, window: Window) -> i64 {
        let (values, rows) = (self.values.as_slice(), self.rows.as_slice());
        if window.start >= window.end || rows[window.start] == u32::MAX {
            return -1;
        }
        let (mut best, mut place, mut row) = (values[window.start], window.start, rows[window.start]);
        let mut column = window.start + window.step;
        while column < window.end {
            let (x, of) = (values[column], rows[column]);
            let better =
                (x > best) | ((x == best) & (of < row)) | (x.is_nan() & (!best.is_nan() | (of >= row)));
            best = if better { x } else { best };
            place = if better { column } else { place };
            row = if better { of } else { row };
            column += window.step;
        }
        i64::from(row) * self.width as i64 + place as i64
    }
}

/// The sum of each window divided by its count.
pub(crate) fn avg_pool<T: Float>(x: &[T], windows: Windows<'_>) -> Buffer<T> {
    let width = windows.size[1];
    each_row(
        x,
        windows,
        || Buffer::filled(width, T::ZERO),
        #[inline(always)]
        |rows, x, y, out| {
            let rows = &mut rows.get_mut().expect("nobody else has it")[..width];
            rows.fill(T::ZERO);
            for row in y.places() {
                for (sum, &x) in rows.iter_mut().zip(&x[row * width..][..width]) {
                    *sum += x;
                }
            }
            for (window, out) in windows.x.iter().zip(out) {
                let mut sum = T::ZERO;
                for column in window.places() {
                    sum += rows[column];
                }
                let mean = sum / T::from_f64((y.count * window.count) as f64);
                out.write(if mean.is_finite() { mean } else { with_headroom(x, width, [y, *window]) });
            }
        },
    )
}

/// The mean of a window, whose sum may be too large.
#[cold]
#[inline(never)]
fn with_headroom<T: Float>(x: &[T], width: usize, [y, window]: [Window; 2]) -> T {
    let [down, up] = headroom::<T>();
    let mut sum = T::ZERO;
    for row in y.places() {
        for column in window.places() {
            sum += x[row * width + column] * down;
        }
    }
    sum / T::from_f64((y.count * window.count) as f64) * up
}

/// The gradient of [`avg_pool`] for its input, where `g` is that for the result.
pub(crate) fn avg_pool_gradient<T: Float>(g: &[T], windows: Windows<'_>) -> Buffer<T> {
    let width = windows.size[1];
    each_row_back(
        g,
        windows,
        || Buffer::filled(width, T::ZERO),
        #[inline(always)]
        |rows, _, y, g, out| {
            let rows = &mut rows.get_mut().expect("nobody else has it")[..width];
            rows.fill(T::ZERO);
            for (window, &g) in windows.x.iter().zip(g) {
                let share = g / T::from_f64((y.count * window.count) as f64);
                for column in window.places() {
                    rows[column] += share;
                }
            }
            for row in y.places() {
                for (out, &sum) in out[row * width..][..width].iter_mut().zip(&*rows) {
                    *out += sum;
                }
            }
        },
    )
}
