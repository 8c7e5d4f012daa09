//! Convolutions, their transposes, and the gradients of both.

mod options;

pub use options::Conv;
pub(crate) use options::sizes_along;

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Convolutions, their transposes, and the gradients of both. [`Conv`] has the options.
///
/// ```
/// use gradus_tensor::{Conv, Tensor};
///
/// let x = Tensor::from([[[1.0, 2.0], [3.0, 4.0]]]);
/// let weight = Tensor::from([[[[1.0, 10.0]]], [[[0.0, 1.0]]]]);
/// assert_eq!(x.conv2d(&weight, None, Conv::new()), Tensor::from([[[21.0], [43.0]], [[2.0], [4.0]]]));
///
/// let (x, weight) = (Tensor::from([[[[1.0, 2.0, 4.0]]]]), Tensor::from([[[[1.0, 10.0]]]]));
/// let y = x.conv_transpose2d(&weight, Some(&Tensor::from([0.5])), Conv::new().stride([1, 2]));
/// assert_eq!(y, Tensor::from([[[[1.5, 10.5, 2.5, 20.5, 4.5, 40.5]]]]));
///
/// let g = Tensor::from([[[[1.0, 0.0]]]]);
/// assert_eq!(g.conv2d_input([1, 1, 1, 3], &weight, Conv::new()), Tensor::from([[[[1.0, 10.0, 0.0]]]]));
/// assert_eq!(x.conv2d_weight([1, 1, 1, 2], &g, Conv::new()), Tensor::from([[[[1.0, 2.0]]]]));
/// ```
///
/// # Panics
/// Every method panics if shapes or options do not fit each other.
impl<T: Float> Tensor<T> {
    /// The cross-correlation along one axis: an input `[batch, channels, length]` with a weight
    /// `[out_channels, channels / groups, kernel]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, (length + 2 padding - dilation (kernel - 1) - 1) / stride + 1]`, rounded down. The
    /// batch may be missing.
    #[track_caller]
    pub fn conv1d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let bias_shape = bias.map(Self::shape);
        let shape = conv.output_shape("conv1d", 1, self.shape(), weight.shape(), bias_shape).or_panic();
        self.convolved(weight, bias, &conv.flat(), &shape)
    }

    /// The cross-correlation of images: an input `[batch, channels, height, width]` with a weight
    /// `[out_channels, channels / groups, kernel_height, kernel_width]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, ...]` and along height and width
    /// `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down. The batch may be missing.
    #[track_caller]
    pub fn conv2d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let bias_shape = bias.map(Self::shape);
        let shape = conv.output_shape("conv2d", 2, self.shape(), weight.shape(), bias_shape).or_panic();
        self.convolved(weight, bias, &conv, &shape)
    }

    /// The convolution that gives `shape`.
    fn convolved(&self, weight: &Self, bias: Option<&Self>, conv: &Conv, shape: &[usize]) -> Self {
        let [input, kernel, output] = images([self.shape(), weight.shape(), shape]);
        let geometry = conv.geometry(&input, &kernel, &output);
        let (x, weight, bias) = (self.contiguous(), weight.contiguous(), bias.map(Self::contiguous));
        let data = T::conv(x.data(), weight.data(), bias.as_ref().map(Self::data), &geometry);
        Self::from_buffer(data, shape)
    }

    /// The transpose of [`conv1d`](Self::conv1d): an input `[batch, channels, length]` with a weight
    /// `[channels, out_channels / groups, kernel]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, (length - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1]`. The
    /// batch may be missing.
    #[track_caller]
    pub fn conv_transpose1d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let of = [self.shape(), weight.shape()];
        let shape = conv.transposed_shape("conv_transpose1d", 1, of[0], of[1], bias.map(Self::shape));
        let y = self.transposed(weight, &shape.or_panic(), &conv.flat());
        if let Some(bias) = bias { y + bias.unsqueeze(-1) } else { y }
    }

    /// The transpose of [`conv2d`](Self::conv2d), with the same weight the gradient for its input: an input
    /// `[batch, channels, height, width]` with a weight
    /// `[channels, out_channels / groups, kernel_height, kernel_width]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, ...]` and along height and width
    /// `(size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`. The batch may be missing.
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let of = [self.shape(), weight.shape()];
        let shape = conv.transposed_shape("conv_transpose2d", 2, of[0], of[1], bias.map(Self::shape));
        let y = self.transposed(weight, &shape.or_panic(), &conv);
        if let Some(bias) = bias { y + bias.unsqueeze(-1).unsqueeze(-1) } else { y }
    }

    /// The gradient of [`conv2d`](Self::conv2d) with respect to its input, of shape `input`, from the gradient of its
    /// output, which is this tensor; both with a batch.
    #[track_caller]
    pub fn conv2d_input(&self, input: impl AsRef<[usize]>, weight: &Self, conv: Conv) -> Self {
        let input = input.as_ref();
        conv.check_gradient("conv2d_input", input, weight.shape(), self.shape()).or_panic();
        self.transposed(weight, input, &conv)
    }

    /// The gradient of [`conv2d`](Self::conv2d) with respect to its weight, of shape `weight`, from its input, which is
    /// this tensor, and the gradient of its output; both with a batch.
    #[track_caller]
    pub fn conv2d_weight(&self, weight: impl AsRef<[usize]>, gradient: &Self, conv: Conv) -> Self {
        let weight = weight.as_ref();
        conv.check_gradient("conv2d_weight", self.shape(), weight, gradient.shape()).or_panic();
        let geometry = conv.geometry(self.shape(), weight, gradient.shape());
        let (x, g) = (self.contiguous(), gradient.contiguous());
        Self::from_buffer(T::conv_weight(x.data(), g.data(), &geometry), weight)
    }

    /// The transposed convolution that gives `shape`.
    #[track_caller]
    fn transposed(&self, weight: &Self, shape: &[usize], conv: &Conv) -> Self {
        let [input, kernel, output] = images([shape, weight.shape(), self.shape()]);
        let geometry = conv.geometry(&input, &kernel, &output);
        let (g, weight) = (self.contiguous(), weight.contiguous());
        Self::from_buffer(T::conv_input(g.data(), weight.data(), &geometry), shape)
    }
}

/// The shapes of input, weight and output for a batch of images; a sequence is an image of height 1.
fn images(shapes: [&[usize]; 3]) -> [[usize; 4]; 3] {
    let planar = shapes[1].len() == 4;
    shapes.map(|shape| match *shape {
        [batch, channels, height, width] => [batch, channels, height, width],
        [channels, height, width] if planar => [1, channels, height, width],
        [batch, channels, width] => [batch, channels, 1, width],
        [channels, width] => [1, channels, 1, width],
        _ => unreachable!("checked"),
    })
}

/// The shape of [`Tensor::conv2d_input`].
#[doc(hidden)]
pub fn conv2d_input_shape(
    input: &[usize],
    weight: &[usize],
    gradient: &[usize],
    conv: &Conv,
) -> Result<Shape, TensorError> {
    conv.check_gradient("conv2d_input", input, weight, gradient)?;
    Ok(input.into())
}

/// The shape of [`Tensor::conv2d_weight`].
#[doc(hidden)]
pub fn conv2d_weight_shape(
    input: &[usize],
    weight: &[usize],
    gradient: &[usize],
    conv: &Conv,
) -> Result<Shape, TensorError> {
    conv.check_gradient("conv2d_weight", input, weight, gradient)?;
    Ok(weight.into())
}
