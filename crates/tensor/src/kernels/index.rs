//! Changes of parts, and additions to places that indices name, in order.

use crate::element::Number;
use crate::kernels::range::is_finite;
use crate::kernels::runs::{at, for_each_run};
use crate::kernels::scan::error_of_sum;
use crate::layout::{Layout, Strided};

/// From more additions to one place on, their rounding errors are compensated.
const FEW: usize = 32;

/// Where to add: the number of a row for each row that is added.
pub(crate) struct Additions<'a> {
    places: &'a [usize],
    /// The places with more than [`FEW`] additions, in order.
    crowded: Vec<usize>,
}

impl<'a> Additions<'a> {
    /// For numbers of type `T`.
    pub(crate) fn new<T: Number>(places: &'a [usize]) -> Self {
        let mut crowded = vec![];
        if places.len() > FEW && !T::INTEGER && !places.is_sorted_by(|a, b| a < b) {
            let mut sorted = places.to_vec();
            sorted.sort_unstable();
            let runs = sorted.chunk_by(|a, b| a == b).filter(|run| run.len() > FEW);
            crowded = runs.map(|run| run[0]).collect();
        }
        Self { places, crowded }
    }

    /// Adds the rows of `source`, of `inner` elements each, to rows of `data`.
    pub(crate) fn add<T: Number>(&self, data: &mut [T], inner: usize, source: &[T]) {
        let mut rests = vec![T::ZERO; self.crowded.len() * inner];
        for (&place, added) in self.places.iter().zip(source.chunks_exact(inner.max(1))) {
            let row = data[place * inner..][..inner].iter_mut().zip(added);
            match self.crowded.binary_search(&place) {
                Err(_) => row.for_each(|(x, &added)| *x = x.wrapping_add(added)),
                Ok(slot) => {
                    for ((x, &added), rest) in row.zip(&mut rests[slot * inner..]) {
                        let sum = *x + added;
                        let lost = *rest + finite_or_zero(error_of_sum(*x, added, sum));
                        *x = sum + lost;
                        *rest = finite_or_zero(error_of_sum(sum, lost, *x));
                    }
                }
            }
        }
    }
}

/// The rounding error of an infinite sum is NaN, and counts as 0.
#[inline(always)]
fn finite_or_zero<T: Number>(x: T) -> T {
    if is_finite(x) { x } else { T::ZERO }
}

/// Replaces every element of a part by a function of it and its partner in `values`, which has the part's shape.
pub(crate) fn update<T: Copy>(data: &mut [T], part: &Layout, values: Strided<'_, T>, f: impl Fn(T, T) -> T) {
    for_each_run(&part.shape, [part, values.layout], |[to, from], length, strides| {
        if strides == [1, 1] {
            let values = &values.data[from..from + length];
            data[to..to + length].iter_mut().zip(values).for_each(|(x, &value)| *x = f(*x, value));
        } else {
            for i in 0..length {
                let x = &mut data[at(to, i, strides[0])];
                *x = f(*x, values.data[at(from, i, strides[1])]);
            }
        }
    });
}
