//! How far elements lie from their mean, and from zero.

use crate::dims::{Axes, keepdim};
use crate::element::Float;
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// The variance over the axes: the sum of squared distances from the mean, divided by the number of
    /// elements less `correction` (1 for the unbiased estimate, 0 for the mean of squares), which leaves 0
    /// where there are not so many: NaN for equal elements.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(x.var(.., 1).item(), 1.0);
    /// assert!(Tensor::<f64>::from([7.0]).var(0, 1).item().is_nan()); // one element alone
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn var(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.variance("var", axes.into(), correction)
    }

    /// The standard deviation over the axes: the square root of [`var`](Self::var).
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([1.0, 3.0, 5.0]).std(.., 1).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice.
    #[track_caller]
    pub fn std(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.variance("std", axes.into(), correction).sqrt()
    }

    #[track_caller]
    fn variance(&self, operation: &'static str, axes: Axes, correction: usize) -> Self {
        let resolved = axes.resolve(operation, self.shape());
        let count: usize = resolved.iter().map(|&axis| self.shape()[axis]).product();
        let freedom = T::from_f64(count.saturating_sub(correction) as f64);
        let centred = self - self.mean(keepdim(resolved));
        centred.map(|x| x * x).sum(axes) / freedom
    }

    /// The `p`-norm over the axes, (sum |x|^p)^(1/p): 2 for the length, 1 for the sum of distances from zero,
    /// infinity for the largest of these and -infinity for the smallest, 0 for the number of elements other than 0.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([3.0, -4.0]);
    /// assert_eq!([0.0, 1.0, 2.0].map(|p| x.norm(p, ..).item()), [2.0, 7.0, 5.0]);
    /// assert_eq!(x.norm(f64::INFINITY, ..).item(), 4.0);
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or named twice, or, where `p` is infinite, of size 0.
    #[track_caller]
    pub fn norm(&self, p: f64, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        // For a message under this name.
        let _ = axes.resolve("norm", self.shape());
        if p == 0.0 {
            self.ne(T::ZERO).to_number::<T>().sum(axes)
        } else if p == 1.0 {
            self.abs().sum(axes)
        } else if p == 2.0 {
            self.map(|x| x * x).sum(axes).sqrt()
        } else if p == f64::INFINITY {
            self.abs().max(axes)
        } else if p == f64::NEG_INFINITY {
            self.abs().min(axes)
        } else {
            let (power, root) = (T::from_f64(p), T::from_f64(p.recip()));
            self.map(|x| x.abs().pow(power)).sum(axes).map(|x| x.pow(root))
        }
    }
}
