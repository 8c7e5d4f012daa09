//! The tensor itself: a shared buffer and a layout.

use std::ops::{Index, IndexMut};

use crate::element::{Element, Float};
use crate::error::TensorError;
use crate::kernels;
use crate::layout::{Layout, Strided};
use crate::runtime::Buffer;
use crate::shape::Shape;

/// An n-dimensional array of numbers or truth values.
///
/// Cloning shares the buffer; so do views. Writing through one tensor never changes another: the buffer
/// is copied first if it is shared. [`Number`](crate::Number) says how integers are computed with.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// let mut y = x.t();
/// y[[0, 1]] = 30;
/// assert_eq!(y, Tensor::from([[1, 30], [2, 4]]));
/// assert_eq!(x, Tensor::from([[1, 2], [3, 4]]));
/// ```
///
/// # Parts of a tensor
/// | | of `Tensor::<f32>::zeros([2, 3])` | of its transpose `.t()` |
/// | --- | --- | --- |
/// | [`shape`](Self::shape): the sizes of the axes, outermost first | `[2, 3]` | `[3, 2]` |
/// | [`rank`](Self::rank): the number of axes | 2 | 2 |
/// | [`len`](Self::len): the number of elements | 6 | 6 |
/// | [`strides`](Self::strides): steps in the buffer along each axis | `[3, 1]` | `[1, 3]` |
/// | [`offset`](Self::offset): the place of the first element | 0 | 0 |
/// | [`is_contiguous`](Self::is_contiguous): whether neighbours in logical order are neighbours in memory | true | false |
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::<f32>::zeros([2, 3]);
/// assert_eq!((x.shape(), x.rank(), x.len(), x.is_empty()), ([2, 3].as_slice(), 2, 6, false));
/// assert_eq!((x.t().strides(), x.t().to_vec().len()), ([1, 3].as_slice(), 6));
/// assert_eq!((x.flip(0).strides(), x.flip(0).offset()), ([-3, 1].as_slice(), 3));
/// assert!(x.t().shares_buffer(&x) && !x.t().contiguous().shares_buffer(&x));
/// assert!(x.as_slice().is_some() && x.t().as_slice().is_none());
/// assert!(x.sum(..).item() == 0.0 && x.allclose(&(&x + 1e-3), 0.0, 1e-2));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Tensor<T = f32> {
    buffer: Buffer<T>,
    layout: Layout,
}

impl<T: Element> Tensor<T> {
    /// Row-major data under a shape that is known to fit.
    pub(crate) fn from_buffer(buffer: Buffer<T>, shape: &[usize]) -> Self {
        debug_assert_eq!(Some(buffer.as_slice().len()), crate::shape::element_count(shape));
        Self { buffer, layout: Layout::contiguous(shape) }
    }

    /// A copy of row-major data under a shape that is known to fit.
    pub(crate) fn from_slice(data: &[T], shape: &[usize]) -> Self {
        Self::from_buffer(Buffer::copy(data), shape)
    }

    /// Another view of the same buffer.
    pub(crate) fn with_layout(&self, layout: Layout) -> Self {
        Self { buffer: self.buffer.clone(), layout }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The elements and their layout, for a kernel.
    #[inline]
    pub(crate) fn strided(&self) -> Strided<'_, T> {
        Strided { data: self.buffer.as_slice(), layout: &self.layout }
    }

    /// The elements of a contiguous tensor.
    pub(crate) fn data(&self) -> &[T] {
        self.as_slice().expect("made contiguous")
    }

    /// The whole buffer, of which the layout may use a part.
    pub(crate) fn buffer(&self) -> &[T] {
        self.buffer.as_slice()
    }

    /// The elements in logical order, to write to, if they are contiguous (a write to an expanded axis would change
    /// several elements) and no other tensor shares the buffer.
    pub(crate) fn writable(&mut self) -> Option<&mut [T]> {
        let places = self.layout.neighbours()?;
        self.buffer.get_mut().map(|buffer| &mut buffer[places])
    }

    /// All elements of the buffer, to write to, if no other tensor shares it.
    pub(crate) fn memory(&mut self) -> Option<&mut [T]> {
        self.buffer.get_mut()
    }

    /// The layout, and [`memory`](Self::memory).
    #[inline]
    pub(crate) fn layout_and_memory(&mut self) -> (&Layout, Option<&mut [T]>) {
        (&self.layout, self.buffer.get_mut())
    }

    /// The order of axes in which the elements are contiguous, if in logical order they are not (as in a transposed
    /// matrix). Changes in place keep it.
    pub(crate) fn memory_order(&self) -> Option<Shape> {
        self.layout.memory_order()
    }

    /// The axes in another order, without a new view.
    pub(crate) fn permute_inplace(&mut self, order: &[usize]) {
        self.layout = self.layout.permute(order);
    }

    /// The elements in logical order, to write to; copied first if necessary.
    pub(crate) fn make_mut(&mut self) -> &mut [T] {
        if self.writable().is_none() {
            *self = Self::from_buffer(kernels::copy(self.strided()), self.shape());
        }
        self.writable().expect("just made so")
    }

    /// The sizes of the axes, outermost first; empty for a single number.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.layout.rank()
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether some axis has size 0.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// The steps in the buffer from one element to the next along each axis, counted in elements.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.layout.strides
    }

    /// The place of the first element in the buffer, counted in elements.
    #[inline]
    pub fn offset(&self) -> usize {
        self.layout.offset
    }

    /// Whether the elements in logical order are neighbours in memory.
    pub fn is_contiguous(&self) -> bool {
        self.layout.is_contiguous()
    }

    /// Whether both tensors are views of the same buffer.
    pub fn shares_buffer(&self, other: &Self) -> bool {
        self.buffer.identity().0 == other.buffer.identity().0
    }

    /// The number of bytes of the buffer, which views share, and an identity for it.
    pub fn buffer_id_and_bytes(&self) -> (usize, usize) {
        (self.buffer.identity().0, size_of_val(self.buffer()))
    }

    /// How another tensor, which shares this one's buffer, is a view of it; `None` if it does not share it.
    #[doc(hidden)]
    pub fn view_to(&self, view: &Self) -> Option<View> {
        let shares = self.buffer.identity().0 == view.buffer.identity().0;
        shares.then(|| View { from: self.layout.clone(), to: view.layout.clone() })
    }

    /// The same view of this tensor; `None` if it lies otherwise in memory than the tensor that the view was made for.
    #[doc(hidden)]
    #[inline]
    pub fn viewed(&self, view: &View) -> Option<Self> {
        // In range, as the elements of the view are some of this tensor's.
        (self.layout == view.from).then(|| Self { buffer: self.buffer.clone(), layout: view.to.clone() })
    }

    /// [`viewed`](Self::viewed) in place of the tensor itself.
    #[doc(hidden)]
    #[inline]
    pub fn into_viewed(mut self, view: &View) -> Result<Self, Self> {
        if self.layout == view.from {
            self.layout = view.to.clone();
            return Ok(self);
        }
        Err(self)
    }

    /// Whether nobody shares the buffer.
    #[doc(hidden)]
    #[inline]
    pub fn is_sole(&mut self) -> bool {
        self.buffer.get_mut().is_some()
    }

    /// The number of tensors that share the buffer.
    #[doc(hidden)]
    #[inline]
    pub fn owners(&self) -> usize {
        self.buffer.identity().1
    }

    /// The memory as a new tensor of another shape with at most as many elements, whose values mean nothing; `None` if it is
    /// shared or too small.
    #[doc(hidden)]
    #[inline]
    pub fn into_memory(mut self, shape: &[usize]) -> Option<Self> {
        let size = self.buffer.get_mut()?.len();
        if self.layout.offset != 0 || !crate::layout::same(self.shape(), shape) || !self.layout.is_row_major()
        {
            self.layout = Layout::contiguous(shape);
        }
        (self.layout.len() <= size).then_some(self)
    }

    /// Whether this is row-major, with the strides of a new tensor even along axes of size 1.
    #[doc(hidden)]
    #[inline]
    pub fn is_row_major(&self) -> bool {
        self.layout.is_row_major()
    }

    /// Whether these are the shape and the strides.
    #[doc(hidden)]
    #[inline]
    pub fn lies_in(&self, shape: &[usize], strides: &[isize]) -> bool {
        self.layout.has(shape, strides)
    }

    /// Whether the two are the same elements of one buffer.
    #[doc(hidden)]
    pub fn is_same_view(&self, other: &Self) -> bool {
        self.buffer.identity().0 == other.buffer.identity().0 && self.layout == other.layout
    }

    /// The elements in logical order, if they are neighbours in memory.
    pub fn as_slice(&self) -> Option<&[T]> {
        self.strided().as_slice()
    }

    /// The elements in logical order.
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(slice) => slice.to_vec(),
            None => kernels::copy(self.strided()).as_slice().to_vec(),
        }
    }

    /// The same elements contiguous in memory; the tensor itself if it is contiguous already.
    pub fn contiguous(&self) -> Self {
        if self.is_contiguous() {
            self.clone()
        } else {
            Self::from_buffer(kernels::copy(self.strided()), self.shape())
        }
    }

    /// The element of a tensor that has exactly one.
    ///
    /// # Panics
    /// If the number of elements is not 1.
    #[track_caller]
    pub fn item(&self) -> T {
        if self.len() != 1 {
            TensorError::argument("item", "the number of elements", self.len(), self.shape(), "it must be 1")
                .panic();
        }
        self.buffer()[self.layout.offset]
    }

    #[track_caller]
    fn checked_position(&self, index: &[usize]) -> usize {
        if index.len() != self.rank() {
            let (argument, expected) = ("the number of indices", format!("it must be {}", self.rank()));
            TensorError::argument("index", argument, index.len(), self.shape(), expected).panic();
        }
        if let Some(axis) = (0..index.len()).find(|&axis| index[axis] >= self.shape()[axis]) {
            let (index, shape) = (index[axis] as i64, self.shape().into());
            TensorError::Index { operation: "index", index, axis, shape }.panic();
        }
        self.layout.position(index)
    }
}

impl<T: Float> Tensor<T> {
    /// Whether every element `x` and its partner `y` in `other` satisfy `|x - y| <= absolute + relative * |y|`, or both are NaN.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn allclose(&self, other: &Self, relative: f64, absolute: f64) -> bool {
        let close = |x: T, y: T| {
            let (x, y) = (x.to_f64(), y.to_f64());
            // Relative to infinity, everything would be close.
            let within = x.is_finite() && y.is_finite() && (x - y).abs() <= absolute + relative * y.abs();
            x == y || within || x.is_nan() && y.is_nan()
        };
        self.zip("allclose", other, close).iter().all(|close| close)
    }
}

/// Equal shapes and equal elements; the layout does not matter.
impl<T: Element> PartialEq for Tensor<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.iter().eq(other.iter())
    }
}

/// The element at a full index: `x[[i, j]]`.
impl<T: Element, const N: usize> Index<[usize; N]> for Tensor<T> {
    type Output = T;
    #[track_caller]
    fn index(&self, index: [usize; N]) -> &T {
        &self.buffer()[self.checked_position(&index)]
    }
}

/// The element at a full index, to write to; a shared buffer is copied first.
impl<T: Element, const N: usize> IndexMut<[usize; N]> for Tensor<T> {
    #[track_caller]
    fn index_mut(&mut self, index: [usize; N]) -> &mut T {
        self.checked_position(&index);
        self.make_mut();
        let position = self.layout.position(&index);
        &mut self.buffer.get_mut().expect("make_mut left it unshared")[position]
    }
}

/// A layout of some elements of a tensor of another layout; see [`Tensor::view_to`].
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub(crate) from: Layout,
    pub(crate) to: Layout,
}
