//! Additions to places that indices name, in order.

use super::scan::{error_of_sum, settled};
use crate::element::Number;
use crate::range::is_integer;

/// The additions to one place after which their rounding errors are carried along, so that they do not add up.
const FEW: usize = 32;
/// The slot of a place without rounding errors.
const NONE: usize = usize::MAX;

/// Where to add: the number of a row for each row that is added.
pub(crate) struct Additions<'a> {
    places: &'a [usize],
    /// By place, the number of its rounding errors, or [`NONE`]; without elements if no place has any.
    slots: Vec<usize>,
    crowded: usize,
}

impl<'a> Additions<'a> {
    /// For numbers of type `T`, to places below `size`.
    pub(crate) fn new<T: Number>(places: &'a [usize], size: usize) -> Self {
        let mut additions = Self { places, slots: vec![], crowded: 0 };
        if places.len() > FEW && !is_integer::<T>() {
            let mut counts = vec![0; size];
            for &place in places {
                counts[place] += 1;
            }
            let mut slot = |count| {
                if count > FEW {
                    additions.crowded += 1;
                    additions.crowded - 1
                } else {
                    NONE
                }
            };
            additions.slots = counts.into_iter().map(&mut slot).collect();
        }
        additions
    }

    /// Adds the rows of `inner` elements of `source` to those of `data`.
    pub(crate) fn add<T: Number>(&self, data: &mut [T], inner: usize, source: &[T]) {
        let mut rests = vec![T::ZERO; self.crowded * inner];
        for (&place, added) in self.places.iter().zip(source.chunks_exact(inner.max(1))) {
            let row = data[place * inner..][..inner].iter_mut().zip(added);
            match self.slots.get(place) {
                None | Some(&NONE) => row.for_each(|(x, &added)| *x = x.wrapping_add(added)),
                Some(slot) => {
                    for ((x, &added), rest) in row.zip(&mut rests[slot * inner..]) {
                        let sum = *x + added;
                        [*x, *rest] = settled([sum, *rest + error_of_sum(*x, added, sum)]);
                    }
                }
            }
        }
    }
}
