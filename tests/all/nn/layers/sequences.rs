//! Embedding, attention, and recurrent layers.

use gradus::prelude::*;
use gradus::{AttentionMask, Embedding, Gru, Lstm, MultiheadAttention, RecurrentLayer, TransformerBlock};

use super::norms::layer_norm;
use super::simple::{dense, of_linear};
use super::{Entry, Sample, Source, Start, initial};
use crate::messages::panics;

fn all(vars: &[Var<f64>], axis: isize) -> Var<f64> {
    cat(&vars.iter().collect::<Vec<_>>(), axis)
}

/// The keys that a query sees.
#[derive(Clone)]
enum Mask {
    None,
    /// `[queries, keys]`.
    Allowed(Tensor<bool>),
    /// `[heads, queries, keys]`.
    Added(Var<f64>),
}

impl Mask {
    /// Every query sees the first key.
    fn new(s: &mut Source, [heads, queries, keys]: [usize; 3]) -> Self {
        match s.size(0, 2) {
            0 => Self::None,
            1 => {
                let allowed = s.randn(&[queries, keys]).gt(0.0);
                Self::Allowed(allowed.logical_or(Tensor::arange(0_i64, keys as i64, 1).eq(0)))
            }
            _ => Self::Added(Var::constant(s.randn(&[heads, queries, keys]))),
        }
    }

    fn get(&self) -> Option<AttentionMask<'_, f64>> {
        match self {
            Self::None => None,
            Self::Allowed(allowed) => Some(allowed.into()),
            Self::Added(added) => Some(added.into()),
        }
    }
}

/// Attention head by head, each with its own columns of queries, keys and values.
fn attention(
    layer: &MultiheadAttention<f64>,
    inputs: [&Var<f64>; 3],
    mask: &Mask,
    is_causal: bool,
) -> Var<f64> {
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
    let heads: Vec<Var<f64>> = (0..layer.num_heads as isize)
        .map(|head| {
            let [query, key, value] =
                [&query, &key, &value].map(|x| x.slice(-1, head * size..(head + 1) * size));
            let mut scores = (query.unsqueeze(-2) * key.unsqueeze(-3)).sum(-1) / (size as f64).sqrt();
            let [queries, keys] =
                [-2, -1].map(|axis| scores.shape()[(scores.rank() as isize + axis) as usize] as i64);
            match mask {
                Mask::None => {}
                Mask::Allowed(allowed) => {
                    scores = scores.masked_fill(&allowed.logical_not(), f64::NEG_INFINITY);
                }
                Mask::Added(added) => scores += added.select(0, head),
            }
            if is_causal {
                let place = Tensor::arange(0_i64, queries, 1).unsqueeze(1);
                scores = scores.masked_fill(&Tensor::arange(0_i64, keys, 1).gt(&place), f64::NEG_INFINITY);
            }
            let powers = scores.exp();
            let weights = &powers / powers.sum(keepdim(-1));
            (weights.unsqueeze(-1) * value.unsqueeze(-3)).sum(-2)
        })
        .collect();
    of_linear(&layer.out_proj, &all(&heads, -1))
}

/// The initial distributions: weight and bias of all inputs, weight and bias of the output.
fn of_attention(width: usize) -> [Start; 4] {
    let of_inputs = (6.0 / (4 * width) as f64).sqrt();
    [Start::Within(of_inputs), Start::All(0.0), Start::Within((width as f64).powf(-0.5)), Start::All(0.0)]
}

/// The sums that the input and the last state contribute to each gate.
fn gates<const N: usize>(layer: &RecurrentLayer<f64>, x: &Var<f64>, h: &Var<f64>) -> [[Var<f64>; N]; 2] {
    let hidden = h.shape()[1] as isize;
    let cut =
        |y: Var<f64>| std::array::from_fn(|i| y.slice(1, i as isize * hidden..(i as isize + 1) * hidden));
    [
        cut(dense(x, &layer.weight_ih, Some(&layer.bias_ih))),
        cut(dense(h, &layer.weight_hh, Some(&layer.bias_hh))),
    ]
}

fn sigmoid(x: Var<f64>) -> Var<f64> {
    1.0 / ((-x).exp() + 1.0)
}

/// A recurrent layer step by step: all states of the last layer, then the last states of all layers, `[layers, ...]`.
fn recurrent<const STATES: usize>(
    layers: &[RecurrentLayer<f64>],
    batch_first: bool,
    x: &Var<f64>,
    state: Option<[&Var<f64>; STATES]>,
    step: impl Fn(&RecurrentLayer<f64>, &Var<f64>, [Var<f64>; STATES]) -> [Var<f64>; STATES],
) -> Var<f64> {
    let time = isize::from(batch_first);
    let mut inputs: Vec<Var<f64>> =
        (0..x.shape()[time as usize] as isize).map(|t| x.select(time, t)).collect();
    let mut last: [Vec<Var<f64>>; STATES] = std::array::from_fn(|_| Vec::new());
    for (i, layer) in layers.iter().enumerate() {
        let zeros = Var::constant(Tensor::zeros([inputs[0].shape()[0], layer.weight_hh.shape()[1]]));
        let mut states: [Var<f64>; STATES] = std::array::from_fn(|kind| {
            state.map_or(zeros.clone(), |states| states[kind].select(0, i as isize))
        });
        for x in &mut inputs {
            states = step(layer, x, states);
            *x = states[0].clone();
        }
        for (last, state) in last.iter_mut().zip(states) {
            last.push(state.flatten());
        }
    }
    let outputs = stack(&inputs.iter().collect::<Vec<_>>(), time).flatten();
    cat(&[&outputs, &all(&last.concat(), 0)], 0)
}

fn lstm(layer: &Lstm<f64>, x: &Var<f64>, state: Option<[&Var<f64>; 2]>) -> Var<f64> {
    recurrent(&layer.layers, layer.batch_first, x, state, |layer, x, [h, c]| {
        let [of_x, of_h] = gates::<4>(layer, x, &h);
        let [i, f, g, o]: [Var<f64>; 4] = std::array::from_fn(|gate| &of_x[gate] + &of_h[gate]);
        let c = sigmoid(f) * c + sigmoid(i) * g.tanh();
        [sigmoid(o) * c.tanh(), c]
    })
}

fn gru(layer: &Gru<f64>, x: &Var<f64>, state: Option<&Var<f64>>) -> Var<f64> {
    recurrent(&layer.layers, layer.batch_first, x, state.map(|h| [h]), |layer, x, [h]| {
        let [[xr, xz, xn], [hr, hz, hn]] = gates::<3>(layer, x, &h);
        let (r, z) = (sigmoid(xr + hr), sigmoid(xz + hz));
        let n = (xn + r * hn).tanh();
        [&n * (1.0 - &z) + z * h]
    })
}

/// Random sizes of a recurrent layer: features, hidden, layers; and an input and a state.
fn sequence(s: &mut Source, batch_first: bool) -> ([usize; 3], Tensor<f64>, Tensor<f64>) {
    let [features, hidden, layers] = [s.size(1, 3), s.size(1, 3), s.size(1, 3)];
    let [steps, batch] = [s.size(1, 3), s.size(1, 2)];
    let x = if batch_first { s.randn(&[batch, steps, features]) } else { s.randn(&[steps, batch, features]) };
    let state = s.randn(&[layers, batch, hidden]);
    ([features, hidden, layers], x, state)
}

/// The names and the initial distributions of both recurrent layers.
const RECURRENT: &[&str] = &[
    "weight_ih_l0",
    "weight_hh_l0",
    "bias_ih_l0",
    "bias_hh_l0",
    "weight_ih_l1",
    "weight_hh_l1",
    "bias_ih_l1",
    "bias_hh_l1",
    "weight_ih_l2",
    "weight_hh_l2",
    "bias_ih_l2",
    "bias_hh_l2",
];

fn embedding_entry() -> Entry {
    Entry {
        name: "Embedding",
        members: &["weight"],
        sample: |s| {
            let [words, width] = [s.size(2, 5), s.size(1, 3)];
            let layer = Embedding::<f64>::new(words, width, &mut s.0);
            let layer = if s.flag() { layer.padding_idx(-1) } else { layer };
            let index: Tensor<i64> = (Tensor::<f64>::rand([2, 3], &mut s.0) * words as f64).cast();
            let again = index.clone();
            Sample::new(
                s,
                layer,
                [],
                move |layer, []| layer.forward(&index),
                move |layer, []| {
                    let padding = layer.padding_idx.map(|word| word + layer.weight.shape()[0] as isize);
                    let rows: Vec<Var<f64>> = again
                        .iter()
                        .map(|word| layer.weight.select(0, word as isize))
                        .zip(again.iter())
                        .map(|(row, word)| if Some(word as isize) == padding { row.detach() } else { row })
                        .collect();
                    all(&rows, 0).reshape([2, 3, layer.weight.shape()[1]])
                },
            )
        },
        initial: |s| {
            let [words, width] = [s.size(40, 80), s.size(40, 80)];
            initial(&Embedding::<f64>::new(words, width, &mut s.0), [Start::Normal])
        },
        refuses: Some(|| {
            let layer = Embedding::<f64>::new(3, 2, &mut seeded(0));
            panics(
                || layer.forward(&Tensor::from([0, 3])),
                "embedding: index 3 at [1] is out of bounds for a table of shape [3, 2]: allowed are 0 to 2",
            );
        }),
    }
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
            let fast = move |layer: &MultiheadAttention<f64>, inputs: [&Var<f64>; 3]| {
                layer.forward_to(inputs, mask.get(), is_causal)
            };
            Sample::new(s, layer, inputs, fast, move |layer, inputs| {
                attention(layer, inputs, &again, is_causal)
            })
        },
        initial: |s| {
            let size = s.size(10, 20);
            initial(&MultiheadAttention::<f64>::new(4 * size, 4, &mut s.0), of_attention(4 * size))
        },
        refuses: Some(|| {
            let layer = MultiheadAttention::<f64>::new(6, 2, &mut seeded(0));
            panics(
                || layer.forward(&Var::constant(Tensor::ones([2, 5])), None, false),
                "MultiheadAttention: an input has shape [2, 5]; it must be [..., length, 6]",
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
        ],
        sample: |s| {
            let [heads, size, length] = [s.size(1, 3), s.size(1, 2), s.size(1, 3)];
            let layer = TransformerBlock::<f64>::new(heads * size, heads, s.size(1, 4), &mut s.0);
            let (mask, is_causal) = (Mask::new(s, [heads, length, length]), s.flag());
            let x = s.randn(&[2, length, heads * size]);
            let again = mask.clone();
            let fast = move |layer: &TransformerBlock<f64>, [x]: [&Var<f64>; 1]| {
                layer.forward(x, mask.get(), is_causal)
            };
            Sample::new(s, layer, [x], fast, move |layer, [x]| {
                let normal = layer_norm(&layer.norm1, x);
                let x = x + attention(&layer.self_attn, [&normal; 3], &again, is_causal);
                let hidden = of_linear(&layer.linear1, &layer_norm(&layer.norm2, &x)).gelu_tanh();
                x + of_linear(&layer.linear2, &hidden)
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
        }),
    }
}

fn lstm_entry() -> Entry {
    Entry {
        name: "Lstm",
        members: RECURRENT,
        sample: |s| {
            let batch_first = s.flag();
            let ([features, hidden, layers], x, h) = sequence(s, batch_first);
            let mut layer = Lstm::<f64>::new(features, hidden, layers, &mut s.0);
            layer.batch_first = batch_first;
            let joined = |(y, [h, c]): (Var<f64>, [Var<f64>; 2])| {
                cat(&[y, h, c].each_ref().map(Var::flatten).each_ref(), 0)
            };
            if s.flag() {
                let c = s.randn(h.shape());
                let fast = move |layer: &Lstm<f64>, [x, h, c]: [&Var<f64>; 3]| {
                    joined(layer.forward(x, Some([h, c])))
                };
                Sample::new(s, layer, [x, h, c], fast, |layer, [x, h, c]| lstm(layer, x, Some([h, c])))
            } else {
                let fast = move |layer: &Lstm<f64>, [x]: [&Var<f64>; 1]| joined(layer.forward(x, None));
                Sample::new(s, layer, [x], fast, |layer, [x]| lstm(layer, x, None))
            }
        },
        initial: |s| {
            let [features, hidden] = [s.size(20, 40), s.size(20, 40)];
            let layer = Lstm::<f64>::new(features, hidden, 2, &mut s.0);
            initial(&layer, [Start::Within((hidden as f64).powf(-0.5)); 8])
        },
        refuses: Some(|| {
            panics(
                || Lstm::<f64>::new(2, 3, 0, &mut seeded(0)),
                "Lstm: there are no layers; there must be at least one",
            );
        }),
    }
}

fn gru_entry() -> Entry {
    Entry {
        name: "Gru",
        members: RECURRENT,
        sample: |s| {
            let batch_first = s.flag();
            let ([features, hidden, layers], x, h) = sequence(s, batch_first);
            let mut layer = Gru::<f64>::new(features, hidden, layers, &mut s.0);
            layer.batch_first = batch_first;
            let joined = |(y, h): (Var<f64>, Var<f64>)| cat(&[&y.flatten(), &h.flatten()], 0);
            if s.flag() {
                let fast = move |layer: &Gru<f64>, [x, h]: [&Var<f64>; 2]| joined(layer.forward(x, Some(h)));
                Sample::new(s, layer, [x, h], fast, |layer, [x, h]| gru(layer, x, Some(h)))
            } else {
                let fast = move |layer: &Gru<f64>, [x]: [&Var<f64>; 1]| joined(layer.forward(x, None));
                Sample::new(s, layer, [x], fast, |layer, [x]| gru(layer, x, None))
            }
        },
        initial: |s| {
            let [features, hidden] = [s.size(20, 40), s.size(20, 40)];
            let layer = Gru::<f64>::new(features, hidden, 2, &mut s.0);
            initial(&layer, [Start::Within((hidden as f64).powf(-0.5)); 8])
        },
        refuses: Some(|| {
            let layer = Gru::<f64>::new(2, 3, 2, &mut seeded(0));
            let [x, h] = [[4, 5, 2], [1, 5, 3]].map(|shape| Var::constant(Tensor::ones(shape)));
            panics(
                || layer.forward(&x, Some(&h)),
                "Gru: the state has shape [1, 5, 3]; it must be [layers, batch, hidden] with 2 layers",
            );
        }),
    }
}

pub(super) fn layers() -> Vec<Entry> {
    vec![embedding_entry(), multihead_attention_entry(), transformer_block_entry(), lstm_entry(), gru_entry()]
}
