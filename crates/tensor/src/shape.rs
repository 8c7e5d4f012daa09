//! Shapes, lists of axes and sizes, broadcasting.

use std::ops::RangeFull;

use smallvec::SmallVec;

use crate::error::{OrPanic, TensorError};

/// The sizes of a tensor's axes, outermost first; up to four are kept in place, without an allocation.
pub type Shape = SmallVec<[usize; 4]>;

/// The largest number of elements of a tensor: offsets, and sizes in bytes of the widest element, must fit an `isize`.
pub(crate) const MAX_COUNT: usize = isize::MAX as usize / 8;

/// The number of elements of a shape, if it fits.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    // A 0 counts as 1, as in NumPy, because strides, lanes and the shapes of reductions leave it out.
    let product = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size.max(1)))?;
    (product <= MAX_COUNT).then_some(if shape.contains(&0) { 0 } else { product })
}

/// Like [`element_count`], with an error that names the operation.
#[inline]
pub(crate) fn checked_count(operation: &'static str, shape: &[usize]) -> Result<usize, TensorError> {
    element_count(shape).ok_or_else(|| TensorError::TooLarge { operation, shape: shape.into() })
}

/// The shape that two shapes broadcast to: counted from the end, sizes are equal or one of them is 1.
pub(crate) fn broadcast(left: &[usize], right: &[usize]) -> Option<Shape> {
    let rank = left.len().max(right.len());
    let size_at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (size_at(left, i), size_at(right, i)) {
            (a, b) if a == b => Some(a),
            (1, size) | (size, 1) => Some(size),
            _ => None,
        })
        .collect()
}

/// Whether a tensor of the first shape can be expanded to the second: sizes are equal or 1, and axes may be added in
/// front.
pub(crate) fn expands(from: &[usize], to: &[usize]) -> bool {
    let mut sizes = from.iter().rev().zip(to.iter().rev());
    from.len() <= to.len() && sizes.all(|(&size, &whole)| size == whole || size == 1)
}

/// The shape that two shapes broadcast to, as for every elementwise operation of two tensors: counted from the end, sizes
/// are equal or one of them is 1.
///
/// `operation` is named in the error.
///
/// ```
/// use gradus_tensor::broadcast_shapes;
///
/// assert_eq!(broadcast_shapes("add", &[2, 1, 4], &[3, 1]).unwrap().as_slice(), [2, 3, 4]);
/// assert!(broadcast_shapes("add", &[2], &[3]).is_err());
/// ```
///
/// # Errors
/// [`TensorError::Broadcast`] if they do not broadcast, [`TensorError::TooLarge`] if the result is too large.
pub fn broadcast_shapes(
    operation: &'static str,
    left: &[usize],
    right: &[usize],
) -> Result<Shape, TensorError> {
    let shape = broadcast(left, right).ok_or_else(|| TensorError::Broadcast {
        operation,
        left: left.into(),
        right: right.into(),
    })?;
    checked_count(operation, &shape)?;
    Ok(shape)
}

/// The axis counted from the front; negative axes count from the end.
pub(crate) fn resolve_axis(
    operation: &'static str,
    axis: isize,
    shape: &[usize],
) -> Result<usize, TensorError> {
    let rank = shape.len() as isize;
    let resolved = if axis < 0 { axis + rank } else { axis };
    if (0..rank).contains(&resolved) {
        Ok(resolved as usize)
    } else {
        Err(TensorError::Axis { operation, axis, shape: shape.into() })
    }
}

/// The axis along which an operation works lane by lane, counted from the front; negative axes count from the end.
///
/// A 0-d tensor is one lane of one element, and has the axes 0 and -1 as if it were 1-d.
///
/// ```
/// use gradus_tensor::lane_axis;
///
/// assert_eq!(lane_axis("softmax", -1, &[2, 3]).unwrap(), 1);
/// assert_eq!(lane_axis("softmax", -1, &[]).unwrap(), 0);
/// assert!(lane_axis("softmax", 2, &[2, 3]).is_err());
/// ```
///
/// # Errors
/// [`TensorError::Axis`] if the axis is out of range.
pub fn lane_axis(operation: &'static str, axis: isize, shape: &[usize]) -> Result<usize, TensorError> {
    if shape.is_empty() && matches!(axis, 0 | -1) { Ok(0) } else { resolve_axis(operation, axis, shape) }
}

/// An axis that has been checked, counted from the front; a 0-d tensor has the axes 0 and -1.
pub(crate) fn from_front(axis: isize, rank: usize) -> usize {
    (if axis < 0 { axis + rank.max(1) as isize } else { axis }) as usize
}

/// The number of indices before an axis, along it and after it.
pub(crate) fn spans(shape: &[usize], axis: usize) -> [usize; 3] {
    match shape {
        [] => [1; 3],
        _ => [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()],
    }
}

/// The place of a new axis counted from the front; negative places count from the end of the result.
pub(crate) fn resolve_new_axis(
    operation: &'static str,
    axis: isize,
    shape: &[usize],
) -> Result<usize, TensorError> {
    let rank = shape.len() as isize + 1;
    let resolved = if axis < 0 { axis + rank } else { axis };
    if (0..rank).contains(&resolved) {
        return Ok(resolved as usize);
    }
    Err(TensorError::argument(operation, "axis", axis, shape, format!("allowed are -{rank} to {}", rank - 1)))
}

/// A list of signed integers, axes or sizes: made from a number, an array, a slice or a `Vec` of
/// `isize`, `usize`, `i32` or `i64`, or from a tuple of up to six, in which the types may differ.
///
/// ```
/// use gradus_tensor::{Dims, Tensor};
///
/// let x = Tensor::<f32>::zeros([2, 3]);
/// assert_eq!(x.reshape(6).shape(), [6]);
/// assert_eq!(x.reshape([-1, 2]).shape(), [3, 2]);
/// let columns = x.shape()[1]; // a `usize`, beside which an array cannot hold -1
/// assert_eq!(x.reshape((columns, -1)).shape(), [3, 2]);
/// assert_eq!(Dims::from(vec![3_usize, 2]), Dims::from([3_i64, 2]));
/// assert_eq!(Dims::from([-1, 0]).resolve("permute", x.shape()).unwrap().as_slice(), [1, 0]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dims(pub(crate) SmallVec<[isize; 4]>);

impl Dims {
    /// The integers.
    pub fn as_slice(&self) -> &[isize] {
        &self.0
    }

    /// The axes counted from the front, for a tensor of this shape.
    ///
    /// # Errors
    /// With the name of the operation, if an axis is out of range or named twice.
    pub fn resolve(&self, operation: &'static str, shape: &[usize]) -> Result<Shape, TensorError> {
        let axes =
            self.0.iter().map(|&axis| resolve_axis(operation, axis, shape)).collect::<Result<Shape, _>>()?;
        if (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
            return Err(TensorError::RepeatedAxis { operation, axes: self.0.to_vec(), shape: shape.into() });
        }
        Ok(axes)
    }
}

/// The axes that a reduction runs over, and whether they stay with size 1.
///
/// Made from one axis, a list of axes, or `..` for all of them; negative axes count from the end.
/// [`keepdim`] makes the reduced axes stay.
///
/// ```
/// use gradus_tensor::{Axes, Tensor, keepdim};
///
/// let x = Tensor::<f32>::ones([2, 3, 4]);
/// assert_eq!(x.sum(1).shape(), [2, 4]);
/// assert_eq!(x.sum([0, -1]).shape(), [3]);
/// assert_eq!(x.sum(keepdim(-1)).shape(), [2, 3, 1]);
/// assert_eq!(x.sum(..).item(), 24.0);
/// assert_eq!(Axes::from([-1, 0]).resolve("sum", x.shape()).as_slice(), [0, 2]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes {
    /// `None` for all.
    pub(crate) list: Option<Dims>,
    pub(crate) keepdim: bool,
}

/// These axes, kept in the result with size 1; see [`Axes`].
pub fn keepdim(axes: impl Into<Axes>) -> Axes {
    Axes { keepdim: true, ..axes.into() }
}

impl Axes {
    /// Whether the reduced axes stay with size 1.
    pub fn keeps_dims(&self) -> bool {
        self.keepdim
    }

    /// The axes as they were named; `None` for `..`.
    pub fn named(&self) -> Option<&Dims> {
        self.list.as_ref()
    }

    /// The axes counted from the front, in rising order, for a tensor of this shape.
    ///
    /// A 0-d tensor has no axes, but 0 and -1 may be named, as if it had one of size 1.
    ///
    /// # Panics
    /// With the name of the operation, if an axis is out of range or named twice.
    #[track_caller]
    pub fn resolve(&self, operation: &'static str, shape: &[usize]) -> Shape {
        self.resolved(operation, shape).or_panic()
    }

    /// [`resolve`](Self::resolve) with an error in place of the panic.
    pub(crate) fn resolved(&self, operation: &'static str, shape: &[usize]) -> Result<Shape, TensorError> {
        let mut axes = match &self.list {
            None => (0..shape.len()).collect(),
            Some(list) if shape.is_empty() && matches!(list.as_slice(), [0 | -1]) => Shape::new(),
            Some(list) => list.resolve(operation, shape)?,
        };
        axes.sort_unstable();
        Ok(axes)
    }
}

impl From<RangeFull> for Axes {
    fn from(_: RangeFull) -> Self {
        Self { list: None, keepdim: false }
    }
}

macro_rules! from_integers {
    ($($int:ty),*) => {$(
        from_integers!(@ $int, [] $int, |source| std::slice::from_ref(&source));
        from_integers!(@ $int, [const N: usize] [$int; N], |source| &source);
        from_integers!(@ $int, [const N: usize] &[$int; N], |source| source);
        from_integers!(@ $int, [] &[$int], |source| source);
        from_integers!(@ $int, [] Vec<$int>, |source| &source);
    )*};
    (@ $int:ty, [$($generics:tt)*] $source:ty, |$name:ident| $slice:expr) => {
        impl<$($generics)*> From<$source> for Dims {
            fn from($name: $source) -> Self {
                let integers: &[$int] = $slice;
                Self(integers.iter().map(|&value| value.try_into().unwrap_or(isize::MAX)).collect())
            }
        }
        impl<$($generics)*> From<$source> for Axes {
            fn from(source: $source) -> Self {
                Self { list: Some(source.into()), keepdim: false }
            }
        }
    };
}
from_integers!(isize, usize, i32, i64);

/// Tuples, in which sizes of several types mix: `(n, -1)`.
macro_rules! from_tuples {
    ($(($($name:ident)+))*) => {$(
        impl<$($name: TryInto<isize>),+> From<($($name,)+)> for Dims {
            fn from(tuple: ($($name,)+)) -> Self {
                #[allow(non_snake_case, reason = "values under the names of their types")]
                let ($($name,)+) = tuple;
                [$($name.try_into().unwrap_or(isize::MAX)),+].into()
            }
        }
    )*};
}
from_tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

impl From<Shape> for Dims {
    fn from(shape: Shape) -> Self {
        shape.as_slice().into()
    }
}

impl From<Shape> for Axes {
    fn from(shape: Shape) -> Self {
        shape.as_slice().into()
    }
}
