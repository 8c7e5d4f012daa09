//! Products of matrices and vectors.

use std::any::TypeId;

use gradus_tensor::shapes::{dot_shape, linear_shape, matmul_shape, outer_shape};
use gradus_tensor::{Float, OrPanic};

use super::operations::operations;
use super::view::is_transpose;
use crate::tape::{Fusion, Saves, Var, apply};

operations! {
    /// The product of matrices, or of stacks of matrices.
    Multilinear Matmul {}: "matmul",
        shape |x| matmul_shape(x[0], x[1]),
        forward |x| x[0].matmul(x[1]),
        vjp |context, input| {
            let g = context.cotangent();
            if input == 0 { g.matmul(&context.input(1).t()) } else { context.input(0).t().matmul(g) }
        },
        multiply_adds |x, y| count(y) * x[0][x[0].len() - 1],
        batched |batch| {
            let rank = batch.output_shape().len();
            // One matrix on the right may stay as it is: the rows of all examples make one product.
            let [x, y] = [0, 1].map(|input| batch.aligned(input, rank));
            x.matmul(&y)
        },
        into |x, y| x[0].matmul_into(x[1], y),
        fusion Fusion::Matmul;

    Multilinear Outer {}: "outer",
        shape |x| outer_shape(x[0], x[1]),
        forward |x| x[0].outer(x[1]),
        vjp |context, input| {
            let (g, other) = (context.cotangent(), context.input(1 - input));
            if input == 0 { g.matmul(&other) } else { other.matmul(g) }
        },
        multiply_adds |x, y| count(y),
        batched |batch| batch.var(0).unsqueeze(-1) * batch.var(1).unsqueeze(1);

    Multilinear Dot {}: "dot",
        shape |x| dot_shape(x[0], x[1]),
        forward |x| x[0].dot(x[1]),
        vjp |context, input| context.cotangent() * context.input(1 - input),
        multiply_adds |x, y| count(x[0]),
        batched |batch| batch.var(0).unsqueeze(1).matmul(&batch.var(1).unsqueeze(-1)).reshape([batch.size()]);

    /// A dense layer: a product with a transposed matrix, and an optional bias.
    Nonlinear Linear {}: "linear", saves Saves::OTHER_INPUTS.of_first(2),
        shape |x| linear_shape(x[0], x[1], x.get(2).copied()),
        forward |x| x[0].linear(x[1], x.get(2)),
        vjp |context, input| {
            let g = context.cotangent();
            match input {
                0 => g.matmul(&context.input(1)),
                // In the order in memory that the weight of a layer has.
                1 if g.rank() == 2 => context.input(0).t().matmul(g).t(),
                1 => rows(&context.input(0)).t().matmul(&rows(g)).t(),
                _ => g.clone(),
            }
        },
        jvp |context, input| {
            let t = context.tangent();
            match input {
                0 => t.linear(&context.input(1), None),
                1 => context.input(0).linear(t, None),
                _ => t.clone(),
            }
        },
        multiply_adds |x, y| count(y) * x[1][1],
        batched |batch| {
            let rank = batch.output_shape().len();
            let bias = (batch.len() > 2).then_some(2);
            if !batch.is_batched(1) {
                let shared = bias.filter(|&bias| !batch.is_batched(bias)).map(|bias| batch.given(bias));
                let y = batch.var(0).linear(&batch.given(1), shared.as_ref());
                return Some(match bias.filter(|&bias| batch.is_batched(bias)) {
                    Some(bias) => y + batch.aligned(bias, rank),
                    None => y,
                });
            }
            // The rows of an example times its own matrix.
            let (front, all) = (usize::from(batch.is_batched(0)), batch.raised(batch.output_shape()));
            let rows = batch.given(0);
            let rows = rows.reshape([&rows.shape()[..front], &[count(&all[1..rank]), batch.shape(1)[1]]].concat());
            let y = rows.matmul(&batch.given(1).t()).reshape(all);
            bias.map_or(y.clone(), |bias| y + batch.aligned(bias, rank))
        },
        into |x, y| x[0].linear_into(x[1], x.get(2), y),
        fusion Fusion::Linear;
}

/// The two matrices that a matrix is the product of, if it is one on the tape, perhaps transposed.
pub(crate) fn factors<T: Float>(product: &Var<T>) -> Option<[Var<T>; 2]> {
    let node = product.node().filter(|node| node.shape.len() == 2)?;
    if is_transpose(&**node.operation()?) {
        let [left, right] = factors(&node.input_var(0)?)?;
        return Some([right.t(), left.t()]);
    }
    let is_product = node.operation()?.kind() == TypeId::of::<Matmul>();
    if is_product { Some([node.input_var(0)?, node.input_var(1)?]) } else { None }
}

/// The number of elements of a shape.
pub(super) fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// All rows, whatever the number of axes in front, as one matrix.
fn rows<T: Float>(x: &Var<T>) -> Var<T> {
    match x.shape() {
        [_, _] => x.clone(),
        [front @ .., columns] => x.reshape([front.iter().product(), *columns]),
        [] => unreachable!("an operand of a product has an axis"),
    }
}

impl<T: Float> Var<T> {
    /// The matrix product, by NumPy's rules: `[..., m, k] x [..., k, n]` gives `[..., m, n]`, leading axes
    /// broadcast, and a 1-d operand is a row on the left, a column on the right, whose axis then goes.
    ///
    /// A weight of 0 does not mask, as in IEEE arithmetic: 0 times an infinite number or NaN is NaN. Elements that may
    /// not be finite must be filled first, for example by [`masked_fill`](Self::masked_fill).
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let w = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let y = w.matmul(&Var::constant([1.0, 10.0]));
    /// assert_eq!(y.value(), &Tensor::from([21.0, 43.0]));
    /// ```
    ///
    /// # Panics
    /// If an operand is 0-d, the inner sizes differ or the leading axes do not broadcast.
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        if let ([_, left], [right, _]) = (self.shape(), other.shape())
            && left == right
        {
            return apply(Matmul, &[self, other]);
        }
        let shape = matmul_shape(self.shape(), other.shape()).or_panic();
        match (self.rank(), other.rank()) {
            (1, _) => self.unsqueeze(0).matmul(other).reshape(shape),
            (_, 1) => self.matmul(&other.unsqueeze(1)).reshape(shape),
            // One matrix on the right: all rows on the left make one product, and one gradient.
            (rank, 2) if rank > 2 && !self.is_empty() => {
                let rows = self.reshape([-1, self.shape()[rank - 1] as isize]);
                apply(Matmul, &[&rows, other]).reshape(shape)
            }
            _ => apply(Matmul, &[self, other]),
        }
    }

    /// `self weight^T + bias`, as in a dense layer: `[..., in]` with a weight `[out, in]` and a bias `[out]`
    /// gives `[..., out]`.
    ///
    /// See [`Tensor::linear`](gradus_tensor::Tensor::linear) for shapes and panics.
    #[track_caller]
    pub fn linear(&self, weight: &Self, bias: Option<&Self>) -> Self {
        match bias {
            Some(bias) => apply(Linear, &[self, weight, bias]),
            None => apply(Linear, &[self, weight]),
        }
    }

    /// The product of each element with each of another: `out[i, j] = self[i] * other[j]`.
    ///
    /// # Panics
    /// Unless both have one axis.
    #[track_caller]
    pub fn outer(&self, other: &Self) -> Self {
        apply(Outer, &[self, other])
    }

    /// The inner product of two vectors: the sum of the products of their elements.
    ///
    /// See [`Tensor::dot`](gradus_tensor::Tensor::dot) for shapes and panics.
    #[track_caller]
    pub fn dot(&self, other: &Self) -> Self {
        apply(Dot, &[self, other])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, matrix_pair, shapes};
    use proptest::prelude::*;
    let vectors = || shapes(1..=1, 0..=5);
    vec![
        case!("matmul", (a, b) in matrix_pair(), [a, b], |x, y| x.matmul(y)),
        case!(
            "linear",
            (front, inner, out, bias) in (shapes(0..=3, 0..=3), 0..=4_usize, 0..=4_usize, any::<bool>()),
            [[&front[..], &[inner]].concat(), [out, inner], [out]],
            |x, weight, b| x.linear(weight, bias.then_some(b))
        ),
        case!("outer", (left, right) in (vectors(), vectors()), [left, right], |x, y| x.outer(y)),
        case!("dot", shape in vectors(), [shape.clone(), shape], |x, y| x.dot(y)),
    ]
}
