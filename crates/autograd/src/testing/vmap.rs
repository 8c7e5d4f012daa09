//! The law of `vmap`: the same as one example after another.

use gradus_tensor::{Tensor, seeded};

use super::error::Law;
use super::measure::{Failure, Tolerance, compare, compare_all};
use crate::engine::{Examples, vjp, vjp_create_graph, vmap};
use crate::stack;
use crate::tape::Var;

/// For sums in another order, whose terms are of order one and may cancel.
const SUMS: Tolerance = Tolerance { relative: 1e-11, floor: 1.0 };

/// A function of some variables.
type Function<'a> = dyn Fn(&[Var<f64>]) -> Var<f64> + 'a;

/// Holds values, gradients through `vmap`, gradients inside of it and `vmap` inside of itself against loops.
pub(super) fn holds(f: &Function, examples: &[Vec<Tensor<f64>>], seed: u64) -> Result<(), Failure> {
    let count = examples[0].len();
    // All inputs have examples; then each alone, and all but each.
    let mut subsets: Vec<Vec<bool>> = vec![vec![true; count]];
    if count > 1 {
        for alone in 0..count {
            subsets.push((0..count).map(|input| input == alone).collect());
            subsets.push((0..count).map(|input| input != alone).collect());
        }
    }
    subsets.iter().enumerate().try_for_each(|(turn, batched)| {
        values_and_gradients(f, examples, batched, turn, seed)?;
        gradients_inside(f, examples, batched, seed)
    })?;
    nested(f, examples)
}

/// The inputs with an axis of examples, and the place of this axis.
fn inputs(
    examples: &[Vec<Tensor<f64>>],
    batched: &[bool],
    turn: usize,
) -> (Vec<Tensor<f64>>, Vec<Option<isize>>) {
    let input = |(i, &batched): (usize, &bool)| {
        let first = &examples[0][i];
        if !batched {
            return (first.clone(), None);
        }
        let axis = ((i + turn) % (first.rank() + 1)) as isize;
        let all: Vec<&Tensor<f64>> = examples.iter().map(|example| &example[i]).collect();
        (Tensor::stack(&all, axis), Some(axis))
    };
    batched.iter().enumerate().map(input).unzip()
}

/// The inputs of one example.
fn example(all: &[Var<f64>], axes: &[Option<isize>], place: usize) -> Vec<Var<f64>> {
    let input = |(x, axis): (&Var<f64>, &Option<isize>)| {
        axis.map_or(x.clone(), |axis| x.select(axis, place as isize))
    };
    all.iter().zip(axes).map(input).collect()
}

fn looped(f: &Function, all: &[Var<f64>], axes: &[Option<isize>], count: usize) -> Var<f64> {
    let results: Vec<Var<f64>> = (0..count).map(|place| f(&example(all, axes, place))).collect();
    stack(&results.iter().collect::<Vec<_>>(), 0)
}

fn leaves(tensors: &[Tensor<f64>]) -> Vec<Var<f64>> {
    tensors.iter().map(Var::leaf).collect()
}

fn values_and_gradients(
    f: &Function,
    examples: &[Vec<Tensor<f64>>],
    batched: &[bool],
    turn: usize,
    seed: u64,
) -> Result<(), Failure> {
    let (tensors, axes) = inputs(examples, batched, turn);
    let all = leaves(&tensors);
    let refs: Vec<&Var<f64>> = all.iter().collect();
    let y = vmap(|x: &Examples<f64>| f(x), &refs, &axes);
    let expected = looped(f, &all, &axes, examples.len());
    assert_eq!(y.shape(), expected.shape(), "vmap gives another shape than a loop");
    compare(Law::Vmap, 0, y.value(), expected.value(), SUMS)?;
    if y.is_empty() || !y.is_tracked() && !expected.is_tracked() {
        return Ok(());
    }

    let cotangent = Tensor::randn(y.shape(), &mut seeded(seed));
    let [got, expected] = [&y, &expected].map(|y| gradients(y, &cotangent, &refs));
    compare_all(Law::Vmap, &got, &expected, SUMS)
}

fn gradients(y: &Var<f64>, cotangent: &Tensor<f64>, inputs: &[&Var<f64>]) -> Vec<Tensor<f64>> {
    // A variable without a tape has no gradients.
    let found = if y.is_tracked() { vjp(y, cotangent, inputs) } else { vec![None; inputs.len()] };
    let zeros = |(gradient, x): (Option<Var<f64>>, &&Var<f64>)| {
        gradient.map_or_else(|| Tensor::zeros(x.shape()), Var::into_value)
    };
    found.into_iter().zip(inputs).map(zeros).collect()
}

/// Each example's own gradients for all inputs, and their gradients.
fn gradients_inside(
    f: &Function,
    examples: &[Vec<Tensor<f64>>],
    batched: &[bool],
    seed: u64,
) -> Result<(), Failure> {
    let (tensors, axes) = inputs(examples, batched, 0);
    let all = leaves(&tensors);
    let refs: Vec<&Var<f64>> = all.iter().collect();
    let pullback = |x: &[Var<f64>]| -> Vec<Var<f64>> {
        let y = f(x);
        let refs: Vec<&Var<f64>> = x.iter().collect();
        let cotangent = Var::constant(Tensor::randn(y.shape(), &mut seeded(seed)));
        let found =
            if y.is_tracked() { vjp_create_graph(&y, &cotangent, &refs) } else { vec![None; x.len()] };
        let zeros = |(gradient, x): (Option<Var<f64>>, &Var<f64>)| {
            gradient.unwrap_or_else(|| Var::constant(Tensor::zeros(x.shape())))
        };
        found.into_iter().zip(x).map(zeros).collect()
    };
    let got = vmap(|x: &Examples<f64>| pullback(x), &refs, &axes);
    for (i, got) in got.iter().enumerate() {
        let expected = looped(&|x| pullback(x).swap_remove(i), &all, &axes, examples.len());
        compare(Law::Vmap, i, got.value(), expected.value(), SUMS)?;
        let cotangent = Tensor::randn(got.shape(), &mut seeded(seed));
        let [got, expected] = [got, &expected].map(|y| gradients(y, &cotangent, &refs));
        compare_all(Law::Vmap, &got, &expected, SUMS)?;
    }
    Ok(())
}

/// Two batches of examples.
fn nested(f: &Function, examples: &[Vec<Tensor<f64>>]) -> Result<(), Failure> {
    let (tensors, axes) = inputs(examples, &vec![true; examples[0].len()], 0);
    let all = leaves(&tensors);
    let expected = looped(f, &all, &axes, examples.len());
    let twice: Vec<Var<f64>> = all.iter().map(|x| stack(&[x, x], 0)).collect();
    let outer: Vec<Option<isize>> = vec![Some(0); twice.len()];
    let y = vmap(
        |x: &Examples<f64>| {
            let refs: Vec<&Var<f64>> = x.iter().collect();
            vmap(|x: &Examples<f64>| f(x), &refs, &axes)
        },
        &twice.iter().collect::<Vec<_>>(),
        &outer,
    );
    compare(Law::Vmap, 0, y.select(0, 1).value(), expected.value(), SUMS)
}
