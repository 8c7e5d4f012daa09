//! The parts of a batch, one for each rank.

use std::ops::Range;
use std::sync::Arc;

use crate::error::DistributedError;
use crate::group::Group;
use crate::wire::Digest;

/// A way to cut batches into one part for each rank; [`Group::sharding`] makes it.
#[derive(Debug, Clone, Copy)]
pub struct Sharding {
    rank: usize,
    ranks: usize,
    size: usize,
}

impl Group {
    /// Batches of `size` examples, each cut into one part for each rank. The sizes of the parts differ by 1 at most.
    ///
    /// # Errors
    /// If there are fewer examples in a batch than ranks: a rank would never have one.
    pub fn sharding(&self, size: usize) -> Result<Sharding, DistributedError> {
        let (rank, ranks) = (self.rank(), self.size());
        if size < ranks {
            let fault = format!(
                "a batch of {size} examples for {ranks} ranks: each rank needs one example at least; start fewer ranks, \
                 or make batches larger"
            );
            return Err(DistributedError::Batch { call: "sharding", fault });
        }
        Ok(Sharding { rank, ranks, size })
    }
}

impl Sharding {
    /// This rank's parts of the batches of an epoch. The order of the examples must be the same on every rank: it comes from
    /// a generator of the same seed. It is cut into batches exactly as on one rank, and the last batch may be smaller.
    ///
    /// ```
    /// use gradus_distributed::Threads;
    ///
    /// let parts = Threads::run(2, |group| {
    ///     let sharding = group.sharding(3).unwrap();
    ///     sharding.of([5, 0, 3, 1]).map(|part| part.indices().to_vec()).collect::<Vec<_>>()
    /// });
    /// assert_eq!(parts[0], [vec![5], vec![]]); // the last batch has one example, for rank 1
    /// assert_eq!(parts[1], [vec![0, 3], vec![1]]);
    /// ```
    ///
    /// The iterator has a length, so that a `Loader` of `gradus::data` can own it. Its place in a checkpoint counts whole
    /// batches: a job may go on with another number of ranks.
    pub fn of(self, order: impl Into<Arc<[usize]>>) -> Shards {
        Shards { sharding: self, order: order.into(), next: 0 }
    }
}

/// The parts of one rank, batch after batch; see [`Sharding::of`].
#[derive(Debug, Clone)]
pub struct Shards {
    sharding: Sharding,
    order: Arc<[usize]>,
    next: usize,
}

impl Shards {
    fn total(&self) -> usize {
        self.order.len().div_ceil(self.sharding.size)
    }
}

impl Iterator for Shards {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let Sharding { rank, ranks, size } = self.sharding;
        let start = self.next.checked_mul(size).filter(|&start| start < self.order.len())?;
        self.next += 1;
        let batch = start..self.order.len().min(start + size);
        let end = |rank: usize| start + batch.len() * rank / ranks;
        let own = end(rank)..end(rank + 1);
        Some(Part { order: Arc::clone(&self.order), batch, own })
    }

    fn nth(&mut self, n: usize) -> Option<Part> {
        self.next = self.next.saturating_add(n).min(self.total());
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.total() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Shards {}

/// One rank's part of a batch. It may be empty: then the rank has nothing to compute, and still takes part in the step.
#[derive(Debug, Clone)]
pub struct Part {
    order: Arc<[usize]>,
    batch: Range<usize>,
    own: Range<usize>,
}

impl Part {
    /// The examples of this rank.
    pub fn indices(&self) -> &[usize] {
        &self.order[self.own.clone()]
    }

    /// The examples of the whole batch.
    pub fn batch(&self) -> &[usize] {
        &self.order[self.batch.clone()]
    }

    /// A fingerprint of the whole batch.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = Digest::new();
        self.batch().iter().for_each(|&index| digest.word(index as u64));
        digest.0
    }
}
