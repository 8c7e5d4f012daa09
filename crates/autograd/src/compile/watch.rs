//! Constants that others hold, too, and may replace.
//!
//! A plan has its constants from the function that was recorded: tensors that its closure captured, and that may lie behind a
//! lock. A plan cannot see that a lock has another tensor now, but that the old one has fewer owners: it was dropped, or
//! changed, which makes a copy if somebody shares it.

use std::collections::hash_map::Entry;

use gradus_tensor::Float;

use super::plan::Plan;
use crate::tape::node::{AddressMap, Saved};

/// A constant, and the number of its owners when it was last looked at.
pub(super) struct Watched<T> {
    constant: Saved<T>,
    owners: usize,
    /// Whether it has had fewer owners than before.
    is_lost: bool,
}

impl<T: Float> Saved<T> {
    /// The buffer, if this is a value, and the number of its owners.
    fn owners(&self) -> Option<(usize, usize)> {
        match self {
            Self::Value(value) => Some((value.buffer_id_and_bytes().0, value.owners())),
            Self::Indices(value) => Some((value.buffer_id_and_bytes().0, value.owners())),
            Self::Mask(value) => Some((value.buffer_id_and_bytes().0, value.owners())),
            Self::Shape(_) => None,
        }
    }
}

impl<T: Float> Plan<T> {
    /// Watches the constants that others hold besides the plan, now that the step was recorded.
    #[doc(hidden)]
    pub fn watch(&mut self) {
        let captured = std::mem::take(&mut self.captured);
        // The owners of each buffer that are in the plan.
        let mut own: AddressMap<usize, usize> = AddressMap::default();
        for (buffer, _) in
            self.values[self.constants.clone()].iter().chain(&captured).filter_map(Saved::owners)
        {
            *own.entry(buffer).or_default() += 1;
        }
        let mut watched: AddressMap<usize, Saved<T>> = AddressMap::default();
        for constant in captured {
            let Some((buffer, owners)) = constant.owners() else { continue };
            let in_plan = own.get_mut(&buffer).expect("it was counted");
            match watched.entry(buffer) {
                Entry::Vacant(new) if owners > *in_plan => drop(new.insert(constant)),
                // It is dropped here.
                _ => *in_plan -= 1,
            }
        }
        let watch = |constant: Saved<T>| {
            let (_, owners) = constant.owners()?;
            Some(Watched { constant, owners, is_lost: false })
        };
        self.watched = watched.into_values().filter_map(watch).collect();
    }

    /// Looks which constants have lost an owner since the last time.
    #[doc(hidden)]
    #[inline]
    pub fn look(&mut self) {
        for watched in &mut self.watched {
            let now = watched.owners_now();
            watched.is_lost |= now < watched.owners;
            watched.owners = now;
        }
    }

    /// Takes the owners that there are now, after plans of the same function have come or gone.
    #[doc(hidden)]
    pub fn count_owners(&mut self) {
        for watched in &mut self.watched {
            watched.owners = watched.owners_now();
        }
    }

    /// Whether no constant has lost an owner, so that all that was captured is what it was.
    #[doc(hidden)]
    #[inline]
    pub fn is_current(&self) -> bool {
        self.watched.iter().all(|watched| !watched.is_lost)
    }

    /// The shape of a constant that has lost an owner.
    #[doc(hidden)]
    pub fn shape_of_lost(&self) -> Option<&[usize]> {
        let lost = self.watched.iter().find(|watched| watched.is_lost)?;
        Some(lost.constant.shape())
    }
}

impl<T: Float> Watched<T> {
    fn owners_now(&self) -> usize {
        self.constant.owners().map_or(0, |(_, owners)| owners)
    }
}
