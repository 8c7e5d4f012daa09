//! Matrix products.

use gradus_tensor::{Float, OrPanic, Tensor, matmul_shape};

use crate::operation::{Context, Operation, Saves, apply};
use crate::var::Var;

/// The product of matrices, or of stacks of matrices.
#[derive(Debug)]
struct Matmul;

impl<T: Float> Operation<T> for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].matmul(inputs[1])
    }
    fn saves(&self) -> Saves {
        Saves::OTHER_INPUTS
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let g = context.cotangent();
        Some(if input == 0 { g.matmul(&context.input(1).t()) } else { context.input(0).t().matmul(g) })
    }
}

impl<T: Float> Var<T> {
    /// The matrix product, by NumPy's rules: `[..., m, k] x [..., k, n]` gives `[..., m, n]`, leading axes
    /// broadcast, and a 1-d operand is a row on the left, a column on the right, whose axis then goes.
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
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, matrix_pair};
    vec![case!("matmul", (a, b) in matrix_pair(), [a => -2.0..2.0, b => -2.0..2.0], |x, y| x.matmul(y))]
}
