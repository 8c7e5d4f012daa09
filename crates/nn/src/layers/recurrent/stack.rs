//! The part that all recurrent layers share: layers on top of each other, in one or two directions.

use gradus_autograd::{Float, Var, cat, stack};
use rand::Rng;

use super::lengths::Lengths;
use crate::init;
use crate::layers::Dropout;
use crate::layers::linear::laid_out;
use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::parameter::Parameter;
use crate::path::Path;

/// The parameters of one layer, in one direction, of an [`Lstm`](crate::Lstm) (4 gates), a [`Gru`](crate::Gru) (3 gates)
/// or an [`Rnn`](crate::Rnn) (1).
#[derive(Debug, Clone)]
pub struct RecurrentLayer<T: Float = f32> {
    /// The weight of the input, `[gates hidden, features]`.
    pub weight_ih: Parameter<T>,
    /// The weight of the state, `[gates hidden, hidden]`.
    pub weight_hh: Parameter<T>,
    /// The bias of the input, `[gates hidden]`.
    pub bias_ih: Parameter<T>,
    /// The bias of the state, `[gates hidden]`.
    pub bias_hh: Parameter<T>,
}

/// The names of the parameters, before the number of the layer.
const NAMES: [&str; 4] = ["weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l"];

/// The ends of the names, by direction.
const SUFFIXES: [&str; 2] = ["", "_reverse"];

impl<T: Float> RecurrentLayer<T> {
    #[track_caller]
    fn new(gates: usize, features: usize, hidden: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let bound = 1.0 / (hidden.max(1) as f64).sqrt();
        let weight_ih = init::uniform([gates * hidden, features], -bound, bound, rng);
        let weight_hh = init::uniform([gates * hidden, hidden], -bound, bound, rng);
        let [bias_ih, bias_hh] = [(); 2].map(|()| init::uniform([gates * hidden], -bound, bound, rng));
        Self {
            weight_ih: Parameter::new(laid_out(weight_ih)),
            weight_hh: Parameter::new(laid_out(weight_hh)),
            bias_ih: Parameter::new(bias_ih),
            bias_hh: Parameter::new(bias_hh),
        }
    }

    pub(super) fn weights(&self) -> [&Var<T>; 2] {
        [&self.weight_ih, &self.weight_hh]
    }

    pub(super) fn biases(&self) -> [&Var<T>; 2] {
        [&self.bias_ih, &self.bias_hh]
    }
}

/// New layers, each with a member for every direction.
#[track_caller]
pub(super) fn new_layers<T: Float>(
    name: &str,
    [gates, features, hidden, num_layers, directions]: [usize; 5],
    rng: &mut (impl Rng + ?Sized),
) -> Vec<RecurrentLayer<T>> {
    assert!(num_layers > 0, "{name}: there are no layers; there must be at least one");
    let features = |i| if i < directions { features } else { directions * hidden };
    (0..num_layers * directions).map(|i| RecurrentLayer::new(gates, features(i), hidden, rng)).collect()
}

pub(super) fn visit_layers<'a, T: Float>(
    layers: &'a [RecurrentLayer<T>],
    directions: usize,
    path: Path<'_>,
    visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>),
) {
    for (i, layer) in layers.iter().enumerate() {
        let RecurrentLayer { weight_ih, weight_hh, bias_ih, bias_hh } = layer;
        for (name, parameter) in NAMES.into_iter().zip([weight_ih, weight_hh, bias_ih, bias_hh]) {
            parameter.visit(path.numbered(name, i / directions, SUFFIXES[i % directions]), visitor);
        }
    }
}

pub(super) fn visit_layers_mut<'a, T: Float>(
    layers: &'a mut [RecurrentLayer<T>],
    directions: usize,
    path: Path<'_>,
    visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>),
) {
    for (i, layer) in layers.iter_mut().enumerate() {
        let RecurrentLayer { weight_ih, weight_hh, bias_ih, bias_hh } = layer;
        for (name, parameter) in NAMES.into_iter().zip([weight_ih, weight_hh, bias_ih, bias_hh]) {
            parameter.visit_mut(path.numbered(name, i / directions, SUFFIXES[i % directions]), visitor);
        }
    }
}

/// A kind of recurrent layer, with its number of states.
pub(super) trait Recurrence<T: Float, const STATES: usize> {
    /// The state h after every step of an input `[steps, batch, features]`, and all states after the last step.
    #[track_caller]
    fn scan(
        &self,
        layer: &RecurrentLayer<T>,
        x: &Var<T>,
        state: Option<[&Var<T>; STATES]>,
    ) -> (Var<T>, [Var<T>; STATES]);
}

/// Layers, each with the outputs of the one before as its input.
pub(super) struct Stack<'a, T: Float> {
    pub name: &'static str,
    pub layers: &'a [RecurrentLayer<T>],
    /// 1 or 2.
    pub directions: usize,
    pub batch_first: bool,
    pub dropout: Option<&'a Dropout>,
}

impl<T: Float> Stack<'_, T> {
    /// The outputs of the last layer, and the last states of all layers. With `lengths`, sequences end before their
    /// padding.
    #[track_caller]
    pub(super) fn run<const STATES: usize>(
        &self,
        recurrence: &impl Recurrence<T, STATES>,
        x: &Var<T>,
        lengths: Option<&[usize]>,
        state: Option<[&Var<T>; STATES]>,
    ) -> (Var<T>, [Var<T>; STATES]) {
        let sizes = self.check(x, state);
        let lengths = Lengths::of(self.name, lengths, sizes);
        let flip = |x: &Var<T>| match &lengths {
            Some(lengths) => lengths.flip(x),
            None => x.flip(0),
        };
        let mut y = self.turned(x);
        let mut last: [Vec<Var<T>>; STATES] = std::array::from_fn(|_| Vec::new());
        for (i, layers) in self.layers.chunks(self.directions).enumerate() {
            if let Some(dropout) = self.dropout.filter(|_| i > 0) {
                y = dropout.forward(&y);
            }
            let mut outputs = Vec::new();
            for (direction, layer) in layers.iter().enumerate() {
                let place = (i * self.directions + direction) as isize;
                let state = state.map(|states| states.map(|state| state.select(0, place)));
                let state = state.as_ref().map(<[_; STATES]>::each_ref);
                let is_reverse = direction == 1;
                let x = if is_reverse { flip(&y) } else { y.clone() };
                let (states, ends) = match &lengths {
                    Some(lengths) => lengths.scan(recurrence, layer, &x, state),
                    None => recurrence.scan(layer, &x, state),
                };
                outputs.push(if is_reverse { flip(&states) } else { states });
                for (last, end) in last.iter_mut().zip(ends) {
                    last.push(end);
                }
            }
            y = match &outputs[..] {
                [one] => one.clone(),
                all => cat(&all.iter().collect::<Vec<_>>(), -1),
            };
        }
        (self.turned(&y), last.map(stack_all))
    }

    /// The numbers of steps and of sequences of an input, after a check of its shape and of the states'.
    #[track_caller]
    fn check<const STATES: usize>(&self, x: &Var<T>, state: Option<[&Var<T>; STATES]>) -> [usize; 2] {
        let [features, hidden] = self.layers[0].weights().map(|weight| weight.shape()[1]);
        let axes = if self.batch_first { ["batch", "steps"] } else { ["steps", "batch"] };
        assert!(
            x.rank() == 3 && x.shape()[2] == features,
            "{}: the input has shape {:?}; it must be [{}, {}, {features}]",
            self.name,
            x.shape(),
            axes[0],
            axes[1]
        );
        let mut sizes = [x.shape()[0], x.shape()[1]];
        if self.batch_first {
            sizes.swap(0, 1);
        }
        let expected = [self.layers.len(), sizes[1], hidden];
        let layers = self.layers.len() / self.directions;
        let [factor, directions] = if self.directions == 1 { [""; 2] } else { ["2 ", " in two directions"] };
        for state in state.into_iter().flatten() {
            assert!(
                state.shape() == expected,
                "{}: the state has shape {:?}; it must be {expected:?}: [{factor}layers, batch, hidden] with {layers} \
                 layers{directions}",
                self.name,
                state.shape()
            );
        }
        sizes
    }

    /// `x`, with batch and steps exchanged if `batch_first` is set.
    fn turned(&self, x: &Var<T>) -> Var<T> {
        if self.batch_first { x.transpose(0, 1) } else { x.clone() }
    }
}

fn stack_all<T: Float>(states: Vec<Var<T>>) -> Var<T> {
    match &states[..] {
        [one] => one.unsqueeze(0),
        all => stack(&all.iter().collect::<Vec<_>>(), 0),
    }
}
