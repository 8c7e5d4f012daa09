//! The mean of squared differences.

use crate::element::Float;
use crate::kernels::range::is_finite;
use crate::kernels::reduce::Reduction;
use crate::kernels::reduce::extremes::{Extreme, Largest};
use crate::kernels::reduce::sum::{Sum, itself};

/// The mean of the squared differences of elements side by side, with memory for the squares.
pub(crate) fn mean_squared_difference<T: Float>(x: &[T], y: &[T], squares: &mut [T]) -> T {
    for ((square, &x), &y) in squares.iter_mut().zip(x).zip(y) {
        *square = squared_difference(x, y);
    }
    let mean = mean(squares);
    if is_finite(mean) || mean.is_nan() { mean } else { mean_of_large_squares(x, y) }
}

#[inline(always)]
pub(crate) fn squared_difference<T: Float>(x: T, y: T) -> T {
    let difference = x - y;
    difference * difference
}

/// The mean where squares may be too large, and their mean is not.
#[cold]
pub(crate) fn mean_of_large_squares<T: Float>(x: &[T], y: &[T]) -> T {
    let distances: Vec<T> = x.iter().zip(y).map(|(&x, &y)| (x - y).abs()).collect();
    let unit = Extreme(Largest).lane(&distances).power_of_two();
    let squares: Vec<T> = distances.iter().map(|&distance| (distance / unit).square()).collect();
    mean(&squares) * unit * unit
}

fn mean<T: Float>(x: &[T]) -> T {
    Sum { each: itself, divisor: T::from_f64(x.len() as f64) }.lane(x)
}
