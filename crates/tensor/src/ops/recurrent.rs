//! Recurrent layers.

use crate::element::Float;
use crate::error::{OrPanic, TensorError};
use crate::kernels::{MatrixRef, Sizes};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Recurrent layers, and their gradients.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let zero = Tensor::<f64>::zeros([1, 1]);
/// let y = Tensor::from([[[100.0, 0.0, 100.0, 100.0]]]).lstm(&Tensor::zeros([4, 1]), &zero, &zero);
/// assert_eq!(y.to_vec()[1..], [1.0, 1.0, 0.5, 1.0, 1.0]); // c = 0.5 * 0 + 1 * 1
/// let y = Tensor::from([[[0.0, 0.0, 100.0]]]).gru(&Tensor::zeros([3, 1]), None, &Tensor::ones([1, 1]));
/// assert_eq!(y.to_vec(), [1.0, 0.5, 0.5, 1.0, 0.0]);
/// ```
///
/// # Panics
/// Every method panics if the shapes do not fit.
impl<T: Float> Tensor<T> {
    /// The states of a long short-term memory after every step (Hochreiter and Schmidhuber, 1997, with the forget gate
    /// of Gers et al., 2000), and its gates: h, c, i, f, g and o as planes, `[6, steps, batch, hidden]`.
    ///
    /// This tensor, `[steps, batch, 4 hidden]`, holds the contributions of inputs and biases to the gates. The last state
    /// contributes `h weight_hh^T`, with a weight `[4 hidden, hidden]`. The first, second and last part of the sum give
    /// i, f and o by the sigmoid, the third gives g by the hyperbolic tangent; then `c = f c + i g` and `h = o tanh(c)`,
    /// starting at `h0` and `c0`, `[batch, hidden]`.
    #[track_caller]
    pub fn lstm(&self, weight_hh: &Self, h0: &Self, c0: &Self) -> Self {
        let shape = lstm_shape(self.shape(), weight_hh.shape(), h0.shape(), c0.shape()).or_panic();
        let (input, h0, c0) = (self.contiguous(), h0.contiguous(), c0.contiguous());
        let weight = weight_hh.t().contiguous();
        let out = T::lstm(sizes(&shape), input.data(), rows(&weight), [h0.data(), c0.data()]);
        Self::from_buffer(out, &shape)
    }

    /// The gradients of [`lstm`](Self::lstm) with respect to `input` (its tensor), `weight_hh`, `h0` and `c0`, from its
    /// result, which is this tensor, and the gradient of the result.
    #[track_caller]
    pub fn lstm_gradient(&self, weight_hh: &Self, h0: &Self, c0: &Self, gradient: &Self) -> [Self; 4] {
        let &[6, steps, batch, hidden] = self.shape() else {
            panic!("lstm_gradient: the result has shape {:?}; it is [6, steps, batch, hidden]", self.shape())
        };
        assert!(gradient.shape() == self.shape(), "lstm_gradient: the gradient must have the result's shape");
        let sizes = Sizes { steps, batch, hidden };
        let (out, gradient, weight) = (self.contiguous(), gradient.contiguous(), weight_hh.contiguous());
        let c0 = c0.contiguous();
        let [of_input, of_h0, of_c0] =
            T::lstm_gradient(sizes, out.data(), gradient.data(), rows(&weight), c0.data());
        let of_input = Self::from_buffer(of_input, &[steps, batch, 4 * hidden]);
        let of_weight = of_input.weight_gradient(&self.select(0, 0), h0);
        let [of_h0, of_c0] = [of_h0, of_c0].map(|buffer| Self::from_buffer(buffer, &[batch, hidden]));
        [of_input, of_weight, of_h0, of_c0]
    }

    /// The states of a gated recurrent unit after every step (Cho et al., 2014), its gates, and the contribution of the
    /// last state to the third gate: h, r, z, n and q as planes, `[5, steps, batch, hidden]`.
    ///
    /// This tensor, `[steps, batch, 3 hidden]`, holds the contributions of the inputs to the gates, a; the last state
    /// contributes `b = h weight_hh^T + bias_hh`, with a weight `[3 hidden, hidden]`. In the first and second of the three
    /// parts, r and z are the sigmoid of `a + b`; in the third, q is b and n the hyperbolic tangent of `a + r q`. Then
    /// `h = (1 - z) n + z h`, starting at `h0`, `[batch, hidden]`.
    #[track_caller]
    pub fn gru(&self, weight_hh: &Self, bias_hh: Option<&Self>, h0: &Self) -> Self {
        let bias_shape = bias_hh.map(Self::shape);
        let shape = gru_shape(self.shape(), weight_hh.shape(), bias_shape, h0.shape()).or_panic();
        let (input, h0, bias) = (self.contiguous(), h0.contiguous(), bias_hh.map(Self::contiguous));
        let weight = weight_hh.t().contiguous();
        let bias = bias.as_ref().map(Tensor::data);
        let out = T::gru(sizes(&shape), input.data(), rows(&weight), bias, h0.data());
        Self::from_buffer(out, &shape)
    }

    /// The gradients of [`gru`](Self::gru) with respect to `input` (its tensor), `weight_hh`, `bias_hh` and `h0`, from
    /// its result, which is this tensor, and the gradient of the result.
    #[track_caller]
    pub fn gru_gradient(&self, weight_hh: &Self, h0: &Self, gradient: &Self) -> [Self; 4] {
        let &[5, steps, batch, hidden] = self.shape() else {
            panic!("gru_gradient: the result has shape {:?}; it is [5, steps, batch, hidden]", self.shape())
        };
        assert!(gradient.shape() == self.shape(), "gru_gradient: the gradient must have the result's shape");
        let sizes = Sizes { steps, batch, hidden };
        let (out, gradient, weight) = (self.contiguous(), gradient.contiguous(), weight_hh.contiguous());
        let start = h0.contiguous();
        let [of_input, of_product, of_h0] =
            T::gru_gradient(sizes, out.data(), gradient.data(), rows(&weight), start.data());
        let [of_input, of_product] =
            [of_input, of_product].map(|buffer| Self::from_buffer(buffer, &[steps, batch, 3 * hidden]));
        let of_weight = of_product.weight_gradient(&self.select(0, 0), h0);
        let of_bias = of_product.sum([0, 1]);
        [of_input, of_weight, of_bias, Self::from_buffer(of_h0, &[batch, hidden])]
    }

    /// The sum over steps of the gradient of a product (this tensor), transposed, times the state before the step;
    /// transposed in memory, as the weights of layers are.
    fn weight_gradient(&self, states: &Self, h0: &Self) -> Self {
        let (steps, hidden, gates) = (self.shape()[0], states.shape()[2], self.shape()[2]);
        if self.is_empty() {
            return Self::zeros([gates, hidden]);
        }
        let all = |x: &Self, range, width| x.slice(0, range).reshape([-1, width as isize]);
        let mut gradient = h0.t().matmul(&self.select(0, 0));
        if steps > 1 {
            let before: Self = all(states, 0..steps as isize - 1, hidden);
            gradient += before.t().matmul(&all(self, 1..steps as isize, gates));
        }
        gradient.t()
    }
}

/// The shape of [`Tensor::lstm`].
#[doc(hidden)]
pub fn lstm_shape(
    input: &[usize],
    weight_hh: &[usize],
    h0: &[usize],
    c0: &[usize],
) -> Result<Shape, TensorError> {
    let sizes = recurrent_sizes("lstm", 4, input, weight_hh, &[h0, c0])?;
    Ok([&[6], &sizes[..]].concat().into())
}

/// The shape of [`Tensor::gru`].
#[doc(hidden)]
pub fn gru_shape(
    input: &[usize],
    weight_hh: &[usize],
    bias_hh: Option<&[usize]>,
    h0: &[usize],
) -> Result<Shape, TensorError> {
    let sizes = recurrent_sizes("gru", 3, input, weight_hh, &[h0])?;
    match bias_hh {
        Some(bias) if bias != [3 * sizes[2]] => {
            let expected = "the second, the bias, must have the size of the weight's first axis";
            Err(TensorError::mismatch("gru", weight_hh, bias, expected))
        }
        _ => Ok([&[5], &sizes[..]].concat().into()),
    }
}

/// The numbers of steps, batch and hidden features.
fn recurrent_sizes(
    operation: &'static str,
    gates: usize,
    input: &[usize],
    weight: &[usize],
    states: &[&[usize]],
) -> Result<[usize; 3], TensorError> {
    let mismatch = |right, expected| Err(TensorError::mismatch(operation, input, right, expected));
    let &[rows, hidden] = weight else {
        return mismatch(weight, "the second, the weight, must have two axes, [gates hidden, hidden]");
    };
    if rows != gates * hidden {
        let expected =
            "the weight's first axis must be the second times the number of gates, 4 for lstm, 3 for gru";
        return mismatch(weight, expected);
    }
    let &[steps, batch, width] = input else {
        return mismatch(weight, "the first, the input, must have three axes, [steps, batch, features]");
    };
    if width != rows {
        return mismatch(weight, "the last axis of the input must be the first of the weight");
    }
    if let Some(state) = states.iter().find(|state| **state != [batch, hidden]) {
        let expected = "the second, a state before the first step, must be [batch, hidden]: the input's second \
                        axis and the weight's";
        return mismatch(state, expected);
    }
    Ok([steps, batch, hidden])
}

/// The sizes of a result: planes, steps, batch, hidden.
fn sizes(shape: &[usize]) -> Sizes {
    Sizes { steps: shape[1], batch: shape[2], hidden: shape[3] }
}

fn rows<T: Float>(x: &Tensor<T>) -> MatrixRef<'_, T> {
    MatrixRef {
        data: x.data(),
        offset: 0,
        rows: x.shape()[0],
        columns: x.shape()[1],
        row_stride: x.shape()[1] as isize,
        column_stride: 1,
    }
}
