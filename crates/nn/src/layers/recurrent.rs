//! Recurrent layers.

use gradus_autograd::{Float, Var, stack};
use rand::Rng;

use super::linear::laid_out;
use crate::init;
use crate::module::{Member, MemberMut, Module};
use crate::parameter::Parameter;
use crate::path::Path;

/// The parameters of one layer of an [`Lstm`] (4 gates) or a [`Gru`] (3 gates).
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

    fn weights(&self) -> [&Var<T>; 2] {
        [&self.weight_ih, &self.weight_hh]
    }

    fn biases(&self) -> [&Var<T>; 2] {
        [&self.bias_ih, &self.bias_hh]
    }
}

/// `x`, with batch and steps exchanged if `batch_first` is set.
fn turned<T: Float>(x: &Var<T>, batch_first: bool) -> Var<T> {
    if batch_first && x.rank() == 3 { x.transpose(0, 1) } else { x.clone() }
}

/// Panics unless there is a state for each layer.
#[track_caller]
fn check_state<T: Float>(name: &str, state: &Var<T>, layers: usize) {
    assert!(
        state.rank() == 3 && state.shape()[0] == layers,
        "{name}: the state has shape {:?}; it must be [layers, batch, hidden] with {layers} layers",
        state.shape()
    );
}

/// Stacked layers with a number of gates.
macro_rules! recurrent {
    ($($(#[$doc:meta])* $name:ident, $gates:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<T: Float = f32> {
            /// The layers, each with the states of the one before as its input.
            pub layers: Vec<RecurrentLayer<T>>,
            /// Whether inputs and outputs are `[batch, steps, features]` and not `[steps, batch, features]`.
            pub batch_first: bool,
        }

        impl<T: Float> $name<T> {
            /// `num_layers` layers from `features` to `hidden`. Parameters are drawn uniformly between
            /// `-1 / sqrt(hidden)` and `1 / sqrt(hidden)`, layer by layer in the order of the fields.
            ///
            /// # Panics
            /// If `num_layers` is 0.
            #[track_caller]
            pub fn new(
                features: usize,
                hidden: usize,
                num_layers: usize,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                assert!(num_layers > 0, "{}: there are no layers; there must be at least one", stringify!($name));
                let features = |layer| if layer == 0 { features } else { hidden };
                let layers = (0..num_layers)
                    .map(|layer| RecurrentLayer::new($gates, features(layer), hidden, rng))
                    .collect();
                Self { layers, batch_first: false }
            }

            /// Sets the shape of inputs and outputs to `[batch, steps, features]`.
            #[must_use]
            pub fn batch_first(self) -> Self {
                Self { batch_first: true, ..self }
            }
        }

        /// Parameters are named as in PyTorch: `weight_ih_l0` and so on.
        impl<T: Float> Module<T> for $name<T> {
            fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                for (i, layer) in self.layers.iter().enumerate() {
                    let RecurrentLayer { weight_ih, weight_hh, bias_ih, bias_hh } = layer;
                    for (name, parameter) in NAMES.into_iter().zip([weight_ih, weight_hh, bias_ih, bias_hh]) {
                        parameter.visit(path.numbered(name, i), visitor);
                    }
                }
            }
            fn visit_mut<'a>(
                &'a mut self,
                path: Path<'_>,
                visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>),
            ) {
                for (i, layer) in self.layers.iter_mut().enumerate() {
                    let RecurrentLayer { weight_ih, weight_hh, bias_ih, bias_hh } = layer;
                    for (name, parameter) in NAMES.into_iter().zip([weight_ih, weight_hh, bias_ih, bias_hh]) {
                        parameter.visit_mut(path.numbered(name, i), visitor);
                    }
                }
            }
        }
    )*};
}

recurrent! {
    /// Stacked LSTM layers; see [`Var::lstm`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var, seeded};
    /// use gradus_nn::{Lstm, Module};
    ///
    /// let layer = Lstm::new(3, 4, 2, &mut seeded(0)).batch_first();
    /// let (y, [h, c]) = layer.forward(&Var::constant(Tensor::<f32>::ones([5, 7, 3])), None);
    /// assert_eq!((y.shape(), h.shape(), c.shape()), (&[5, 7, 4][..], &[2, 5, 4][..], &[2, 5, 4][..]));
    /// assert_eq!(layer.named_parameters()[4].0, "weight_ih_l1");
    /// ```
    Lstm, 4;
    /// Stacked GRU layers; see [`Var::gru`], and [`Lstm`] for an example.
    Gru, 3;
}

impl<T: Float> Lstm<T> {
    /// The states h of the last layer after every step, `[steps, batch, hidden]`, and h and c of all layers after the
    /// last step, each `[layers, batch, hidden]`. `state` has h and c before the first step, by default zeros.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: &Var<T>, state: Option<[&Var<T>; 2]>) -> (Var<T>, [Var<T>; 2]) {
        for state in state.into_iter().flatten() {
            check_state("Lstm", state, self.layers.len());
        }
        let mut y = turned(x, self.batch_first);
        let mut last: [Vec<Var<T>>; 2] = Default::default();
        for (i, layer) in self.layers.iter().enumerate() {
            let state = state.map(|states| states.map(|state| state.select(0, i as isize)));
            let state = state.as_ref().map(|[h, c]| [h, c]);
            let (states, [h, c]) = y.lstm(state, layer.weights(), Some(layer.biases()));
            y = states;
            last[0].push(h);
            last[1].push(c);
        }
        (turned(&y, self.batch_first), last.map(stack_all))
    }
}

impl<T: Float> Gru<T> {
    /// The states h of the last layer after every step, `[steps, batch, hidden]`, and h of all layers after the last
    /// step, `[layers, batch, hidden]`. `state` is h before the first step, by default zeros.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: &Var<T>, state: Option<&Var<T>>) -> (Var<T>, Var<T>) {
        if let Some(state) = state {
            check_state("Gru", state, self.layers.len());
        }
        let mut y = turned(x, self.batch_first);
        let mut last = Vec::new();
        for (i, layer) in self.layers.iter().enumerate() {
            let state = state.map(|state| state.select(0, i as isize));
            let (states, h) = y.gru(state.as_ref(), layer.weights(), Some(layer.biases()));
            y = states;
            last.push(h);
        }
        (turned(&y, self.batch_first), stack_all(last))
    }
}

fn stack_all<T: Float>(states: Vec<Var<T>>) -> Var<T> {
    match &states[..] {
        [one] => one.unsqueeze(0),
        all => stack(&all.iter().collect::<Vec<_>>(), 0),
    }
}
