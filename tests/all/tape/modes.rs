//! Recording, not recording, and keeping everything.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::thread;

use gradus::testing::check_gradients;
use gradus::{
    Context, Inputs, Operation, Tape, Tensor, Var, apply, hvp, is_recording, jvp, keep_values, no_grad,
};
use proptest::prelude::*;

/// The model: two switches of a thread.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mode {
    recording: bool,
    keeping_values: bool,
}

impl Mode {
    const START: Self = Self { recording: true, keeping_values: false };

    /// The mode that this thread is in, as far as it shows: without entries there is nothing to keep.
    fn observed() -> Option<bool> {
        let y = Var::leaf(Tensor::from(1.0)) + 1.0;
        assert_eq!(y.is_tracked(), is_recording());
        y.is_tracked().then(|| Tape::of(&y).iter().any(|entry| entry.output().is_some()))
    }

    fn shown(self) -> Option<bool> {
        self.recording.then_some(self.keeping_values)
    }
}

/// Everything that runs code of the caller in a mode.
#[derive(Debug, Clone, Copy)]
enum Scope {
    NoGrad,
    KeepValues,
    /// The rules of an operation, in a pass that is not recorded, one that is, and forward mode.
    Backward,
    GradCreateGraph,
    Jvp,
    /// Functions of the caller that these call.
    Hvp,
    Check,
    Thread,
}

const SCOPES: [Scope; 8] = [
    Scope::NoGrad,
    Scope::KeepValues,
    Scope::Backward,
    Scope::GradCreateGraph,
    Scope::Jvp,
    Scope::Hvp,
    Scope::Check,
    Scope::Thread,
];

impl Scope {
    /// The mode inside.
    fn mode(self, around: Mode) -> Mode {
        match self {
            Self::NoGrad | Self::Backward | Self::Jvp => Mode { recording: false, ..around },
            Self::GradCreateGraph | Self::Hvp | Self::Check => Mode { recording: true, ..around },
            Self::KeepValues => Mode { keeping_values: true, ..around },
            Self::Thread => Mode::START,
        }
    }

    fn run(self, inside: impl FnOnce() + Send + 'static) {
        let x = Var::leaf(Tensor::from(2.0));
        match self {
            Self::NoGrad => no_grad(inside),
            Self::KeepValues => keep_values(inside),
            Self::Backward | Self::GradCreateGraph | Self::Jvp => {
                // Another thread writes it to the tape, whatever the mode is here.
                let rule = Rule(Mutex::new(Some(Box::new(inside))));
                let y = thread::scope(|scope| scope.spawn(|| apply(rule, &[&x])).join().unwrap());
                match self {
                    Self::Backward => drop(gradus::grad(&y, &[&x])),
                    Self::GradCreateGraph => drop(gradus::grad_create_graph(&y, &[&x])),
                    _ => drop(jvp(&y, &[&x], &[Tensor::from(1.0)])),
                }
            }
            Self::Hvp => {
                let f = |x: &[Var<f64>]| {
                    inside();
                    x[0].square()
                };
                drop(hvp(f, &[Tensor::from(2.0)], &[Tensor::from(1.0)]));
            }
            Self::Check => {
                let once = Mutex::new(Some(inside));
                let f = |[x]: [&Var<f64>; 1]| {
                    let inside = once.lock().unwrap().take();
                    if let Some(inside) = inside {
                        inside();
                    }
                    x.square()
                };
                check_gradients(f, [Tensor::from(2.0)]).unwrap();
            }
            Self::Thread => thread::spawn(inside).join().unwrap_or_else(|cause| resume_unwind(cause)),
        }
    }
}

/// The identity, in whose rules something runs, once.
struct Rule(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Rule {
    fn run(&self) {
        let inside = self.0.lock().unwrap().take();
        inside.expect("the rule is asked once")();
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}

impl Operation<f64> for Rule {
    fn name(&self) -> &'static str {
        "rule"
    }
    fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
        inputs[0].clone()
    }
    fn vjp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
        self.run();
        Some(context.cotangent().clone())
    }
    fn jvp(&self, context: &Context<f64>, _input: usize) -> Option<Var<f64>> {
        self.run();
        Some(context.tangent().clone())
    }
}

/// A panic that a test asked for; as nobody calls `panic!`, there is no message from the hook.
struct Planned;

/// Scopes inside each other, and a panic in the innermost one if `caught` says at which depth to catch it. Each mode is
/// in force before and after the scopes inside, however they end.
fn nested(mode: Mode, scopes: Vec<Scope>, depth: usize, caught: Option<usize>) {
    assert_eq!(Mode::observed(), mode.shown());
    let Some((&scope, rest)) = scopes.split_first() else {
        if caught.is_some() {
            resume_unwind(Box::new(Planned));
        }
        return;
    };
    let (inner, rest) = (scope.mode(mode), rest.to_vec());
    let inside = move || nested(inner, rest, depth + 1, caught);
    let ended = catch_unwind(AssertUnwindSafe(|| scope.run(inside)));
    assert_eq!(Mode::observed(), mode.shown());
    match ended {
        Err(cause) if !(cause.is::<Planned>() && caught.is_some_and(|at| depth <= at)) => {
            resume_unwind(cause)
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Recording off wins over keeping values; passes decide for themselves; and every scope restores what it found,
    /// across panics, in every thread.
    #[test]
    fn modes_nest(
        scopes in prop::collection::vec(prop::sample::select(SCOPES.to_vec()), 0..6),
        caught in prop::option::of(0..6_usize),
    ) {
        let ended = catch_unwind(AssertUnwindSafe(|| nested(Mode::START, scopes, 0, caught)));
        if let Err(cause) = ended
            && !cause.is::<Planned>()
        {
            resume_unwind(cause);
        }
        prop_assert_eq!(Mode::observed(), Mode::START.shown());
    }
}

/// A rule that says whether it is recorded.
#[derive(Debug)]
struct Report;

impl Operation<f64> for Report {
    fn name(&self) -> &'static str {
        "report"
    }
    fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
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
