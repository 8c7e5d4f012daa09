//! Threads change neither batches nor their order, and end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use gradus_autograd::{Tensor, seeded};
use gradus_data::{Batches, Prefetch};
use proptest::prelude::*;

use crate::numbered;

proptest! {
    #[test]
    fn threads_change_nothing(
        samples in 0_usize..60, size in 1_usize..9, threads in 0_usize..5, seed: u64, skipped in 0_usize..4, first in 0_usize..3,
    ) {
        let data = numbered(samples);
        let batches = || {
            let rng = &mut seeded(seed);
            let batches = Batches::of(data.clone(), size).shuffle(rng);
            batches.augment(rng, |(x, y), rng| (&x + x.rand_like(rng), y)).transform(|(x, y)| (x * 2.0, y))
        };
        let (mut plain, mut ahead) = (batches(), batches().prefetch(threads));
        for _ in 0..first {
            prop_assert_eq!(ahead.next(), plain.next());
        }
        prop_assert_eq!(ahead.nth(skipped), plain.nth(skipped));
        while let Some(batch) = ahead.next() {
            prop_assert_eq!(Some(batch), plain.next());
            prop_assert_eq!(ahead.len(), plain.len());
        }
        prop_assert_eq!((plain.next(), ahead.next()), (None, None));
    }

    #[test]
    fn batches_of_an_epoch_have_different_noise(seed: u64) {
        let zeros = Tensor::<f32>::zeros([8, 2]);
        let rng = &mut seeded(seed);
        let noisy: Vec<_> = Batches::of(&zeros, 2).augment(rng, |x, rng| x.rand_like(rng)).collect();
        for (i, x) in noisy.iter().enumerate() {
            prop_assert!(noisy[..i].iter().all(|y| x != y));
        }
    }
}

/// Batches of one number, after a count of how many were begun.
fn counted(samples: usize, threads: usize) -> (Prefetch<usize>, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = begun.clone();
    let count = move |batch: Vec<usize>| {
        counter.fetch_add(1, Ordering::SeqCst);
        batch[0]
    };
    (Batches::of((0..samples).collect::<Vec<_>>(), 1).transform(count).prefetch(threads), begun)
}

#[test]
fn it_looks_no_further_ahead_than_it_says() {
    for threads in 1..4 {
        let (mut batches, begun) = counted(50, threads);
        thread::sleep(Duration::from_millis(5));
        assert_eq!(begun.load(Ordering::SeqCst), 0, "nothing before the first batch is asked for");
        for taken in 1..=20 {
            assert_eq!(batches.next(), Some(taken - 1));
            thread::sleep(Duration::from_millis(2));
            assert!(begun.load(Ordering::SeqCst) <= taken + threads + 1);
        }
        let expected = 20 + threads + 1;
        while begun.load(Ordering::SeqCst) < expected {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn batches_are_made_at_the_same_time() {
    // Each of two batches waits for the other one to be begun.
    let both = Barrier::new(2);
    let meet = move |batch: Vec<i32>| {
        both.wait();
        batch
    };
    let batches = Batches::of(vec![1, 2], 1).transform(meet).prefetch(2);
    assert_eq!(batches.collect::<Vec<_>>(), [[1], [2]]);
}

#[test]
fn dropping_it_ends_the_threads() {
    struct Live(Arc<AtomicUsize>);
    impl Drop for Live {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    for taken in [0, 1, 5, 30] {
        let live = Arc::new(AtomicUsize::new(1));
        let held = Live(live.clone());
        let keep = move |batch: Vec<usize>| {
            let _ = &held;
            batch
        };
        let mut batches = Batches::of((0..30).collect::<Vec<_>>(), 1).transform(keep).prefetch(3);
        for _ in 0..taken {
            assert!(batches.next().is_some());
        }
        drop(batches);
        assert_eq!(live.load(Ordering::SeqCst), 0, "a thread still holds the data");
    }
}

#[test]
fn a_panic_arrives_with_its_message_in_its_turn() {
    for threads in 0..4 {
        let fragile = |batch: Vec<usize>| {
            assert!(batch[0] != 3, "sample {} is broken", batch[0]);
            batch[0]
        };
        let mut batches = Batches::of((0..20).collect::<Vec<_>>(), 1).transform(fragile).prefetch(threads);
        for expected in 0..3 {
            assert_eq!(batches.next(), Some(expected));
        }
        let panic = catch_unwind(AssertUnwindSafe(|| batches.next())).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "sample 3 is broken");
        if threads > 0 {
            assert_eq!(batches.next(), None);
        }
    }
}
