//! What decides is seen: indices, masks, keys and statistics on a tape that keeps values.

use gradus::testing::{Law, case};
use gradus::{Indices, Mask, Tape, Tensor, Var, grad, keep_values, keepdim};
use proptest::prelude::*;

fn names(y: &Var<f64>) -> Vec<&'static str> {
    Tape::of(y).iter().map(|node| node.operation()).collect()
}

#[test]
fn decisions_are_nodes_inside_keep_values_only() {
    let x = Var::leaf(Tensor::from([[3.0, 1.0], [2.0, 5.0]]));
    let largest = || x.gather(1, x.argmax(keepdim(1)));
    let positive = || Var::where_(x.gt(2.5), &x, 0.0);
    let sorted = || x.sort(1, false).0;
    for y in [largest(), positive(), sorted()] {
        assert_eq!(names(&y).len(), 2, "{}", Tape::of(&y));
    }
    let kept = keep_values(|| [largest(), positive(), sorted()]);
    for (y, decision) in kept.iter().zip(["argmax", "gt", "argsort"]) {
        let names = names(y);
        assert_eq!((names.len(), names[1]), (3, decision));
    }
    let expected = "\
%0 = leaf : [2, 2] f64
%1 = argmax %0 { largest: true, over: Reduced { axes: [1], keepdim: true } } : [2, 1] i64
%2 = gather %0 %1 { axis: 1 } : [2, 1] f64
";
    assert_eq!(Tape::of(&kept[0]).to_string(), expected);
    // A decision has no gradient, and does not stand in the way of others.
    assert_eq!(grad(&kept[0].sum(..), &[&x])[0].value(), &Tensor::from([[1.0, 0.0], [0.0, 1.0]]));
}

/// Logic on masks, comparisons of indices and the places of a selection are decisions, too; so a tape runs again on
/// numbers that another mask chooses, of which there may be another number.
#[test]
fn logic_is_on_the_tape() {
    let x = Var::leaf(Tensor::from([3.0, 1.0, 2.0]));
    let chosen = |x: &Var<f64>| x.masked_select((x.gt(1.5) & !x.ge(3.0)) | x.argmax(0).eq(1));
    assert_eq!(chosen(&x).value(), &Tensor::from([2.0]));
    let table = Tensor::from([true, false, true]);
    assert_eq!(&table & x.lt(3.0), Tensor::from([false, false, true]));
    assert_eq!(x.lt(3.0) & &table, table & x.lt(3.0));
    assert_eq!(x.argmax(keepdim(0)).masked_fill(Tensor::from([true]), 7), Tensor::from([7]));
    let tape = keep_values(|| names(&chosen(&x)));
    for name in
        ["gt", "ge", "logical_not", "logical_and", "argmax", "eq", "logical_or", "chosen", "index_select"]
    {
        assert!(tape.contains(&name), "{name}: {tape:?}");
    }
    let runs_again = case!("masked_select", shape in Just([4]), [shape => -2.0..2.0], |x| {
        x.masked_select(x.gt(0.0) ^ x.lt(-1.0))
    });
    proptest!(|(sample in runs_again.samples)| sample.check(Law::Replay)?);
}

/// Without a trait of the same name, and with one.
#[test]
fn comparisons_are_methods() {
    use std::cmp::PartialOrd;
    let (x, y) = (Var::leaf(Tensor::from([1.0, 2.0])), Tensor::from([2.0, 2.0]));
    for (name, masks, expected) in [
        ("eq", [x.eq(2.0), x.eq(&y), x.eq(Var::constant(&y))], [false, true]),
        ("ne", [x.ne(2.0), x.ne(&y), x.ne(Var::constant(&y))], [true, false]),
        ("lt", [x.lt(2.0), x.lt(&y), x.lt(Var::constant(&y))], [true, false]),
        ("le", [x.le(2.0), x.le(&y), x.le(Var::constant(&y))], [true, true]),
        ("gt", [x.gt(2.0), x.gt(&y), x.gt(Var::constant(&y))], [false, false]),
        ("ge", [x.ge(2.0), x.ge(&y), x.ge(Var::constant(&y))], [false, true]),
    ] {
        for mask in masks {
            assert_eq!(mask, Tensor::from(expected), "{name}");
        }
    }
    // The trait is in scope, and is not meant.
    assert!(PartialOrd::gt(&2, &1));
    let places = Indices::<f64>::constant([2, 0]);
    assert_eq!(places.lt(1), Tensor::from([false, true]));
    assert_eq!(places.ne(&places), Tensor::from([false, false]));
    assert_eq!((places.eq(2) | true).count(..).item(), 2);
}

/// Data has an identity and no gradient: results made from it alone are on the tape, and nothing flows to them.
#[test]
fn inputs_have_an_identity_without_a_gradient() {
    let (x, weight) = (Var::input(Tensor::from([1.0, 2.0])), Var::leaf(Tensor::from([3.0, 4.0])));
    let (index, mask) = (Indices::input([1, 0]), Mask::input([true, false]));
    let scaled = &x * 10.0;
    assert!(!x.is_tracked() && !scaled.is_tracked() && x.identity().is_some() && scaled.identity().is_some());
    let y = ((&scaled * &weight).index_select(0, &index).masked_fill(&mask, 0.0)).sum(..);
    let expected = "\
%0 = input : [2] f64
%1 = leaf : [2] f64
%2 = input : [2] i64
%3 = input : [2] bool
%4 = mul %0 constant[] : [2] f64
%5 = mul %4 %1 : [2] f64
%6 = index_select %5 %2 { axis: 0 } : [2] f64
%7 = masked_fill %6 %3 { value: 0.0 } : [2] f64
%8 = sum %7 { axes: [0], keepdim: false } : [] f64
";
    assert_eq!(Tape::of(&y).to_string(), expected);
    let gradients = y.backward();
    assert_eq!(gradients.len(), 1);
    assert_eq!(gradients.get(&weight), Some(&Tensor::from([10.0, 0.0])));
}

/// Operations that take a shorter way for constants do not take it for data: a tape that runs again on other data would
/// keep the old one.
#[test]
fn data_stays_on_the_tape() {
    let x = Var::input(Tensor::from([[1.0, 2.0]]));
    for y in [x.t(), x.transpose(0, 1), x.sum_to_size([1, 1])] {
        assert!(!y.is_tracked());
        assert_eq!(names(&y).first(), Some(&"input"));
    }
}

/// Running statistics, detached values and the key of dropout.
#[test]
fn statistics_and_keys_are_seen() {
    let x = Var::leaf(Tensor::from([[1.0], [3.0]]));
    let running = Var::input([0.0]);
    let updated = || x.batch_norm(Some([&running, &running]), None, None, true, 0.5, 0.0).1.unwrap();
    assert!(names(&updated()[0]).iter().all(|name| *name != "leaf"));
    let [mean, _] = keep_values(updated);
    assert!(!mean.is_tracked());
    let names_of_mean = names(&mean);
    for name in ["input", "leaf", "detach", "mean"] {
        assert!(names_of_mean.contains(&name), "{name}: {}", Tape::of(&mean));
    }
    let key = Indices::input(7);
    let dropped = x.dropout(0.5, &key);
    assert!(Tape::of(&dropped).to_string().contains("dropout %0 %1 { p: 0.5 }"));
    assert_eq!(dropped.value(), x.dropout(0.5, 7).value());
}

/// Choices that are made beside the tape are found out.
#[test]
fn frozen_choices_do_not_run_again() {
    let runs_again = |case: gradus::testing::Case| {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) };
        proptest::test_runner::TestRunner::new(config)
            .run(&case.samples, |sample| Ok(sample.check(Law::Replay)?))
            .is_ok()
    };
    let shape = || Just([4]);
    assert!(runs_again(case!("seen", shape in shape(), [shape => -2.0..2.0], |x| {
        x.gather(0, x.argmax(keepdim(0)))
    })));
    assert!(!runs_again(case!("frozen index", shape in shape(), [shape => -2.0..2.0], |x| {
        x.gather(0, x.value().argmax(keepdim(0)))
    })));
    assert!(!runs_again(case!("frozen mask", shape in shape(), [shape => -2.0..2.0], |x| {
        Var::where_(x.value().gt(0.0), x, x.square())
    })));
    assert!(!runs_again(case!("frozen branch", shape in shape(), [shape => -2.0..2.0], |x| {
        if x.value().sum(..).item() > 0.0 { x.sin() } else { x.cos() }
    })));
}

/// An operation that does not know its shape, or is wrong about it, breaks the law.
#[test]
fn wrong_shapes_are_found_out() {
    use gradus::{Inputs, Operation, Saves, Shape, TensorError, apply};

    #[derive(Debug)]
    struct Rows(Option<usize>);
    impl<T: gradus::Float> Operation<T> for Rows {
        fn name(&self) -> &'static str {
            "rows"
        }
        fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
            self.0.map(|rows| Ok([rows].into_iter().chain(inputs[0][1..].iter().copied()).collect()))
        }
        fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
            inputs[0].clone()
        }
        fn saves(&self) -> Saves {
            Saves::NOTHING
        }
        fn vjp(&self, context: &gradus::Context<T>, _input: usize) -> Option<Var<T>> {
            Some(context.cotangent().clone())
        }
    }
    for (rows, right) in [(Some(2), true), (Some(3), false), (None, false)] {
        let case = case!("rows", (shape, rows) in (Just([2, 3]), Just(rows)), [shape => -1.0..1.0], |x| {
            apply(Rows(rows), &[x])
        });
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(1)
        });
        let result = runner.run(&case.samples, |sample| Ok(sample.check(Law::Shape)?));
        assert_eq!(result.is_ok(), right, "{rows:?}");
    }
}
