//! Reductions over any set of axes.

use crate::dims::{Axes, Shape, resolve_axis};
use crate::element::{Element, Float, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels;
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// One value per lane: the elements along `axes`, in logical order, as a slice.
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
        let data = kernels::reduce_lanes(self, &resolved, kernel);
        Tensor::from_slice(&data, &reduced_shape(self.shape(), &resolved, axes.keepdim))
    }

    /// Like [`reduce`](Self::reduce), for operations that have no value on an empty lane.
    #[track_caller]
    fn reduce_nonempty<U: Element>(
        &self,
        operation: &'static str,
        axes: Axes,
        kernel: impl Fn(&[T]) -> U,
    ) -> Tensor<U> {
        let resolved = axes.resolve(operation, self.shape());
        let empty = resolved.iter().find(|&&axis| self.shape()[axis] == 0);
        let reduced = reduced_shape(self.shape(), &resolved, false);
        if let (Some(axis), false) = (empty, reduced.contains(&0)) {
            TensorError::Argument {
                operation,
                argument: "axis",
                got: axis.to_string(),
                shape: self.shape().into(),
                expected: "it has size 0 and nothing to choose from".into(),
            }
            .panic();
        }
        self.reduce(operation, axes, kernel)
    }

    /// The index along `axis` of the element that wins against every other; the first one, if several do.
    #[track_caller]
    fn arg_reduce(&self, operation: &'static str, axis: isize, wins: impl Fn(T, T) -> bool) -> Tensor<i64> {
        resolve_axis(operation, axis, self.shape()).or_panic();
        self.reduce_nonempty(operation, axis.into(), |lane| {
            (1..lane.len()).fold(0, |best, i| if wins(lane[i], lane[best]) { i } else { best }) as i64
        })
    }
}

fn reduced_shape(shape: &[usize], axes: &[usize], keepdim: bool) -> Shape {
    let size = |(axis, &size)| if axes.contains(&axis) { keepdim.then_some(1) } else { Some(size) };
    shape.iter().enumerate().filter_map(size).collect()
}

/// Whether `x` takes the place of `best` in a search for the largest: NaN wins against numbers.
fn beats<T: Number>(x: T, best: T) -> bool {
    x > best || x.is_nan() && !best.is_nan()
}

/// Whether `x` takes the place of `best` in a search for the smallest: NaN wins against numbers.
fn undercuts<T: Number>(x: T, best: T) -> bool {
    x < best || x.is_nan() && !best.is_nan()
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
        self.reduce("sum", axes, kernels::pairwise_sum)
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
        self.reduce("prod", axes, |lane| lane.iter().fold(T::ONE, |product, &x| product * x))
    }

    /// The largest element over the axes; NaN if there is one.
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
        self.reduce_nonempty("max", axes.into(), |lane| {
            lane[1..].iter().fold(lane[0], |best, &x| if beats(x, best) { x } else { best })
        })
    }

    /// The smallest element over the axes; NaN if there is one.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 4], [3, 2]]);
    /// assert_eq!(x.min(0), Tensor::from([1, 2]));
    /// assert_eq!(x.min(..).item(), 1);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range, named twice or of size 0.
    #[track_caller]
    pub fn min(&self, axes: impl Into<Axes>) -> Self {
        self.reduce_nonempty("min", axes.into(), |lane| {
            lane[1..].iter().fold(lane[0], |best, &x| if undercuts(x, best) { x } else { best })
        })
    }

    /// The index of the largest element along an axis, which goes; the first of several, or of a NaN.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1.0, 5.0, 5.0], [3.0, 2.0, 1.0]]).argmax(1), Tensor::from([1, 0]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range or of size 0.
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Tensor<i64> {
        self.arg_reduce("argmax", axis, beats)
    }

    /// The index of the smallest element along an axis, which goes; the first of several, or of a NaN.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[2, 1, 1], [3, 4, 5]]).argmin(1), Tensor::from([1, 0]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range or of size 0.
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Tensor<i64> {
        self.arg_reduce("argmin", axis, undercuts)
    }
}

impl<T: Number> Tensor<T> {
    /// The sum over those axes that broadcasting to this shape would have added or repeated.
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
        self.sum(axes).reshape(shape)
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
        self.reduce("mean", axes, |lane| kernels::pairwise_sum(lane) / T::from_f64(lane.len() as f64))
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
        self.reduce("logsumexp", axes, |lane| {
            let largest = lane.iter().fold(-T::INFINITY, |best, &x| if beats(x, best) { x } else { best });
            // Infinities would give inf - inf.
            let shift = if largest.is_finite() { largest } else { T::ZERO };
            let terms: Vec<T> = lane.iter().map(|&x| (x - shift).exp()).collect();
            kernels::pairwise_sum(&terms).log() + shift
        })
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
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn all(&self, axes: impl Into<Axes>) -> Self {
        self.reduce("all", axes, |lane| lane.iter().all(|&x| x))
    }

    /// Whether any is true; false over nothing.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, -1], [2, 3]]);
    /// assert_eq!(x.lt(0).any(1), Tensor::from([true, false]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn any(&self, axes: impl Into<Axes>) -> Self {
        self.reduce("any", axes, |lane| lane.iter().any(|&x| x))
    }
}
