//! Pooling: the largest elements of windows, and their means.

mod options;

pub use options::{Pool, Pooling};

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::shape::{Dims, Shape};
use crate::tensor::Tensor;

macro_rules! poolings {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty)?, $axes:literal) => $kernel:ident,
       |$shape:ident| $pooling:expr;)*) => {
        /// Pooling: the largest element of each window, or its mean. [`Pool`] has the options.
        ///
        /// ```
        /// use gradus_tensor::{Pool, Tensor};
        ///
        /// let x = Tensor::from([[[1.0, 5.0], [3.0, 3.0]]]);
        /// assert_eq!(x.max_pool2d(2), Tensor::from([[[5.0]]]));
        /// assert_eq!(x.adaptive_avg_pool2d(1), Tensor::from([[[3.0]]]));
        ///
        /// let pooling = Pool::new(2).over("max_pool2d", 2, x.shape()).unwrap();
        /// assert_eq!(x.pooled_max_places(&pooling), Tensor::from([[[1]]]));
        /// let gradient = x.pooled_max_gradient(&pooling, &Tensor::from([[[10.0]]]));
        /// assert_eq!(gradient, Tensor::from([[[0.0, 10.0], [0.0, 0.0]]]));
        /// ```
        ///
        /// # Panics
        /// Every method panics if shape and options do not fit each other.
        impl<T: Float> Tensor<T> {
            $(
                $(#[$doc])*
                #[track_caller]
                pub fn $name(&self, $($argument: impl Into<$type>)?) -> Self {
                    let $shape = self.shape();
                    let pooling = $pooling.or_panic();
                    if $axes == 1 { self.unsqueeze(-2).$kernel(&pooling).squeeze(-2) } else { self.$kernel(&pooling) }
                }
            )*
        }
    };
}
poolings! {
    /// The largest element of each window along the last axis of `[batch (or none), channels, length]`; NaN if
    /// it contains one.
    max_pool1d(pool: Pool, 1) => pooled_max, |shape| pool.into().over("max_pool1d", 1, shape);
    /// The largest element of each window along the last two axes of `[batch (or none), channels, height, width]`; NaN
    /// if it contains one.
    max_pool2d(pool: Pool, 2) => pooled_max, |shape| pool.into().over("max_pool2d", 2, shape);
    /// The mean of each window along the last axis of `[batch (or none), channels, length]`.
    avg_pool1d(pool: Pool, 1) => pooled_mean, |shape| pool.into().over_means("avg_pool1d", 1, shape);
    /// The mean of each window along the last two axes of `[batch (or none), channels, height, width]`.
    avg_pool2d(pool: Pool, 2) => pooled_mean, |shape| pool.into().over_means("avg_pool2d", 2, shape);
    /// Adaptive average pooling along the last axis; see [`Pooling::adaptive`].
    adaptive_avg_pool1d(output_size: Dims, 1) => pooled_mean,
        |shape| Pooling::adaptive("adaptive_avg_pool1d", 1, shape, output_size);
    /// Adaptive average pooling along the last two axes; see [`Pooling::adaptive`].
    adaptive_avg_pool2d(output_size: Dims, 2) => pooled_mean,
        |shape| Pooling::adaptive("adaptive_avg_pool2d", 2, shape, output_size);
    /// Adaptive max pooling along the last axis; see [`Pooling::adaptive`].
    adaptive_max_pool1d(output_size: Dims, 1) => pooled_max,
        |shape| Pooling::adaptive("adaptive_max_pool1d", 1, shape, output_size);
    /// Adaptive max pooling along the last two axes; see [`Pooling::adaptive`].
    adaptive_max_pool2d(output_size: Dims, 2) => pooled_max,
        |shape| Pooling::adaptive("adaptive_max_pool2d", 2, shape, output_size);
}

impl<T: Float> Tensor<T> {
    /// The largest element of each window over the last two axes; the core of [`max_pool2d`](Self::max_pool2d).
    #[track_caller]
    pub fn pooled_max(&self, pooling: &Pooling) -> Self {
        let (x, shape) = self.pooled_data(pooling.input, pooling.size());
        Self::from_buffer(T::max_pool(x.data(), pooling.windows()), &shape)
    }

    /// The place of the largest element of each window, `row * width + column`: the first of equal elements, the last NaN;
    /// -1 for a window that sees nothing but padding.
    #[track_caller]
    pub fn pooled_max_places(&self, pooling: &Pooling) -> Tensor<i64> {
        let (x, shape) = self.pooled_data(pooling.input, pooling.size());
        let data = T::max_pool_places(x.data(), pooling.windows());
        Tensor::from_buffer(data, &shape)
    }

    /// The gradient of [`pooled_max`](Self::pooled_max) with respect to this input, from the gradient of its result.
    #[track_caller]
    pub fn pooled_max_gradient(&self, pooling: &Pooling, gradient: &Self) -> Self {
        let (x, _) = self.pooled_data(pooling.input, pooling.size());
        let (g, _) = gradient.pooled_data(pooling.size(), pooling.input);
        Self::from_buffer(T::max_pool_gradient(x.data(), g.data(), pooling.windows()), self.shape())
    }

    /// The mean of each window over the last two axes; the core of [`avg_pool2d`](Self::avg_pool2d).
    #[track_caller]
    pub fn pooled_mean(&self, pooling: &Pooling) -> Self {
        let (x, shape) = self.pooled_data(pooling.input, pooling.size());
        Self::from_buffer(T::avg_pool(x.data(), pooling.windows()), &shape)
    }

    /// The gradient of [`pooled_mean`](Self::pooled_mean) with respect to its input, from the gradient of its result,
    /// which is this tensor.
    #[track_caller]
    pub fn pooled_mean_gradient(&self, pooling: &Pooling) -> Self {
        let (g, shape) = self.pooled_data(pooling.size(), pooling.input);
        let data = T::avg_pool_gradient(g.data(), pooling.windows());
        Self::from_buffer(data, &shape)
    }

    /// The elements one image after another, and the shape with the last two axes, which must have the first sizes,
    /// resized to the second.
    #[track_caller]
    fn pooled_data(&self, from: [usize; 2], to: [usize; 2]) -> (Self, Shape) {
        let shape = resized(self.shape(), from, to).or_panic();
        (self.contiguous(), shape)
    }
}

/// The shape with other sizes of the last two axes, which must have the first sizes.
fn resized(shape: &[usize], from: [usize; 2], to: [usize; 2]) -> Result<Shape, TensorError> {
    let Some(front) = shape.strip_suffix(&from) else {
        let fault = format!("the shape is {shape:?}: it must end with {from:?}");
        return Err(TensorError::invalid("pooling", fault));
    };
    Ok(front.iter().copied().chain(to).collect())
}

/// The shape of [`Tensor::pooled_max`] and [`Tensor::pooled_mean`].
#[doc(hidden)]
pub fn pooled_shape(shape: &[usize], pooling: &Pooling) -> Result<Shape, TensorError> {
    resized(shape, pooling.input, pooling.size())
}

/// The shape of [`Tensor::pooled_max_gradient`] and [`Tensor::pooled_mean_gradient`], from the shape of the gradient.
#[doc(hidden)]
pub fn pooled_gradient_shape(gradient: &[usize], pooling: &Pooling) -> Result<Shape, TensorError> {
    resized(gradient, pooling.size(), pooling.input)
}
