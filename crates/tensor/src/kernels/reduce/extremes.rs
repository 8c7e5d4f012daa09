//! The largest or smallest element, and its place: the first NaN, or else the first of equal ones.

use std::iter::repeat_n;
use std::mem::MaybeUninit;

use crate::element::{Float, Number};
use crate::kernels::reduce::{Fold, Reduction, Rows, write_all};
use crate::runtime::Buffer;
use crate::runtime::dispatch_narrow;
use crate::runtime::for_each_part;

/// The number of elements searched for their winner before they leave the first-level cache.
const BLOCK: usize = 4096;
/// The number of elements that a thread takes at once.
const CHUNK: usize = 64 * 1024;
/// Below this, elements are compared one after another.
const SHORT: usize = 32;

/// An order of elements for a search.
pub(crate) trait Order<T: Number>: Copy + Sync {
    /// Whether a number takes the place of another one.
    fn exceeds(self, x: T, best: T) -> bool;

    /// Whether `x` takes the place of `best`: NaN wins against numbers.
    #[inline(always)]
    fn wins(self, x: T, best: T) -> bool {
        // Without branches, for vector instructions.
        self.exceeds(x, best) | (x.is_nan() & !best.is_nan())
    }
}

/// A search for the largest element.
#[derive(Clone, Copy)]
pub(crate) struct Largest;
/// A search for the smallest element.
#[derive(Clone, Copy)]
pub(crate) struct Smallest;

impl<T: Number> Order<T> for Largest {
    #[inline(always)]
    fn exceeds(self, x: T, best: T) -> bool {
        x > best
    }
}

impl<T: Number> Order<T> for Smallest {
    #[inline(always)]
    fn exceeds(self, x: T, best: T) -> bool {
        x < best
    }
}

#[inline(always)]
fn chosen<T: Number>(best: T, x: T, wins: impl Fn(T, T) -> bool) -> T {
    if wins(x, best) { x } else { best }
}

/// The element that no other takes the place of.
pub(crate) struct Extreme<W>(pub(crate) W);

impl<T: Number, W: Order<T>> Reduction<T> for Extreme<W> {
    type Output = T;
    const ACROSS: bool = true;
    const WIDE: bool = false;

    #[inline(always)]
    fn lane(&self, lane: &[T]) -> T {
        search(lane, self.0, false).1
    }

    #[inline(always)]
    fn across(&self, rows: Rows<'_, T>, out: &mut [MaybeUninit<T>]) {
        Fold(|x| x, |best, x| chosen(best, x, |x, best| self.0.wins(x, best)), T::ZERO).across(rows, out);
    }
}

/// The index of that element.
pub(crate) struct Place<W>(pub(crate) W);

impl<T: Number, W: Order<T>> Reduction<T> for Place<W> {
    type Output = i64;
    const ACROSS: bool = true;
    const WIDE: bool = false;

    #[inline(always)]
    fn lane(&self, lane: &[T]) -> i64 {
        search(lane, self.0, true).0 as i64
    }

    #[inline(always)]
    fn across(&self, rows: Rows<'_, T>, out: &mut [MaybeUninit<i64>]) {
        let columns = out.len();
        let mut best = Buffer::copy(rows.row(0, columns));
        let best = &mut best.get_mut().expect("nobody else has it")[..columns];
        let places = write_all(out, repeat_n(0, columns));
        for row in 1..rows.count {
            for ((best, place), &x) in best.iter_mut().zip(&mut *places).zip(rows.row(row, columns)) {
                let wins = self.0.wins(x, *best);
                *best = if wins { x } else { *best };
                *place = if wins { row as i64 } else { *place };
            }
        }
    }
}

/// One that is as good as the extreme element, though it may be a later one.
#[inline(always)]
fn winner<T: Number>(lane: &[T], wins: impl Fn(T, T) -> bool + Copy) -> T {
    const WIDTH: usize = 32;
    let (vectors, tail) = lane.as_chunks::<WIDTH>();
    let Some((&first, rest)) = vectors.split_first() else {
        return tail[1..].iter().fold(tail[0], |best, &x| chosen(best, x, wins));
    };
    let mut best = first;
    for vector in rest {
        for k in 0..WIDTH {
            best[k] = chosen(best[k], vector[k], wins);
        }
    }
    let mut half = WIDTH / 2;
    while half > 0 {
        for k in 0..half {
            best[k] = chosen(best[k], best[k + half], wins);
        }
        half /= 2;
    }
    tail.iter().fold(best[0], |best, &x| chosen(best, x, wins))
}

/// The first element that does not lose against a winner.
#[inline(always)]
fn first_of<T: Number>(lane: &[T], winner: T, order: impl Order<T>) -> usize {
    const WIDTH: usize = 64;
    // A search that ends at once is no vector loop.
    let (vectors, _) = lane.as_chunks::<WIDTH>();
    let found = |vector: &[T; WIDTH]| vector.iter().fold(false, |found, &x| found | !order.wins(winner, x));
    let start = WIDTH * vectors.iter().position(found).unwrap_or(vectors.len());
    start + lane[start..].iter().position(|&x| !order.wins(winner, x)).expect("the winner itself")
}

/// The index, if it is `asked` for, and the element.
#[inline(always)]
fn search<T: Number>(lane: &[T], order: impl Order<T>, asked: bool) -> (usize, T) {
    if lane.len() > CHUNK {
        return search_long(lane, order);
    } else if lane.len() >= SHORT {
        return search_chunk(lane, order, asked);
    }
    let mut best = (0, lane[0]);
    for (i, &x) in lane.iter().enumerate().skip(1) {
        best = if order.wins(x, best.1) { (i, x) } else { best };
    }
    best
}

fn search_chunk<T: Number>(lane: &[T], order: impl Order<T>, asked: bool) -> (usize, T) {
    dispatch_narrow(
        #[inline(always)]
        || {
            let has_nan = lane.iter().fold(false, |found, &x| found | x.is_nan());
            let wins = |x, best| order.wins(x, best);
            let (mut start, mut best) = (0, None);
            for (i, block) in lane.chunks(BLOCK).enumerate() {
                // Numbers alone are compared in half the time.
                let x = if has_nan {
                    winner(block, wins)
                } else {
                    winner(block, |x, best| order.exceeds(x, best))
                };
                if best.is_none_or(|best| wins(x, best)) {
                    (start, best) = (i * BLOCK, Some(x));
                }
            }
            let best = best.expect("a lane that is not empty");
            // All others that are equal are the same.
            if asked || best == T::ZERO || best.is_nan() {
                let index = start + first_of(&lane[start..lane.len().min(start + BLOCK)], best, order);
                return (index, lane[index]);
            }
            (0, best)
        },
    )
}

/// A lane that threads share.
#[cold]
#[inline(never)]
fn search_long<T: Number>(lane: &[T], order: impl Order<T>) -> (usize, T) {
    let chunks = lane.len().div_ceil(CHUNK);
    let mut places = Buffer::filled(chunks, 0);
    let places = places.get_mut().expect("nobody else has it");
    for_each_part(places, 1, |chunk, place| {
        let first = chunk * CHUNK;
        place[0] = first + search_chunk(&lane[first..lane.len().min(first + CHUNK)], order, true).0;
    });
    let choose = |best: usize, &place: &usize| if order.wins(lane[place], lane[best]) { place } else { best };
    let index = places[1..].iter().fold(places[0], choose);
    (index, lane[index])
}

/// The largest element, for a sum of e^x without overflow; -infinity of nothing. NaN may be passed over, as it
/// makes the sum NaN anyway: so this is one vector instruction per vector.
#[inline(always)]
pub(crate) fn largest<T: Float>(lane: &[T]) -> T {
    if lane.is_empty() { -T::INFINITY } else { winner(lane, |x, best| x > best) }
}
