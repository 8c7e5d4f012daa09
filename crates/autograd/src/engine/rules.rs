//! Backward passes by other rules than the operations' own.

use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use super::gradients::{gradients_within, vjp};
use crate::tape::node::Node;
use crate::tape::{
    Context, InputGradients, Linearity, Operand, OwnedOperand, Tape, TapeNode, Var, apply_again, mode,
};

/// Like [`vjp`], by another rule for some operations: `rule` sees each node of the tape and the context that the
/// operation's own rule would see, and gives the gradients for all inputs, as
/// [`Operation::vjps`](crate::Operation::vjps) does; or `None`, for the operation's own rule.
///
/// The results are then no derivatives, unless the rule is one. Methods that explain a network work so: guided
/// backpropagation, here, lets only positive gradients through a `relu` (Springenberg et al., 2015).
///
/// ```
/// use gradus_autograd::{Tensor, Var, vjp_with};
///
/// let x = Var::leaf(Tensor::from([-1.0, 2.0, 3.0]));
/// let y = x.relu();
/// let gradients = vjp_with(&y, &Tensor::from([1.0, 1.0, -1.0]), &[&x], |node, context| {
///     let is_open = context.output().gt(0.0).cast::<f64>();
///     (node.operation() == "relu").then(|| vec![Some(context.cotangent().relu() * is_open)].into())
/// });
/// assert_eq!(gradients[0].as_ref().unwrap().value(), &Tensor::from([0.0, 1.0, 0.0]));
/// ```
///
/// # Panics
/// Like [`vjp`], and if a gradient does not reduce to the shape of its input.
#[track_caller]
pub fn vjp_with<T: Float>(
    y: &Var<T>,
    cotangent: &Tensor<T>,
    inputs: &[&Var<T>],
    rule: impl Fn(&TapeNode<T>, &Context<T>) -> Option<InputGradients<T>>,
) -> Vec<Option<Var<T>>> {
    let tape = Tape::of(y);
    let by_node = |node: &Arc<Node<T>>, context: &Context<T>| rule(&tape.line(node), context);
    gradients_within("vjp_with", y, &cotangent.into(), inputs, (&[], Some(&by_node)), false)
}

impl<T: Float> TapeNode<'_, T> {
    /// The linearity of the operation; of a leaf, and of what is discrete, nonlinear.
    pub fn linearity(&self) -> Linearity {
        self.node().operation().map_or(Linearity::Nonlinear, |operation| operation.linearity())
    }

    /// The gradients of <`cotangent`, operation> with respect to all inputs that are numbers, where these are `inputs` in
    /// place of the recorded ones. Indices and masks stay.
    ///
    /// ```
    /// use gradus_autograd::{Tape, Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from(3.0));
    /// let y = &x * 2.0;
    /// let tape = Tape::of(&y);
    /// let gradients = tape.iter().last().unwrap().vjp_at(&[7.0, 5.0].map(Tensor::from), &Tensor::from(1.0));
    /// assert_eq!(gradients, [5.0, 7.0].map(Tensor::from));
    /// ```
    ///
    /// # Panics
    /// If the node is no operation on numbers, or the shapes do not fit it.
    #[track_caller]
    pub fn vjp_at(&self, inputs: &[Tensor<T>], cotangent: &Tensor<T>) -> Vec<Tensor<T>> {
        let node = self.node();
        let Some(operation) = node.operation() else { panic!("vjp_at: `{}` is no operation", node.name()) };
        let given = Var::constant(cotangent);
        let context = Context::new(node, &given);
        assert!(
            inputs.len() == context.numbers(),
            "vjp_at: `{}` has {} inputs that are numbers, and {} are given",
            node.name(),
            context.numbers(),
            inputs.len()
        );
        let leaves: Vec<Var<T>> = inputs.iter().map(Var::leaf).collect();
        let discrete: Vec<OwnedOperand<T>> =
            (inputs.len()..context.inputs()).filter_map(|i| context.operand(i)).collect();
        let operands: Vec<Operand<T>> =
            leaves.iter().map(Operand::Var).chain(discrete.iter().map(Operand::from)).collect();
        let y = mode::with_recording(true, || apply_again(operation, &operands));
        let gradients = vjp(&y, cotangent, &leaves.iter().collect::<Vec<_>>());
        let or_zeros = |(gradient, input): (Option<Var<T>>, &Tensor<T>)| {
            gradient.map_or_else(|| Tensor::zeros(input.shape()), Var::into_value)
        };
        gradients.into_iter().zip(inputs).map(or_zeros).collect()
    }
}
