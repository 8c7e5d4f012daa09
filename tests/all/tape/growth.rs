//! Work grows in proportion to the number of inputs, parts, entries and parameters, and no faster.

use std::fs::read_to_string;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gradus::prelude::*;
use gradus::{grad_create_graph, jvp};

/// Seconds that this thread has computed for; the processor may have been busy with others meanwhile.
fn seconds(work: &dyn Fn()) -> f64 {
    let computed = || read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok();
    let (start, before): (_, Option<f64>) = (Instant::now(), computed());
    work();
    match (before, computed()) {
        (Some(before), Some(after)) if after > before => (after - before) / 1e9,
        _ => start.elapsed().as_secs_f64(),
    }
}

/// Holds the work for many things against the work for a few. It would take `TIMES` times as long, and more where the
/// caches are too small for it, up to a few times; and `TIMES` squared if it were quadratic.
#[track_caller]
fn grows_linearly(name: &str, few: usize, work: impl Fn(usize)) {
    const TIMES: usize = 32;
    const MOST: f64 = 200.0;
    let times = |n| [(); 3].map(|()| seconds(&|| work(n)));
    work(few);
    // The clock of a thread may lag behind, and show too little for short work.
    let (a_few, many) = (times(few).into_iter().fold(0.0, f64::max), times(TIMES * few));
    let many = many.into_iter().fold(f64::INFINITY, f64::min);
    println!("{name}: {few} in {a_few:.1e} s, {TIMES} times as many in {:.0} times as long", many / a_few);
    assert!(many < MOST * a_few, "{name}: {few} take {a_few:.1e} s, {TIMES} times as many {many:.1e} s");
}

fn leaves(n: usize) -> Vec<Var<f64>> {
    (0..n).map(|i| Var::leaf(Tensor::from([i as f64, 1.0]))).collect()
}

/// A table of `n` rows.
fn table(n: usize) -> Var<f64> {
    Var::leaf(Tensor::ones([n, 64]))
}

fn stacked(parts: &[Var<f64>]) -> Var<f64> {
    stack(&parts.iter().collect::<Vec<_>>(), 0)
}

#[test]
fn joining() {
    for (name, join) in [("cat", cat as fn(&[&Var<f64>], isize) -> Var<f64>), ("stack", stack)] {
        let joined = |n: usize| {
            let x = leaves(n);
            (join(&x.iter().collect::<Vec<_>>(), 0), x)
        };
        grows_linearly(name, 60, |n| assert_eq!(joined(n).0.sum(..).backward().len(), n));
        grows_linearly(&format!("second order of {name}"), 40, |n| {
            let (y, x) = joined(n);
            let x: Vec<&Var<f64>> = x.iter().collect();
            let slopes = grad_create_graph(&y.square().sum(..), &x);
            assert_eq!(join(&slopes.iter().collect::<Vec<_>>(), 0).sum(..).backward().len(), n);
        });
        grows_linearly(&format!("forward mode of {name}"), 60, |n| {
            let (y, x) = joined(n);
            let tangents: Vec<Tensor<f64>> = x.iter().map(|x| x.value().clone()).collect();
            assert_eq!(&jvp(&y, &x.iter().collect::<Vec<_>>(), &tangents), y.value());
        });
    }
}

#[test]
fn reading_part_by_part() {
    type Parts = fn(&Var<f64>) -> Vec<Var<f64>>;
    let parts: [(&str, Parts); 10] = [
        ("select", |x| (0..x.shape()[0]).map(|i| x.select(0, i as isize)).collect()),
        ("index", |x| (0..x.shape()[0]).map(|i| x.index((i, ..))).collect()),
        ("rows", |x| x.rows().collect()),
        ("slice", |x| (0..x.shape()[0]).map(|i| x.slice(0, i..i + 1)).collect()),
        ("split", |x| x.split(vec![1; x.shape()[0]], 0)),
        ("chunk", |x| x.chunk(x.shape()[0], 0)),
        ("index_select", |x| {
            (0..x.shape()[0]).map(|i| x.index_select(0, Tensor::from([i as i64]))).collect()
        }),
        ("gather", |x| (0..x.shape()[0]).map(|i| x.gather(0, Tensor::full([1, 64], i as i64))).collect()),
        ("embedding", |x| (0..x.shape()[0]).map(|i| x.embedding(Tensor::from([i as i64]), None)).collect()),
        ("diagonal", |x| (0..x.shape()[0]).map(|i| x.diagonal(-(i as isize), 0, 1).sum(0)).collect()),
    ];
    for (name, parts) in parts {
        grows_linearly(name, 60, |n| {
            let x = table(n);
            assert!(stacked(&parts(&x)).sum(..).backward().get(&x).is_some());
        });
        grows_linearly(&format!("second order of {name}"), 40, |n| {
            let x = table(n);
            let slope = grad_create_graph(&stacked(&parts(&x)).square().sum(..), &[&x]).remove(0);
            assert!(slope.sum(..).backward().get(&x).is_some());
        });
        grows_linearly(&format!("forward mode of {name}"), 60, |n| {
            let x = table(n);
            assert!(!jvp(&stacked(&parts(&x)), &[&x], &[x.value().clone()]).is_empty());
        });
    }
}

/// A composed operation whose gradient is recorded again: its backward pass does not walk over the tape before it.
#[test]
fn recorded_twice() {
    let (lstm, gru) = (Lstm::new(3, 2, 1, &mut seeded(0)), Gru::new(3, 2, 1, &mut seeded(0)));
    let twice = |y: Var<f64>, x: &Var<f64>| {
        let first = grad_create_graph(&y.square().sum(..), &[x]).remove(0);
        let second = grad_create_graph(&first.square().sum(..), &[x]).remove(0);
        assert!(second.sum(..).backward().get(x).is_some());
    };
    let input = |steps| Var::leaf(Tensor::randn([steps, 2, 3], &mut seeded(1)));
    grows_linearly("lstm, recorded twice", 2, |steps| {
        let x = input(steps);
        twice(lstm.forward(&x, None).0, &x);
    });
    grows_linearly("gru, recorded twice", 2, |steps| {
        let x = input(steps);
        twice(gru.forward(&x, None).0, &x);
    });
}

#[test]
fn many_operands_and_entries() {
    grows_linearly("einsum", 30, |n| {
        let x = leaves(n);
        let equation = format!("{}->i", vec!["i"; n].join(","));
        assert_eq!(einsum(&equation, &x.iter().collect::<Vec<_>>()).sum(..).backward().len(), n);
    });
    grows_linearly("a chain", 100, |n| {
        let x = Var::leaf(Tensor::from(1.0));
        let y = (0..n).fold(x.clone(), |y, _| y.sin());
        let tape = Tape::of(&y);
        assert!(tape.to_string().len() + tape.to_dot().len() + tape.bytes() > n);
        let slope = grad_create_graph(&y, &[&x]).remove(0);
        assert_eq!(slope.backward().len(), 1);
    });
    grows_linearly("gradients", 100, |n| {
        let x = leaves(n);
        let sum = || x.iter().fold(Var::from(0.0), |sum, x| sum + x.sum(..));
        let mut gradients = sum().backward();
        gradients.accumulate(sum().backward());
        let mut few = x[0].sum(..).backward();
        few.accumulate(gradients);
        few.scale(0.5);
        assert!(x.iter().all(|x| few.get(x).is_some()));
        assert_eq!(grad(&sum(), &x.iter().collect::<Vec<_>>()).len(), n);
    });
    grows_linearly("hvp", 30, |n| {
        let inputs = vec![Tensor::from([1.0, 2.0]); n];
        let f = |x: &[Var<f64>]| x.iter().fold(Var::from(1.0), |product, x| product * x.sin().sum(..));
        assert_eq!(hvp(f, &inputs, &inputs).len(), n);
    });
}

#[test]
fn sequences() {
    for (name, second_order) in [("lstm", false), ("second order of lstm", true)] {
        grows_linearly(name, 10, |n| {
            let rng = &mut seeded(0);
            let x = Var::leaf(Tensor::<f64>::randn([n, 1, 2], rng));
            let weights = [Tensor::randn([12, 2], rng), Tensor::randn([12, 3], rng)].map(Var::constant);
            let (y, _) = x.lstm(None, [&weights[0], &weights[1]], None);
            let loss = y.square().sum(..);
            let loss = if second_order { grad_create_graph(&loss, &[&x])[0].square().sum(..) } else { loss };
            assert_eq!(loss.backward().len(), 1);
        });
    }
}

fn layers(n: usize) -> Sequential<f64> {
    (0..n).fold(Sequential::new(), |model, _| model.push(Linear::new(1, 1, &mut seeded(0))))
}

#[test]
fn layers_and_parameters() {
    let x = Var::constant([[1.0]]);
    grows_linearly("layers", 30, |n| {
        let mut model = layers(n);
        let loss = model.forward(&x).sum(..);
        assert!(model.label_tape(Tape::of(&loss)).to_string().len() > n);
        let mut gradients = loss.backward();
        clip_grad_norm(&mut gradients, &model, 1.0);
        clip_grad_value(&mut gradients, &model, 1.0);
        assert!(model.names_without_gradient(&gradients).is_empty());
        let mut adam = Adam::new(0.1).group(|name| name.ends_with("bias"), |adam| adam.weight_decay(0.1));
        adam.step(&mut model, &gradients);
        adam.step(&mut model, &gradients);
        assert_eq!(model.named_parameters().len(), 2 * n);
    });
}

/// A group may have to be asked about each parameter, but no more than twice: whether it holds for any, and for which.
#[test]
fn groups_of_parameters() {
    const GROUPS: usize = 16;
    let mut model = layers(GROUPS);
    let asked = Arc::new(AtomicUsize::new(0));
    let mut sgd = (0..GROUPS).fold(Sgd::new(0.1), |sgd, i| {
        let asked = Arc::clone(&asked);
        let matches = move |name: &str| {
            asked.fetch_add(1, Ordering::Relaxed);
            name.starts_with(&format!("{i}."))
        };
        sgd.group(matches, |sgd| sgd.weight_decay(0.1))
    });
    let gradients = model.forward(Var::constant([[1.0]])).sum(..).backward();
    sgd.step(&mut model, &gradients);
    sgd.step(&mut model, &gradients);
    let pairs = GROUPS * model.parameters().len();
    assert!(asked.load(Ordering::Relaxed) <= 2 * pairs, "{asked:?} questions for {pairs} pairs");
}
