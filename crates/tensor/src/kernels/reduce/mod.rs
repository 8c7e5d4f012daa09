//! Reductions: every output element is a function of one lane, in logical order.
//!
//! Lanes that lie together are read where they are; so are lanes side by side, by rows. Operands of any other
//! layout are copied first. Both ways give the same bits, so no layout and no number of threads changes a
//! result.

#![allow(unsafe_code, reason = "results are written to memory that is not initialised; see SAFETY")]

use std::hint::black_box;
use std::mem::{MaybeUninit, take, transmute_copy};

mod columns;
pub(crate) use columns::stack_size;
pub(crate) mod extremes;
mod product;
pub(crate) mod sum;

use crate::element::{Element, Float, Number};
use crate::kernels::copy::in_order;
use crate::kernels::parts::{PART, SHARED, write, write_narrow};
use crate::kernels::reduce::extremes::{Extreme, Largest, Place, Smallest};
use crate::kernels::reduce::product::Product;
use crate::kernels::reduce::sum::{Sum, itself, square_from};
use crate::kernels::runs::at;
use crate::kernels::runs::{MergedAxes, merge_axes, place};
use crate::layout::{Layout, Strided};
use crate::runtime::Buffer;
use crate::shape::Shape;

/// Lanes of this length are shared among threads one by one.
const LONG: usize = 1024 * 1024;
/// The columns that are reduced side by side: long enough to be read in one go, few enough for their partial
/// results to stay in the cache.
const STRIP: usize = 1024;

/// A function of a lane.
pub(crate) trait Reduction<T: Element>: Sync {
    type Output: Element;
    /// Whether there is a way across rows.
    const ACROSS: bool;
    /// Whether vectors of more than 256 bits pay.
    const WIDE: bool;

    fn lane(&self, lane: &[T]) -> Self::Output;

    /// Writes to each element of `out` what `lane` says of the column of the same place, from at least one row.
    fn across(&self, rows: Rows<'_, T>, out: &mut [MaybeUninit<Self::Output>]);
}

/// Rows of which columns are lanes.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) start: usize,
    pub(crate) stride: isize,
    pub(crate) count: usize,
}

impl<'a, T> Rows<'a, T> {
    /// At most `count` rows from `first` on.
    #[inline(always)]
    pub(crate) fn part(self, first: usize, count: usize) -> Self {
        Self { start: at(self.start, first, self.stride), count: count.min(self.count - first), ..self }
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize, columns: usize) -> &'a [T] {
        &self.data[at(self.start, row, self.stride)..][..columns]
    }

    /// A copy of one of the `columns` that are reduced side by side.
    pub(crate) fn column(&self, column: usize, columns: usize) -> Vec<T>
    where
        T: Copy,
    {
        (0..self.count).map(|row| self.row(row, columns)[column]).collect()
    }
}

/// The sums along axes, divided by a number.
pub(crate) fn sum_along<T: Number>(x: Strided<'_, T>, axes: &[usize], divisor: T) -> Buffer<T> {
    reduce(x, axes, &Sum { each: itself, divisor })
}

/// The sums of squares along axes.
pub(crate) fn sum_squares_along<T: Float>(x: Strided<'_, T>, axes: &[usize]) -> Buffer<T> {
    reduce(x, axes, &Sum { each: square_from(T::ZERO), divisor: T::ONE })
}

/// The products along axes.
pub(crate) fn product_along<T: Number>(x: Strided<'_, T>, axes: &[usize]) -> Buffer<T> {
    reduce(x, axes, &Product)
}

/// The largest or the smallest elements along axes.
pub(crate) fn extreme_along<T: Number>(x: Strided<'_, T>, axes: &[usize], largest: bool) -> Buffer<T> {
    if largest { reduce(x, axes, &Extreme(Largest)) } else { reduce(x, axes, &Extreme(Smallest)) }
}

/// Where the largest or the smallest elements along axes are.
pub(crate) fn place_along<T: Number>(x: Strided<'_, T>, axes: &[usize], largest: bool) -> Buffer<i64> {
    if largest { reduce(x, axes, &Place(Largest)) } else { reduce(x, axes, &Place(Smallest)) }
}

/// The results of a reduction of the elements along `axes` (rising, from the front), in row-major order of the
/// other axes.
pub(crate) fn reduce<T: Element, R: Reduction<T>>(
    x: Strided<'_, T>,
    axes: &[usize],
    reduction: &R,
) -> Buffer<R::Output> {
    let plan = Plan::of(x.layout, axes, R::ACROSS);
    // SAFETY: all elements are written.
    unsafe { Buffer::build(plan.count, |out| plan.write(x, axes, reduction, out)) }
}

/// Writes what [`reduce`] gives to `out`, which has an element for each result.
pub(crate) fn write_reduced<T: Element, R: Reduction<T>>(
    out: &mut [MaybeUninit<R::Output>],
    x: Strided<'_, T>,
    axes: &[usize],
    reduction: &R,
) {
    Plan::of(x.layout, axes, R::ACROSS).write(x, axes, reduction, out);
}

/// The way of a reduction through its operand: the axes that are kept, the number of results, and the length of lanes.
struct Plan {
    way: Way,
    start: usize,
    outer: MergedAxes,
    count: usize,
    length: usize,
}

enum Way {
    /// Lanes are empty, or there are none.
    Nothing,
    /// Each lane lies together.
    Along,
    /// Lanes are the columns of rows, this far from each other.
    Across { stride: isize, columns: usize },
    /// Lanes are copied first.
    Copied,
}

impl Plan {
    fn of(layout: &Layout, axes: &[usize], across: bool) -> Self {
        let (rank, start) = (layout.rank(), layout.offset);
        let is_empty = layout.shape.contains(&0);
        let one = |size, stride: usize| {
            MergedAxes::from_buf_and_len([(size, stride as isize), (0, 0), (0, 0), (0, 0)], 1)
        };
        if !is_empty && layout.is_contiguous() {
            // The usual cases, without a look at strides: the last axes, or the first ones.
            if axes.iter().copied().eq(rank - axes.len()..rank) {
                let length = layout.shape[rank - axes.len()..].iter().product();
                let count = layout.len() / length;
                return Self { way: Way::Along, start, outer: one(count, length), count, length };
            }
            if across && axes.iter().copied().eq(0..axes.len()) {
                let columns = layout.shape[axes.len()..].iter().product();
                let (length, outer) = (layout.len() / columns, MergedAxes::new());
                let way = Way::Across { stride: columns as isize, columns };
                return Self { way, start, outer, count: columns, length };
            }
        }
        let merged = |reduced: bool| {
            let axes = (0..rank).filter(|axis| axes.contains(axis) == reduced);
            merge_axes(axes.map(|axis| (layout.shape[axis], layout.strides[axis])))
        };
        let (reduced, mut outer) = (merged(true), merged(false));
        let [length, count] = [&reduced, &outer].map(|axes| axes.iter().map(|(size, _)| size).product());
        let way = match (&reduced[..], &outer[..]) {
            _ if is_empty => Way::Nothing,
            ([] | [(_, 1)], _) => Way::Along,
            (&[(_, stride)], &[.., (columns, 1)]) if across => {
                outer.pop();
                Way::Across { stride, columns }
            }
            _ => {
                outer = one(count, length);
                Way::Copied
            }
        };
        Self { way, start, outer, count, length }
    }

    /// Writes the results of a reduction.
    fn write<T: Element, R: Reduction<T>>(
        &self,
        x: Strided<'_, T>,
        axes: &[usize],
        reduction: &R,
        out: &mut [MaybeUninit<R::Output>],
    ) {
        let Self { way, start, outer, count, length } = self;
        assert_eq!(out.len(), *count, "an element for each result");
        match *way {
            Way::Nothing => out.iter_mut().for_each(|out| _ = out.write(reduction.lane(&[]))),
            Way::Along => along(x.data, *start, outer, *length, reduction, out),
            Way::Across { stride, columns } => {
                let rows = Rows { data: x.data, start: *start, stride, count: *length };
                across(rows, outer, columns, reduction, out);
            }
            Way::Copied => {
                let lanes = in_order(x.data, &lanes_last(x.layout, axes));
                along(&lanes, 0, outer, *length, reduction, out);
            }
        }
    }
}

/// The layout of the same elements, each lane together.
fn lanes_last(layout: &Layout, axes: &[usize]) -> Layout {
    let kept = (0..layout.rank()).filter(|axis| !axes.contains(axis));
    let order: Shape = kept.chain(axes.iter().copied()).collect();
    layout.permute(&order)
}

/// [`write`] with the vectors that pay.
#[inline(always)]
fn write_for<T: Element, R: Reduction<T>>(
    out: &mut [MaybeUninit<R::Output>],
    length: usize,
    part: impl Fn(usize, &mut [MaybeUninit<R::Output>]) + Sync,
) {
    if R::WIDE { write(out, length, part) } else { write_narrow(out, length, part) }
}

fn along<T: Element, R: Reduction<T>>(
    data: &[T],
    offset: usize,
    kept: &[(usize, isize)],
    length: usize,
    reduction: &R,
    out: &mut [MaybeUninit<R::Output>],
) {
    let count = out.len();
    let shared = count * length >= SHARED && length < LONG;
    write_for::<T, R>(
        out,
        if shared { (PART / length).max(1) } else { count },
        #[inline(always)]
        |start, out| {
            for (i, out) in out.iter_mut().enumerate() {
                let first = place(offset, kept, start + i);
                out.write(reduction.lane(&data[first..first + length]));
            }
        },
    );
}

fn across<T: Element, R: Reduction<T>>(
    rows: Rows<'_, T>,
    outer: &[(usize, isize)],
    columns: usize,
    reduction: &R,
    out: &mut [MaybeUninit<R::Output>],
) {
    // Whole matrices if they are small, or else strips of one.
    let matrices = PART / (rows.count * columns);
    let part = if matrices > 0 { matrices * columns } else { STRIP.min(columns) };
    let part = if out.len() * rows.count < SHARED { out.len() } else { part };
    // Strips follow each other through the part, and `across` writes each of them.
    write_for::<T, R>(
        out,
        part,
        #[inline(always)]
        |start, out| {
            let (mut first, mut rest) = (start, out);
            while !rest.is_empty() {
                let (matrix, column) =
                    if outer.is_empty() { (0, first) } else { (first / columns, first % columns) };
                let width = (columns - column).min(rest.len()).min(STRIP);
                let out;
                (out, rest) = take(&mut rest).split_at_mut(width);
                let start = place(rows.start, outer, matrix) + column;
                reduction.across(Rows { start, ..rows }, out);
                first += width;
            }
        },
    );
}

/// The results of a caller's own function of each lane.
pub(crate) fn reduce_lanes<T: Element, U: Element>(
    x: Strided<'_, T>,
    axes: &[usize],
    kernel: impl Fn(&[T]) -> U,
) -> Buffer<U> {
    let data = in_order(x.data, &lanes_last(x.layout, axes));
    let length: usize = axes.iter().map(|&axis| x.shape()[axis]).product();
    let count =
        (0..x.layout.rank()).filter(|axis| !axes.contains(axis)).map(|axis| x.shape()[axis]).product();
    Buffer::collect(count, (0..count).map(|i| kernel(&data[i * length..(i + 1) * length])))
}

/// Writes the items of an iterator to the elements, of which it must have as many.
#[inline(always)]
pub(crate) fn write_all<T>(out: &mut [MaybeUninit<T>], items: impl ExactSizeIterator<Item = T>) -> &mut [T] {
    assert_eq!(items.len(), out.len(), "an item for each element");
    let mut count = 0;
    for (out, item) in out.iter_mut().zip(items) {
        out.write(item);
        count += 1;
    }
    // An iterator may lie about its length.
    assert_eq!(count, out.len(), "an item for each element");
    // SAFETY: the count says that each element was written.
    unsafe { &mut *(std::ptr::from_mut(out) as *mut [T]) }
}

/// [`write_all`] of results of a function such as e^x.
///
/// Such a function is a long chain of operations, each of which waits for the one before, and a processor looks ahead over
/// two or three vectors. LLVM lets several vectors take turns in loops that reduce: so this one joins the bits of all results,
/// one operation for each vector (`tanh` takes 10 % less time, `exp` 6 %).
#[inline(always)]
#[expect(clippy::manual_inspect, reason = "through a reference, LLVM finds no vectors")]
pub(crate) fn write_long<T: Float>(
    out: &mut [MaybeUninit<T>],
    items: impl ExactSizeIterator<Item = T>,
) -> &mut [T] {
    const TURNS: usize = 64;
    if size_of::<T>() != size_of::<u32>() || out.len() < TURNS {
        return write_all(out, items);
    }
    let mut bits = 0;
    let out = write_all(
        out,
        items.map(
            #[inline(always)]
            |item| {
                // SAFETY: it is an `f32`, whose bytes are an integer.
                bits |= unsafe { transmute_copy::<T, u32>(&item) };
                item
            },
        ),
    );
    black_box(bits);
    out
}

/// A reduction from first to last: the first element through `.0`, each other through `.1`; `.2` of nothing.
pub(crate) struct Fold<F, G, U>(pub(crate) F, pub(crate) G, pub(crate) U);

impl<T, U, F, G> Reduction<T> for Fold<F, G, U>
where
    T: Element,
    U: Element,
    F: Fn(T) -> U + Sync,
    G: Fn(U, T) -> U + Sync,
{
    type Output = U;
    const ACROSS: bool = true;
    const WIDE: bool = false;

    #[inline(always)]
    fn lane(&self, lane: &[T]) -> U {
        let Some((&first, rest)) = lane.split_first() else { return self.2 };
        rest.iter().fold((self.0)(first), |result, &x| (self.1)(result, x))
    }

    #[inline(always)]
    fn across(&self, rows: Rows<'_, T>, out: &mut [MaybeUninit<U>]) {
        let columns = out.len();
        let results = write_all(out, rows.row(0, columns).iter().map(|&x| (self.0)(x)));
        let mut row = 1;
        while row + 4 <= rows.count {
            // Four at a time, to read and write results less often.
            let four: [&[T]; 4] = std::array::from_fn(|k| rows.row(row + k, columns));
            for (j, result) in results.iter_mut().enumerate() {
                *result = four.iter().fold(*result, |result, x| (self.1)(result, x[j]));
            }
            row += 4;
        }
        for row in row..rows.count {
            for (result, &x) in results.iter_mut().zip(rows.row(row, columns)) {
                *result = (self.1)(*result, x);
            }
        }
    }
}
