//! Views: other shapes and strides for the same buffer, without a copy.

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::layout::Layout;
use crate::shape::{Dims, Shape, broadcast_shapes, element_count, lane_axis, resolve_axis, resolve_new_axis};
use crate::slice::Slice;
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// Part of one axis: a range, or every n-th index of it, also backwards; see [`Slice`].
    ///
    /// ```
    /// use gradus_tensor::{Slice, Tensor};
    ///
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice(1, 1..), Tensor::from([[2, 3], [5, 6]]));
    /// assert_eq!(x.slice(1, Slice::from(..).step(-2)), Tensor::from([[3, 1], [6, 4]]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl Into<Slice>) -> Self {
        let axis = resolve_axis("slice", axis, self.shape()).or_panic();
        self.with_layout(self.layout().slice(axis, range.into()))
    }

    /// The part at one index of an axis, which goes; a negative index counts from the end.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.select(0, -1), Tensor::from([4, 5, 6]));
    /// ```
    ///
    /// # Panics
    /// If the axis or the index is out of range.
    #[track_caller]
    pub fn select(&self, axis: isize, index: isize) -> Self {
        let axis = resolve_axis("select", axis, self.shape()).or_panic();
        let size = self.shape()[axis] as isize;
        let resolved = if index < 0 { index + size } else { index };
        if !(0..size).contains(&resolved) {
            TensorError::argument(
                "select",
                "index",
                index,
                self.shape(),
                match size {
                    0 => format!("axis {axis} is empty"),
                    _ => format!("along axis {axis}, allowed are -{size} to {}", size - 1),
                },
            )
            .panic();
        }
        let layout = self.layout().slice(axis, (resolved..resolved + 1).into());
        self.with_layout(layout.remove_axis(axis))
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this tensor.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::<f32>::zeros([2, 3, 4]).permute([2, 0, 1]).shape(), [4, 2, 3]);
    /// ```
    ///
    /// # Panics
    /// Unless every axis is named exactly once.
    #[track_caller]
    pub fn permute(&self, axes: impl Into<Dims>) -> Self {
        let axes = axes.into();
        let order = axes.resolve("permute", self.shape()).or_panic();
        if order.len() != self.rank() {
            TensorError::argument(
                "permute",
                "axes",
                format!("{:?}", axes.0),
                self.shape(),
                "it must name every axis once",
            )
            .panic();
        }
        self.with_layout(self.layout().permute(&order))
    }

    /// Two axes swapped. A 0-d tensor takes the axes 0 and -1, and stays as it is.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::<f32>::zeros([2, 3, 4]).transpose(0, -1).shape(), [4, 3, 2]);
    /// assert_eq!(Tensor::from(5).transpose(0, -1), Tensor::from(5));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range.
    #[track_caller]
    pub fn transpose(&self, axis0: isize, axis1: isize) -> Self {
        let first = lane_axis("transpose", axis0, self.shape()).or_panic();
        let second = lane_axis("transpose", axis1, self.shape()).or_panic();
        if first == second {
            return self.clone();
        }
        self.with_layout(self.layout().swap_axes(first, second))
    }

    /// The transpose of a matrix, or of a stack of matrices: the last two axes swapped.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).t(), Tensor::from([[1, 3], [2, 4]]));
    /// assert_eq!(Tensor::<f32>::zeros([5, 2, 3]).t().shape(), [5, 3, 2]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn t(&self) -> Self {
        if self.rank() < 2 {
            TensorError::argument(
                "t",
                "the number of axes",
                self.rank(),
                self.shape(),
                "it must be at least 2",
            )
            .panic();
        }
        self.transpose(-2, -1)
    }

    /// The same elements in the same order under another shape, in which one size may be -1: it is
    /// inferred. Copies only where strides cannot express the result.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::arange(0, 6, 1).reshape([2, -1]);
    /// assert_eq!(x, Tensor::from([[0, 1, 2], [3, 4, 5]]));
    /// ```
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

    /// All elements along one axis.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).flatten(), Tensor::from([1, 2, 3, 4]));
    /// ```
    pub fn flatten(&self) -> Self {
        self.reshape([self.len()])
    }

    /// A new axis of size 1 at this place of the result.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::<f32>::zeros([2, 3]);
    /// assert_eq!(x.unsqueeze(0).shape(), [1, 2, 3]);
    /// assert_eq!(x.unsqueeze(-1).shape(), [2, 3, 1]);
    /// ```
    ///
    /// # Panics
    /// If the place is beyond the axes of the result.
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Self {
        let axis = resolve_new_axis("unsqueeze", axis, self.shape()).or_panic();
        self.with_layout(self.layout().insert_axis(axis, 1, 0))
    }

    /// Removes the named axes that have size 1; `..` names all axes.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::<f32>::zeros([1, 3, 1]);
    /// assert_eq!(x.squeeze(0).shape(), [3, 1]);
    /// assert_eq!(x.squeeze(..).shape(), [3]);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range.
    #[track_caller]
    pub fn squeeze(&self, axes: impl Into<crate::Axes>) -> Self {
        let axes = axes.into().resolve("squeeze", self.shape());
        let dropped = axes.iter().rev().filter(|&&axis| self.shape()[axis] == 1);
        self.with_layout(dropped.fold(self.layout().clone(), |layout, &axis| layout.remove_axis(axis)))
    }

    /// Repeats axes of size 1, and adds axes in front, up to this shape, without a copy.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1], [2]]).expand([2, 3]);
    /// assert_eq!(x, Tensor::from([[1, 1, 1], [2, 2, 2]]));
    /// ```
    ///
    /// # Panics
    /// If this shape does not broadcast to the other.
    #[track_caller]
    pub fn expand(&self, shape: impl AsRef<[usize]>) -> Self {
        let shape = shape.as_ref();
        if !broadcast_shapes("expand", self.shape(), shape).is_ok_and(|common| common[..] == *shape) {
            TensorError::mismatch(
                "expand",
                self.shape(),
                shape,
                "counted from the end, sizes must be equal or the first one 1",
            )
            .panic();
        }
        crate::shape::checked_count("expand", shape).or_panic();
        self.with_layout(self.layout().expand(shape))
    }

    /// Another view of the same buffer: the element at `[i0, i1, ...]` is the one at
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
        let count = crate::shape::checked_count("as_strided", shape)?;
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

    /// The elements in reverse order along the named axes.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1, 2, 3]).flip(0), Tensor::from([3, 2, 1]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn flip(&self, axes: impl Into<crate::Axes>) -> Self {
        let axes = axes.into().resolve("flip", self.shape());
        let reverse = Slice::new(None, None, -1);
        self.with_layout(axes.iter().fold(self.layout().clone(), |layout, &axis| layout.slice(axis, reverse)))
    }
}

/// The shape that [`Tensor::reshape`] gives to a tensor of `shape`: the requested one, with its one -1 inferred.
///
/// # Errors
/// [`TensorError::Reshape`] if the numbers of elements differ.
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
