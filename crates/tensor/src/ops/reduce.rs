//! Reductions over any set of axes.

use crate::element::{Element, Float, Number};
use crate::error::TensorError;
use crate::kernels::{self, Fold};
use crate::layout::Strided;
use crate::runtime::Buffer;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// One value for each lane: `kernel` of the elements along `axes`, in logical order.
    ///
    /// This is the loop of every reduction, open to new ones.
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
    /// With the name of the operation, if an axis is out of range.
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
        Tensor::from_buffer(data, &reduced_shape(self.shape(), &resolved, axes.keepdim))
    }

    /// Like [`reduce`](Self::reduce), with one of gradus's own loops over resolved axes.
    #[track_caller]
    fn reduce_with<U: Element>(
        &self,
        operation: &'static str,
        axes: Axes,
        kernel: impl FnOnce(Strided<'_, T>, &[usize]) -> Buffer<U>,
    ) -> Tensor<U> {
        let resolved = axes.resolve(operation, self.shape());
        let data = kernel(self.strided(), &resolved);
        Tensor::from_buffer(data, &reduced_shape(self.shape(), &resolved, axes.keepdim))
    }
}

/// Refuses an empty lane, where an operation has nothing to choose from.
#[track_caller]
fn check_nonempty(operation: &'static str, shape: &[usize], axes: &[usize]) {
    let empty = axes.iter().find(|&&axis| shape[axis] == 0);
    if let Some(axis) = empty
        && !reduced_shape(shape, axes, false).contains(&0)
    {
        TensorError::argument(operation, "axis", axis, shape, "it has size 0 and nothing to choose from")
            .panic();
    }
}

pub(crate) fn reduced_shape(shape: &[usize], axes: &[usize], keepdim: bool) -> Shape {
    let size = |(axis, &size)| if axes.contains(&axis) { keepdim.then_some(1) } else { Some(size) };
    shape.iter().enumerate().filter_map(size).collect()
}

impl<T: Number> Tensor<T> {
    /// The sum over the axes; 0 over nothing.
    ///
    /// The order of additions is fixed by the shape, and rounding errors grow with the logarithm of the
    /// number of elements.
    ///
    /// ```
    /// use gradus_tensor::{Tensor, keepdim};
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.sum(..), Tensor::from(10));
    /// assert_eq!(x.sum(keepdim(1)), Tensor::from([[3], [7]]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn sum(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("sum", axes.into(), |x, axes| T::sum_along(x, axes, T::ONE))
    }

    /// The product over the axes; 1 over nothing.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).prod(1), Tensor::from([2, 12]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn prod(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("prod", axes.into(), T::product_along)
    }

    /// The largest element over the axes; NaN if any element is NaN.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 4], [3, 2]]);
    /// assert_eq!(x.max(0), Tensor::from([3, 4]));
    /// assert_eq!(x.max(..).item(), 4);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range, named twice or of size 0.
    #[track_caller]
    pub fn max(&self, axes: impl Into<Axes>) -> Self {
        self.choose("max", axes.into(), |x, axes| T::extreme_along(x, axes, true))
    }

    /// The smallest element over the axes; NaN if any element is NaN.
    ///
    /// # Panics
    /// If an axis is out of range, named twice or of size 0.
    #[track_caller]
    pub fn min(&self, axes: impl Into<Axes>) -> Self {
        self.choose("min", axes.into(), |x, axes| T::extreme_along(x, axes, false))
    }

    /// The index of the largest element along an axis, or in logical order of several; the first of equal ones, or the
    /// first NaN.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1.0, 5.0, 5.0], [3.0, 2.0, 1.0]]).argmax(1), Tensor::from([1, 0]));
    /// assert_eq!(Tensor::from([[1.0, 5.0], [7.0, 2.0]]).argmax(..).item(), 2);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range, named twice or of size 0.
    #[track_caller]
    pub fn argmax(&self, axes: impl Into<Axes>) -> Tensor<i64> {
        self.choose("argmax", axes.into(), |x, axes| T::place_along(x, axes, true))
    }

    /// The index of the smallest element along an axis, or in logical order of several; the first of equal ones, or the
    /// first NaN.
    ///
    /// # Panics
    /// If an axis is out of range, named twice or of size 0.
    #[track_caller]
    pub fn argmin(&self, axes: impl Into<Axes>) -> Tensor<i64> {
        self.choose("argmin", axes.into(), |x, axes| T::place_along(x, axes, false))
    }
}

impl<T: Number> Tensor<T> {
    #[track_caller]
    fn choose<U: Element>(
        &self,
        operation: &'static str,
        axes: Axes,
        kernel: impl FnOnce(Strided<'_, T>, &[usize]) -> Buffer<U>,
    ) -> Tensor<U> {
        check_nonempty(operation, self.shape(), &axes.resolve(operation, self.shape()));
        self.reduce_with(operation, axes, kernel)
    }

    /// The sum over the axes that broadcasting from `shape` would add or repeat: the transpose of `expand`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.sum_to_size([3]), Tensor::from([5, 7, 9]));
    /// assert_eq!(x.sum_to_size([2, 1]), Tensor::from([[6], [15]]));
    /// ```
    ///
    /// # Panics
    /// If that shape does not broadcast to this one.
    #[track_caller]
    pub fn sum_to_size(&self, shape: impl AsRef<[usize]>) -> Self {
        let shape = shape.as_ref();
        let added = self.rank().saturating_sub(shape.len());
        let fits = self.rank() >= shape.len()
            && shape.iter().zip(&self.shape()[added..]).all(|(&size, &whole)| size == whole || size == 1);
        assert!(
            fits,
            "sum_to_size: shape {shape:?} does not broadcast to {:?}: counted from the end, its sizes must be equal or 1",
            self.shape()
        );
        let repeated = |axis: &usize| *axis < added || shape[axis - added] == 1 && self.shape()[*axis] != 1;
        let axes: Shape = (0..self.rank()).filter(repeated).collect();
        Self::from_buffer(T::sum_along(self.strided(), &axes, T::ONE), shape)
    }
}

impl<T: Float> Tensor<T> {
    /// The mean over the axes; NaN over nothing.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 6.0]]);
    /// assert_eq!(x.mean(0), Tensor::from([2.0, 4.0]));
    /// assert_eq!(x.mean(..).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn mean(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("mean", axes.into(), |x, axes| {
            let count: usize = axes.iter().map(|&axis| x.shape()[axis]).product();
            T::sum_along(x, axes, T::from_f64(count as f64))
        })
    }

    /// log(sum(e^x)) over the axes, without overflow; -infinity over nothing.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1000.0, 1000.0]);
    /// assert_eq!(x.logsumexp(0).item(), 1000.0 + 2.0_f64.ln());
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_with("logsumexp", axes.into(), T::logsumexp_along)
    }
}

impl<T: Float> Tensor<T> {
    /// The sum of the squares over axes from the front, which stay with size 1.
    pub(crate) fn sum_squares(&self, axes: &[usize]) -> Self {
        Self::from_buffer(
            T::sum_squares_along(self.strided(), axes),
            &reduced_shape(self.shape(), axes, true),
        )
    }
}

impl Tensor<bool> {
    /// Whether all are true; true over nothing.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, -1], [2, 3]]);
    /// assert_eq!(x.gt(0).all(1), Tensor::from([false, true]));
    /// assert_eq!(x.lt(0).any(1), Tensor::from([true, false]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn all(&self, axes: impl Into<Axes>) -> Self {
        self.all_over(axes.into())
    }

    /// Whether any is true; false over nothing.
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
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
