//! Reductions over any set of axes.

use crate::element::{Element, Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::fused::Reduction;
use crate::kernels::{self, Fold};
use crate::layout::{Strided, copied};
use crate::runtime::Buffer;
use crate::shape::{Axes, Shape, expands};
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// A reduction of your own: for each lane, `kernel` of its elements along `axes`, in logical order.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[3, 1], [4, 1]]);
    /// let first = x.reduce("first", 0, |lane| lane[0]);
    /// assert_eq!(first, Tensor::from([3, 1]));
    /// ```
    ///
    /// # Panics
    /// With the name of the operation, if an axis is out of range or named twice.
    #[track_caller]
    pub fn reduce<U: Element>(
        &self,
        operation: &'static str,
        axes: impl Into<Axes>,
        kernel: impl Fn(&[T]) -> U,
    ) -> Tensor<U> {
        let axes = axes.into();
        let resolved = axes.resolve(operation, self.shape());
        let data = kernels::reduce_lanes(self.strided(), &resolved, kernel);
        Tensor::from_buffer(data, &without(self.shape(), &resolved, axes.keepdim))
    }

    /// Like [`reduce`](Self::reduce), with one of gradus's own loops over resolved axes.
    #[track_caller]
    pub(crate) fn reduce_with<U: Element>(
        &self,
        operation: &'static str,
        axes: Axes,
        kernel: impl FnOnce(Strided<'_, T>, &[usize]) -> Buffer<U>,
    ) -> Tensor<U> {
        let resolved = axes.resolve(operation, self.shape());
        let data = kernel(self.strided(), &resolved);
        Tensor::from_buffer(data, &without(self.shape(), &resolved, axes.keepdim))
    }

    /// Like [`reduce_with`](Self::reduce_with), for operations that have no value on an empty lane.
    #[track_caller]
    fn choose<U: Element>(
        &self,
        operation: &'static str,
        axes: Axes,
        kernel: impl FnOnce(Strided<'_, T>, &[usize]) -> Buffer<U>,
    ) -> Tensor<U> {
        let resolved = nonempty(operation, self.shape(), &axes).or_panic();
        let data = kernel(self.strided(), &resolved);
        Tensor::from_buffer(data, &without(self.shape(), &resolved, axes.keepdim))
    }
}

impl<T: Float> Tensor<T> {
    /// A reduction over axes that are resolved, over the elements of `out`, which has an element for each result, is contiguous
    /// and shares its buffer with no other tensor.
    ///
    /// # Panics
    /// If `out` is another one.
    #[doc(hidden)]
    pub fn reduce_into(&self, reduction: Reduction, axes: &[usize], out: &mut Self) {
        let out = out.writable().expect("contiguous, and not shared");
        T::overwrite_reduction(out, self.strided(), axes, reduction);
    }
}

/// The shape without the reduced axes, or with size 1 in their place.
pub(crate) fn without(shape: &[usize], axes: &[usize], keepdim: bool) -> Shape {
    let size = |(axis, &size)| if axes.contains(&axis) { keepdim.then_some(1) } else { Some(size) };
    shape.iter().enumerate().filter_map(size).collect()
}

/// The reduced axes of an operation that has no value on an empty lane.
fn nonempty(operation: &'static str, shape: &[usize], axes: &Axes) -> Result<Shape, TensorError> {
    let resolved = axes.resolved(operation, shape)?;
    let empty = resolved.iter().find(|&&axis| shape[axis] == 0);
    if let Some(axis) = empty
        && !without(shape, &resolved, false).contains(&0)
    {
        let expected = "it has size 0 and nothing to choose from";
        return Err(TensorError::argument(operation, "axis", axis, shape, expected));
    }
    Ok(resolved)
}

/// The shape of a reduction, by its name: `sum`, `prod`, `mean`, `logsumexp`, `all`, `any`, `var`, `std`, and `norm` with
/// a finite p.
#[doc(hidden)]
pub fn reduced_shape(operation: &'static str, shape: &[usize], axes: &Axes) -> Result<Shape, TensorError> {
    Ok(without(shape, &axes.resolved(operation, shape)?, axes.keepdim))
}

/// The shape of a reduction that has no value over nothing, by its name: `max`, `min`, `argmax` and `argmin`.
#[doc(hidden)]
pub fn extreme_shape(operation: &'static str, shape: &[usize], axes: &Axes) -> Result<Shape, TensorError> {
    Ok(without(shape, &nonempty(operation, shape, axes)?, axes.keepdim))
}

/// The shape of [`Tensor::sum_to_size`].
#[doc(hidden)]
pub fn sum_to_size_shape(shape: &[usize], to: &[usize]) -> Result<Shape, TensorError> {
    if expands(to, shape) {
        return Ok(copied(to));
    }
    let fault = format!(
        "shape {to:?} does not broadcast to {shape:?}: counted from the end, its sizes must be equal or 1"
    );
    Err(TensorError::invalid("sum_to_size", fault))
}

/// Sums, products and extremes over [`Axes`]: one axis, a list, or `..` for all of them; with
/// [`keepdim`](crate::keepdim) the axes stay with size 1.
///
/// ```
/// use gradus_tensor::{Tensor, keepdim};
///
/// let x = Tensor::from([[1, 4], [3, 2]]);
/// assert_eq!(x.sum(..), Tensor::from(10));
/// assert_eq!(x.sum(keepdim(1)), Tensor::from([[5], [5]]));
/// assert_eq!(x.prod(1), Tensor::from([4, 6]));
/// assert_eq!(x.max(0), Tensor::from([3, 4]));
/// assert_eq!((x.argmax(1), x.argmax(..).item()), (Tensor::from([1, 0]), 1));
/// assert_eq!(x.max_with_indices(1), (Tensor::from([4, 3]), Tensor::from([1, 0])));
/// assert_eq!(x.sum_to_size([2]), Tensor::from([4, 6]));
/// assert_eq!(x.gt(1).all(1), Tensor::from([false, true]));
/// ```
///
/// # Panics
/// Every reduction panics if an axis is out of range or named twice; `max`, `min`, `argmax`, `argmin` and the two
/// `_with_indices` also if there is nothing to choose from.
impl<T: Number> Tensor<T> {
    /// The sum over the axes; 0 over nothing.
    ///
    /// The order of additions is fixed by the shape, and rounding errors grow with the logarithm of the
    /// number of elements.
    #[track_caller]
    pub fn sum(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("sum", axes.into(), |x, axes| T::sum_along(x, axes, T::ONE))
    }

    /// The product over the axes; 1 over nothing.
    #[track_caller]
    pub fn prod(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("prod", axes.into(), T::product_along)
    }

    /// The largest element over the axes; NaN if any element is NaN.
    #[track_caller]
    pub fn max(&self, axes: impl Into<Axes>) -> Self {
        self.choose("max", axes.into(), |x, axes| T::extreme_along(x, axes, true))
    }

    /// The smallest element over the axes; NaN if any element is NaN.
    #[track_caller]
    pub fn min(&self, axes: impl Into<Axes>) -> Self {
        self.choose("min", axes.into(), |x, axes| T::extreme_along(x, axes, false))
    }

    /// The index of the largest element along an axis, or, over several axes, in logical order; the first of equal
    /// elements, or the first NaN.
    #[track_caller]
    pub fn argmax(&self, axes: impl Into<Axes>) -> Tensor<i64> {
        self.choose("argmax", axes.into(), |x, axes| T::place_along(x, axes, true))
    }

    /// The index of the smallest element; like [`argmax`](Self::argmax).
    #[track_caller]
    pub fn argmin(&self, axes: impl Into<Axes>) -> Tensor<i64> {
        self.choose("argmin", axes.into(), |x, axes| T::place_along(x, axes, false))
    }

    /// The largest element over the axes and its index: [`max`](Self::max) and [`argmax`](Self::argmax).
    #[track_caller]
    pub fn max_with_indices(&self, axes: impl Into<Axes>) -> (Self, Tensor<i64>) {
        let axes = axes.into();
        (self.max(axes.clone()), self.argmax(axes))
    }

    /// The smallest element over the axes and its index: [`min`](Self::min) and [`argmin`](Self::argmin).
    #[track_caller]
    pub fn min_with_indices(&self, axes: impl Into<Axes>) -> (Self, Tensor<i64>) {
        let axes = axes.into();
        (self.min(axes.clone()), self.argmin(axes))
    }

    /// The sum over the axes that broadcasting from `shape` would add or repeat: the transpose of `expand`.
    ///
    /// # Panics
    /// If that shape does not broadcast to this tensor's shape.
    #[track_caller]
    pub fn sum_to_size(&self, shape: impl AsRef<[usize]>) -> Self {
        let shape = sum_to_size_shape(self.shape(), shape.as_ref()).or_panic();
        let added = self.rank() - shape.len();
        let repeated = |axis: &usize| *axis < added || shape[axis - added] == 1 && self.shape()[*axis] != 1;
        let axes: Shape = (0..self.rank()).filter(repeated).collect();
        Self::from_buffer(T::sum_along(self.strided(), &axes, T::ONE), &shape)
    }
}

impl<T: Float> Tensor<T> {
    /// The mean over the axes; NaN over nothing.
    #[track_caller]
    pub fn mean(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("mean", axes.into(), |x, axes| {
            let count: usize = axes.iter().map(|&axis| x.shape()[axis]).product();
            T::sum_along(x, axes, T::from_f64(count as f64))
        })
    }

    /// log(sum(e^x)) over the axes, without overflow; -infinity over nothing.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("logsumexp", axes.into(), T::logsumexp_along)
    }

    /// The sum of the squares over the axes, counted from the front, which keep size 1.
    pub(crate) fn sum_squares(&self, axes: &[usize]) -> Self {
        Self::from_buffer(T::sum_squares_along(self.strided(), axes), &without(self.shape(), axes, true))
    }
}

impl Tensor<bool> {
    /// Whether all are true; true over nothing.
    #[track_caller]
    pub fn all(&self, axes: impl Into<Axes>) -> Self {
        self.all_over(axes.into())
    }

    /// Whether any is true; false over nothing.
    #[track_caller]
    pub fn any(&self, axes: impl Into<Axes>) -> Self {
        self.any_over(axes.into())
    }

    #[track_caller]
    fn all_over(&self, axes: Axes) -> Self {
        self.reduce_with("all", axes, |x, axes| {
            kernels::reduce(x, axes, &Fold(|x| x, |all, x| all & x, true))
        })
    }

    #[track_caller]
    fn any_over(&self, axes: Axes) -> Self {
        self.reduce_with("any", axes, |x, axes| {
            kernels::reduce(x, axes, &Fold(|x| x, |any, x| any | x, false))
        })
    }
}
