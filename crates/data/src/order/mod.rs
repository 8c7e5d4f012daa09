//! Orders: lists of the indices of samples, for [`Batches::order`](crate::Batches::order) and [`Subset`](crate::Subset).
//!
//! One function makes an order, another one cuts it:
//!
//! ```
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
//! use gradus::{Tensor, seeded};
//! use gradus::data::order;
//!
//! let (labels, mut rng) = (Tensor::from([0, 0, 1, 0, 0, 1, 0, 0, 1, 0]), seeded(0));
//! let [train, test] = order::split(&order::shuffled(10, &mut rng), [0.8, 0.2]);
//! assert_eq!((train.len(), test.len()), (8, 2));
//!
//! for [train, validation] in order::folds(&order::stratified(&labels, &mut rng), 3) {
//!     assert_eq!((train.len() + validation.len(), validation.len() / 3), (10, 1));
//!     assert_eq!(validation.iter().filter(|&&i| labels[[i]] == 1).count(), 1);
//! }
//! ```

mod dirichlet;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use gradus_autograd::{Float, Rng, Tensor};

pub use dirichlet::dirichlet;

/// The numbers from 0 to `count - 1`, each order equally likely; see [`Tensor::randperm`].
pub fn shuffled(count: usize, rng: &mut (impl Rng + ?Sized)) -> Vec<usize> {
    Tensor::randperm(count, rng).iter().map(|i| i as usize).collect()
}

/// A random order in which every label has its share from the beginning on: of the first k of n samples, a label that m of
/// all have has less than 1 more or less than k m / n. So batches, parts and folds have almost the same shares (less than
/// 2 more or less for a piece from the middle). Any integers are labels.
///
/// The j-th sample of a label takes a place between j n / m and (j + 1) n / m, those with the earliest end first (Baruah,
/// Cohen, Plaxton and Varvel, "Proportionate progress: a notion of fairness in resource allocation", 1996). Which sample of
/// a label is the j-th is random.
pub fn stratified(labels: &Tensor<i64>, rng: &mut (impl Rng + ?Sized)) -> Vec<usize> {
    let (count, labels) = (labels.len(), labels.to_vec());
    let order = shuffled(count, rng);
    let mut classes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (rank, &index) in order.iter().enumerate() {
        classes.entry(labels[index]).or_default().push(rank);
    }
    // For each sample its first place, the place before which it must be, and its rank in the shuffled order.
    let mut samples: Vec<(usize, usize, usize)> = Vec::with_capacity(count);
    for ranks in classes.values() {
        let place = |j: usize| j * count / ranks.len();
        let end = |j: usize| ((j + 1) * count).div_ceil(ranks.len());
        samples.extend(ranks.iter().enumerate().map(|(j, &rank)| (place(j), end(j), rank)));
    }
    samples.sort_unstable();
    let (mut samples, mut waiting) = (samples.into_iter().peekable(), BinaryHeap::new());
    let at = |place: usize| {
        while let Some((_, end, rank)) = samples.next_if(|&(first, ..)| first <= place) {
            waiting.push(Reverse((end, rank)));
        }
        let Reverse((_, rank)) = waiting.pop().expect("shares sum to the number of places");
        order[rank]
    };
    (0..count).map(at).collect()
}

/// `count` indices, each drawn with a probability in proportion to its weight; an index may occur several times. See
/// [`Tensor::multinomial`].
///
/// # Panics
/// If a weight is negative, infinite or NaN, or all are 0.
#[track_caller]
pub fn weighted<T: Float>(weights: &Tensor<T>, count: usize, rng: &mut (impl Rng + ?Sized)) -> Vec<usize> {
    check_weights("weighted", weights);
    drawn(&weights.flatten(..).multinomial(count, true, rng))
}

/// `count` different indices, drawn one after another with probabilities in proportion to the weights of those that are
/// left. See [`Tensor::multinomial`].
///
/// # Panics
/// If a weight is negative, infinite or NaN, all are 0, or fewer than `count` are positive.
#[track_caller]
pub fn weighted_distinct<T: Float>(
    weights: &Tensor<T>,
    count: usize,
    rng: &mut (impl Rng + ?Sized),
) -> Vec<usize> {
    let positive = check_weights("weighted_distinct", weights);
    assert!(
        count <= positive,
        "weighted_distinct: `count` is {count}, and {positive} weights are positive: no index is drawn twice, so it must not be more"
    );
    drawn(&weights.flatten(..).multinomial(count, false, rng))
}

fn drawn(indices: &Tensor<i64>) -> Vec<usize> {
    indices.iter().map(|i| i as usize).collect()
}

/// The number of positive weights.
#[track_caller]
fn check_weights<T: Float>(operation: &str, weights: &Tensor<T>) -> usize {
    let is_weight = |w: T| w >= T::ZERO && w.is_finite();
    if let Some((index, w)) = weights.iter().enumerate().find(|&(_, w)| !is_weight(w)) {
        panic!("{operation}: weight {index} is {w}: weights must be finite and not negative");
    }
    let positive = weights.iter().filter(|&w| w > T::ZERO).count();
    assert!(positive > 0, "{operation}: none of {} weights is positive: one at least must be", weights.len());
    positive
}

/// A random order in which each run of `size` has similar lengths: sorted by length, equal lengths in random order,
/// and cut into runs, whose order is random. The last run, which may be shorter, stays last.
///
/// # Panics
/// If `size` is 0.
#[track_caller]
pub fn bucketed(lengths: &[usize], size: usize, rng: &mut (impl Rng + ?Sized)) -> Vec<usize> {
    assert!(size > 0, "bucketed: `size` is 0: it must be at least 1");
    let mut order = shuffled(lengths.len(), rng);
    order.sort_by_key(|&i| lengths[i]);
    let (runs, rest) = order.split_at(order.len() / size * size);
    let runs: Vec<&[usize]> = runs.chunks(size).collect();
    let mixed = shuffled(runs.len(), rng).into_iter().flat_map(|run| runs[run].iter().copied());
    mixed.chain(rest.iter().copied()).collect()
}

/// The size of a part: a number of samples (`usize`), or a fraction of all (`f64`).
pub trait Part: Copy + std::fmt::Debug {
    /// The numbers of samples before the end of each part, or why there are none.
    #[doc(hidden)]
    fn ends(parts: &[Self], count: usize) -> Result<Vec<usize>, String>;
}

impl Part for usize {
    fn ends(parts: &[Self], count: usize) -> Result<Vec<usize>, String> {
        let sum = |sum: &mut usize, &part: &usize| {
            *sum = sum.saturating_add(part);
            Some(*sum)
        };
        let ends: Vec<usize> = parts.iter().scan(0, sum).collect();
        match ends.last() {
            Some(&last) if last > count => Err(format!("they sum to {last}, and there are {count} samples")),
            _ => Ok(ends),
        }
    }
}

impl Part for f64 {
    fn ends(parts: &[Self], count: usize) -> Result<Vec<usize>, String> {
        if let Some(part) = parts.iter().find(|part| !(0.0..=1.0).contains(*part)) {
            return Err(format!("{part} is no fraction: each must be between 0 and 1"));
        }
        let sums: Vec<f64> = parts
            .iter()
            .scan(0.0, |sum, part| {
                Some({
                    *sum += part;
                    *sum
                })
            })
            .collect();
        match sums.last() {
            // Fractions such as 0.7, 0.2 and 0.1 may sum to a little more than 1.
            Some(&last) if last > 1.0 + 1e-9 => Err(format!("they sum to {last}, which is more than 1")),
            _ => Ok(sums.iter().map(|sum| ((sum * count as f64).round() as usize).min(count)).collect()),
        }
    }
}

/// Cuts an order into parts of these sizes: fractions of the whole (`[0.8, 0.1, 0.1]`), whose ends are rounded, or numbers of
/// samples (`[1000, 200]`). If the parts sum to less than the whole, the rest is left out.
///
/// # Panics
/// If the parts are more than the whole, or a fraction is not between 0 and 1.
#[track_caller]
pub fn split<P: Part, const N: usize>(order: &[usize], parts: [P; N]) -> [Vec<usize>; N] {
    let ends = match P::ends(&parts, order.len()) {
        Ok(ends) => ends,
        Err(fault) => panic!("split: the parts are {parts:?}: {fault}"),
    };
    let mut start = 0;
    std::array::from_fn(|part| order[std::mem::replace(&mut start, ends[part])..ends[part]].to_vec())
}

/// `count` folds of an order, for cross-validation: each time the rest of it and one fold, `[train, validation]`. The folds
/// are neighbours in the order, and their sizes differ by 1 at most.
///
/// # Panics
/// If `count` is less than 2, or more than there are samples.
#[track_caller]
pub fn folds(order: &[usize], count: usize) -> Vec<[Vec<usize>; 2]> {
    let samples = order.len();
    assert!(
        (2..=samples).contains(&count),
        "folds: `count` is {count}, and there are {samples} samples: it must be 2 at least and no more than the samples"
    );
    let fold = |i: usize| {
        let (start, end) = (i * samples / count, (i + 1) * samples / count);
        [[&order[..start], &order[end..]].concat(), order[start..end].to_vec()]
    };
    (0..count).map(fold).collect()
}
