//! Calls of gradient rules that compute with numbers, in a traced step.

use std::sync::Arc;

use gradus_tensor::Float;

use super::mode;
use super::node::{Input, Node, Origin, Saved};
use super::var::Var;

/// A gradient that a rule computes.
pub(crate) struct GradientOf<T: Float> {
    /// The call of the rule, shared by its results.
    pub(crate) call: Arc<RuleCall<T>>,
    /// The input of the operation that the gradient is for.
    pub(crate) input: usize,
}

/// A call of a gradient rule.
pub(crate) struct RuleCall<T: Float> {
    /// The operation that happened, with what the rule reads.
    pub(crate) node: Arc<Node<T>>,
    pub(crate) cotangent: Input<T>,
    /// The inputs whose gradients are needed.
    pub(crate) needed: Vec<usize>,
    /// Whether the rule gives all of them at once.
    pub(crate) together: bool,
}

impl<T: Float> RuleCall<T> {
    pub(crate) fn new(
        node: &Arc<Node<T>>,
        cotangent: &Var<T>,
        needed: Vec<usize>,
        together: bool,
    ) -> Arc<Self> {
        let cotangent =
            Input { node: cotangent.node().cloned(), value: Saved::Value(cotangent.numbers().clone()) };
        Arc::new(Self { node: Arc::clone(node), cotangent, needed, together })
    }

    /// The gradient that the call gave for an input, as a line of the trace.
    ///
    /// # Panics
    /// If the pass is recorded: the derivative of a rule that looks at numbers cannot run again.
    #[track_caller]
    pub(crate) fn result(call: Arc<Self>, input: usize, gradient: Var<T>) -> Var<T> {
        assert!(
            !mode::is_recording(),
            "{}: its gradient rule looks at numbers to choose a formula, so a derivative of second order through it \
             cannot be compiled",
            call.node.name()
        );
        let inputs = call.operands();
        let value = gradient.into_parts().0;
        let node = Node::new(Origin::Gradient(GradientOf { call, input }), inputs, None, value.shape());
        Var::tracked(value, node)
    }

    /// The operands of a call: the cotangent, the inputs whose values the rule reads, and the output if it does.
    pub(crate) fn operands(&self) -> Vec<Input<T>> {
        let (reads, reads_output) = self.reads();
        let inputs = reads.into_iter().map(|i| self.node.inputs[i].clone());
        let output = self.node.output.clone().filter(|_| reads_output);
        let output = output.map(|y| Input { node: Some(Arc::clone(&self.node)), value: Saved::Value(y) });
        std::iter::once(self.cotangent.clone()).chain(inputs).chain(output).collect()
    }

    /// The inputs whose values the rule reads, and whether it reads the output.
    pub(crate) fn reads(&self) -> (Vec<usize>, bool) {
        let saves = self.node.operation().expect("rules belong to operations").saves();
        let inputs = &self.node.inputs;
        let kept = saves.kept(inputs.len(), |i| inputs[i].differentiable().is_some());
        let reads = |&i: &usize| kept(i) || !matches!(inputs[i].value, Saved::Value(_) | Saved::Shape(_));
        ((0..inputs.len()).filter(reads).collect(), saves.output)
    }
}
