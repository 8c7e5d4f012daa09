//! The laws of gradients, each a few lines.

use gradus_tensor::shapes::place_of;
use gradus_tensor::{Tensor, Xoshiro256PlusPlus};

use super::error::Law;
use super::layout::relayout;
use super::measure::{EXACT, Failure, Point, ROUNDING, compare, compare_all, contract, pullback, randn_like};
use crate::engine::jvp;
use crate::scalar::traced;
use crate::tape::{Tape, Var, keep_values};

pub(super) fn deterministic(at: Point) -> Result<(), Failure> {
    compare_all(Law::Deterministic, &at.values(), &at.values(), EXACT)
}

/// <u, Jv> by five-point differences equals <J'u, v>, for random u and v.
pub(super) fn first_order(law: Law, at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    // In one direction in a hundred thousand a small error is hidden by chance; in two it is not.
    (0..2).try_for_each(|_| first_order_once(law, at, rng))
}

fn first_order_once(law: Law, at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let (cotangents, direction) = (at.cotangents(rng), randn_like(at.inputs, rng));
    let gradients = at.gradients(&cotangents);
    let (analytic, size) = contract(&gradients, &direction);
    if agrees(at, &direction, &cotangents, analytic, size).is_ok() {
        return Ok(());
    }
    // Element by element, to name the one that is most wrong.
    let mut worst: Option<(f64, Failure)> = None;
    for (input, gradient) in gradients.iter().enumerate() {
        for place in 0..gradient.len() {
            let mut direction: Vec<Tensor<f64>> =
                at.inputs.iter().map(|x| Tensor::zeros(x.shape())).collect();
            let mut unit = vec![0.0; gradient.len()];
            unit[place] = 1.0;
            direction[input] = Tensor::from(unit).reshape(gradient.shape());
            let analytic = gradient.flatten(..).select(0, place as isize).item();
            let Err(numeric) = agrees(at, &direction, &cotangents, analytic, analytic.abs()) else {
                continue;
            };
            let error =
                if (analytic - numeric).is_nan() { f64::INFINITY } else { (analytic - numeric).abs() };
            if worst.as_ref().is_none_or(|(largest, _)| error > *largest) {
                let element = place_of(place, gradient.shape()).to_vec();
                worst = Some((error, Failure { law, input, element, analytic, numeric }));
            }
        }
    }
    // A disagreement in one direction that no element shows is one of rounding.
    worst.map_or(Ok(()), |(_, failure)| Err(failure))
}

/// Whether a directional derivative agrees with five-point differences, at one of several step sizes: large
/// ones are blind to a kink nearby, small ones lose digits (the last is for kinks within a millionth). A wrong rule disagrees at all of them. Otherwise
/// gives the value of the first.
fn agrees(
    point: Point,
    direction: &[Tensor<f64>],
    cotangents: &[Tensor<f64>],
    analytic: f64,
    size: f64,
) -> Result<(), f64> {
    const TOLERANCE: f64 = 1e-7;
    // Of a constant that is the difference of numbers of order one, rounding is all there is to see.
    const FLOOR: f64 = 1e-4;
    let at = |t: f64| {
        let moved: Vec<Tensor<f64>> = point.inputs.iter().zip(direction).map(|(x, v)| x + v * t).collect();
        Point { inputs: &moved, ..point }.values()
    };
    let mut first = None;
    for h in [1e-3, 1e-4, 1e-5, 1e-6, 1e-8] {
        let points = [at(-2.0 * h), at(-h), at(h), at(2.0 * h)];
        let (mut numeric, mut scale, mut rounding) = (0.0, size, 0.0);
        for (j, u) in cotangents.iter().enumerate() {
            let [a, b, c, d] = [&points[0][j], &points[1][j], &points[2][j], &points[3][j]];
            for ((((u, a), b), c), d) in u.iter().zip(a).zip(b).zip(c).zip(d) {
                let term = u * ((a - d) + 8.0 * (c - b)) / (12.0 * h);
                numeric += term;
                scale += term.abs();
                // The last step gets no more allowance than the one before: it must not hide an error.
                rounding += (u * c).abs() * f64::EPSILON / h.max(1e-6);
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
pub(super) fn second_order(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let all = [at.inputs, &at.cotangents(rng)[..]].concat();
    first_order(Law::SecondOrder, Point { f: &pullback(at.f, at.inputs.len()), inputs: &all }, rng)
}

/// <Hv, w> = <v, Hw> for the Hessian of <u, f>.
pub(super) fn symmetric_hessian(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let all = [at.inputs, &at.cotangents(rng)[..]].concat();
    let gradient = Point { f: &pullback(at.f, at.inputs.len()), inputs: &all };
    let [v, w] = [(); 2].map(|()| randn_like(at.inputs, rng));
    let [hv, hw] = [&v, &w].map(|direction| gradient.gradients_of(direction, |i| i < at.inputs.len()));
    let ((analytic, size), (numeric, _)) = (contract(&hv, &w), contract(&hw, &v));
    if (analytic - numeric).abs() <= 1e-10 * (size + 1e-3) {
        return Ok(());
    }
    Err(Failure::of_number(Law::SymmetricHessian, analytic, numeric))
}

pub(super) fn recorded(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = at.cotangents(rng);
    let all = [at.inputs, &cotangents[..]].concat();
    let recorded = Point { f: &pullback(at.f, at.inputs.len()), inputs: &all }.values();
    compare_all(Law::Recorded, &recorded, &at.gradients(&cotangents), ROUNDING)
}

/// <u, Jv> by forward mode equals <J'u, v> by reverse mode, without any step size.
pub(super) fn forward_mode(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let (cotangents, directions) = (at.cotangents(rng), randn_like(at.inputs, rng));
    let leaves: Vec<Var<f64>> = at.inputs.iter().map(Var::leaf).collect();
    let leaf_refs: Vec<&Var<f64>> = leaves.iter().collect();
    let tangents: Vec<Tensor<f64>> =
        (at.f)(&leaves).iter().map(|y| jvp(y, &leaf_refs, &directions)).collect();
    let (numeric, tangent_size) = contract(&cotangents, &tangents);
    let (analytic, size) = contract(&at.gradients(&cotangents), &directions);
    if (analytic - numeric).abs() <= 1e-12 * (size + tangent_size + 1.0) {
        return Ok(());
    }
    Err(Failure::of_number(Law::ForwardMode, analytic, numeric))
}

pub(super) fn linear(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let [u, w] = [(); 2].map(|()| at.cotangents(rng));
    let combined: Vec<Tensor<f64>> = u.iter().zip(&w).map(|(u, w)| u * 3.0 + w).collect();
    let terms = at.gradients(&u).into_iter().zip(at.gradients(&w));
    let expected: Vec<Tensor<f64>> = terms.map(|(u, w)| u * 3.0 + w).collect();
    compare_all(Law::Linear, &at.gradients(&combined), &expected, ROUNDING)
}

pub(super) fn subsets(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = at.cotangents(rng);
    let all = at.gradients(&cotangents);
    // All subsets of up to four inputs; of more, only those without one of the first four.
    let count = at.inputs.len().min(4) as u32;
    for left_out in 1..1_u32 << count {
        let tracked = |i: usize| i >= 4 || left_out & (1 << i) == 0;
        let some = at.gradients_of(&cotangents, tracked);
        for i in (0..at.inputs.len()).filter(|&i| tracked(i)) {
            compare(Law::Subsets, i, &some[i], &all[i], ROUNDING)?;
        }
    }
    Ok(())
}

/// Every input, and every cotangent, in several layouts with NaN in the gaps, and with an axis repeated by a
/// stride of 0.
pub(super) fn layout(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = at.cotangents(rng);
    let contiguous: Vec<Tensor<f64>> = at.inputs.iter().map(|x| relayout(x, 0, f64::NAN)).collect();
    let same = |views: &[Tensor<f64>], copies: &[Tensor<f64>], cotangent_views: &[Tensor<f64>]| {
        let (views, copies) = (Point { inputs: views, ..at }, Point { inputs: copies, ..at });
        compare_all(Law::Layout, &views.values(), &copies.values(), ROUNDING)?;
        let got = views.gradients(cotangent_views);
        compare_all(Law::Layout, &got, &copies.gradients(&cotangents), ROUNDING)
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

/// Expressions of all elementwise operations behind values and gradients.
pub(super) fn expression(at: Point, rng: &mut Xoshiro256PlusPlus) -> Result<(), Failure> {
    let cotangents = at.cotangents(rng);
    let leaves: Vec<Var<f64>> = at.inputs.iter().chain(&cotangents).map(Var::leaf).collect();
    let results = keep_values(|| {
        let mut results = (at.f)(&leaves[..at.inputs.len()]);
        results.extend(pullback(at.f, at.inputs.len())(&leaves));
        results
    });
    for node in results.iter().flat_map(|y| Tape::of(y).nodes().to_vec()) {
        let Some(expression) = node.operation().and_then(|operation| operation.expression()) else {
            continue;
        };
        let operands: Vec<Tensor<f64>> = node
            .inputs
            .iter()
            .map(|input| input.value.value().expect("all were kept").expand(&node.shape))
            .collect();
        let output = node.output.clone().expect("it was kept");
        let elements: Vec<Vec<f64>> = operands.iter().map(Tensor::to_vec).collect();
        let numbers: Vec<f64> = (0..output.len())
            .map(|i| expression.evaluate(&elements.iter().map(|operand| operand[i]).collect::<Vec<_>>()))
            .collect();
        let variables: Vec<Var<f64>> = operands.into_iter().map(Var::from).collect();
        let numbers = Tensor::from(numbers).reshape(output.shape());
        compare(Law::Expression, 0, &numbers, &output, EXACT)?;
        let read = traced(&variables, |x| expression.read(x)).into_value().expand(output.shape());
        compare(Law::Expression, 0, &read, &output, EXACT)?;
    }
    Ok(())
}
