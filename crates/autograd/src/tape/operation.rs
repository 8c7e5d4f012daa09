//! The contract of an operation, built-in or a user's own.

use std::any::TypeId;
use std::fmt::Debug;
use std::sync::Arc;

use gradus_tensor::{Float, Shape, Tensor, TensorError};
use smallvec::SmallVec;

use super::context::Context;
use super::node::{Input, Node, Origin};
use super::operand::{Inputs, Operand, OperandValue};
use super::saves::Saves;
use super::var::Var;
use super::watch::{self, Details, Guard};
use super::{Batch, anomaly, example, mode};
use crate::compile;
use crate::scalar::Expression;

/// The gradients of an operation with respect to its inputs, in their order; see [`Operation::vjps`]. A list that needs no
/// memory of its own for up to four inputs; `vec![...].into()` and `collect()` make one.
pub type InputGradients<T = f32> = SmallVec<[Option<Var<T>>; 4]>;

/// A differentiable operation: a value with its attributes, which can compute and differentiate.
///
/// Built-in operations use nothing else. An example of a user's own, `x^3`:
///
/// ```
/// use gradus_autograd::{Context, Float, Inputs, Operation, Saves, Tensor, Var, apply};
///
/// #[derive(Debug)]
/// struct Cube;
///
/// impl<T: Float> Operation<T> for Cube {
///     fn name(&self) -> &'static str {
///         "cube"
///     }
///     fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
///         inputs[0].map(|x| x * x * x)
///     }
///     fn saves(&self) -> Saves {
///         Saves::INPUTS
///     }
///     fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
///         let x = context.input(0);
///         Some(context.cotangent() * &x * &x * T::from_f64(3.0))
///     }
/// }
///
/// let x = Var::leaf(Tensor::from([1.0, 2.0]));
/// let y = apply(Cube, &[&x]);
/// assert_eq!(y.value(), &Tensor::from([1.0, 8.0]));
/// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([3.0, 12.0])));
/// ```
pub trait Operation<T: Float>: Debug + Send + Sync + 'static {
    /// The name shown on the tape and in messages.
    fn name(&self) -> &'static str;

    /// The shape of the result for inputs of these shapes, with every check that needs no numbers.
    ///
    /// `None`, the default, says that it is known only once the result is computed. All built-in operations know it.
    ///
    /// # Errors
    /// The error that [`forward`](Self::forward) panics with for such inputs.
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        let _ = inputs;
        None
    }

    /// The result for these inputs. It must depend on nothing but them and the attributes.
    #[track_caller]
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T>;

    /// The values that the rule reads, and that the tape therefore keeps. By default they follow from
    /// [`linearity`](Self::linearity): nothing for a linear operation, the other inputs for a multilinear one, or
    /// else everything.
    fn saves(&self) -> Saves {
        match self.linearity() {
            Linearity::Linear => Saves::NOTHING,
            Linearity::Multilinear => Saves::OTHER_INPUTS,
            Linearity::Nonlinear => Saves::ALL,
        }
    }

    /// The rule: the gradient of <cotangent, output> with respect to one input, in differentiable
    /// operations, so that it can itself be differentiated.
    ///
    /// Values that vary with the inputs must be rebuilt from [`Context::input`] or [`Context::output`], never be
    /// carried along as a number: that would drop a term of the second derivative. The result may have any
    /// shape that the input's broadcasts to; the engine sums over the axes that were added or repeated, adds
    /// up contributions, and asks only for inputs that need a gradient.
    ///
    /// `None`, the default, says that there is no rule: a backward pass that needs it panics with the
    /// operation's name.
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let _ = (context, input);
        None
    }

    /// The gradients with respect to all inputs, for a rule that computes them together; `None` is allowed for an
    /// input that [needs](Context::needs) no gradient.
    ///
    /// `None`, the default, says that [`vjp`](Self::vjp) gives them one by one. Of the two methods the engine asks
    /// this one first.
    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        let _ = context;
        None
    }

    /// The function of numbers that this operation is for each element, of one number from each input; `None`, the
    /// default, if it is not elementwise.
    fn expression(&self) -> Option<Expression> {
        None
    }

    /// Whether the operation is linear in its inputs. The derivative of a linear operation in a direction is the
    /// operation itself, applied to the direction: forward mode then needs no rule.
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }

    /// The rule of forward mode: the change of the output when one input changes by [`Context::tangent`], in
    /// differentiable operations; of any shape that broadcasts to the output's.
    ///
    /// `None`, the default, derives it from [`linearity`](Self::linearity), or else from [`vjp`](Self::vjp),
    /// which is linear in its cotangent: the gradient of the gradient with respect to the cotangent.
    fn jvp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let _ = (context, input);
        None
    }

    /// The results for all examples of a batch at once, with the axis of the batch in front, in differentiable operations:
    /// the rule of [`vmap`](crate::vmap).
    ///
    /// `None`, the default, says that the operation has no rule: an elementwise operation, one with an
    /// [`expression`](Self::expression), is applied to inputs that broadcast, and any other to one example after another.
    fn batched(&self, batch: &Batch<T>) -> Option<Var<T>> {
        let _ = batch;
        None
    }

    /// The type of the operation.
    #[doc(hidden)]
    fn kind(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    /// The number of multiplications, each followed by an addition, that products of this size take: of a product
    /// `[m, k] x [k, n]` it is `m k n`. It is shown by a [`profile`](crate::profile) and by the summary of a model; 0, the
    /// default, for all that is not a product.
    fn multiply_adds(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        let _ = (inputs, output);
        0
    }

    /// Whether there is a [`forward_into`](Self::forward_into).
    fn writes_into(&self) -> bool {
        false
    }

    /// Writes the result into a contiguous tensor of its shape, whose buffer nobody shares, with the same bits as
    /// [`forward`](Self::forward): a compiled step then needs no new memory for it.
    fn forward_into(&self, inputs: &Inputs<T>, out: &mut Tensor<T>) {
        *out = self.forward(inputs);
    }

    /// The part that the operation can take in a fused pass of a compiled step, if it is not elementwise.
    fn fusion(&self) -> Option<Fusion> {
        None
    }
}

/// The part of an operation in a fused pass; see [`Operation::fusion`].
#[derive(Debug, Clone, PartialEq)]
pub enum Fusion {
    /// A reduction over these axes, which it drops or keeps with size 1.
    Reduce(gradus_tensor::fused::Reduction, Shape),
    /// The same elements in the same order, in another shape.
    Reshape,
    /// The elements of the input, repeated.
    Expand,
    /// The elements of the input in another order: never a part of a pass, but a view.
    Permute,
    /// The product of two matrices.
    Matmul,
    /// A dense layer: the product with a transposed matrix, and an optional bias.
    Linear,
    /// The mean of the squared differences of two inputs of one shape.
    MeanSquaredDifference,
    /// The result is the input of this number: a plan computes nothing.
    Computed(usize),
    /// A function of each element of the inputs, of which some are masks: for it, 1 where they are true, else 0.
    Select(Expression),
}

/// The values of the inputs, for a forward pass.
pub(super) fn values_of<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(
    inputs: &[A],
) -> SmallVec<[OperandValue<'a, T>; 4]> {
    let value = |&input: &A| -> OperandValue<'a, T> { Into::<Operand<'a, T>>::into(input).value() };
    match inputs {
        // Most operations, without a list that might grow.
        [x] => SmallVec::from_buf_and_len([value(x); 4], 1),
        [x, y] => SmallVec::from_buf_and_len([value(x), value(y), value(y), value(y)], 2),
        [x, y, z] => SmallVec::from_buf_and_len([value(x), value(y), value(z), value(z)], 3),
        _ => inputs.iter().map(value).collect(),
    }
}

/// The linearity of an operation in its inputs; see [`Operation::linearity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linearity {
    /// Not linear, or nothing is said about it.
    Nonlinear,
    /// Linear in all inputs together, as a sum, a reordering or a selection is.
    Linear,
    /// Linear in each input while the others are fixed, as a product is.
    Multilinear,
}

/// Runs an operation, and writes it to the tape if an input is tracked and this thread is recording.
///
/// The inputs are variables, `&[&x, &y]`; or, for an operation that also reads [`Indices`](crate::Indices) or a
/// [`Mask`](crate::Mask), [`Operand`]s: `&[Operand::Var(&x), Operand::Indices(&index)]`. For an example see
/// [`Operation`].
///
/// # Panics
/// As the operation does, at the caller's line.
#[track_caller]
#[inline(never)]
pub fn apply<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(
    operation: impl Operation<T>,
    inputs: &[A],
) -> Var<T> {
    let values = values_of(inputs);
    let value =
        if mode::is_watching() { watched(&operation, &values) } else { operation.forward(&Inputs(&values)) };
    recorded(operation, inputs, value)
}

/// The forward pass of an operation while somebody looks on.
#[cold]
#[track_caller]
fn watched<T: Float>(operation: &dyn Operation<T>, values: &[OperandValue<T>]) -> Tensor<T> {
    let frame = watch::operation(operation.name());
    let value = operation.forward(&Inputs(values));
    finish(frame, operation, values, &value);
    value
}

/// Closes the frame of an operation with the shapes and sizes, and looks at its result.
#[cold]
#[track_caller]
fn finish<T: Float>(
    frame: Guard,
    operation: &dyn Operation<T>,
    values: &[OperandValue<T>],
    value: &Tensor<T>,
) {
    frame.finish(|| {
        let shapes: SmallVec<[&[usize]; 4]> = values.iter().map(|value| value.shape()).collect();
        Details {
            multiply_adds: operation.multiply_adds(&shapes, value.shape()),
            bytes: value.len() * size_of::<T>(),
            output: Some(value.shape().into()),
            inputs: shapes.into_iter().map(Shape::from).collect(),
        }
    });
    if mode::is_detecting() {
        anomaly::check(operation, values, value);
    }
}

/// Like [`apply`], for a result that was computed in a frame.
#[track_caller]
#[inline(never)]
pub(crate) fn apply_computed<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(
    operation: impl Operation<T>,
    inputs: &[A],
    value: Tensor<T>,
    frame: Option<Guard>,
) -> Var<T> {
    if let Some(frame) = frame {
        finish(frame, &operation, &values_of(inputs), &value);
    }
    recorded(operation, inputs, value)
}

#[inline(never)]
fn recorded<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(
    operation: impl Operation<T>,
    inputs: &[A],
    value: Tensor<T>,
) -> Var<T> {
    if is_recorded(inputs) { record(Arc::new(operation), inputs, value) } else { Var::constant(value) }
}

/// Runs the operation of a node again, on other inputs.
#[track_caller]
pub(crate) fn apply_again<T: Float>(operation: &Arc<dyn Operation<T>>, inputs: &[Operand<T>]) -> Var<T> {
    let values = values_of(inputs);
    let value = if mode::is_watching() {
        watched(&**operation, &values)
    } else {
        operation.forward(&Inputs(&values))
    };
    if is_recorded(inputs) { record(Arc::clone(operation), inputs, value) } else { Var::constant(value) }
}

/// Like [`apply`] for an operation that keeps nothing of its inputs, in the memory of the first one, if nobody else
/// needs it.
pub(crate) fn apply_inplace<T: Float>(
    operation: impl Operation<T>,
    first: Var<T>,
    others: &[Operand<T>],
    compute: impl FnOnce(&mut Tensor<T>),
) -> Var<T> {
    let all =
        |first| std::iter::once(first).chain(others.iter().copied()).collect::<SmallVec<[Operand<T>; 4]>>();
    let recorded = mode::makes_nodes() && (first.node().is_some() || is_recorded(others));
    if recorded && mode::is_keeping_values() || mode::is_tracing() {
        return apply(operation, &all(Operand::Var(&first)));
    }
    let (mut value, node) = first.into_parts();
    let frame = watch::begin(|| operation.name());
    compute(&mut value);
    drop(frame);
    if !recorded {
        return Var::constant(value);
    }
    // Only the shape of the first input is recorded, and the result has the same shape.
    let first = Var::from_parts(value.clone(), node);
    record(Arc::new(operation), &all(Operand::Var(&first)), value)
}

/// Whether operations on these inputs become nodes: the thread makes nodes, and one of them is on the tape.
pub(crate) fn is_recorded<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(inputs: &[A]) -> bool {
    if !mode::makes_nodes() {
        if mode::has_examples() {
            // The result will have no place on the tape.
            for &input in inputs {
                example::note(Into::<Operand<'a, T>>::into(input).node());
            }
        }
        return false;
    }
    let is_on_tape = |&input: &A| Into::<Operand<'a, T>>::into(input).node().is_some();
    let is_recorded = inputs.iter().any(is_on_tape);
    if !is_recorded && mode::is_tracing() {
        compile::note_constants(inputs);
    }
    is_recorded
}

/// The inputs as a node remembers them.
pub(super) fn remember<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(
    inputs: &[A],
    saves: Saves,
) -> Vec<Input<T>> {
    let operand = |i: usize| -> Operand<'a, T> { inputs[i].into() };
    let tracked = |i: usize| operand(i).node().is_some_and(|node| node.is_differentiable);
    let kept = saves.kept(inputs.len(), tracked);
    let mut remembered = Vec::with_capacity(inputs.len());
    for i in 0..inputs.len() {
        remembered.push(Input { node: operand(i).node().cloned(), value: operand(i).saved(kept(i)) });
    }
    remembered
}

#[inline(never)]
fn record<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(
    operation: Arc<dyn Operation<T>>,
    inputs: &[A],
    value: Tensor<T>,
) -> Var<T> {
    let saves = if mode::is_keeping_values() { Saves::ALL } else { operation.saves() };
    let output = saves.output.then(|| value.clone());
    let node = Node::new(Origin::Operation(operation), remember(inputs, saves), output, value.shape());
    Var::tracked(value, node)
}
