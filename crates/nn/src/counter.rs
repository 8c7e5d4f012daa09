//! Counters.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicI64, Ordering};

use gradus_autograd::{Float, Indices, compile, drawn};

use crate::buffer::refuse_in_trace;
use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// A number that forward passes in training count up, such as the batches that
/// [`BatchNorm2d`](crate::BatchNorm2d) has seen, or the key of the next mask of [`Dropout`](crate::Dropout).
///
/// It is part of a model's [`state`](crate::Module::state), and changes through a shared reference. A clone is
/// independent.
///
/// ```
/// use gradus_nn::Counter;
///
/// let batches = Counter::new(0);
/// assert_eq!((batches.next(), batches.next(), batches.get()), (0, 1, 2));
/// ```
pub struct Counter {
    value: AtomicI64,
    persistent: bool,
}

impl Counter {
    /// A counter that files of weights hold.
    pub fn new(value: i64) -> Self {
        Self { value: AtomicI64::new(value), persistent: true }
    }

    /// A counter that only states and checkpoints hold: PyTorch's files have no such number.
    pub fn non_persistent(value: i64) -> Self {
        Self { persistent: false, ..Self::new(value) }
    }

    /// Whether files of weights hold it.
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// The number.
    pub fn get(&self) -> i64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Replaces the number.
    ///
    /// # Panics
    /// In a function that is being compiled.
    #[track_caller]
    pub fn set(&self, value: i64) {
        refuse_in_trace("set", "set a counter between calls");
        self.value.store(value, Ordering::Relaxed);
    }

    /// The number, which is then one larger (and wraps around). In a function that [`checkpoint`](gradus_autograd::checkpoint)
    /// runs again for the backward pass, the number of the first run.
    ///
    /// In a compiled step it grows in each call, but the number that this returns is the first one: what computes with it
    /// takes [`next_key`](Self::next_key).
    pub fn next(&self) -> i64 {
        drawn(|| {
            compile::count(self.address());
            self.value.fetch_add(1, Ordering::Relaxed)
        })
    }

    /// The number as an input of an operation, such as the key of [`Var::dropout`](gradus_autograd::Var::dropout); it is
    /// then one larger.
    pub fn next_key<T: Float>(&self) -> Indices<T> {
        compile::draw(self.address(), || self.value.fetch_add(1, Ordering::Relaxed))
    }

    /// The place in memory, by which a compiled step finds the counter in a model.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    pub(crate) fn value_mut(&mut self) -> &mut i64 {
        self.value.get_mut()
    }
}

impl Clone for Counter {
    fn clone(&self) -> Self {
        Self { value: AtomicI64::new(self.get()), persistent: self.persistent }
    }
}

impl Debug for Counter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Counter {}", self.get())
    }
}

impl<T: Float> Module<T> for Counter {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Counter(self));
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        visitor(path, MemberMut::Counter(self));
    }
}
