//! New tensors.

use std::ops::Range;

use smallvec::smallvec;

use super::convert::check_length;
use crate::element::{Element, Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::runtime::Buffer;
use crate::shape::{MAX_COUNT, Shape, checked_count};
use crate::slice::Slice;
use crate::tensor::Tensor;

/// New tensors. Arrays, nested up to four deep, vectors, slices and single numbers turn into tensors with `from`.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!(x, Tensor::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3])?);
/// assert_eq!(Tensor::from(7), Tensor::scalar(7));
/// assert_eq!(Tensor::full([2], 7), Tensor::from([7, 7]));
/// assert_eq!(Tensor::zeros([1, 2]), Tensor::from([[0.0, 0.0]]));
/// assert_eq!((x.ones_like(), x.full_like(7)), (Tensor::ones([2, 3]), Tensor::full([2, 3], 7)));
/// assert_eq!(Tensor::arange(1.0, 0.0, -0.5), Tensor::from([1.0, 0.5]));
/// assert_eq!(Tensor::linspace(0.0, 1.0, 5), Tensor::from([0.0, 0.25, 0.5, 0.75, 1.0]));
/// assert_eq!(Tensor::eye(2), Tensor::from([[1, 0], [0, 1]]));
/// # Ok::<(), gradus_tensor::TensorError>(())
/// ```
///
/// # Panics
/// Methods that take a shape or a size panic if the tensor has more elements than a machine can hold.
impl<T: Element> Tensor<T> {
    /// Row-major data with a shape: the constructor for data from outside the program.
    ///
    /// # Errors
    /// [`TensorError::Length`] if the shape has another number of elements, [`TensorError::TooLarge`] if it
    /// has more than a machine can hold.
    pub fn from_vec(data: Vec<T>, shape: impl AsRef<[usize]>) -> Result<Self, TensorError> {
        let shape = shape.as_ref();
        check_length("from_vec", data.len(), shape)?;
        Ok(Self::from_slice(&data, shape))
    }

    /// Row-major elements that `fill` writes, given the number of the first of them, in parts of `length` (the last may be
    /// shorter), on several threads if there are several parts. Elements have their default value before.
    ///
    /// # Errors
    /// [`TensorError::TooLarge`] if the shape has more elements than a machine can hold.
    #[doc(hidden)]
    pub fn from_parts(
        shape: impl AsRef<[usize]>,
        length: usize,
        fill: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<Self, TensorError> {
        let shape = shape.as_ref();
        let count = checked_count("from_parts", shape)?;
        Ok(Self::from_buffer(Buffer::in_parts(count, length, T::default(), fill), shape))
    }

    /// The same value everywhere.
    #[track_caller]
    pub fn full(shape: impl AsRef<[usize]>, value: T) -> Self {
        Self::filled("full", shape.as_ref(), value)
    }

    #[track_caller]
    fn filled(operation: &'static str, shape: &[usize], value: T) -> Self {
        let count = checked_count(operation, shape).or_panic();
        Self::from_buffer(Buffer::collect(count, std::iter::repeat_n(value, count)), shape)
    }

    /// The same value everywhere, in the shape of this tensor.
    pub fn full_like(&self, value: T) -> Self {
        Self::full(self.shape(), value)
    }

    /// A 0-d tensor: one number without axes.
    pub fn scalar(value: T) -> Self {
        Self::from_slice(&[value], &[])
    }
}

impl<T: Number> Tensor<T> {
    /// Zero everywhere.
    #[track_caller]
    pub fn zeros(shape: impl AsRef<[usize]>) -> Self {
        Self::filled("zeros", shape.as_ref(), T::ZERO)
    }

    /// One everywhere.
    #[track_caller]
    pub fn ones(shape: impl AsRef<[usize]>) -> Self {
        Self::filled("ones", shape.as_ref(), T::ONE)
    }

    /// Zero everywhere, in the shape of this tensor.
    pub fn zeros_like(&self) -> Self {
        Self::zeros(self.shape())
    }

    /// One everywhere, in the shape of this tensor.
    pub fn ones_like(&self) -> Self {
        Self::ones(self.shape())
    }

    /// The numbers from `start` up to but not including `stop`, `step` apart. If they are 1 apart, a range turns into
    /// them: `Tensor::from(0..5)`.
    ///
    /// Integers are exact. A float, `start + i * step`, is rounded once or twice, so that errors do not add up; a last
    /// element that would be rounded to `stop` or beyond is left out.
    ///
    /// # Panics
    /// If `step` is 0, or there are infinitely many elements or more than a machine can hold.
    #[track_caller]
    pub fn arange(start: T, stop: T, step: T) -> Self {
        let Some(count) = T::terms(start, stop, step).filter(|&count| count <= MAX_COUNT) else {
            panic!(
                "arange: the number of steps is ({stop} - {start}) / {step}: it must be finite and at most {MAX_COUNT}"
            )
        };
        Self::from_buffer(Buffer::collect(count, (0..count).map(|i| T::term(start, step, i))), &[count])
    }

    /// The identity matrix of `size` rows.
    #[track_caller]
    pub fn eye(size: usize) -> Self {
        let mut matrix = Self::filled("eye", &[size, size], T::ZERO);
        for diagonal in matrix.make_mut().iter_mut().step_by(size + 1) {
            *diagonal = T::ONE;
        }
        matrix
    }
}

impl<T: Float> Tensor<T> {
    /// `count` numbers from `start` to `stop`, both included, evenly spaced.
    #[track_caller]
    pub fn linspace(start: T, stop: T, count: usize) -> Self {
        checked_count("linspace", &[count]).or_panic();
        let (first, end) = (start.to_f64(), stop.to_f64());
        let last = count.saturating_sub(1) as f64;
        let between = |part: f64| match first + (end - first) * part {
            x if x.is_finite() => x,
            // The distance may be too large for a number.
            _ => 2.0 * (first / 2.0 + (end / 2.0 - first / 2.0) * part),
        };
        let at = |i: usize| match i {
            0 => start,
            _ if i + 1 == count => stop,
            _ => T::from_f64(between(i as f64 / last)),
        };
        Self::from_buffer(Buffer::collect(count, (0..count).map(at)), &[count])
    }
}

impl Slice {
    /// All indices in an axis of this size.
    pub fn indices(self, size: usize) -> Tensor<i64> {
        let (start, count) = self.resolve(size);
        // With one index, the step may be anything.
        let step = if count > 1 { self.step as i64 } else { 1 };
        Tensor::arange(start as i64, start as i64 + count as i64 * step, step)
    }
}

/// Which axis of a grid belongs to the first of the lists that span it; see [`Tensor::meshgrid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexing {
    /// Axis i belongs to list i: rows to the first, as with the indices of a matrix.
    Ij,
    /// The first two axes are swapped: columns belong to the first list, as with the coordinates of an image.
    Xy,
}

impl<T: Element> Tensor<T> {
    /// The coordinates of all points of a grid: for each list of numbers along one axis, a view of it that is repeated
    /// along the axes of the others.
    ///
    /// ```
    /// use gradus_tensor::{Indexing, Tensor};
    ///
    /// let [x, y] = Tensor::meshgrid([&Tensor::from([1, 2, 3]), &Tensor::from([10, 20])], Indexing::Xy);
    /// assert_eq!(x, Tensor::from([[1, 2, 3], [1, 2, 3]]));
    /// assert_eq!(y, Tensor::from([[10, 10, 10], [20, 20, 20]]));
    /// let [i, j] = Tensor::meshgrid([&Tensor::from([1, 2, 3]), &Tensor::from([10, 20])], Indexing::Ij);
    /// assert_eq!((i, j), (x.t(), y.t()));
    /// ```
    ///
    /// # Panics
    /// If a tensor has more than one axis, or the grid more points than a machine can hold. A 0-d tensor counts as a
    /// list of one.
    #[track_caller]
    pub fn meshgrid<const N: usize>(lists: [&Self; N], indexing: Indexing) -> [Self; N] {
        let axis = |i: usize| match indexing {
            Indexing::Xy if N > 1 && i < 2 => 1 - i,
            _ => i,
        };
        let mut shape = Shape::from_elem(1, N);
        for (i, list) in lists.iter().enumerate() {
            if list.rank() > 1 {
                let expected = "each must have one axis";
                TensorError::argument("meshgrid", "the number of axes", list.rank(), list.shape(), expected)
                    .panic();
            }
            shape[axis(i)] = list.len();
        }
        checked_count("meshgrid", &shape).or_panic();
        std::array::from_fn(|i| {
            let mut sizes = Shape::from_elem(1, N);
            sizes[axis(i)] = lists[i].len();
            lists[i].reshape(sizes).expand(&shape)
        })
    }
}

impl<T: Element> From<T> for Tensor<T> {
    fn from(value: T) -> Self {
        Self::scalar(value)
    }
}

/// The numbers of a range, 1 apart.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// assert_eq!(Tensor::from(0..4), Tensor::from([0, 1, 2, 3]));
/// assert_eq!(Tensor::from(0.5..3.0), Tensor::arange(0.5, 3.0, 1.0));
/// ```
///
/// # Panics
/// If there are infinitely many numbers or more than a machine can hold.
impl<T: Number> From<Range<T>> for Tensor<T> {
    #[track_caller]
    fn from(range: Range<T>) -> Self {
        Self::arange(range.start, range.end, T::ONE)
    }
}

impl<T: Element> From<&Tensor<T>> for Tensor<T> {
    /// Shares the buffer.
    fn from(tensor: &Tensor<T>) -> Self {
        tensor.clone()
    }
}

impl<T: Element> From<Vec<T>> for Tensor<T> {
    /// One axis.
    fn from(data: Vec<T>) -> Self {
        let shape = [data.len()];
        Self::from_slice(&data, &shape)
    }
}

impl<T: Element> From<&[T]> for Tensor<T> {
    /// One axis.
    fn from(data: &[T]) -> Self {
        data.to_vec().into()
    }
}

/// Nested arrays, one impl per depth: the type, its sizes and how to flatten it.
macro_rules! from_arrays {
    ($([$($size:ident)+] $array:ty, |$source:ident| $flat:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: Element, $(const $size: usize),+> From<$array> for Tensor<T> {
            fn from($source: $array) -> Self {
                let data: Vec<T> = $flat;
                let shape: Shape = smallvec![$($size),+];
                Self::from_slice(&data, &shape)
            }
        }
    )*};
}
from_arrays! {
    [A] [T; A], |x| x.to_vec();
    [A B] [[T; B]; A], |x| x.as_flattened().to_vec();
    [A B C] [[[T; C]; B]; A], |x| x.as_flattened().as_flattened().to_vec();
    [A B C D] [[[[T; D]; C]; B]; A], |x| x.as_flattened().as_flattened().as_flattened().to_vec();
}
