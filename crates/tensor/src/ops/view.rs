//! Views: other shapes and strides for the same buffer, without a copy.
//!
//! The checks and the layout of a view are one function of the layout beneath it, so that its shape is known without a
//! tensor.

use super::subscript::resolve_index;
use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::layout::{Layout, copied};
use crate::shape::{
    Axes, Dims, Shape, checked_count, element_count, expands, lane_axis, resolve_axis, resolve_new_axis,
};
use crate::slice::Slice;
use crate::tensor::Tensor;

/// Views: other shapes and strides for the same buffer, without a copy.
///
/// ```
/// use gradus_tensor::{Slice, Tensor};
///
/// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!(x.slice(1, 1..), Tensor::from([[2, 3], [5, 6]]));
/// assert_eq!(x.slice(1, Slice::from(..).step(-2)), Tensor::from([[3, 1], [6, 4]]));
/// assert_eq!(x.flip(1), Tensor::from([[3, 2, 1], [6, 5, 4]]));
/// assert_eq!(x.select(0, -1), Tensor::from([4, 5, 6]));
/// assert_eq!(x.select(0, -1).expand([2, 3]), Tensor::from([[4, 5, 6], [4, 5, 6]]));
/// assert_eq!(x.t(), Tensor::from([[1, 4], [2, 5], [3, 6]]));
/// assert_eq!(x.reshape([3, -1]), Tensor::from([[1, 2], [3, 4], [5, 6]]));
/// assert_eq!(x.flatten(..), Tensor::from([1, 2, 3, 4, 5, 6]));
/// assert_eq!(x.unflatten(1, [3, -1]).shape(), [2, 3, 1]);
/// assert_eq!(x.unflatten(1, [3, 1]).flatten(..2).shape(), [6, 1]);
/// assert_eq!(x.unsqueeze(-1).shape(), [2, 3, 1]);
/// assert_eq!(x.unsqueeze(-1).permute([2, 0, 1]).shape(), [1, 2, 3]);
/// assert_eq!(x.unsqueeze(-1).squeeze(..).shape(), [2, 3]);
/// ```
impl<T: Element> Tensor<T> {
    /// Part of one axis: a range, or every n-th index of it, also backwards; see [`Slice`].
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl Into<Slice>) -> Self {
        self.with_layout(slice(self.layout(), axis, range.into()).or_panic())
    }

    /// The part at one index of an axis, without the axis; a negative index counts from the end.
    ///
    /// # Panics
    /// If the axis or the index is out of range.
    #[track_caller]
    pub fn select(&self, axis: isize, index: isize) -> Self {
        self.with_layout(select(self.layout(), axis, index).or_panic())
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this tensor.
    ///
    /// # Panics
    /// Unless every axis is named exactly once.
    #[track_caller]
    pub fn permute(&self, axes: impl Into<Dims>) -> Self {
        self.with_layout(permute(self.layout(), &axes.into()).or_panic())
    }

    /// Two axes swapped. A 0-d tensor takes the axes 0 and -1, and stays as it is.
    ///
    /// # Panics
    /// If an axis is out of range.
    #[track_caller]
    pub fn transpose(&self, axis0: isize, axis1: isize) -> Self {
        self.with_layout(transpose(self.layout(), axis0, axis1).or_panic())
    }

    /// The transpose of a matrix, or of a stack of matrices: the last two axes swapped.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn t(&self) -> Self {
        self.with_layout(t(self.layout()).or_panic())
    }

    /// The same elements in the same order under another shape, in which one size may be -1: it is
    /// inferred. An array has sizes of one type; in a tuple, they mix: `reshape((n, -1))`. Copies only where strides cannot
    /// express the result.
    ///
    /// # Panics
    /// If the shape has another number of elements.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Dims>) -> Self {
        let shape = reshape_shape(self.shape(), &shape.into()).or_panic();
        match self.layout().reshape(&shape) {
            Some(layout) => self.with_layout(layout),
            None => Self::from_buffer(crate::kernels::copy(self.strided()), &shape),
        }
    }

    /// The axes of a range merged into one: `flatten(..)` gives all elements along one axis, `flatten(1..)` keeps the first
    /// axis. Copies only where strides cannot express the result.
    ///
    /// # Panics
    /// If the range names no axis, or one that is not there. (`..` of a 0-d tensor gives one axis of size 1.)
    #[track_caller]
    pub fn flatten(&self, axes: impl Into<Slice>) -> Self {
        self.reshape(flatten_shape(self.shape(), axes.into()).or_panic())
    }

    /// An axis split into several, of which one size may be -1: it is inferred. A view.
    ///
    /// # Panics
    /// If the axis is out of range, or the sizes do not multiply to its size.
    #[track_caller]
    pub fn unflatten(&self, axis: isize, sizes: impl Into<Dims>) -> Self {
        self.reshape(unflatten_shape(self.shape(), axis, &sizes.into()).or_panic())
    }

    /// A new axis of size 1 at this place of the result.
    ///
    /// # Panics
    /// If the place is beyond the axes of the result.
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Self {
        self.with_layout(unsqueeze(self.layout(), axis).or_panic())
    }

    /// Removes the named axes that have size 1; `..` names all axes.
    ///
    /// # Panics
    /// If an axis is out of range.
    #[track_caller]
    pub fn squeeze(&self, axes: impl Into<Axes>) -> Self {
        self.with_layout(squeeze(self.layout(), &axes.into()).or_panic())
    }

    /// Repeats axes of size 1, and adds axes in front, up to this shape.
    ///
    /// # Panics
    /// If the tensor's shape does not broadcast to this shape.
    #[track_caller]
    pub fn expand(&self, shape: impl AsRef<[usize]>) -> Self {
        let shape = shape.as_ref();
        check_expand(self.shape(), shape).or_panic();
        self.with_layout(self.layout().expand(shape))
    }

    /// The elements in reverse order along the named axes.
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn flip(&self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into().resolve("flip", self.shape());
        let reverse = Slice::new(None, None, -1);
        self.with_layout(axes.iter().fold(self.layout().clone(), |layout, &axis| layout.slice(axis, reverse)))
    }

    /// A view by strides: the element at `[i0, i1, ...]` is the element at
    /// `offset + i0 * strides[0] + i1 * strides[1] + ...` in the buffer, all counted in elements. Strides may be
    /// negative, 0, and such that indices share elements.
    ///
    /// The other views are easier to read; this one is for layouts that come from outside the program.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1, 2, 3, 4, 5, 6]);
    /// let windows = x.as_strided([3, 2], [2, -1], 1)?;
    /// assert_eq!(windows, Tensor::from([[2, 1], [4, 3], [6, 5]]));
    /// assert!(x.as_strided([3, 2], [2, 1], 2).is_err()); // the last one would be at 2 + 2 * 2 + 1
    /// # Ok::<(), gradus_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If there is not one stride for each axis, or an element would lie outside the buffer.
    pub fn as_strided(
        &self,
        shape: impl AsRef<[usize]>,
        strides: impl AsRef<[isize]>,
        offset: usize,
    ) -> Result<Self, TensorError> {
        let (shape, strides) = (shape.as_ref(), strides.as_ref());
        let count = checked_count("as_strided", shape)?;
        let error = |argument, got, expected| {
            Err(TensorError::argument("as_strided", argument, got, shape, expected))
        };
        if strides.len() != shape.len() {
            let expected = "there must be one for each axis".into();
            return error("the number of strides", strides.len().to_string(), expected);
        }
        // The first and the last place, in numbers in which nothing overflows.
        let (mut first, mut last) = (offset as i128, offset as i128);
        for (&size, &stride) in shape.iter().zip(strides) {
            let reach = stride as i128 * (size as i128 - 1);
            if reach < 0 { first += reach } else { last += reach }
        }
        if count == 0 {
            // No element, no place: not even the offset says anything.
            return Ok(self.with_layout(Layout::contiguous(shape)));
        }
        let length = self.buffer().len();
        if first < 0 || last >= length as i128 {
            let got = format!("{strides:?} from offset {offset}");
            let expected = format!("its elements would lie at {first} to {last}, the buffer has {length}");
            return error("strides", got, expected);
        }
        Ok(self.with_layout(Layout { shape: shape.into(), strides: strides.into(), offset }))
    }
}

fn slice(layout: &Layout, axis: isize, slice: Slice) -> Result<Layout, TensorError> {
    Ok(layout.slice(resolve_axis("slice", axis, &layout.shape)?, slice))
}

fn select(layout: &Layout, axis: isize, index: isize) -> Result<Layout, TensorError> {
    let axis = resolve_axis("select", axis, &layout.shape)?;
    let index = resolve_index("select", "index", index, axis, &layout.shape)?;
    Ok(layout.slice(axis, (index..index + 1).into()).remove_axis(axis))
}

fn permute(layout: &Layout, axes: &Dims) -> Result<Layout, TensorError> {
    let order = axes.resolve("permute", &layout.shape)?;
    if order.len() != layout.rank() {
        let got = format!("{:?}", axes.0);
        let expected = "it must name every axis once";
        return Err(TensorError::argument("permute", "axes", got, &layout.shape, expected));
    }
    Ok(layout.permute(&order))
}

fn transpose(layout: &Layout, axis0: isize, axis1: isize) -> Result<Layout, TensorError> {
    let first = lane_axis("transpose", axis0, &layout.shape)?;
    let second = lane_axis("transpose", axis1, &layout.shape)?;
    Ok(if first == second { layout.clone() } else { layout.swap_axes(first, second) })
}

fn t(layout: &Layout) -> Result<Layout, TensorError> {
    check_rank("t", &layout.shape)?;
    Ok(layout.swap_axes(layout.rank() - 2, layout.rank() - 1))
}

/// Refuses a shape without a last and a last but one axis.
pub(crate) fn check_rank(operation: &'static str, shape: &[usize]) -> Result<(), TensorError> {
    if shape.len() >= 2 {
        return Ok(());
    }
    let rank = shape.len();
    Err(TensorError::argument(operation, "the number of axes", rank, shape, "it must be at least 2"))
}

fn unsqueeze(layout: &Layout, axis: isize) -> Result<Layout, TensorError> {
    Ok(layout.insert_axis(resolve_new_axis("unsqueeze", axis, &layout.shape)?, 1, 0))
}

fn squeeze(layout: &Layout, axes: &Axes) -> Result<Layout, TensorError> {
    let axes = axes.resolved("squeeze", &layout.shape)?;
    let dropped = axes.iter().rev().filter(|&&axis| layout.shape[axis] == 1);
    Ok(dropped.fold(layout.clone(), |layout, &axis| layout.remove_axis(axis)))
}

fn check_expand(from: &[usize], to: &[usize]) -> Result<(), TensorError> {
    if !expands(from, to) {
        let expected = "counted from the end, sizes must be equal or the first one 1";
        return Err(TensorError::mismatch("expand", from, to, expected));
    }
    checked_count("expand", to).map(drop)
}

/// The shape of [`Tensor::slice`].
#[doc(hidden)]
pub fn slice_shape(shape: &[usize], axis: isize, range: Slice) -> Result<Shape, TensorError> {
    Ok(slice(&Layout::contiguous(shape), axis, range)?.shape)
}

/// The shape of [`Tensor::select`].
#[doc(hidden)]
pub fn select_shape(shape: &[usize], axis: isize, index: isize) -> Result<Shape, TensorError> {
    Ok(select(&Layout::contiguous(shape), axis, index)?.shape)
}

/// The shape of [`Tensor::permute`].
#[doc(hidden)]
pub fn permute_shape(shape: &[usize], axes: &Dims) -> Result<Shape, TensorError> {
    Ok(permute(&Layout::contiguous(shape), axes)?.shape)
}

/// The shape of [`Tensor::transpose`].
#[doc(hidden)]
pub fn transpose_shape(shape: &[usize], axis0: isize, axis1: isize) -> Result<Shape, TensorError> {
    Ok(transpose(&Layout::contiguous(shape), axis0, axis1)?.shape)
}

/// The shape of [`Tensor::t`].
#[doc(hidden)]
pub fn t_shape(shape: &[usize]) -> Result<Shape, TensorError> {
    check_rank("t", shape)?;
    let mut shape = copied(shape);
    let last = shape.len() - 1;
    shape.swap(last - 1, last);
    Ok(shape)
}

/// The shape of [`Tensor::unsqueeze`].
#[doc(hidden)]
pub fn unsqueeze_shape(shape: &[usize], axis: isize) -> Result<Shape, TensorError> {
    Ok(unsqueeze(&Layout::contiguous(shape), axis)?.shape)
}

/// The shape of [`Tensor::squeeze`].
#[doc(hidden)]
pub fn squeeze_shape(shape: &[usize], axes: &Axes) -> Result<Shape, TensorError> {
    Ok(squeeze(&Layout::contiguous(shape), axes)?.shape)
}

/// The shape of [`Tensor::expand`].
#[doc(hidden)]
pub fn expand_shape(shape: &[usize], to: &[usize]) -> Result<Shape, TensorError> {
    check_expand(shape, to)?;
    Ok(to.into())
}

/// The shape of [`Tensor::flip`].
#[doc(hidden)]
pub fn flip_shape(shape: &[usize], axes: &Axes) -> Result<Shape, TensorError> {
    axes.resolved("flip", shape)?;
    Ok(shape.into())
}

/// The shape of [`Tensor::reshape`]: the requested one, with its one -1 inferred.
#[doc(hidden)]
pub fn reshape_shape(shape: &[usize], requested: &Dims) -> Result<Shape, TensorError> {
    let error = || TensorError::Reshape { shape: shape.into(), requested: requested.0.to_vec() };
    let count = element_count(shape).ok_or_else(error)?;
    let known: Shape = requested.0.iter().filter(|&&size| size != -1).map(|&size| size as usize).collect();
    let negatives = requested.0.iter().filter(|&&size| size < 0).count();
    let product = element_count(&known).ok_or_else(error)?;
    let fits = match requested.0.len() - known.len() {
        0 => product == count && negatives == 0,
        1 => negatives == 1 && product > 0 && count % product == 0,
        _ => false,
    };
    if !fits {
        return Err(error());
    }
    Ok(requested.0.iter().map(|&size| if size == -1 { count / product } else { size as usize }).collect())
}

/// The shape of [`Tensor::flatten`].
#[doc(hidden)]
pub fn flatten_shape(shape: &[usize], axes: Slice) -> Result<Shape, TensorError> {
    let axes = axes.resolve_axes("flatten", shape)?;
    let merged = shape[axes.clone()].iter().product();
    Ok(shape[..axes.start].iter().copied().chain([merged]).chain(shape[axes.end..].iter().copied()).collect())
}

/// The shape of [`Tensor::unflatten`].
#[doc(hidden)]
pub fn unflatten_shape(shape: &[usize], axis: isize, sizes: &Dims) -> Result<Shape, TensorError> {
    let axis = resolve_axis("unflatten", axis, shape)?;
    let split = reshape_shape(&shape[axis..=axis], sizes).map_err(|_| {
        let expected = format!(
            "they must multiply to {}, the size of axis {axis}; one may be -1, to be inferred, if no other is 0",
            shape[axis]
        );
        TensorError::argument("unflatten", "sizes", format!("{:?}", sizes.0), shape, expected)
    })?;
    Ok(shape[..axis].iter().chain(&split).chain(&shape[axis + 1..]).copied().collect())
}
