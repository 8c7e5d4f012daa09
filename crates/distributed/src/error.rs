//! Errors of distributed training.

use std::fmt;

use gradus_nn::StateError;

/// A job that cannot go on. All ranks should end; [`run`](crate::run) ends them.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DistributedError {
    /// The job cannot start.
    #[error("start: {0}")]
    Start(String),
    /// Another rank is gone, or does not answer.
    #[error("{call}: rank {rank} {fault}")]
    Lost {
        /// The call that waited for it.
        call: &'static str,
        /// The rank that is gone.
        rank: usize,
        /// What happened to it.
        fault: String,
    },
    /// Ranks make different calls.
    #[error(
        "rank {rank} is in call {number} of the group, `{call}`; rank {other} is in call {other_number}, `{other_call}`: \
         all ranks must make the same calls in the same order"
    )]
    OutOfStep {
        /// This rank.
        rank: usize,
        /// Its call.
        call: &'static str,
        /// The number of its call.
        number: u64,
        /// The other rank.
        other: usize,
        /// The call of the other rank.
        other_call: &'static str,
        /// The number of the other rank's call.
        other_number: u64,
    },
    /// Ranks have different models.
    #[error("{call}: the models differ: {fault}")]
    ModelsDiffer {
        /// The name of the function.
        call: &'static str,
        /// The first difference, with the ranks.
        fault: String,
    },
    /// Ranks have different batches, or none.
    #[error("{call}: {fault}")]
    Batch {
        /// The name of the function.
        call: &'static str,
        /// The fault, and the remedy.
        fault: String,
    },
    /// A checkpoint that cannot be written, read or loaded.
    #[error(transparent)]
    State(#[from] StateError),
    /// An error of another rank, where this rank has none.
    #[error("rank {rank}: {message}")]
    Elsewhere {
        /// The rank with the error.
        rank: usize,
        /// Its message.
        message: String,
    },
}

/// The message: `unwrap` shows it, and so does `main` if it returns the error.
impl fmt::Debug for DistributedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
