//! A checker that accepts everything proves nothing: here it is given rules that are wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradus_autograd::testing::{GradientError, Law, check_gradients, shapes, tensors};
use gradus_autograd::{
    Context, Inputs, Linearity, Literal, Operation, Real, Saves, Tensor, Unary, UnaryFunction, Var, apply,
    no_grad, seeded,
};
use proptest::prelude::*;

/// What is wrong with the rule of [`Affine`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    Sign,
    Factor,
    Transposed,
    ForgottenReduction,
    Zero,
    Nan,
    NoRule,
    /// A number carried along as if it did not vary with the inputs.
    Smuggled,
    /// Right only if the input is contiguous.
    Contiguous,
    /// Right for positive cotangents only.
    Nonlinear,
    /// A factor in the rule of forward mode.
    ForwardFactor,
    /// No rule of forward mode, and the claim that none is needed.
    ClaimedLinear,
    ClaimedMultilinear,
}

/// x w x + b, for square matrices x and w and a row b.
#[derive(Debug)]
struct Affine(Fault);

impl Operation<f64> for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
        inputs[0].matmul(inputs[1]).matmul(inputs[0]) + inputs[2]
    }

    fn saves(&self) -> Saves {
        Saves::INPUTS
    }

    fn vjp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
        let (g, x, w) = (context.cotangent(), context.input(0), context.input(1));
        let right = match input {
            0 => g.matmul(&w.matmul(&x).t()) + x.matmul(&w).t().matmul(g),
            1 => x.t().matmul(g).matmul(&x.t()),
            _ => g.sum(0),
        };
        Some(match (self.0, input) {
            (Fault::Sign, _) => -right,
            (Fault::Factor, 1) => right * 1.01,
            (Fault::Transposed, 1) => right.t(),
            (Fault::ForgottenReduction, 2) => g.select(0, 0),
            (Fault::Zero, 1) => right * 0.0,
            (Fault::Nan, 2) => right * f64::NAN,
            (Fault::NoRule, _) => return None,
            (Fault::Smuggled, 1) => x.t().matmul(g).matmul(&x.detach().t()),
            (Fault::Contiguous, 1) if !x.value().is_contiguous() => right * 2.0,
            (Fault::Nonlinear, 2) => g.relu().sum(0),
            _ => right,
        })
    }

    fn linearity(&self) -> Linearity {
        match self.0 {
            Fault::ClaimedLinear => Linearity::Linear,
            Fault::ClaimedMultilinear => Linearity::Multilinear,
            _ => Linearity::Nonlinear,
        }
    }

    fn jvp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
        let (t, x, w) = (context.tangent(), context.input(0), context.input(1));
        let right = match input {
            0 => t.matmul(&w).matmul(&x) + x.matmul(&w).matmul(t),
            1 => x.matmul(t).matmul(&x),
            _ => t.clone(),
        };
        match self.0 {
            Fault::ForwardFactor if input == 1 => Some(right * 1.01),
            Fault::None | Fault::ForwardFactor => Some(right),
            _ => None,
        }
    }
}

fn square(size: usize, seed: u64) -> [Tensor<f64>; 3] {
    let mut rng = seeded(seed);
    [[size, size].as_slice(), &[size, size], &[size]].map(|shape| Tensor::randn(shape, &mut rng))
}

fn check(fault: Fault, size: usize, seed: u64) -> Result<(), GradientError> {
    check_gradients(|[x, w, b]| apply(Affine(fault), &[x, w, b]).sin(), square(size, seed))
}

proptest! {
    #[test]
    fn the_right_rule_is_accepted(size in 0..5_usize, seed: u64) {
        check(Fault::None, size, seed)?;
    }

    #[test]
    fn wrong_rules_are_rejected(size in 2..5_usize, seed: u64) {
        for (fault, law, input) in [
            (Fault::Sign, Law::FirstOrder, None),
            (Fault::Factor, Law::FirstOrder, Some(1)),
            (Fault::Transposed, Law::FirstOrder, Some(1)),
            (Fault::ForgottenReduction, Law::FirstOrder, Some(2)),
            (Fault::Zero, Law::FirstOrder, Some(1)),
            (Fault::Nan, Law::FirstOrder, Some(2)),
            (Fault::Smuggled, Law::SecondOrder, None),
            (Fault::Contiguous, Law::Layout, Some(1)),
            (Fault::Nonlinear, Law::Linear, None),
            (Fault::ForwardFactor, Law::ForwardMode, None),
            (Fault::ClaimedLinear, Law::ForwardMode, None),
            (Fault::ClaimedMultilinear, Law::ForwardMode, None),
        ] {
            let error = check(fault, size, seed).expect_err(&format!("{fault:?} must be rejected"));
            prop_assert_eq!(error.operation, Some("affine"), "{:?}: {}", fault, error);
            // A rule that is right for some cotangents can be caught with one that it is wrong for, and is no
            // rule to make one of forward mode from.
            let either = fault == Fault::Nonlinear && matches!(error.law, Law::FirstOrder | Law::ForwardMode);
            prop_assert!(error.law == law || either, "{:?}: {}", fault, error);
            if let Some(input) = input {
                prop_assert_eq!(error.input, input, "{:?}: {}", fault, error);
            }
        }
    }

    /// A function that cuts its own tape computes the right values and no gradient.
    #[test]
    fn severed_functions_are_rejected(x in tensors(shapes(1..=2, 1..=3), 0.5..2.0)) {
        let error = check_gradients(|[x]| x * x.detach(), [x.clone()]).unwrap_err();
        prop_assert_eq!(error.law, Law::FirstOrder);
        let error = check_gradients(|[x]| no_grad(|| x.sin()), [x]).unwrap_err();
        prop_assert_eq!((error.law, error.analytic), (Law::FirstOrder, 0.0));
    }
}

#[test]
fn an_operation_without_a_rule_is_an_error_that_names_it() {
    let panic = catch_unwind(AssertUnwindSafe(|| check(Fault::NoRule, 2, 0))).unwrap_err();
    let message = panic.downcast_ref::<String>().expect("a message");
    assert_eq!(
        message,
        "backward: operation `affine` has no gradient rule for input 0; \
         implement `Operation::vjp` for it, or `detach` the input"
    );
}

#[test]
fn a_report_names_operation_input_element_and_values() {
    let report = check(Fault::Factor, 2, 0).unwrap_err().to_string();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines[0], "the gradient differs from differences of the values");
    assert_eq!(lines[1], "  operation: affine");
    assert!(lines[2].starts_with("  input 1, element ["), "{report}");
    assert!(lines[3].starts_with("  analytic: "), "{report}");
    assert!(lines[4].starts_with("  numeric:  ") && lines[4].ends_with("(ratio 1.010000)"), "{report}");
    assert!(lines[5].starts_with("  input 0 = Tensor<f64> [2, 2]"), "{report}");
}

/// A function that keeps more than its derivative needs is differentiated from its input all the same.
#[test]
fn a_function_may_save_everything() {
    #[derive(Debug, Clone)]
    struct Cube;
    impl UnaryFunction for Cube {
        const NAME: &'static str = "cube";
        const SAVES: Saves = Saves::ALL;
        fn function<R: Real>(&self, x: R) -> R
        where
            f64: Literal<R>,
        {
            x * x * x
        }
        fn derivative<R: Real>(&self, x: R) -> R
        where
            f64: Literal<R>,
        {
            3.0 * x * x
        }
    }
    check_gradients(|[x]| apply(Unary(Cube), &[x]), [Tensor::from([5.0, -0.5])]).unwrap();
}

/// What a user of proptest reads: the smallest failing case, shrunk.
#[test]
fn proptest_shrinks_to_a_small_case() {
    use proptest::test_runner::{Config, TestError, TestRunner};
    // The derivative of |x| with a sign forgotten: wrong only where x is negative.
    let wrong = |x: &Var<f64>| x.value().lt(0.0).where_(-x.value(), x.value()) + (x - x.detach());
    let config = Config { failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config)
        .run(&tensors(shapes(1..=3, 1..=5), -2.0..2.0), |x| Ok(check_gradients(|[x]| wrong(x), [x])?));
    let Err(TestError::Fail(_, smallest)) = result else { panic!("must fail: {result:?}") };
    assert_eq!(smallest.shape(), [1], "{smallest:?}");
}
