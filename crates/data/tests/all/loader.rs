//! Training that stops anywhere and goes on gives the same bits.

use gradus_autograd::{Tensor, Xoshiro256PlusPlus, seeded};
use gradus_data::{Batches, Loader};
use gradus_nn::{State, Stateful};
use proptest::prelude::*;

use crate::numbered;

/// Shuffled batches with noise.
fn noisy(
    size: usize,
    samples: usize,
) -> impl Fn(&mut Xoshiro256PlusPlus) -> Batches<'static, (Tensor, Tensor<i64>)> {
    let data = numbered(samples);
    move |rng| {
        Batches::of(data.clone(), size).shuffle(rng).augment(rng, |(x, y), rng| (&x + x.rand_like(rng), y))
    }
}

proptest! {
    #[test]
    fn a_resumed_loader_gives_the_same_bits(
        samples in 0_usize..30, size in 1_usize..8, stop in 0_usize..30, seed: u64, threads in 0_usize..3,
    ) {
        let make = noisy(size, samples);
        let mut whole = Loader::new(seeded(seed), &make);
        for _ in 0..stop {
            whole.next();
        }
        let (state, place) = (whole.state(), (whole.epoch(), whole.batch()));
        let mut checkpoint = State::new();
        checkpoint.insert_part("data.", &state);

        let mut resumed = Loader::new(seeded(!seed), |rng| make(rng).prefetch(threads));
        resumed.next();
        resumed.load_state(&checkpoint.part("data.")).unwrap();
        prop_assert_eq!((resumed.epoch(), resumed.batch()), place);
        prop_assert_eq!(resumed.state(), state);
        for _ in 0..12 {
            prop_assert_eq!(resumed.next(), whole.next());
            prop_assert_eq!(resumed.state(), whole.state());
        }
    }
}

#[test]
fn each_epoch_ends_and_the_next_one_is_another() {
    let mut loader = Loader::new(seeded(0), noisy(8, 20));
    let epochs: Vec<Vec<i64>> =
        (0..3).map(|_| loader.by_ref().flat_map(|(_, y)| y.to_vec()).collect()).collect();
    assert_eq!((loader.epoch(), loader.batch()), (3, 0));
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
    for mut epoch in epochs {
        epoch.sort_unstable();
        assert!(epoch.into_iter().eq(0..20));
    }
}

#[test]
fn resuming_makes_no_batch_before() {
    let make = |rng: &mut _| {
        Batches::of((0..20).collect::<Vec<usize>>(), 2).shuffle(rng).transform(|y| {
            assert!(!y.contains(&0), "the batch with sample 0 is made");
            y
        })
    };
    let mut loader = Loader::new(seeded(0), make);
    let mut state = loader.state();
    // The number of the batch with sample 0.
    let order = gradus_data::order::shuffled(20, &mut seeded(0));
    let zero = order.iter().position(|&i| i == 0).unwrap() / 2;
    state.insert("batch", zero as i64 + 1);
    loader.load_state(&state).unwrap();
    assert_eq!(loader.by_ref().count(), 9 - zero);
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let mut loader = Loader::new(seeded(0), noisy(8, 20));
    loader.next();
    let before = loader.state();
    let mut refused = |change: &dyn Fn(&mut State), message: &str| {
        let mut state = before.clone();
        change(&mut state);
        let error = loader.load_state(&state).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(loader.state(), before);
    };
    refused(
        &|state| drop(state.remove("epoch")),
        "value \"epoch\": one element of i64 is needed; the state has nothing of this name",
    );
    refused(
        &|state| state.insert("epoch", -1),
        "load_state: the state does not fit the loader: value \"epoch\" is -1: it must not be negative",
    );
    refused(
        &|state| state.insert("batch", 4),
        "load_state: the state does not fit the loader: value \"batch\" is 4, and an epoch of the loader has 3 batches: data and options must be the same",
    );
    refused(
        &|state| state.insert("rng", 1),
        "value \"rng\": a generator, as four i64 that are not all 0, is needed; the state has i64 of shape [] there",
    );
}

/// Whatever goes on from its state goes on from a checkpoint by its name.
#[test]
fn a_loader_is_stateful() {
    fn through_a_checkpoint(from: &impl Stateful, to: &mut impl Stateful) {
        let mut checkpoint = State::new();
        checkpoint.insert_part("loader.", &from.state());
        to.load_state(&checkpoint.part("loader.")).unwrap();
    }
    let mut loader = Loader::new(seeded(3), noisy(8, 20));
    loader.nth(1);
    let mut other = Loader::new(seeded(4), noisy(8, 20));
    through_a_checkpoint(&loader, &mut other);
    assert_eq!((other.epoch(), other.batch()), (0, 2));
    assert_eq!(other.next(), loader.next());
}
