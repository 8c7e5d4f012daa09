//! Activations as layers, for [`Sequential`](crate::Sequential): `Relu`, and `LeakyRelu::new(0.2)` or
//! `LeakyRelu::default()` where there are options.

use gradus_autograd::{AsVar, Float, Var};

use super::sequential::{Layer, inherent_forward};
use crate::inside;

/// Layers without parameters that apply a method of `Var`; fields are its arguments, with defaults.
macro_rules! activations {
    ($($name:ident $({ $($field:ident: $type:ty = $default:literal, $doc:literal),+ })? => $method:ident;)*) => {$(
        activations!(@define $name $({ $($field: $type = $default, $doc),+ })? => $method);

        inherent_forward!($name);

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                inside::open(self).gives(x.$method($($(self.$field),+)?))
            }
        }
    )*};
    (@define $name:ident => $method:ident) => {
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        #[derive(Debug, Clone, Copy, PartialEq, Default, gradus_derive::Module)]
        pub struct $name;
    };
    (@define $name:ident { $($field:ident: $type:ty = $default:literal, $doc:literal),+ } => $method:ident) => {
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        #[derive(Debug, Clone, Copy, PartialEq, gradus_derive::Module)]
        pub struct $name {
            $(
                #[doc = $doc]
                #[module(skip)]
                pub $field: $type,
            )+
        }

        impl $name {
            /// With these options, in the order of the fields.
            pub fn new($($field: $type),+) -> Self {
                Self { $($field),+ }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }
    };
}

activations! {
    Sigmoid => sigmoid;
    Logsigmoid => logsigmoid;
    Hardsigmoid => hardsigmoid;
    Tanh => tanh;
    Hardtanh {
        low: f64 = -1.0, "The lower bound of the output.",
        high: f64 = 1.0, "The upper bound of the output."
    } => hardtanh;
    Softsign => softsign;
    Square => square;
    Relu => relu;
    Relu6 => relu6;
    LeakyRelu { negative_slope: f64 = 0.01, "The slope for negative inputs." } => leaky_relu;
    Elu { alpha: f64 = 1.0, "The output for large negative inputs is `-alpha`." } => elu;
    Celu { alpha: f64 = 1.0, "The output for large negative inputs is `-alpha`." } => celu;
    Selu => selu;
    Gelu => gelu;
    GeluTanh => gelu_tanh;
    Silu => silu;
    Hardswish => hardswish;
    Mish => mish;
    Softplus {
        beta: f64 = 1.0, "The sharpness of the bend at 0.",
        threshold: f64 = 20.0, "Where `beta * x` is larger, the output is x."
    } => softplus;
    Glu { axis: isize = -1, "The axis that is split in halves." } => glu;
    Softmax { axis: isize = -1, "The axis along which the outputs sum to 1." } => softmax;
    LogSoftmax { axis: isize = -1, "The axis along which the exponentials of the outputs sum to 1." }
        => log_softmax;
}
