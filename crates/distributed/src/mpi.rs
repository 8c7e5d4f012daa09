//! Ranks that are processes, connected by MPI.

use std::thread;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::environment::Universe;
use mpi::point_to_point::{Destination, Source};
use mpi::request::{LocalScope, Request, scope};
use mpi::topology::{Communicator as _, SimpleCommunicator};

use crate::communicator::Communicator;
use crate::error::DistributedError;

/// The variable with the seconds that a rank waits for another one.
const TIMEOUT: &str = "GRADUS_PEER_TIMEOUT";

/// All processes of the job. It is finalised when it is dropped.
pub(crate) struct Mpi {
    timeout: Duration,
    _universe: Universe,
}

impl Mpi {
    pub(crate) fn start() -> Result<Self, DistributedError> {
        let timeout = match std::env::var(TIMEOUT) {
            Ok(text) => seconds(&text).ok_or_else(|| {
                let fault = format!("{TIMEOUT} is {text:?}: it must be a number of seconds above 0");
                DistributedError::Start(fault)
            })?,
            Err(_) => Duration::from_secs(1800),
        };
        let started = || DistributedError::Start("MPI has been started before, and can be only once".into());
        // The thread of an overlapped reduction uses it, too, but never at the same time.
        let (universe, threading) =
            mpi::initialize_with_threading(Threading::Serialized).ok_or_else(started)?;
        if threading < Threading::Serialized {
            return Err(DistributedError::Start("this MPI library cannot be used by several threads".into()));
        }
        Ok(Self { timeout, _universe: universe })
    }

    /// Waits until both are done. Requests cannot be given up, so a rank that does not answer ends the job here.
    fn complete<'a>(
        &self,
        call: &str,
        mut send: Option<Pending<'a, '_>>,
        mut receive: Option<Pending<'a, '_>>,
        peers: [Option<usize>; 2],
    ) {
        let start = Instant::now();
        for round in 0_u64.. {
            send = send.and_then(|request| request.test().err());
            receive = receive.and_then(|request| request.test().err());
            if send.is_none() && receive.is_none() {
                return;
            }
            // Where processes share processors, the other one needs this one's time.
            match round {
                0..100 => std::hint::spin_loop(),
                100..2000 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(50)),
            }
            if round % 1024 == 1023 && start.elapsed() > self.timeout {
                let peers: Vec<String> = peers.iter().flatten().map(usize::to_string).collect();
                eprintln!(
                    "rank {} ends the job: {call}: waited {} s for rank {} ({TIMEOUT} sets the limit)",
                    self.rank(),
                    self.timeout.as_secs_f64(),
                    peers.join(" or ")
                );
                self.abort(1);
            }
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok().filter(|limit| !limit.is_zero())
}

type Pending<'a, 's> = Request<'a, [u8], &'s LocalScope<'a>>;

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        SimpleCommunicator::world().rank() as usize
    }

    fn size(&self) -> usize {
        SimpleCommunicator::world().size() as usize
    }

    fn exchange(
        &self,
        call: &'static str,
        send: Option<(usize, &[u8])>,
        receive: Option<(usize, &mut [u8])>,
    ) -> Result<(), DistributedError> {
        let to = send.as_ref().map(|(rank, _)| *rank);
        let from = receive.as_ref().map(|(rank, _)| *rank).filter(|from| Some(*from) != to);
        let world = SimpleCommunicator::world();
        scope(|scope| {
            let receive = receive.map(|(from, buffer)| {
                world.process_at_rank(from as i32).immediate_receive_into(scope, buffer)
            });
            let send = send.map(|(to, bytes)| world.process_at_rank(to as i32).immediate_send(scope, bytes));
            self.complete(call, send, receive, [to, from]);
        });
        Ok(())
    }

    fn abort(&self, code: i32) {
        SimpleCommunicator::world().abort(code);
    }
}
