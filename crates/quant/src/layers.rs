//! Dense layers and convolutions of integers.

use std::sync::Arc;

use gradus_autograd::{AsVar, Float, Tensor, Var};
use gradus_nn::{Conv2d, Layer, LayerId, Linear, Member, MemberMut, Module, Path, layer_scope};

use crate::core::{Core, Input, run};
use crate::error::QuantError;
use crate::params::{Params, Scheme};

/// A layer of integers in place of a layer of numbers.
macro_rules! integer_layer {
    ($(#[$doc:meta])* $name:ident of $float:ident |$layer:ident| $conv:expr, $shapes:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<T: Float = f32>(Arc<Core<T>>);

        impl<T: Float> $name<T> {
            /// The layer with a weight of 8 bits, a scale for each output, and inputs that are quantised as they come, by the range
            /// of the numbers of each call (dynamic quantisation).
            ///
            /// # Errors
            /// If a number of the layer is NaN or infinite, or an output has more than 65,793 numbers of the weight: sums have 32 bits.
            pub fn new(layer: &$float<T>) -> Result<Self, QuantError> {
                Self::with_params(layer, Params::of(layer.weight.value(), &Scheme::weights())?)
            }

            /// As [`new`](Self::new), with other parameters of the weight.
            ///
            /// # Errors
            /// As [`new`](Self::new), and if the weight has levels without a sign or a zero point, or scales along another axis than the
            /// first.
            pub fn with_params($layer: &$float<T>, weight: Params) -> Result<Self, QuantError> {
                let bias = $layer.bias.as_ref().map(|bias| bias.value());
                let core = Core::new($layer.weight.value(), bias, &weight, $conv)?;
                Ok(Self(Arc::new(core)))
            }

            fn changed(mut self, change: impl FnOnce(&mut Core<T>)) -> Self {
                change(Arc::make_mut(&mut self.0));
                self
            }

            /// The layer with inputs that are quantised by the range of the numbers of each call.
            ///
            /// # Panics
            /// If the scheme has scales along an axis, unless it is for the rows of a dense layer, and symmetric.
            #[must_use]
            #[track_caller]
            pub fn dynamic(self, scheme: &Scheme) -> Self {
                self.changed(|core| core.set_input(Input::Dynamic(scheme.clone())))
            }

            /// The layer with these parameters for all inputs (static quantisation), from an [`Observer`](crate::Observer).
            ///
            /// # Panics
            /// If there are several scales.
            #[must_use]
            #[track_caller]
            pub fn input(self, input: Params) -> Self {
                self.changed(|core| core.set_input(Input::Static(input)))
            }

            /// The layer with results that are rounded to levels, as integer hardware does, and a bias of 32 bits. Without, sums
            /// become numbers at once, which is more exact.
            ///
            /// # Panics
            /// If there are several scales, inputs have no parameters of their own, or their scale is too small for a bias of 32 bits.
            #[must_use]
            #[track_caller]
            pub fn output(self, output: Params) -> Self {
                self.changed(|core| core.set_output(output))
            }

            #[doc = concat!("The result, ", $shapes, ". If a number is NaN or, without fixed parameters, infinite, all results are NaN.")]
            ///
            /// It has no derivative: a backward pass through it panics.
            ///
            /// # Panics
            /// If the shape does not fit.
            #[track_caller]
            pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
                let scope = layer_scope(self);
                scope.gives(run(&self.0, &x.as_var()))
            }

            /// The levels of the weight, in its shape.
            pub fn weight_levels(&self) -> Tensor<i64> {
                self.0.weight_levels()
            }

            /// The levels of the bias, if there is one and results are [levels](Self::output), too.
            ///
            /// # Panics
            /// If they do not fit 32 bits beside the sums, after loading: [`output`](Self::output) looks before.
            #[track_caller]
            pub fn bias_levels(&self) -> Option<Tensor<i64>> {
                self.0.bias_levels()
            }

            /// The levels of an input, in its shape.
            #[track_caller]
            pub fn input_levels(&self, x: &Tensor<T>) -> Tensor<i64> {
                self.0.input_levels(x)
            }

            /// The sums of the products of levels, with the bias if results are [levels](Self::output), in the shape of the result.
            ///
            /// # Panics
            /// If the shape does not fit.
            #[track_caller]
            pub fn sums(&self, x: &Tensor<T>) -> Tensor<i64> {
                self.0.sums(x)
            }

            /// The results as levels, if there are parameters for them.
            ///
            /// # Panics
            /// If the shape does not fit.
            #[track_caller]
            pub fn output_levels(&self, x: &Tensor<T>) -> Option<Tensor<i64>> {
                self.0.output_levels(x)
            }
        }

        /// Members are `weight`, of 8 bits, `weight_scale`, `bias`, and `input` and `output` if they are fixed: the lowest and the highest
        /// level, the scale and the zero point.
        impl<T: Float> Module<T> for $name<T> {
            fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                visitor(path, Member::Layer(LayerId::of(self)));
                self.0.visit(path, visitor);
            }
            fn visit_mut<'a>(
                &'a mut self,
                path: Path<'_>,
                visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>),
            ) {
                Arc::make_mut(&mut self.0).visit_mut(path, visitor);
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>) -> Var<T> {
                self.forward(x)
            }
        }
    };
}

integer_layer! {
    /// A [`Linear`] layer whose products are of 8-bit integers (Jacob et al., "Quantization and training of neural networks for
    /// efficient integer-arithmetic-only inference", 2018).
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_nn::{Linear, Module};
    /// use gradus_quant::{Params, QLinear, Scheme};
    ///
    /// let rng = &mut seeded(0);
    /// let (layer, x) = (Linear::<f32>::new(64, 8, rng), Tensor::randn([5, 64], rng));
    /// let quantized = QLinear::new(&layer)?;
    /// assert!(quantized.forward(&x).value().allclose(layer.forward(&x).value(), 0.0, 0.05));
    ///
    /// // With a range that is known before, it need not look at the numbers.
    /// let quantized = quantized.input(Params::of(&x, &Scheme::uint8())?);
    /// assert!(quantized.forward(&x).value().allclose(layer.forward(&x).value(), 0.0, 0.05));
    /// assert_eq!(quantized.state().names().next(), Some("bias"));
    /// # Ok::<(), gradus_quant::QuantError>(())
    /// ```
    QLinear of Linear |layer| None, "`[..., inputs]` to `[..., outputs]`"
}
integer_layer! {
    /// A [`Conv2d`] layer whose products are of 8-bit integers; see [`QLinear`] for an example. What lies outside an image is 0.
    QConv2d of Conv2d |layer| Some(layer.conv.clone()),
        "`[batch, channels, height, width]` to `[batch, outputs, ...]`"
}
