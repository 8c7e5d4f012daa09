//! Convolutional layers.

use gradus_autograd::{AsVar, Conv, Dims, Float, Var};
use rand::Rng;

use super::sequential::Layer;
use crate::init;
use crate::inside;
use crate::parameter::Parameter;

/// The sizes of the kernel along all axes.
#[track_caller]
fn kernel_sizes(layer: &str, kernel: &Dims, axes: usize) -> Vec<usize> {
    let sizes = kernel.as_slice();
    assert!(
        (sizes.len() == 1 || sizes.len() == axes) && sizes.iter().all(|&size| size > 0),
        "{layer}: the kernel is {sizes:?}: it must be one number for all axes, or one for each of {axes}, at least 1"
    );
    (0..axes).map(|axis| sizes[axis.min(sizes.len() - 1)] as usize).collect()
}

/// A layer whose method of `Var` convolves along `$axes` axes.
macro_rules! convolutional {
    ($(#[$doc:meta])* $name:ident, $axes:literal, $method:ident, $transposed:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, gradus_derive::Module)]
        pub struct $name<T: Float = f32> {
            /// The kernels, `[out_channels, in_channels / groups, ...]`, or
            /// `[in_channels, out_channels / groups, ...]` of a transposed convolution.
            pub weight: Parameter<T>,
            /// `[out_channels]`.
            pub bias: Option<Parameter<T>>,
            /// Stride, padding, dilation and groups.
            #[module(skip)]
            pub conv: Conv,
        }

        impl<T: Float> $name<T> {
            /// A layer from `in_channels` to `out_channels` with a bias. The kernel is one number for all axes, or one
            /// for each.
            ///
            /// Weight and bias are drawn uniformly between `-1 / sqrt(fan_in)` and `1 / sqrt(fan_in)`, as in
            /// [`Linear::new`](crate::Linear::new), where `fan_in` is the second size of the weight times the kernel's
            /// sizes.
            ///
            /// # Panics
            /// If the groups do not divide the channels, or the kernel is empty or has another number of axes.
            #[track_caller]
            #[inline(never)]
            pub fn new(
                in_channels: usize,
                out_channels: usize,
                kernel: impl Into<Dims>,
                conv: Conv,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                let kernel = kernel_sizes(stringify!($name), &kernel.into(), $axes);
                let groups = conv.group_count();
                assert!(
                    groups > 0 && in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
                    "{}: groups is {groups} for {in_channels} input channels and {out_channels} output channels: it \
                     must divide both",
                    stringify!($method)
                );
                let channels =
                    if $transposed { [in_channels, out_channels / groups] } else { [out_channels, in_channels / groups] };
                let shape = [&channels[..], &kernel[..]].concat();
                let bound = 1.0 / (init::fans(&shape).0.max(1) as f64).sqrt();
                Self {
                    weight: Parameter::new(init::uniform(&shape, -bound, bound, rng)),
                    bias: Some(Parameter::new(init::uniform([out_channels], -bound, bound, rng))),
                    conv,
                }
            }

            /// The layer without its bias.
            #[must_use]
            pub fn without_bias(self) -> Self {
                Self { bias: None, ..self }
            }

            #[doc = concat!("[`Var::", stringify!($method), "`] with the parameters and attributes of this layer.")]
            ///
            /// # Panics
            /// If the shape of `x` does not fit.
            #[track_caller]
            pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
                let scope = inside::open(self);
                let x = &*x.as_var();
                scope.gives(x.$method(&self.weight, self.bias.as_deref(), self.conv.clone()))
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

convolutional! {
    /// A convolution along one axis: `[batch (optional), in_channels, length]` to
    /// `[batch (optional), out_channels, ...]`.
    Conv1d, 1, conv1d, false
}
convolutional! {
    /// A convolution of images: `[batch (optional), in_channels, height, width]` to
    /// `[batch (optional), out_channels, ...]`.
    ///
    /// ```
    /// use gradus_autograd::{Conv, Tensor, Var, seeded};
    /// use gradus_nn::Conv2d;
    ///
    /// let layer = Conv2d::new(3, 6, 5, Conv::new().padding(2).stride(2), &mut seeded(0));
    /// assert_eq!(layer.weight.shape(), [6, 3, 5, 5]);
    /// let y = layer.forward(&Var::constant(Tensor::<f32>::ones([8, 3, 10, 10])));
    /// assert_eq!(y.shape(), [8, 6, 5, 5]);
    /// ```
    Conv2d, 2, conv2d, false
}
convolutional! {
    /// A transposed convolution along one axis, with the shapes of [`Conv1d`].
    ConvTranspose1d, 1, conv_transpose1d, true
}
convolutional! {
    /// A transposed convolution of images, with the shapes of [`Conv2d`].
    ConvTranspose2d, 2, conv_transpose2d, true
}
