//! Convolutions, their transposes, and the gradients of both.

mod options;

pub use options::Conv;
pub(crate) use options::sizes_along;

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// The cross-correlation along one axis: an input `[batch, channels, length]` with a weight
    /// `[out_channels, channels / groups, kernel]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, (length + 2 padding - dilation (kernel - 1) - 1) / stride + 1]`, rounded down. The
    /// batch may be missing.
    ///
    /// # Panics
    /// If shapes or attributes do not fit each other.
    #[track_caller]
    pub fn conv1d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        conv.output_shape("conv1d", 1, self.shape(), weight.shape(), bias.map(Self::shape)).or_panic();
        self.unsqueeze(-2).conv2d(&weight.unsqueeze(2), bias, conv.flat()).squeeze(-2)
    }

    /// The cross-correlation of images: an input `[batch, channels, height, width]` with a weight
    /// `[out_channels, channels / groups, kernel_height, kernel_width]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, ...]` and along height and width
    /// `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down. The batch may be missing.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let x = Tensor::from([[[1.0, 2.0], [3.0, 4.0]]]);
    /// let weight = Tensor::from([[[[1.0, 10.0]]], [[[0.0, 1.0]]]]);
    /// let y = x.conv2d(&weight, None, Conv::new());
    /// assert_eq!(y, Tensor::from([[[21.0], [43.0]], [[2.0], [4.0]]]));
    /// ```
    ///
    /// # Panics
    /// If shapes or attributes do not fit each other.
    #[track_caller]
    pub fn conv2d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let shape =
            conv.output_shape("conv2d", 2, self.shape(), weight.shape(), bias.map(Self::shape)).or_panic();
        if self.rank() == 3 {
            return self.unsqueeze(0).conv2d(weight, bias, conv).squeeze(0);
        }
        let geometry = conv.geometry(self.shape(), weight.shape(), &shape);
        let (x, weight, bias) = (self.contiguous(), weight.contiguous(), bias.map(Self::contiguous));
        let data = T::conv(x.data(), weight.data(), bias.as_ref().map(Self::data), &geometry);
        Self::from_buffer(data, &shape)
    }

    /// The transpose of [`conv1d`](Self::conv1d): an input `[batch, channels, length]` with a weight
    /// `[channels, out_channels / groups, kernel]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, (length - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1]`. The
    /// batch may be missing.
    ///
    /// # Panics
    /// If shapes or attributes do not fit each other.
    #[track_caller]
    pub fn conv_transpose1d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let bias_shape = bias.map(Self::shape);
        conv.transposed_shape("conv_transpose1d", 1, self.shape(), weight.shape(), bias_shape).or_panic();
        self.unsqueeze(-2).conv_transpose2d(&weight.unsqueeze(2), bias, conv.flat()).squeeze(-2)
    }

    /// The transpose of [`conv2d`](Self::conv2d), with the same weight the gradient for its input: an input
    /// `[batch, channels, height, width]` with a weight
    /// `[channels, out_channels / groups, kernel_height, kernel_width]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, ...]` and along height and width
    /// `(size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`. The batch may be missing.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[[1.0, 2.0]]]), Tensor::from([[[[1.0, 10.0]]]]));
    /// let y = x.conv_transpose2d(&weight, Some(&Tensor::from([0.5])), Conv::new().stride([1, 2]));
    /// assert_eq!(y, Tensor::from([[[1.5, 10.5, 2.5, 20.5]]]));
    /// ```
    ///
    /// # Panics
    /// If shapes or attributes do not fit each other.
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let bias_shape = bias.map(Self::shape);
        let shape =
            conv.transposed_shape("conv_transpose2d", 2, self.shape(), weight.shape(), bias_shape).or_panic();
        if self.rank() == 3 {
            return self.unsqueeze(0).conv_transpose2d(weight, bias, conv).squeeze(0);
        }
        let y = self.transposed(weight, &shape, &conv);
        if let Some(bias) = bias { y + bias.unsqueeze(-1).unsqueeze(-1) } else { y }
    }

    /// The gradient of [`conv2d`](Self::conv2d) for its input, of shape `input`, where this is that for the output.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (g, weight) = (Tensor::from([[[[1.0]]]]), Tensor::from([[[[1.0, 10.0]]]]));
    /// let gradient = g.conv2d_input([1, 1, 1, 3], &weight, Conv::new().stride(2));
    /// assert_eq!(gradient, Tensor::from([[[[1.0, 10.0, 0.0]]]]));
    /// ```
    ///
    /// # Panics
    /// If this does not have the shape that the convolution of an input of that shape gives; the batch must not be missing.
    #[track_caller]
    pub fn conv2d_input(&self, input: impl AsRef<[usize]>, weight: &Self, conv: Conv) -> Self {
        let input = input.as_ref();
        check_gradient("conv2d_input", input, weight.shape(), self.shape(), &conv);
        self.transposed(weight, input, &conv)
    }

    /// The gradient of [`conv2d`](Self::conv2d) for its weight, of shape `weight`, where this is the input and
    /// `gradient` that for the output.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, g) = (Tensor::from([[[[1.0, 2.0, 4.0]]]]), Tensor::from([[[[1.0, 10.0]]]]));
    /// assert_eq!(x.conv2d_weight([1, 1, 1, 2], &g, Conv::new()), Tensor::from([[[[21.0, 42.0]]]]));
    /// ```
    ///
    /// # Panics
    /// If `gradient` does not have the shape that the convolution with a weight of that shape gives; the batch must not be missing.
    #[track_caller]
    pub fn conv2d_weight(&self, weight: impl AsRef<[usize]>, gradient: &Self, conv: Conv) -> Self {
        let weight = weight.as_ref();
        check_gradient("conv2d_weight", self.shape(), weight, gradient.shape(), &conv);
        let geometry = conv.geometry(self.shape(), weight, gradient.shape());
        let (x, g) = (self.contiguous(), gradient.contiguous());
        Self::from_buffer(T::conv_weight(x.data(), g.data(), &geometry), weight)
    }

    /// The transposed convolution that gives `shape`, with a batch.
    #[track_caller]
    fn transposed(&self, weight: &Self, shape: &[usize], conv: &Conv) -> Self {
        let geometry = conv.geometry(shape, weight.shape(), self.shape());
        let (g, weight) = (self.contiguous(), weight.contiguous());
        Self::from_buffer(T::conv_input(g.data(), weight.data(), &geometry), shape)
    }

    /// The elements of a contiguous tensor.
    fn data(&self) -> &[T] {
        self.as_slice().expect("made contiguous")
    }
}

#[track_caller]
fn check_gradient(
    operation: &'static str,
    input: &[usize],
    weight: &[usize],
    gradient: &[usize],
    conv: &Conv,
) {
    let shape = conv.output_shape(operation, 2, input, weight, None).or_panic();
    if input.len() != 4 || gradient != &shape[..] {
        TensorError::argument(
            operation,
            "the shape of the gradient for the output",
            format!("{gradient:?}"),
            input,
            format!("it must be {shape:?}, the shape of the convolution, with a batch"),
        )
        .panic();
    }
}
