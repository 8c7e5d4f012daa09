//! Normalisation, and what else differs between training and evaluation.

use gradus_autograd::{Float, Tensor, Var, Xoshiro256PlusPlus, seeded};

use crate::module::{Module, Path};
use crate::parameter::Parameter;
use crate::sequential::Layer;

/// Batch normalisation for inputs of some ranks.
macro_rules! batch_norm {
    ($($name:ident, $ranks:pat, $shapes:literal, $input:literal;)*) => {$(
        #[doc = concat!("Batch normalisation of inputs ", $shapes, "; see [`Var::batch_norm`].")]
        ///
        /// In training it normalises by the statistics of the batch and changes the running ones, which takes
        /// [`forward_mut`](Self::forward_mut); in evaluation mode it normalises by the running ones. A batch without
        /// elements does not change them, and one of a single element for each channel, which has no variance, is refused.
        ///
        /// ```
        /// use gradus_autograd::{Tensor, Var};
        #[doc = concat!("use gradus_nn::{Module, ", stringify!($name), "};")]
        ///
        #[doc = concat!("let mut layer = ", stringify!($name), "::new(1);")]
        #[doc = concat!("let x = Var::constant(Tensor::from([1.0_f64, 3.0]).reshape(", $input, "));")]
        /// assert!((layer.forward_mut(&x).value().to_vec()[1] - 1.0).abs() < 1e-5);
        /// assert_eq!(layer.running_mean.to_vec(), [0.2]); // a tenth of the batch's
        /// layer.eval();
        /// layer.running_mean = Tensor::from([3.0]);
        /// assert_eq!(layer.forward(&x).value().to_vec()[1], 0.0);
        /// ```
        #[derive(Debug, Clone)]
        pub struct $name<T: Float = f32> {
            /// `[channels]`.
            pub weight: Option<Parameter<T>>,
            /// `[channels]`.
            pub bias: Option<Parameter<T>>,
            /// The mean of what was seen in training, `[channels]`.
            pub running_mean: Tensor<T>,
            /// The (unbiased) variance of what was seen in training, `[channels]`.
            pub running_var: Tensor<T>,
            /// How much of the running statistics is replaced by each batch.
            pub momentum: f64,
            /// What is added to the variance.
            pub eps: f64,
            /// Whether it is in training mode.
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
                    running_mean: Tensor::zeros([channels]),
                    running_var: Tensor::ones([channels]),
                    momentum: 0.1,
                    eps: 1e-5,
                    training: true,
                }
            }

            /// The output in evaluation mode.
            ///
            /// # Panics
            /// If the layer is in training mode, or the input has another shape.
            #[track_caller]
            pub fn forward(&self, x: &Var<T>) -> Var<T> {
                assert!(!self.training, "{}", in_training(stringify!($name)));
                self.check(x);
                let running = Some([&self.running_mean, &self.running_var]);
                let (weight, bias) = (self.weight.as_deref(), self.bias.as_deref());
                x.batch_norm(running, weight, bias, false, self.momentum, self.eps).0
            }

            /// The output in the mode that the layer is in; in training it changes the running statistics.
            ///
            /// # Panics
            /// If the input has another shape, or in training but one element for each channel.
            #[track_caller]
            pub fn forward_mut(&mut self, x: &Var<T>) -> Var<T> {
                if !self.training {
                    return self.forward(x);
                }
                self.check(x);
                let running = Some([&self.running_mean, &self.running_var]);
                let (weight, bias) = (self.weight.as_deref(), self.bias.as_deref());
                let (y, updated) = x.batch_norm(running, weight, bias, true, self.momentum, self.eps);
                [self.running_mean, self.running_var] = updated.expect("running statistics were given");
                y
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

        impl<T: Float> Module<T> for $name<T> {
            fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &'a Parameter<T>)) {
                self.weight.visit(path.field("weight"), visitor);
                self.bias.visit(path.field("bias"), visitor);
            }
            fn visit_mut(&mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &mut Parameter<T>)) {
                self.weight.visit_mut(path.field("weight"), visitor);
                self.bias.visit_mut(path.field("bias"), visitor);
            }
            fn visit_buffers<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &'a Tensor<T>)) {
                visitor(path.field("running_mean"), &self.running_mean);
                visitor(path.field("running_var"), &self.running_var);
            }
            fn visit_buffers_mut(
                &mut self,
                path: Path<'_>,
                visitor: &mut dyn FnMut(Path<'_>, &mut Tensor<T>),
            ) {
                visitor(path.field("running_mean"), &mut self.running_mean);
                visitor(path.field("running_var"), &mut self.running_var);
            }
            fn set_training(&mut self, training: bool) {
                self.training = training;
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                self.forward(x)
            }
            #[track_caller]
            fn forward_mut(&mut self, x: &Var<T>) -> Var<T> {
                self.forward_mut(x)
            }
        }
    )*};
}

batch_norm! {
    BatchNorm1d, 2 | 3, "`[batch, channels]` or `[batch, channels, length]`", "[2, 1]";
    BatchNorm2d, 4, "`[batch, channels, height, width]`", "[2, 1, 1, 1]";
}

fn in_training(layer: &str) -> String {
    format!(
        "{layer}: the layer is in training mode, in which `forward` would have to change it: call `forward_mut` to \
         train, or `eval` on the model first"
    )
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
            /// What is added to the variance.
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
            pub fn forward(&self, $x: &Var<T>) -> Var<T> {
                let $layer = self;
                $forward
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

/// In training each element is 0 with probability `p`, and otherwise divided by `1 - p`, which keeps its mean; in
/// evaluation mode it stays (Srivastava et al., "Dropout", 2014).
///
/// The layer owns its generator, so a run can be repeated; a clone goes on with the same numbers.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
/// use gradus_nn::Dropout;
///
/// let mut layer = Dropout::new(0.25, 0);
/// let y = layer.forward_mut(&Var::constant(Tensor::<f64>::ones([10_000])));
/// assert!((y.value().mean(..).item() - 1.0).abs() < 0.05);
/// ```
#[derive(Debug, Clone)]
pub struct Dropout {
    /// The probability with which an element is dropped.
    pub p: f64,
    /// Whether it is in training mode.
    pub training: bool,
    rng: Xoshiro256PlusPlus,
}

impl Dropout {
    /// In training mode, with a generator from this seed.
    ///
    /// # Panics
    /// If `p` is not between 0 and 1.
    #[track_caller]
    pub fn new(p: f64, seed: u64) -> Self {
        check_probability(p);
        Self { p, training: true, rng: seeded(seed) }
    }

    /// The output in evaluation mode: the input.
    ///
    /// # Panics
    /// If the layer is in training mode.
    #[track_caller]
    pub fn forward<T: Float>(&self, x: &Var<T>) -> Var<T> {
        assert!(!self.training, "{}", in_training("Dropout"));
        x.clone()
    }

    /// The output in the mode that the layer is in.
    ///
    /// # Panics
    /// In training, if `p` is not between 0 and 1.
    #[track_caller]
    pub fn forward_mut<T: Float>(&mut self, x: &Var<T>) -> Var<T> {
        if !self.training {
            return x.clone();
        }
        check_probability(self.p);
        let (p, kept) = (T::from_f64(self.p), T::from_f64(1.0 / (1.0 - self.p)));
        let factors = Tensor::<T>::rand(x.shape(), &mut self.rng).map(|u| if u < p { T::ZERO } else { kept });
        x.multiply_no_nan(factors)
    }
}

#[track_caller]
fn check_probability(p: f64) {
    assert!((0.0..=1.0).contains(&p), "Dropout: p is {p}; it must be between 0 and 1");
}

impl<T: Float> Module<T> for Dropout {
    fn visit<'a>(&'a self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, &'a Parameter<T>)) {}
    fn visit_mut(&mut self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, &mut Parameter<T>)) {}
    fn set_training(&mut self, training: bool) {
        self.training = training;
    }
}

impl<T: Float> Layer<T> for Dropout {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
    #[track_caller]
    fn forward_mut(&mut self, x: &Var<T>) -> Var<T> {
        self.forward_mut(x)
    }
}
