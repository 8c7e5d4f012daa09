//! The largest of windows and their means.

use std::sync::Arc;

use crate::element::Float;
use crate::error::TensorError;
use crate::kernels::{Window, Windows};
use crate::ops::conv::sizes_along;
use crate::shape::{Dims, Shape, checked_count};
use crate::tensor::Tensor;

/// The attributes of a pooling; those along axes are one number for all of them, or one for each. A kernel alone,
/// `2` or `[2, 3]`, is enough where one is expected: windows side by side.
///
/// ```
/// use gradus_tensor::{Pool, Tensor};
///
/// let x = Tensor::from([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]);
/// assert_eq!(x.max_pool2d(2), Tensor::from([[[8.0, 6.0]]]));
/// assert_eq!(x.max_pool2d(Pool::new([1, 2]).stride(1)), Tensor::from([[[2.0, 3.0, 4.0], [8.0, 7.0, 6.0]]]));
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
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[1.0, 3.0, 5.0, 7.0, 9.0]]);
    /// assert_eq!(x.avg_pool1d(Pool::new(2)), Tensor::from([[2.0, 6.0]]));
    /// ```
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

    /// How far a window is from the next one; at first the size of the kernel.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[1.0, 3.0, 5.0, 7.0]]);
    /// assert_eq!(x.avg_pool1d(Pool::new(2).stride(1)), Tensor::from([[2.0, 4.0, 6.0]]));
    /// ```
    #[must_use]
    pub fn stride(self, stride: impl Into<Dims>) -> Self {
        Self { stride: Some(stride.into()), ..self }
    }

    /// How far windows reach beyond the input, at most half of the kernel: it counts as -inf for the largest, as 0
    /// for means.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[-1.0, -3.0]]);
    /// assert_eq!(x.max_pool1d(Pool::new(2).padding(1)), Tensor::from([[-1.0, -3.0]]));
    /// assert_eq!(x.avg_pool1d(Pool::new(2).padding(1)), Tensor::from([[-0.5, -1.5]]));
    /// ```
    #[must_use]
    pub fn padding(self, padding: impl Into<Dims>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// How far the elements of a window are from each other; not for means.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[5.0, 9.0, 7.0]]);
    /// assert_eq!(x.max_pool1d(Pool::new(2).dilation(2)), Tensor::from([[7.0]]));
    /// ```
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Dims>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// Whether there is a last window that the end of the input cuts off.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[5.0, 9.0, 7.0]]);
    /// assert_eq!(x.max_pool1d(Pool::new(2).ceil_mode(true)), Tensor::from([[9.0, 7.0]]));
    /// ```
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Whether the zeros of the padding count where a mean is taken; they do at first.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[6.0, 8.0]]);
    /// let pool = Pool::new(2).padding(1).count_include_pad(false);
    /// assert_eq!(x.avg_pool1d(pool), Tensor::from([[6.0, 8.0]]));
    /// ```
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }

    /// The windows over the last axes, `axes` of them, of an input of this shape, by the name of an operation for
    /// the error.
    ///
    /// ```
    /// use gradus_tensor::Pool;
    ///
    /// let pooling = Pool::new(2).over("max_pool2d", 2, &[8, 3, 5, 6]).unwrap();
    /// assert_eq!(pooling.size(), [2, 3]);
    /// ```
    ///
    /// # Errors
    /// [`TensorError`] if shape and attributes do not fit each other.
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
            let (got, shape) = (format!("{got:?}"), shape.into());
            Err(TensorError::argument(operation, argument, got, shape, expected))
        };
        if (0..axes).any(|i| padding[i] > kernel[i] / 2) {
            return wrong("padding", &padding, format!("it must be at most half of the kernel {kernel:?}"));
        }
        // Rounded up, the last window may end up to a stride behind the padding.
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
            // The last window begins in the input or in what is before it.
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
    /// ```
    /// use gradus_tensor::Pool;
    ///
    /// assert!(Pool::new(2).dilation(2).over_means("avg_pool2d", 2, &[3, 5, 6]).is_err());
    /// ```
    ///
    /// # Errors
    /// [`TensorError`] if shape and attributes do not fit each other.
    pub fn over_means(
        &self,
        operation: &'static str,
        axes: usize,
        shape: &[usize],
    ) -> Result<Pooling, TensorError> {
        if self.dilation.0.iter().any(|&dilation| dilation != 1) {
            return Err(TensorError::argument(
                operation,
                "dilation",
                format!("{:?}", self.dilation.0),
                shape,
                "a mean has none: it must be 1",
            ));
        }
        self.over(operation, axes, shape)
    }
}

/// The sizes of the last axes, of an input that may lack a batch.
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
    input: [usize; 2],
}

impl Pooling {
    fn new(axes: usize, size: &[usize], along: impl Fn(usize) -> Arc<[Window]>) -> Self {
        let whole = || Arc::from([Window { start: 0, end: 1, step: 1, count: 1 }]);
        match axes {
            1 => Self { y: whole(), x: along(0), input: [1, size[0]] },
            _ => Self { y: along(0), x: along(1), input: [size[0], size[1]] },
        }
    }

    /// So many windows that they cover the input: number `i` of `n` reaches from `i size / n`, rounded down, to
    /// `(i + 1) size / n`, rounded up.
    ///
    /// ```
    /// use gradus_tensor::Pooling;
    ///
    /// let pooling = Pooling::adaptive("adaptive_avg_pool2d", 2, &[3, 5, 6], 2).unwrap();
    /// assert_eq!(pooling.size(), [2, 2]);
    /// ```
    ///
    /// # Errors
    /// [`TensorError`] if the shape has other axes than a batch (or none), channels, and those to be pooled.
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
    ///
    /// ```
    /// use gradus_tensor::Pool;
    ///
    /// assert_eq!(Pool::new(3).over("max_pool1d", 1, &[4, 10]).unwrap().size(), [1, 3]);
    /// ```
    pub fn size(&self) -> [usize; 2] {
        [self.y.len(), self.x.len()]
    }

    fn windows(&self) -> Windows<'_> {
        Windows { y: &self.y, x: &self.x, size: self.input }
    }

    /// Another size of the last two axes.
    fn resized(shape: &[usize], size: [usize; 2]) -> Shape {
        shape[..shape.len() - 2].iter().copied().chain(size).collect()
    }
}

macro_rules! poolings {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty)?, $axes:literal) => $kernel:ident,
       |$shape:ident| $pooling:expr;)*) => {
        impl<T: Float> Tensor<T> {
            $(
                $(#[$doc])*
                ///
                /// # Panics
                /// If shape and attributes do not fit each other.
                #[track_caller]
                pub fn $name(&self, $($argument: impl Into<$type>)?) -> Self {
                    use crate::error::OrPanic;
                    let $shape = self.shape();
                    let pooling = $pooling.or_panic();
                    if $axes == 1 { self.unsqueeze(-2).$kernel(&pooling).squeeze(-2) } else { self.$kernel(&pooling) }
                }
            )*
        }
    };
}
poolings! {
    /// The largest element of each window along the last axis of `[batch (or none), channels, length]`; NaN where
    /// there is one.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1.0, 5.0, 3.0, 2.0]]).max_pool1d(2), Tensor::from([[5.0, 3.0]]));
    /// ```
    max_pool1d(pool: Pool, 1) => pooled_max, |shape| pool.into().over("max_pool1d", 1, shape);
    /// The largest element of each window along the last two axes of `[batch (or none), channels, height, width]`; NaN
    /// where there is one.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[[1.0, 5.0], [3.0, 2.0]]]).max_pool2d(2), Tensor::from([[[5.0]]]));
    /// ```
    max_pool2d(pool: Pool, 2) => pooled_max, |shape| pool.into().over("max_pool2d", 2, shape);
    /// The mean of each window along the last axis of `[batch (or none), channels, length]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1.0, 5.0, 3.0, 2.0]]).avg_pool1d(2), Tensor::from([[3.0, 2.5]]));
    /// ```
    avg_pool1d(pool: Pool, 1) => pooled_mean, |shape| pool.into().over_means("avg_pool1d", 1, shape);
    /// The mean of each window along the last two axes of `[batch (or none), channels, height, width]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[[1.0, 5.0], [3.0, 3.0]]]).avg_pool2d(2), Tensor::from([[[3.0]]]));
    /// ```
    avg_pool2d(pool: Pool, 2) => pooled_mean, |shape| pool.into().over_means("avg_pool2d", 2, shape);
    /// The means of so many windows along the last axis that they cover it; see [`Pooling::adaptive`].
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1.0, 5.0, 3.0]]).adaptive_avg_pool1d(2), Tensor::from([[3.0, 4.0]]));
    /// ```
    adaptive_avg_pool1d(output_size: Dims, 1) => pooled_mean,
        |shape| Pooling::adaptive("adaptive_avg_pool1d", 1, shape, output_size);
    /// The means of so many windows along the last two axes that they cover them; see [`Pooling::adaptive`].
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[[1.0, 5.0], [3.0, 3.0]]]).adaptive_avg_pool2d(1), Tensor::from([[[3.0]]]));
    /// ```
    adaptive_avg_pool2d(output_size: Dims, 2) => pooled_mean,
        |shape| Pooling::adaptive("adaptive_avg_pool2d", 2, shape, output_size);
    /// The largest of so many windows along the last axis that they cover it; see [`Pooling::adaptive`].
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[1.0, 5.0, 3.0]]).adaptive_max_pool1d(2), Tensor::from([[5.0, 5.0]]));
    /// ```
    adaptive_max_pool1d(output_size: Dims, 1) => pooled_max,
        |shape| Pooling::adaptive("adaptive_max_pool1d", 1, shape, output_size);
    /// The largest of so many windows along the last two axes that they cover them; see [`Pooling::adaptive`].
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// assert_eq!(Tensor::from([[[1.0, 5.0], [3.0, 3.0]]]).adaptive_max_pool2d(1), Tensor::from([[[5.0]]]));
    /// ```
    adaptive_max_pool2d(output_size: Dims, 2) => pooled_max,
        |shape| Pooling::adaptive("adaptive_max_pool2d", 2, shape, output_size);
}

impl<T: Float> Tensor<T> {
    /// The largest element of each window over the last two axes; what [`max_pool2d`](Self::max_pool2d) is made of.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[[1.0, 5.0], [3.0, 2.0]]]);
    /// let pooling = Pool::new(2).over("max_pool2d", 2, x.shape()).unwrap();
    /// assert_eq!(x.pooled_max(&pooling), Tensor::from([[[5.0]]]));
    /// ```
    pub fn pooled_max(&self, pooling: &Pooling) -> Self {
        let x = self.pooled_data(pooling.input);
        let data = T::max_pool(x.as_slice().expect("made contiguous"), pooling.windows());
        Self::from_buffer(data, &Pooling::resized(self.shape(), pooling.size()))
    }

    /// Where the largest element of each window is, `row * width + column`: of equal ones the first, of NaN the last;
    /// -1 for a window that sees nothing but padding.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[[1.0, 5.0], [5.0, 2.0]]]);
    /// let pooling = Pool::new(2).over("max_pool2d", 2, x.shape()).unwrap();
    /// assert_eq!(x.pooled_max_places(&pooling), Tensor::from([[[1]]]));
    /// ```
    pub fn pooled_max_places(&self, pooling: &Pooling) -> Tensor<i64> {
        let x = self.pooled_data(pooling.input);
        let data = T::max_pool_places(x.as_slice().expect("made contiguous"), pooling.windows());
        Tensor::from_buffer(data, &Pooling::resized(self.shape(), pooling.size()))
    }

    /// The gradient of [`pooled_max`](Self::pooled_max) for this input, where `gradient` is that for the result.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[[1.0, 5.0], [5.0, 2.0]]]);
    /// let pooling = Pool::new(2).over("max_pool2d", 2, x.shape()).unwrap();
    /// let gradient = x.pooled_max_gradient(&pooling, &Tensor::from([[[10.0]]]));
    /// assert_eq!(gradient, Tensor::from([[[0.0, 10.0], [0.0, 0.0]]]));
    /// ```
    pub fn pooled_max_gradient(&self, pooling: &Pooling, gradient: &Self) -> Self {
        let (x, g) = (self.pooled_data(pooling.input), gradient.pooled_data(pooling.size()));
        let (x, g) = (x.as_slice().expect("made contiguous"), g.as_slice().expect("made contiguous"));
        Self::from_buffer(T::max_pool_gradient(x, g, pooling.windows()), self.shape())
    }

    /// The mean of each window over the last two axes; what [`avg_pool2d`](Self::avg_pool2d) is made of.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let x = Tensor::from([[[1.0, 5.0], [3.0, 3.0]]]);
    /// let pooling = Pool::new(2).over_means("avg_pool2d", 2, x.shape()).unwrap();
    /// assert_eq!(x.pooled_mean(&pooling), Tensor::from([[[3.0]]]));
    /// ```
    pub fn pooled_mean(&self, pooling: &Pooling) -> Self {
        let x = self.pooled_data(pooling.input);
        let data = T::avg_pool(x.as_slice().expect("made contiguous"), pooling.windows());
        Self::from_buffer(data, &Pooling::resized(self.shape(), pooling.size()))
    }

    /// The gradient of [`pooled_mean`](Self::pooled_mean) for its input, where this is that for the result.
    ///
    /// ```
    /// use gradus_tensor::{Pool, Tensor};
    ///
    /// let pooling = Pool::new(2).over_means("avg_pool2d", 2, &[1, 2, 2]).unwrap();
    /// let gradient = Tensor::from([[[4.0]]]).pooled_mean_gradient(&pooling);
    /// assert_eq!(gradient, Tensor::ones([1, 2, 2]));
    /// ```
    pub fn pooled_mean_gradient(&self, pooling: &Pooling) -> Self {
        let g = self.pooled_data(pooling.size());
        let data = T::avg_pool_gradient(g.as_slice().expect("made contiguous"), pooling.windows());
        Self::from_buffer(data, &Pooling::resized(self.shape(), pooling.input))
    }

    /// The elements one image after another; the last two axes must have these sizes.
    #[track_caller]
    fn pooled_data(&self, size: [usize; 2]) -> Self {
        assert!(
            self.shape().ends_with(&size),
            "pooling: the shape is {:?}: it must end with {size:?}",
            self.shape()
        );
        self.contiguous()
    }
}
