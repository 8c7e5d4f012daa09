//! Normalisation.

use gradus_autograd::{AsVar, Float, Tensor, Var, is_run_again};

use super::sequential::Layer;
use crate::buffer::Buffer;
use crate::counter::Counter;
use crate::inside;
use crate::parameter::Parameter;

/// Batch normalisation for inputs of some ranks.
macro_rules! batch_norm {
    ($($name:ident, $ranks:pat, $shapes:literal, $input:literal;)*) => {$(
        #[doc = concat!("Batch normalisation of inputs ", $shapes, "; see [`Var::batch_norm`].")]
        ///
        /// In training it normalises by the statistics of the batch and changes the running ones; in evaluation mode it
        /// normalises by the running ones and changes nothing. A batch without elements does not change them, and one of a
        /// single element for each channel, which has no variance, is refused.
        ///
        /// ```
        /// use gradus_autograd::{Tensor, Var};
        #[doc = concat!("use gradus_nn::{Module, ", stringify!($name), "};")]
        ///
        #[doc = concat!("let mut layer = ", stringify!($name), "::new(1);")]
        #[doc = concat!("let x = Var::constant(Tensor::from([1.0_f64, 3.0]).reshape(", $input, "));")]
        /// assert!((layer.forward(&x).value().to_vec()[1] - 1.0).abs() < 1e-5);
        /// assert_eq!(layer.running_mean.value().to_vec(), [0.2]); // a tenth of the batch's
        /// layer.running_mean.set([3.0]);
        /// assert_eq!(layer.evaluate(|layer| layer.forward(&x)).value().to_vec()[1], 0.0);
        /// ```
        #[derive(Debug, Clone, gradus_derive::Module)]
        pub struct $name<T: Float = f32> {
            /// `[channels]`.
            pub weight: Option<Parameter<T>>,
            /// `[channels]`.
            pub bias: Option<Parameter<T>>,
            /// The mean of what was seen in training, `[channels]`.
            pub running_mean: Buffer<T>,
            /// The (unbiased) variance of what was seen in training, `[channels]`.
            pub running_var: Buffer<T>,
            /// The number of batches seen in training.
            pub num_batches_tracked: Counter,
            /// How much of the running statistics is replaced by each batch.
            #[module(skip)]
            pub momentum: f64,
            /// A number added to the variance.
            #[module(skip)]
            pub eps: f64,
            /// Whether it is in training mode.
            #[module(mode)]
            pub training: bool,
        }

        impl<T: Float> $name<T> {
            /// With a weight of ones and a bias of zeros, a momentum of 0.1 and an eps of 1e-5, in training mode.
            ///
            /// ```
            /// use gradus_nn::Module;
            #[doc = concat!("use gradus_nn::", stringify!($name), ";")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($name), "::<f32>::new(3).parameter_count(), 6);")]
            /// ```
            pub fn new(channels: usize) -> Self {
                Self {
                    weight: Some(Parameter::new(Tensor::ones([channels]))),
                    bias: Some(Parameter::new(Tensor::zeros([channels]))),
                    running_mean: Buffer::new(Tensor::zeros([channels])),
                    running_var: Buffer::new(Tensor::ones([channels])),
                    num_batches_tracked: Counter::new(0),
                    momentum: 0.1,
                    eps: 1e-5,
                    training: true,
                }
            }

            /// The output in the mode that the layer is in; in training it changes the running statistics.
            ///
            /// # Panics
            /// If the input has another shape, or in training but one element for each channel.
            #[track_caller]
            pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
                let scope = inside::open(self);
                let x = &*x.as_var();
                self.check(x);
                let (weight, bias) = (self.weight.as_deref(), self.bias.as_deref());
                if !self.training {
                    let [mean, var] = [self.running_mean.var(), self.running_var.var()];
                    let running = Some([&mean, &var]);
                    return scope.gives(x.batch_norm(running, weight, bias, false, self.momentum, self.eps).0);
                }
                // Held until both have changed: of several threads that train one layer, no batch is lost.
                let [mean, var] = [&self.running_mean, &self.running_var].map(Buffer::change);
                let running = Some([mean.var(), var.var()]);
                let (y, updated) = x.batch_norm(running, weight, bias, true, self.momentum, self.eps);
                self.num_batches_tracked.next();
                if !is_run_again() {
                    let [new_mean, new_var] = updated.expect("running statistics were given");
                    mean.becomes(new_mean);
                    var.becomes(new_var);
                }
                scope.gives(y)
            }

            #[track_caller]
            fn check(&self, x: &Var<T>) {
                assert!(
                    matches!(x.rank(), $ranks),
                    "{}: the input has shape {:?}; it must be {}",
                    stringify!($name),
                    x.shape(),
                    $shapes.replace('`', "")
                );
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                self.forward(x)
            }
        }
    )*};
}

batch_norm! {
    BatchNorm1d, 2 | 3, "`[batch, channels]` or `[batch, channels, length]`", "[2, 1]";
    BatchNorm2d, 4, "`[batch, channels, height, width]`", "[2, 1, 1, 1]";
}

/// Layers with a weight and a bias of the same shape, none of which has two modes.
macro_rules! norms {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($parameter:ident)* ; $($field:ident: $type:ty, $field_doc:literal;)* }
            new($($argument:ident: $argument_type:ty),*) => [$shape:expr] |$layer:ident, $x:ident| $forward:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, gradus_derive::Module)]
        pub struct $name<T: Float = f32> {
            $(
                /// One number for each that is scaled or shifted.
                pub $parameter: Option<Parameter<T>>,
            )*
            $(
                #[doc = $field_doc]
                #[module(skip)]
                pub $field: $type,
            )*
            /// A number added to the variance.
            #[module(skip)]
            pub eps: f64,
        }

        impl<T: Float> $name<T> {
            /// With a weight of ones, a bias of zeros if it has one, and an eps of 1e-5.
            pub fn new($($argument: $argument_type),*) -> Self {
                $(let $parameter = Some(Parameter::new(initial(stringify!($parameter), $shape)));)*
                $(let $field: $type = $field.into();)*
                Self { $($parameter,)* $($field,)* eps: 1e-5 }
            }

            /// The normalised input.
            ///
            /// # Panics
            /// If the shape of the input does not fit.
            #[track_caller]
            pub fn forward(&self, $x: impl AsVar<T>) -> Var<T> {
                let scope = inside::open(self);
                let $x = &*$x.as_var();
                let $layer = self;
                scope.gives($forward)
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                self.forward(x)
            }
        }
    )*};
}

fn initial<T: Float>(parameter: &str, shape: &[usize]) -> Tensor<T> {
    if parameter == "weight" { Tensor::ones(shape) } else { Tensor::zeros(shape) }
}

norms! {
    /// [`Var::layer_norm`] as a layer.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::LayerNorm;
    ///
    /// let y = LayerNorm::new([2]).forward(&Var::constant([[1.0, 3.0]]));
    /// assert!((y.value().to_vec()[1] - 1.0_f64).abs() < 1e-5);
    /// ```
    LayerNorm { weight bias; normalized_shape: Vec<usize>, "The shape of what is normalised, the last axes."; }
        new(normalized_shape: impl Into<Vec<usize>> + AsRef<[usize]>) => [normalized_shape.as_ref()]
        |layer, x| x.layer_norm(&layer.normalized_shape, layer.weight.as_deref(), layer.bias.as_deref(), layer.eps);
    /// [`Var::rms_norm`] as a layer.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::RmsNorm;
    ///
    /// let y = RmsNorm::new([2]).forward(&Var::constant([[5.0, 35.0]]));
    /// assert!((y.value().to_vec()[1] - 1.4_f64).abs() < 1e-5);
    /// ```
    RmsNorm { weight; normalized_shape: Vec<usize>, "The shape of what is normalised, the last axes."; }
        new(normalized_shape: impl Into<Vec<usize>> + AsRef<[usize]>) => [normalized_shape.as_ref()]
        |layer, x| x.rms_norm(&layer.normalized_shape, layer.weight.as_deref(), layer.eps);
    /// [`Var::group_norm`] as a layer, of a number of groups and a number of channels.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::GroupNorm;
    ///
    /// let y = GroupNorm::new(2, 4).forward(&Var::constant([[1.0, 3.0, -8.0, 8.0]]));
    /// assert!((y.value().to_vec()[3] - 1.0_f64).abs() < 1e-5);
    /// ```
    GroupNorm { weight bias; num_groups: usize, "The number of groups."; }
        new(num_groups: usize, channels: usize) => [&[channels]]
        |layer, x| x.group_norm(layer.num_groups, layer.weight.as_deref(), layer.bias.as_deref(), layer.eps);
    /// [`Var::instance_norm`] as a layer, of a number of channels.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    /// use gradus_nn::InstanceNorm2d;
    ///
    /// let x = Var::constant(Tensor::from([1.0, 3.0]).reshape([1, 1, 1, 2]));
    /// assert!((InstanceNorm2d::new(1).forward(&x).value().to_vec()[1] - 1.0_f64).abs() < 1e-5);
    /// ```
    InstanceNorm2d { weight bias; } new(channels: usize) => [&[channels]]
        |layer, x| x.instance_norm(layer.weight.as_deref(), layer.bias.as_deref(), layer.eps);
}
