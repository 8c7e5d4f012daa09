//! The tensor itself: a shared buffer and a layout.

use std::any::Any;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use crate::dims::{Shape, broadcast_shapes};
use crate::element::{Element, Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels;
use crate::layout::Layout;

/// An n-dimensional array of numbers or truth values.
///
/// Cloning shares the buffer; so do views. Writing through one tensor never changes another: the buffer
/// is copied first if it is shared.
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
#[derive(Clone)]
#[must_use]
pub struct Tensor<T = f32> {
    buffer: Arc<Vec<T>>,
    layout: Layout,
}

impl<T: Element> Tensor<T> {
    /// Row-major data under a shape that is known to fit.
    pub(crate) fn from_parts(data: Vec<T>, shape: &[usize]) -> Self {
        debug_assert_eq!(Some(data.len()), crate::dims::element_count(shape));
        Self { buffer: Arc::new(data), layout: Layout::contiguous(shape) }
    }

    /// Another view of the same buffer.
    pub(crate) fn with_layout(&self, layout: Layout) -> Self {
        Self { buffer: Arc::clone(&self.buffer), layout }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The whole buffer, of which the layout may use a part.
    pub(crate) fn buffer(&self) -> &[T] {
        &self.buffer
    }

    /// The buffer to write to, in logical order from the offset on: copied if it is shared or if the
    /// elements are not contiguous (an expanded axis would otherwise be written through).
    pub(crate) fn make_mut(&mut self) -> &mut [T] {
        if !self.is_contiguous() {
            *self = Self::from_parts(self.to_vec(), self.shape());
        } else if Arc::get_mut(&mut self.buffer).is_none() {
            *self = Self::from_parts(self.as_slice().expect("contiguous").to_vec(), self.shape());
        }
        // The offset of an empty tensor may lie beyond its buffer.
        let start = if self.is_empty() { 0 } else { self.layout.offset };
        let range = start..start + self.len();
        &mut Arc::get_mut(&mut self.buffer).expect("not shared: just made so")[range]
    }

    /// The sizes of the axes, outermost first; empty for a single number.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).shape(), [2, 3]);
    /// ```
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The number of axes.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).rank(), 2);
    /// ```
    #[inline]
    pub fn rank(&self) -> usize {
        self.layout.rank()
    }

    /// The number of elements.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).len(), 6);
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether some axis has size 0.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert!(Tensor::<f32>::zeros([3, 0]).is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// The steps in the buffer from one element to the next along each axis, counted in elements.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::<f32>::zeros([2, 3]);
    /// assert_eq!(x.strides(), [3, 1]);
    /// assert_eq!(x.t().strides(), [1, 3]);
    /// assert_eq!(x.flip(0).strides(), [-3, 1]);
    /// ```
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.layout.strides
    }

    /// The place of the first element in the buffer, counted in elements.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!((x.offset(), x.slice(0, 1..).offset(), x.flip(0).offset()), (0, 1, 2));
    /// ```
    #[inline]
    pub fn offset(&self) -> usize {
        self.layout.offset
    }

    /// Whether the elements in logical order are neighbours in memory.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert!(x.select(0, 1).is_contiguous()); // a row
    /// assert!(!x.select(1, 1).is_contiguous()); // a column
    /// ```
    pub fn is_contiguous(&self) -> bool {
        self.layout.is_contiguous()
    }

    /// Whether both tensors look at the same buffer, whatever their layouts.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1, 2]);
    /// let mut y = x.clone();
    /// assert!(x.shares_buffer(&y));
    /// y[[0]] = 10; // copies first
    /// assert!(!x.shares_buffer(&y));
    /// ```
    pub fn shares_buffer(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.buffer, &other.buffer)
    }

    /// The number of bytes of the buffer, which views share, and an identity for it.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::<f32>::zeros([10]);
    /// let (identity, bytes) = x.buffer_id_and_bytes();
    /// assert_eq!(bytes, 40);
    /// assert_eq!(x.slice(0, ..5).buffer_id_and_bytes(), (identity, 40));
    /// ```
    pub fn buffer_id_and_bytes(&self) -> (usize, usize) {
        (Arc::as_ptr(&self.buffer) as usize, self.buffer.len() * size_of::<T>())
    }

    /// The elements in logical order, if they are neighbours in memory.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.as_slice(), Some([1, 2, 3, 4].as_slice()));
    /// assert_eq!(x.t().as_slice(), None);
    /// ```
    pub fn as_slice(&self) -> Option<&[T]> {
        self.is_contiguous().then(|| {
            let start = if self.is_empty() { 0 } else { self.layout.offset };
            &self.buffer[start..start + self.len()]
        })
    }

    /// The elements in logical order.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).t().to_vec(), [1, 3, 2, 4]);
    /// ```
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(slice) => slice.to_vec(),
            None => kernels::map(self, |x| x),
        }
    }

    /// A tensor of the same elements that are neighbours in memory; itself, if they are already.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.t().contiguous().as_slice(), Some([1, 3, 2, 4].as_slice()));
    /// assert!(x.contiguous().shares_buffer(&x));
    /// ```
    pub fn contiguous(&self) -> Self {
        if self.is_contiguous() { self.clone() } else { Self::from_parts(self.to_vec(), self.shape()) }
    }

    /// The one element of a tensor that has just one.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).sum(..).item(), 10);
    /// ```
    ///
    /// # Panics
    /// If there are more or none.
    #[track_caller]
    pub fn item(&self) -> T {
        if self.len() != 1 {
            TensorError::Argument {
                operation: "item",
                argument: "the number of elements",
                got: self.len().to_string(),
                shape: self.shape().into(),
                expected: "it must be 1".into(),
            }
            .panic();
        }
        self.buffer[self.layout.offset]
    }

    /// A tensor of the results of `f` on every element.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1, 2]).map(|x| x > 1), Tensor::from([false, true]));
    /// ```
    pub fn map<U: Element>(&self, f: impl Fn(T) -> U) -> Tensor<U> {
        Tensor::from_parts(kernels::map(self, f), self.shape())
    }

    /// Replaces every element by the result of `f`; copies first if the buffer is shared.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1, 2]);
    /// let mut y = x.clone();
    /// y.map_inplace(|y| 10 * y);
    /// assert_eq!((y, x), (Tensor::from([10, 20]), Tensor::from([1, 2])));
    /// ```
    pub fn map_inplace(&mut self, f: impl Fn(T) -> T) {
        for x in self.make_mut() {
            *x = f(*x);
        }
    }

    /// Replaces every element by the result of `f` on it and on that of `other`, which is expanded to
    /// this tensor's shape; copies first if the buffer is shared.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let mut weight = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// weight.zip_inplace(&Tensor::from([10.0, 20.0]), |w, gradient| w - 0.1 * gradient);
    /// assert_eq!(weight, Tensor::from([[0.0, 0.0], [2.0, 2.0]]));
    /// ```
    ///
    /// # Panics
    /// If `other` cannot be expanded to this shape.
    #[track_caller]
    pub fn zip_inplace<U: Element>(&mut self, other: &Tensor<U>, f: impl Fn(T, U) -> T) {
        self.zip_assign("zip_inplace", other, f);
    }

    /// [`zip_inplace`](Self::zip_inplace) under another name.
    #[track_caller]
    pub(crate) fn zip_assign<U: Element>(
        &mut self,
        operation: &'static str,
        other: &Tensor<U>,
        f: impl Fn(T, U) -> T,
    ) {
        let shape = Shape::from_slice(self.shape());
        let other = if other.shape() == &shape[..] {
            other.clone()
        } else if broadcast_shapes(operation, &shape, other.shape()).is_ok_and(|common| common == shape) {
            other.expand(&shape)
        } else {
            TensorError::Mismatch {
                operation,
                left: shape,
                right: other.shape().into(),
                expected: "counted from the end, sizes must be equal or the second one 1",
            }
            .panic()
        };
        kernels::zip_inplace(self.make_mut(), &other, f);
    }

    /// A tensor of the results of `f` on the elements of two tensors, broadcast to one shape.
    ///
    /// `operation` is named in the panic message.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (x, y) = (Tensor::from([4, 6]), Tensor::from([[2], [3]]));
    /// let divisible = x.zip("divisible", &y, |x, y| x % y == 0);
    /// assert_eq!(divisible, Tensor::from([[true, true], [false, true]]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn zip<U: Element, V: Element>(
        &self,
        operation: &'static str,
        other: &Tensor<U>,
        f: impl Fn(T, U) -> V,
    ) -> Tensor<V> {
        let shape = broadcast_shapes(operation, self.shape(), other.shape()).or_panic();
        crate::dims::checked_count(operation, &shape).or_panic();
        let data = kernels::zip(
            &shape,
            self.buffer(),
            &self.layout.expand(&shape),
            other.buffer(),
            &other.layout.expand(&shape),
            f,
        );
        Tensor::from_parts(data, &shape)
    }

    /// A tensor of the results of `f` on the elements of several tensors, broadcast to one shape.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (a, b, c) = (Tensor::from([1, 2]), Tensor::from(10), Tensor::from([[5], [6]]));
    /// let sums = Tensor::zip_many("sum3", [&a, &b, &c], |[a, b, c]| a + b + c);
    /// assert_eq!(sums, Tensor::from([[16, 17], [17, 18]]));
    /// ```
    ///
    /// # Panics
    /// With the name of the operation, if the shapes do not broadcast.
    #[track_caller]
    pub fn zip_many<U: Element, const N: usize>(
        operation: &'static str,
        tensors: [&Self; N],
        f: impl Fn([T; N]) -> U,
    ) -> Tensor<U> {
        let mut shape = Shape::new();
        for tensor in tensors {
            shape = crate::dims::broadcast_shapes(operation, &shape, tensor.shape()).or_panic();
        }
        crate::dims::checked_count(operation, &shape).or_panic();
        let layouts = tensors.map(|tensor| tensor.layout.expand(&shape));
        let operands = std::array::from_fn(|k| (tensors[k].buffer(), &layouts[k]));
        Tensor::from_parts(kernels::zip_many(&shape, operands, f), &shape)
    }

    #[track_caller]
    fn checked_position(&self, index: &[usize]) -> usize {
        if index.len() != self.rank() {
            TensorError::Argument {
                operation: "index",
                argument: "the number of indices",
                got: index.len().to_string(),
                shape: self.shape().into(),
                expected: format!("it must be {}", self.rank()),
            }
            .panic();
        }
        if let Some(axis) = (0..index.len()).find(|&axis| index[axis] >= self.shape()[axis]) {
            TensorError::Index {
                operation: "index",
                index: index[axis] as i64,
                axis,
                shape: self.shape().into(),
            }
            .panic();
        }
        self.layout.position(index)
    }
}

impl<T: Number> Tensor<T> {
    /// The elements converted to another number type; to an integer, the fraction is dropped.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1.7, -1.7]).cast::<i64>(), Tensor::from([1, -1]));
    /// ```
    pub fn cast<U: Number>(&self) -> Tensor<U> {
        // Through f64, large integers would not even keep their own type's value.
        match (self as &dyn Any).downcast_ref::<Tensor<U>>() {
            Some(same) => same.clone(),
            None => self.map(|x| U::from_f64(x.to_f64())),
        }
    }
}

impl Tensor<bool> {
    /// 1 for true and 0 for false.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1, 5, 7]);
    /// assert_eq!(x.gt(3).to_number::<f32>(), Tensor::from([0.0, 1.0, 1.0]));
    /// ```
    pub fn to_number<U: Number>(&self) -> Tensor<U> {
        self.map(|x| if x { U::ONE } else { U::ZERO })
    }
}

impl<T: Float> Tensor<T> {
    /// Whether every element is within `absolute + relative * |other|` of that of `other`, or both are NaN.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (x, y) = (Tensor::from([1000.1]), Tensor::from([1000.0]));
    /// assert!(x.allclose(&y, 1e-3, 0.0)); // 0.1 is at most 1e-3 * 1000
    /// assert!(!x.allclose(&y, 0.0, 1e-3));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn allclose(&self, other: &Self, relative: f64, absolute: f64) -> bool {
        let close = |x: T, y: T| {
            let (x, y) = (x.to_f64(), y.to_f64());
            // Relative to infinity, everything would be close.
            let within = y.is_finite() && (x - y).abs() <= absolute + relative * y.abs();
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
        &self.buffer[self.checked_position(&index)]
    }
}

/// The element at a full index, to write to; copies first if the buffer is shared.
impl<T: Element, const N: usize> IndexMut<[usize; N]> for Tensor<T> {
    #[track_caller]
    fn index_mut(&mut self, index: [usize; N]) -> &mut T {
        self.checked_position(&index);
        self.make_mut();
        let position = self.layout.position(&index);
        &mut Arc::get_mut(&mut self.buffer).expect("make_mut left it unshared")[position]
    }
}
