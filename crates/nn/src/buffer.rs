//! Buffers.

use std::fmt::{self, Debug, Formatter};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use gradus_autograd::{Float, Tensor};

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
    pub fn value(&self) -> Tensor<T> {
        // A panic cannot leave a change half made, so a poisoned lock is sound.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the value. Other threads wait until `update` returns; `update` itself must not use the buffer.
    ///
    /// # Panics
    /// If the new value has another shape. After any panic the buffer has its old value.
    #[track_caller]
    pub fn update(&self, update: impl FnOnce(&mut Tensor<T>)) {
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
        let (value, mut old) = (value.into(), self.write());
        assert!(
            value.shape() == old.shape(),
            "set: the new value has shape {:?}, the buffer {:?}: they must be equal",
            value.shape(),
            old.shape()
        );
        *old = value;
    }

    /// The value, locked to be read and changed.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Tensor<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
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
        write!(f, "Buffer<{}> {:?}", T::NAME, self.value().shape())
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
