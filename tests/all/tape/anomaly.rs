//! The first number that is not finite is named, with operation, layer and line, forward and backward.

#![allow(clippy::eq_op, reason = "a difference of equals is a 0 with a gradient")]

use gradus::prelude::*;
use gradus::testing::{shapes, tensors};
use gradus::{grad_create_graph, name_layers, scope};
use proptest::prelude::*;

use crate::messages::panic_of;

type Step = fn(&Var<f64>) -> Var<f64>;

/// Steps whose results and slopes are neither infinite nor 0.
const HARMLESS: [Step; 6] =
    [|x| x.tanh(), |x| x.sin() + 0.1, |x| x * 0.5 + 1.0, |x| x.sigmoid(), |x| x.tanh().exp(), |x| x.atan()];

/// A step with a bad result, the operation that makes it, and the line.
const BAD: [(Step, &str, &str, u32); 5] = [
    (|x| (x * 0.0 - 1.0).log(), "log", "NaN", line!()),
    (|x| (x * 0.0 - 1.0).sqrt(), "sqrt", "NaN", line!()),
    (|x| (x * 0.0 + 1e3).exp(), "exp", "inf", line!()),
    (|x| 1.0 / (x * 0.0).abs(), "div", "inf", line!()),
    (|x| (x * 0.0) / (x * 0.0), "div", "NaN", line!()),
];

/// A step whose result is finite and whose gradient is not.
const STEEP: [(Step, &str, u32); 3] = [
    (|x| (x - x).sqrt(), "sqrt", line!()),
    (|x| (x - x).pow(0.5), "pow", line!()),
    (|x| (x - x + 1.0).acos(), "acos", line!()),
];

fn chain(steps: &[usize], x: Var<f64>) -> Var<f64> {
    steps.iter().fold(x, |x, &step| HARMLESS[step](&x))
}

fn steps() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..HARMLESS.len(), 0..6)
}

proptest! {
    /// Of a chain with one bad step, the message names this step, its line, and the place.
    #[test]
    fn the_culprit_is_found(
        x in tensors(shapes(1..=3, 1..=3), -2.0..2.0), before in steps(), after in steps(), bad in 0..BAD.len(),
    ) {
        let (bad, name, number, line) = BAD[bad];
        let leaf = Var::leaf(&x);
        let run = || detect_anomaly(|| chain(&after, bad(&chain(&before, leaf.clone()))));
        let (message, _, _) = panic_of(run);
        let first = vec![0; x.rank()];
        let start = format!("forward: element {first:?} of the result of `{name}` is {number}, from finite inputs; there input 0 is ");
        prop_assert!(message.starts_with(&start), "{}", message);
        let end = format!("; `{name}` was called at {}:{line}:", file!());
        prop_assert!(message.contains(&end), "{}", message);
    }

    /// The same for gradients.
    #[test]
    fn the_culprit_of_a_gradient_is_found(
        x in tensors(shapes(1..=3, 1..=3), -2.0..2.0), before in steps(), after in steps(), steep in 0..STEEP.len(),
    ) {
        let (steep, name, line) = STEEP[steep];
        let leaf = Var::leaf(&x);
        let run = || detect_anomaly(|| chain(&after, steep(&chain(&before, leaf.clone()))).sum(..).backward());
        let (message, _, _) = panic_of(run);
        let start = format!("backward: the gradient of `{name}` for element ");
        prop_assert!(message.starts_with(&start), "{}", message);
        let end = format!("; `{name}` was called at {}:{line}:", file!());
        prop_assert!(message.contains(&end), "{}", message);
    }
}

/// The message of a panic, with the line of the call in place of `HERE`.
#[track_caller]
fn says<R>(action: impl FnOnce() -> R, expected: &str) {
    let here = std::panic::Location::caller();
    let (message, _, _) = panic_of(|| detect_anomaly(action));
    // The column is not of interest.
    let (front, back) =
        message.split_once(&format!("{}:{}:", here.file(), here.line())).unwrap_or_else(|| {
            panic!("the line {here} is not in: {message}");
        });
    let back = back.trim_start_matches(|c: char| c.is_ascii_digit());
    assert_eq!(format!("{front}HERE{back}"), expected);
}

#[test]
fn operators_and_methods() {
    let (x, zero) = (Var::leaf(Tensor::from([1.0, 0.0])), Var::constant([0.0, 1.0]));
    let one = "from finite inputs; there input 0 is";
    let div = format!(
        "forward: element [0] of the result of `div` is inf, {one} 1 and input 1 is 0; `div` was called at HERE"
    );
    says(|| &x / &zero, &div);
    says(|| x.clone() / zero.clone(), &div);
    let log = |operation: &str, number: &str| {
        format!(
            "forward: element [1] of the result of `{operation}` is {number}, {one} 0; `{operation}` was called at HERE"
        )
    };
    says(|| x.log(), &log("log", "-inf"));
    says(|| x.reciprocal(), &log("reciprocal", "inf"));
    says(|| x.pow(-1.0), &log("pow", "inf").replace("is 0;", "is 0 and input 1 is -1;"));
    // Constants are not on the tape, and are looked at all the same.
    says(|| zero.log(), &log("log", "-inf").replace("[1]", "[0]"));
    let product =
        "forward: element [] of the result of `dot` is inf, from finite inputs; `dot` was called at HERE";
    let huge = Var::leaf(Tensor::from([1e200, 1.0]));
    says(|| huge.dot(&huge), product);
    says(|| scope("head", || huge.dot(&huge)), &format!("{product}, in `head`"));
}

/// Gradients that are finite each, and infinite together.
#[test]
fn sums_of_gradients() {
    let x = Var::leaf(Tensor::from([0.1_f32, 0.0]));
    let huge = Tensor::from([3e38_f32, 1.0]);
    let of = |kind: &str| {
        format!(
            "backward: the gradient for element [0] of the result of `{kind}` is inf, a sum of finite gradients"
        )
    };
    let (message, _, _) = panic_of(|| detect_anomaly(|| (&x * &huge + &x * &huge).sum(..).backward()));
    assert_eq!(message, of("leaf"));
    let loss = || {
        let y = x.sin();
        (&y * &huge + &y * &huge).sum(..)
    };
    let (message, _, _) = panic_of(|| detect_anomaly(|| loss().backward()));
    assert!(message.starts_with(&(of("sin") + "; `sin` was called at ")), "{message}");
    let (message, _, _) = panic_of(|| detect_anomaly(|| gradus::grad_create_graph(&loss(), &[&x])));
    assert!(message.starts_with(&of("sin")), "{message}");
}

#[test]
fn numbers_that_come_in() {
    let data = Var::constant([[1.0, f64::NAN]]);
    let message = "forward: element [0, 1] of the result of `exp` is NaN, as element [0, 1] of input 0 was NaN already; \
                   `exp` was called at HERE";
    says(|| data.exp(), message);
    let infinite = Var::constant([f64::INFINITY]);
    let message = "forward: element [0] of the result of `sub` is NaN, as element [0] of input 0 was infinite already; `sub` \
                   was called at HERE";
    says(|| &infinite - &infinite, message);
}

/// A mask of minus infinity is meant so, and so is an attribute.
#[test]
fn infinities_on_purpose() {
    let x = Var::leaf(Tensor::<f64>::ones([2, 3, 4]));
    detect_anomaly(|| {
        let mask = Tensor::from([[true, false, true], [true, true, true], [false, false, false]]);
        let y = x.scaled_dot_product_attention(&x, &x, Some((&mask).into()), true, None);
        let masked = x.masked_fill(Tensor::from([true, false, true, false]), -f64::INFINITY).softmax(-1);
        let gradients = (y + masked + x.clamp(-f64::INFINITY, 3.0)).sum(..).backward();
        assert!(gradients.get(&x).unwrap().isfinite().all(..).item());
    });
}

#[test]
fn layers_and_losses() {
    let rng = &mut seeded(0);
    let mut model =
        Sequential::<f64>::new().push(Linear::new(3, 3, rng)).push(Linear::new(3, 3, rng)).push(Relu);
    let x = Tensor::<f64>::ones([2, 3]);
    if let Some(weight) = model.layers[1].parameters_mut().into_iter().next() {
        weight.set(Tensor::full([3, 3], f64::NAN));
    }
    let message = "forward: element [0, 0] of the result of `linear` is NaN, as element [0, 0] of input 1 was NaN already; \
                   `linear` was called at HERE, in `1` (Linear)";
    let named = || {
        name_layers(&model);
    };
    says(|| (named(), model.forward(&x)), message);
    says(|| model.forward(&x), &message.replace("`1` (Linear)", "`Sequential > Linear`"));
    let block = TransformerBlock::<f64>::new(4, 2, 8, rng);
    let y = Tensor::full([2, 5, 4], f64::NAN);
    let message = "forward: element [0, 0, 0] of the result of `layer_norm` is NaN, as element [0, 0, 0] of input 0 was NaN \
                   already; `layer_norm` was called at HERE, in `norm1` (LayerNorm)";
    says(|| (name_layers(&block), block.forward(&y, None, false)), message);
    let attention = MultiheadAttention::<f64>::new(4, 2, rng);
    let message = "forward: element [0, 0, 0] of the result of `linear` is NaN, as element [0, 0, 0] of input 0 was NaN \
                   already; `linear` was called at HERE, in `MultiheadAttention`";
    says(|| attention.forward(&y, None, false), message);
    let lstm = Lstm::<f64>::new(4, 3, 1, rng);
    says(|| lstm.forward(&y, None), &message.replace("MultiheadAttention", "Lstm"));

    let huge = Var::leaf(Tensor::from([1e200, 1.0]));
    let message = "forward: element [] of the result of `mse_loss` is inf, from finite inputs; \
                   `mse_loss` was called at HERE, in `mse_loss`";
    says(|| huge.mse_loss([0.0, 0.0]), message);
    let (zero, one) = (Var::leaf(Tensor::from([0.0])), Tensor::from([-1.0]));
    let message = "forward: element [0] of the result of `xlogy` is NaN, from finite inputs; there input 0 is -1 and input 1 \
                   is -1; `xlogy` was called at HERE, in `kl_div`";
    says(|| zero.kl_div(&one), message);
}

#[test]
fn gradients_that_are_not_finite() {
    let x = Var::leaf(Tensor::from([[1.0, 4.0], [0.0, 1000.0]]));
    let message = "backward: the gradient of `sqrt` for element [1, 0] of input 0 is inf, from finite gradients; there the \
                   input is 0; `sqrt` was called at HERE";
    says(|| x.sqrt().sum(..).backward(), message);
    says(|| grad_create_graph(&x.sqrt().sum(..), &[&x]), message);
    // Values and lines are kept only where the forward pass was inside, too.
    let y = x.sqrt().sum(..);
    let (words, _, _) = panic_of(|| detect_anomaly(|| y.backward()));
    assert_eq!(words, message.replace("is 0; `sqrt` was called at HERE", "is unknown"));
    let quotient = format!(
        "backward: the gradient of `div` for element [] of input 1 is -inf, from finite gradients; there the input is {}; \
         `div` was called at HERE",
        1e-200
    );
    let small: Var<f64> = Var::leaf(Tensor::from(1e-200));
    says(|| (1.0_f64 / &small).backward(), &quotient);
    let model = (Linear::<f64>::new(2, 2, &mut seeded(0)), Tanh);
    let inside = |model: &(Linear<f64>, Tanh)| {
        name_layers::<f64>(model);
        scope("root", || (model.0.forward([0.0, 0.0]) * 0.0).sqrt()).sum(..).backward()
    };
    let (words, _, _) = panic_of(|| detect_anomaly(|| inside(&model)));
    assert!(words.contains("`sqrt` was called at") && words.ends_with("in `root`"), "{words}");
}
