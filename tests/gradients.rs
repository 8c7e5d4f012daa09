//! Every differentiable operation, held against every law of gradients, at random shapes, layouts and values.
//!
//! `OPERATION=conv2d cargo test -p gradus-tests --test gradients` holds one operation only.

use gradus::testing::{Case, Law, cases};
use proptest::test_runner::{Config, TestError, TestRunner};

/// Draws samples of every case and holds them against a law; reports all cases that fail, not only the first.
fn hold_all(law: Law) {
    let mut cases = cases();
    if let Ok(name) = std::env::var("OPERATION") {
        cases.retain(|case| case.name == name);
        assert!(!cases.is_empty(), "there is no operation of the name {name}");
    }
    let failures: Vec<String> = cases.iter().filter_map(|case| hold(case, law).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn hold(case: &Case, law: Law) -> Result<(), String> {
    let config = Config { failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&case.samples, |sample| Ok(sample.check(law)?));
    result.map_err(|error| match error {
        TestError::Fail(reason, sample) => {
            format!("{}: {reason}\nsmallest failing case: {sample:?}", case.name)
        }
        TestError::Abort(reason) => format!("{}: {reason}", case.name),
    })
}

macro_rules! laws {
    ($($name:ident: $law:ident,)*) => {$(
        #[test]
        fn $name() {
            hold_all(Law::$law);
        }
    )*};
}

laws! {
    operations_are_deterministic: Deterministic,
    gradients_agree_with_differences: FirstOrder,
    second_derivatives_agree_with_differences: SecondOrder,
    hessians_are_symmetric: SymmetricHessian,
    recorded_gradients_equal_unrecorded: Recorded,
    forward_mode_agrees_with_reverse_mode: ForwardMode,
    gradients_are_linear_in_the_cotangent: Linear,
    gradients_do_not_depend_on_what_else_is_tracked: Subsets,
    layouts_do_not_matter: Layout,
    expressions_agree_with_numbers: Expression,
    shapes_are_foretold: Shape,
    recorded_passes_run_again_on_other_inputs: Replay,
    vmap_is_a_loop_over_the_examples: Vmap,
    compiled_programs_run_on_other_inputs: Compiled,
    single_precision_agrees_with_double: Precision,
}
