//! Ranks that are threads of one process, for tests.

use std::panic;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::communicator::Communicator;
use crate::error::DistributedError;
use crate::group::Group;

/// Ranks that are threads of one process, to test programs for several ranks without MPI.
///
/// ```
/// use gradus_distributed::Threads;
///
/// let sums = Threads::run(3, |group| group.sum(&[group.rank() as f64]).unwrap());
/// assert_eq!(sums, [[3.0], [3.0], [3.0]]);
/// ```
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    /// By the rank at the other end.
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Threads {
    /// Runs a function once for each rank, each on a thread of its own, and gives the results by rank.
    ///
    /// # Panics
    /// If `ranks` is 0, or a rank panics: the others are told that it is gone.
    #[track_caller]
    pub fn run<R: Send>(ranks: usize, f: impl Fn(&Group) -> R + Sync) -> Vec<R> {
        Self::run_on(Self::connected(ranks), f)
    }

    /// Runs a function once for each of these ends, as [`run`](Self::run) does: for a [`Communicator`] of your own around
    /// [`connected`](Self::connected) threads.
    ///
    /// # Panics
    /// If a rank panics: the others are told that it is gone.
    pub fn run_on<C: Communicator + 'static, R: Send>(
        ends: impl IntoIterator<Item = C>,
        f: impl Fn(&Group) -> R + Sync,
    ) -> Vec<R> {
        let run = |end: C| {
            // The group is made, and dropped, on its own thread.
            let group = Group::new(Box::new(end));
            let result = f(&group);
            // An error reaches the others by the error that they get.
            let _ = group.leave();
            result
        };
        let results: Vec<_> = thread::scope(|scope| {
            let run = &run;
            let threads: Vec<_> = ends.into_iter().map(|end| scope.spawn(move || run(end))).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        results.into_iter().map(|result| result.unwrap_or_else(|panic| panic::resume_unwind(panic))).collect()
    }

    /// Ranks that are connected to each other, for threads of your own; see [`Group::new`].
    ///
    /// # Panics
    /// If `ranks` is 0.
    #[track_caller]
    pub fn connected(ranks: usize) -> Vec<Self> {
        assert!(ranks > 0, "Threads: the number of ranks is 0: it must be 1 or larger");
        let mut from: Vec<Vec<Mutex<Receiver<Vec<u8>>>>> = (0..ranks).map(|_| Vec::new()).collect();
        let mut senders = || -> Vec<Sender<Vec<u8>>> {
            let connect = |receivers: &mut Vec<Mutex<Receiver<Vec<u8>>>>| {
                let (sender, receiver) = channel();
                receivers.push(Mutex::new(receiver));
                sender
            };
            from.iter_mut().map(connect).collect()
        };
        let to: Vec<_> = (0..ranks).map(|_| senders()).collect();
        to.into_iter().zip(from).enumerate().map(|(rank, (to, from))| Self { rank, to, from }).collect()
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(
        &self,
        call: &'static str,
        send: Option<(usize, &[u8])>,
        receive: Option<(usize, &mut [u8])>,
    ) -> Result<(), DistributedError> {
        let gone = |rank| DistributedError::Lost { call, rank, fault: "is gone".into() };
        if let Some((rank, bytes)) = send {
            self.to[rank].send(bytes.to_vec()).map_err(|_| gone(rank))?;
        }
        if let Some((rank, buffer)) = receive {
            let from = self.from[rank].lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = from.recv().map_err(|_| gone(rank))?;
            if bytes.len() != buffer.len() {
                let fault = format!("sent {} bytes in place of {}", bytes.len(), buffer.len());
                return Err(DistributedError::Lost { call, rank, fault });
            }
            buffer.copy_from_slice(&bytes);
        }
        Ok(())
    }

    /// The others notice when this end is dropped.
    fn abort(&self, _: i32) {}
}
