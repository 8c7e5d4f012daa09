//! Recurrent layers.

mod lengths;
mod stack;

use gradus_autograd::{AsVar, Float, Tensor, Var, stack};
use rand::Rng;

use self::stack::{Recurrence, Stack, new_layers, visit_layers, visit_layers_mut};
use super::activation::Tanh;
use super::dropout::Dropout;
use super::sequential::Layer;
use crate::inside::{self, LayerId};
use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

pub use self::stack::RecurrentLayer;

/// Stacked layers with a number of gates, and further fields that are modules, with their initial values.
macro_rules! recurrent {
    ($(
        $(#[$doc:meta])*
        $name:ident, $gates:literal $(, $(#[$field_doc:meta])* $field:ident: $type:ty = $initial:expr)?;
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<T: Float = f32> {
            /// The layers, each with the outputs of the one before as its input; of a bidirectional one, each forward and
            /// then backward.
            pub layers: Vec<RecurrentLayer<T>>,
            /// Whether each layer has one part that runs forward and one that runs backward.
            pub bidirectional: bool,
            /// Whether inputs and outputs are `[batch, steps, features]` and not `[steps, batch, features]`.
            pub batch_first: bool,
            /// Applied to the outputs of every layer but the last.
            pub dropout: Option<Dropout>,
            $($(#[$field_doc])* pub $field: $type,)?
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
                let layers = new_layers(stringify!($name), [$gates, features, hidden, num_layers, 1], rng);
                Self {
                    layers,
                    bidirectional: false,
                    batch_first: false,
                    dropout: None,
                    $($field: $initial,)?
                }
            }

            /// `num_layers` layers from `features` to `2 hidden`: each has a part that runs forward and one that runs
            /// backward, from the last step to the first, and its output joins both, in this order (Schuster and Paliwal,
            /// "Bidirectional recurrent neural networks", 1997). Parameters are drawn as in [`new`](Self::new), the
            /// forward part of a layer before the backward part.
            ///
            /// # Panics
            /// If `num_layers` is 0.
            #[track_caller]
            pub fn bidirectional(
                features: usize,
                hidden: usize,
                num_layers: usize,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                let layers = new_layers(stringify!($name), [$gates, features, hidden, num_layers, 2], rng);
                Self {
                    layers,
                    bidirectional: true,
                    batch_first: false,
                    dropout: None,
                    $($field: $initial,)?
                }
            }

            /// Sets the shape of inputs and outputs to `[batch, steps, features]`.
            #[must_use]
            pub fn batch_first(self) -> Self {
                Self { batch_first: true, ..self }
            }

            /// Adds [`Dropout`] with probability `p` to the outputs of every layer but the last, with masks from this seed.
            ///
            /// # Panics
            /// If `p` is not between 0 and 1.
            #[must_use]
            #[track_caller]
            pub fn dropout(self, p: f64, seed: u64) -> Self {
                Self { dropout: Some(Dropout::new(p, seed)), ..self }
            }

            fn directions(&self) -> usize {
                1 + usize::from(self.bidirectional)
            }

            fn stack(&self) -> Stack<'_, T> {
                Stack {
                    name: stringify!($name),
                    layers: &self.layers,
                    directions: self.directions(),
                    batch_first: self.batch_first,
                    dropout: self.dropout.as_ref(),
                }
            }
        }

        /// Parameters are named as in PyTorch: `weight_ih_l0`, `weight_ih_l0_reverse` and so on.
        impl<T: Float> Module<T> for $name<T> {
            fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                visitor(path, Member::Layer(LayerId::of(self)));
                visit_layers(&self.layers, self.directions(), path, visitor);
                self.dropout.visit(path.field("dropout"), visitor);
                $(self.$field.visit(path.field(stringify!($field)), visitor);)?
            }
            fn visit_mut<'a>(
                &'a mut self,
                path: Path<'_>,
                visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>),
            ) {
                let directions = self.directions();
                visit_layers_mut(&mut self.layers, directions, path, visitor);
                self.dropout.visit_mut(path.field("dropout"), visitor);
                $(self.$field.visit_mut(path.field(stringify!($field)), visitor);)?
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
    ///
    /// let layer = Lstm::bidirectional(3, 4, 2, &mut seeded(0)).dropout(0.5, 1);
    /// let (y, [h, _]) = layer.forward(&Var::constant(Tensor::<f32>::ones([7, 5, 3])), None);
    /// assert_eq!((y.shape(), h.shape()), (&[7, 5, 8][..], &[4, 5, 4][..]));
    /// assert_eq!(layer.named_parameters()[4].0, "weight_ih_l0_reverse");
    /// ```
    Lstm, 4;
    /// Stacked GRU layers; see [`Var::gru`], and [`Lstm`] for an example.
    Gru, 3;
    /// Stacked plain recurrent layers (Elman, "Finding structure in time", 1990): after each step the state is
    /// `activation(weight_ih x + bias_ih + weight_hh h + bias_hh)`.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var, seeded};
    /// use gradus_nn::{Relu, Rnn};
    ///
    /// let layer = Rnn::new(3, 4, 2, &mut seeded(0)).activation(Relu);
    /// let (y, h) = layer.forward(&Var::constant(Tensor::<f32>::ones([7, 5, 3])), None);
    /// assert_eq!((y.shape(), h.shape()), (&[7, 5, 4][..], &[2, 5, 4][..]));
    /// ```
    Rnn, 1,
        /// The hyperbolic tangent, or another function that keeps the shape.
        activation: Box<dyn Layer<T>> = Box::new(Tanh);
}

impl<T: Float> Lstm<T> {
    /// The states h of the last layer after every step, `[steps, batch, hidden]`, and h and c of all layers after the
    /// last step, each `[layers, batch, hidden]`. `state` has h and c before the first step, by default zeros.
    ///
    /// With two directions the outputs are `[steps, batch, 2 hidden]`, forward before backward, and states are
    /// `[2 layers, batch, hidden]`: forward and backward of the first layer, then of the second, and so on. A backward
    /// part begins at the last step and ends at the first.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>, state: Option<[&Var<T>; 2]>) -> (Var<T>, [Var<T>; 2]) {
        let scope = inside::open(self);
        let (y, last) = self.stack().run(self, &x.as_var(), None, state);
        (scope.gives(y), last)
    }

    /// As [`forward`](Self::forward), for a padded batch whose sequences have these lengths, one for each: padding has no
    /// effect on any result. Outputs behind the end of a sequence are zeros, the last states are those after its last
    /// step, and a backward part begins there. A sequence of length 0 keeps the state before the first step.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_nn::Lstm;
    ///
    /// let layer = Lstm::<f32>::bidirectional(3, 4, 1, &mut seeded(0));
    /// let x = Tensor::randn([7, 2, 3], &mut seeded(1));
    /// let (y, [h, _]) = layer.forward_padded(&x, &[7, 5], None);
    /// let (short, [h_short, _]) = layer.forward(x.slice(0, ..5).slice(1, 1..), None);
    /// assert!(y.slice(0, ..5).slice(1, 1..).value().allclose(short.value(), 1e-5, 1e-6));
    /// assert!(h.slice(1, 1..).value().allclose(h_short.value(), 1e-5, 1e-6));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, the number of lengths is not the size of the batch, or a length is beyond the steps.
    #[track_caller]
    pub fn forward_padded(
        &self,
        x: impl AsVar<T>,
        lengths: &[usize],
        state: Option<[&Var<T>; 2]>,
    ) -> (Var<T>, [Var<T>; 2]) {
        let scope = inside::open(self);
        let (y, last) = self.stack().run(self, &x.as_var(), Some(lengths), state);
        (scope.gives(y), last)
    }
}

impl<T: Float> Recurrence<T, 2> for Lstm<T> {
    #[track_caller]
    fn scan(
        &self,
        layer: &RecurrentLayer<T>,
        x: &Var<T>,
        state: Option<[&Var<T>; 2]>,
    ) -> (Var<T>, [Var<T>; 2]) {
        x.lstm(state, layer.weights(), Some(layer.biases()))
    }
}

/// The `forward` of layers with one state.
macro_rules! one_state {
    ($($name:ident),*) => {$(
        impl<T: Float> $name<T> {
            /// The states h of the last layer after every step, `[steps, batch, hidden]`, and h of all layers after the last
            /// step, `[layers, batch, hidden]`. `state` is h before the first step, by default zeros. For two directions see
            /// [`Lstm::forward`].
            ///
            /// # Panics
            /// If the shapes do not fit.
            #[track_caller]
            pub fn forward(&self, x: impl AsVar<T>, state: Option<&Var<T>>) -> (Var<T>, Var<T>) {
                let scope = inside::open(self);
                let (y, [h]) = self.stack().run(self, &x.as_var(), None, state.map(|h| [h]));
                (scope.gives(y), h)
            }

            /// As [`forward`](Self::forward), for a padded batch; see [`Lstm::forward_padded`].
            ///
            /// # Panics
            /// If the shapes do not fit, the number of lengths is not the size of the batch, or a length is beyond the steps.
            #[track_caller]
            pub fn forward_padded(
                &self,
                x: impl AsVar<T>,
                lengths: &[usize],
                state: Option<&Var<T>>,
            ) -> (Var<T>, Var<T>) {
                let scope = inside::open(self);
                let (y, [h]) = self.stack().run(self, &x.as_var(), Some(lengths), state.map(|h| [h]));
                (scope.gives(y), h)
            }
        }
    )*};
}
one_state!(Gru, Rnn);

impl<T: Float> Recurrence<T, 1> for Gru<T> {
    #[track_caller]
    fn scan(
        &self,
        layer: &RecurrentLayer<T>,
        x: &Var<T>,
        state: Option<[&Var<T>; 1]>,
    ) -> (Var<T>, [Var<T>; 1]) {
        let (y, h) = x.gru(state.map(|[h]| h), layer.weights(), Some(layer.biases()));
        (y, [h])
    }
}

impl<T: Float> Rnn<T> {
    /// Replaces the hyperbolic tangent by another function that keeps the shape.
    #[must_use]
    pub fn activation(self, activation: impl Layer<T> + 'static) -> Self {
        Self { activation: Box::new(activation), ..self }
    }
}

impl<T: Float> Recurrence<T, 1> for Rnn<T> {
    #[track_caller]
    fn scan(
        &self,
        layer: &RecurrentLayer<T>,
        x: &Var<T>,
        state: Option<[&Var<T>; 1]>,
    ) -> (Var<T>, [Var<T>; 1]) {
        let mut h = match state {
            Some([h]) => h.clone(),
            None => Var::constant(Tensor::zeros([x.shape()[1], layer.weight_hh.shape()[1]])),
        };
        let [bias_ih, bias_hh] = layer.biases();
        let inputs = x.linear(&layer.weight_ih, Some(&(bias_ih + bias_hh)));
        let mut states = Vec::new();
        for step in 0..x.shape()[0] as isize {
            h = self.activation.forward(&(inputs.select(0, step) + h.linear(&layer.weight_hh, None)));
            states.push(h.clone());
        }
        let y = if states.is_empty() { inputs } else { stack(&states.iter().collect::<Vec<_>>(), 0) };
        (y, [h])
    }
}
