//! Normalisation.

use gradus::prelude::*;
use gradus::{BatchNorm1d, BatchNorm2d, GroupNorm, InstanceNorm2d, LayerNorm, RmsNorm};

use super::{Entry, Sample, Source, Start, initial};
use crate::messages::panics;

/// `x` normalised to mean 0 and variance 1 along these axes.
fn normalised(x: &Var<f64>, axes: &[isize], eps: f64) -> Var<f64> {
    let centred = x - x.mean(keepdim(axes.to_vec()));
    &centred / (centred.square().mean(keepdim(axes.to_vec())) + eps).sqrt()
}

/// `x` times the weight plus the bias, which broadcast.
fn affine(x: Var<f64>, [weight, bias]: [&Option<Parameter<f64>>; 2], shape: &[usize]) -> Var<f64> {
    let x = weight.as_ref().map_or(x.clone(), |weight| x * weight.reshape(shape));
    bias.as_ref().map_or(x.clone(), |bias| x + bias.reshape(shape))
}

/// The shape in which `[channels]` broadcasts with x, `[batch, channels, ...]`.
fn by_channel(x: &Var<f64>) -> Vec<usize> {
    (0..x.rank()).map(|axis| if axis == 1 { x.shape()[1] } else { 1 }).collect()
}

/// In this order: without either, or with both.
fn maybe<T>(s: &mut Source, options: [&mut Option<T>; 2]) {
    for option in options {
        if s.number() < 0.25 {
            *option = None;
        }
    }
}

pub(super) fn layer_norm(layer: &LayerNorm<f64>, x: &Var<f64>) -> Var<f64> {
    let rows = x.reshape([-1, layer.normalized_shape.iter().product::<usize>() as isize]);
    let y = normalised(&rows, &[1], layer.eps).reshape(x.shape());
    affine(y, [&layer.weight, &layer.bias], &layer.normalized_shape)
}

/// Batch normalisation in both modes.
macro_rules! batch_norm {
    ($layer:ident, $shape:expr, $refused:expr, $message:literal) => {
        Entry {
            name: stringify!($layer),
            members: &["weight", "bias", "running_mean", "running_var", "num_batches_tracked", "training"],
            sample: |s| {
                let channels = s.size(1, 3);
                let mut layer = $layer::<f64>::new(channels);
                (layer.training, layer.eps, layer.momentum) = (s.flag(), s.number(), s.number());
                maybe(s, [&mut layer.weight, &mut layer.bias]);
                let shape = $shape(s.size(2, 3), channels, s.size(1, 3), s.flag());
                let x = s.randn(&shape);
                let slow = |layer: &$layer<f64>, [x]: [&Var<f64>; 1]| {
                    let shape = by_channel(x);
                    let y = if layer.training {
                        let flat = x.reshape([x.shape()[0] as isize, x.shape()[1] as isize, -1]);
                        let count = (flat.len() / shape[1]) as f64;
                        let mean = flat.mean([0, 2]);
                        let var = (&flat - mean.unsqueeze(1)).square().sum([0, 2]) / (count - 1.0);
                        for (buffer, of_batch) in [(&layer.running_mean, mean), (&layer.running_var, var)] {
                            let old = buffer.value() * (1.0 - layer.momentum);
                            buffer.set(old + of_batch.into_value() * layer.momentum);
                        }
                        normalised(&flat, &[0, 2], layer.eps).reshape(x.shape())
                    } else {
                        let [mean, var] = [&layer.running_mean, &layer.running_var]
                            .map(|buffer| Var::constant(buffer.value().reshape(&shape[..])));
                        (x - mean) / (var + layer.eps).sqrt()
                    };
                    affine(y, [&layer.weight, &layer.bias], &shape)
                };
                Sample::new(s, layer, [x], |layer, [x]| layer.forward(x), slow)
            },
            initial: |_| initial(&$layer::<f64>::new(5), [1.0, 0.0, 0.0, 1.0].map(Start::All)),
            refuses: Some(|| {
                panics(|| $layer::<f64>::new(3).forward(&Var::constant(Tensor::ones($refused))), $message);
            }),
        }
    };
}

fn layer_norm_entry() -> Entry {
    Entry {
        name: "LayerNorm",
        members: &["weight", "bias"],
        sample: |s| {
            let shape = if s.flag() { vec![s.size(1, 4)] } else { vec![2, s.size(1, 3)] };
            let mut layer = LayerNorm::<f64>::new(shape.clone());
            layer.eps = s.number();
            maybe(s, [&mut layer.weight, &mut layer.bias]);
            let x = s.randn(&[&[3][..], &shape].concat());
            Sample::new(s, layer, [x], |layer, [x]| layer.forward(x), |layer, [x]| layer_norm(layer, x))
        },
        initial: |_| initial(&LayerNorm::<f64>::new([2, 3]), [1.0, 0.0].map(Start::All)),
        refuses: Some(|| {
            panics(
                || LayerNorm::<f64>::new([3]).forward(Var::constant([1.0, 2.0])),
                "layer_norm: shapes [2] and [3] do not fit: the second, the normalized shape, must be the last axes of the first, at least one",
            );
        }),
    }
}

fn rms_norm_entry() -> Entry {
    Entry {
        name: "RmsNorm",
        members: &["weight"],
        sample: |s| {
            let shape = if s.flag() { vec![s.size(1, 4)] } else { vec![2, s.size(1, 3)] };
            let mut layer = RmsNorm::<f64>::new(shape.clone());
            layer.eps = s.number();
            maybe(s, [&mut layer.weight, &mut None]);
            let x = s.randn(&[&[3][..], &shape].concat());
            Sample::new(
                s,
                layer,
                [x],
                |layer, [x]| layer.forward(x),
                |layer, [x]| {
                    let axes: Vec<isize> = (1..x.rank() as isize).collect();
                    let y = x / (x.square().mean(keepdim(axes)) + layer.eps).sqrt();
                    affine(y, [&layer.weight, &None], &layer.normalized_shape)
                },
            )
        },
        initial: |_| initial(&RmsNorm::<f64>::new([2, 3]), [Start::All(1.0)]),
        refuses: Some(|| {
            panics(
                || RmsNorm::<f64>::new([3]).forward(Var::constant([1.0, 2.0])),
                "rms_norm: shapes [2] and [3] do not fit: the second, the normalized shape, must be the last axes of the first, at least one",
            );
        }),
    }
}

fn group_norm_entry() -> Entry {
    Entry {
        name: "GroupNorm",
        members: &["weight", "bias"],
        sample: |s| {
            let [groups, in_group, length] = [s.size(1, 3), s.size(1, 2), s.size(1, 3)];
            let mut layer = GroupNorm::<f64>::new(groups, groups * in_group);
            layer.eps = s.number();
            maybe(s, [&mut layer.weight, &mut layer.bias]);
            let x = s.randn(&[2, groups * in_group, length, 2]);
            Sample::new(
                s,
                layer,
                [x],
                |layer, [x]| layer.forward(x),
                |layer, [x]| {
                    let groups = x.reshape([x.shape()[0] as isize, layer.num_groups as isize, -1]);
                    let y = normalised(&groups, &[2], layer.eps).reshape(x.shape());
                    affine(y, [&layer.weight, &layer.bias], &by_channel(x))
                },
            )
        },
        initial: |_| initial(&GroupNorm::<f64>::new(2, 6), [1.0, 0.0].map(Start::All)),
        refuses: Some(|| {
            panics(
                || GroupNorm::<f64>::new(2, 3).forward(Var::constant([[1.0, 2.0, 3.0]])),
                "group_norm: the input has shape [1, 3] and num_groups is 2: it must divide the number of channels, 3",
            );
        }),
    }
}

fn instance_norm2d_entry() -> Entry {
    Entry {
        name: "InstanceNorm2d",
        members: &["weight", "bias"],
        sample: |s| {
            let [channels, height] = [s.size(1, 3), s.size(1, 3)];
            let mut layer = InstanceNorm2d::<f64>::new(channels);
            layer.eps = s.number();
            maybe(s, [&mut layer.weight, &mut layer.bias]);
            let x = s.randn(&[2, channels, height, 3]);
            Sample::new(
                s,
                layer,
                [x],
                |layer, [x]| layer.forward(x),
                |layer, [x]| {
                    let y = normalised(x, &[2, 3], layer.eps);
                    affine(y, [&layer.weight, &layer.bias], &by_channel(x))
                },
            )
        },
        initial: |_| initial(&InstanceNorm2d::<f64>::new(6), [1.0, 0.0].map(Start::All)),
        refuses: Some(|| {
            panics(
                || InstanceNorm2d::<f64>::new(2).forward(Var::constant([1.0, 2.0])),
                "instance_norm: the input has shape [2]; it must have at least three axes, [batch, channels, ...]",
            );
        }),
    }
}

pub(super) fn layers() -> Vec<Entry> {
    vec![
        batch_norm!(
            BatchNorm1d,
            |batch: usize, channels: usize, length: usize, flat: bool| {
                if flat { vec![batch, channels] } else { vec![batch, channels, length] }
            },
            [2, 3, 4, 5],
            "BatchNorm1d: the input has shape [2, 3, 4, 5]; it must be [batch, channels] or [batch, channels, length]"
        ),
        batch_norm!(
            BatchNorm2d,
            |batch: usize, channels: usize, height: usize, wide: bool| {
                vec![batch, channels, height, if wide { 3 } else { 1 }]
            },
            [2, 3],
            "BatchNorm2d: the input has shape [2, 3]; it must be [batch, channels, height, width]"
        ),
        layer_norm_entry(),
        rms_norm_entry(),
        group_norm_entry(),
        instance_norm2d_entry(),
    ]
}
