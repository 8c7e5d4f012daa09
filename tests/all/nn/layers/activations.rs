//! Activations: methods of `Var`, with their arguments.

use gradus::prelude::*;
use gradus::{
    Celu, Elu, Gelu, GeluTanh, Glu, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, LogSoftmax, Logsigmoid,
    Mish, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softplus, Softsign, Square, Tanh,
};

use super::{Entry, Sample, nothing};
use crate::messages::panics;

macro_rules! activations {
    ($($layer:ident { $($field:ident: $value:expr),* } => |$x:ident, $source:ident| $slow:expr, $refuses:expr;)*) => {
        vec![$(Entry {
            name: stringify!($layer),
            members: &[],
            sample: |source| {
                let $source = &mut *source;
                let _ = &$source;
                let layer = $layer { $($field: $value),* };
                let x = source.randn(&[3, 4, 2]) * 3.0;
                let slow = |layer: &$layer, [$x]: [&Var<f64>; 1]| {
                    let $layer { $($field),* } = *layer;
                    $slow
                };
                Sample::new(source, layer, [x], |layer, [x]| layer.forward(x), slow)
            },
            initial: nothing,
            refuses: $refuses,
        }),*]
    };
}

fn logistic(x: &Var<f64>) -> Var<f64> {
    1.0 / ((-x).exp() + 1.0)
}

pub(super) fn layers() -> Vec<Entry> {
    activations! {
        Sigmoid {} => |x, s| logistic(x), None;
        Logsigmoid {} => |x, s| logistic(x).log(), None;
        Hardsigmoid {} => |x, s| (x / 6.0 + 0.5).clamp(0.0, 1.0), None;
        Tanh {} => |x, s| logistic(&(x * 2.0)) * 2.0 - 1.0, None;
        Hardtanh { low: -s.number(), high: s.number() } => |x, s| x.maximum(low).minimum(high), None;
        Softsign {} => |x, s| x / (x.abs() + 1.0), None;
        Square {} => |x, s| x * x, None;
        Relu {} => |x, s| (x + x.abs()) / 2.0, None;
        Relu6 {} => |x, s| x.maximum(0.0).minimum(6.0), None;
        LeakyRelu { negative_slope: s.number() } => |x, s| x.maximum(0.0) + x.minimum(0.0) * negative_slope, None;
        Elu { alpha: s.number() } => |x, s| x.maximum(0.0) + (x.minimum(0.0).exp() - 1.0) * alpha, None;
        Celu { alpha: s.number() + 0.1 } => |x, s| {
            x.maximum(0.0) + ((x.minimum(0.0) / alpha).exp() - 1.0) * alpha
        }, None;
        Selu {} => |x, s| {
            let negative = (x.minimum(0.0).exp() - 1.0) * 1.673_263_242_354_377_2;
            (x.maximum(0.0) + negative) * 1.050_700_987_355_480_5
        }, None;
        Gelu {} => |x, s| x * ((x / 2.0_f64.sqrt()).erf() + 1.0) / 2.0, None;
        GeluTanh {} => |x, s| {
            let inner = (x + x.pow_scalar(3.0) * 0.044715) * (2.0 / std::f64::consts::PI).sqrt();
            x * (inner.tanh() + 1.0) / 2.0
        }, None;
        Silu {} => |x, s| x * logistic(x), None;
        Hardswish {} => |x, s| x * (x / 6.0 + 0.5).clamp(0.0, 1.0), None;
        Mish {} => |x, s| x * (x.exp() + 1.0).log().tanh(), None;
        Softplus { beta: s.number() + 0.5, threshold: s.number() * 4.0 } => |x, s| {
            let scaled = x * beta;
            Var::where_(scaled.value().gt(threshold), x, (scaled.exp() + 1.0).log() / beta)
        }, None;
        Glu { axis: [1, -1][s.size(0, 1)] } => |x, s| {
            let size = x.shape()[if axis < 0 { 2 } else { 1 }] as isize;
            x.slice(axis, ..size / 2) * logistic(&x.slice(axis, size / 2..))
        }, Some(|| panics(
            || Glu { axis: 0 }.forward(Var::constant(Tensor::<f64>::ones([3, 2]))),
            "glu: axis 0 of shape [3, 2] has size 3: it must be even, to be cut in halves",
        ));
        Softmax { axis: s.size(0, 2) as isize } => |x, s| {
            let powers = x.exp();
            &powers / powers.sum(keepdim(axis))
        }, Some(|| panics(
            || Softmax { axis: 2 }.forward(Var::constant(Tensor::<f64>::ones([3, 2]))),
            "softmax: axis 2 is out of range for shape [3, 2]: allowed are -2 to 1",
        ));
        LogSoftmax { axis: s.size(0, 2) as isize - 3 } => |x, s| x - x.exp().sum(keepdim(axis)).log(), Some(|| panics(
            || LogSoftmax { axis: 2 }.forward(Var::constant(Tensor::<f64>::ones([3, 2]))),
            "log_softmax: axis 2 is out of range for shape [3, 2]: allowed are -2 to 1",
        ));
    }
}
