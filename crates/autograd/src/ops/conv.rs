//! Convolutions and their transposes.
//!
//! Three operations on images with a batch, each linear in either input, are the gradients of one another: the
//! convolution, its gradient for the input, which is the transposed convolution, and its gradient for the weight.

use gradus_tensor::shapes::{conv2d_input_shape, conv2d_weight_shape};
use gradus_tensor::{Conv, Float, OrPanic, Shape, Tensor};

use super::index::zeros;
use super::matmul::count;
use super::operations::operations;
use crate::tape::{Batch, Saves, Var, apply};

operations! {
    /// The inputs are the gradient for the output of a convolution, and its weight.
    Multilinear Conv2dInput { input: Shape, conv: Conv }: "conv2d_input",
        shape |x| conv2d_input_shape(input, x[1], x[0], conv),
        forward |x| x[0].conv2d_input(input, x[1], conv.clone()),
        vjp |context, place| {
            let g = context.cotangent();
            if place == 0 {
                g.conv2d(&context.input(1), None, conv.clone())
            } else {
                g.conv2d_weight(context.shape(1), &context.input(0), conv.clone())
            }
        },
        multiply_adds |x, _| count(x[0]) * count(&x[1][1..]),
        batched |batch| {
            if batch.size() == 0 {
                return Some(zeros(&batch.raised(input)));
            }
            if !batch.is_batched(1) {
                let all = Shape::from_slice(&[&[batch.size() * input[0]], &input[1..]].concat());
                let y = merged(&batch.var(0)).conv2d_input(all, &batch.given(1), conv.clone());
                return Some(y.reshape(batch.raised(input)));
            }
            let all = [input[0], batch.size() * input[1], input[2], input[3]];
            let weight = merged(&batch.var(1));
            split(&side_by_side(&batch.var(0)).conv2d_input(all, &weight, groups(conv, batch)), batch)
        };

    /// The inputs are the input of a convolution, and the gradient for its output.
    Multilinear Conv2dWeight { weight: Shape, conv: Conv }: "conv2d_weight",
        shape |x| conv2d_weight_shape(x[0], weight, x[1], conv),
        forward |x| x[0].conv2d_weight(weight, x[1], conv.clone()),
        vjp |context, place| {
            let g = context.cotangent();
            if place == 0 {
                context.input(1).conv2d_input(context.shape(0), g, conv.clone())
            } else {
                context.input(0).conv2d(g, None, conv.clone())
            }
        },
        multiply_adds |x, y| count(x[1]) * count(&y[1..]),
        batched |batch| {
            if batch.size() == 0 {
                return Some(zeros(&batch.raised(weight)));
            }
            let all = Shape::from_slice(&[&[batch.size() * weight[0]], &weight[1..]].concat());
            let [x, g] = [0, 1].map(|input| side_by_side(&batch.var(input)));
            x.conv2d_weight(all, &g, groups(conv, batch)).reshape(batch.raised(weight))
        };

    /// The inputs are x, the weight and an optional bias.
    Nonlinear Conv2d { conv: Conv }: "conv2d", saves Saves::OTHER_INPUTS.of_first(2),
        shape |x| conv.output_shape("conv2d", 2, x[0], x[1], x.get(2).copied()),
        forward |x| x[0].conv2d(x[1], x.get(2), conv.clone()),
        vjp |context, input| {
            let g = context.cotangent();
            match input {
                0 => g.conv2d_input(context.shape(0), &context.input(1), conv.clone()),
                1 => context.input(0).conv2d_weight(context.shape(1), g, conv.clone()),
                _ => g.sum([0, 2, 3]),
            }
        },
        jvp |context, input| {
            let t = context.tangent();
            match input {
                0 => t.conv2d(&context.input(1), None, conv.clone()),
                1 => context.input(0).conv2d(t, None, conv.clone()),
                _ => t.reshape([-1, 1, 1]),
            }
        },
        multiply_adds |x, y| count(y) * count(&x[1][1..]),
        batched |batch| {
            if batch.size() == 0 {
                return Some(zeros(&batch.raised(batch.output_shape())));
            }
            let bias = (batch.len() > 2).then_some(2);
            let y = if batch.is_batched(1) {
                let weight = merged(&batch.var(1));
                split(&side_by_side(&batch.var(0)).conv2d(&weight, None, groups(conv, batch)), batch)
            } else {
                let shared = bias.filter(|&bias| !batch.is_batched(bias)).map(|bias| batch.given(bias));
                let y = merged(&batch.var(0)).conv2d(&batch.given(1), shared.as_ref(), conv.clone());
                let y = y.reshape(batch.raised(batch.output_shape()));
                if bias.is_none() || shared.is_some() {
                    return Some(y);
                }
                y
            };
            bias.map_or(y.clone(), |bias| y + batch.var(bias).reshape([batch.size() as isize, 1, -1, 1, 1]))
        };
}

/// The examples as one batch of images, or one list of filters.
fn merged<T: Float>(x: &Var<T>) -> Var<T> {
    x.flatten(..2)
}

/// The channels of all examples side by side, for convolutions with filters of their own: `[N, B C, H, W]`.
fn side_by_side<T: Float>(x: &Var<T>) -> Var<T> {
    x.transpose(0, 1).flatten(1..3)
}

/// The inverse of [`side_by_side`].
fn split<T: Float>(x: &Var<T>, batch: &Batch<T>) -> Var<T> {
    let [n, c, h, w] = batch.output_shape() else { unreachable!("images have four axes") };
    x.reshape([*n, batch.size(), *c, *h, *w]).transpose(0, 1)
}

/// Each example has groups of its own.
fn groups<T: Float>(conv: &Conv, batch: &Batch<T>) -> Conv {
    conv.clone().groups(conv.group_count() * batch.size())
}

impl<T: Float> Var<T> {
    /// The cross-correlation along one axis, with an optional bias; the batch may be missing. A weight of 0 does not
    /// mask infinity or NaN; see [`matmul`](Self::matmul).
    ///
    /// See [`Tensor::conv1d`](gradus_tensor::Tensor::conv1d) for shapes and panics.
    ///
    /// ```
    /// use gradus_autograd::{Conv, Tensor, Var};
    ///
    /// let x = Var::constant([[[1.0, 2.0, 4.0]]]);
    /// let weight = Var::leaf(Tensor::from([[[1.0, -1.0]]]));
    /// let y = x.conv1d(&weight, None, Conv::new());
    /// assert_eq!(y.value(), &Tensor::from([[[-1.0, -2.0]]]));
    /// assert_eq!(y.sum(..).backward().get(&weight), Some(&Tensor::from([[[3.0, 6.0]]])));
    /// ```
    #[track_caller]
    pub fn conv1d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        conv.output_shape("conv1d", 1, self.shape(), weight.shape(), bias.map(Self::shape)).or_panic();
        self.unsqueeze(-2).conv2d(&weight.unsqueeze(2), bias, conv.flat()).squeeze(-2)
    }

    /// The cross-correlation of images, with an optional bias; the batch may be missing. A weight of 0 does not mask
    /// infinity or NaN; see [`matmul`](Self::matmul).
    ///
    /// See [`Tensor::conv2d`](gradus_tensor::Tensor::conv2d) for shapes and panics.
    #[track_caller]
    pub fn conv2d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        if self.rank() == 3 {
            conv.output_shape("conv2d", 2, self.shape(), weight.shape(), bias.map(Self::shape)).or_panic();
            return self.unsqueeze(0).conv2d(weight, bias, conv).squeeze(0);
        }
        match bias {
            Some(bias) => apply(Conv2d { conv }, &[self, weight, bias]),
            None => apply(Conv2d { conv }, &[self, weight]),
        }
    }

    /// The transpose of [`conv1d`](Self::conv1d), with an optional bias; the batch may be missing.
    ///
    /// See [`Tensor::conv_transpose1d`](gradus_tensor::Tensor::conv_transpose1d) for shapes and panics.
    #[track_caller]
    pub fn conv_transpose1d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let bias_shape = bias.map(Self::shape);
        conv.transposed_shape("conv_transpose1d", 1, self.shape(), weight.shape(), bias_shape).or_panic();
        self.unsqueeze(-2).conv_transpose2d(&weight.unsqueeze(2), bias, conv.flat()).squeeze(-2)
    }

    /// The transpose of [`conv2d`](Self::conv2d), with the same weight the gradient for its input, and with an
    /// optional bias; the batch may be missing.
    ///
    /// See [`Tensor::conv_transpose2d`](gradus_tensor::Tensor::conv_transpose2d) for shapes and panics.
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Self, bias: Option<&Self>, conv: Conv) -> Self {
        let shape = conv
            .transposed_shape("conv_transpose2d", 2, self.shape(), weight.shape(), bias.map(Self::shape))
            .or_panic();
        if self.rank() == 3 {
            return self.unsqueeze(0).conv_transpose2d(weight, bias, conv).squeeze(0);
        }
        // A convolution of the result may be larger than this, if the output padding is not less than the stride.
        let whole = conv.output_shape("conv_transpose2d", 2, &shape, weight.shape(), None).or_panic();
        let mut x = self.clone();
        for axis in 2..4 {
            let missing = whole[axis] - x.shape()[axis];
            if missing > 0 {
                let mut zeros = Shape::from_slice(x.shape());
                zeros[axis] = missing;
                x = crate::cat(&[&x, &Var::constant(Tensor::zeros(zeros))], axis as isize);
            }
        }
        let y = x.conv2d_input(shape, weight, conv);
        if let Some(bias) = bias { y + bias.reshape([-1, 1, 1]) } else { y }
    }

    /// The gradient of [`conv2d`](Self::conv2d) for its input, of shape `input`, where this is the gradient for the
    /// output.
    ///
    /// See [`Tensor::conv2d_input`](gradus_tensor::Tensor::conv2d_input) for shapes and panics.
    #[track_caller]
    pub fn conv2d_input(&self, input: impl AsRef<[usize]>, weight: &Self, conv: Conv) -> Self {
        apply(Conv2dInput { input: Shape::from_slice(input.as_ref()), conv }, &[self, weight])
    }

    /// The gradient of [`conv2d`](Self::conv2d) for its weight, of shape `weight`, where this is the input and
    /// `gradient` the gradient for the output.
    ///
    /// See [`Tensor::conv2d_weight`](gradus_tensor::Tensor::conv2d_weight) for shapes and panics.
    #[track_caller]
    pub fn conv2d_weight(&self, weight: impl AsRef<[usize]>, gradient: &Self, conv: Conv) -> Self {
        apply(Conv2dWeight { weight: Shape::from_slice(weight.as_ref()), conv }, &[self, gradient])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, convolutions};
    use proptest::prelude::*;
    vec![
        case!(
            "conv1d", (p, bias, batch) in (convolutions(1), any::<bool>(), any::<bool>()),
            [&p.x[usize::from(!batch)..], p.weight.clone(), [p.weight[0]]],
            |x, w, b| x.conv1d(w, bias.then_some(b), p.conv)
        ),
        case!(
            "conv2d", (p, bias, batch) in (convolutions(2), any::<bool>(), any::<bool>()),
            [&p.x[usize::from(!batch)..], p.weight.clone(), [p.weight[0]]],
            |x, w, b| x.conv2d(w, bias.then_some(b), p.conv)
        ),
        case!(
            "conv_transpose1d", (p, bias, batch) in (convolutions(1), any::<bool>(), any::<bool>()),
            [&p.y[usize::from(!batch)..], p.weight.clone(), [p.x[1]]],
            |x, w, b| x.conv_transpose1d(w, bias.then_some(b), p.conv)
        ),
        case!(
            "conv_transpose2d", (p, bias, batch) in (convolutions(2), any::<bool>(), any::<bool>()),
            [&p.y[usize::from(!batch)..], p.weight.clone(), [p.x[1]]],
            |x, w, b| x.conv_transpose2d(w, bias.then_some(b), p.conv)
        ),
        case!("conv2d_input", p in convolutions(2), [p.y, p.weight], |g, w| g.conv2d_input(&p.x, w, p.conv)),
        case!(
            "conv2d_weight", p in convolutions(2), [p.x, p.y],
            |x, g| x.conv2d_weight(&p.weight, g, p.conv)
        ),
    ]
}
