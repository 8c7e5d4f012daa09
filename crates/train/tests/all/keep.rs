//! Early stopping and kept checkpoints.

use gradus_train::{EarlyStopping, Goal};
use proptest::prelude::*;

proptest! {
    /// The definition: the last `patience` metrics do not improve on the best before them.
    #[test]
    fn training_stops_when_the_patience_ends(
        metrics in prop::collection::vec(prop_oneof![9 => -4_i32..4, 1 => Just(i32::MAX)], 1..30),
        patience in 1_usize..5,
        margin in 0_i32..3,
        rises: bool,
        cut in 0_usize..30,
    ) {
        // i32::MAX stands for NaN.
        let metrics: Vec<f64> =
            metrics.into_iter().map(|m| if m == i32::MAX { f64::NAN } else { f64::from(m) }).collect();
        let goal = if rises { Goal::Max } else { Goal::Min };
        let fresh = EarlyStopping::new(goal).patience(patience).min_delta(f64::from(margin));
        let mut stopping = fresh;
        let sign = if rises { 1.0 } else { -1.0 };
        let (mut best, mut bad) = (f64::NEG_INFINITY, 0);
        for (i, metric) in metrics.into_iter().enumerate() {
            if i == cut {
                let state = stopping.state();
                stopping = fresh;
                stopping.load_state(&state).unwrap();
            }
            let better = sign * metric > best + f64::from(margin) || best.is_infinite() && !metric.is_nan();
            (best, bad) = if better { (sign * metric, 0) } else { (best, bad + 1) };
            prop_assert_eq!(stopping.observe(metric), bad >= patience);
            prop_assert_eq!(stopping.best(), best.is_finite().then_some(sign * best));
        }
    }
}

#[test]
fn options_stay_when_a_state_is_loaded() {
    let mut first = EarlyStopping::min().patience(1);
    assert!(!first.observe(1.0) && first.observe(2.0));
    let mut more = EarlyStopping::min().patience(2);
    more.load_state(&first.state()).unwrap();
    assert!(!more.stopped() && more.observe(1.0));
    let error = more.load_state(&gradus_nn::State::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "value \"bad\": one element of i64 is needed; the state has nothing of this name"
    );
}

#[cfg(feature = "safetensors")]
mod files {
    use gradus_nn::State;
    use gradus_train::{BestCheckpoint, LastCheckpoints};

    use crate::Folder;

    fn state(number: i64) -> State {
        let mut state = State::new();
        state.insert("number", number);
        state
    }

    #[test]
    fn the_best_file_is_the_best_and_is_gone_on_with() {
        let folder = Folder::new("best");
        let path = folder.file("best.safetensors");
        let number = || State::read(&path).unwrap().value::<i64>("number").unwrap();
        let mut best = BestCheckpoint::min(&path);
        let metrics = [f64::NAN, 3.0, 3.0, f64::NAN, 1.0 / 3.0, 2.0];
        let kept = metrics.map(|metric| best.observe(1, metric, || state(metric as i64)).unwrap());
        assert_eq!(kept, [false, true, false, false, true, false]);
        let mut best = BestCheckpoint::min(&path).resume().unwrap();
        assert_eq!(best.best(), Some(1.0 / 3.0));
        assert!(!best.observe(7, 0.5, || unreachable!("it is no better")).unwrap());
        assert!(best.observe(8, 0.25, || state(8)).unwrap());
        assert_eq!(number(), 8);
        // Without `resume`, the first one replaces the file.
        assert!(BestCheckpoint::min(&path).observe(1, 9.0, || state(9)).unwrap());
        assert_eq!(number(), 9);
        state(1).write(&path).unwrap();
        let error = BestCheckpoint::min(&path).resume().unwrap_err().to_string();
        assert!(error.ends_with("it has no metric in its metadata, which a best checkpoint has"), "{error}");
    }

    #[test]
    fn the_last_files_are_kept() {
        let folder = Folder::new("last");
        let last = LastCheckpoints::new(folder.file("checkpoints"), 3);
        let epochs = || last.files().unwrap().into_iter().map(|(epoch, _)| epoch).collect::<Vec<_>>();
        assert!(epochs().is_empty());
        for epoch in 1..=5 {
            last.write(epoch, state(epoch as i64)).unwrap();
        }
        std::fs::write(folder.file("checkpoints/epoch-notes.txt"), "").unwrap();
        assert_eq!(epochs(), [3, 4, 5]);
        // Resumed after the third epoch.
        let path = last.write(4, state(40)).unwrap();
        assert_eq!(epochs(), [3, 4]);
        assert_eq!(State::read(path).unwrap().value::<i64>("number").unwrap(), 40);
    }
}
