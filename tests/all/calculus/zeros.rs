//! Zero times infinity: what a result does not depend on has no influence on derivatives, whatever it holds.

use gradus::testing::{Sample, cases};
use gradus::{PadMode, Tensor, Var, jvp, vjp, vjp_create_graph};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRng, TestRunner};

use super::jet;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// What derivatives of elementwise functions are likely to be infinite or NaN at.
const SPECIAL: [f64; 12] = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 1e308, -1e308, 1e-310, -1000.0, 1000.0];

/// Elementwise operations that are not declared with a macro. Some losses are without a reduction.
const OTHERS: [&str; 19] = [
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "multiply_no_nan",
    "polygamma",
    "lerp",
    "addcmul",
    "prelu",
    "where_",
    "masked_fill",
    "mse_loss",
    "l1_loss",
    "huber_loss",
    "smooth_l1_loss",
    "kl_div",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
];

/// Numbers from 0 to 1, others in each call.
fn random(shape: &[usize], rng: &mut gradus::Xoshiro256PlusPlus) -> Tensor<f64> {
    Tensor::rand(shape, rng)
}

/// Some elements replaced by special ones.
fn spoilt(x: &Tensor<f64>, rng: &mut gradus::Xoshiro256PlusPlus) -> Tensor<f64> {
    let special = random(x.shape(), rng).map(|u| SPECIAL[(u * SPECIAL.len() as f64) as usize]);
    random(x.shape(), rng).lt(0.8).where_(special, x)
}

/// Some elements replaced by zeros.
fn thinned(x: &Tensor<f64>, rng: &mut gradus::Xoshiro256PlusPlus) -> Tensor<f64> {
    random(x.shape(), rng).lt(0.5).where_(0.0, x)
}

/// Whether a gradient is 0 wherever each result that depends on the element has a cotangent of 0.
fn is_zero_without_cotangent(gradient: &Tensor<f64>, cotangent: &Tensor<f64>) -> bool {
    let live = cotangent.ne(0.0).cast::<f64>().sum_to_size(gradient.shape()).ne(0.0);
    gradient.eq(0.0).logical_or(&live).all(..).item()
}

/// A cotangent of 0 stays 0, in a pass that is recorded and in one that is not, to second order; and so does a tangent.
fn hold_zeros(sample: &Sample, seed: u64) -> Result<(), String> {
    let mut rng = gradus::seeded(seed);
    let inputs: Vec<Tensor<f64>> = sample.inputs().iter().map(|x| spoilt(x, &mut rng)).collect();
    let leaves: Vec<Var<f64>> = inputs.iter().map(Var::leaf).collect();
    let all: Vec<&Var<f64>> = leaves.iter().collect();
    let y = sample.run_on(&leaves);
    // The slopes of `prelu` belong to channels and do not broadcast; nor does what a loss reduces.
    let broadcasts = |x: &Tensor<f64>| {
        gradus::broadcast_shapes("", x.shape(), y.shape()).is_ok_and(|common| common[..] == *y.shape())
    };
    if !y.is_tracked() || !inputs.iter().all(broadcasts) || y.shape() != inputs[0].shape() && y.rank() == 0 {
        return Ok(());
    }
    let cotangent = thinned(&Tensor::randn(y.shape(), &mut rng), &mut rng);
    let fail = |what: &str, got: &Tensor<f64>| {
        Err(format!("{what} is {got:?} for the cotangent {cotangent:?}, at {inputs:?}"))
    };
    for gradient in vjp(&y, &cotangent, &all).iter().flatten() {
        if !is_zero_without_cotangent(gradient.value(), &cotangent) {
            return fail("the gradient", gradient.value());
        }
    }
    let seed = Var::leaf(&cotangent);
    for gradient in vjp_create_graph(&y, &seed, &all).iter().flatten() {
        if !is_zero_without_cotangent(gradient.value(), &cotangent) {
            return fail("the recorded gradient", gradient.value());
        }
        if !gradient.is_tracked() {
            continue;
        }
        let weight = Tensor::randn(gradient.shape(), &mut rng);
        for (second, x) in vjp(gradient, &weight, &all).iter().zip(&inputs) {
            // Broadcast operands sum over several results; elements that have one each tell enough.
            if let Some(second) =
                second.as_ref().filter(|_| gradient.shape() == y.shape() && x.shape() == y.shape())
                && !is_zero_without_cotangent(second.value(), &cotangent)
            {
                return fail("the second gradient", second.value());
            }
        }
    }
    let still = random(y.shape(), &mut rng).lt(0.5);
    let tangents: Vec<Tensor<f64>> = inputs
        .iter()
        .map(|x| {
            let tangent = Tensor::randn(x.shape(), &mut rng);
            if x.shape() == y.shape() { still.where_(0.0, tangent) } else { Tensor::zeros(x.shape()) }
        })
        .collect();
    let change = jvp(&y, &all, &tangents);
    if change.eq(0.0).logical_or(still.logical_not()).all(..).item() {
        Ok(())
    } else {
        Err(format!("the tangent is {change:?}, at {inputs:?} with the tangents {tangents:?}"))
    }
}

#[test]
fn a_cotangent_of_zero_stays_zero() {
    let mut names = crate::registry::elementwise_operations();
    assert!(names.len() > 60, "only {} were found", names.len());
    names.extend(OTHERS.map(String::from));
    let rng = TestRng::deterministic_rng(Config::default().rng_algorithm);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut failures = Vec::new();
    for case in cases().iter().filter(|case| names.remove(case.name) || OTHERS.contains(&case.name)) {
        let failure = (0..100).find_map(|seed| {
            let sample = case.samples.new_tree(&mut runner).unwrap().current();
            hold_zeros(&sample, seed).err()
        });
        failures.extend(failure.map(|failure| format!("{}: {failure}", case.name)));
    }
    assert!(names.is_empty(), "without a case: {names:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// A vector of a variable and a constant.
fn beside(x: &Var<f64>, constant: f64) -> Var<f64> {
    x.reshape([1]).pad([[0, 1]], PadMode::Constant(constant))
}

/// A gate that is closed lets nothing through.
#[test]
fn closed_gates() {
    type Gate = fn(&Var<f64>) -> Var<f64>;
    let gates: [(&str, Gate, f64); 20] = [
        ("relu", |x| x.relu(), -1.0),
        ("relu6", |x| x.relu6(), 7.0),
        ("hardtanh", |x| x.hardtanh(-1.0, 1.0), 2.0),
        ("clamp", |x| x.clamp(-1.0, 1.0), -2.0),
        ("hardsigmoid", |x| x.hardsigmoid(), -4.0),
        ("hardswish", |x| x.hardswish(), -4.0),
        ("leaky_relu", |x| x.leaky_relu(0.0), -1.0),
        ("prelu", |x| x.prelu([0.0]), -1.0),
        ("prelu's slope", |slope| Var::constant([2.0]).prelu(slope.reshape([1])).sum(..), 0.5),
        ("maximum", |x| x.maximum(1.0), 0.0),
        ("minimum", |x| Var::constant(Tensor::from(1.0)).minimum(x), 2.0),
        ("floor", |x| x.floor(), 0.5),
        ("sign", |x| x.sign(), 0.5),
        ("floor_divide", |x| x.floor_divide(1.0), 0.5),
        ("remainder", |x| Var::constant(Tensor::from(1.0)).remainder(x), 2.0),
        ("where_", |x| Var::where_(Tensor::from(false), x, 1.0), 0.5),
        ("masked_fill", |x| x.masked_fill(Tensor::from(true), 1.0), 0.5),
        ("multiply_no_nan", |x| x.multiply_no_nan(0.0), 0.5),
        ("max", |x| beside(x, 9.0).max(..), 0.5),
        ("softmax", |x| beside(x, 2000.0).softmax(0).sum(..), 0.5),
    ];
    for (name, gate, x) in gates {
        for cotangent in [NAN, INF, -INF] {
            let leaf = Var::leaf(Tensor::from(x));
            let (y, cotangent) = (gate(&leaf), Tensor::from(cotangent));
            let Some(plain) = vjp(&y, &cotangent, &[&leaf]).remove(0) else { continue };
            let recorded = vjp_create_graph(&y, &Var::constant(&cotangent), &[&leaf]).remove(0).unwrap();
            assert_eq!([plain.item(), recorded.item()], [0.0, 0.0], "{name}, cotangent {cotangent:?}");
        }
        // The cotangent of the gate is infinite.
        let [_, first, second] = jet(|x| (gate(x) - gate(x).detach()).sqrt(), x);
        assert_eq!([first, second], [0.0, 0.0], "{name}");
    }
}

/// A derivative that happens to be 0 is no closed gate: infinity times 0 is honest there.
#[test]
fn a_derivative_of_zero_is_not_a_gate() {
    assert!(jet(|x| x.square().sqrt(), 0.0)[1].is_nan());
    assert!(jet(|x| x.square() * INF, 0.0)[1].is_nan());
    assert!(jet(|x| x * 0.0, NAN)[0].is_nan());
}

/// Branches whose derivative is infinite or NaN where they are not chosen: values and derivatives are those of the
/// other branch.
#[test]
fn branches_that_are_not_chosen() {
    type Function = fn(&Var<f64>) -> Var<f64>;
    let branches: [(Function, f64); 9] = [
        (|x| x.sqrt(), 0.0),
        (|x| x * x.log(), 0.0),
        (|x| x.log(), 0.0),
        (|x| x.reciprocal(), 0.0),
        (|x| 1.0 / x, 0.0),
        (|x| x / x, 0.0),
        (|x| x.pow_scalar(0.5), 0.0),
        (|x| x.sin() / x, 0.0),
        (|x| x.square().sum(..).sqrt(), 0.0),
    ];
    for (branch, x) in branches {
        let chosen = |x: &Var<f64>| Var::where_(x.value().gt(0.0), branch(x), x * 3.0);
        assert_eq!(jet(chosen, x), [3.0 * x, 3.0, 0.0]);
        let x = Var::leaf(Tensor::from(x));
        assert_eq!(jvp(&chosen(&x), &[&x], &[Tensor::from(1.0)]).item(), 3.0);
    }
    // The logistic function by its formula, far out: e^1000 is infinite.
    assert_eq!(jet(|x| 1.0 / (1.0 + (-x).exp()), -1000.0)[..2], [0.0, 0.0]);
}
