//! Products of 8-bit integers: what quantised networks compute with.
//!
//! Numbers become [`Codes`], weights of layers [`Weights`], and a product of both gives [`Sums`], which are exact, on every
//! instruction set and any number of threads. It is part of gradus's own `gradus-quant`, which explains scales and zero points.

use std::fmt::{self, Debug, Formatter};
use std::ops::Range;

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::int8_conv::of_group;
use crate::kernels::{Geometry, Panels, int8_convert};
use crate::ops::conv::Conv;
use crate::runtime::Buffer;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The levels of integers of 8 bits or fewer, and the one that stands for 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// The lowest level, at least -128.
    pub low: i32,
    /// The highest level, at most 127 if the lowest is negative, or else at most 255.
    pub high: i32,
    /// The level of 0.
    pub zero_point: i32,
}

impl Levels {
    /// The distance from levels to bytes without a sign: these are as small as they can be, as products of 7 bits are faster.
    fn shift(self) -> i32 {
        (-self.low).max(0)
    }

    fn byte(self, level: i32) -> u8 {
        u8::try_from(level + self.shift()).expect("levels are within 8 bits")
    }

    fn bounds(self) -> [u8; 2] {
        [self.low, self.high].map(|level| self.byte(level))
    }
}

/// Numbers as levels of 8 bits.
pub struct Codes {
    /// Without a sign; each row along the last axis is filled up to a multiple of 4.
    data: Buffer<u8>,
    shape: Shape,
    levels: Levels,
    has_nan: bool,
}

impl Debug for Codes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Codes {:?} {:?}", self.shape, self.levels)
    }
}

impl Codes {
    /// `round(x / scale) + zero_point`, halves to even, cut to the levels. There is one scale, or one for each row along the last
    /// axis.
    ///
    /// # Panics
    /// If `x` has no axes, or there is another number of scales.
    #[track_caller]
    pub fn new<T: Float>(x: &Tensor<T>, scales: &[f32], levels: Levels) -> Self {
        let Some(&length) = x.shape().last() else { panic!("quantize: a 0-d tensor has no rows") };
        let rows = x.len() / length.max(1);
        assert!(
            scales.len() == 1 || scales.len() == rows,
            "quantize: {} scales for {rows} rows: there must be one, or one for each row",
            scales.len()
        );
        let zero = levels.byte(levels.zero_point);
        let x = x.contiguous();
        let (data, has_nan) = T::quantize_rows(x.data(), length, scales, zero, levels.bounds());
        Self { data, shape: x.shape().into(), levels, has_nan }
    }

    /// Whether a number was NaN, which no level stands for.
    pub fn has_nan(&self) -> bool {
        self.has_nan
    }

    /// The levels.
    pub fn to_tensor(&self) -> Tensor<i64> {
        let length = self.shape[self.shape.len() - 1];
        let shift = i64::from(self.levels.shift());
        let rows = self.data.as_slice().chunks_exact(length.next_multiple_of(4).max(1));
        let levels = rows.flat_map(|row| row[..length].iter().map(|&byte| i64::from(byte) - shift)).collect();
        Tensor::from_vec(levels, &self.shape).or_panic()
    }

    /// The bytes of 0, which stands outside of images even if it is no level, and of the highest level or 0.
    fn zero_and_most(&self) -> [u8; 2] {
        let zero = self.levels.byte(self.levels.zero_point);
        [zero, self.levels.bounds()[1].max(zero)]
    }
}

/// Weights of a dense layer or a convolution as integers from -128 to 127, laid out for products.
pub struct Weights {
    /// One matrix for each group.
    groups: Vec<Panels>,
    shape: Shape,
}

impl Debug for Weights {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Weights i8 {:?}", self.shape)
    }
}

/// The same numbers, laid out anew.
impl Clone for Weights {
    fn clone(&self) -> Self {
        Self::new(&self.to_levels(), &self.shape, self.groups.len())
    }
}

impl Weights {
    /// From levels in logical order: `[outputs, inputs]` for a dense layer, `[outputs, inputs / groups, height, width]` for a
    /// convolution.
    ///
    /// # Panics
    /// If there are more or fewer levels, or the groups do not divide the outputs.
    #[track_caller]
    pub fn new(levels: &[i8], shape: &[usize], groups: usize) -> Self {
        assert!(
            !shape.is_empty() && shape.iter().product::<usize>() == levels.len(),
            "weights: {} levels for shape {shape:?}",
            levels.len()
        );
        assert!(groups > 0 && shape[0].is_multiple_of(groups), "weights: {groups} groups for {shape:?}");
        let (columns, terms) = (shape[0] / groups, shape[1..].iter().product());
        let group = |group| {
            let rows = columns * terms;
            Panels::of_rows(&levels[group * rows..][..rows], columns, terms)
        };
        Self { groups: (0..groups).map(group).collect(), shape: shape.into() }
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The levels in logical order.
    pub fn to_levels(&self) -> Vec<i8> {
        self.groups.iter().flat_map(Panels::to_rows).collect()
    }

    /// The sums of `(x - zero_point) * weight`, plus a bias for each output: `[..., inputs]` to `[..., outputs]`. A sum has 32 bits
    /// and wraps around beyond: the caller must see to it that sums of so many terms fit.
    ///
    /// # Panics
    /// If the last axes of `x` and of the weight have different sizes.
    #[track_caller]
    pub fn linear(&self, x: &Codes, bias: Option<&[i32]>) -> Sums {
        let (length, panels) = (x.shape[x.shape.len() - 1], &self.groups[0]);
        if self.shape.len() != 2 || length != self.shape[1] {
            let expected = "the last axes of input and weight, [outputs, inputs], must have the same size";
            TensorError::mismatch("quantized linear", &x.shape, &self.shape, expected).panic()
        }
        let rows: usize = x.shape[..x.shape.len() - 1].iter().product();
        Sums {
            groups: vec![panels.multiply((rows, rows), |_| x.data.clone(), x.zero_and_most(), bias)],
            rows: x.shape[..x.shape.len() - 1].into(),
            columns: panels.columns(),
            stride: panels.out_stride(),
            is_image: false,
        }
    }

    /// As [`linear`](Self::linear), for a convolution of images, `[batch, inputs, height, width]`. Numbers outside an image
    /// are 0.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn conv2d(&self, x: &Codes, conv: &Conv, bias: Option<&[i32]>) -> Sums {
        /// The bytes of patches that are made at once.
        const MOST: usize = 4 << 20;
        let (shape, geometry) = self.conv_geometry(x, conv);
        let x_stride = x.shape[3].next_multiple_of(4);
        let of_image = x.shape[1] * x.shape[2] * x_stride;
        let places = shape[2] * shape[3];
        let stride = self.groups[0].out_stride();
        let at_once = (MOST / (places * self.groups[0].row_stride()).max(1)).clamp(1, geometry.batch.max(1));
        let of_group = |(group, panels): (usize, &Panels)| {
            let bias = bias.map(|bias| &bias[group * panels.columns()..][..panels.columns()]);
            let patches = |rows: Range<usize>| {
                let [first, end] = [rows.start, rows.end].map(|row| row / places);
                let part = Geometry { batch: end - first, ..geometry };
                int8_convert::patches(
                    &x.data.as_slice()[first * of_image..],
                    x_stride,
                    &part,
                    group,
                    x.zero_and_most()[0],
                )
            };
            let rows = (geometry.batch * places, at_once * places);
            panels.multiply(rows, patches, x.zero_and_most(), bias)
        };
        Sums {
            groups: self.groups.iter().enumerate().map(of_group).collect(),
            rows: [shape[0], shape[2], shape[3]].as_slice().into(),
            columns: self.groups[0].columns(),
            stride,
            is_image: true,
        }
    }

    /// `sum * scale * output_scale + bias` of the sums of [`conv2d`](Self::conv2d), which are never all in memory. There is one output
    /// scale, or one for each output.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn conv2d_scaled<T: Float>(
        &self,
        x: &Codes,
        conv: &Conv,
        (scale, output_scales): (f64, &[f64]),
        bias: Option<&Tensor<T>>,
    ) -> Tensor<T> {
        let (shape, geometry) = self.conv_geometry(x, conv);
        let outputs = shape[1];
        assert!(
            [1, outputs].contains(&output_scales.len()) && bias.is_none_or(|bias| *bias.shape() == [outputs]),
            "quantized conv2d: of {outputs} outputs, there must be 1 scale or {outputs}, and {outputs} biases, not {} and {:?}",
            output_scales.len(),
            bias.map(Tensor::shape)
        );
        let (bytes, scales) = ((x.data.as_slice(), x.shape[3].next_multiple_of(4)), (scale, output_scales));
        let bias = bias.map(Tensor::contiguous);
        let bias = bias.as_ref().map(Tensor::data);
        let data = T::conv2d_scaled(&self.groups, bytes, &geometry, x.zero_and_most(), scales, bias);
        Tensor::from_buffer(data, &shape)
    }

    /// The shape of the result of a convolution, and its sizes.
    #[track_caller]
    fn conv_geometry(&self, x: &Codes, conv: &Conv) -> (Shape, Geometry) {
        let shape = conv.output_shape("quantized conv2d", 2, &x.shape, &self.shape, None).or_panic();
        assert!(
            x.shape.len() == 4,
            "quantized conv2d: the input has shape {:?}; it must have a batch",
            x.shape
        );
        let geometry = conv.geometry(&x.shape, &self.shape, &shape);
        (shape, geometry)
    }
}

/// Sums of products.
pub struct Sums {
    /// The columns of each group of outputs.
    groups: Vec<Buffer<i32>>,
    /// The axes of the result but the one of outputs.
    rows: Shape,
    columns: usize,
    stride: usize,
    /// Whether the axis of outputs is the second and not the last.
    is_image: bool,
}

impl Debug for Sums {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Sums {:?} x {}", self.rows, self.columns * self.groups.len())
    }
}

impl Sums {
    /// `sum * row_scale * output_scale + bias`. There is one scale, or one for each row or output; images have one scale for all rows.
    pub fn scaled<T: Float>(
        &self,
        row_scales: &[f64],
        scales: &[f64],
        bias: Option<&Tensor<T>>,
    ) -> Tensor<T> {
        let bias = bias.map(Tensor::contiguous);
        let bias = bias.as_ref().map(Tensor::data);
        self.joined(|group, sums| {
            let bias = bias.map(|bias| of_group(bias, group, self.columns));
            let scales = [row_scales, of_group(scales, group, self.columns)];
            T::scale_rows(sums, self.stride, self.columns, scales, bias)
        })
    }

    /// `round(sum * factor) + zero_point`, halves to even, cut to the levels, with one factor, or one for each output.
    pub fn requantized(&self, factors: &[f64], levels: Levels) -> Tensor<i64> {
        let (zero, bounds) = (levels.byte(levels.zero_point), levels.bounds());
        let length = self.columns.next_multiple_of(4);
        self.joined(|group, sums| {
            let factors = of_group(factors, group, self.columns);
            let bytes = int8_convert::requantize_rows(sums, self.stride, self.columns, factors, zero, bounds);
            self.columns_of(bytes.as_slice(), length, |byte| i64::from(byte) - i64::from(levels.shift()))
        })
    }

    /// The sums themselves.
    pub fn to_tensor(&self) -> Tensor<i64> {
        self.joined(|_, sums| self.columns_of(sums, self.stride, i64::from))
    }

    /// The columns of rows that are `stride` apart.
    fn columns_of<E: Copy>(&self, data: &[E], stride: usize, element: impl Fn(E) -> i64) -> Buffer<i64> {
        let rows = data.chunks_exact(stride.max(1));
        let elements = rows.flat_map(|row| row[..self.columns].iter().map(|&e| element(e)));
        Buffer::collect(self.rows.iter().product::<usize>() * self.columns, elements)
    }

    /// The results of `f` for each group, side by side.
    fn joined<E: crate::element::Element>(&self, f: impl Fn(usize, &[i32]) -> Buffer<E>) -> Tensor<E> {
        let mut shape = self.rows.clone();
        shape.push(self.columns);
        let mut groups: Vec<Tensor<E>> = (self.groups.iter().enumerate())
            .map(|(group, sums)| Tensor::from_buffer(f(group, sums.as_slice()), &shape))
            .collect();
        // One group alone need not be copied.
        let all = match groups.len() {
            1 => groups.remove(0),
            _ => Tensor::cat(&groups.iter().collect::<Vec<_>>(), -1),
        };
        if self.is_image { all.permute([0, 3, 1, 2]) } else { all }
    }
}
