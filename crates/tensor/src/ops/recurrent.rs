//! Recurrent layers.

use crate::element::Float;
use crate::error::TensorError;
use crate::kernels::{MatrixRef, Sizes};
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// The states of a long short-term memory after every step (Hochreiter and Schmidhuber, 1997, with the forget gate
    /// of Gers et al., 2000), and its gates: h, c, i, f, g and o as planes, `[6, steps, batch, hidden]`.
    ///
    /// This tensor, `[steps, batch, 4 hidden]`, is what inputs and biases contribute to the gates; to it comes
    /// `h weight_hh^T`, with a weight `[4 hidden, hidden]` and the last state. Of the sum, i, f and o are the sigmoid of
    /// the first, second and last part, g is the hyperbolic tangent of the third; `c = f c + i g` and `h = o tanh(c)`,
    /// starting at `h0` and `c0`, `[batch, hidden]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (weight, zero) = (Tensor::<f64>::zeros([4, 1]), Tensor::zeros([1, 1]));
    /// let y = Tensor::from([[[100.0, 0.0, 100.0, 100.0]]]).lstm(&weight, &zero, &zero);
    /// assert_eq!(y.shape(), [6, 1, 1, 1]);
    /// assert_eq!(y.to_vec()[1..], [1.0, 1.0, 0.5, 1.0, 1.0]); // c = 0.5 * 0 + 1 * 1
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn lstm(&self, weight_hh: &Self, h0: &Self, c0: &Self) -> Self {
        let sizes = self.recurrent_sizes("lstm", 4, weight_hh, &[h0, c0]);
        let (input, h0, c0) = (self.contiguous(), h0.contiguous(), c0.contiguous());
        let weight = weight_hh.t().contiguous();
        let out = T::lstm(sizes, in_order(&input), rows(&weight), [in_order(&h0), in_order(&c0)]);
        Self::from_buffer(out, &[6, sizes.steps, sizes.batch, sizes.hidden])
    }

    /// The gradients of [`lstm`](Self::lstm) with respect to `input` (its tensor), `weight_hh`, `h0` and `c0`, from its
    /// result, which is this tensor, and the gradient of that.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (weight, zero) = (Tensor::<f64>::zeros([4, 1]), Tensor::zeros([1, 1]));
    /// let y = Tensor::zeros([1, 1, 4]).lstm(&weight, &zero, &zero);
    /// let [of_input, ..] = y.lstm_gradient(&weight, &zero, &zero, &Tensor::ones([6, 1, 1, 1]));
    /// assert_eq!(of_input.to_vec(), [0.25, 0.25, 1.75, 0.25]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
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
            T::lstm_gradient(sizes, in_order(&out), in_order(&gradient), rows(&weight), in_order(&c0));
        let of_input = Self::from_buffer(of_input, &[steps, batch, 4 * hidden]);
        let of_weight = of_input.weight_gradient(&self.select(0, 0), h0);
        let [of_h0, of_c0] = [of_h0, of_c0].map(|buffer| Self::from_buffer(buffer, &[batch, hidden]));
        [of_input, of_weight, of_h0, of_c0]
    }

    /// The states of a gated recurrent unit after every step (Cho et al., 2014), its gates, and what the last state
    /// contributes to the third: h, r, z, n and q as planes, `[5, steps, batch, hidden]`.
    ///
    /// This tensor, `[steps, batch, 3 hidden]`, is what inputs contribute to the gates. With b the three parts of
    /// `h weight_hh^T + bias_hh`, for a weight `[3 hidden, hidden]` and the last state, and a the three parts of the input: r is
    /// the sigmoid of `a + b` and so is z, q is b, and n the hyperbolic tangent of `a + r q`; `h = (1 - z) n + z h`,
    /// starting at `h0`, `[batch, hidden]`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (weight, h0) = (Tensor::<f64>::zeros([3, 1]), Tensor::ones([1, 1]));
    /// let y = Tensor::from([[[0.0, 0.0, 100.0]]]).gru(&weight, None, &h0);
    /// assert_eq!(y.to_vec(), [1.0, 0.5, 0.5, 1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn gru(&self, weight_hh: &Self, bias_hh: Option<&Self>, h0: &Self) -> Self {
        let sizes = self.recurrent_sizes("gru", 3, weight_hh, &[h0]);
        if let Some(bias) = bias_hh
            && bias.shape() != [3 * sizes.hidden]
        {
            mismatch(
                "gru",
                weight_hh,
                bias,
                "the second, the bias, must have the size of the weight's first axis",
            );
        }
        let (input, h0, bias) = (self.contiguous(), h0.contiguous(), bias_hh.map(Self::contiguous));
        let weight = weight_hh.t().contiguous();
        let out = T::gru(sizes, in_order(&input), rows(&weight), bias.as_ref().map(in_order), in_order(&h0));
        Self::from_buffer(out, &[5, sizes.steps, sizes.batch, sizes.hidden])
    }

    /// The gradients of [`gru`](Self::gru) with respect to `input` (its tensor), `weight_hh`, `bias_hh` and `h0`, from
    /// its result, which is this tensor, and the gradient of that.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (weight, h0) = (Tensor::<f64>::zeros([3, 1]), Tensor::ones([1, 1]));
    /// let y = Tensor::zeros([1, 1, 3]).gru(&weight, None, &h0);
    /// let g = Tensor::from([1.0, 0.0, 0.0, 0.0, 0.0]).reshape([5, 1, 1, 1]);
    /// let [of_input, _, of_bias, of_h0] = y.gru_gradient(&weight, &h0, &g);
    /// assert_eq!(of_input.to_vec(), [0.0, 0.25, 0.5]);
    /// assert_eq!(of_bias.to_vec(), [0.0, 0.25, 0.25]); // to n by way of r, 0.5
    /// assert_eq!(of_h0.to_vec(), [0.5]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
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
            T::gru_gradient(sizes, in_order(&out), in_order(&gradient), rows(&weight), in_order(&start));
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

    #[track_caller]
    fn recurrent_sizes(
        &self,
        operation: &'static str,
        gates: usize,
        weight: &Self,
        states: &[&Self],
    ) -> Sizes {
        let &[rows, hidden] = weight.shape() else {
            mismatch(
                operation,
                self,
                weight,
                "the second, the weight, must have two axes, [gates hidden, hidden]",
            )
        };
        if rows != gates * hidden {
            mismatch(
                operation,
                self,
                weight,
                "the weight's first axis must be the second times the number of gates, 4 for lstm, 3 for gru",
            );
        }
        let &[steps, batch, width] = self.shape() else {
            mismatch(
                operation,
                self,
                weight,
                "the first, the input, must have three axes, [steps, batch, features]",
            )
        };
        if width != rows {
            mismatch(operation, self, weight, "the last axis of the input must be the first of the weight");
        }
        for state in states {
            if state.shape() != [batch, hidden] {
                let expected = "the second, a state before the first step, must be [batch, hidden]: the input's second \
                                axis and the weight's";
                mismatch(operation, self, state, expected);
            }
        }
        Sizes { steps, batch, hidden }
    }
}

#[track_caller]
fn mismatch<T: Float>(
    operation: &'static str,
    left: &Tensor<T>,
    right: &Tensor<T>,
    expected: &'static str,
) -> ! {
    TensorError::mismatch(operation, left.shape(), right.shape(), expected).panic()
}

fn in_order<T: Float>(x: &Tensor<T>) -> &[T] {
    x.as_slice().expect("made contiguous")
}

fn rows<T: Float>(x: &Tensor<T>) -> MatrixRef<'_, T> {
    MatrixRef {
        data: in_order(x),
        offset: 0,
        rows: x.shape()[0],
        columns: x.shape()[1],
        row_stride: x.shape()[1] as isize,
        column_stride: 1,
    }
}
