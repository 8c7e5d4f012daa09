//! The options of a pooling, and the windows that they give.

use std::sync::Arc;

use crate::error::TensorError;
use crate::kernels::{Window, Windows};
use crate::ops::conv::sizes_along;
use crate::shape::{Dims, Shape, checked_count};

/// The options of a pooling. Along axes, an option is one number for all of them, or one for each. A kernel alone, `2` or
/// `[2, 3]`, can stand for the options: windows side by side.
///
/// ```
/// use gradus_tensor::{Pool, Tensor};
///
/// let x = Tensor::from([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]);
/// assert_eq!(x.max_pool2d(2), Tensor::from([[[8.0, 6.0]]]));
/// assert_eq!(x.max_pool2d(Pool::new([1, 2]).stride(1)), Tensor::from([[[2.0, 3.0, 4.0], [8.0, 7.0, 6.0]]]));
///
/// let x = Tensor::from([[5.0, 9.0, 7.0]]);
/// assert_eq!(x.max_pool1d(Pool::new(2).padding(1)), Tensor::from([[5.0, 9.0]]));
/// assert_eq!(x.max_pool1d(Pool::new(2).dilation(2)), Tensor::from([[7.0]]));
/// assert_eq!(x.max_pool1d(Pool::new(2).ceil_mode(true)), Tensor::from([[9.0, 7.0]]));
/// let means = Pool::new(2).padding(1);
/// assert_eq!(x.avg_pool1d(means.clone()), Tensor::from([[2.5, 8.0]]));
/// assert_eq!(x.avg_pool1d(means.count_include_pad(false)), Tensor::from([[5.0, 8.0]]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    kernel: Dims,
    stride: Option<Dims>,
    padding: Dims,
    dilation: Dims,
    ceil_mode: bool,
    count_include_pad: bool,
}

impl<D: Into<Dims>> From<D> for Pool {
    fn from(kernel: D) -> Self {
        Self::new(kernel)
    }
}

impl Pool {
    /// Windows of this size side by side.
    pub fn new(kernel: impl Into<Dims>) -> Self {
        let [one, zero] = [1_usize, 0].map(Dims::from);
        Self {
            kernel: kernel.into(),
            stride: None,
            padding: zero,
            dilation: one,
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    /// The step from one window to the next; by default the size of the kernel.
    #[must_use]
    pub fn stride(self, stride: impl Into<Dims>) -> Self {
        Self { stride: Some(stride.into()), ..self }
    }

    /// Padding on both sides, at most half of the kernel: -inf for the largest element, 0 for means.
    #[must_use]
    pub fn padding(self, padding: impl Into<Dims>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// The distance between elements of a window; only for the largest element.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Dims>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// Whether the output size is rounded up, so that the last window may reach beyond the input.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Whether the zeros of the padding count in a mean; true by default.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }

    /// The windows over the last `axes` axes of an input of this shape; `operation` is named in the error.
    ///
    /// # Errors
    /// [`TensorError`] if shape and options do not fit each other.
    pub fn over(
        &self,
        operation: &'static str,
        axes: usize,
        shape: &[usize],
    ) -> Result<Pooling, TensorError> {
        let size = check_input(operation, axes, shape)?;
        let sizes = |argument, dims: &Dims, least| sizes_along(operation, argument, dims, axes, least, shape);
        let kernel = sizes("the kernel", &self.kernel, 1)?;
        let stride = sizes("stride", self.stride.as_ref().unwrap_or(&self.kernel), 1)?;
        let padding = sizes("padding", &self.padding, 0)?;
        let dilation = sizes("dilation", &self.dilation, 1)?;
        let wrong = |argument, got: &Shape, expected: String| {
            let got = format!("{got:?}");
            Err(TensorError::argument(operation, argument, got, shape, expected))
        };
        if (0..axes).any(|i| padding[i] > kernel[i] / 2) {
            return wrong("padding", &padding, format!("it must be at most half of the kernel {kernel:?}"));
        }
        // If the size is rounded up, the last window may end up to a stride behind the padding.
        let beyond = |i: usize| if self.ceil_mode { stride[i] - 1 } else { 0 };
        let room: Shape = (0..axes).map(|i| (size[i] + 2 * padding[i]).saturating_add(beyond(i))).collect();
        let span = |i: usize| (kernel[i] - 1).checked_mul(dilation[i]).and_then(|span| span.checked_add(1));
        if (0..axes).any(|i| span(i).is_none_or(|span| span > room[i])) {
            let ceil = if self.ceil_mode { ", and less than a stride beyond it" } else { "" };
            let expected = format!(
                "with dilation {dilation:?} it must not span more than {room:?}, the input with its padding{ceil}"
            );
            return wrong("the kernel", &kernel, expected);
        }
        let along = |i: usize| {
            let mut count = (room[i] - span(i).unwrap_or(1)) / stride[i] + 1;
            // The last window begins in the input or in the padding before it.
            if self.ceil_mode && (count - 1) * stride[i] >= size[i] + padding[i] {
                count -= 1;
            }
            let window = |t: usize| {
                let from = t * stride[i];
                let end = from + (kernel[i] - 1) * dilation[i] + 1;
                let before = padding[i].saturating_sub(from).div_ceil(dilation[i]) * dilation[i];
                let start = (from + before - padding[i]).min(size[i]);
                let clipped = end.saturating_sub(padding[i]).min(size[i]);
                let counted = if self.count_include_pad {
                    end.min(size[i] + 2 * padding[i]) - from
                } else {
                    clipped.saturating_sub(start).max(1)
                };
                Window { start, end: clipped.max(start), step: dilation[i], count: counted }
            };
            (0..count).map(window).collect()
        };
        Ok(Pooling::new(axes, size, along))
    }

    /// Like [`over`](Self::over), for means: without dilation.
    ///
    /// # Errors
    /// [`TensorError`] if shape and options do not fit each other.
    pub fn over_means(
        &self,
        operation: &'static str,
        axes: usize,
        shape: &[usize],
    ) -> Result<Pooling, TensorError> {
        if self.dilation.0.iter().any(|&dilation| dilation != 1) {
            let got = format!("{:?}", self.dilation.0);
            let expected = "a mean has none: it must be 1";
            return Err(TensorError::argument(operation, "dilation", got, shape, expected));
        }
        self.over(operation, axes, shape)
    }
}

/// The sizes of the last axes of an input with or without a batch.
fn check_input<'a>(
    operation: &'static str,
    axes: usize,
    shape: &'a [usize],
) -> Result<&'a [usize], TensorError> {
    if (shape.len() == axes + 1 || shape.len() == axes + 2) && !shape[shape.len() - axes..].contains(&0) {
        return Ok(&shape[shape.len() - axes..]);
    }
    let expected = match axes {
        1 => "it must have the axes [batch (or none), channels, length], the last not empty",
        _ => "it must have the axes [batch (or none), channels, height, width], the last two not empty",
    };
    Err(TensorError::argument(operation, "the number of axes", shape.len(), shape, expected))
}

/// The windows of a pooling over inputs of one size; made by [`Pool::over`] or [`Pooling::adaptive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooling {
    y: Arc<[Window]>,
    x: Arc<[Window]>,
    pub(crate) input: [usize; 2],
}

impl Pooling {
    fn new(axes: usize, size: &[usize], along: impl Fn(usize) -> Arc<[Window]>) -> Self {
        let whole = || Arc::from([Window { start: 0, end: 1, step: 1, count: 1 }]);
        match axes {
            1 => Self { y: whole(), x: along(0), input: [1, size[0]] },
            _ => Self { y: along(0), x: along(1), input: [size[0], size[1]] },
        }
    }

    /// Adaptive pooling to `output_size`: window `i` of `n` reaches from `i size / n`, rounded down, to
    /// `(i + 1) size / n`, rounded up.
    ///
    /// # Errors
    /// [`TensorError`] if the input does not have the axes batch (or none), channels, and the pooled axes.
    pub fn adaptive(
        operation: &'static str,
        axes: usize,
        shape: &[usize],
        output_size: impl Into<Dims>,
    ) -> Result<Self, TensorError> {
        let size = check_input(operation, axes, shape)?;
        let output = sizes_along(operation, "the output size", &output_size.into(), axes, 1, shape)?;
        checked_count(operation, &[&shape[..shape.len() - axes], &output[..axes]].concat())?;
        let along = |i: usize| {
            let bound = |t: usize| (t * size[i] / output[i], ((t + 1) * size[i]).div_ceil(output[i]));
            let window = |(start, end)| Window { start, end, step: 1, count: end - start };
            (0..output[i]).map(bound).map(window).collect()
        };
        Ok(Self::new(axes, size, along))
    }

    /// The number of windows along height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.y.len(), self.x.len()]
    }

    pub(crate) fn windows(&self) -> Windows<'_> {
        Windows { y: &self.y, x: &self.x, size: self.input }
    }
}
