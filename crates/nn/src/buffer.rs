//! Buffers.

use std::fmt::{self, Debug, Formatter};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use gradus_autograd::{Float, Tensor, Var, compile};

use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// A tensor that is part of a model's state, but is not trained by gradients, such as the running statistics of
/// [`BatchNorm2d`](crate::BatchNorm2d).
///
/// A forward pass in training may change it through a shared reference. A clone is independent.
///
/// ```
/// use gradus_nn::Buffer;
///
/// let seen = Buffer::new([0.0, 0.0]);
/// seen.update(|seen| *seen += 1.0);
/// assert_eq!(seen.value().to_vec(), [1.0, 1.0]);
/// ```
pub struct Buffer<T: Float = f32>(RwLock<Tensor<T>>);

impl<T: Float> Buffer<T> {
    /// A buffer with this initial value.
    pub fn new(value: impl Into<Tensor<T>>) -> Self {
        Self(RwLock::new(value.into()))
    }

    /// The value, shared without a copy.
    ///
    /// # Panics
    /// In a function that is being compiled: there [`var`](Self::var) is the value.
    #[track_caller]
    pub fn value(&self) -> Tensor<T> {
        assert!(
            !compile::is_tracing(),
            "value: a function that is being compiled reads a buffer, whose numbers would stay the same in later calls: \
             `var` is the buffer as a variable"
        );
        self.locked()
    }

    /// The value as a constant, for a forward pass.
    ///
    /// In a compiled step it is on the tape, and each call reads the value that the buffer has then; [`value`](Self::value)
    /// is refused there.
    pub fn var(&self) -> Var<T> {
        compile::buffer(self.address(), || self.locked())
    }

    /// Replaces the value by a variable that a forward pass has computed, in a compiled step in each call.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::Buffer;
    ///
    /// let mean = Buffer::new([0.0, 0.0]);
    /// let x = Var::constant([2.0, 4.0]);
    /// mean.assign(&(mean.var() * 0.5 + x * 0.5));
    /// assert_eq!(mean.value().to_vec(), [1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the new value has another shape.
    #[track_caller]
    pub fn assign(&self, value: &Var<T>) {
        compile::assign(self.address(), value);
        self.replace("assign", value.numbers().clone());
    }

    /// The place in memory, by which a compiled step finds the buffer in a model.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    pub(crate) fn value_mut(&mut self) -> &mut Tensor<T> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> Tensor<T> {
        // A panic cannot leave a change half made, so a poisoned lock is sound.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the value. Other threads wait until `update` returns; `update` itself must not use the buffer.
    ///
    /// # Panics
    /// If the new value has another shape. After any panic the buffer has its old value.
    #[track_caller]
    pub fn update(&self, update: impl FnOnce(&mut Tensor<T>)) {
        refuse_in_trace("update", "`assign` gives a buffer the value of a variable");
        let mut value = self.write();
        // `update` changes a copy, so that a panic leaves the old value.
        let mut new = value.clone();
        update(&mut new);
        assert!(
            new.shape() == value.shape(),
            "update: the new value has shape {:?}, the buffer {:?}: they must be equal",
            new.shape(),
            value.shape()
        );
        *value = new;
    }

    /// Replaces the value.
    ///
    /// # Panics
    /// If the new value has another shape.
    #[track_caller]
    pub fn set(&self, value: impl Into<Tensor<T>>) {
        refuse_in_trace("set", "`assign` gives a buffer the value of a variable");
        self.replace("set", value.into());
    }

    #[track_caller]
    fn replace(&self, function: &str, value: Tensor<T>) {
        let mut old = self.write();
        assert!(
            value.shape() == old.shape(),
            "{function}: the new value has shape {:?}, the buffer {:?}: they must be equal",
            value.shape(),
            old.shape()
        );
        *old = value;
    }

    /// The value, locked to be read and changed.
    fn write(&self) -> RwLockWriteGuard<'_, Tensor<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buffer, locked until it has its next value.
    pub(crate) fn change(&self) -> Change<'_, T> {
        let value = self.write();
        let var = compile::buffer(self.address(), || value.clone());
        Change { address: self.address(), value, var }
    }
}

/// Panics in a function that is being compiled, whose plan would not make a change of this kind.
#[track_caller]
pub(crate) fn refuse_in_trace(function: &str, instead: &str) {
    assert!(
        !compile::is_tracing(),
        "{function}: a function that is being compiled makes a change that later calls would not make: {instead}"
    );
}

/// A buffer that is locked while a forward pass computes its next value.
pub(crate) struct Change<'a, T: Float> {
    address: usize,
    value: RwLockWriteGuard<'a, Tensor<T>>,
    var: Var<T>,
}

impl<T: Float> Change<'_, T> {
    /// The value so far.
    pub(crate) fn var(&self) -> &Var<T> {
        &self.var
    }

    /// Sets the next value, of the same shape.
    pub(crate) fn becomes(mut self, next: Var<T>) {
        compile::assign(self.address, &next);
        *self.value = next.numbers().clone();
    }
}

impl<T: Float> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self::new(self.value())
    }
}

/// The shape alone, as of a [`Parameter`](crate::Parameter).
impl<T: Float> Debug for Buffer<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer<{}> {:?}", T::NAME, self.locked().shape())
    }
}

impl<T: Float> Module<T> for Buffer<T> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Buffer(self));
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        visitor(path, MemberMut::Buffer(self));
    }
}
