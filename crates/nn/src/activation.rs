//! Activations as layers, for [`Sequential`](crate::Sequential); elsewhere the methods of [`Var`] do.

use gradus_autograd::{Float, Var};

use crate::module::no_parameters;
use crate::sequential::Layer;

/// A layer without parameters that applies a method; for the example, its field has a value.
macro_rules! activations {
    ($($name:ident { $($field:ident: $type:ty = $example:literal, $doc:literal)? } => $method:ident;)*) => {$(
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        ///
        /// ```
        /// use gradus_autograd::Var;
        #[doc = concat!("use gradus_nn::{Layer, ", stringify!($name), "};")]
        ///
        /// let x = Var::constant([-1.0, 2.0]);
        #[doc = concat!(
            "let y = ", stringify!($name), " {", $(" ", stringify!($field), ": ", stringify!($example), " ",)?
            "}.forward(&x);"
        )]
        #[doc = concat!(
            "assert_eq!(y.value(), x.", stringify!($method), "(", $(stringify!($example),)? ").value());"
        )]
        /// ```
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
    LeakyRelu { negative_slope: f64 = 0.1, "The slope below zero." } => leaky_relu;
    Elu { alpha: f64 = 1.0, "Minus the limit at minus infinity." } => elu;
    Gelu {} => gelu;
    GeluTanh {} => gelu_tanh;
    Silu {} => silu;
    Softplus {} => softplus;
    Softmax { axis: isize = -1, "The axis along which the results add up to 1." } => softmax;
    LogSoftmax { axis: isize = -1, "The axis along which the powers of the results add up to 1." }
        => log_softmax;
}
