//! The inputs of an operation for all examples of a batch at once.

use gradus_tensor::{Float, Shape};

use super::discrete::{Discrete, DiscreteOperation, Discreteness, Indices, Mask, decide};
use super::operand::{Operand, OwnedOperand};
use super::operation::{Operation, apply};
use super::var::Var;

/// An operand, which may have the axis of the batch in front.
#[derive(Debug, Clone)]
pub(crate) struct Lifted<T: Float> {
    pub(crate) operand: OwnedOperand<T>,
    pub(crate) is_batched: bool,
}

impl<T: Float> Lifted<T> {
    /// The shape for one example.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.operand.shape()[usize::from(self.is_batched)..]
    }
}

/// The inputs of an operation for all examples of a batch at once, for [`Operation::batched`]. At least one of them is
/// *batched*: it has the axis of the batch in front. The others are the same for all examples.
///
/// ```
/// use gradus_autograd::{Batch, Context, Inputs, Operation, Tensor, Var, apply, vmap};
///
/// /// The sum of each row of a matrix: all but the last axis may be anything.
/// #[derive(Debug)]
/// struct RowSums;
///
/// impl Operation<f64> for RowSums {
///     fn name(&self) -> &'static str {
///         "row_sums"
///     }
///     fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
///         inputs[0].sum(-1)
///     }
///     fn vjp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
///         Some(context.cotangent().unsqueeze(-1))
///     }
///     fn batched(&self, batch: &Batch<f64>) -> Option<Var<f64>> {
///         Some(batch.apply(RowSums)) // one more axis in front is nothing new
///     }
/// }
///
/// let x = Var::leaf(Tensor::ones([10, 2, 3]));
/// let y = vmap(|x| apply(RowSums, &[&x[0]]), &[&x], &[Some(0)]);
/// assert_eq!(y.value(), &Tensor::full([10, 2], 3.0));
/// ```
#[derive(Debug)]
pub struct Batch<'a, T: Float> {
    pub(crate) inputs: &'a [Lifted<T>],
    pub(crate) size: usize,
    /// The shape of the result for one example.
    pub(crate) output: &'a [usize],
}

impl<T: Float> Batch<'_, T> {
    /// The number of examples.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of inputs.
    #[allow(clippy::len_without_is_empty, reason = "an operation has inputs")]
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether an input has the axis of the batch in front.
    pub fn is_batched(&self, input: usize) -> bool {
        self.inputs[input].is_batched
    }

    /// The shape of an input for one example.
    pub fn shape(&self, input: usize) -> &[usize] {
        self.inputs[input].shape()
    }

    /// The shape of the result for one example.
    pub fn output_shape(&self) -> &[usize] {
        self.output
    }

    /// An input as it is: with the axis of the batch in front if it [is batched](Self::is_batched).
    ///
    /// # Panics
    /// If it is no numbers.
    #[track_caller]
    pub fn given(&self, input: usize) -> Var<T> {
        let OwnedOperand::Var(var) = &self.inputs[input].operand else {
            panic!("input {input} is not numbers")
        };
        var.clone()
    }

    /// Like [`given`](Self::given), for an input of indices.
    ///
    /// # Panics
    /// If it is of another kind.
    #[track_caller]
    pub fn given_indices(&self, input: usize) -> Indices<T> {
        let OwnedOperand::Indices(indices) = &self.inputs[input].operand else {
            panic!("input {input} is not indices")
        };
        indices.clone()
    }

    /// An input with the axis of the batch in front, along which it is repeated (without a copy) if all examples have the
    /// same.
    ///
    /// # Panics
    /// If it is no numbers.
    #[track_caller]
    pub fn var(&self, input: usize) -> Var<T> {
        let OwnedOperand::Var(var) = self.repeated(input) else { panic!("input {input} is not numbers") };
        var
    }

    /// Like [`var`](Self::var), for an input of indices.
    ///
    /// # Panics
    /// If it is of another kind.
    #[track_caller]
    pub fn indices(&self, input: usize) -> Indices<T> {
        let OwnedOperand::Indices(indices) = self.repeated(input) else {
            panic!("input {input} is not indices")
        };
        indices
    }

    /// Like [`var`](Self::var), for a mask.
    ///
    /// # Panics
    /// If it is of another kind.
    #[track_caller]
    pub fn mask(&self, input: usize) -> Mask<T> {
        let OwnedOperand::Mask(mask) = self.repeated(input) else { panic!("input {input} is not a mask") };
        mask
    }

    /// An operation on all inputs, each with the axis of the batch in front. Inputs that are 0-d for one example have an
    /// axis of size 1 behind it, which the result loses again: operations along an axis take 0-d tensors so.
    #[track_caller]
    pub fn apply(&self, operation: impl Operation<T>) -> Var<T> {
        let y = apply(operation, &refs(&self.with_an_axis()));
        if y.rank() == self.output.len() + 1 { y } else { y.reshape(self.raised(self.output)) }
    }

    /// An elementwise operation on all inputs, which broadcast as the inputs of one example do.
    #[track_caller]
    pub fn apply_each(&self, operation: impl Operation<T>) -> Var<T> {
        apply(operation, &refs(&self.aligned_all()))
    }

    /// Like [`apply`](Self::apply), for an operation with a discrete result.
    #[track_caller]
    pub fn decide<E: Discreteness<T>>(&self, operation: impl DiscreteOperation<T, E>) -> Discrete<E, T> {
        let y = decide(operation, &refs(&self.with_an_axis()));
        if y.rank() == self.output.len() + 1 { y } else { y.reshape(self.raised(self.output)) }
    }

    /// Like [`apply_each`](Self::apply_each), for an operation with a discrete result.
    #[track_caller]
    pub fn decide_each<E: Discreteness<T>>(&self, operation: impl DiscreteOperation<T, E>) -> Discrete<E, T> {
        decide(operation, &refs(&self.aligned_all()))
    }

    /// An input that broadcasts against others of up to `rank` axes for one example: batched numbers have axes of size 1
    /// behind the axis of the batch.
    ///
    /// # Panics
    /// If it is no numbers.
    #[track_caller]
    pub fn aligned(&self, input: usize, rank: usize) -> Var<T> {
        let OwnedOperand::Var(var) = self.aligned_operand(input, rank) else {
            panic!("input {input} is not numbers")
        };
        var
    }

    /// A shape with the size of the batch in front.
    pub(crate) fn raised(&self, shape: &[usize]) -> Shape {
        std::iter::once(self.size).chain(shape.iter().copied()).collect()
    }

    pub(crate) fn aligned_all(&self) -> Vec<OwnedOperand<T>> {
        (0..self.inputs.len()).map(|input| self.aligned_operand(input, self.output.len())).collect()
    }

    fn aligned_operand(&self, input: usize, rank: usize) -> OwnedOperand<T> {
        let Lifted { operand, is_batched } = &self.inputs[input];
        let shape = self.shape(input);
        if !is_batched || shape.len() >= rank {
            return operand.clone();
        }
        let ones = std::iter::repeat_n(1, rank - shape.len());
        operand.reshape(std::iter::once(self.size).chain(ones).chain(shape.iter().copied()).collect())
    }

    fn repeated(&self, input: usize) -> OwnedOperand<T> {
        let Lifted { operand, is_batched } = &self.inputs[input];
        if *is_batched { operand.clone() } else { operand.expand(&self.raised(operand.shape())) }
    }

    fn with_an_axis(&self) -> Vec<OwnedOperand<T>> {
        let with_an_axis = |input| {
            let operand = self.repeated(input);
            if operand.shape().len() > 1 { operand } else { operand.reshape(self.raised(&[1])) }
        };
        (0..self.inputs.len()).map(with_an_axis).collect()
    }
}

fn refs<T: Float>(operands: &[OwnedOperand<T>]) -> Vec<Operand<'_, T>> {
    operands.iter().map(Into::into).collect()
}
