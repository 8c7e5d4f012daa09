//! The profile of a step: every operation once, times that add up, files that can be read.

use std::collections::BTreeMap;
use std::time::Duration;

use gradus::testing::{cases, tensors};
use gradus::{Event, Phase, Profile, Tape, Tensor, Var, grad, profile, scope};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRng, TestRunner};

type Step = fn(&Var<f64>) -> Var<f64>;

const STEPS: [Step; 8] = [
    |x| x.tanh(),
    |x| x * 0.5 + 1.0,
    |x| scope("a <part> & \"more\"", || x.softmax(1)),
    |x| scope("outer", || x + scope("inner", || x.sin())),
    |x| x.matmul(&x.t()).matmul(x).tanh(),
    |x| x.reshape([3, 2]).t(),
    |x| gradus::checkpoint(&[x], |x| x[0].sin().cos()),
    |x| x - x.mean(1).unsqueeze(1),
];

fn run(steps: &[usize], x: &Tensor<f64>) -> Profile {
    let x = Var::leaf(x);
    let pass = || steps.iter().fold(x.clone(), |x, &step| STEPS[step](&x)).sum(..).backward();
    profile(pass).1
}

fn end(event: &Event) -> Duration {
    event.start + event.total
}

proptest! {
    #[test]
    fn times_add_up(x in tensors(Just(vec![2, 3]), -1.0..1.0), steps in prop::collection::vec(0..STEPS.len(), 1..8)) {
        let profile = run(&steps, &x);
        let sum = |times: &mut dyn Iterator<Item = Duration>| times.sum::<Duration>();
        let own = sum(&mut profile.operations().map(|event| event.own));
        let outermost = sum(&mut profile.operations().filter(|event| event.is_outermost).map(|event| event.total));
        prop_assert_eq!(own, outermost);
        prop_assert_eq!(own + profile.outside(), profile.total());
        for rows in [profile.by_operation(), profile.by_layer(), profile.by_line()] {
            prop_assert_eq!(rows.iter().map(|row| row.own).sum::<Duration>(), own);
            prop_assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row.own)));
            prop_assert_eq!(rows.iter().map(|row| row.count).sum::<usize>(), profile.operations().count());
            prop_assert!(rows.iter().all(|row| row.own <= row.total), "{rows:?}");
        }
        // Events lie inside of those around them.
        let mut around: Vec<&Event> = Vec::new();
        for event in profile.events() {
            around.truncate(event.depth);
            prop_assert_eq!(around.len(), event.depth);
            prop_assert!(event.own <= event.total && end(event) <= profile.total());
            if let Some(parent) = around.last() {
                prop_assert!(parent.start <= event.start && end(event) <= end(parent));
            }
            around.push(event);
        }
        // All lines are of this file.
        prop_assert!(profile.events().iter().all(|event| event.line.file() == file!() || &*event.name == "backward"));
    }

    #[test]
    fn files_can_be_read(x in tensors(Just(vec![2, 3]), -1.0..1.0), steps in prop::collection::vec(0..STEPS.len(), 1..8)) {
        let profile = run(&steps, &x);
        let trace: serde_json::Value = serde_json::from_str(&profile.to_chrome_trace()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        prop_assert_eq!(events.len(), profile.events().len());
        for (read, event) in events.iter().zip(profile.events()) {
            prop_assert_eq!(read["name"].as_str(), Some(&*event.name));
            prop_assert_eq!(read["ph"].as_str(), Some("X"));
            prop_assert_eq!(read["cat"].as_str(), Some(&*event.phase.to_string()));
            prop_assert!((read["dur"].as_f64().unwrap() - event.total.as_secs_f64() * 1e6).abs() < 1e-3);
            prop_assert_eq!(read["args"]["layer"].as_str(), Some(&*event.path));
        }
        // A line for each stack; all times together are the whole.
        let folded = profile.to_folded();
        let times = folded.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u128>().unwrap());
        prop_assert_eq!(times.sum::<u128>(), profile.total().as_nanos());
        let svg = profile.to_flame_svg();
        let count = |text: &str| svg.matches(text).count();
        prop_assert_eq!(count("<g>"), count("</g>"));
        prop_assert_eq!(count("<title>"), count("<g>"));
        prop_assert_eq!(count("<rect"), count("<g>") + 1);
        prop_assert!(!svg.contains("<part>") && !svg.contains("& "));
        // Boxes of a row do not overlap, and none is outside.
        let mut rows: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
        for rect in svg.split("<rect class=").skip(2) {
            let number = |name: &str| rect.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_string();
            let [x, width] = ["x", "width"].map(|name| number(name).parse::<f64>().unwrap());
            prop_assert!(x >= 8.0 && x + width <= 1192.1);
            rows.entry(number("y")).or_default().push([x, x + width]);
        }
        for row in rows.values_mut() {
            row.sort_by(|x, y| x[0].total_cmp(&y[0]));
            prop_assert!(row.windows(2).all(|pair| pair[0][1] <= pair[1][0] + 0.02), "{:?}", row);
        }
    }
}

/// Each operation on the tape of a call is in the profile of the call, and its gradient in the profile of the backward pass.
#[test]
fn every_operation_is_in_the_profile() {
    let config = Config::default();
    let random = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, random);
    let count = |names: &mut dyn Iterator<Item = &str>| {
        names.fold(BTreeMap::new(), |mut counts: BTreeMap<String, usize>, name| {
            *counts.entry(name.to_string()).or_default() += 1;
            counts
        })
    };
    for case in cases() {
        for _ in 0..5 {
            let sample = case.samples.new_tree(&mut runner).unwrap().current();
            let leaves: Vec<Var<f64>> = sample.inputs().iter().map(Var::leaf).collect();
            let (y, forward) = profile(|| sample.run_on(&leaves));
            let tape = Tape::of(&y);
            let recorded =
                count(&mut tape.iter().map(|node| node.operation()).filter(|name| *name != "leaf"));
            let ran =
                count(&mut forward.operations().filter(|event| event.is_outermost).map(|event| &*event.name));
            for (name, times) in &recorded {
                assert!(ran.get(name).is_some_and(|ran| ran >= times), "{}: `{name}` of {ran:?}", case.name);
            }
            assert!(forward.operations().all(|event| event.phase == Phase::Forward), "{}", case.name);
            if !y.is_tracked() {
                continue;
            }
            let tracked = leaves
                .iter()
                .find(|leaf| Tape::of(&y).label(leaf, "found").iter().any(|node| node.label() == "found"));
            let Some(leaf) = tracked else { continue };
            let (_, backward) = profile(|| grad(&y.sum(..), &[leaf]));
            let rules = count(
                &mut backward
                    .operations()
                    .filter(|event| event.phase == Phase::Backward && event.is_outermost)
                    .map(|event| &*event.name),
            );
            assert!(!rules.is_empty(), "{}", case.name);
            for (name, times) in &rules {
                let known = recorded.get(name).copied().unwrap_or(0) + usize::from(name == "sum");
                assert!(*times <= known, "{}: {times} gradients of `{name}`", case.name);
            }
        }
    }
}

/// Profiles inside of each other see their own events; nothing is left behind, and other threads are not seen.
#[test]
fn profiles_nest() {
    let x = Var::leaf(Tensor::from([1.0, 2.0]));
    let ((y, inner), outer) = profile(|| {
        let _ = x.cos();
        let inner = profile(|| x.sin());
        let _ = std::thread::scope(|scope| scope.spawn(|| x.tan()).join().unwrap());
        inner
    });
    let names =
        |profile: &Profile| profile.operations().map(|event| event.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&inner), ["sin"]);
    assert_eq!(names(&outer), ["cos", "sin"]);
    assert!(y.is_tracked() && profile(|| ()).1.events().is_empty());
    let caught = crate::messages::caught(|| profile(|| scope("part", || x.matmul(&Var::constant([1.0])))));
    assert!(caught.is_some() && profile(|| x.sin()).1.events().len() == 1);
}

#[test]
fn rows_are_of_operations_and_phases() {
    let (x, w) = (Var::constant(Tensor::<f32>::ones([5, 3])), Var::leaf(Tensor::<f32>::ones([4, 3])));
    let (_, profile) = profile(|| scope("dense", || x.linear(&w, None)).sum(..).backward());
    let mut rows: Vec<_> = profile
        .by_operation()
        .into_iter()
        .map(|row| (row.name, row.phase.unwrap(), row.count, row.bytes, row.multiply_adds))
        .collect();
    rows.sort();
    let row = |name: &str, phase, bytes, products| (name.to_string(), phase, 1, bytes, products);
    let expected = [
        row("expand", Phase::Backward, 80, 0),
        row("linear", Phase::Forward, 80, 60),
        row("linear", Phase::Backward, 0, 0),
        row("matmul", Phase::Backward, 48, 60),
        row("sum", Phase::Forward, 4, 0),
        row("sum", Phase::Backward, 0, 0),
    ];
    for row in &expected {
        assert!(rows.contains(row), "{row:?} in {rows:?}");
    }
    // The gradient of a layer's operation belongs to the layer.
    let layers = profile.by_layer();
    let backward = layers.iter().find(|row| row.name == "dense" && row.phase == Some(Phase::Backward));
    assert!(backward.is_some_and(|row| row.count >= 1), "{layers:?}");
    let text = profile.to_string();
    assert!(
        text.starts_with(&text[..text.find(" in all: ").unwrap()]) && text.contains("\noperation"),
        "{text}"
    );
    assert!(text.contains("outside of them; 120 multiply-adds"), "{text}");
}

#[test]
fn hostile_names_stay_text() {
    let ((), profile) =
        profile(|| gradus::scope("a\u{1b}[1m<b>", || drop(Var::leaf(Tensor::<f32>::ones([2])).exp())));
    let svg = profile.to_flame_svg();
    assert!(!svg.contains('\u{1b}') && !svg.contains("<b>") && svg.contains("&lt;b&gt;"));
}
