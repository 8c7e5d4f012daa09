//! Attention and the transformer block.

use gradus::prelude::*;
use gradus::{AttentionMask, Dropout, Gelu, MultiheadAttention, Relu, TransformerBlock};

use super::norms::layer_norm;
use super::simple::{dense, of_linear};
use super::{Entry, Sample, Source, Start, initial};
use crate::messages::panics;

pub(super) fn all(vars: &[Var<f64>], axis: isize) -> Var<f64> {
    cat(&vars.iter().collect::<Vec<_>>(), axis)
}

/// The keys that a query sees.
#[derive(Clone)]
enum Mask {
    None,
    /// `[queries, keys]`, or `[batch, 1, 1, keys]`.
    Allowed(Tensor<bool>),
    /// `[heads, queries, keys]`.
    Added(Var<f64>),
}

impl Mask {
    /// Every query sees the first key.
    fn new(s: &mut Source, [heads, queries, keys]: [usize; 3]) -> Self {
        match s.size(0, 3) {
            0 => Self::None,
            kind @ (1 | 2) => {
                let shape = if kind == 1 { &[queries, keys][..] } else { &[2, 1, 1, keys] };
                let allowed = s.randn(shape).gt(0.0);
                Self::Allowed(allowed.logical_or(Tensor::arange(0_i64, keys as i64, 1).eq(0)))
            }
            _ => Self::Added(Var::constant(s.randn(&[heads, queries, keys]))),
        }
    }

    fn get(&self) -> Option<AttentionMask<f64>> {
        match self {
            Self::None => None,
            Self::Allowed(allowed) => Some(allowed.into()),
            Self::Added(added) => Some(added.into()),
        }
    }
}

/// Attention head by head, each with its own columns of queries, keys and values; and the mean of the weights.
fn attention(
    layer: &MultiheadAttention<f64>,
    inputs: [&Var<f64>; 3],
    mask: &Mask,
    is_causal: bool,
) -> [Var<f64>; 2] {
    let width = layer.in_proj_weight.shape()[1] as isize;
    let [query, key, value] = [0, 1, 2].map(|i| {
        let rows = i as isize * width..(i as isize + 1) * width;
        dense(
            inputs[i],
            &layer.in_proj_weight.slice(0, rows.clone()),
            Some(&layer.in_proj_bias.slice(0, rows)),
        )
    });
    let size = width / layer.num_heads as isize;
    let (heads, weights): (Vec<Var<f64>>, Vec<Var<f64>>) = (0..layer.num_heads as isize)
        .map(|head| {
            let [query, key, value] =
                [&query, &key, &value].map(|x| x.slice(-1, head * size..(head + 1) * size));
            let mut scores = (query.unsqueeze(-2) * key.unsqueeze(-3)).sum(-1) / (size as f64).sqrt();
            let [queries, keys] =
                [-2, -1].map(|axis| scores.shape()[(scores.rank() as isize + axis) as usize] as i64);
            match mask {
                Mask::None => {}
                Mask::Allowed(allowed) => {
                    let allowed = if allowed.rank() == 4 { allowed.select(1, 0) } else { allowed.clone() };
                    scores = scores.masked_fill(allowed.logical_not(), f64::NEG_INFINITY);
                }
                Mask::Added(added) => scores += added.select(0, head),
            }
            if is_causal {
                let place = Tensor::arange(0_i64, queries, 1).unsqueeze(1);
                scores = scores.masked_fill(Tensor::arange(0_i64, keys, 1).gt(&place), f64::NEG_INFINITY);
            }
            let powers = scores.exp();
            let weights = &powers / powers.sum(keepdim(-1));
            ((weights.unsqueeze(-1) * value.unsqueeze(-3)).sum(-2), weights)
        })
        .unzip();
    let mean = stack(&weights.iter().collect::<Vec<_>>(), 0).mean(0);
    [of_linear(&layer.out_proj, &all(&heads, -1)), mean]
}

/// The layer without dropout, or with it in either mode.
pub(super) fn maybe_dropped<M: Module<f64>>(s: &mut Source, layer: M, add: fn(M, f64, u64) -> M) -> M {
    if s.flag() {
        return layer;
    }
    let mut layer = add(layer, s.number(), s.size(0, 1 << 30) as u64);
    layer.set_training(s.flag());
    layer
}

pub(super) fn dropped(dropout: Option<&Dropout>, x: Var<f64>) -> Var<f64> {
    dropout.map_or(x.clone(), |dropout| dropout.forward(&x))
}

/// The initial distributions: weight and bias of all inputs, weight and bias of the output.
fn of_attention(width: usize) -> [Start; 4] {
    let of_inputs = (6.0 / (4 * width) as f64).sqrt();
    [Start::Within(of_inputs), Start::All(0.0), Start::Within((width as f64).powf(-0.5)), Start::All(0.0)]
}

fn multihead_attention_entry() -> Entry {
    Entry {
        name: "MultiheadAttention",
        members: &["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"],
        sample: |s| {
            let [heads, size, queries, keys] = [s.size(1, 3), s.size(1, 2), s.size(1, 3), s.size(1, 3)];
            let mut layer = MultiheadAttention::<f64>::new(heads * size, heads, &mut s.0);
            if s.flag() {
                layer.out_proj.bias = None;
            }
            let (mask, is_causal) = (Mask::new(s, [heads, queries, keys]), s.flag());
            let inputs = [queries, keys, keys].map(|length| s.randn(&[2, length, heads * size]));
            let again = mask.clone();
            let with_weights = s.flag();
            let joined = |[y, weights]: [Var<f64>; 2]| cat(&[&y.flatten(..), &weights.flatten(..)], 0);
            let fast = move |layer: &MultiheadAttention<f64>, inputs: [&Var<f64>; 3]| {
                if with_weights {
                    joined(layer.forward_with_weights(inputs, mask.get(), is_causal).into())
                } else {
                    layer.forward_to(inputs, mask.get(), is_causal)
                }
            };
            Sample::new(s, layer, inputs, fast, move |layer, inputs| {
                let [y, weights] = attention(layer, inputs, &again, is_causal);
                if with_weights { joined([y, weights]) } else { y }
            })
        },
        initial: |s| {
            let size = s.size(10, 20);
            initial(&MultiheadAttention::<f64>::new(4 * size, 4, &mut s.0), of_attention(4 * size))
        },
        refuses: Some(|| {
            let layer = MultiheadAttention::<f64>::new(6, 2, &mut seeded(0));
            panics(
                || layer.forward(Var::constant(Tensor::ones([2, 5])), None, false),
                "MultiheadAttention: an input has shape [2, 5]; it must be [..., length, 6]",
            );
            panics(
                || layer.forward_with_weights([&Var::constant(Tensor::ones([6])); 3], None, false),
                "MultiheadAttention: an input has shape [6]; it must be [..., length, 6]",
            );
        }),
    }
}

fn transformer_block_entry() -> Entry {
    Entry {
        name: "TransformerBlock",
        members: &[
            "norm1.weight",
            "norm1.bias",
            "self_attn.in_proj_weight",
            "self_attn.in_proj_bias",
            "self_attn.out_proj.weight",
            "self_attn.out_proj.bias",
            "norm2.weight",
            "norm2.bias",
            "linear1.weight",
            "linear1.bias",
            "linear2.weight",
            "linear2.bias",
            "dropout.training",
            "dropout.key",
        ],
        sample: |s| {
            let [heads, size, length] = [s.size(1, 3), s.size(1, 2), s.size(1, 3)];
            let mut layer = TransformerBlock::<f64>::new(heads * size, heads, s.size(1, 4), &mut s.0);
            let activation: fn(&Var<f64>) -> Var<f64> = match s.size(0, 2) {
                0 => Var::gelu_tanh,
                1 => {
                    layer = layer.activation(Relu);
                    Var::relu
                }
                _ => {
                    layer = layer.activation(Gelu);
                    Var::gelu
                }
            };
            if s.flag() {
                layer = layer.post_norm();
            }
            layer = maybe_dropped(s, layer, TransformerBlock::dropout);
            let (mask, is_causal) = (Mask::new(s, [heads, length, length]), s.flag());
            let x = s.randn(&[2, length, heads * size]);
            let again = mask.clone();
            let fast = move |layer: &TransformerBlock<f64>, [x]: [&Var<f64>; 1]| {
                layer.forward(x, mask.get(), is_causal)
            };
            Sample::new(s, layer, [x], fast, move |layer, [x]| {
                let before =
                    |norm, x: &Var<f64>| if layer.norm_first { layer_norm(norm, x) } else { x.clone() };
                let after = |norm, x: Var<f64>| if layer.norm_first { x } else { layer_norm(norm, &x) };
                let [y, _] = attention(&layer.self_attn, [&before(&layer.norm1, x); 3], &again, is_causal);
                let x = after(&layer.norm1, x + dropped(layer.dropout.as_ref(), y));
                let hidden = activation(&of_linear(&layer.linear1, &before(&layer.norm2, &x)));
                let y = of_linear(&layer.linear2, &dropped(layer.dropout.as_ref(), hidden));
                after(&layer.norm2, x + dropped(layer.dropout.as_ref(), y))
            })
        },
        initial: |s| {
            let [width, hidden] = [4 * s.size(10, 20), s.size(40, 80)];
            let norm = [1.0, 0.0].map(Start::All);
            let [first, second] = [width, hidden].map(|from| [Start::Within((from as f64).powf(-0.5)); 2]);
            let expected = [&norm[..], &of_attention(width), &norm, &first, &second].concat();
            initial(&TransformerBlock::<f64>::new(width, 4, hidden, &mut s.0), expected)
        },
        refuses: Some(|| {
            panics(
                || TransformerBlock::<f64>::new(6, 4, 3, &mut seeded(0)),
                "MultiheadAttention: the width is 6 and num_heads 4: it must divide the width",
            );
            let layer = TransformerBlock::<f64>::new(6, 2, 3, &mut seeded(0));
            panics(|| layer.dropout(1.5, 0), "Dropout: p is 1.5; it must be between 0 and 1");
        }),
    }
}

#[test]
fn a_query_without_keys_has_no_weights() {
    let layer = MultiheadAttention::<f64>::new(4, 2, &mut seeded(0));
    let x = Var::constant(Tensor::randn([2, 3, 4], &mut seeded(1)));
    let allowed = Tensor::from([[[[true, false, true]]], [[[false; 3]]]]);
    let (y, weights) = layer.forward_with_weights([&x; 3], Some((&allowed).into()), false);
    assert_eq!(weights.select(0, 1).value(), &Tensor::zeros([3, 3]));
    assert_eq!(y.select(0, 1).value(), &Tensor::zeros([3, 4]), "the bias of the output is 0");
    let sums = weights.select(0, 0).sum(-1);
    assert!(sums.value().allclose(&Tensor::ones([3]), 1e-12, 0.0), "{sums:?}");
    let plain = layer.forward(&x, Some((&allowed).into()), false);
    assert_eq!(y.value(), plain.value(), "the output of `forward`");
}

pub(super) fn layers() -> Vec<Entry> {
    vec![multihead_attention_entry(), transformer_block_entry()]
}
