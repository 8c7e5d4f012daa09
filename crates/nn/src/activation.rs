//! Activations as layers, for [`Sequential`](crate::Sequential); elsewhere the methods of [`Var`] do.

use gradus_autograd::{Float, Var};

use crate::module::no_parameters;
use crate::sequential::Layer;

/// A layer without parameters that applies a method.
macro_rules! activations {
    ($($name:ident { $($field:ident: $type:ty, $doc:literal)? } => $method:ident;)*) => {$(
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name {
            $(
                #[doc = $doc]
                pub $field: $type,
            )?
        }

        no_parameters!($name);

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                x.$method($(self.$field)?)
            }
        }
    )*};
}

activations! {
    Sigmoid {} => sigmoid;
    Tanh {} => tanh;
    Relu {} => relu;
    LeakyRelu { negative_slope: f64, "The slope below zero." } => leaky_relu;
    Elu { alpha: f64, "Minus the limit at minus infinity." } => elu;
    Gelu {} => gelu;
    Silu {} => silu;
    Softplus {} => softplus;
    Softmax { axis: isize, "The axis along which the results add up to 1." } => softmax;
    LogSoftmax { axis: isize, "The axis along which the powers of the results add up to 1." } => log_softmax;
}
