//! A function of one example, applied to all examples of a batch at once.
//!
//! The function runs on one example and is recorded, with all values. Then its tape runs again on the whole batch: each
//! operation by its rule ([`Operation::batched`](crate::Operation::batched)), as ordinary operations on variables, which go to
//! the tape of whoever called. What does not depend on an example ran already, and is not run again.

mod again;
mod examples;
mod gradient;
mod per_example;
mod plan;

use gradus_tensor::{Dims, Float, OrPanic, Tensor};

use self::again::run_again;
pub use self::examples::{Examples, Results};
pub(super) use self::gradient::{vjp_of_example, vjps_of_example};
pub use self::per_example::{PerExampleGradients, gradients_per_example};
pub use self::plan::VmapPlan;
use crate::stack;
use crate::tape::{Batch, Discrete, Discreteness, Lifted, Operand, OwnedOperand, Var, example, mode};

/// A function of one example, for all examples of a batch: `in_axes` names the axis of each input that goes through the
/// examples, or `None` for an input that is the same for all. The results have the axis of the examples in front.
///
/// The inputs are variables, or [`Operand`]s: numbers first, then indices and masks. The function may do whatever a function
/// of variables can, also differentiate (with [`grad`](crate::grad) and its like; [`Var::backward`] finds leaves only); and the results can be differentiated, in any direction and to any order. Variables
/// that it reads besides are the same for all examples. See [`Results`] for what it may return.
///
/// The function runs once, on one example; each of its operations is then applied to all examples at once. An operation that
/// has no rule for this is applied to one after another; [`vmap_plan`] shows that. If the function reads numbers of an example
/// ([`Var::value`], [`Var::item`], ...), it runs once for each example. Random numbers that it draws are the same for all
/// examples, and so is the mask of a layer with dropout: draw them outside and make them an input.
///
/// ```
/// use gradus_autograd::{Tensor, Var, grad, vmap};
///
/// // The gradient of each row's own function.
/// let (x, a) = (Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]])), Var::leaf(Tensor::from([10.0, 100.0])));
/// let slopes = vmap(|x| grad(&(&x[1] * x[0].square()).sum(..), &[&x[0]]).remove(0), &[&x, &a], &[Some(0), None]);
/// assert_eq!(slopes.value(), &Tensor::from([[20.0, 400.0], [60.0, 800.0]]));
/// ```
///
/// # Panics
/// If there is not one axis for each input, an axis is out of range, their sizes differ, no input has one, or numbers come
/// after indices.
#[track_caller]
pub fn vmap<'a, T: Float, A: Copy + Into<Operand<'a, T>>, R: Results<T>>(
    f: impl Fn(&Examples<T>) -> R,
    inputs: &[A],
    in_axes: &[Option<isize>],
) -> R {
    let inputs: Vec<Operand<T>> = inputs.iter().map(|&input| input.into()).collect();
    let (inputs, size) = lift(&inputs, in_axes);
    mapped(f, &inputs, size, None)
}

/// The plan of [`vmap`]: each operation that depends on the examples, and how it is applied to all of them.
///
/// ```
/// use gradus_autograd::{Tensor, Var, vmap_plan};
///
/// let (x, w) = (Var::leaf(Tensor::<f64>::ones([8, 3])), Var::leaf(Tensor::ones([4, 3])));
/// let plan = vmap_plan(|x| x[0].linear(&w, None).tanh().map_gradient(Clone::clone), &[&x], &[Some(0)]);
/// assert_eq!(plan.to_string(), "\
/// linear : batched [8, 4]
/// tanh : elementwise [8, 4]
/// map_gradient : one by one [8, 4]
/// ");
/// assert_eq!(plan.loops(), ["map_gradient"]);
/// ```
///
/// # Panics
/// Like `vmap`.
#[track_caller]
pub fn vmap_plan<'a, T: Float, A: Copy + Into<Operand<'a, T>>, R: Results<T>>(
    f: impl Fn(&Examples<T>) -> R,
    inputs: &[A],
    in_axes: &[Option<isize>],
) -> VmapPlan {
    let inputs: Vec<Operand<T>> = inputs.iter().map(|&input| input.into()).collect();
    let (inputs, size) = lift(&inputs, in_axes);
    let mut plan = VmapPlan::new(size);
    mapped(f, &inputs, size, Some(&mut plan));
    plan
}

/// A composition of the inputs of an operation, for all examples: the rule of an operation that is also a composition.
#[track_caller]
pub(crate) fn batched_composition<T: Float>(
    batch: &Batch<T>,
    composition: impl Fn(&Examples<T>) -> Var<T>,
) -> Var<T> {
    mapped(composition, batch.inputs, batch.size, None)
}

/// Moves the axes of the examples in front, and gives their number.
#[track_caller]
fn lift<T: Float>(inputs: &[Operand<T>], in_axes: &[Option<isize>]) -> (Vec<Lifted<T>>, usize) {
    assert!(
        inputs.len() == in_axes.len(),
        "vmap: there are {} inputs and {} axes: there must be one for each input, or `None`",
        inputs.len(),
        in_axes.len()
    );
    let numbers = inputs.iter().take_while(|input| matches!(input, Operand::Var(_))).count();
    let late = inputs[numbers..].iter().position(|input| matches!(input, Operand::Var(_)));
    assert!(
        late.is_none(),
        "vmap: input {} is numbers and comes after indices or a mask",
        numbers + late.unwrap_or(0)
    );
    let mut size = None;
    let mut lifted = Vec::with_capacity(inputs.len());
    for (i, (&input, axis)) in inputs.iter().zip(in_axes).enumerate() {
        let Some(axis) = *axis else {
            lifted.push(Lifted { operand: input.into(), is_batched: false });
            continue;
        };
        let shape = input.value().shape();
        let axis = Dims::from(axis).resolve("vmap", shape).or_panic()[0];
        let &mut (first, expected) = size.get_or_insert((i, shape[axis]));
        assert!(
            shape[axis] == expected,
            "vmap: input {i} has {} examples along axis {axis} of shape {shape:?}, and input {first} has {expected}: they \
             must be equal",
            shape[axis]
        );
        lifted.push(Lifted { operand: OwnedOperand::from(input).moved_to_front(axis), is_batched: true });
    }
    let Some((_, size)) = size else {
        panic!("vmap: no input has an axis for the examples: name one for at least one")
    };
    (lifted, size)
}

#[track_caller]
fn mapped<T: Float, R: Results<T>>(
    f: impl Fn(&Examples<T>) -> R,
    inputs: &[Lifted<T>],
    size: usize,
    plan: Option<&mut VmapPlan>,
) -> R {
    let mut first = None;
    let mut list = |examples: &Examples<T>| {
        let mut found = Vec::new();
        let results = f(examples).map(&mut |result| {
            found.push(result.clone());
            result
        });
        first.get_or_insert(results);
        found
    };
    let mut results = map_over(&mut list, inputs, size, plan).into_iter();
    let first = first.expect("the function has run");
    first.map(&mut |_| results.next().expect("there are as many"))
}

/// A function that lists its results.
type Function<'a, T> = &'a mut dyn FnMut(&Examples<T>) -> Vec<OwnedOperand<T>>;

/// [`vmap`], compiled once for all functions.
#[inline(never)]
#[track_caller]
fn map_over<T: Float>(
    f: Function<T>,
    inputs: &[Lifted<T>],
    size: usize,
    plan: Option<&mut VmapPlan>,
) -> Vec<OwnedOperand<T>> {
    let ((depth, examples, results), read) = example::record(|depth| {
        let examples: Vec<OwnedOperand<T>> = inputs.iter().map(|input| input.example(size, depth)).collect();
        let results = f(&Examples::new(&examples));
        (depth, examples, results)
    });
    if !read {
        return run_again(depth, inputs, &examples, &results, size, plan);
    }
    if let Some(plan) = plan {
        plan.whole();
    }
    one_by_one(f, inputs, size, &results)
}

/// The results of a function that reads the numbers of its examples.
#[track_caller]
fn one_by_one<T: Float>(
    f: Function<T>,
    inputs: &[Lifted<T>],
    size: usize,
    first: &[OwnedOperand<T>],
) -> Vec<OwnedOperand<T>> {
    let is_recording = mode::is_recording();
    let mut all: Vec<Vec<OwnedOperand<T>>> = first.iter().map(|_| Vec::with_capacity(size)).collect();
    for place in 0..size {
        let examples: Vec<OwnedOperand<T>> = inputs.iter().map(|input| input.leaf(place)).collect();
        // The function may differentiate.
        let results = mode::with_recording(true, || f(&Examples::new(&examples)));
        for (all, result) in all.iter_mut().zip(results) {
            all.push(match result {
                OwnedOperand::Var(var) if !is_recording => OwnedOperand::Var(Var::constant(var.raw())),
                result => result,
            });
        }
    }
    all.iter().zip(first).enumerate().map(|(i, (all, like))| stacked(i, all, like)).collect()
}

/// The results for all examples, each `like` this one, along a first axis.
#[track_caller]
fn stacked<T: Float>(number: usize, all: &[OwnedOperand<T>], like: &OwnedOperand<T>) -> OwnedOperand<T> {
    if let Some(place) = all.iter().position(|result| result.shape() != all[0].shape()) {
        panic!(
            "vmap: result {number} has shape {:?} for example 0 and {:?} for example {place}: they must be equal",
            all[0].shape(),
            all[place].shape()
        );
    }
    if all.is_empty() {
        return like.expand(&[&[0], like.shape()].concat());
    }
    match like {
        OwnedOperand::Var(_) => {
            let vars: Vec<&Var<T>> = all.iter().filter_map(OwnedOperand::var).collect();
            OwnedOperand::Var(stack(&vars, 0))
        }
        OwnedOperand::Indices(_) => OwnedOperand::Indices(stacked_discrete(all, OwnedOperand::indices)),
        OwnedOperand::Mask(_) => OwnedOperand::Mask(stacked_discrete(all, OwnedOperand::mask)),
    }
}

fn stacked_discrete<T: Float, E: Discreteness<T>>(
    all: &[OwnedOperand<T>],
    get: fn(&OwnedOperand<T>) -> Option<&Discrete<E, T>>,
) -> Discrete<E, T> {
    let values: Vec<&Tensor<E>> = all.iter().filter_map(get).map(Discrete::value).collect();
    Discrete::constant(Tensor::stack(&values, 0))
}
