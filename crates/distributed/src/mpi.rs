//! Ranks that are processes, connected by MPI.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::datatype::Equivalence;
use mpi::environment::Universe;
use mpi::point_to_point::{Destination, Source};
use mpi::request::scope;
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

    /// Waits until all is done. Requests cannot be given up, so a rank that does not answer ends the job here.
    fn wait(&self, call: &str, mut is_done: impl FnMut() -> bool, peers: [Option<usize>; 2]) {
        let start = Instant::now();
        for round in 0_u64.. {
            if is_done() {
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
                let seconds = self.timeout.as_secs_f64();
                let peers = peers.join(" or ");
                self.end(call, format!("waited {seconds} s for rank {peers} ({TIMEOUT} sets the limit)"));
            }
        }
    }

    fn end(&self, call: &str, fault: impl Display) {
        eprintln!("rank {} ends the job: {call}: {fault}", self.rank());
        self.abort(1);
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok().filter(|limit| !limit.is_zero())
}

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
            let mut send =
                send.map(|(to, bytes)| world.process_at_rank(to as i32).immediate_send(scope, bytes));
            // A message is looked at before it is received: one that is longer would be a fault inside MPI, without a name.
            let (mut expected, mut receive) = (receive, None);
            let is_done = || {
                if let Some((rank, buffer)) = expected.take() {
                    match world.process_at_rank(rank as i32).immediate_matched_probe() {
                        Some((message, status)) => {
                            let found = status.count(u8::equivalent_datatype()) as usize;
                            if found != buffer.len() {
                                let wanted = buffer.len();
                                self.end(
                                    call,
                                    format!("rank {rank} sent {found} bytes in place of {wanted}"),
                                );
                            }
                            receive = Some(message.immediate_matched_receive_into(scope, buffer));
                        }
                        None => expected = Some((rank, buffer)),
                    }
                }
                send = send.take().and_then(|request| request.test().err());
                receive = receive.take().and_then(|request| request.test().err());
                expected.is_none() && send.is_none() && receive.is_none()
            };
            self.wait(call, is_done, [to, from]);
        });
        Ok(())
    }

    fn abort(&self, code: i32) {
        SimpleCommunicator::world().abort(code);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A message of another length, which no call of a group sends, is named; MPI itself would fill a part of the buffer, or
    /// fail without a name.
    #[test]
    fn messages_of_other_lengths() {
        const LENGTH: &str = "GRADUS_TEST_LENGTH";
        if let Ok(length) = std::env::var(LENGTH) {
            let mpi = Mpi::start().unwrap();
            let (own, mut other) =
                (vec![1; if mpi.rank() == 0 { 4 } else { length.parse().unwrap() }], [0; 4]);
            // Rank 0 alone hears a message of another length.
            let receive = (mpi.rank() == 0).then_some((1, &mut other[..]));
            let send = (mpi.rank() == 1).then_some((0, &own[..]));
            mpi.exchange("test", send, receive).unwrap();
            assert_eq!(other, [mpi.rank() as u8 ^ 1; 4]);
            return;
        }
        for length in ["3", "4", "100000"] {
            let mut command = Command::new("mpirun");
            command.args(["--oversubscribe", "-n", "2"]).arg(std::env::current_exe().unwrap());
            command.args(["--exact", "mpi::tests::messages_of_other_lengths", "--nocapture"]);
            command.env(LENGTH, length).env("GRADUS_PEER_TIMEOUT", "20");
            command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
            let Ok(output) = command.output() else { return eprintln!("skipped: no mpirun") };
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), length == "4", "{said}");
            let fault = format!("rank 0 ends the job: test: rank 1 sent {length} bytes in place of 4");
            assert_eq!(said.contains(&fault), length != "4", "{said}");
        }
    }
}
