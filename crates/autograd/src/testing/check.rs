//! The laws of gradients, each a few lines.

use gradus_tensor::{Tensor, Xoshiro256PlusPlus, seeded};

use super::error::{GradientError, Law};
use super::layout::relayout;
use super::replay::Replayed;
use crate::backward::{vjp, vjp_create_graph};
use crate::mode::keep_values;
use crate::operation::apply;
use crate::tape::Tape;
use crate::var::Var;

/// A function with any number of inputs and outputs.
pub(super) type Function<'a> = dyn Fn(&[Var<f64>]) -> Vec<Var<f64>> + 'a;

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
/// ```
/// use gradus_autograd::{Tensor, cat, testing::check_function};
///
/// check_function(&|xs| cat(&[&xs[0], &xs[1]], 0), &[Tensor::from([1.0, 2.0]), Tensor::from([3.0])])?;
/// # Ok::<(), gradus_autograd::testing::GradientError>(())
/// ```
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
    let Err(failure) = run_law(law, f, inputs, seed) else { return Ok(()) };
    let leaves: Vec<Var<f64>> = inputs.iter().map(Var::leaf).collect();
    let outputs = keep_values(|| f(&leaves));
    let tape: Vec<&'static str> =
        outputs.iter().flat_map(|y| Tape::of(y).iter().map(|e| e.operation()).collect::<Vec<_>>()).collect();
    for output in &outputs {
        for entry in Tape::of(output).entries().iter().filter(|entry| !entry.is_leaf()) {
            let values: Vec<Var<f64>> = entry
                .inputs
                .iter()
                .map(|input| Var::constant(input.value.value().expect("all were kept")))
                .collect();
            let tracked: Vec<usize> =
                (0..values.len()).filter(|&i| entry.inputs[i].entry.is_some()).collect();
            // The operation alone, as a function of its tracked inputs.
            let alone = |xs: &[Var<f64>]| {
                let mut values = values.clone();
                for (&i, x) in tracked.iter().zip(xs) {
                    values[i] = x.clone();
                }
                vec![apply(Replayed(entry.clone()), &values.iter().collect::<Vec<_>>())]
            };
            let inputs: Vec<Tensor<f64>> = tracked.iter().map(|&i| values[i].value().clone()).collect();
            if let Err(mut failure) = run_law(law, &alone, &inputs, seed) {
                if let Some(&input) = tracked.get(failure.input) {
                    failure.input = input;
                }
                let all: Vec<Tensor<f64>> = values.into_iter().map(Var::into_value).collect();
                return Err(failure.report(&all, Some(entry.name()), tape));
            }
        }
    }
    Err(failure.report(inputs, None, tape))
}

fn run_law(law: Law, f: &Function, inputs: &[Tensor<f64>], seed: u64) -> Result<(), Failure> {
    let rng = &mut seeded(seed);
    match law {
        Law::Deterministic => deterministic(f, inputs),
        Law::FirstOrder => first_order(law, f, inputs, rng),
        Law::SecondOrder => second_order(f, inputs, rng),
        Law::SymmetricHessian => symmetric_hessian(f, inputs, rng),
        Law::Recorded => recorded(f, inputs, rng),
        Law::Linear => linear(f, inputs, rng),
        Law::Subsets => subsets(f, inputs, rng),
        Law::Layout => layout(f, inputs, rng),
        Law::Precision => Ok(()),
    }
}

/// Where two numbers that should agree do not.
#[derive(Debug)]
pub(super) struct Failure {
    law: Law,
    input: usize,
    element: Vec<usize>,
    analytic: f64,
    numeric: f64,
}

impl Failure {
    pub(super) fn report(
        self,
        inputs: &[Tensor<f64>],
        operation: Option<&'static str>,
        tape: Vec<&'static str>,
    ) -> GradientError {
        let Self { law, input, element, analytic, numeric } = self;
        GradientError { law, operation, input, element, analytic, numeric, inputs: inputs.to_vec(), tape }
    }
}

/// How far numbers may differ: `relative` times the largest among them, or `floor` if that is larger.
#[derive(Clone, Copy)]
pub(super) struct Tolerance {
    pub(super) relative: f64,
    pub(super) floor: f64,
}

/// For the same computation in another order.
const ROUNDING: Tolerance = Tolerance { relative: 1e-11, floor: 1e-3 };

/// Compares tensors that should be equal; NaN agrees with NaN only.
pub(super) fn compare(
    law: Law,
    input: usize,
    got: &Tensor<f64>,
    expected: &Tensor<f64>,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    let magnitude = expected
        .iter()
        .chain(got.iter())
        .filter(|x| x.is_finite())
        .fold(tolerance.floor, |m, x| m.max(x.abs()));
    let wrong = |a: f64, b: f64| match (a == b, a.is_nan() && b.is_nan()) {
        (false, false) if (a - b).is_finite() => (a - b).abs() / (tolerance.relative * magnitude),
        (false, false) => f64::INFINITY,
        _ => 0.0,
    };
    let worst = got
        .iter()
        .zip(expected.iter())
        .map(|(a, b)| wrong(a, b))
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1));
    match worst {
        Some((at, excess)) if excess > 1.0 => Err(Failure {
            law,
            input,
            element: unravel(at, got.shape()),
            analytic: got.flatten().select(0, at as isize).item(),
            numeric: expected.flatten().select(0, at as isize).item(),
        }),
        _ => Ok(()),
    }
}

fn compare_all(
    law: Law,
    got: &[Tensor<f64>],
    expected: &[Tensor<f64>],
    tolerance: Tolerance,
) -> Result<(), Failure> {
    (0..got.len()).try_for_each(|i| compare(law, i, &got[i], &expected[i], tolerance))
}

/// The index of an element by its place in logical order.
fn unravel(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &size) in index.iter_mut().zip(shape).rev() {
        *i = place % size;
        place /= size;
    }
    index
}

fn randn_like(tensors: &[Tensor<f64>], rng: &mut Xoshiro256PlusPlus) -> Vec<Tensor<f64>> {
    tensors.iter().map(|tensor| Tensor::randn(tensor.shape(), rng)).collect()
}

/// <x, y>, and the sum of its terms without their signs: what rounding and tolerance are measured against.
fn contract(x: &[Tensor<f64>], y: &[Tensor<f64>]) -> (f64, f64) {
    let terms: Vec<f64> = x.iter().zip(y).flat_map(|(x, y)| (x * y).to_vec()).collect();
    (terms.iter().sum(), terms.iter().map(|term| term.abs()).sum())
}

/// The values at constant inputs.
fn values(f: &Function, inputs: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
    let constants: Vec<Var<f64>> = inputs.iter().map(Var::constant).collect();
    f(&constants).into_iter().map(Var::into_value).collect()
}

/// The gradients of the sum of <cotangent, output> over all outputs, at inputs of which some are tracked; zeros where there is
/// no path, and for the untracked.
fn gradients(
    f: &Function,
    inputs: &[Tensor<f64>],
    cotangents: &[Tensor<f64>],
    tracked: impl Fn(usize) -> bool,
) -> Vec<Tensor<f64>> {
    let vars: Vec<Var<f64>> = inputs
        .iter()
        .enumerate()
        .map(|(i, x)| if tracked(i) { Var::leaf(x) } else { Var::constant(x) })
        .collect();
    let leaves: Vec<&Var<f64>> = vars.iter().filter(|var| var.is_tracked()).collect();
    let mut sums: Vec<Tensor<f64>> = inputs.iter().map(|input| Tensor::zeros(input.shape())).collect();
    for (y, cotangent) in f(&vars).iter().zip(cotangents).filter(|(y, _)| y.is_tracked()) {
        let mut found = vjp(y, cotangent, &leaves).into_iter();
        for (i, sum) in sums.iter_mut().enumerate().filter(|(i, _)| tracked(*i)) {
            if let Some(gradient) = found.next().flatten() {
                assert_eq!(
                    gradient.shape(),
                    inputs[i].shape(),
                    "a gradient must have the shape of its variable"
                );
                *sum += gradient.value();
            }
        }
    }
    sums
}

/// The gradients of `f` as a function themselves: of the inputs followed by the cotangents.
fn pullback<'a>(f: &'a Function<'a>, inputs: usize) -> impl Fn(&[Var<f64>]) -> Vec<Var<f64>> + 'a {
    move |all| {
        let leaf = |var: &Var<f64>| if var.is_tracked() { var.clone() } else { Var::leaf(var.value()) };
        let xs: Vec<Var<f64>> = all[..inputs].iter().map(leaf).collect();
        let leaves: Vec<&Var<f64>> = xs.iter().collect();
        let mut sums: Vec<Option<Var<f64>>> = vec![None; inputs];
        for (y, cotangent) in f(&xs).iter().zip(&all[inputs..]).filter(|(y, _)| y.is_tracked()) {
            for (sum, gradient) in sums.iter_mut().zip(vjp_create_graph(y, cotangent, &leaves)) {
                *sum = match (sum.take(), gradient) {
                    (Some(sum), Some(gradient)) => Some(sum + gradient),
                    (sum, gradient) => sum.or(gradient),
                };
            }
        }
        sums.into_iter()
            .zip(&xs)
            .map(|(sum, x)| sum.unwrap_or_else(|| Tensor::zeros(x.shape()).into()))
            .collect()
    }
}

fn deterministic(f: &Function, inputs: &[Tensor<f64>]) -> Result<(), Failure> {
    compare_all(
        Law::Deterministic,
        &values(f, inputs),
        &values(f, inputs),
        Tolerance { relative: 0.0, floor: 1.0 },
    )
}

/// <u, Jv> by five-point differences equals <J'u, v>, for random u and v.
fn first_order(
    law: Law,
    f: &Function,
    inputs: &[Tensor<f64>],
    rng: &mut Xoshiro256PlusPlus,
) -> Result<(), Failure> {
    // In one direction in a hundred thousand a small error is hidden by chance; in two it is not.
    (0..2).try_for_each(|_| first_order_once(law, f, inputs, rng))
}

fn first_order_once(
    law: Law,
    f: &Function,
    inputs: &[Tensor<f64>],
    rng: &mut Xoshiro256PlusPlus,
) -> Result<(), Failure> {
    let outputs = values(f, inputs);
    let (cotangents, direction) = (randn_like(&outputs, rng), randn_like(inputs, rng));
    let gradients = gradients(f, inputs, &cotangents, |_| true);
    let (analytic, size) = contract(&gradients, &direction);
    if agrees(f, inputs, &direction, &cotangents, analytic, size).is_ok() {
        return Ok(());
    }
    // Element by element, to name the one that is most wrong.
    let mut worst: Option<(f64, Failure)> = None;
    for (input, gradient) in gradients.iter().enumerate() {
        for place in 0..gradient.len() {
            let mut direction: Vec<Tensor<f64>> = inputs.iter().map(|x| Tensor::zeros(x.shape())).collect();
            let mut unit = vec![0.0; gradient.len()];
            unit[place] = 1.0;
            direction[input] = Tensor::from(unit).reshape(gradient.shape());
            let analytic = gradient.flatten().select(0, place as isize).item();
            let Err(numeric) = agrees(f, inputs, &direction, &cotangents, analytic, analytic.abs()) else {
                continue;
            };
            let error =
                if (analytic - numeric).is_nan() { f64::INFINITY } else { (analytic - numeric).abs() };
            if worst.as_ref().is_none_or(|(largest, _)| error > *largest) {
                let element = unravel(place, gradient.shape());
                worst = Some((error, Failure { law, input, element, analytic, numeric }));
            }
        }
    }
    // A disagreement in one direction that no element shows is one of rounding.
    worst.map_or(Ok(()), |(_, failure)| Err(failure))
}

/// Whether a directional derivative agrees with five-point differences, at one of several step sizes: large
/// ones are blind to a kink nearby, small ones lose digits. A wrong rule disagrees at all of them. Otherwise
/// gives the value of the first.
fn agrees(
    f: &Function,
    inputs: &[Tensor<f64>],
    direction: &[Tensor<f64>],
    cotangents: &[Tensor<f64>],
    analytic: f64,
    size: f64,
) -> Result<(), f64> {
    const TOLERANCE: f64 = 1e-7;
    // Of a constant that is the difference of numbers of order one, rounding is all there is to see.
    const FLOOR: f64 = 1e-4;
    let at = |t: f64| {
        let moved: Vec<Tensor<f64>> = inputs.iter().zip(direction).map(|(x, v)| x + v * t).collect();
        values(f, &moved)
    };
    let mut first = None;
    for h in [1e-3, 1e-4, 1e-5, 1e-6] {
        let points = [at(-2.0 * h), at(-h), at(h), at(2.0 * h)];
        let (mut numeric, mut scale, mut rounding) = (0.0, size, 0.0);
        for (j, u) in cotangents.iter().enumerate() {
            let [a, b, c, d] = [&points[0][j], &points[1][j], &points[2][j], &points[3][j]];
            for ((((u, a), b), c), d) in u.iter().zip(a).zip(b).zip(c).zip(d) {
                let term = u * ((a - d) + 8.0 * (c - b)) / (12.0 * h);
                numeric += term;
                scale += term.abs();
                rounding += (u * c).abs() * f64::EPSILON / h;
            }
        }
        if (analytic - numeric).abs() <= TOLERANCE * (scale + FLOOR) + 4.0 * rounding {
            return Ok(());
        }
        first.get_or_insert(numeric);
    }
    Err(first.unwrap_or(f64::NAN))
}

/// The gradient is itself a function of inputs and cotangents, whose gradient agrees with differences.
fn second_order(f: &Function, inputs: &[Tensor<f64>], rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = randn_like(&values(f, inputs), rng);
    let all = [inputs, &cotangents[..]].concat();
    first_order(Law::SecondOrder, &pullback(f, inputs.len()), &all, rng)
}

/// <Hv, w> = <v, Hw> for the Hessian of <u, f>.
fn symmetric_hessian(
    f: &Function,
    inputs: &[Tensor<f64>],
    rng: &mut Xoshiro256PlusPlus,
) -> Result<(), Failure> {
    let cotangents = randn_like(&values(f, inputs), rng);
    let all = [inputs, &cotangents[..]].concat();
    let pullback = pullback(f, inputs.len());
    let (v, w) = (randn_like(inputs, rng), randn_like(inputs, rng));
    let of_inputs = |i: usize| i < inputs.len();
    let (hv, hw) = (gradients(&pullback, &all, &v, of_inputs), gradients(&pullback, &all, &w, of_inputs));
    let ((analytic, size), (numeric, _)) = (contract(&hv, &w), contract(&hw, &v));
    if (analytic - numeric).abs() <= 1e-10 * (size + 1e-3) {
        return Ok(());
    }
    Err(Failure { law: Law::SymmetricHessian, input: 0, element: Vec::new(), analytic, numeric })
}

fn recorded(f: &Function, inputs: &[Tensor<f64>], rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = randn_like(&values(f, inputs), rng);
    let plain = gradients(f, inputs, &cotangents, |_| true);
    let recorded = values(&pullback(f, inputs.len()), &[inputs, &cotangents[..]].concat());
    compare_all(Law::Recorded, &recorded, &plain, ROUNDING)
}

fn linear(f: &Function, inputs: &[Tensor<f64>], rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let outputs = values(f, inputs);
    let (u, w) = (randn_like(&outputs, rng), randn_like(&outputs, rng));
    let combined: Vec<Tensor<f64>> = u.iter().zip(&w).map(|(u, w)| u * 3.0 + w).collect();
    let of = |cotangents: &[Tensor<f64>]| gradients(f, inputs, cotangents, |_| true);
    let expected: Vec<Tensor<f64>> = of(&u).iter().zip(of(&w)).map(|(u, w)| u * 3.0 + w).collect();
    compare_all(Law::Linear, &of(&combined), &expected, ROUNDING)
}

fn subsets(f: &Function, inputs: &[Tensor<f64>], rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = randn_like(&values(f, inputs), rng);
    let all = gradients(f, inputs, &cotangents, |_| true);
    // All subsets of up to four inputs; of more, only those without one of the first four.
    let count = inputs.len().min(4) as u32;
    for left_out in 1..1_u32 << count {
        let tracked = |i: usize| i >= 4 || left_out & (1 << i) == 0;
        let some = gradients(f, inputs, &cotangents, tracked);
        for i in (0..inputs.len()).filter(|&i| tracked(i)) {
            compare(Law::Subsets, i, &some[i], &all[i], ROUNDING)?;
        }
    }
    Ok(())
}

/// Every input, and every cotangent, in several layouts with NaN in the gaps, and with an axis repeated by a
/// stride of 0.
fn layout(f: &Function, inputs: &[Tensor<f64>], rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = randn_like(&values(f, inputs), rng);
    let contiguous: Vec<Tensor<f64>> = inputs.iter().map(|x| relayout(x, 0, f64::NAN)).collect();
    let same = |views: &[Tensor<f64>], copies: &[Tensor<f64>], cotangent_views: &[Tensor<f64>]| {
        compare_all(Law::Layout, &values(f, views), &values(f, copies), ROUNDING)?;
        let got = gradients(f, views, cotangent_views, |_| true);
        compare_all(Law::Layout, &got, &gradients(f, copies, &cotangents, |_| true), ROUNDING)
    };
    // Bits of `relayout`: axes reversed; in steps, embedded and turned; all of it.
    for bits in [0o1111, 0o7_6666, 0o3_5757] {
        let view = |x: &Tensor<f64>| relayout(x, bits, f64::NAN);
        let views: Vec<Tensor<f64>> = contiguous.iter().map(view).collect();
        same(&views, &contiguous, &cotangents.iter().map(view).collect::<Vec<_>>())?;
    }
    for (i, input) in contiguous.iter().enumerate() {
        for axis in (0..input.rank() as isize).filter(|&axis| input.shape()[axis as usize] > 1) {
            let (mut views, mut copies) = (contiguous.clone(), contiguous.clone());
            views[i] = input.slice(axis, 0..1).expand(input.shape());
            copies[i] = views[i].contiguous();
            same(&views, &copies, &cotangents)?;
        }
    }
    Ok(())
}
