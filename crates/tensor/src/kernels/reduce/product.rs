//! Products of lanes.

use std::mem::MaybeUninit;

use super::{Reduction, Rows, STRIP, write_all};
use crate::element::Number;
use crate::kernels::range::{self, is_finite};

/// The product, whose partial results may be out of range.
pub(super) struct Product;

impl Product {
    /// The product with one more factor, and the smallest magnitude of a product so far.
    #[inline(always)]
    fn step<T: Number>((product, smallest): (T, T), x: T) -> (T, T) {
        let next = product.wrapping_mul(x);
        (next, if next.abs() < smallest { next.abs() } else { smallest })
    }

    /// Whether no product on the way was out of range, if the last and the smallest one are these.
    #[inline(always)]
    fn in_range<T: Number>((product, smallest): (T, T)) -> bool {
        T::INTEGER | (is_finite(product) & (smallest >= range::smallest_normal()))
    }

    /// The product of a lane that has a 0, or is out of range somewhere.
    #[cold]
    #[inline(never)]
    fn of<T: Number>(lane: impl Iterator<Item = T> + Clone) -> T {
        if range::product_in_range(lane.clone()) {
            lane.fold(T::ONE, |product, x| product * x)
        } else {
            lane.fold(range::Product::EMPTY, range::Product::times).value()
        }
    }
}

impl<T: Number> Reduction<T> for Product {
    type Output = T;
    const ACROSS: bool = true;
    const WIDE: bool = false;

    #[inline(always)]
    fn lane(&self, lane: &[T]) -> T {
        let Some((&first, rest)) = lane.split_first() else { return T::ONE };
        let state = rest.iter().fold((first, T::ONE), |state, &x| Self::step(state, x));
        if Self::in_range(state) { state.0 } else { Self::of(lane.iter().copied()) }
    }

    #[inline(always)]
    fn across(&self, rows: Rows<'_, T>, out: &mut [MaybeUninit<T>]) {
        let columns = out.len();
        let results = write_all(out, rows.row(0, columns).iter().copied());
        let mut smallest = [T::ONE; STRIP];
        for row in 1..rows.count {
            for ((result, smallest), &x) in results.iter_mut().zip(&mut smallest).zip(rows.row(row, columns))
            {
                (*result, *smallest) = Self::step((*result, *smallest), x);
            }
        }
        for (column, (result, smallest)) in results.iter_mut().zip(smallest).enumerate() {
            if !Self::in_range((*result, smallest)) {
                *result = Self::of(rows.column(column, columns).into_iter());
            }
        }
    }
}
