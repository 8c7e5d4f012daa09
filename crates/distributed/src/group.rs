//! Ranks that work together.

use std::fmt::{self, Debug, Formatter};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use gradus_autograd::Tensor;

use crate::communicator::{Communicator, Single};
use crate::error::DistributedError;
use crate::reduce::Scratch;
use crate::wire::{Digest, Wire, bytes};

/// The ranks of a job, as one of them sees it.
///
/// Most methods are *collective*: all ranks make the same calls in the same order, and each call returns once the ranks it
/// needs have made it. A rank that makes another call is named in an error on every rank.
///
/// ```
/// use gradus_distributed::Group;
///
/// let group = Group::single();
/// assert_eq!((group.rank(), group.size()), (0, 1));
/// assert_eq!(group.sum(&[1.0, 2.0])?, [1.0, 2.0]);
/// # Ok::<(), gradus_distributed::DistributedError>(())
/// ```
pub struct Group {
    communicator: Box<dyn Communicator>,
    /// The number of calls so far.
    calls: AtomicU64,
    left: AtomicBool,
    bucket: AtomicUsize,
    overlap: AtomicBool,
    pub(crate) scratch: Mutex<Scratch>,
}

/// A collective call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Call {
    Leave,
    Wait,
    Sum,
    Mean,
    Gather,
    Broadcast,
    CheckSame,
    Backward,
    Reduce,
    Save,
    Load,
}

impl Call {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Leave, "the end"),
        (Self::Wait, "wait"),
        (Self::Sum, "sum"),
        (Self::Mean, "mean"),
        (Self::Gather, "gather"),
        (Self::Broadcast, "broadcast"),
        (Self::CheckSame, "check_same"),
        (Self::Backward, "backward"),
        (Self::Reduce, "reduce"),
        (Self::Save, "save"),
        (Self::Load, "load"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::name_of(self as u64)
    }

    fn name_of(code: u64) -> &'static str {
        let call = Self::ALL.iter().find(|(call, _)| *call as u64 == code);
        call.map_or("a call of another version", |(_, name)| name)
    }
}

/// The count of numbers that a rank tells all others at the beginning of a call.
pub(crate) const NUMBERS: usize = 6;

/// The bytes that one message carries at most.
const PIECE: usize = 1 << 20;

impl Group {
    /// The ranks that a communicator connects; [`run`](crate::run) makes the group of a job.
    pub fn new(communicator: Box<dyn Communicator>) -> Self {
        Self {
            communicator,
            calls: AtomicU64::new(0),
            left: AtomicBool::new(false),
            bucket: AtomicUsize::new(PIECE),
            overlap: AtomicBool::new(false),
            scratch: Mutex::default(),
        }
    }

    /// One rank: each call returns at once, and training gives the same bits as without a group.
    pub fn single() -> Self {
        Self::new(Box::new(Single))
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.communicator.rank()
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.communicator.size()
    }

    /// Whether this is rank 0, which writes files and prints.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Sets the bytes of gradients that are reduced at once, 1 MiB at first. All ranks need the same number. It changes no
    /// bits of the result.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn set_bucket(&self, bytes: usize) {
        assert!(bytes > 0, "set_bucket: the number of bytes is 0: it must be 1 or larger");
        self.bucket.store(bytes, Relaxed);
    }

    pub(crate) fn bucket(&self) -> usize {
        self.bucket.load(Relaxed)
    }

    /// Reduces the gradients of [`backward`](Self::backward) while the backward pass goes on to earlier layers, on a thread of
    /// its own. It changes no bits of the result. All ranks need the same setting; at first it is off.
    ///
    /// It pays where the time of a step is spent waiting for a network. On one machine, where all processors compute and bytes
    /// travel through memory, the work of the reduction is added in either case.
    pub fn set_overlap(&self, overlap: bool) {
        self.overlap.store(overlap, Relaxed);
    }

    pub(crate) fn overlap(&self) -> bool {
        self.overlap.load(Relaxed)
    }

    /// Returns once all ranks have made this call.
    ///
    /// # Errors
    /// If a rank is gone or makes another call.
    pub fn wait(&self) -> Result<(), DistributedError> {
        self.meet(Call::Wait, [0; NUMBERS]).map(drop)
    }

    /// The sums over all ranks of some numbers, added in the order of the ranks: the same bits everywhere.
    ///
    /// # Errors
    /// If a rank is gone, makes another call or has more or fewer numbers.
    pub fn sum(&self, numbers: &[f64]) -> Result<Vec<f64>, DistributedError> {
        let lengths = self.lengths(Call::Sum, numbers.len())?;
        if let Some(rank) = lengths.iter().position(|&length| length != lengths[0]) {
            let fault = format!("rank 0 has {} numbers, rank {rank} has {}", lengths[0], lengths[rank]);
            return Err(DistributedError::Batch { call: "sum", fault });
        }
        let all = self.gather_elements(Call::Sum, numbers, &lengths)?;
        let mut sums = vec![0.0; numbers.len()];
        for rank in all {
            sums.iter_mut().zip(rank).for_each(|(sum, x)| *sum += x);
        }
        Ok(sums)
    }

    /// The mean over all ranks of a value by weight: of a mean loss by the number of its examples, for instance. A rank with
    /// weight 0 has no part in it, whatever its value is; NaN if no rank has a weight.
    ///
    /// ```
    /// use gradus_distributed::Threads;
    ///
    /// // Rank 0 has seen 30 examples, rank 1 only 10.
    /// let means = Threads::run(2, |group| match group.rank() {
    ///     0 => group.mean(0.5, 30).unwrap(),
    ///     _ => group.mean(0.1, 10).unwrap(),
    /// });
    /// assert_eq!(means, [0.4, 0.4]);
    /// ```
    ///
    /// # Errors
    /// If a rank is gone or makes another call.
    pub fn mean(&self, value: impl Into<f64>, weight: usize) -> Result<f64, DistributedError> {
        let numbers = [value.into().to_bits(), weight as u64, 0, 0, 0, 0];
        let (mut sum, mut weights) = (0.0, 0.0);
        for [value, weight, ..] in self.meet(Call::Mean, numbers)? {
            if weight > 0 {
                sum += f64::from_bits(value) * weight as f64;
                weights += weight as f64;
            }
        }
        Ok(sum / weights)
    }

    /// The rows of all ranks, `[n0, ...]`, `[n1, ...]`, ... to `[n0 + n1 + ..., ...]`, in the order of the ranks: for
    /// metrics that need all predictions at once. Gathered over several batches, the rows are in another order than on one
    /// rank.
    ///
    /// ```
    /// use gradus_autograd::Tensor;
    /// use gradus_distributed::Threads;
    ///
    /// let rows = |rank: usize| Tensor::<i64>::full([rank], rank as i64);
    /// let all = Threads::run(3, |group| group.gather(&rows(group.rank())).unwrap());
    /// assert_eq!(all, vec![Tensor::from([1, 2, 2]); 3]);
    /// ```
    ///
    /// # Errors
    /// If a rank is gone, makes another call or has rows of another shape.
    ///
    /// # Panics
    /// If the tensor has no axis.
    #[track_caller]
    pub fn gather<E: Wire>(&self, rows: &Tensor<E>) -> Result<Tensor<E>, DistributedError> {
        let [own, row @ ..] = rows.shape() else {
            panic!("gather: the tensor has no axis: its first axis is the rows")
        };
        let mut digest = Digest::new();
        digest.bytes(format!("{row:?} {}", E::NAME).as_bytes());
        let numbers = [*own as u64, rows.len() as u64, digest.0, 0, 0, 0];
        let all = self.meet(Call::Gather, numbers)?;
        if let Some(rank) = all.iter().position(|numbers| numbers[2] != all[0][2]) {
            let fault = format!(
                "the rows of rank {rank} have another shape or type than the rows of rank 0; here they are {row:?}, {}",
                E::NAME
            );
            return Err(DistributedError::Batch { call: "gather", fault });
        }
        let lengths: Vec<usize> = all.iter().map(|numbers| numbers[1] as usize).collect();
        let elements = self.gather_elements(Call::Gather, &rows.to_vec(), &lengths)?.concat();
        let count = all.iter().map(|numbers| numbers[0] as usize).sum();
        let shape: Vec<usize> = std::iter::once(count).chain(row.iter().copied()).collect();
        Ok(Tensor::from_vec(elements, shape).expect("as many elements as the rows have"))
    }

    /// The end of the job, which all ranks reach.
    pub(crate) fn leave(&self) -> Result<(), DistributedError> {
        self.meet(Call::Leave, [0; NUMBERS])?;
        self.left.store(true, Relaxed);
        Ok(())
    }

    /// Ends the other ranks, and this one as well if the communicator is able to.
    pub(crate) fn abort(&self, code: i32) {
        self.communicator.abort(code);
    }
}

/// Exchanges of which the calls are made.
impl Group {
    /// Begins a call: each rank gets the numbers of all, in the order of the ranks. Calls of different kinds end here.
    pub(crate) fn meet(
        &self,
        call: Call,
        numbers: [u64; NUMBERS],
    ) -> Result<Vec<[u64; NUMBERS]>, DistributedError> {
        let number = self.calls.fetch_add(1, Relaxed) + 1;
        let own: Vec<i64> =
            [call as u64, number].iter().chain(&numbers).map(|number| number.cast_signed()).collect();
        let all = self.gather_elements(call, &own, &vec![own.len(); self.size()])?;
        let mut met = Vec::with_capacity(self.size());
        for (other, record) in all.into_iter().enumerate() {
            let record: Vec<u64> = record.into_iter().map(i64::cast_unsigned).collect();
            if record[..2] != [call as u64, number] {
                return Err(DistributedError::OutOfStep {
                    rank: self.rank(),
                    call: call.name(),
                    number,
                    other,
                    other_call: Call::name_of(record[0]),
                    other_number: record[1],
                });
            }
            met.push(std::array::from_fn(|i| record[i + 2]));
        }
        Ok(met)
    }

    /// [`meet`](Self::meet) with the length of this rank's contribution.
    pub(crate) fn lengths(&self, call: Call, own: usize) -> Result<Vec<usize>, DistributedError> {
        let mut numbers = [0; NUMBERS];
        numbers[0] = own as u64;
        Ok(self.meet(call, numbers)?.iter().map(|numbers| numbers[0] as usize).collect())
    }

    /// The elements of all ranks, whose numbers are known.
    pub(crate) fn gather_elements<E: Wire>(
        &self,
        call: Call,
        own: &[E],
        lengths: &[usize],
    ) -> Result<Vec<Vec<E>>, DistributedError> {
        let lengths: Vec<usize> = lengths.iter().map(|length| length * E::SIZE).collect();
        let all = self.gather_bytes(call, &bytes(own), &lengths)?;
        Ok(all.iter().map(|bytes| E::read(bytes).collect()).collect())
    }

    /// The bytes of all ranks, in the order of the ranks, in `size - 1` rounds.
    pub(crate) fn gather_bytes(
        &self,
        call: Call,
        own: &[u8],
        lengths: &[usize],
    ) -> Result<Vec<Vec<u8>>, DistributedError> {
        let mut all: Vec<Vec<u8>> = lengths.iter().map(|&length| vec![0; length]).collect();
        all[self.rank()].copy_from_slice(own);
        for (to, from) in self.rounds() {
            self.exchange(call, (to, own), (from, &mut all[from]))?;
        }
        Ok(all)
    }

    /// The bytes of rank 0 on every rank, of which each hands them on to the next in pieces. The others need the length.
    pub(crate) fn broadcast_bytes(&self, call: Call, bytes: &mut [u8]) -> Result<(), DistributedError> {
        let (rank, call) = (self.rank(), call.name());
        for piece in bytes.chunks_mut(PIECE) {
            if rank > 0 {
                self.communicator.exchange(call, None, Some((rank - 1, piece)))?;
            }
            if rank + 1 < self.size() {
                self.communicator.exchange(call, Some((rank + 1, piece)), None)?;
            }
        }
        Ok(())
    }

    /// For each round in which every rank sends to one and hears from one: the two.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rank, size) = (self.rank(), self.size());
        (1..size).map(move |k| ((rank + k) % size, (rank + size - k) % size))
    }

    /// Sends to one rank, and hears from one, in pieces.
    pub(crate) fn exchange(
        &self,
        call: Call,
        (to, send): (usize, &[u8]),
        (from, receive): (usize, &mut [u8]),
    ) -> Result<(), DistributedError> {
        let (mut send, mut receive) = (send.chunks(PIECE), receive.chunks_mut(PIECE));
        loop {
            let (send, receive) = (send.next(), receive.next());
            if send.is_none() && receive.is_none() {
                return Ok(());
            }
            let (send, receive) = (send.map(|send| (to, send)), receive.map(|receive| (from, receive)));
            self.communicator.exchange(call.name(), send, receive)?;
        }
    }

    /// All ranks go on, or all have an error: the own one, or the one of the first rank that has one.
    pub(crate) fn agree(
        &self,
        call: Call,
        result: Result<(), DistributedError>,
    ) -> Result<(), DistributedError> {
        let message = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let lengths = self.lengths(call, message.len())?;
        let messages = self.gather_bytes(call, message.as_bytes(), &lengths)?;
        result?;
        match messages.iter().position(|message| !message.is_empty()) {
            Some(rank) => {
                let message = String::from_utf8_lossy(&messages[rank]).into_owned();
                Err(DistributedError::Elsewhere { rank, message })
            }
            None => Ok(()),
        }
    }
}

/// A rank that ends in a panic must not let the others wait. A single rank goes on: `main` gets its error.
impl Drop for Group {
    fn drop(&mut self) {
        if self.size() > 1 && !self.left.load(Relaxed) {
            self.communicator.abort(101);
        }
    }
}

impl Debug for Group {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Group: rank {} of {}", self.rank(), self.size())
    }
}
