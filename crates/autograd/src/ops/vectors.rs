//! Products of vectors.

use gradus_tensor::{Float, Tensor};

use crate::tape::{Context, Linearity, Operation, Saves, Var, apply};

#[derive(Debug)]
struct Outer;

impl<T: Float> Operation<T> for Outer {
    fn name(&self) -> &'static str {
        "outer"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].outer(inputs[1])
    }
    fn saves(&self) -> Saves {
        Saves::OTHER_INPUTS
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (g, other) = (context.cotangent(), context.input(1 - input));
        Some(if input == 0 { g.matmul(&other) } else { other.matmul(g) })
    }
    fn linearity(&self) -> Linearity {
        Linearity::Multilinear
    }
}

#[derive(Debug)]
struct Dot;

impl<T: Float> Operation<T> for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].dot(inputs[1])
    }
    fn saves(&self) -> Saves {
        Saves::OTHER_INPUTS
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        Some(context.cotangent() * context.input(1 - input))
    }
    fn linearity(&self) -> Linearity {
        Linearity::Multilinear
    }
}

impl<T: Float> Var<T> {
    /// The product of each element with each of another: `out[i, j] = self[i] * other[j]`.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let (x, y) = (Var::leaf(Tensor::from([1.0, 2.0])), Var::leaf(Tensor::from([3.0, 4.0, 5.0])));
    /// let z = x.outer(&y);
    /// assert_eq!(z.value(), &Tensor::from([[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]));
    /// assert_eq!(z.sum(..).backward().get(&x), Some(&Tensor::from([12.0, 12.0])));
    /// ```
    ///
    /// # Panics
    /// Unless both have one axis.
    #[track_caller]
    pub fn outer(&self, other: &Self) -> Self {
        apply(Outer, &[self, other])
    }

    /// The inner product of two vectors: the sum of the products of their elements.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let (x, y) = (Var::leaf(Tensor::from([1.0, 2.0])), Var::leaf(Tensor::from([3.0, 4.0])));
    /// let z = x.dot(&y);
    /// assert_eq!(z.item(), 11.0);
    /// assert_eq!(z.backward().get(&x), Some(&Tensor::from([3.0, 4.0])));
    /// ```
    ///
    /// # Panics
    /// Unless both have one axis, of the same size.
    #[track_caller]
    pub fn dot(&self, other: &Self) -> Self {
        apply(Dot, &[self, other])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes};
    let vectors = || shapes(1..=1, 0..=5);
    vec![
        case!(
            "outer", (left, right) in (vectors(), vectors()), [left => -2.0..2.0, right => -2.0..2.0],
            |x, y| x.outer(y)
        ),
        case!("dot", shape in vectors(), [shape.clone() => -2.0..2.0, shape => -2.0..2.0], |x, y| x.dot(y)),
    ]
}
