//! Activations as layers, for [`Sequential`](crate::Sequential); elsewhere the methods of [`Var`] do.

use gradus_autograd::{Float, Var};

use super::sequential::Layer;

/// A layer without parameters that applies a method; its fields have defaults.
macro_rules! activations {
    ($($name:ident { $($field:ident: $type:ty = $default:literal, $doc:literal),* } => $method:ident;)*) => {$(
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        ///
        /// ```
        /// use gradus_autograd::Var;
        #[doc = concat!("use gradus_nn::{Layer, ", stringify!($name), "};")]
        ///
        /// let x = Var::constant([-1.0, 2.0]);
        #[doc = concat!("let y = ", stringify!($name), "::default().forward(&x);")]
        #[doc = concat!(
            "assert_eq!(y.value(), x.", stringify!($method), "(", $(stringify!($default), ", ",)* ").value());"
        )]
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, gradus_derive::Module)]
        pub struct $name {
            $(
                #[doc = $doc]
                #[module(skip)]
                pub $field: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                x.$method($(self.$field),*)
            }
        }
    )*};
}

activations! {
    Sigmoid {} => sigmoid;
    Logsigmoid {} => logsigmoid;
    Hardsigmoid {} => hardsigmoid;
    Tanh {} => tanh;
    Hardtanh { low: f64 = -1.0, "The smallest result.", high: f64 = 1.0, "The largest result." } => hardtanh;
    Softsign {} => softsign;
    Relu {} => relu;
    Relu6 {} => relu6;
    LeakyRelu { negative_slope: f64 = 0.01, "The slope below zero." } => leaky_relu;
    Elu { alpha: f64 = 1.0, "Minus the limit at minus infinity." } => elu;
    Celu { alpha: f64 = 1.0, "Minus the limit at minus infinity." } => celu;
    Selu {} => selu;
    Gelu {} => gelu;
    GeluTanh {} => gelu_tanh;
    Silu {} => silu;
    Hardswish {} => hardswish;
    Mish {} => mish;
    Softplus {
        beta: f64 = 1.0, "How steep the bend at 0 is.",
        threshold: f64 = 20.0, "Where `beta` times a number is above it, the number stays as it is."
    } => softplus;
    Glu { axis: isize = -1, "The axis that is cut in halves." } => glu;
    Softmax { axis: isize = -1, "The axis along which the results add up to 1." } => softmax;
    LogSoftmax { axis: isize = -1, "The axis along which the powers of the results add up to 1." }
        => log_softmax;
}
