//! Variables, models and tapes on several threads.

use std::thread;

use gradus::prelude::*;
use gradus::{Identity, live_nodes};

#[derive(Module, Clone, Debug)]
struct Mlp {
    hidden: Linear,
    out: Linear,
}

impl Mlp {
    fn new() -> Self {
        let rng = &mut seeded(7);
        Self { hidden: Linear::new(3, 20, rng), out: Linear::new(20, 2, rng) }
    }

    fn loss(&self, x: &Var, y: &Tensor) -> Var {
        self.out.forward(self.hidden.forward(x).gelu()).mse_loss(y)
    }
}

fn train(mut model: Mlp, x: &Var, y: &Tensor) -> Vec<u32> {
    let mut sgd = Sgd::new(0.05).momentum(0.9);
    for _ in 0..50 {
        let loss = model.loss(x, y);
        sgd.step(&mut model, &loss.backward());
    }
    model.parameters().iter().flat_map(|parameter| parameter.value().to_vec()).map(f32::to_bits).collect()
}

#[test]
fn everything_can_be_sent_and_shared() {
    fn check<X: Send + Sync>() {}
    check::<Var>();
    check::<Identity>();
    check::<Tape>();
    check::<Gradients>();
    check::<Parameter>();
    check::<Linear>();
    check::<Sequential>();
    check::<Mlp>();
    check::<Sgd>();
}

#[test]
fn many_threads_train_to_the_same_bits_as_one() {
    let (model, rng) = (Mlp::new(), &mut seeded(3));
    let (x, y) = (Var::constant(Tensor::randn([40, 3], rng)), Tensor::randn([40, 2], rng));
    let alone = train(model.clone(), &x, &y);
    assert!(alone.iter().all(|bits| f32::from_bits(*bits).is_finite()));
    let together: Vec<Vec<u32>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(|| train(model.clone(), &x, &y))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(together.iter().all(|bits| *bits == alone));
}

/// One model, one tape per thread: the gradients of parts of a batch, computed in parallel, add up.
#[test]
fn threads_share_the_leaves() {
    let (model, rng) = (Mlp::new(), &mut seeded(4));
    let (x, y) = (Var::constant(Tensor::randn([8, 3], rng)), Tensor::randn([8, 2], rng));
    let whole = model.loss(&x, &y).backward();
    let halves: Vec<Gradients> = thread::scope(|scope| {
        let half = |start: usize| {
            let (model, x, y) = (&model, x.slice(0, start..start + 4), y.slice(0, start..start + 4));
            scope.spawn(move || model.loss(&x, &y).backward())
        };
        [half(0), half(4)].map(|worker| worker.join().unwrap()).into()
    });
    for parameter in model.parameters() {
        let [first, second] = [&halves[0], &halves[1]].map(|gradients| gradients.get(parameter).unwrap());
        assert!(((first + second) / 2.0).allclose(whole.get(parameter).unwrap(), 1e-5, 1e-6));
    }
}

/// Parts of one computation, made on different threads, meet without more ado.
#[test]
fn tapes_meet() {
    let x = Var::leaf(Tensor::from([1.0, 2.0]));
    let squares = thread::scope(|scope| scope.spawn(|| x.square()).join().unwrap());
    let y = (squares * x.exp()).sum(..);
    let gradients = thread::spawn(move || y.backward()).join().unwrap();
    let expected = x.value() * (x.value() + 2.0) * x.value().exp();
    assert!(gradients.get(&x).unwrap().allclose(&expected, 1e-15, 0.0));
}

#[test]
fn a_tape_is_dropped_by_whoever_has_it_last() {
    let before = live_nodes();
    let x = Var::leaf(Tensor::from(1.0));
    let y = (0..100_000).fold(x.clone(), |y, _| -y);
    assert_eq!(live_nodes() - before, 100_001);
    let small = thread::Builder::new().stack_size(128 << 10);
    let there = small.spawn(move || {
        drop(y);
        live_nodes()
    });
    // Each thread counts for itself; the sum is what lives.
    assert_eq!(there.unwrap().join().unwrap(), -100_000);
    assert_eq!(live_nodes() - before, 100_001);
}

/// Two threads let go of two results of one chain at the same time: it dies once, and whole.
#[test]
fn two_threads_drop_what_they_share() {
    let counts = |_| -> isize {
        let shared = (0..20_000).fold(Var::leaf(Tensor::from(1.0)), |y, _| -y);
        let (left, right) = (&shared + 1.0, &shared * 2.0);
        drop(shared);
        thread::scope(|scope| {
            let drops = [left, right].map(|var| scope.spawn(move || (drop(var), live_nodes()).1));
            drops.into_iter().map(|worker| worker.join().unwrap()).sum()
        })
    };
    assert_eq!((0..20).map(counts).collect::<Vec<_>>(), [-20_003; 20]);
}
