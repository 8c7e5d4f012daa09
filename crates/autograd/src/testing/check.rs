//! Holding a function against the laws, and finding the operation that breaks one.

use gradus_tensor::{Tensor, seeded};

use super::error::{GradientError, Law};
use super::laws;
use super::measure::{Failure, Function, Point};
use crate::engine::apply_to_numbers;
use crate::tape::mode::{keep_values, with_recording};
use crate::tape::{Context, Tape, Var};

/// Checks the gradients of a function of `N` tensors at one point, against everything in [`Law`] but
/// [`Law::Precision`].
///
/// The function must be deterministic, and smooth near the point: within about a millionth of a kink, such
/// as 0 is for `relu`, differences are meaningless. Its output may have any shape. Differences are good to
/// about 1e-11, and must agree with the gradient to 1e-7 of the larger of both.
///
/// ```
/// use gradus_autograd::{Tensor, testing::check_gradients};
///
/// check_gradients(|[x, y]| (x * y).sin(), [Tensor::from([1.0, 2.0]), Tensor::from([[3.0], [4.0]])])?;
/// # Ok::<(), gradus_autograd::testing::GradientError>(())
/// ```
///
/// # Errors
/// The first law that is broken, the operation that breaks it, the element where it is broken most, and
/// both values.
pub fn check_gradients<const N: usize>(
    function: impl Fn([&Var<f64>; N]) -> Var<f64>,
    inputs: [Tensor<f64>; N],
) -> Result<(), GradientError> {
    check_function(&|xs| function(std::array::from_fn(|i| &xs[i])), &inputs)
}

/// Like [`check_gradients`], for any number of inputs.
///
/// # Errors
/// Like [`check_gradients`].
pub fn check_function(
    function: &dyn Fn(&[Var<f64>]) -> Var<f64>,
    inputs: &[Tensor<f64>],
) -> Result<(), GradientError> {
    let function = |xs: &[Var<f64>]| vec![function(xs)];
    [
        Law::Deterministic,
        Law::FirstOrder,
        Law::Recorded,
        Law::ForwardMode,
        Law::Linear,
        Law::Subsets,
        Law::Layout,
        Law::SecondOrder,
        Law::SymmetricHessian,
    ]
    .into_iter()
    .try_for_each(|law| check_law(law, &function, inputs, 0))
}

/// Holds a function against one law; where it is broken, looks for the operation that breaks it by itself.
pub(super) fn check_law(
    law: Law,
    f: &Function,
    inputs: &[Tensor<f64>],
    seed: u64,
) -> Result<(), GradientError> {
    // Also inside `no_grad`.
    with_recording(true, || check_recorded(law, f, inputs, seed))
}

fn check_recorded(law: Law, f: &Function, inputs: &[Tensor<f64>], seed: u64) -> Result<(), GradientError> {
    let Err(failure) = run_law(law, f, inputs, seed) else { return Ok(()) };
    let leaves: Vec<Var<f64>> = inputs.iter().map(Var::leaf).collect();
    let outputs = keep_values(|| f(&leaves));
    let tape: Vec<&'static str> =
        outputs.iter().flat_map(|y| Tape::of(y).iter().map(|e| e.operation()).collect::<Vec<_>>()).collect();
    for output in &outputs {
        for node in Tape::of(output).nodes().iter().filter(|node| !node.is_leaf()) {
            let Some(operation) = node.operation() else { continue };
            let context = with_recording(false, || Context::new(node, output));
            let tracked: Vec<usize> =
                (0..node.inputs.len()).filter(|&i| node.inputs[i].differentiable().is_some()).collect();
            // The operation alone, as a function of its tracked inputs.
            let alone = |xs: &[Var<f64>]| {
                let number = |i| match tracked.iter().position(|&other| other == i) {
                    Some(place) => xs[place].clone(),
                    None => context.input(i),
                };
                vec![apply_to_numbers(operation, &context, number)]
            };
            let values = |places: &[usize]| places.iter().map(|&i| context.input_value(i).clone()).collect();
            let inputs: Vec<Tensor<f64>> = values(&tracked);
            if let Err(mut failure) = run_law(law, &alone, &inputs, seed) {
                if let Some(&input) = tracked.get(failure.input) {
                    failure.input = input;
                }
                let numbers: Vec<usize> =
                    (0..node.inputs.len()).filter(|&i| context.operand(i).is_none()).collect();
                return Err(failure.report(values(&numbers), Some(node.name()), tape));
            }
        }
    }
    Err(failure.report(inputs.to_vec(), None, tape))
}

fn run_law(law: Law, f: &Function, inputs: &[Tensor<f64>], seed: u64) -> Result<(), Failure> {
    let (at, rng) = (Point { f, inputs }, &mut seeded(seed));
    match law {
        Law::Deterministic => laws::deterministic(at),
        Law::FirstOrder => laws::first_order(law, at, rng),
        Law::SecondOrder => laws::second_order(at, rng),
        Law::SymmetricHessian => laws::symmetric_hessian(at, rng),
        Law::Recorded => laws::recorded(at, rng),
        Law::ForwardMode => laws::forward_mode(at, rng),
        Law::Linear => laws::linear(at, rng),
        Law::Subsets => laws::subsets(at, rng),
        Law::Layout => laws::layout(at, rng),
        Law::Expression => laws::expression(at, rng),
        Law::Shape | Law::Replay | Law::Vmap | Law::Compiled | Law::Precision => Ok(()),
    }
}
