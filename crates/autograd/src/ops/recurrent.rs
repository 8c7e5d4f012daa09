//! Recurrent layers, one operation for all steps of a sequence.

use gradus_tensor::shapes::{gru_shape, lstm_shape};
use gradus_tensor::{Float, Tensor};

use super::join::stack;
use super::matmul::count;
use super::operations::operations;
use crate::engine::{batched_composition, gradients_of_composition};
use crate::tape::{Batch, Var, apply};

operations! {
    /// States and gates of all steps, from the inputs' contributions to the gates, the weight of the states, h0 and
    /// c0; see [`Tensor::lstm`].
    Nonlinear Lstm {}: "lstm",
        shape |x| lstm_shape(x[0], x[1], x[2], x[3]),
        forward |x| x[0].lstm(x[1], x[2], x[3]),
        vjps |context| {
            if context.is_recorded() {
                return Some(gradients_of_composition(context, lstm));
            }
            let [weight, h0, c0] = [1, 2, 3].map(|i| context.input_value(i));
            let g = context.cotangent().value();
            let gradients = context.output_value().lstm_gradient(weight, h0, c0, g);
            gradients.map(|gradient| Some(gradient.into())).into()
        },
        multiply_adds |x, _| count(x[0]) * x[1][1],
        batched |batch| {
            if batch.is_batched(1) {
                return Some(batched_composition(batch, |x| lstm(x)));
            }
            let [h0, c0] = [2, 3].map(|input| batch.var(input).flatten(..2));
            sequences_of(&apply(Self, &[&side_by_side(batch), &batch.given(1), &h0, &c0]), batch)
        };

    /// States and gates of all steps, from the inputs' contributions to the gates, the weight of the states, h0 and
    /// an optional bias; see [`Tensor::gru`].
    Nonlinear Gru {}: "gru",
        shape |x| gru_shape(x[0], x[1], x.get(3).copied(), x[2]),
        forward |x| x[0].gru(x[1], x.get(3), x[2]),
        vjps |context| {
            if context.is_recorded() {
                return Some(gradients_of_composition(context, gru));
            }
            let [weight, h0] = [1, 2].map(|i| context.input_value(i));
            let g = context.cotangent().value();
            let [of_input, of_weight, of_bias, of_h0] = context.output_value().gru_gradient(weight, h0, g);
            [of_input, of_weight, of_h0, of_bias].map(|gradient| Some(gradient.into())).into()
        },
        multiply_adds |x, _| count(x[0]) * x[1][1],
        batched |batch| {
            if [1, 3].iter().any(|&input| input < batch.len() && batch.is_batched(input)) {
                return Some(batched_composition(batch, |x| gru(x)));
            }
            let (input, h0) = (side_by_side(batch), batch.var(2).flatten(..2));
            let weight = batch.given(1);
            let y = if batch.len() > 3 {
                apply(Self, &[&input, &weight, &h0, &batch.given(3)])
            } else {
                apply(Self, &[&input, &weight, &h0])
            };
            sequences_of(&y, batch)
        };
}

/// The sequences of all examples as one batch of sequences, `[steps, B batch, features]`.
fn side_by_side<T: Float>(batch: &Batch<T>) -> Var<T> {
    batch.var(0).transpose(0, 1).flatten(1..3)
}

/// The planes of each example's sequences, from the planes of all sequences.
fn sequences_of<T: Float>(planes: &Var<T>, batch: &Batch<T>) -> Var<T> {
    let [count, steps, size, features] = batch.output_shape() else { unreachable!("planes have four axes") };
    planes.reshape([*count, *steps, batch.size(), *size, *features]).permute([2, 0, 1, 3, 4])
}

/// [`Lstm`] made of other operations.
fn lstm<T: Float>(inputs: &[Var<T>]) -> Var<T> {
    let [input, weight, h0, c0] = inputs else { unreachable!("four inputs") };
    let (mut h, mut c) = (h0.clone(), c0.clone());
    let mut planes: [Vec<Var<T>>; 6] = Default::default();
    for step in 0..input.shape()[0] as isize {
        let gates = (input.select(0, step) + h.matmul(&weight.t())).split([weight.shape()[1]; 4], 1);
        let (i, f, g, o) = (gates[0].sigmoid(), gates[1].sigmoid(), gates[2].tanh(), gates[3].sigmoid());
        c = &f * c + &i * &g;
        h = &o * c.tanh();
        for (plane, value) in planes.iter_mut().zip([h.clone(), c.clone(), i, f, g, o]) {
            plane.push(value);
        }
    }
    stack_planes(&planes, h0.shape())
}

/// Steps one after another, for each plane.
fn stack_planes<T: Float>(planes: &[Vec<Var<T>>], state: &[usize]) -> Var<T> {
    if planes[0].is_empty() {
        return Var::constant(Tensor::zeros([&[planes.len(), 0][..], state].concat()));
    }
    let planes: Vec<Var<T>> =
        planes.iter().map(|plane| stack(&plane.iter().collect::<Vec<_>>(), 0)).collect();
    stack(&planes.iter().collect::<Vec<_>>(), 0)
}

/// [`Gru`] made of other operations.
fn gru<T: Float>(inputs: &[Var<T>]) -> Var<T> {
    let [input, weight, h0, bias @ ..] = inputs else { unreachable!("at least three inputs") };
    let mut h = h0.clone();
    let mut planes: [Vec<Var<T>>; 5] = Default::default();
    for step in 0..input.shape()[0] as isize {
        let sizes = [weight.shape()[1]; 3];
        let of_input = input.select(0, step).split(sizes, 1);
        let of_state = h.linear(weight, bias.first()).split(sizes, 1);
        let r = (&of_input[0] + &of_state[0]).sigmoid();
        let z = (&of_input[1] + &of_state[1]).sigmoid();
        let n = (&of_input[2] + &r * &of_state[2]).tanh();
        h = (-&z + T::ONE) * &n + &z * h;
        for (plane, value) in planes.iter_mut().zip([h.clone(), r, z, n, of_state[2].clone()]) {
            plane.push(value);
        }
    }
    stack_planes(&planes, h0.shape())
}

/// The state before the first step; zeros if none is given.
fn start<T: Float>(state: Option<&Var<T>>, shape: [usize; 2]) -> Var<T> {
    state.map_or_else(|| Var::constant(Tensor::zeros(shape)), Var::clone)
}

/// `[batch, hidden]`, if all shapes fit.
#[track_caller]
fn check<T: Float>(
    operation: &str,
    gates: usize,
    x: &Var<T>,
    states: &[&Var<T>],
    [weight_ih, weight_hh]: [&Var<T>; 2],
    biases: Option<[&Var<T>; 2]>,
) -> [usize; 2] {
    let &[_, batch, features] = x.shape() else {
        panic!(
            "{operation}: the input has shape {:?}; it must have three axes, [steps, batch, features]",
            x.shape()
        )
    };
    let hidden = weight_hh.shape().last().map_or(0, |&hidden| hidden);
    let operands = [
        ("weight_hh", Some(weight_hh), vec![gates * hidden, hidden]),
        ("weight_ih", Some(weight_ih), vec![gates * hidden, features]),
        ("bias_ih", biases.map(|[bias, _]| bias), vec![gates * hidden]),
        ("bias_hh", biases.map(|[_, bias]| bias), vec![gates * hidden]),
        ("first state", states.first().copied(), vec![batch, hidden]),
        ("second state", states.get(1).copied(), vec![batch, hidden]),
    ];
    let given = operands.into_iter().filter_map(|(name, operand, shape)| Some((name, operand?, shape)));
    for (name, operand, expected) in given {
        assert!(
            operand.shape() == expected,
            "{operation}: the input has shape {:?}, weight_hh {:?} and {name} {:?}: {name} must have shape \
             {expected:?}",
            x.shape(),
            weight_hh.shape(),
            operand.shape()
        );
    }
    [batch, hidden]
}

impl<T: Float> Var<T> {
    /// A long short-term memory (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000) over
    /// this variable, `[steps, batch, features]`: the state h after every step, `[steps, batch, hidden]`, and h and c
    /// after the last one.
    ///
    /// Of `x weight_ih^T + h weight_hh^T`, with weights `[4 hidden, features]` and `[4 hidden, hidden]`, plus the
    /// biases if there are any, four equal parts make the gates: i, f and o are the sigmoid of the first, second and
    /// last, g is the hyperbolic tangent of the third. Then `c = f c + i g` and `h = o tanh(c)`. `state` is what h
    /// and c are before the first step, each `[batch, hidden]`; zeros if it is not given.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let (x, weight) = (Var::constant(Tensor::<f64>::ones([5, 2, 1])), Var::leaf(Tensor::ones([4, 1])));
    /// let (y, [h, c]) = x.lstm(None, [&weight, &weight], None);
    /// assert_eq!((y.shape(), h.shape(), c.shape()), (&[5, 2, 1][..], &[2, 1][..], &[2, 1][..]));
    /// let sigmoid = 1.0 / (1.0 + (-1.0_f64).exp());
    /// let first = sigmoid * (sigmoid * 1.0_f64.tanh()).tanh();
    /// assert!((y.select(0, 0).select(0, 0).item() - first).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn lstm(
        &self,
        state: Option<[&Self; 2]>,
        weights: [&Self; 2],
        biases: Option<[&Self; 2]>,
    ) -> (Self, [Self; 2]) {
        let shape = check("lstm", 4, self, state.as_ref().map_or(&[], |state| state), weights, biases);
        let [h0, c0] = [0, 1].map(|i| start(state.map(|state| state[i]), shape));
        let bias = biases.map(|[bias_ih, bias_hh]| bias_ih + bias_hh);
        let input = self.linear(weights[0], bias.as_ref());
        let planes = apply(Lstm, &[&input, weights[1], &h0, &c0]);
        let h = planes.select(0, 0);
        let last = if self.shape()[0] == 0 {
            [h0, c0]
        } else {
            [h.select(0, -1), planes.select(0, 1).select(0, -1)]
        };
        (h, last)
    }

    /// A gated recurrent unit (Cho et al., 2014) over this variable, `[steps, batch, features]`: the state h after
    /// every step, `[steps, batch, hidden]`, and after the last one.
    ///
    /// Let a be the three equal parts of `x weight_ih^T + bias_ih`, and b the parts of `h weight_hh^T + bias_hh`, with
    /// weights `[3 hidden, features]` and `[3 hidden, hidden]`. Then r and z are the sigmoid of the first two sums
    /// `a + b`, the third parts give `n = tanh(a + r b)`, and `h = (1 - z) n + z h`. `state` is h before the first
    /// step, `[batch, hidden]`; zeros if it is not given.
    ///
    /// See [`Tensor::gru`](gradus_tensor::Tensor::gru) for shapes and panics.
    #[track_caller]
    pub fn gru(&self, state: Option<&Self>, weights: [&Self; 2], biases: Option<[&Self; 2]>) -> (Self, Self) {
        let states: Vec<&Self> = state.into_iter().collect();
        let h0 = start(state, check("gru", 3, self, &states, weights, biases));
        let input = self.linear(weights[0], biases.map(|[bias, _]| bias));
        let planes = match biases {
            Some([_, bias]) => apply(Gru, &[&input, weights[1], &h0, bias]),
            None => apply(Gru, &[&input, weights[1], &h0]),
        };
        let h = planes.select(0, 0);
        let last = if self.shape()[0] == 0 { h0 } else { h.select(0, -1) };
        (h, last)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::case;
    use proptest::prelude::*;
    let sizes = || (0..=3_usize, 0..=2_usize, 0..=2_usize, 0..=3_usize);
    let given = || any::<[bool; 2]>();
    vec![
        case!(
            "lstm",
            ((steps, batch, features, hidden), [state, bias]) in (sizes(), given()),
            [
                [steps, batch, features],
                [4 * hidden, features],
                [4 * hidden, hidden],
                [2, 4 * hidden] => -1.0..1.0,
                [2, batch, hidden] => -1.0..1.0,
            ],
            |x, weight_ih, weight_hh, biases, states| {
                let [bias_ih, bias_hh] = [biases.select(0, 0), biases.select(0, 1)];
                let [h0, c0] = [states.select(0, 0), states.select(0, 1)];
                let (state, biases) = (state.then_some([&h0, &c0]), bias.then_some([&bias_ih, &bias_hh]));
                let (y, [h, c]) = x.lstm(state, [weight_ih, weight_hh], biases);
                y.sum(0) + h * c
            }
        ),
        case!(
            "gru",
            ((steps, batch, features, hidden), [state, bias]) in (sizes(), given()),
            [
                [steps, batch, features],
                [3 * hidden, features],
                [3 * hidden, hidden],
                [2, 3 * hidden] => -1.0..1.0,
                [batch, hidden] => -1.0..1.0,
            ],
            |x, weight_ih, weight_hh, biases, h0| {
                let [bias_ih, bias_hh] = [biases.select(0, 0), biases.select(0, 1)];
                let (state, biases) = (state.then_some(h0), bias.then_some([&bias_ih, &bias_hh]));
                let (y, h) = x.gru(state, [weight_ih, weight_hh], biases);
                y.sum(0) + h.square()
            }
        ),
    ]
}
