//! Convolutions, their transposes, and the gradients of both.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::Geometry;
use crate::shape::{Dims, Shape, checked_count};
use crate::tensor::Tensor;

/// The attributes of a convolution, each at first what does nothing; those along axes are one number for all of
/// them, or one for each.
///
/// ```
/// use gradus_tensor::{Conv, Tensor};
///
/// let (x, weight) = (Tensor::<f32>::ones([1, 4, 9, 9]), Tensor::ones([6, 2, 3, 3]));
/// let y = x.conv2d(&weight, None, Conv::new().stride(2).padding([1, 0]).groups(2));
/// assert_eq!(y.shape(), [1, 6, 5, 4]);
/// assert_eq!(y[[0, 0, 1, 1]], 18.0); // 2 channels of 3 x 3
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    stride: Dims,
    padding: Dims,
    dilation: Dims,
    output_padding: Dims,
    groups: usize,
}

impl Default for Conv {
    fn default() -> Self {
        Self::new()
    }
}

impl Conv {
    /// Stride 1, no padding, dilation 1, one group.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[1.0, 2.0, 4.0]]), Tensor::from([[[1.0, 10.0]]]));
    /// assert_eq!(x.conv1d(&weight, None, Conv::new()), Tensor::from([[21.0, 42.0]]));
    /// ```
    pub fn new() -> Self {
        let [one, zero] = [1_usize, 0].map(Dims::from);
        Self { stride: one.clone(), padding: zero.clone(), dilation: one, output_padding: zero, groups: 1 }
    }

    /// How far the kernel moves from one result to the next.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[1.0, 2.0, 4.0]]), Tensor::from([[[1.0]]]));
    /// assert_eq!(x.conv1d(&weight, None, Conv::new().stride(2)), Tensor::from([[1.0, 4.0]]));
    /// ```
    #[must_use]
    pub fn stride(self, stride: impl Into<Dims>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// How many zeros stand before and after the input.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[[1.0, 10.0]]]));
    /// assert_eq!(x.conv1d(&weight, None, Conv::new().padding(1)), Tensor::from([[10.0, 21.0, 2.0]]));
    /// ```
    #[must_use]
    pub fn padding(self, padding: impl Into<Dims>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// How far the taps of the kernel are from each other.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[1.0, 2.0, 4.0]]), Tensor::from([[[1.0, 10.0]]]));
    /// assert_eq!(x.conv1d(&weight, None, Conv::new().dilation(2)), Tensor::from([[41.0]]));
    /// ```
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Dims>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// Into how many groups the channels are cut, each with a weight of its own: output channels see the
    /// input channels of their group alone.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[1.0], [2.0]]), Tensor::from([[[10.0]], [[100.0]]]));
    /// assert_eq!(x.conv1d(&weight, None, Conv::new().groups(2)), Tensor::from([[10.0], [200.0]]));
    /// ```
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The number of groups.
    ///
    /// ```
    /// assert_eq!(gradus_tensor::Conv::new().groups(4).group_count(), 4);
    /// ```
    pub fn group_count(&self) -> usize {
        self.groups
    }

    /// By how much the result of a transposed convolution is longer than the shortest input that a convolution
    /// would make this input of; less than the stride or the dilation.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::<f32>::ones([1, 1, 4, 4]), Tensor::ones([1, 1, 3, 3]));
    /// let double = Conv::new().stride(2).padding(1).output_padding(1);
    /// assert_eq!(x.conv_transpose2d(&weight, None, double).shape(), [1, 1, 8, 8]);
    /// ```
    #[must_use]
    pub fn output_padding(self, output_padding: impl Into<Dims>) -> Self {
        Self { output_padding: output_padding.into(), ..self }
    }

    /// The attributes of a two-dimensional convolution of height 1, of which these are those along the width.
    ///
    /// ```
    /// use gradus_tensor::Conv;
    ///
    /// assert_eq!(Conv::new().padding(3).flat(), Conv::new().stride([1, 1]).padding([0, 3]).dilation([1, 1])
    ///     .output_padding([0, 0]));
    /// ```
    pub fn flat(&self) -> Self {
        let lift = |dims: &Dims, first: isize| Dims::from([first, dims.0.last().copied().unwrap_or(first)]);
        Self {
            stride: lift(&self.stride, 1),
            padding: lift(&self.padding, 0),
            dilation: lift(&self.dilation, 1),
            output_padding: lift(&self.output_padding, 0),
            groups: self.groups,
        }
    }

    /// The shape of the convolution of operands of these shapes, along `axes` axes, by the name of an operation
    /// for the error; a missing batch axis stays missing.
    ///
    /// ```
    /// use gradus_tensor::Conv;
    ///
    /// let shape = Conv::new().padding(1).output_shape("conv2d", 2, &[8, 3, 5, 5], &[6, 3, 3, 3], None).unwrap();
    /// assert_eq!(shape.as_slice(), [8, 6, 5, 5]);
    /// let error = Conv::new().output_shape("conv1d", 1, &[3, 5], &[6, 3, 7], None).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "conv1d: the kernel is [7] for shape [3, 5]: with dilation [1] it spans [7], and must be at least 1 and \
    ///      at most [5], the input with its padding"
    /// );
    /// ```
    ///
    /// # Errors
    /// [`TensorError`] if the shapes do not fit each other or the attributes.
    pub fn output_shape(
        &self,
        operation: &'static str,
        axes: usize,
        input: &[usize],
        weight: &[usize],
        bias: Option<&[usize]>,
    ) -> Result<Shape, TensorError> {
        Self::check_ranks(operation, axes, input, weight, false)?;
        let spatial = input.len() - axes;
        let (channels, groups) = (input[spatial - 1], self.groups);
        if groups == 0 || !channels.is_multiple_of(groups) || !weight[0].is_multiple_of(groups) {
            return Err(TensorError::argument(
                operation,
                "groups",
                groups,
                input,
                format!(
                    "it must divide the {channels} channels of the input and the {} output channels of the weight",
                    weight[0]
                ),
            ));
        }
        if weight[1] != channels / groups {
            return Err(TensorError::argument(
                operation,
                "the weight's shape",
                format!("{weight:?}"),
                input,
                format!(
                    "its second axis must have size {}, the channels of the input by the groups ({groups})",
                    channels / groups
                ),
            ));
        }
        check_bias(operation, weight, bias, weight[0], "the weight's first axis")?;
        let [stride, padding, dilation, _] = self.resolve(operation, axes, input)?;
        let (size, kernel) = (&input[spatial..], &weight[2..]);
        let span = |i: usize| (kernel[i] - 1).checked_mul(dilation[i]).and_then(|span| span.checked_add(1));
        let padded: Shape = (0..axes).map(|i| size[i].saturating_add(padding[i].saturating_mul(2))).collect();
        if (0..axes).any(|i| kernel[i] == 0 || span(i).is_none_or(|span| span > padded[i])) {
            let spans: Shape =
                (0..axes).map(|i| kernel[i].saturating_sub(1).saturating_mul(dilation[i]) + 1).collect();
            return Err(TensorError::argument(
                operation,
                "the kernel",
                format!("{kernel:?}"),
                input,
                format!(
                    "with dilation {dilation:?} it spans {spans:?}, and must be at least 1 and at most {padded:?}, \
                     the input with its padding"
                ),
            ));
        }
        let mut shape = Shape::from_slice(&input[..spatial - 1]);
        shape.push(weight[0]);
        shape.extend((0..axes).map(|i| (padded[i] - span(i).unwrap_or(1)) / stride[i] + 1));
        checked_count(operation, &shape)?;
        Ok(shape)
    }

    /// The shape of the transposed convolution of operands of these shapes; see
    /// [`output_shape`](Self::output_shape).
    ///
    /// ```
    /// use gradus_tensor::Conv;
    ///
    /// let conv = Conv::new().stride(2);
    /// let shape = conv.transposed_shape("conv_transpose1d", 1, &[8, 3, 5], &[3, 6, 2], None).unwrap();
    /// assert_eq!(shape.as_slice(), [8, 6, 10]);
    /// ```
    ///
    /// # Errors
    /// [`TensorError`] if the shapes do not fit each other or the attributes.
    pub fn transposed_shape(
        &self,
        operation: &'static str,
        axes: usize,
        input: &[usize],
        weight: &[usize],
        bias: Option<&[usize]>,
    ) -> Result<Shape, TensorError> {
        Self::check_ranks(operation, axes, input, weight, true)?;
        let spatial = input.len() - axes;
        let (channels, groups) = (input[spatial - 1], self.groups);
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(TensorError::argument(
                operation,
                "groups",
                groups,
                input,
                format!("it must divide the {channels} channels of the input"),
            ));
        }
        if weight[0] != channels {
            return Err(TensorError::argument(
                operation,
                "the weight's shape",
                format!("{weight:?}"),
                input,
                format!("its first axis must have size {channels}, the channels of the input"),
            ));
        }
        let outputs = weight[1].saturating_mul(groups);
        check_bias(operation, weight, bias, outputs, "the weight's second axis times the groups")?;
        let [stride, padding, dilation, extra] = self.resolve(operation, axes, input)?;
        if (0..axes).any(|i| extra[i] >= stride[i].max(dilation[i])) {
            return Err(TensorError::argument(
                operation,
                "output_padding",
                format!("{extra:?}"),
                input,
                format!("it must be less than the stride {stride:?} or the dilation {dilation:?}"),
            ));
        }
        let (size, kernel) = (&input[spatial..], &weight[2..]);
        let length = |i: usize| {
            let strides = size[i].checked_sub(1)?.checked_mul(stride[i])?;
            let span = kernel[i].checked_sub(1)?.checked_mul(dilation[i])?;
            let all = strides.checked_add(span)?.checked_add(extra[i] + 1)?;
            all.checked_sub(padding[i].checked_mul(2)?).filter(|&length| length > 0)
        };
        let mut shape = Shape::from_slice(&input[..spatial - 1]);
        shape.push(outputs);
        for i in 0..axes {
            let Some(length) = length(i) else {
                return Err(TensorError::argument(
                    operation,
                    "padding",
                    format!("{padding:?}"),
                    input,
                    format!(
                        "with a kernel of {kernel:?} nothing would be left: input and kernel must not be empty, and \
                         (input - 1) * stride + dilation * (kernel - 1) + output_padding + 1 must be more than \
                         2 * padding"
                    ),
                ));
            };
            shape.push(length);
        }
        checked_count(operation, &shape)?;
        Ok(shape)
    }

    fn check_ranks(
        operation: &'static str,
        axes: usize,
        input: &[usize],
        weight: &[usize],
        transposed: bool,
    ) -> Result<(), TensorError> {
        if weight.len() == axes + 2 && (input.len() == axes + 2 || input.len() == axes + 1) {
            return Ok(());
        }
        let expected = match (axes, transposed) {
            (1, false) => {
                "the input must have the axes [batch (or none), channels, length], the weight [out_channels, \
                 channels / groups, kernel]"
            }
            (1, true) => {
                "the input must have the axes [batch (or none), channels, length], the weight [channels, \
                 out_channels / groups, kernel]"
            }
            (_, false) => {
                "the input must have the axes [batch (or none), channels, height, width], the weight [out_channels, \
                 channels / groups, kernel_height, kernel_width]"
            }
            (_, true) => {
                "the input must have the axes [batch (or none), channels, height, width], the weight [channels, \
                 out_channels / groups, kernel_height, kernel_width]"
            }
        };
        Err(TensorError::mismatch(operation, input, weight, expected))
    }

    /// Stride, padding, dilation and output padding, one number for each axis.
    fn resolve(
        &self,
        operation: &'static str,
        axes: usize,
        input: &[usize],
    ) -> Result<[Shape; 4], TensorError> {
        let sizes = |argument, dims, least| sizes_along(operation, argument, dims, axes, least, input);
        Ok([
            sizes("stride", &self.stride, 1)?,
            sizes("padding", &self.padding, 0)?,
            sizes("dilation", &self.dilation, 1)?,
            sizes("output_padding", &self.output_padding, 0)?,
        ])
    }

    /// For a convolution that gives `output`, all of it with a batch.
    #[track_caller]
    fn geometry(&self, input: &[usize], weight: &[usize], output: &[usize]) -> Geometry {
        let [stride, padding, dilation, _] = self.resolve("conv2d", 2, input).or_panic();
        let pair = |sizes: &[usize]| [sizes[0], sizes[1]];
        Geometry {
            batch: input[0],
            groups: self.groups,
            inputs: weight[1],
            outputs: weight[0] / self.groups,
            input: pair(&input[2..]),
            kernel: pair(&weight[2..]),
            output: pair(&output[2..]),
            stride: pair(&stride),
            padding: pair(&padding),
            dilation: pair(&dilation),
        }
    }
}

/// One number for each axis, of at least `least`.
pub(crate) fn sizes_along(
    operation: &'static str,
    argument: &'static str,
    dims: &Dims,
    axes: usize,
    least: isize,
    shape: &[usize],
) -> Result<Shape, TensorError> {
    if (dims.0.len() == axes || dims.0.len() == 1) && dims.0.iter().all(|&size| size >= least) {
        return Ok((0..axes).map(|axis| dims.0[axis % dims.0.len()] as usize).collect());
    }
    Err(TensorError::argument(
        operation,
        argument,
        format!("{:?}", dims.0),
        shape,
        match axes {
            1 => format!("it must be one number, at least {least}"),
            _ => format!("it must be one number, or {axes} for height and width, at least {least}"),
        },
    ))
}

fn check_bias(
    operation: &'static str,
    weight: &[usize],
    bias: Option<&[usize]>,
    outputs: usize,
    source: &str,
) -> Result<(), TensorError> {
    match bias {
        Some(bias) if bias != [outputs] => Err(TensorError::argument(
            operation,
            "the bias's shape",
            format!("{bias:?}"),
            weight,
            format!("it must be [{outputs}], the size of {source}"),
        )),
        _ => Ok(()),
    }
}

impl<T: Float> Tensor<T> {
    /// The cross-correlation along one axis: an input `[batch, channels, length]` with a weight
    /// `[out_channels, channels / groups, kernel]` and a bias `[out_channels]` gives
    /// `[batch, out_channels, (length + 2 padding - dilation (kernel - 1) - 1) / stride + 1]`, rounded down. The
    /// batch may be missing.
    ///
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[[1.0, 2.0, 4.0]]]), Tensor::from([[[1.0, -1.0]]]));
    /// let bias = Tensor::from([0.5]);
    /// assert_eq!(x.conv1d(&weight, Some(&bias), Conv::new()), Tensor::from([[[-0.5, -1.5]]]));
    /// ```
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
    /// ```
    /// use gradus_tensor::{Conv, Tensor};
    ///
    /// let (x, weight) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[[1.0, 10.0]]]));
    /// assert_eq!(x.conv_transpose1d(&weight, None, Conv::new()), Tensor::from([[1.0, 12.0, 20.0]]));
    /// ```
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
    /// If this has not the shape that the convolution of an input of that shape gives; a batch there must be.
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
    /// If `gradient` has not the shape that the convolution with a weight of that shape gives; a batch there must be.
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
