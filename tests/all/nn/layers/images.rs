//! Convolutions and poolings, window by window.

use gradus::prelude::*;
use gradus::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d, Conv,
    Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, MaxPool1d, MaxPool2d, Pool,
};

use super::{Entry, Sample, Source, Start, initial, nothing};
use crate::messages::panics;

/// The attributes of a convolution along each axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    /// Extra size of the output of a transposed convolution.
    output_padding: usize,
}

impl Axis {
    fn new(s: &mut Source) -> Self {
        let [kernel, stride, dilation] = [s.size(1, 3), s.size(1, 2), s.size(1, 2)];
        let output_padding = s.size(0, stride - 1);
        Self { kernel, stride, padding: s.size(0, dilation * (kernel - 1)), dilation, output_padding }
    }

    /// The first axis of an image with one line.
    const LINE: Self = Self { kernel: 1, stride: 1, padding: 0, dilation: 1, output_padding: 0 };
}

/// The attributes that all convolutions share, for each of `n` axes, and groups.
fn attributes(axes: &[Axis], groups: usize, transposed: bool) -> Conv {
    let along = |of: fn(&Axis) -> usize| axes.iter().map(of).collect::<Vec<_>>();
    let conv = Conv::new()
        .stride(along(|axis| axis.stride))
        .padding(along(|axis| axis.padding))
        .dilation(along(|axis| axis.dilation))
        .groups(groups);
    if transposed { conv.output_padding(along(|axis| axis.output_padding)) } else { conv }
}

/// All products of an element of the input, an element of the weight, and where their product is added. Images
/// `[batch, channels, height, width]`.
fn convolution(
    x: &Tensor<f64>,
    weight: &Tensor<f64>,
    bias: Option<&Tensor<f64>>,
    axes: [Axis; 2],
    groups: usize,
    transposed: bool,
) -> Tensor<f64> {
    let [batch, channels, size @ ..] = x.shape() else { panic!("no images") };
    let outputs = if transposed { weight.shape()[1] * groups } else { weight.shape()[0] };
    let sides: Vec<usize> = (0..2)
        .map(|i| {
            let Axis { kernel, stride, padding, dilation, output_padding } = axes[i];
            let reach = dilation * (kernel - 1) + 1;
            if transposed {
                (size[i] - 1) * stride + reach + output_padding - 2 * padding
            } else {
                (size[i] + 2 * padding - reach) / stride + 1
            }
        })
        .collect();
    let shape = [*batch, outputs, sides[0], sides[1]];
    let mut y = vec![0.0; shape.iter().product()];
    let place = |n: usize, o: usize, i: usize, j: usize| ((n * shape[1] + o) * shape[2] + i) * shape[3] + j;
    let (in_group, out_group) = (channels / groups, outputs / groups);
    // The place that a place of the output reads, or that a place of the input writes, through an element of the
    // kernel.
    let other = |axis: Axis, place: usize, k: usize, size: usize| {
        (place * axis.stride + k * axis.dilation).checked_sub(axis.padding).filter(|&other| other < size)
    };
    for (n, o, c) in
        (0..*batch).flat_map(|n| (0..outputs).flat_map(move |o| (0..in_group).map(move |c| (n, o, c))))
    {
        let group = o / out_group;
        let channel = group * in_group + c;
        for (k, l) in (0..axes[0].kernel).flat_map(|k| (0..axes[1].kernel).map(move |l| (k, l))) {
            let (rows, columns) = if transposed { (size[0], size[1]) } else { (sides[0], sides[1]) };
            for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                let limit = if transposed { [sides[0], sides[1]] } else { [size[0], size[1]] };
                let Some((a, b)) = other(axes[0], i, k, limit[0]).zip(other(axes[1], j, l, limit[1])) else {
                    continue;
                };
                if transposed {
                    y[place(n, o, a, b)] += x[[n, channel, i, j]] * weight[[channel, o % out_group, k, l]];
                } else {
                    y[place(n, o, i, j)] += x[[n, channel, a, b]] * weight[[o, c, k, l]];
                }
            }
        }
    }
    let y = Tensor::from(y).reshape(shape);
    bias.map_or(y.clone(), |bias| y + bias.reshape([1, outputs, 1, 1]))
}

macro_rules! convolutional {
    ($layer:ident, $axes:literal, $transposed:literal, $refused:expr, $message:literal) => {
        Entry {
            name: stringify!($layer),
            members: &["weight", "bias"],
            sample: |s| {
                let axes: Vec<Axis> = (0..$axes).map(|_| Axis::new(s)).collect();
                let groups = s.size(1, 2);
                let [from, to] = [groups * s.size(1, 2), groups * s.size(1, 2)];
                let kernel: Vec<usize> = axes.iter().map(|axis| axis.kernel).collect();
                let conv = attributes(&axes, groups, $transposed);
                let layer = $layer::<f64>::new(from, to, kernel, conv, &mut s.0);
                let layer = if s.flag() { layer } else { layer.without_bias() };
                let sides = axes.iter().map(|axis| axis.dilation * (axis.kernel - 1) + s.size(1, 3));
                let shape: Vec<usize> = [2, from].into_iter().chain(sides).collect();
                let x = s.randn(&shape);
                let full = if $axes == 1 { [Axis::LINE, axes[0]] } else { [axes[0], axes[$axes - 1]] };
                Sample::new(
                    s,
                    layer,
                    [x],
                    |layer, [x]| layer.forward(x),
                    move |layer, [x]| {
                        let wide = |x: &Var<f64>| {
                            if $axes == 1 { x.value().unsqueeze(2) } else { x.value().clone() }
                        };
                        let bias = layer.bias.as_ref().map(|bias| bias.value().clone());
                        let y = convolution(
                            &wide(x),
                            &wide(&layer.weight),
                            bias.as_ref(),
                            full,
                            groups,
                            $transposed,
                        );
                        Var::constant(if $axes == 1 { y.select(2, 0) } else { y })
                    },
                )
            },
            initial: |s| {
                let [from, to, kernel] = [s.size(10, 20), s.size(20, 30), s.size(2, 4)];
                let layer = $layer::<f64>::new(from, to, kernel, Conv::new(), &mut s.0);
                let fan_in = (if $transposed { to } else { from }) * kernel.pow($axes);
                initial(&layer, [Start::Within((fan_in as f64).powf(-0.5)); 2])
            },
            refuses: Some(|| {
                let layer = $layer::<f64>::new(3, 2, 2, Conv::new(), &mut seeded(0));
                panics(|| layer.forward(&Var::constant(Tensor::ones($refused))), $message);
            }),
        }
    };
}

/// Pooling of images `[batch, channels, height, width]`: the reduction of a window, and the windows along both axes.
fn pooled(x: &Tensor<f64>, spans: [Vec<[usize; 2]>; 2], largest: bool) -> Tensor<f64> {
    let [batch, channels, ..] = *x.shape() else { panic!("no images") };
    let shape = [batch, channels, spans[0].len(), spans[1].len()];
    let mut y = Vec::new();
    for (n, c) in (0..batch).flat_map(|n| (0..channels).map(move |c| (n, c))) {
        for (rows, columns) in
            spans[0].iter().flat_map(|rows| spans[1].iter().map(move |columns| (rows, columns)))
        {
            let window: Vec<f64> = (rows[0]..rows[1])
                .flat_map(|i| (columns[0]..columns[1]).map(move |j| (i, j)))
                .map(|(i, j)| x[[n, c, i, j]])
                .collect();
            y.push(if largest {
                window.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            } else {
                window.iter().sum::<f64>() / window.len() as f64
            });
        }
    }
    Tensor::from(y).reshape(shape)
}

/// A pooling layer along one axis or two; `$options` makes its attributes and the windows along an axis.
macro_rules! pooling {
    ($layer:ident, $axes:literal, $largest:literal, $options:expr, $message:literal) => {
        Entry {
            name: stringify!($layer),
            members: &[],
            sample: |s| {
                let options: [[usize; 2]; 2] = [[s.size(1, 3), s.size(1, 3)], [s.size(1, 3), s.size(1, 3)]];
                let (attributes, windows) = $options;
                let layer = $layer(attributes(&options[2 - $axes..]));
                let [height, width] = [s.size(3, 6), s.size(3, 6)];
                let x = s.randn(&[&[2, 2][..], &[height, width][2 - $axes..]].concat());
                Sample::new(
                    s,
                    layer,
                    [x],
                    |layer, [x]| layer.forward(x),
                    move |_, [x]| {
                        let x = if $axes == 1 { x.value().unsqueeze(2) } else { x.value().clone() };
                        let of_columns: Vec<[usize; 2]> = windows(options[1], width);
                        let of_rows = if $axes == 1 { vec![[0, 1]] } else { windows(options[0], height) };
                        let y = pooled(&x, [of_rows, of_columns], $largest);
                        Var::constant(if $axes == 1 { y.select(2, 0) } else { y })
                    },
                )
            },
            initial: nothing,
            refuses: Some(|| {
                panics(|| $layer(2.into()).forward(&Var::constant([1.0, 2.0])), $message);
            }),
        }
    };
}

/// The kernel and the stride of a pooling layer.
type Options = (fn(&[[usize; 2]]) -> Pool, fn([usize; 2], usize) -> Vec<[usize; 2]>);
const PLAIN: Options = (
    |options| {
        let [kernel, stride] = [0, 1].map(|i| options.iter().map(|option| option[i]).collect::<Vec<_>>());
        Pool::new(kernel).stride(stride)
    },
    |[kernel, stride], size| {
        (0..=size - kernel).step_by(stride).map(|start| [start, start + kernel]).collect()
    },
);

/// The number of windows of an adaptive pooling layer.
type AdaptiveOptions = (fn(&[[usize; 2]]) -> gradus::Dims, fn([usize; 2], usize) -> Vec<[usize; 2]>);
const ADAPTIVE: AdaptiveOptions = (
    |options| options.iter().map(|option| option[0]).collect::<Vec<_>>().into(),
    |[count, _], size| (0..count).map(|i| [i * size / count, ((i + 1) * size).div_ceil(count)]).collect(),
);

pub(super) fn layers() -> Vec<Entry> {
    vec![
        convolutional!(
            Conv1d,
            1,
            false,
            [3, 1],
            "conv1d: the kernel is [2] for shape [3, 1]: with dilation [1] it spans [2], and must be at least 1 and at most [1], the input with its padding"
        ),
        convolutional!(
            Conv2d,
            2,
            false,
            [2, 4, 5, 5],
            "conv2d: the weight's shape is [2, 3, 2, 2] for shape [2, 4, 5, 5]: it is for inputs of 3 channels (its second axis times the groups, 1), and the input has 4"
        ),
        convolutional!(
            ConvTranspose1d,
            1,
            true,
            [2, 4, 5],
            "conv_transpose1d: the weight's shape is [3, 2, 2] for shape [2, 4, 5]: it is for inputs of 3 channels (its first axis), and the input has 4"
        ),
        convolutional!(
            ConvTranspose2d,
            2,
            true,
            [2, 4, 5, 5],
            "conv_transpose2d: the weight's shape is [3, 2, 2, 2] for shape [2, 4, 5, 5]: it is for inputs of 3 channels (its first axis), and the input has 4"
        ),
        pooling!(
            MaxPool1d,
            1,
            true,
            PLAIN,
            "max_pool1d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, length], the last not empty"
        ),
        pooling!(
            MaxPool2d,
            2,
            true,
            PLAIN,
            "max_pool2d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, height, width], the last two not empty"
        ),
        pooling!(
            AvgPool1d,
            1,
            false,
            PLAIN,
            "avg_pool1d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, length], the last not empty"
        ),
        pooling!(
            AvgPool2d,
            2,
            false,
            PLAIN,
            "avg_pool2d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, height, width], the last two not empty"
        ),
        pooling!(
            AdaptiveAvgPool1d,
            1,
            false,
            ADAPTIVE,
            "adaptive_avg_pool1d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, length], the last not empty"
        ),
        pooling!(
            AdaptiveAvgPool2d,
            2,
            false,
            ADAPTIVE,
            "adaptive_avg_pool2d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, height, width], the last two not empty"
        ),
        pooling!(
            AdaptiveMaxPool1d,
            1,
            true,
            ADAPTIVE,
            "adaptive_max_pool1d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, length], the last not empty"
        ),
        pooling!(
            AdaptiveMaxPool2d,
            2,
            true,
            ADAPTIVE,
            "adaptive_max_pool2d: the number of axes is 1 for shape [2]: it must have the axes [batch (or none), channels, height, width], the last two not empty"
        ),
    ]
}
