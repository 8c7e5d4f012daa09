//! Variances, standard deviations and norms.

use crate::element::Float;
use crate::error::TensorError;
use crate::ops::reduce::{extreme_shape, reduced_shape, without};
use crate::shape::{Axes, Shape, keepdim};
use crate::tensor::Tensor;

/// Whether a sum of powers has neither overflowed nor lost digits to underflow.
fn in_range<T: Float>(sum: T) -> bool {
    sum.is_finite() && sum >= T::MIN_POSITIVE / T::EPSILON
}

/// Variances, standard deviations and norms over [`Axes`].
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([1.0, 3.0, 5.0]);
/// assert_eq!((x.var(.., 1).item(), x.std(.., 1).item()), (4.0, 2.0));
/// assert_eq!(x.centred(..), Tensor::from([-2.0, 0.0, 2.0]));
/// let x = Tensor::from([3.0, -4.0]);
/// assert_eq!([0.0, 1.0, 2.0, f64::INFINITY].map(|p| x.norm(p, ..).item()), [2.0, 7.0, 5.0, 4.0]);
/// ```
///
/// # Panics
/// Every method panics if an axis is out of range or named twice; `norm` with an infinite `p` also if it has size 0.
impl<T: Float> Tensor<T> {
    /// The variance over the axes: the sum of squared distances from the mean, divided by the number of elements minus
    /// `correction` (1 for the unbiased estimate, 0 for the mean of squares). The divisor is at least 0: the variance of
    /// a single element with correction 1 is NaN.
    #[track_caller]
    pub fn var(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        let axes = axes.into();
        let resolved = axes.resolve("var", self.shape());
        let (variance, units) = self.variance(&resolved, correction);
        let variance = units.map_or_else(|| variance.clone(), |units| &variance * &units * &units);
        variance.reshape(without(self.shape(), &resolved, axes.keepdim))
    }

    /// The standard deviation over the axes: the square root of [`var`](Self::var).
    #[track_caller]
    pub fn std(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        let axes = axes.into();
        let resolved = axes.resolve("std", self.shape());
        let (variance, units) = self.variance(&resolved, correction);
        let deviation = variance.sqrt();
        let deviation = units.map_or_else(|| deviation.clone(), |units| &deviation * units);
        deviation.reshape(without(self.shape(), &resolved, axes.keepdim))
    }

    /// The variance over the axes, which keep size 1, divided by the square of the unit of each lane, and the units; none
    /// if all are 1.
    fn variance(&self, axes: &Shape, correction: usize) -> (Self, Option<Self>) {
        let count: usize = axes.iter().map(|&axis| self.shape()[axis]).product();
        let freedom = T::from_f64(count.saturating_sub(correction) as f64);
        let (_, squares) = self.centred_with_squares(axes);
        match self.units(axes, &squares, false, Float::power_of_two) {
            None => (squares / freedom, None),
            Some(units) => ((self / &units).centred_with_squares(axes).1 / freedom, Some(units)),
        }
    }

    /// The elements minus their mean over the axes. Where the mean is much larger than the differences, its rounding error
    /// is subtracted, too, so that no digits are lost to cancellation (the corrected two-pass algorithm: Chan, Golub
    /// and LeVeque, "Algorithms for computing the sample variance", 1983).
    #[track_caller]
    pub fn centred(&self, axes: impl Into<Axes>) -> Self {
        self.centred_with_squares(&axes.into().resolve("centred", self.shape())).0
    }

    /// The [`centred`](Self::centred) elements, and the sums of their squares over the axes, which keep size 1.
    fn centred_with_squares(&self, axes: &Shape) -> (Self, Self) {
        let count: usize = axes.iter().map(|&axis| self.shape()[axis]).product();
        let count = T::from_f64(count as f64);
        let mean = self.mean(keepdim(axes.clone()));
        let mut centred = self - &mean;
        let squares = centred.sum_squares(axes);
        // Rounding the mean is an error of the result only if the mean is much larger than the differences.
        let near = mean.zip("centred", &squares, |mean, squares| {
            in_range(squares) && T::from_f64(16.0) * squares >= mean * mean * count
        });
        if near.iter().all(|near| near) {
            return (centred, squares);
        }
        centred -= &centred.mean(keepdim(axes.clone())).masked_fill(&near, T::ZERO);
        let squares = centred.sum_squares(axes);
        (centred, squares)
    }

    /// The number by which to divide each lane if the sum of powers of some lane is out of range: `unit` of the largest
    /// magnitude in the lane (or of the smallest), or 1 where the sum is in range.
    fn units(&self, axes: &Shape, sums: &Self, smallest: bool, unit: impl Fn(T) -> T + Sync) -> Option<Self> {
        if self.is_empty() || sums.iter().all(in_range) {
            return None;
        }
        let (magnitudes, axes) = (self.abs(), keepdim(axes.clone()));
        let magnitudes = if smallest { magnitudes.min(axes) } else { magnitudes.max(axes) };
        let unit = |sum, magnitude| if in_range(sum) { T::ONE } else { unit(magnitude) };
        let units = sums.zip("norm", &magnitudes, unit);
        // A sum of zeros is in range.
        (!units.iter().all(|unit| unit == T::ONE)).then_some(units)
    }

    /// The `p`-norm over the axes, (sum |x|^p)^(1/p): 2 for the Euclidean length, 1 for the sum of magnitudes,
    /// infinity for the largest magnitude, -infinity for the smallest, 0 for the number of elements other than 0.
    #[track_caller]
    pub fn norm(&self, p: f64, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        let resolved = axes.resolve("norm", self.shape());
        if p == 0.0 {
            return self.ne(T::ZERO).cast::<T>().sum(axes);
        } else if p == 1.0 {
            return self.abs().sum(axes);
        } else if p == f64::INFINITY {
            return self.abs().max(axes);
        } else if p == f64::NEG_INFINITY {
            return self.abs().min(axes);
        }
        let norms = if p == 2.0 {
            let sums = self.sum_squares(&resolved);
            match self.units(&resolved, &sums, false, Float::power_of_two) {
                None => sums.sqrt(),
                Some(units) => (self / &units).sum_squares(&resolved).sqrt() * units,
            }
        } else {
            let (power, root) = (T::from_f64(p), T::from_f64(p.recip()));
            let of = |x: &Self| x.abs().pow(power).sum(keepdim(resolved.clone()));
            let sums = of(self);
            // No power of a quotient by the largest magnitude is above 1; if p is negative, by the smallest one.
            let unit = |x: T| if x == T::ZERO || !x.is_finite() { T::ONE } else { x };
            match self.units(&resolved, &sums, p < 0.0, unit) {
                None => sums.map(|x| x.pow(root)),
                Some(units) => of(&(self / &units)).map(|x| x.pow(root)) * units,
            }
        };
        norms.reshape(without(self.shape(), &resolved, axes.keepdim))
    }
}

/// The shape of [`Tensor::norm`].
#[doc(hidden)]
pub fn norm_shape(shape: &[usize], p: f64, axes: &Axes) -> Result<Shape, TensorError> {
    let reduced = reduced_shape("norm", shape, axes)?;
    match p {
        f64::INFINITY => extreme_shape("max", shape, axes),
        f64::NEG_INFINITY => extreme_shape("min", shape, axes),
        _ => Ok(reduced),
    }
}
