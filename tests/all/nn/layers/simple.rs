//! `Linear`, `Embedding`, `Dropout`, `Flatten` and `Sequential`.

use gradus::prelude::*;
use gradus::{Dropout, Embedding, Flatten, Tanh};

use super::attention::all;
use super::{Entry, Sample, Start, initial, nothing};
use crate::messages::panics;

/// A dense layer, every output as a sum of its own.
pub(super) fn dense(x: &Var<f64>, weight: &Var<f64>, bias: Option<&Var<f64>>) -> Var<f64> {
    let sums = (x.unsqueeze(-2) * weight).sum(-1);
    bias.map_or(sums.clone(), |bias| sums + bias)
}

/// [`dense`] with the parameters of a layer.
pub(super) fn of_linear(layer: &Linear<f64>, x: &Var<f64>) -> Var<f64> {
    dense(x, &layer.weight, layer.bias.as_deref())
}

fn linear_entry() -> Entry {
    Entry {
        name: "Linear",
        members: &["weight", "bias"],
        sample: |s| {
            let [from, to, rows] = [s.size(1, 4), s.size(1, 4), s.size(0, 3)];
            let layer = Linear::new(from, to, &mut s.0);
            let layer = if s.flag() { layer } else { layer.without_bias() };
            let x = if s.flag() { s.randn(&[from]) } else { s.randn(&[2, rows, from]) };
            Sample::new(s, layer, [x], |layer, [x]| layer.forward(x), |layer, [x]| of_linear(layer, x))
        },
        initial: |s| {
            let [from, to] = [s.size(40, 80), s.size(40, 80)];
            initial(&Linear::<f64>::new(from, to, &mut s.0), [Start::Within((from as f64).powf(-0.5)); 2])
        },
        refuses: Some(|| {
            panics(
                || Linear::<f64>::new(3, 2, &mut seeded(0)).forward(Var::constant([1.0, 2.0])),
                "linear: the input has shape [2] and the weight [2, 3]: the last axis of the input must have size 3",
            );
        }),
    }
}

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
                || layer.forward(Tensor::from([0, 3])),
                "embedding: index 3 at [1] is out of bounds for a table of shape [3, 2]: allowed are 0 to 2",
            );
        }),
    }
}

fn dropout_entry() -> Entry {
    Entry {
        name: "Dropout",
        members: &["training", "key"],
        sample: |s| {
            let mut layer = Dropout::new(s.number(), s.size(0, 1 << 30) as u64);
            layer.training = s.flag();
            let x = s.randn(&[3, 5]);
            let slow = |layer: &Dropout, [x]: [&Var<f64>; 1]| {
                // Ones, dropped by the same mask, show the places that are kept.
                let kept = layer.forward(Var::constant(Tensor::<f64>::ones(x.shape()))).value().ne(0.0);
                let scaled = if layer.training { x / (1.0 - layer.p) } else { x.clone() };
                Var::where_(&kept, scaled, 0.0)
            };
            Sample::new(s, layer, [x], |layer, [x]| layer.forward(x), slow)
        },
        initial: nothing,
        refuses: Some(|| {
            panics(|| Dropout::new(-0.5, 0), "Dropout: p is -0.5; it must be between 0 and 1");
        }),
    }
}

fn flatten_entry() -> Entry {
    Entry {
        name: "Flatten",
        members: &[],
        sample: |s| {
            let [batch, height] = [s.size(0, 3), s.size(1, 3)];
            let x = s.randn(&[batch, height, 2]);
            Sample::new(
                s,
                Flatten,
                [x],
                |layer, [x]| layer.forward(x),
                |_, [x]| {
                    let columns: Vec<Var<f64>> = (0..x.shape()[1] as isize).map(|i| x.select(1, i)).collect();
                    cat(&columns.iter().collect::<Vec<_>>(), 1)
                },
            )
        },
        initial: nothing,
        refuses: Some(|| {
            panics(
                || Flatten.forward(Var::constant(1.0)),
                "flatten: the input has shape []: it needs an axis, the batch",
            );
        }),
    }
}

fn sequential_entry() -> Entry {
    Entry {
        name: "Sequential",
        members: &["0.weight", "0.bias", "2.0.weight", "2.0.bias", "2.1.training", "2.1.key"],
        sample: |s| {
            let hidden = s.size(1, 4);
            let mut inner =
                Sequential::new().push(Linear::new(hidden, 2, &mut s.0)).push(Dropout::new(0.5, 0));
            Module::<f64>::eval(&mut inner);
            let first = Linear::new(3, hidden, &mut s.0);
            let model = Sequential::<f64>::new().push(first).push(Tanh).push(inner);
            let x = s.randn(&[2, 3]);
            Sample::new(
                s,
                model,
                [x],
                |model, [x]| model.forward(x),
                |model, [x]| {
                    let p = model.parameters();
                    let hidden = dense(x, p[0], Some(p[1]));
                    let powers = (hidden * 2.0).exp();
                    dense(&((&powers - 1.0) / (powers + 1.0)), p[2], Some(p[3]))
                },
            )
        },
        initial: nothing,
        refuses: Some(|| {
            let model = Sequential::new().push(Tanh).push(Linear::<f64>::new(3, 2, &mut seeded(0)));
            panics(
                || model.forward(Var::constant([1.0, 2.0])),
                "linear: the input has shape [2] and the weight [2, 3]: the last axis of the input must have size 3",
            );
        }),
    }
}

pub(super) fn layers() -> Vec<Entry> {
    vec![linear_entry(), embedding_entry(), dropout_entry(), flatten_entry(), sequential_entry()]
}
