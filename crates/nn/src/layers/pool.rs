//! Pooling as layers, for [`Sequential`](crate::Sequential).

use gradus_autograd::{AsVar, Dims, Float, Pool, Var};

use super::sequential::{Layer, inherent_forward};
use crate::inside;

macro_rules! poolings {
    ($($name:ident($type:ident), $method:ident;)*) => {$(
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        #[derive(Debug, Clone, PartialEq, gradus_derive::Module)]
        pub struct $name(
            /// The argument of the method.
            #[module(skip)]
            pub $type,
        );

        impl $name {
            #[doc = concat!("With a [`", stringify!($type), "`], or the sizes that turn into one: `", stringify!($name), "::new(2)`.")]
            pub fn new(size: impl Into<$type>) -> Self {
                Self(size.into())
            }
        }

        inherent_forward!($name);

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                inside::open(self).gives(x.$method(self.0.clone()))
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

/// Flattens all axes after the first, the batch, into one.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::Flatten;
///
/// let x = Var::constant(Tensor::<f32>::ones([8, 3, 5, 5]));
/// assert_eq!(Flatten.forward(&x).shape(), [8, 75]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, gradus_derive::Module)]
pub struct Flatten;

inherent_forward!(Flatten);

impl<T: Float> Layer<T> for Flatten {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        let [batch, rest @ ..] = x.shape() else {
            panic!("flatten: the input has shape []: it needs an axis, the batch")
        };
        inside::open(self).gives(x.reshape([*batch, rest.iter().product()]))
    }
}
