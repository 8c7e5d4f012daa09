//! The one thing that a group needs of its processes: bytes from one to another.

use crate::error::DistributedError;

/// A way to carry bytes between ranks.
///
/// All else is made of it: the order of sums, and so their bits, do not depend on the library that carries them.
/// [`Threads`](crate::Threads) is one for tests, and with the feature `mpi` there is MPI. Any thread may use it, one at a time.
pub trait Communicator: Send + Sync {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Sends bytes to one rank and fills a buffer with bytes of another one, at the same time. Between two ranks, messages
    /// arrive in the order in which they were sent, and have the length that the receiver expects. `call` is for messages.
    ///
    /// # Errors
    /// If a rank is gone, or does not answer within a time limit.
    fn exchange(
        &self,
        call: &'static str,
        send: Option<(usize, &[u8])>,
        receive: Option<(usize, &mut [u8])>,
    ) -> Result<(), DistributedError>;

    /// Ends the other ranks, as far as it is able to: they must not wait for this one. It may end this process, too.
    fn abort(&self, code: i32);
}

/// The only rank.
#[derive(Debug)]
pub(crate) struct Single;

impl Communicator for Single {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn exchange(
        &self,
        _: &'static str,
        _: Option<(usize, &[u8])>,
        _: Option<(usize, &mut [u8])>,
    ) -> Result<(), DistributedError> {
        unreachable!("there is no other rank")
    }
    fn abort(&self, _: i32) {}
}
