//! Recording, not recording, and keeping everything.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use gradus::{Context, Operation, Tape, Tensor, Var, apply, is_recording, keep_values, no_grad};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Mode {
    NoGrad,
    KeepValues,
}

/// Modes inside each other; in the innermost, a panic if one is asked for. Each is in force before and after
/// those inside it, however they end.
fn nested(modes: &[Mode], panics: bool) {
    let [mode, rest @ ..] = modes else {
        if panics {
            // Like a panic, but without a message from the hook.
            resume_unwind(Box::new(()));
        }
        return;
    };
    let expected = match mode {
        Mode::NoGrad => None,
        Mode::KeepValues => Some(1),
    };
    let inside = || {
        assert_eq!(outputs_kept(), expected);
        let ended = catch_unwind(AssertUnwindSafe(|| nested(rest, panics)));
        assert_eq!(ended.is_err(), panics);
        assert_eq!((outputs_kept(), is_recording()), (expected, expected.is_some()));
        ended.unwrap_or_else(|cause| resume_unwind(cause));
    };
    match mode {
        Mode::NoGrad => no_grad(inside),
        Mode::KeepValues => keep_values(inside),
    }
}

/// The number of outputs on a tape of one operation, if there is a tape.
fn outputs_kept() -> Option<usize> {
    let y = Var::leaf(Tensor::from(1.0)) + 1.0;
    y.is_tracked().then(|| Tape::of(&y).iter().filter(|entry| entry.output().is_some()).count())
}

proptest! {
    /// The innermost mode counts; afterwards, and after a panic, it is as before.
    #[test]
    fn modes_nest(
        modes in prop::collection::vec(prop_oneof![Just(Mode::NoGrad), Just(Mode::KeepValues)], 0..5),
        panics: bool,
    ) {
        let ended = catch_unwind(AssertUnwindSafe(|| nested(&modes, panics)));
        prop_assert_eq!(ended.is_err(), panics);
        prop_assert!(is_recording());
        prop_assert_eq!(outputs_kept(), Some(0));
    }
}

/// A rule that says whether it is recorded.
#[derive(Debug)]
struct Report;

impl Operation<f64> for Report {
    fn name(&self) -> &'static str {
        "report"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].clone()
    }
    fn vjp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
        assert_eq!(is_recording(), context.is_recorded());
        let (input, output) = (context.input(0), context.output());
        assert_eq!((input.is_tracked(), output.is_tracked()), (context.is_recorded(), context.is_recorded()));
        let slope = if context.is_recorded() { 1.0 } else { 0.0 };
        Some(context.cotangent() * slope)
    }
}

#[test]
fn a_pass_records_only_if_it_is_asked_to() {
    let x = Var::leaf(Tensor::from(2.0));
    let y = apply(Report, &[&x]);
    assert_eq!(gradus::grad(&y, &[&x])[0].item(), 0.0);
    assert_eq!(gradus::grad_create_graph(&y, &[&x])[0].item(), 1.0);
    // The functions decide, not what is around them.
    assert_eq!(no_grad(|| gradus::grad_create_graph(&y, &[&x]))[0].item(), 1.0);
    assert_eq!(keep_values(|| y.backward()).get(&x), Some(&Tensor::from(0.0)));
    assert!(is_recording());
}

/// What is around it does not change a Hessian-vector product, either.
#[test]
fn hvp_records_inside_no_grad() {
    let cube = |x: &[Var<f64>]| &x[0] * &x[0] * &x[0];
    let product = || gradus::hvp(cube, &[Tensor::from(2.0)], &[Tensor::from(1.0)]);
    assert_eq!(no_grad(product), [Tensor::from(12.0)]);
    assert_eq!(product(), [Tensor::from(12.0)]);
}

#[test]
fn a_mode_is_of_one_thread() {
    no_grad(|| {
        let recording = thread::scope(|scope| scope.spawn(is_recording).join().unwrap());
        assert!(recording && !is_recording());
    });
}

#[test]
fn kept_values_are_the_values() {
    let x = Var::leaf(Tensor::from([1.0, 4.0]));
    let run = || (x.sqrt() * 3.0 + &x).sum(..);
    let kept = keep_values(run);
    let values: Vec<Option<Tensor<f64>>> =
        Tape::of(&kept).iter().map(|entry| entry.output().cloned()).collect();
    let expected =
        [None, Some([1.0, 2.0].into()), Some([3.0, 6.0].into()), Some([4.0, 10.0].into()), Some(14.0.into())];
    assert_eq!(values, expected);
    // Otherwise the tape keeps what rules read: of sqrt its output, of the sum nothing.
    let recorded = run();
    let values: Vec<bool> = Tape::of(&recorded).iter().map(|entry| entry.output().is_some()).collect();
    assert_eq!(values, [false, true, false, false, false]);
    assert_eq!(kept.backward().get(&x), recorded.backward().get(&x));
}
