//! Pooling: the largest elements of windows, and their means.

mod options;

pub use options::{Pool, Pooling};

use crate::element::Float;
use crate::error::OrPanic;
use crate::shape::Dims;
use crate::tensor::Tensor;

macro_rules! poolings {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty)?, $axes:literal) => $kernel:ident,
       |$shape:ident| $pooling:expr;)*) => {
        impl<T: Float> Tensor<T> {
            $(
                $(#[$doc])*
                ///
                /// # Panics
                /// If shape and attributes do not fit each other.
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
    /// The largest element of each window along the last axis of `[batch (or none), channels, length]`; NaN where
    /// there is one.
    max_pool1d(pool: Pool, 1) => pooled_max, |shape| pool.into().over("max_pool1d", 1, shape);
    /// The largest element of each window along the last two axes of `[batch (or none), channels, height, width]`; NaN
    /// where there is one.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[[1.0, 5.0], [3.0, 2.0]]]).max_pool2d(2), Tensor::from([[[5.0]]]));
    /// ```
    max_pool2d(pool: Pool, 2) => pooled_max, |shape| pool.into().over("max_pool2d", 2, shape);
    /// The mean of each window along the last axis of `[batch (or none), channels, length]`.
    avg_pool1d(pool: Pool, 1) => pooled_mean, |shape| pool.into().over_means("avg_pool1d", 1, shape);
    /// The mean of each window along the last two axes of `[batch (or none), channels, height, width]`.
    avg_pool2d(pool: Pool, 2) => pooled_mean, |shape| pool.into().over_means("avg_pool2d", 2, shape);
    /// Adaptive average pooling along the last axis; see [`Pooling::adaptive`].
    adaptive_avg_pool1d(output_size: Dims, 1) => pooled_mean,
        |shape| Pooling::adaptive("adaptive_avg_pool1d", 1, shape, output_size);
    /// Adaptive average pooling along the last two axes; see [`Pooling::adaptive`].
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[[1.0, 5.0], [3.0, 3.0]]]).adaptive_avg_pool2d(1), Tensor::from([[[3.0]]]));
    /// ```
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
    /// The largest element of each window over the last two axes; what [`max_pool2d`](Self::max_pool2d) is made of.
    pub fn pooled_max(&self, pooling: &Pooling) -> Self {
        let x = self.pooled_data(pooling.input);
        let data = T::max_pool(x.as_slice().expect("made contiguous"), pooling.windows());
        Self::from_buffer(data, &Pooling::resized(self.shape(), pooling.size()))
    }

    /// Where the largest element of each window is, `row * width + column`: of equal ones the first, of NaN the last;
    /// -1 for a window that sees nothing but padding.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[[1.0, 5.0], [5.0, 2.0]]]);
    /// let pooling = Pool::new(2).over("max_pool2d", 2, x.shape()).unwrap();
    /// assert_eq!(x.pooled_max_places(&pooling), Tensor::from([[[1]]]));
    /// ```
    pub fn pooled_max_places(&self, pooling: &Pooling) -> Tensor<i64> {
        let x = self.pooled_data(pooling.input);
        let data = T::max_pool_places(x.as_slice().expect("made contiguous"), pooling.windows());
        Tensor::from_buffer(data, &Pooling::resized(self.shape(), pooling.size()))
    }

    /// The gradient of [`pooled_max`](Self::pooled_max) for this input, where `gradient` is that for the result.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[[1.0, 5.0], [5.0, 2.0]]]);
    /// let pooling = Pool::new(2).over("max_pool2d", 2, x.shape()).unwrap();
    /// let gradient = x.pooled_max_gradient(&pooling, &Tensor::from([[[10.0]]]));
    /// assert_eq!(gradient, Tensor::from([[[0.0, 10.0], [0.0, 0.0]]]));
    /// ```
    pub fn pooled_max_gradient(&self, pooling: &Pooling, gradient: &Self) -> Self {
        let (x, g) = (self.pooled_data(pooling.input), gradient.pooled_data(pooling.size()));
        let (x, g) = (x.as_slice().expect("made contiguous"), g.as_slice().expect("made contiguous"));
        Self::from_buffer(T::max_pool_gradient(x, g, pooling.windows()), self.shape())
    }

    /// The mean of each window over the last two axes; what [`avg_pool2d`](Self::avg_pool2d) is made of.
    pub fn pooled_mean(&self, pooling: &Pooling) -> Self {
        let x = self.pooled_data(pooling.input);
        let data = T::avg_pool(x.as_slice().expect("made contiguous"), pooling.windows());
        Self::from_buffer(data, &Pooling::resized(self.shape(), pooling.size()))
    }

    /// The gradient of [`pooled_mean`](Self::pooled_mean) for its input, where this is that for the result.
    pub fn pooled_mean_gradient(&self, pooling: &Pooling) -> Self {
        let g = self.pooled_data(pooling.size());
        let data = T::avg_pool_gradient(g.as_slice().expect("made contiguous"), pooling.windows());
        Self::from_buffer(data, &Pooling::resized(self.shape(), pooling.input))
    }

    /// The elements one image after another; the last two axes must have these sizes.
    #[track_caller]
    fn pooled_data(&self, size: [usize; 2]) -> Self {
        assert!(
            self.shape().ends_with(&size),
            "pooling: the shape is {:?}: it must end with {size:?}",
            self.shape()
        );
        self.contiguous()
    }
}
