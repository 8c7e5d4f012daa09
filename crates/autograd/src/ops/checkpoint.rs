//! A function that is run again for the backward pass, in place of keeping what it computed.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::compile;
use crate::engine::{forward_of_composition, gradients_within};
use crate::tape::node::{AddressSet, Input, Node, Saved, address, nodes_made};
use crate::tape::{
    Context, Draws, Fusion, InputGradients, Inputs, Operation, Saves, Var, apply_computed, mode,
    remember_draws, repeat_draws, watch,
};

/// A function of variables that runs again for its gradient. The inputs are the function's, the variables that it reads
/// besides, and in a compiled step the result of the first run.
struct Checkpoint<F> {
    function: F,
    /// The number of the function's inputs.
    inputs: usize,
    /// The numbers that the first run took from counters.
    draws: Draws,
    /// The shape of its result.
    shape: Shape,
    /// The input that is the result of the first run.
    result: Option<usize>,
}

impl<F> Debug for Checkpoint<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Checkpoint")
    }
}

impl<T: Float, F: Fn(&[Var<T>]) -> Var<T> + Send + Sync + 'static> Operation<T> for Checkpoint<F> {
    fn name(&self) -> &'static str {
        "checkpoint"
    }
    fn shape(&self, _inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(self.shape.clone()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        forward_of_composition(inputs, |inputs| {
            repeat_draws(&self.draws, || (self.function)(&inputs[..self.inputs]))
        })
    }
    fn saves(&self) -> Saves {
        Saves::ALL.of_first(self.inputs)
    }
    fn fusion(&self) -> Option<Fusion> {
        self.result.map(Fusion::Computed)
    }
    fn vjps(&self, context: &Context<T>) -> Option<InputGradients<T>> {
        // A plan gets the operations of the second run, in place of the values of the first.
        Some(if context.is_on_tape() && mode::is_tracing() {
            compile::recompute(|| self.gradients(context, context.output_numbers()))
        } else {
            self.gradients(context, context.output_value())
        })
    }
}

impl<F> Checkpoint<F> {
    fn gradients<T: Float>(&self, context: &Context<T>, first: &Tensor<T>) -> InputGradients<T>
    where
        F: Fn(&[Var<T>]) -> Var<T>,
    {
        let recorded = mode::is_recording();
        // A variable of its own: an input may depend on another, and its own gradient flows there later.
        let input = |i: usize| match (context.is_on_tape(), context.needs(i)) {
            (true, _) if recorded => context.input(i).reshape(context.shape(i)),
            (true, needed) => stand_in(&context.input(i), needed),
            (false, true) => Var::leaf(context.input_value(i)),
            (false, false) => context.input(i),
        };
        let inputs: Vec<Var<T>> = (0..self.inputs).map(input).collect();
        let before = nodes_made();
        let y = mode::with_recording(true, || repeat_draws(&self.draws, || (self.function)(&inputs)));
        check_repeated(&y, first);
        let all: Vec<Var<T>> = inputs
            .iter()
            .cloned()
            .chain((self.inputs..context.inputs()).map(|i| context.identity(i)))
            .collect();
        let known: AddressSet<usize> = all.iter().filter_map(Var::node).map(address).collect();
        assert!(
            captured(&y, &inputs, before)
                .iter()
                .filter_map(Var::node)
                .all(|node| known.contains(&address(node))),
            "checkpoint: the function reads other variables when it runs again for the backward pass"
        );
        let needed: Vec<&Var<T>> =
            all.iter().enumerate().filter(|(i, _)| context.needs(*i)).map(|(_, input)| input).collect();
        let mut found = if y.is_tracked() && !needed.is_empty() {
            gradients_within("vjp", &y, context.cotangent(), &needed, (&all, None), recorded)
        } else {
            vec![None; needed.len()]
        }
        .into_iter();
        let gradient = |i| {
            let zeros = || Tensor::zeros(context.shape(i)).into();
            context.needs(i).then(|| found.next().flatten().unwrap_or_else(zeros))
        };
        (0..all.len()).map(gradient).collect()
    }
}

/// The same numbers as a leaf, or as data; in a compiled step, where it takes them from the variable in each call.
fn stand_in<T: Float>(var: &Var<T>, is_leaf: bool) -> Var<T> {
    match var.node().filter(|_| mode::is_tracing()) {
        Some(node) => {
            let of = Input { node: Some(Arc::clone(node)), value: Saved::Value(var.raw().clone()) };
            Var::from_parts(var.raw().clone(), Some(Node::stand_in(of, is_leaf)))
        }
        None if is_leaf => Var::leaf(var.value()),
        None => Var::constant(var.value()),
    }
}

/// Panics unless a second run gave the same result. Infinities and NaN are equal to everything.
fn check_repeated<T: Float>(y: &Var<T>, first: &Tensor<T>) {
    let largest = first.abs().masked_fill(&first.isfinite().logical_not(), T::ZERO).sum(..).item().to_f64();
    let bound = T::from_f64(largest * 1e-3);
    let differs = y.shape() != first.shape() || (y.raw() - first).abs().gt(bound).any(..).item();
    assert!(
        !differs,
        "checkpoint: the function gave another result when it ran again for the backward pass; it must depend on \
         nothing but the variables that it reads: draw random numbers outside and give them as inputs, and checkpoint \
         layers with `checkpoint_layer`"
    );
}

/// The tracked variables behind a result that were there before it was computed and are not among the inputs.
fn captured<T: Float>(y: &Var<T>, inputs: &[Var<T>], before: u64) -> Vec<Var<T>> {
    let mut seen: AddressSet<usize> = inputs.iter().filter_map(Var::node).map(address).collect();
    let (mut waiting, mut found) = (Vec::from_iter(y.node()), Vec::new());
    while let Some(node) = waiting.pop() {
        if !node.is_differentiable || !seen.insert(address(node)) {
            continue;
        }
        if node.number <= before {
            found.push(Var::of_node(node));
        } else {
            waiting.extend(node.inputs.iter().filter_map(|input| input.node.as_ref()));
        }
    }
    // In the order in which they were made, whatever the order of the walk.
    found.sort_by_key(|var| var.node().map(|node| node.number));
    found
}

/// A function of variables as one node of the tape, which keeps the inputs and the result and no value in between. For the
/// backward pass the function runs a second time (Chen et al., "Training deep nets with sublinear memory cost", 2016), and
/// gives the same bits.
///
/// The function must give the same result each time. It may read other variables than its inputs, such as parameters of a
/// layer that it holds; they get their gradients. Layers with counters, such as `Dropout` of `gradus-nn`, do in the second run
/// what they did in the first. `checkpoint_layer` of `gradus-nn` is for a layer that the function cannot hold, and
/// `checkpoint_sequential` places checkpoints in a chain of layers. Inside of [`vmap`](crate::vmap) it is the plain function.
/// In a compiled step, the plan computes again what the backward pass reads, and nothing else; only the two calls that record
/// it keep all values.
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var, checkpoint};
///
/// let x = Var::leaf(Tensor::<f64>::ones([100]));
/// let plain = x.exp().sin().exp().sin();
/// let thrifty = checkpoint(&[&x], |inputs| inputs[0].exp().sin().exp().sin());
/// assert_eq!((Tape::of(&plain).len(), Tape::of(&thrifty).len()), (5, 2));
/// assert_eq!(plain.sum(..).backward().get(&x), thrifty.sum(..).backward().get(&x));
///
/// let w = Var::leaf(Tensor::from(3.0));
/// let captured = w.clone();
/// let y = checkpoint(&[&x], move |inputs| &inputs[0] * &captured);
/// assert_eq!(y.sum(..).backward().get(&w), Some(&Tensor::from(100.0)));
/// ```
///
/// # Panics
/// The backward pass panics if the second run gives another result, or reads other variables.
#[track_caller]
pub fn checkpoint<T: Float>(
    inputs: &[&Var<T>],
    function: impl Fn(&[Var<T>]) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    if mode::has_examples() || !mode::is_recording() {
        // Other variables that the function reads may depend on an example.
        return function(&inputs.iter().copied().cloned().collect::<Vec<_>>());
    }
    let leaves: Vec<Var<T>> = inputs.iter().map(|input| stand_in(input, input.is_tracked())).collect();
    let frame = watch::begin(|| "checkpoint");
    let before = nodes_made();
    let (y, draws) = remember_draws(|| function(&leaves));
    let captured = captured(&y, &leaves, before);
    let result = mode::is_tracing().then(|| stand_in(&y, false));
    if mode::is_keeping_values() && result.is_none() && !captured.is_empty() {
        // A tape that is run again must see what the function reads.
        return repeat_draws(&draws, || function(&inputs.iter().copied().cloned().collect::<Vec<_>>()));
    }
    let all: Vec<&Var<T>> = inputs.iter().copied().chain(&captured).chain(&result).collect();
    let place = result.is_some().then(|| all.len() - 1);
    let operation =
        Checkpoint { function, inputs: inputs.len(), draws, shape: y.shape().into(), result: place };
    apply_computed(operation, &all, y.raw().clone(), frame)
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case};
    use proptest::prelude::*;
    vec![case!(
        "checkpoint", ((x, y), captures) in (broadcast_pair(), any::<bool>()), [x, y],
        |x, y| if captures {
            let captured = y.clone();
            crate::checkpoint(&[x], move |inputs| (inputs[0].sin() * &captured).exp() + &captured)
        } else {
            crate::checkpoint(&[x, y], |inputs| (inputs[0].sin() * &inputs[1]).exp() + &inputs[1])
        }
    )]
}
