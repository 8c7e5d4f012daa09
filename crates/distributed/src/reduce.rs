//! Weighted sums of floating-point numbers over all ranks.

use std::any::Any;
use std::ops::Range;
use std::sync::PoisonError;

use gradus_autograd::Float;

use crate::error::DistributedError;
use crate::group::{Call, Group};
use crate::wire::Wire;

/// Memory that is kept from step to step: pages that the system hands out anew cost more than the sums.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The bytes of buckets.
    pub(crate) buckets: Vec<Vec<u8>>,
    /// By rank.
    receive: Vec<Vec<u8>>,
    /// The numbers of a parameter: a `Vec` of their type.
    pub(crate) numbers: Option<Box<dyn Any + Send>>,
}

/// The numbers that are added up at once, so that their sums stay in the cache.
const BLOCK: usize = 1024;

impl Group {
    /// Replaces numbers, given by their bytes, by their sums over all ranks, each rank's times its weight: the same bits on
    /// every rank.
    ///
    /// Each rank adds up one part of the numbers, in the order of the ranks and in double precision, and hands the result to
    /// all others. So the order of additions depends on nothing but the number of ranks.
    pub(crate) fn weighted_sum<T: Float + Wire>(
        &self,
        call: Call,
        bucket: &mut [u8],
        weights: &[f64],
    ) -> Result<(), DistributedError> {
        if self.size() == 1 {
            return Ok(());
        }
        let receive = &mut self.scratch.lock().unwrap_or_else(PoisonError::into_inner).receive;
        let (rank, size, len) = (self.rank(), self.size(), bucket.len() / T::SIZE);
        let part = |rank: usize| len * rank / size * T::SIZE..len * (rank + 1) / size * T::SIZE;
        let own = part(rank);
        receive.resize(size, Vec::new());
        for (to, from) in self.rounds() {
            receive[from].resize(own.len(), 0);
            self.exchange(call, (to, &bucket[part(to)]), (from, &mut receive[from]))?;
        }
        let mut sums = [0.0; BLOCK];
        for start in (0..own.len()).step_by(BLOCK * T::SIZE) {
            let block = start..own.len().min(start + BLOCK * T::SIZE);
            let here = &mut bucket[own.clone()][block.clone()];
            let sums = &mut sums[..block.len() / T::SIZE];
            sums.fill(0.0);
            // A rank without examples has no part in it: 0 times a number that is not finite would be NaN.
            for (other, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
                let bytes = if other == rank { &*here } else { &receive[other][block.clone()] };
                sums.iter_mut().zip(T::read(bytes)).for_each(|(sum, x)| *sum += weight * x.to_f64());
            }
            T::write(sums.iter().map(|&sum| T::from_f64(sum)), here);
        }
        for (to, from) in self.rounds() {
            let (own, part) = disjoint(bucket, own.clone(), part(from));
            self.exchange(call, (to, own), (from, part))?;
        }
        Ok(())
    }
}

/// Two ranges of a slice that do not overlap.
fn disjoint(bytes: &mut [u8], one: Range<usize>, other: Range<usize>) -> (&[u8], &mut [u8]) {
    if one.end <= other.start {
        let (low, high) = bytes.split_at_mut(other.start);
        (&low[one], &mut high[..other.len()])
    } else {
        let (low, high) = bytes.split_at_mut(one.start);
        (&high[..one.len()], &mut low[other])
    }
}
