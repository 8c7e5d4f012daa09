//! Weighted sums of floating-point numbers over all ranks.

use std::sync::PoisonError;

use gradus_autograd::Float;

use crate::error::DistributedError;
use crate::group::{Call, Group};
use crate::wire::Wire;

/// Memory that is kept from step to step.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    send: Vec<u8>,
    /// By rank.
    receive: Vec<Vec<u8>>,
    sums: Vec<f64>,
}

impl Group {
    /// Replaces numbers by their sums over all ranks, each rank's times its weight: the same bits on every rank.
    ///
    /// Each rank adds up one part of the numbers, in the order of the ranks and in double precision, and hands the result to
    /// all others. So the order of additions depends on nothing but the number of ranks.
    pub(crate) fn weighted_sum<T: Float + Wire>(
        &self,
        call: Call,
        bucket: &mut [T],
        weights: &[f64],
    ) -> Result<(), DistributedError> {
        if self.size() == 1 {
            return Ok(());
        }
        let scratch = &mut *self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let Scratch { send, receive, sums } = scratch;
        let (rank, size, len) = (self.rank(), self.size(), bucket.len());
        let part = |rank: usize| len * rank / size..len * (rank + 1) / size;
        let own = part(rank);
        receive.resize(size, Vec::new());
        for (to, from) in self.rounds() {
            T::write(&bucket[part(to)], send);
            receive[from].resize(own.len() * T::SIZE, 0);
            self.exchange(call, (to, send), (from, &mut receive[from]))?;
        }
        T::write(&bucket[own.clone()], &mut receive[rank]);
        sums.clear();
        sums.resize(own.len(), 0.0);
        // A rank without examples has no part in it: 0 times a number that is not finite would be NaN.
        for (bytes, &weight) in receive.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
            sums.iter_mut().zip(T::read(bytes)).for_each(|(sum, x)| *sum += weight * x.to_f64());
        }
        bucket[own.clone()].iter_mut().zip(&*sums).for_each(|(x, &sum)| *x = T::from_f64(sum));
        T::write(&bucket[own], send);
        for (to, from) in self.rounds() {
            let part = part(from);
            receive[from].resize(part.len() * T::SIZE, 0);
            self.exchange(call, (to, send), (from, &mut receive[from]))?;
            bucket[part].iter_mut().zip(T::read(&receive[from])).for_each(|(x, sum)| *x = sum);
        }
        Ok(())
    }
}
