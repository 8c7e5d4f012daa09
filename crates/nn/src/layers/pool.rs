//! Poolings as layers, for [`Sequential`](crate::Sequential); elsewhere the methods of [`Var`] do.

use gradus_autograd::{Dims, Float, Pool, Var};

use super::sequential::Layer;

macro_rules! poolings {
    ($($name:ident($type:ident), $method:ident;)*) => {$(
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        ///
        /// ```
        /// use gradus_autograd::{Tensor, Var};
        #[doc = concat!("use gradus_nn::{Layer, ", stringify!($name), "};")]
        ///
        /// let x = Var::constant(Tensor::<f32>::arange(0.0, 12.0, 1.0).reshape([1, 3, 4]));
        #[doc = concat!("let y = ", stringify!($name), "(2.into()).forward(&x);")]
        #[doc = concat!("assert_eq!(y.value(), x.", stringify!($method), "(2).value());")]
        /// ```
        #[derive(Debug, Clone, PartialEq, gradus_derive::Module)]
        pub struct $name(
            /// The attributes; a number becomes them by `into`.
            #[module(skip)]
            pub $type,
        );

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                x.$method(self.0.clone())
            }
        }
    )*};
}
poolings! {
    MaxPool1d(Pool), max_pool1d;
    MaxPool2d(Pool), max_pool2d;
    AvgPool1d(Pool), avg_pool1d;
    AvgPool2d(Pool), avg_pool2d;
    AdaptiveAvgPool1d(Dims), adaptive_avg_pool1d;
    AdaptiveAvgPool2d(Dims), adaptive_avg_pool2d;
    AdaptiveMaxPool1d(Dims), adaptive_max_pool1d;
    AdaptiveMaxPool2d(Dims), adaptive_max_pool2d;
}

/// All axes but the first one, the batch, as one.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::{Flatten, Layer};
///
/// let x = Var::constant(Tensor::<f32>::ones([8, 3, 5, 5]));
/// assert_eq!(Flatten {}.forward(&x).shape(), [8, 75]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, gradus_derive::Module)]
pub struct Flatten {}

impl<T: Float> Layer<T> for Flatten {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        let [batch, rest @ ..] = x.shape() else {
            panic!("flatten: the input has shape []: it needs an axis, the batch")
        };
        x.reshape([*batch, rest.iter().product()])
    }
}
