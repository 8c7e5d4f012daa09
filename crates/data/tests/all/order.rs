//! Orders, parts and folds.

use gradus_autograd::{Tensor, seeded};
use gradus_data::{Batches, order};
use proptest::prelude::*;

use crate::is_permutation;

fn labels() -> impl Strategy<Value = Vec<i64>> {
    (1_i64..7).prop_flat_map(|classes| prop::collection::vec(-1..classes, 0..90))
}

proptest! {
    #[test]
    fn stratified_orders_keep_the_shares(labels in labels(), seed: u64, size in 1_usize..20) {
        let count = labels.len();
        let order = order::stratified(&Tensor::from(labels.clone()), &mut seeded(seed));
        prop_assert!(is_permutation(order.clone(), count));
        for class in -1..7 {
            let all = labels.iter().filter(|&&label| label == class).count();
            let mut seen = 0;
            for (place, &i) in order.iter().enumerate() {
                seen += usize::from(labels[i] == class);
                // The distance from the share, times the number of samples.
                prop_assert!((seen * count).abs_diff((place + 1) * all) < count, "{class} at {place}");
            }
        }
        let y = Tensor::from(labels);
        let by_batches: Vec<_> = Batches::of(&y, size).stratify(&y, &mut seeded(seed)).flat_map(|y| y.to_vec()).collect();
        prop_assert_eq!(by_batches, order.iter().map(|&i| y[[i]]).collect::<Vec<_>>());
    }

    #[test]
    fn parts_are_the_order_cut(count in 0_usize..100, cuts in prop::array::uniform3(0.0..1.0_f64), seed: u64) {
        let order = order::shuffled(count, &mut seeded(seed));
        prop_assert!(is_permutation(order.clone(), count));
        let sum = cuts.iter().sum::<f64>().max(1.0);
        let fractions = cuts.map(|cut| cut / sum);
        let parts = order::split(&order, fractions);
        let joined = parts.concat();
        prop_assert_eq!(&joined[..], &order[..joined.len()]);
        for (part, fraction) in parts.iter().zip(fractions) {
            prop_assert!((part.len() as f64 - fraction * count as f64).abs() <= 1.0);
        }
        let sizes = parts.each_ref().map(Vec::len);
        prop_assert_eq!(order::split(&order, sizes), parts);
    }

    #[test]
    fn each_sample_is_in_one_fold(count in 2_usize..60, folds in 2_usize..60, seed: u64) {
        let folds = folds.min(count);
        let order = order::shuffled(count, &mut seeded(seed));
        let folds = order::folds(&order, folds);
        for [train, validation] in &folds {
            prop_assert!(is_permutation([&train[..], validation].concat(), count));
            prop_assert!(validation.len() == count / folds.len() || validation.len() == count.div_ceil(folds.len()));
        }
        let validated: Vec<usize> = folds.iter().flat_map(|[_, validation]| validation.clone()).collect();
        prop_assert_eq!(validated, order);
    }

    #[test]
    fn weights_are_frequencies(weights in prop::collection::vec(0_u32..5, 1..8), seed: u64) {
        let total: u32 = weights.iter().sum();
        prop_assume!(total > 0);
        let weights: Tensor<f64> = weights.iter().map(|&w| f64::from(w)).collect();
        let draws = 20_000;
        let drawn = order::weighted(&weights, draws, &mut seeded(seed));
        let mut distinct = order::weighted_distinct(&weights, weights.gt(0.0).count(..).item() as usize, &mut seeded(seed));
        distinct.sort_unstable();
        prop_assert!(distinct.iter().copied().eq((0..weights.len()).filter(|&i| weights[[i]] > 0.0)));
        for i in 0..weights.len() {
            let p = weights[[i]] / f64::from(total);
            let found = drawn.iter().filter(|&&j| i == j).count() as f64;
            // Six standard deviations.
            let bound = 6.0 * (draws as f64 * p * (1.0 - p)).sqrt();
            prop_assert!((found - draws as f64 * p).abs() <= bound, "{i}: {found}");
        }
    }

    #[test]
    fn buckets_have_similar_lengths(
        lengths in prop::collection::vec(0_usize..30, 0..80), size in 1_usize..9, seed: u64,
    ) {
        let order = order::bucketed(&lengths, size, &mut seeded(seed));
        prop_assert!(is_permutation(order.clone(), lengths.len()));
        // The runs are the sorted lengths, cut.
        let mut sorted = lengths.clone();
        sorted.sort_unstable();
        let mut expected: Vec<Vec<usize>> = sorted.chunks(size).map(<[_]>::to_vec).collect();
        let mut found: Vec<Vec<usize>> =
            order.chunks(size).map(|run| run.iter().map(|&i| lengths[i]).collect()).collect();
        for run in &mut found {
            run.sort_unstable();
        }
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        let batches: Vec<usize> = Batches::of(&lengths, size).bucket(&lengths, &mut seeded(seed)).flatten().collect();
        prop_assert_eq!(batches, order.iter().map(|&i| lengths[i]).collect::<Vec<_>>());
    }
}

#[test]
fn draws_without_replacement_follow_the_weights() {
    let (weights, rng) = (Tensor::from([1.0_f32, 3.0, 0.0]), &mut seeded(0));
    let firsts = (0..4000).filter(|_| order::weighted_distinct(&weights, 1, rng) == [1]).count();
    assert!((2850..3150).contains(&firsts), "{firsts}");
    let x = Tensor::from([5, 6, 7]);
    let mut both = Batches::of(&x, 9).weighted_distinct(&weights, 2, rng).next().unwrap().to_vec();
    both.sort_unstable();
    assert_eq!(both, [5, 6]);
    let many = Batches::of(&x, 100).weighted(&weights, 1000, rng);
    assert_eq!(many.len(), 10);
    assert!(many.flat_map(|x| x.to_vec()).all(|x| x != 7));
}

#[test]
fn streams_are_frozen() {
    let rng = &mut seeded(7);
    assert_eq!(
        order::shuffled(6, rng),
        Tensor::randperm(6, &mut seeded(7)).iter().map(|i| i as usize).collect::<Vec<_>>()
    );
    let labels = Tensor::from([0, 0, 0, 0, 1, 1]);
    assert_eq!(order::stratified(&labels, &mut seeded(7)), [3, 4, 1, 2, 5, 0]);
    assert_eq!(order::bucketed(&[1, 2, 3, 1, 2, 3, 9], 2, &mut seeded(7)), [4, 1, 3, 0, 2, 5, 6]);
}
