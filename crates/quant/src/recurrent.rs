//! Recurrent layers with integer weights.

use std::sync::Arc;

use gradus_autograd::{AsVar, Float, Tensor, Var, cat, no_grad, stack};
use gradus_nn::{
    Gru, Layer, LayerId, Lstm, Member, MemberMut, Module, Path, RecurrentLayer, Rnn, layer_scope,
};

use crate::core::{Core, Input, run};
use crate::error::QuantError;
use crate::observer::Observer;
use crate::params::{Params, Scheme};

/// One layer in one direction: the products with the input and with the state.
#[derive(Debug, Clone)]
struct Cell<T: Float> {
    input: Arc<Core<T>>,
    state: Arc<Core<T>>,
}

impl<T: Float> Cell<T> {
    fn new(layer: &RecurrentLayer<T>) -> Result<Self, QuantError> {
        let core = |weight: &Tensor<T>, bias: &Tensor<T>| {
            let params = Params::of(weight, &Scheme::weights())?;
            Ok(Arc::new(Core::new(weight, Some(bias), &params, None)?))
        };
        Ok(Self {
            input: core(layer.weight_ih.value(), layer.bias_ih.value())?,
            state: core(layer.weight_hh.value(), layer.bias_hh.value())?,
        })
    }
}

/// A function that sees the inputs and states that are quantised: it is told the number of the cell, and of a state `true`.
type Watch<'a, T> = &'a mut dyn FnMut(usize, bool, &Tensor<T>);

/// The rule of a kind of layer.
trait Step<T: Float> {
    /// The number of states.
    const STATES: usize;

    /// One step: the contributions of input and state to the gates, and the states before, to the states after; the first of them
    /// is the output.
    #[track_caller]
    fn step(&self, x: &Var<T>, h: &Var<T>, states: &[Var<T>]) -> Vec<Var<T>>;

    /// The members of the layer besides its products.
    fn visit<'a>(&'a self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {}
    fn visit_mut<'a>(&'a mut self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {}
}

/// Part `i` of equal parts along the last axis, each as wide as a state.
fn gate<T: Float>(gates: &Var<T>, i: usize, state: &Var<T>) -> Var<T> {
    let hidden = state.shape()[1] as isize;
    gates.slice(-1, i as isize * hidden..(i as isize + 1) * hidden)
}

/// Long short-term memory, with the states h and c.
#[derive(Debug, Clone)]
struct LstmStep;

impl<T: Float> Step<T> for LstmStep {
    const STATES: usize = 2;

    fn step(&self, x: &Var<T>, h: &Var<T>, states: &[Var<T>]) -> Vec<Var<T>> {
        let (gates, c) = (x + h, &states[1]);
        let [i, f, g, o] = [0, 1, 2, 3].map(|i| gate(&gates, i, c));
        let c = f.sigmoid() * c + i.sigmoid() * g.tanh();
        vec![o.sigmoid() * c.tanh(), c]
    }
}

/// A gated recurrent unit.
#[derive(Debug, Clone)]
struct GruStep;

impl<T: Float> Step<T> for GruStep {
    const STATES: usize = 1;

    fn step(&self, x: &Var<T>, h: &Var<T>, states: &[Var<T>]) -> Vec<Var<T>> {
        let state = &states[0];
        let [r, z] = [0, 1].map(|i| (gate(x, i, state) + gate(h, i, state)).sigmoid());
        let n = (gate(x, 2, state) + r * gate(h, 2, state)).tanh();
        vec![&n + z * (state - &n)]
    }
}

/// A plain layer, with its activation.
#[derive(Debug, Clone)]
struct RnnStep<T: Float> {
    activation: Box<dyn Layer<T>>,
}

impl<T: Float> Step<T> for RnnStep<T> {
    const STATES: usize = 1;

    fn step(&self, x: &Var<T>, h: &Var<T>, _: &[Var<T>]) -> Vec<Var<T>> {
        vec![self.activation.forward(&(x + h))]
    }
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        self.activation.visit(path.field("activation"), visitor);
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        self.activation.visit_mut(path.field("activation"), visitor);
    }
}

/// The layers on top of each other, each of one or two directions.
#[derive(Debug, Clone)]
struct Cells<T: Float, S> {
    all: Vec<Cell<T>>,
    rule: S,
    directions: usize,
    batch_first: bool,
    hidden: usize,
}

impl<T: Float, S: Step<T>> Cells<T, S> {
    /// The outputs `[steps, batch, directions hidden]`, and the last states, each `[layers directions, batch, hidden]`.
    #[track_caller]
    fn run(&self, x: &Var<T>, states: Option<&[&Var<T>]>, watch: Watch<'_, T>) -> (Var<T>, Vec<Var<T>>) {
        let mut x = if self.batch_first { x.transpose(0, 1) } else { x.clone() };
        let zeros = Var::constant(Tensor::zeros([x.shape()[1], self.hidden]));
        let mut last: Vec<Vec<Var<T>>> = vec![Vec::new(); S::STATES];
        for (layer, cells) in self.all.chunks(self.directions).enumerate() {
            let outputs: Vec<Var<T>> = cells
                .iter()
                .enumerate()
                .map(|(direction, cell)| {
                    let place = (layer * self.directions + direction) as isize;
                    let first =
                        |i: usize| states.map_or_else(|| zeros.clone(), |states| states[i].select(0, place));
                    let mut states: Vec<Var<T>> = (0..S::STATES).map(first).collect();
                    watch(place as usize, false, x.value());
                    let gates = run(&cell.input, &x);
                    let mut steps: Vec<isize> = (0..x.shape()[0] as isize).collect();
                    if direction == 1 {
                        steps.reverse();
                    }
                    let mut outputs = Vec::new();
                    for &at in &steps {
                        watch(place as usize, true, states[0].value());
                        let h = run(&cell.state, &states[0]);
                        states = self.rule.step(&gates.select(0, at), &h, &states);
                        outputs.push(states[0].clone());
                    }
                    if direction == 1 {
                        outputs.reverse();
                    }
                    last.iter_mut().zip(states).for_each(|(last, state)| last.push(state));
                    if outputs.is_empty() {
                        // A sequence without steps has outputs without elements.
                        return gates.slice(-1, ..self.hidden as isize);
                    }
                    stack(&outputs.iter().collect::<Vec<_>>(), 0)
                })
                .collect();
            x = cat(&outputs.iter().collect::<Vec<_>>(), -1);
        }
        let last = last.iter().map(|states| stack(&states.iter().collect::<Vec<_>>(), 0)).collect();
        (if self.batch_first { x.transpose(0, 1) } else { x }, last)
    }

    /// Fixes the ranges of inputs and states to those that are seen in these sequences.
    #[track_caller]
    fn calibrate(&mut self, sequences: &[Tensor<T>]) -> Result<(), QuantError> {
        let observer = || Observer::min_max(&Scheme::uint8());
        let mut observers: Vec<[Observer; 2]> = self.all.iter().map(|_| [observer(), observer()]).collect();
        let mut fault = None;
        for x in sequences {
            let watch: Watch<'_, T> = &mut |cell, is_state, x| {
                if let Err(error) = observers[cell][usize::from(is_state)].observe(x) {
                    fault.get_or_insert(error);
                }
            };
            let _ = no_grad(|| self.run(&Var::constant(x), None, watch));
        }
        if let Some(error) = fault {
            return Err(error);
        }
        let params: Vec<[Params; 2]> = (observers.iter())
            .map(|[input, state]| Ok([input.params()?, state.params()?]))
            .collect::<Result<_, QuantError>>()?;
        for (cell, [input, state]) in self.all.iter_mut().zip(params) {
            Arc::make_mut(&mut cell.input).set_input(Input::Static(input));
            Arc::make_mut(&mut cell.state).set_input(Input::Static(state));
        }
        Ok(())
    }

    /// The names of the products of each cell, as in `ih_l0` and `hh_l0_reverse`.
    fn names(&self) -> impl Iterator<Item = [String; 2]> + use<T, S> {
        let directions = self.directions;
        (0..self.all.len()).map(move |i| {
            let suffix = if i % directions == 1 { "_reverse" } else { "" };
            ["ih", "hh"].map(|part| format!("{part}_l{}{suffix}", i / directions))
        })
    }
}

/// A recurrent layer of integers in place of one of numbers.
macro_rules! recurrent {
    ($(#[$doc:meta])* $name:ident of $float:ident: |$layer:ident| $rule:ty = $initial:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<T: Float = f32>(Cells<T, $rule>);

        impl<T: Float> $name<T> {
            /// The layers with weights of 8 bits, a scale for each row of a weight; inputs and states are quantised in each step by
            /// the range of their numbers (dynamic quantisation). The dropout between layers is left out, as in evaluation mode.
            ///
            /// # Errors
            /// If a number of the layers is NaN or infinite.
            pub fn new($layer: &$float<T>) -> Result<Self, QuantError> {
                Ok(Self(Cells {
                    all: $layer.layers.iter().map(Cell::new).collect::<Result<_, _>>()?,
                    rule: $initial,
                    directions: 1 + usize::from($layer.bidirectional),
                    batch_first: $layer.batch_first,
                    hidden: $layer.layers[0].weight_hh.shape()[1],
                }))
            }

            /// The layers with fixed ranges of the inputs and states of each layer (static quantisation): from the least to the largest
            /// number in these sequences, which have the shape of an input of `forward`, from states of 0 on.
            ///
            /// # Errors
            /// If the sequences have no steps, or a number is NaN or infinite.
            ///
            /// # Panics
            /// If the shapes do not fit.
            #[track_caller]
            pub fn calibrated(mut self, sequences: &[Tensor<T>]) -> Result<Self, QuantError> {
                self.0.calibrate(sequences)?;
                Ok(self)
            }
        }

        /// Members are those of a [`QLinear`](crate::QLinear) for each weight, `ih_l0.weight` and so on: of calibrated layers also `input`.
        impl<T: Float> Module<T> for $name<T> {
            fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                visitor(path, Member::Layer(LayerId::of(self)));
                for (cell, [input, state]) in self.0.all.iter().zip(self.0.names()) {
                    cell.input.visit(path.field(&input), visitor);
                    cell.state.visit(path.field(&state), visitor);
                }
                self.0.rule.visit(path, visitor);
            }
            fn visit_mut<'a>(
                &'a mut self,
                path: Path<'_>,
                visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>),
            ) {
                let names = self.0.names();
                for (cell, [input, state]) in self.0.all.iter_mut().zip(names) {
                    Arc::make_mut(&mut cell.input).visit_mut(path.field(&input), visitor);
                    Arc::make_mut(&mut cell.state).visit_mut(path.field(&state), visitor);
                }
                self.0.rule.visit_mut(path, visitor);
            }
        }
    };
}

recurrent! {
    /// An [`Lstm`] whose weights are 8-bit integers.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_nn::{Lstm, Module};
    /// use gradus_quant::QLstm;
    ///
    /// let rng = &mut seeded(0);
    /// let (layer, x) = (Lstm::<f32>::new(8, 16, 2, rng), Tensor::randn([5, 3, 8], rng));
    /// let quantized = QLstm::new(&layer)?;
    /// let ((y, [h, _]), (expected, _)) = (quantized.forward(&x, None), layer.forward(&x, None));
    /// assert!(y.value().allclose(expected.value(), 0.0, 0.02));
    /// assert_eq!((h.shape(), quantized.parameter_count()), (&[2, 3, 16][..], 0));
    ///
    /// // With ranges that are known before, it need not look at the numbers.
    /// let (y, _) = quantized.calibrated(&[x.clone()])?.forward(&x, None);
    /// assert!(y.value().allclose(expected.value(), 0.0, 0.02));
    /// # Ok::<(), gradus_quant::QuantError>(())
    /// ```
    QLstm of Lstm: |layer| LstmStep = LstmStep
}
recurrent! {
    /// A [`Gru`] whose weights are 8-bit integers; see [`QLstm`] for an example.
    QGru of Gru: |layer| GruStep = GruStep
}
recurrent! {
    /// An [`Rnn`] whose weights are 8-bit integers; see [`QLstm`] for an example. Its activation is the one of the layer.
    QRnn of Rnn: |layer| RnnStep<T> = RnnStep { activation: layer.activation.clone() }
}

impl<T: Float> QLstm<T> {
    /// Outputs and last states, with the shapes of [`Lstm::forward`]. It has no derivative: a backward pass through it panics.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>, state: Option<[&Var<T>; 2]>) -> (Var<T>, [Var<T>; 2]) {
        let scope = layer_scope(self);
        let states = state.as_ref().map(|state| &state[..]);
        let (y, last) = self.0.run(&x.as_var(), states, &mut |_, _, _| {});
        (scope.gives(y), last.try_into().expect("two states"))
    }
}

/// The `forward` of layers with one state.
macro_rules! one_state {
    ($($name:ident of $float:literal),*) => {$(
        impl<T: Float> $name<T> {
            #[doc = concat!("Outputs and the last state, with the shapes of [`", $float, "::forward`](gradus_nn::", $float, "::forward).")]
            /// It has no derivative: a backward pass through it panics.
            ///
            /// # Panics
            /// If the shapes do not fit.
            #[track_caller]
            pub fn forward(&self, x: impl AsVar<T>, state: Option<&Var<T>>) -> (Var<T>, Var<T>) {
                let scope = layer_scope(self);
                let states = state.as_ref().map(std::slice::from_ref);
                let (y, mut last) = self.0.run(&x.as_var(), states, &mut |_, _, _| {});
                (scope.gives(y), last.remove(0))
            }
        }
    )*};
}
one_state!(QGru of "Gru", QRnn of "Rnn");
