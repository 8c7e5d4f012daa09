//! Pooling: the largest element or the mean of each window.

use gradus_tensor::shapes::{pooled_gradient_shape, pooled_shape};
use gradus_tensor::{Dims, Float, OrPanic, Pool, Pooling, Shape, Tensor};

use super::index::zeros;
use super::operations::operations;
use crate::tape::{Saves, Var, apply};

operations! {
    /// The mean of each window over the last two axes.
    Linear AvgPool { pooling: Pooling }: "avg_pool",
        shape |x| pooled_shape(x[0], pooling),
        forward |x| x[0].pooled_mean(pooling),
        vjp |context, _| apply(AvgPoolGradient { pooling: pooling.clone() }, &[context.cotangent()]),
        batched |batch| batch.apply(Self { pooling: pooling.clone() });

    /// The gradient of [`AvgPool`] for its input.
    Linear AvgPoolGradient { pooling: Pooling }: "avg_pool_gradient",
        shape |x| pooled_gradient_shape(x[0], pooling),
        forward |x| x[0].pooled_mean_gradient(pooling),
        vjp |context, _| apply(AvgPool { pooling: pooling.clone() }, &[context.cotangent()]),
        batched |batch| batch.apply(Self { pooling: pooling.clone() });

    /// The largest element of each window over the last two axes.
    Nonlinear MaxPool { pooling: Pooling }: "max_pool", saves Saves::INPUTS,
        shape |x| pooled_shape(x[0], pooling),
        forward |x| x[0].pooled_max(pooling),
        vjp |context, _| {
            let gradient = MaxPoolGradient { pooling: pooling.clone() };
            apply(gradient, &[context.cotangent(), &context.input(0)])
        },
        batched |batch| batch.apply(Self { pooling: pooling.clone() });

    /// The gradient of [`MaxPool`], from a cotangent and an input: each number at the place of its maximum.
    Nonlinear MaxPoolGradient { pooling: Pooling }: "max_pool_gradient", saves Saves::INPUTS,
        shape |x| pooled_gradient_shape(x[0], pooling),
        forward |x| x[1].pooled_max_gradient(pooling, x[0]),
        vjp |context, input| {
            if input == 1 {
                // A small change of the input moves no maximum.
                return Some(zeros(context.shape(1)));
            }
            let places = context.input_value(1).pooled_max_places(pooling);
            let flat = |shape: &[usize]| -> Shape {
                let (front, image) = shape.split_at(shape.len() - 2);
                front.iter().copied().chain([image[0] * image[1]]).collect()
            };
            let (from, to) = (flat(context.shape(1)), flat(places.shape()));
            let index = places.maximum(Tensor::scalar(0)).reshape(to);
            let taken = context.cotangent().reshape(from).gather(-1, index).reshape(places.shape());
            // A window that sees nothing but padding has no place, and no influence.
            let unseen = places.lt(0);
            if unseen.any(..).item() { taken.masked_fill(&unseen, T::ZERO) } else { taken }
        },
        batched |batch| batch.apply(Self { pooling: pooling.clone() });
}

impl<T: Float> Var<T> {
    /// The largest element of each window along the last axis of `[batch (or none), channels, length]`. Of equal
    /// ones the first has the gradient; NaN is the largest.
    ///
    /// # Panics
    /// If shape and attributes do not fit each other.
    #[track_caller]
    pub fn max_pool1d(&self, pool: impl Into<Pool>) -> Self {
        let pooling = pool.into().over("max_pool1d", 1, self.shape()).or_panic();
        apply(MaxPool { pooling }, &[&self.unsqueeze(-2)]).squeeze(-2)
    }

    /// The largest element of each window along the last two axes of `[batch (or none), channels, height, width]`. Of
    /// equal ones the first has the gradient; NaN is the largest.
    ///
    /// ```
    /// use gradus_autograd::{Pool, Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[[1.0, 5.0, 0.0], [3.0, 2.0, 0.0]]]));
    /// let y = x.max_pool2d(2);
    /// assert_eq!(y.value(), &Tensor::from([[[5.0]]]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])));
    /// assert_eq!(x.max_pool2d(Pool::new(2).stride(1)).shape(), [1, 1, 2]);
    /// ```
    ///
    /// # Panics
    /// If shape and attributes do not fit each other.
    #[track_caller]
    pub fn max_pool2d(&self, pool: impl Into<Pool>) -> Self {
        let pooling = pool.into().over("max_pool2d", 2, self.shape()).or_panic();
        apply(MaxPool { pooling }, &[self])
    }

    /// The mean of each window along the last axis of `[batch (or none), channels, length]`.
    ///
    /// # Panics
    /// If shape and attributes do not fit each other.
    #[track_caller]
    pub fn avg_pool1d(&self, pool: impl Into<Pool>) -> Self {
        let pooling = pool.into().over_means("avg_pool1d", 1, self.shape()).or_panic();
        apply(AvgPool { pooling }, &[&self.unsqueeze(-2)]).squeeze(-2)
    }

    /// The mean of each window along the last two axes of `[batch (or none), channels, height, width]`.
    ///
    /// # Panics
    /// If shape and attributes do not fit each other.
    #[track_caller]
    pub fn avg_pool2d(&self, pool: impl Into<Pool>) -> Self {
        let pooling = pool.into().over_means("avg_pool2d", 2, self.shape()).or_panic();
        apply(AvgPool { pooling }, &[self])
    }

    /// Adaptive average pooling along the last axis to `output_size`; see [`Pooling::adaptive`].
    ///
    /// # Panics
    /// If the input has other axes, or an output size is 0.
    #[track_caller]
    pub fn adaptive_avg_pool1d(&self, output_size: impl Into<Dims>) -> Self {
        let pooling = Pooling::adaptive("adaptive_avg_pool1d", 1, self.shape(), output_size).or_panic();
        apply(AvgPool { pooling }, &[&self.unsqueeze(-2)]).squeeze(-2)
    }

    /// Adaptive average pooling along the last two axes to `output_size`; see [`Pooling::adaptive`].
    ///
    /// # Panics
    /// If the input has other axes, or an output size is 0.
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output_size: impl Into<Dims>) -> Self {
        let pooling = Pooling::adaptive("adaptive_avg_pool2d", 2, self.shape(), output_size).or_panic();
        apply(AvgPool { pooling }, &[self])
    }

    /// Adaptive maximum pooling along the last axis to `output_size`; see [`Pooling::adaptive`].
    ///
    /// # Panics
    /// If the input has other axes, or an output size is 0.
    #[track_caller]
    pub fn adaptive_max_pool1d(&self, output_size: impl Into<Dims>) -> Self {
        let pooling = Pooling::adaptive("adaptive_max_pool1d", 1, self.shape(), output_size).or_panic();
        apply(MaxPool { pooling }, &[&self.unsqueeze(-2)]).squeeze(-2)
    }

    /// Adaptive maximum pooling along the last two axes to `output_size`; see [`Pooling::adaptive`].
    ///
    /// # Panics
    /// If the input has other axes, or an output size is 0.
    #[track_caller]
    pub fn adaptive_max_pool2d(&self, output_size: impl Into<Dims>) -> Self {
        let pooling = Pooling::adaptive("adaptive_max_pool2d", 2, self.shape(), output_size).or_panic();
        apply(MaxPool { pooling }, &[self])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, poolings};
    use proptest::prelude::*;
    let one = || (1..=5_usize).prop_map(|size| [size; 1]);
    let two = || [1..=5_usize, 1..=5_usize];
    vec![
        case!("max_pool1d", (shape, pool) in poolings(1, 3), [shape], |x| x.max_pool1d(pool)),
        case!("max_pool2d", (shape, pool) in poolings(2, 3), [shape], |x| x.max_pool2d(pool)),
        case!("avg_pool1d", (shape, pool) in poolings(1, 1), [shape], |x| x.avg_pool1d(pool)),
        case!("avg_pool2d", (shape, pool) in poolings(2, 1), [shape], |x| x.avg_pool2d(pool)),
        case!(
            "adaptive_avg_pool1d", ((shape, _), size) in (poolings(1, 1), one()), [shape],
            |x| x.adaptive_avg_pool1d(size)
        ),
        case!(
            "adaptive_avg_pool2d", ((shape, _), size) in (poolings(2, 1), two()), [shape],
            |x| x.adaptive_avg_pool2d(size)
        ),
        case!(
            "adaptive_max_pool1d", ((shape, _), size) in (poolings(1, 1), one()), [shape],
            |x| x.adaptive_max_pool1d(size)
        ),
        case!(
            "adaptive_max_pool2d", ((shape, _), size) in (poolings(2, 1), two()), [shape],
            |x| x.adaptive_max_pool2d(size)
        ),
    ]
}
