//! The options of a convolution, and the shapes that they give.

use crate::error::{OrPanic, TensorError};
use crate::kernels::Geometry;
use crate::shape::{Dims, Shape, checked_count};

/// The options of a convolution. Along axes, an option is one number for all of them, or one for each.
///
/// ```
/// use gradus_tensor::{Conv, Tensor};
///
/// let (x, weight) = (Tensor::<f32>::ones([1, 4, 9, 9]), Tensor::ones([6, 2, 3, 3]));
/// let y = x.conv2d(&weight, None, Conv::new().stride(2).padding([1, 0]).groups(2));
/// assert_eq!(y.shape(), [1, 6, 5, 4]);
/// assert_eq!(y[[0, 0, 1, 1]], 18.0); // 2 channels of 3 x 3
///
/// let (x, weight) = (Tensor::from([[1.0, 2.0, 4.0]]), Tensor::from([[[1.0, 10.0]]]));
/// let conv1d = |conv| x.conv1d(&weight, None, conv);
/// assert_eq!(conv1d(Conv::new()), Tensor::from([[21.0, 42.0]]));
/// assert_eq!(conv1d(Conv::new().stride(2)), Tensor::from([[21.0]]));
/// assert_eq!(conv1d(Conv::new().padding(1)), Tensor::from([[10.0, 21.0, 42.0, 4.0]]));
/// assert_eq!(conv1d(Conv::new().dilation(2)), Tensor::from([[41.0]]));
/// let transposed = x.conv_transpose1d(&weight, None, Conv::new().stride(2).output_padding(1));
/// assert_eq!(transposed, Tensor::from([[1.0, 10.0, 2.0, 20.0, 4.0, 40.0, 0.0]]));
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
    pub fn new() -> Self {
        let [one, zero] = [1_usize, 0].map(Dims::from);
        Self { stride: one.clone(), padding: zero.clone(), dilation: one, output_padding: zero, groups: 1 }
    }

    /// The step of the kernel from one result to the next; 1 by default.
    #[must_use]
    pub fn stride(self, stride: impl Into<Dims>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// The number of zeros before and after the input; 0 by default.
    #[must_use]
    pub fn padding(self, padding: impl Into<Dims>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// The distance between elements of the kernel; 1 by default.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Dims>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// The number of groups of channels, 1 by default: output channels see only the input channels of their group.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The number of groups.
    pub fn group_count(&self) -> usize {
        self.groups
    }

    /// Extra size added to one side of the output of a transposed convolution, less than the stride or the dilation;
    /// 0 by default.
    #[must_use]
    pub fn output_padding(self, output_padding: impl Into<Dims>) -> Self {
        Self { output_padding: output_padding.into(), ..self }
    }

    /// The same options along the width of a two-dimensional convolution of height 1.
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

    /// The shape of the convolution of operands of these shapes along `axes` axes, with all its checks; `operation` is
    /// named in the error. A missing batch axis stays missing.
    ///
    /// # Errors
    /// [`TensorError`] if shapes and options do not fit each other.
    pub fn output_shape(
        &self,
        operation: &'static str,
        axes: usize,
        input: &[usize],
        weight: &[usize],
        bias: Option<&[usize]>,
    ) -> Result<Shape, TensorError> {
        let wrong = |argument, got: String, expected: String| {
            Err(TensorError::argument(operation, argument, got, input, expected))
        };
        Self::check_ranks(operation, axes, input, weight, false)?;
        let spatial = input.len() - axes;
        let (channels, outputs, groups) = (input[spatial - 1], weight[0], self.groups);
        if groups == 0 || !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let expected = format!(
                "it must divide the {channels} channels of the input and the {outputs} output channels of the weight"
            );
            return wrong("groups", groups.to_string(), expected);
        }
        if weight[1] != channels / groups {
            let expected = format!(
                "it is for inputs of {} channels (its second axis times the groups, {groups}), and the input has \
                 {channels}",
                weight[1].saturating_mul(groups)
            );
            return wrong("the weight's shape", format!("{weight:?}"), expected);
        }
        check_bias(operation, weight, bias, outputs, "the weight's first axis")?;
        let [stride, padding, dilation, _] = self.resolve(operation, axes, input)?;
        let (size, kernel) = (&input[spatial..], &weight[2..]);
        let span = |i: usize| (kernel[i] - 1).checked_mul(dilation[i]).and_then(|span| span.checked_add(1));
        let padded: Shape = (0..axes).map(|i| size[i].saturating_add(padding[i].saturating_mul(2))).collect();
        if (0..axes).any(|i| kernel[i] == 0 || span(i).is_none_or(|span| span > padded[i])) {
            let spans: Shape =
                (0..axes).map(|i| kernel[i].saturating_sub(1).saturating_mul(dilation[i]) + 1).collect();
            let expected = format!(
                "with dilation {dilation:?} it spans {spans:?}, and must be at least 1 and at most {padded:?}, the \
                 input with its padding"
            );
            return wrong("the kernel", format!("{kernel:?}"), expected);
        }
        let mut shape = Shape::from_slice(&input[..spatial - 1]);
        shape.push(outputs);
        shape.extend((0..axes).map(|i| (padded[i] - span(i).unwrap_or(1)) / stride[i] + 1));
        checked_count(operation, &shape)?;
        Ok(shape)
    }

    /// The shape of the transposed convolution of operands of these shapes; see
    /// [`output_shape`](Self::output_shape).
    ///
    /// # Errors
    /// [`TensorError`] if shapes and options do not fit each other.
    pub fn transposed_shape(
        &self,
        operation: &'static str,
        axes: usize,
        input: &[usize],
        weight: &[usize],
        bias: Option<&[usize]>,
    ) -> Result<Shape, TensorError> {
        let wrong = |argument, got: String, expected: String| {
            Err(TensorError::argument(operation, argument, got, input, expected))
        };
        Self::check_ranks(operation, axes, input, weight, true)?;
        let spatial = input.len() - axes;
        let (channels, groups) = (input[spatial - 1], self.groups);
        if groups == 0 || !channels.is_multiple_of(groups) {
            let expected = format!("it must divide the {channels} channels of the input");
            return wrong("groups", groups.to_string(), expected);
        }
        if weight[0] != channels {
            let expected = format!(
                "it is for inputs of {} channels (its first axis), and the input has {channels}",
                weight[0]
            );
            return wrong("the weight's shape", format!("{weight:?}"), expected);
        }
        let outputs = weight[1].saturating_mul(groups);
        check_bias(operation, weight, bias, outputs, "the weight's second axis times the groups")?;
        let [stride, padding, dilation, extra] = self.resolve(operation, axes, input)?;
        if (0..axes).any(|i| extra[i] >= stride[i].max(dilation[i])) {
            let expected = format!("it must be less than the stride {stride:?} or the dilation {dilation:?}");
            return wrong("output_padding", format!("{extra:?}"), expected);
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
                let expected = format!(
                    "with a kernel of {kernel:?} nothing would be left: input and kernel must not be empty, and \
                     (input - 1) * stride + dilation * (kernel - 1) + output_padding + 1 must be more than 2 * padding"
                );
                return wrong("padding", format!("{padding:?}"), expected);
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

    /// Refuses a gradient whose shape is not the shape of the two-dimensional convolution, with a batch.
    pub(crate) fn check_gradient(
        &self,
        operation: &'static str,
        input: &[usize],
        weight: &[usize],
        gradient: &[usize],
    ) -> Result<(), TensorError> {
        let shape = self.output_shape(operation, 2, input, weight, None)?;
        if input.len() == 4 && gradient == &shape[..] {
            return Ok(());
        }
        let argument = "the shape of the gradient for the output";
        let expected = format!("it must be {shape:?}, the shape of the convolution, with a batch");
        Err(TensorError::argument(operation, argument, format!("{gradient:?}"), input, expected))
    }

    /// The sizes for the kernel of a convolution that gives `output`; all shapes have a batch.
    #[track_caller]
    pub(crate) fn geometry(&self, input: &[usize], weight: &[usize], output: &[usize]) -> Geometry {
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
    let expected = match axes {
        1 => format!("it must be one number, at least {least}"),
        _ => format!("it must be one number, or {axes} for height and width, at least {least}"),
    };
    Err(TensorError::argument(operation, argument, format!("{:?}", dims.0), shape, expected))
}

fn check_bias(
    operation: &'static str,
    weight: &[usize],
    bias: Option<&[usize]>,
    outputs: usize,
    source: &str,
) -> Result<(), TensorError> {
    let Some(wrong) = bias.filter(|bias| *bias != [outputs]) else { return Ok(()) };
    let expected = format!("it must be [{outputs}], the size of {source}");
    Err(TensorError::argument(operation, "the bias's shape", format!("{wrong:?}"), weight, expected))
}
