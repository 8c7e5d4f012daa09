//! Batches are the data set, once through, in the order.

use std::sync::Arc;

use gradus_autograd::{Tensor, seeded};
use gradus_data::{Batches, Dataset, Subset};
use proptest::prelude::*;

use crate::{is_permutation, numbered};

proptest! {
    #[test]
    fn an_epoch_has_each_sample_once(samples in 0_usize..70, size in 1_usize..20, seed: u64, drop: bool) {
        let (x, y) = numbered(samples);
        let mut batches = Batches::of((&x, &y), size).shuffle(&mut seeded(seed));
        if drop {
            batches = batches.drop_last();
        }
        let expected = if drop { samples / size } else { samples.div_ceil(size) };
        let (mut seen, mut count) = (Vec::new(), 0);
        prop_assert_eq!(batches.len(), expected);
        while let Some((x, y)) = batches.next() {
            count += 1;
            prop_assert_eq!(batches.len(), expected - count);
            prop_assert_eq!(y.len(), size.min(samples - (count - 1) * size));
            prop_assert_eq!(&x, &numbered(samples).0.index_select(0, &y));
            seen.extend(y.iter().map(|i| i as usize));
        }
        prop_assert_eq!(count, expected);
        if drop {
            prop_assert_eq!(seen.len(), expected * size);
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), expected * size);
        } else {
            prop_assert!(is_permutation(seen, samples));
        }
    }

    #[test]
    fn an_order_is_followed_in_any_layout(
        indices in prop::collection::vec(0_usize..9, 0..30), size in 1_usize..8, layout in 0..3,
    ) {
        let (x, y) = numbered(9);
        let x = match layout {
            0 => x,
            1 => x.t().contiguous().t(),
            _ => x.flip(0).contiguous().flip(0),
        };
        let batches: Vec<_> = Batches::of((x, y.clone()), size).order(indices.clone()).collect();
        for ((x, y), chosen) in batches.iter().zip(indices.chunks(size)) {
            prop_assert_eq!(y, &chosen.iter().map(|&i| i as i64).collect::<Tensor<i64>>());
            prop_assert_eq!(x, &numbered(9).0.index_select(0, y));
        }
        prop_assert_eq!(batches.len(), indices.chunks(size).len());
    }

    #[test]
    fn skipping_makes_nothing(samples in 0_usize..40, size in 1_usize..9, skipped in 0_usize..9) {
        let (_, y) = numbered(samples);
        let made = std::sync::atomic::AtomicUsize::new(0);
        let counted = |y| {
            made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            y
        };
        let expected = Batches::of(&y, size).collect::<Vec<_>>().get(skipped).cloned();
        let found = Batches::of(&y, size).transform(counted).nth(skipped);
        prop_assert_eq!(made.into_inner(), usize::from(found.is_some()));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_subset_is_the_samples_of_its_indices(
        indices in prop::collection::vec(0_usize..12, 0..20), size in 1_usize..6, seed: u64,
    ) {
        let (x, y) = numbered(12);
        let subset = Subset::new((&x, &y), indices.clone());
        prop_assert_eq!(subset.len(), indices.len());
        let all: Tensor<i64> = indices.iter().map(|&i| i as i64).collect();
        prop_assert_eq!(&subset.all().1, &all);
        let order = gradus_data::order::shuffled(indices.len(), &mut seeded(seed));
        let places: Tensor<i64> = order.iter().map(|&i| i as i64).collect();
        let found: Vec<i64> = Batches::of(&subset, size).shuffle(&mut seeded(seed)).flat_map(|(_, y)| y.to_vec()).collect();
        prop_assert_eq!(found, all.index_select(0, &places).to_vec());
    }
}

#[test]
fn batches_of_neighbours_are_views() {
    let (x, y) = numbered(10);
    for (a, b) in Batches::of((&x, &y), 4) {
        assert!(a.shares_buffer(&x) && b.shares_buffer(&y));
    }
    let half = Subset::new(&x, [5, 6, 7, 8]);
    assert!(Batches::of(&half, 3).next().unwrap().shares_buffer(&x));
    assert!(!Batches::of(&x, 2).order([1, 0]).next().unwrap().shares_buffer(&x));
}

#[test]
fn loops_are_written_as_in_the_documentation() {
    let ((images, labels), mut rng) = (numbered(100), seeded(0));
    let mut sum = 0;
    for (x, y) in Batches::of((&images, &labels), 64).shuffle(&mut rng) {
        assert_eq!(x.shape()[0], y.len());
        sum += y.sum(..).item();
    }
    assert_eq!(sum, 99 * 100 / 2);
}

#[test]
fn tuples_vectors_and_pointers_are_data_sets() {
    let ((x, y), names) = (numbered(5), vec!["a", "b", "c", "d", "e"]);
    let mask = Tensor::from([true, false, true, false, true]);
    let four = Arc::new((x, y, names, mask));
    let mut batches = Batches::of(four, 3).order([4, 0, 2, 1]);
    let (x, y, names, mask) = batches.next().unwrap();
    assert_eq!((x.shape(), y.to_vec(), names), ([3, 3].as_slice(), vec![4, 0, 2], vec!["e", "a", "c"]));
    assert_eq!(mask.to_vec(), [true, true, true]);
    let (.., names, mask) = batches.next().unwrap();
    assert_eq!((names, mask.to_vec()), (vec!["b"], vec![false]));

    let (pair, three) = ((&[1.5, 2.5][..], vec![1_u8, 2]), ([1].as_slice(), [2].as_slice(), [3].as_slice()));
    assert_eq!(pair.batch(&[1, 1]), (vec![2.5, 2.5], vec![2, 2]));
    assert_eq!(three.batch(&[0]), (vec![1], vec![2], vec![3]));
}
