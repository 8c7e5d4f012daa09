//! What the process takes from the system for tensors, and when it gives it back.
//!
//! In a binary of its own, because it counts for the whole process.

mod allocator;
mod compiled;

use std::sync::mpsc;
use std::thread;

use gradus::prelude::*;
use gradus::{release_memory, set_num_threads};

use allocator::{allocations, alone, held};

const MIB: usize = 1 << 20;
/// What a thread may keep at any rate.
const ALWAYS_KEPT: usize = 64 * MIB;

/// A tensor in whose block there is room for no more than that.
fn block(bytes: usize) -> Tensor<f32> {
    Tensor::zeros([bytes / 4 - 16])
}

#[derive(Module)]
struct Mlp {
    first: Linear,
    second: Linear,
    out: Linear,
    scale: Parameter,
}

/// Every activation, gradient and state of an optimizer, but for those of biases, is larger than 4 KiB.
fn train(mut optimizer: impl Optimizer<f32>, steps: usize, after: &mut dyn FnMut(usize)) {
    let rng = &mut seeded(0);
    let mut model = Mlp {
        first: Linear::new(40, 96, rng),
        second: Linear::new(96, 96, rng),
        out: Linear::new(96, 20, rng),
        scale: Parameter::new(Tensor::ones([96])),
    };
    let x = Var::constant(Tensor::randn([64, 40], rng));
    let targets = Tensor::arange(0, 64, 1).map(|i| i % 20);
    for step in 0..steps {
        let hidden = model.first.forward(&x).relu();
        let hidden = hidden.layer_norm([96], Some(&model.scale), None, 1e-5);
        let logits = model.out.forward(model.second.forward(&hidden).tanh());
        optimizer.step(&mut model, &logits.cross_entropy(&targets).backward());
        after(step);
    }
}

/// After a few steps, tensors live in the blocks of earlier ones: the system is asked for nothing.
#[test]
fn training_takes_nothing_from_the_system() {
    fn check(optimizer: impl Optimizer<f32>) {
        let mut counts = Vec::with_capacity(41);
        train(optimizer, 41, &mut |_| counts.push(allocations()));
        let during = (counts[40].0 - counts[20].0, counts[40].1 - counts[20].1);
        assert_eq!(during, (0, 0), "blocks of tensors, and others, in steps 20..40");
        assert!(counts[0].0 > 30, "the first step takes some");
    }
    for threads in [1, 2] {
        set_num_threads(threads);
        alone(|| check(Sgd::new(0.1).momentum(0.9).nesterov()));
        alone(|| check(Adam::new(0.01)));
    }
}

#[test]
fn release_memory_gives_back_what_waits() {
    alone(|| {
        let before = held();
        let kept = block(MIB);
        drop([block(4096), block(4096), block(3 * MIB)]);
        assert!(held() - before >= 4 * MIB + 8192, "dropped, and not given back");
        assert_eq!(release_memory(), 3 * MIB + 8192);
        assert_eq!(held() - before, MIB, "what is in use stays");
        drop(kept);
        assert_eq!((release_memory(), release_memory()), (MIB, 0));
        assert_eq!(held(), before);
    });
}

/// A block is used again for any tensor of about its size.
#[test]
fn blocks_are_used_again() {
    alone(|| {
        drop(block(MIB));
        let before = allocations().0;
        for i in 0..100 {
            let x = block(MIB - 1000 * i);
            drop(x.cast::<i64>());
        }
        // Integers take twice the space.
        assert_eq!(allocations().0 - before, 1);
    });
}

/// Tensors of more and more sizes: what waits is no more than 64 MiB, or than was in use at once.
#[test]
fn what_waits_is_bounded() {
    alone(|| {
        let before = held();
        let sizes = (0..24).map(|i| (4 + i % 4) << (18 + i / 4));
        let total: usize = sizes.clone().sum();
        assert!(total > 4 * ALWAYS_KEPT);
        for size in sizes.clone() {
            drop(block(size));
            assert!(held() - before <= ALWAYS_KEPT, "{} bytes wait", held() - before);
        }
        let all: Vec<_> = sizes.map(block).collect();
        assert!(held() - before >= total);
        drop(all);
        assert!(held() - before <= total);
        // Sizes that are not asked for any more make room for those that are.
        for _ in 0..3 {
            drop([block(100 * MIB), block(120 * MIB), block(150 * MIB)]);
            assert!(held() - before <= total.max(370 * MIB) + 370 * MIB, "{} bytes", held() - before);
        }
        release_memory();
        drop(block(MIB));
        assert!(held() - before <= ALWAYS_KEPT, "the most in use is forgotten");
    });
}

/// Tensors made on one thread and dropped on another, as by a loader of data: neither holds on to them.
#[test]
fn tensors_dropped_on_another_thread() {
    alone(|| {
        let before = held();
        let (sender, receiver) = mpsc::sync_channel::<Tensor<f32>>(1);
        let loader = thread::spawn(move || {
            for _ in 0..100 {
                sender.send(block(8 * MIB)).unwrap();
            }
            drop(sender);
            // The loader never had more than a few in use at once, so its lists are as short as any others.
            let before = held();
            for i in 0..16 {
                drop(block((4 + i % 4) << (20 + i / 4)));
            }
            held() - before
        });
        let mut received = 0;
        for x in &receiver {
            received += x.len();
            drop(x);
            // On both sides of the channel, and in it.
            assert!(held() - before <= ALWAYS_KEPT + 4 * 8 * MIB, "{} bytes", held() - before);
        }
        assert!(received > 190 * MIB);
        let waiting = loader.join().unwrap();
        assert!(waiting <= ALWAYS_KEPT, "{waiting} bytes wait on the thread that has made them");
        assert!(held() - before <= ALWAYS_KEPT, "what the loader kept has gone with it");
    });
}

/// A thread gives back what waits on it when it ends, and what it leaves to others belongs to them.
#[test]
fn threads_that_end_leave_nothing() {
    alone(|| {
        let before = held();
        for _ in 0..20 {
            let x = thread::spawn(|| {
                drop(block(4 * MIB));
                block(2 * MIB)
            });
            let x = x.join().unwrap();
            assert_eq!(held() - before, 2 * MIB);
            drop(x);
            assert_eq!(release_memory(), 2 * MIB);
        }
        assert_eq!(held(), before);
    });
}

/// A shuffled epoch takes two batches beside the data at most, in any layout; with threads, one more for each.
#[test]
fn an_epoch_takes_few_batches() {
    const BATCH: usize = 64 * 1024 * 4;
    alone(|| {
        for x in [Tensor::<f32>::zeros([2048, 1024]), Tensor::zeros([1024, 2048]).t()] {
            for threads in [0, 1, 3] {
                let batches = Batches::of(x.clone(), 64)
                    .shuffle(&mut seeded(0))
                    .transform(|x| x * 2.0)
                    .prefetch(threads);
                release_memory();
                let (before, mut most) = (held(), 0);
                for batch in batches {
                    most = most.max(held() - before);
                    drop(batch);
                }
                // A block may be a fifth larger than its tensor, and indices take a few.
                let bound = (2 + 2 * threads) * BATCH * 5 / 4 + 65536;
                assert!(most <= bound, "{most} bytes with {threads} threads, at most {bound}");
            }
        }
    });
}
