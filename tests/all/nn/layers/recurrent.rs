//! Recurrent layers.

use gradus::prelude::*;
use gradus::{Dropout, Gru, Lstm, RecurrentLayer, Relu, Rnn, init};

use super::attention::{all, dropped, maybe_dropped};
use super::simple::dense;
use super::{Entry, Sample, Start, initial};
use crate::messages::panics;

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

/// The fields that all recurrent layers have.
struct Fields<'a> {
    layers: &'a [RecurrentLayer<f64>],
    bidirectional: bool,
    batch_first: bool,
    dropout: Option<&'a Dropout>,
}

macro_rules! fields {
    ($layer:ident) => {
        Fields {
            layers: &$layer.layers,
            bidirectional: $layer.bidirectional,
            batch_first: $layer.batch_first,
            dropout: $layer.dropout.as_ref(),
        }
    };
}

/// A recurrent layer step by step: all states of the last layer, then the last states of all layers, `[layers, ...]`.
fn recurrent<const STATES: usize>(
    fields: &Fields<'_>,
    x: &Var<f64>,
    state: Option<[&Var<f64>; STATES]>,
    step: impl Fn(&RecurrentLayer<f64>, &Var<f64>, [Var<f64>; STATES]) -> [Var<f64>; STATES],
) -> Var<f64> {
    let time = isize::from(fields.batch_first);
    let steps = x.shape()[time as usize];
    let mut inputs: Vec<Var<f64>> = (0..steps as isize).map(|t| x.select(time, t)).collect();
    let mut last: [Vec<Var<f64>>; STATES] = std::array::from_fn(|_| Vec::new());
    let count = if fields.bidirectional { 2 } else { 1 };
    for (i, directions) in fields.layers.chunks(count).enumerate() {
        if i > 0 {
            let every_step = dropped(fields.dropout, stack(&inputs.iter().collect::<Vec<_>>(), 0));
            inputs = (0..steps as isize).map(|t| every_step.select(0, t)).collect();
        }
        let mut outputs = vec![Vec::new(); steps];
        for (direction, layer) in directions.iter().enumerate() {
            let zeros = Var::constant(Tensor::zeros([inputs[0].shape()[0], layer.weight_hh.shape()[1]]));
            let place = (count * i + direction) as isize;
            let mut states: [Var<f64>; STATES] = std::array::from_fn(|kind| {
                state.map_or(zeros.clone(), |states| states[kind].select(0, place))
            });
            for t in 0..steps {
                let t = if direction == 0 { t } else { steps - 1 - t };
                states = step(layer, &inputs[t], states);
                outputs[t].push(states[0].clone());
            }
            for (last, state) in last.iter_mut().zip(states) {
                last.push(state.flatten(..));
            }
        }
        inputs = outputs.iter().map(|directions| all(directions, 1)).collect();
    }
    let outputs = stack(&inputs.iter().collect::<Vec<_>>(), time).flatten(..);
    cat(&[&outputs, &all(&last.concat(), 0)], 0)
}

fn lstm(layer: &Lstm<f64>, x: &Var<f64>, state: Option<[&Var<f64>; 2]>) -> Var<f64> {
    recurrent(&fields!(layer), x, state, |layer, x, [h, c]| {
        let [of_x, of_h] = gates::<4>(layer, x, &h);
        let [i, f, g, o]: [Var<f64>; 4] = std::array::from_fn(|gate| &of_x[gate] + &of_h[gate]);
        let c = sigmoid(f) * c + sigmoid(i) * g.tanh();
        [sigmoid(o) * c.tanh(), c]
    })
}

fn gru(layer: &Gru<f64>, x: &Var<f64>, state: Option<&Var<f64>>) -> Var<f64> {
    recurrent(&fields!(layer), x, state.map(|h| [h]), |layer, x, [h]| {
        let [[xr, xz, xn], [hr, hz, hn]] = gates::<3>(layer, x, &h);
        let (r, z) = (sigmoid(xr + hr), sigmoid(xz + hz));
        let n = (xn + r * hn).tanh();
        [&n * (1.0 - &z) + z * h]
    })
}

fn rnn(layer: &Rnn<f64>, x: &Var<f64>, state: Option<&Var<f64>>, is_relu: bool) -> Var<f64> {
    recurrent(&fields!(layer), x, state.map(|h| [h]), |layer, x, [h]| {
        let [[of_x], [of_h]] = gates::<1>(layer, x, &h);
        let sum = of_x + of_h;
        [if is_relu { sum.relu() } else { sum.tanh() }]
    })
}

/// Random sizes of a recurrent layer, features, hidden and layers, with random options; and an input and a state.
macro_rules! sequence {
    ($s:ident, $name:ident) => {{
        let [features, hidden, layers] = [$s.size(1, 3), $s.size(1, 3), $s.size(1, 2)];
        let [steps, batch] = [$s.size(1, 3), $s.size(1, 2)];
        let mut layer = if $s.flag() {
            $name::<f64>::bidirectional(features, hidden, layers, &mut $s.0)
        } else {
            $name::<f64>::new(features, hidden, layers, &mut $s.0)
        };
        let mut shape = [steps, batch, features];
        if $s.flag() {
            layer = layer.batch_first();
            shape.swap(0, 1);
        }
        let layer = maybe_dropped($s, layer, $name::dropout);
        let states = layer.layers.len();
        (layer, $s.randn(&shape), $s.randn(&[states, batch, hidden]))
    }};
}

/// The names of all recurrent layers.
const MEMBERS: &[&str] = &[
    "weight_ih_l0",
    "weight_hh_l0",
    "bias_ih_l0",
    "bias_hh_l0",
    "weight_ih_l0_reverse",
    "weight_hh_l0_reverse",
    "bias_ih_l0_reverse",
    "bias_hh_l0_reverse",
    "weight_ih_l1",
    "weight_hh_l1",
    "bias_ih_l1",
    "bias_hh_l1",
    "weight_ih_l1_reverse",
    "weight_hh_l1_reverse",
    "bias_ih_l1_reverse",
    "bias_hh_l1_reverse",
    "dropout.training",
    "dropout.key",
];

/// New layers, in one or two directions.
macro_rules! new_layer {
    ($name:ident) => {
        |s| {
            let [features, hidden] = [s.size(20, 40), s.size(20, 40)];
            let layer = if s.flag() {
                $name::<f64>::new(features, hidden, 2, &mut s.0)
            } else {
                $name::<f64>::bidirectional(features, hidden, 2, &mut s.0)
            };
            let of_each = [Start::Within((hidden as f64).powf(-0.5)); 4];
            initial(&layer, of_each.repeat(layer.layers.len()))
        }
    };
}

fn lstm_entry() -> Entry {
    Entry {
        name: "Lstm",
        members: MEMBERS,
        sample: |s| {
            let (layer, x, h) = sequence!(s, Lstm);
            let joined = |(y, [h, c]): (Var<f64>, [Var<f64>; 2])| {
                cat(&[y, h, c].each_ref().map(|y| y.flatten(..)).each_ref(), 0)
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
        initial: new_layer!(Lstm),
        refuses: Some(|| {
            panics(
                || Lstm::<f64>::new(2, 3, 0, &mut seeded(0)),
                "Lstm: there are no layers; there must be at least one",
            );
            let layer = Lstm::<f64>::bidirectional(2, 3, 2, &mut seeded(0));
            let [x, h, c] = [[4, 5, 2], [4, 5, 3], [2, 5, 3]].map(|shape| Var::constant(Tensor::ones(shape)));
            panics(
                || layer.forward(&x, Some([&h, &c])),
                "Lstm: the state has shape [2, 5, 3]; it must be [4, 5, 3]: [2 layers, batch, hidden] with 2 layers in two \
                 directions",
            );
            panics(
                || layer.forward(&h, None),
                "Lstm: the input has shape [4, 5, 3]; it must be [steps, batch, 2]",
            );
        }),
    }
}

fn gru_entry() -> Entry {
    Entry {
        name: "Gru",
        members: MEMBERS,
        sample: |s| {
            let (layer, x, h) = sequence!(s, Gru);
            let joined = |(y, h): (Var<f64>, Var<f64>)| cat(&[&y.flatten(..), &h.flatten(..)], 0);
            if s.flag() {
                let fast = move |layer: &Gru<f64>, [x, h]: [&Var<f64>; 2]| joined(layer.forward(x, Some(h)));
                Sample::new(s, layer, [x, h], fast, |layer, [x, h]| gru(layer, x, Some(h)))
            } else {
                let fast = move |layer: &Gru<f64>, [x]: [&Var<f64>; 1]| joined(layer.forward(x, None));
                Sample::new(s, layer, [x], fast, |layer, [x]| gru(layer, x, None))
            }
        },
        initial: new_layer!(Gru),
        refuses: Some(|| {
            let layer = Gru::<f64>::new(2, 3, 2, &mut seeded(0));
            let [x, h] = [[4, 5, 2], [1, 5, 3]].map(|shape| Var::constant(Tensor::ones(shape)));
            panics(
                || layer.forward(&x, Some(&h)),
                "Gru: the state has shape [1, 5, 3]; it must be [2, 5, 3]: [layers, batch, hidden] with 2 layers",
            );
            panics(|| layer.dropout(1.5, 0), "Dropout: p is 1.5; it must be between 0 and 1");
        }),
    }
}

fn rnn_entry() -> Entry {
    Entry {
        name: "Rnn",
        members: MEMBERS,
        sample: |s| {
            let (layer, x, h) = sequence!(s, Rnn);
            let is_relu = s.flag();
            let layer = if is_relu { layer.activation(Relu) } else { layer };
            let joined = |(y, h): (Var<f64>, Var<f64>)| cat(&[&y.flatten(..), &h.flatten(..)], 0);
            if s.flag() {
                let fast = move |layer: &Rnn<f64>, [x, h]: [&Var<f64>; 2]| joined(layer.forward(x, Some(h)));
                Sample::new(s, layer, [x, h], fast, move |layer, [x, h]| rnn(layer, x, Some(h), is_relu))
            } else {
                let fast = move |layer: &Rnn<f64>, [x]: [&Var<f64>; 1]| joined(layer.forward(x, None));
                Sample::new(s, layer, [x], fast, move |layer, [x]| rnn(layer, x, None, is_relu))
            }
        },
        initial: new_layer!(Rnn),
        refuses: Some(|| {
            panics(
                || Rnn::<f64>::bidirectional(2, 3, 0, &mut seeded(0)),
                "Rnn: there are no layers; there must be at least one",
            );
            let layer = Rnn::<f64>::new(2, 3, 1, &mut seeded(0));
            let [x, h] = [[4, 5, 2], [1, 1, 3]].map(|shape| Var::constant(Tensor::ones(shape)));
            panics(
                || layer.forward(&h, None),
                "Rnn: the input has shape [1, 1, 3]; it must be [steps, batch, 2]",
            );
            panics(
                || layer.forward(&x, Some(&h)),
                "Rnn: the state has shape [1, 1, 3]; it must be [1, 5, 3]: [layers, batch, hidden] with 1 layers",
            );
        }),
    }
}

/// One layer after the other, forward before backward, each from the inputs' weight to the states' bias.
#[test]
fn parameters_are_drawn_in_the_order_of_pytorch() {
    let model = Lstm::<f64>::bidirectional(2, 3, 2, &mut seeded(5));
    let rng = &mut seeded(5);
    let bound = 1.0 / 3.0_f64.sqrt();
    for (features, name) in [(2, "l0"), (2, "l0_reverse"), (6, "l1"), (6, "l1_reverse")] {
        for (part, shape) in [
            ("weight_ih", &[12, features][..]),
            ("weight_hh", &[12, 3]),
            ("bias_ih", &[12]),
            ("bias_hh", &[12]),
        ] {
            let drawn = init::uniform::<f64>(shape, -bound, bound, rng);
            assert_eq!(model.state().tensor(&format!("{part}_{name}")), Some(&drawn), "{part}_{name}");
        }
    }
}

#[test]
fn no_steps_leave_the_state() {
    let [x, h] = [[0, 5, 2], [4, 5, 3]].map(|shape| Var::constant(Tensor::<f64>::ones(shape)));
    let rng = &mut seeded(0);
    let results = [
        Gru::bidirectional(2, 3, 2, rng).forward(&x, Some(&h)),
        Rnn::bidirectional(2, 3, 2, rng).forward(&x, Some(&h)),
    ];
    for (y, last) in results {
        assert_eq!((y.shape(), last.value()), (&[0, 5, 6][..], h.value()));
    }
}

pub(super) fn layers() -> Vec<Entry> {
    vec![lstm_entry(), gru_entry(), rnn_entry()]
}
