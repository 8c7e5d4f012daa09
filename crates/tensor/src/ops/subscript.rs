//! Reading and writing by subscripts, and going through the parts along an axis.

use crate::element::{Element, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels;
use crate::layout::Layout;
use crate::shape::{Shape, expands, resolve_axis};
use crate::slice::Slice;
use crate::subscript::{Subscript, Subscripts};
use crate::tensor::Tensor;

/// Reading and writing by [`Subscripts`], and going through the parts along an axis.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let mut x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!(x.index((.., 1..)), Tensor::from([[2, 3], [5, 6]]));
/// assert_eq!(x.index((-1, 0)).item(), 4);
/// assert_eq!(x.index_put((.., 0), 7), Tensor::from([[7, 2, 3], [7, 5, 6]]));
/// x.index_put_inplace((1, ..2), Tensor::from([8, 9]));
/// assert_eq!(x, Tensor::from([[1, 2, 3], [8, 9, 6]]));
/// x.index_put_add_inplace((.., -1), 10);
/// assert_eq!(x, Tensor::from([[1, 2, 13], [8, 9, 16]]));
///
/// let sums: Vec<i64> = x.rows().map(|row| row.sum(..).item()).collect();
/// assert_eq!(sums, [16, 33]);
/// assert_eq!(x.unbind(1)[0], Tensor::from([1, 8]));
/// ```
impl<T: Element> Tensor<T> {
    /// A part by subscripts, one for each axis, in the spelling of PyTorch's C++ library; a view, without a copy.
    ///
    /// # Panics
    /// If there are more subscripts than axes, more than one ellipsis, or an index is out of range.
    #[track_caller]
    pub fn index(&self, subscripts: impl Into<Subscripts>) -> Self {
        self.with_layout(indexed("index", self.layout(), &subscripts.into()).or_panic())
    }

    /// This tensor with `value`, which is expanded to the shape of the part, in the place of the part that
    /// [`index`](Self::index) reads.
    ///
    /// # Panics
    /// As `index` does, or if the value does not broadcast to the shape of the part.
    #[track_caller]
    pub fn index_put(&self, subscripts: impl Into<Subscripts>, value: impl Into<Self>) -> Self {
        let mut result = self.clone();
        result.index_put_inplace(subscripts, value);
        result
    }

    /// [`index_put`](Self::index_put) in place; copies first if the buffer is shared.
    #[track_caller]
    pub fn index_put_inplace(&mut self, subscripts: impl Into<Subscripts>, value: impl Into<Self>) {
        self.update_part("index_put", &subscripts.into(), &value.into(), |_, value| value);
    }

    /// Replaces every element of a part by a function of it and its partner in `value`.
    #[track_caller]
    fn update_part(
        &mut self,
        operation: &'static str,
        subscripts: &Subscripts,
        value: &Self,
        f: impl Fn(T, T) -> T,
    ) {
        // `make_mut` leaves the elements in this order.
        let whole = Layout::contiguous(self.shape());
        let part = put_part(operation, &whole, subscripts, value.shape()).or_panic();
        let value = value.expand(&part.shape);
        kernels::update(self.make_mut(), &part, value.strided(), f);
    }

    /// The parts at every index of an axis, without the axis and without a copy.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn unbind(&self, axis: isize) -> Vec<Self> {
        let axis = resolve_axis("unbind", axis, self.shape()).or_panic();
        (0..self.shape()[axis]).map(|i| self.index(Subscripts::along(axis, i))).collect()
    }

    /// Goes through the parts along the first axis, without the axis and without a copy.
    ///
    /// # Panics
    /// If the tensor is 0-d.
    #[track_caller]
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + use<T> {
        let axis = resolve_axis("rows", 0, self.shape()).or_panic();
        let whole = self.clone();
        (0..self.shape()[axis]).map(move |i| whole.index(i))
    }
}

impl<T: Number> Tensor<T> {
    /// This tensor with `value`, which is expanded to the shape of the part, added to the part that
    /// [`index`](Self::index) reads.
    ///
    /// # Panics
    /// As [`index_put`](Self::index_put) does.
    #[track_caller]
    pub fn index_put_add(&self, subscripts: impl Into<Subscripts>, value: impl Into<Self>) -> Self {
        let mut result = self.clone();
        result.index_put_add_inplace(subscripts, value);
        result
    }

    /// [`index_put_add`](Self::index_put_add) in place; copies first if the buffer is shared.
    #[track_caller]
    pub fn index_put_add_inplace(&mut self, subscripts: impl Into<Subscripts>, value: impl Into<Self>) {
        let add = |x: T, value| x.wrapping_add(value);
        self.update_part("index_put_add", &subscripts.into(), &value.into(), add);
    }
}

/// The layout of a part.
fn indexed(operation: &'static str, layout: &Layout, subscripts: &Subscripts) -> Result<Layout, TensorError> {
    let (shape, subscripts) = (&layout.shape, subscripts.as_slice());
    let count = |kind: fn(&Subscript) -> bool| subscripts.iter().filter(|&subscript| kind(subscript)).count();
    let ellipses = count(|subscript| *subscript == Subscript::Ellipsis);
    if ellipses > 1 {
        let expected = "it must be at most 1";
        return Err(TensorError::argument(operation, "the number of ellipses", ellipses, shape, expected));
    }
    let named = count(|subscript| matches!(subscript, Subscript::At(_) | Subscript::Slice(_)));
    let Some(left) = layout.rank().checked_sub(named) else {
        let expected = format!("it must be at most {}, the number of axes", layout.rank());
        return Err(TensorError::argument(operation, "the number of subscripts", named, shape, expected));
    };
    let mut part = layout.clone();
    // The axis of the whole and of the part that comes next.
    let (mut axis, mut place) = (0, 0);
    for subscript in subscripts {
        match *subscript {
            Subscript::At(index) => {
                let index = resolve_index(operation, "subscript", index, axis, shape)?;
                part = part.slice(place, (index..index + 1).into()).remove_axis(place);
                axis += 1;
            }
            Subscript::Slice(slice) => {
                if slice != Slice::from(..) {
                    part = part.slice(place, slice);
                }
                (axis, place) = (axis + 1, place + 1);
            }
            Subscript::NewAxis => {
                part = part.insert_axis(place, 1, 0);
                place += 1;
            }
            Subscript::Ellipsis => (axis, place) = (axis + left, place + left),
        }
    }
    Ok(part)
}

/// An index of an axis counted from the front; a negative one counts from the end.
pub(super) fn resolve_index(
    operation: &'static str,
    argument: &'static str,
    index: isize,
    axis: usize,
    shape: &[usize],
) -> Result<usize, TensorError> {
    let size = shape[axis] as isize;
    let resolved = if index < 0 { index.saturating_add(size) } else { index };
    if (0..size).contains(&resolved) {
        return Ok(resolved as usize);
    }
    let expected = match size {
        0 => format!("axis {axis} is empty"),
        _ => format!("along axis {axis}, allowed are -{size} to {}", size - 1),
    };
    Err(TensorError::argument(operation, argument, index, shape, expected))
}

/// The layout of a part that a value of this shape can be written to.
fn put_part(
    operation: &'static str,
    layout: &Layout,
    subscripts: &Subscripts,
    value: &[usize],
) -> Result<Layout, TensorError> {
    let part = indexed(operation, layout, subscripts)?;
    if !expands(value, &part.shape) {
        let expected = "the value must broadcast to the part: counted from the end, sizes must be equal or the \
                        second one 1";
        return Err(TensorError::mismatch(operation, &part.shape, value, expected));
    }
    Ok(part)
}

/// The shape of [`Tensor::index`].
#[doc(hidden)]
pub fn index_shape(shape: &[usize], subscripts: &Subscripts) -> Result<Shape, TensorError> {
    Ok(indexed("index", &Layout::contiguous(shape), subscripts)?.shape)
}

/// The shape of [`Tensor::index_put`] and [`Tensor::index_put_add`], by the name of either.
#[doc(hidden)]
pub fn index_put_shape(
    operation: &'static str,
    shape: &[usize],
    subscripts: &Subscripts,
    value: &[usize],
) -> Result<Shape, TensorError> {
    put_part(operation, &Layout::contiguous(shape), subscripts, value)?;
    Ok(shape.into())
}
