//! Long chains, wide sums and diamonds: no recursion, and every rule is called once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gradus::{Context, Inputs, Operation, Saves, Tape, Tensor, Var, apply, cat, grad, grad_create_graph};
use proptest::prelude::*;

/// Runs on a thread whose stack would not hold a recursion over a long chain.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(256 << 10).spawn(f).unwrap().join().unwrap();
}

fn chain(x: &Var<f64>, length: usize) -> Var<f64> {
    (1..length).fold(-x, |y, _| -&y)
}

#[test]
fn a_million_entries_are_differentiated_and_dropped() {
    on_a_small_stack(|| {
        const LENGTH: usize = 1_000_000;
        let x = Var::leaf(Tensor::from(2.0));
        let y = chain(&x, LENGTH + 1);
        assert_eq!(y.item(), -2.0);
        assert_eq!(grad(&y, &[&x])[0].item(), -1.0);
        assert_eq!(Tape::of(&y).len(), LENGTH + 2);
        // The tape is still there.
        assert_eq!(y.backward().get(&x), Some(&Tensor::from(-1.0)));
    });
}

#[test]
fn a_million_entries_are_dropped_without_a_backward_pass() {
    on_a_small_stack(|| {
        let before = gradus::live_nodes();
        let x = Var::leaf(Tensor::from(2.0));
        let y = chain(&x, 1_000_000);
        assert_eq!(gradus::live_nodes() - before, 1_000_001);
        drop(y);
        assert_eq!(gradus::live_nodes() - before, 1);
    });
}

#[test]
fn a_recorded_pass_over_a_long_chain_is_a_long_chain() {
    on_a_small_stack(|| {
        let x = Var::leaf(Tensor::from(1.0));
        let y = (0..20_000).fold(x.clone(), |y, _| y * &x); // x^20001
        let first = grad_create_graph(&y, &[&x]).remove(0);
        assert_eq!(first.item(), 20_001.0);
        assert_eq!(grad(&first, &[&x])[0].item(), 20_001.0 * 20_000.0);
    });
}

/// a x + b y, which counts how often its rule is called.
#[derive(Debug)]
struct Tally {
    factors: [f64; 2],
    calls: Arc<AtomicUsize>,
}

impl Operation<f64> for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }
    fn forward(&self, inputs: &Inputs<f64>) -> Tensor<f64> {
        inputs[0] * self.factors[0] + inputs[1] * self.factors[1]
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
    }
    fn vjp(&self, context: &Context<f64>, input: usize) -> Option<Var<f64>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Some(context.cotangent() * self.factors[input])
    }
}

/// One value after another, each made from two earlier ones.
fn graph(x: &Var<f64>, edges: &[([usize; 2], [f64; 2])], calls: &Arc<AtomicUsize>) -> Vec<Var<f64>> {
    let mut values = vec![x.clone()];
    for ([left, right], factors) in edges {
        let operation = Tally { factors: *factors, calls: Arc::clone(calls) };
        values.push(apply(operation, &[&values[*left], &values[*right]]));
    }
    values
}

fn count_calls(edges: &[([usize; 2], [f64; 2])]) -> (f64, usize) {
    let calls = Arc::new(AtomicUsize::new(0));
    let x = Var::leaf(Tensor::from(1.0));
    let y = graph(&x, edges, &calls).pop().unwrap();
    let gradient = y.backward().get(&x).unwrap().item();
    (gradient, calls.load(Ordering::Relaxed))
}

#[test]
fn a_ladder_of_diamonds_takes_two_calls_each() {
    // y = x; sixty times y = y + y: there are 2^60 paths.
    let doubling: Vec<_> = (0..60).map(|i| ([i, i], [1.0, 1.0])).collect();
    assert_eq!(count_calls(&doubling), (60.0_f64.exp2(), 120));
    // Fibonacci numbers, each from the two before it.
    let fibonacci: Vec<_> = (0..60_usize).map(|i| ([i, i.saturating_sub(1)], [1.0, 1.0])).collect();
    assert_eq!(count_calls(&fibonacci), (4052739537881.0, 120));
}

/// A value by its two inputs and their factors.
fn edges() -> impl Strategy<Value = Vec<([usize; 2], [f64; 2])>> {
    let edge = (any::<[prop::sample::Index; 2]>(), prop::array::uniform2((-2..=2_i8).prop_map(f64::from)));
    prop::collection::vec(edge, 1..40).prop_map(|edges| {
        let place = |(i, (origins, factors)): (usize, ([prop::sample::Index; 2], [f64; 2]))| {
            (origins.map(|origin| origin.index(i + 1)), factors)
        };
        edges.into_iter().enumerate().map(place).collect()
    })
}

proptest! {
    /// On any graph, the rule of every entry behind the result is called once for each of its inputs, and
    /// no other; the gradient is that of the sum over all paths.
    #[test]
    fn every_rule_is_called_once(edges in edges()) {
        let (gradient, calls) = count_calls(&edges);
        let mut weights = vec![0.0; edges.len() + 1];
        let mut reached = vec![false; edges.len() + 1];
        (weights[edges.len()], reached[edges.len()]) = (1.0, true);
        for (i, (origins, factors)) in edges.iter().enumerate().rev() {
            for (&origin, factor) in origins.iter().zip(factors) {
                weights[origin] += weights[i + 1] * factor;
                reached[origin] |= reached[i + 1];
            }
        }
        prop_assert_eq!(gradient, weights[0]);
        prop_assert_eq!(calls, 2 * reached[1..].iter().filter(|&&reached| reached).count());
    }

    /// Rules behind the variables that are asked for are not called.
    #[test]
    fn nothing_runs_behind_the_target(length in 1..50_usize, at in any::<prop::sample::Index>()) {
        let calls = Arc::new(AtomicUsize::new(0));
        let edges: Vec<_> = (0..length).map(|i| ([i, i], [1.0, 3.0])).collect();
        let values = graph(&Var::leaf(Tensor::from(1.0)), &edges, &calls);
        let target = at.index(length + 1);
        let gradient = grad(&values[length], &[&values[target]]).remove(0);
        prop_assert_eq!(gradient.item(), 4.0_f64.powi((length - target) as i32));
        prop_assert_eq!(calls.load(Ordering::Relaxed), 2 * (length - target));
    }
}

#[test]
fn wide_graphs() {
    const WIDTH: usize = 10_000;
    let leaves: Vec<Var<f64>> = (0..WIDTH).map(|i| Var::leaf(Tensor::from([i as f64]))).collect();
    let joined = cat(&leaves.iter().collect::<Vec<_>>(), 0);
    let gradients = joined.square().sum(..).backward();
    assert_eq!(gradients.len(), WIDTH);
    for (i, leaf) in leaves.iter().enumerate() {
        assert_eq!(gradients.get(leaf), Some(&Tensor::from([2.0 * i as f64])));
    }
    // One variable in very many terms, deep and shallow.
    let x = Var::leaf(Tensor::from(3.0));
    let sum = (0..100_000).fold(Var::constant(0.0), |sum, i| sum + &x * f64::from(i));
    assert_eq!(sum.backward().get(&x), Some(&Tensor::from(4_999_950_000.0)));
}
