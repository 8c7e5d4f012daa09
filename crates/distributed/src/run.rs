//! The beginning and the end of a job.

use std::fmt::Display;

use crate::error::DistributedError;
use crate::group::Group;

/// Runs a program as one rank of a job.
///
/// With the feature `mpi`, the ranks are the processes that `mpirun` (or another launcher) has started; otherwise there is
/// one. All ranks get the same arguments and run the same function.
///
/// ```
/// use gradus_distributed::{DistributedError, Group, run};
///
/// fn main() -> Result<(), DistributedError> {
///     run(|group: &Group| {
///         let ranks = group.sum(&[1.0])?;
///         if group.is_first() {
///             println!("{} ranks", ranks[0]);
///         }
///         Ok(())
///     })
/// }
/// ```
///
/// No rank is left waiting. If the function of a rank panics, returns an error or ends before the others, the rank prints what
/// happened and ends the job: `mpirun` ends the other processes and has an exit status other than 0. A process that exits or
/// is killed is noticed by `mpirun` itself. There is no recovery in place: start the job again, and go on from the
/// [checkpoint](Group::load).
///
/// # Errors
/// If the job cannot start, and the errors of the function. On several ranks an error ends the process here.
pub fn run<R, E: From<DistributedError> + Display>(f: impl FnOnce(&Group) -> Result<R, E>) -> Result<R, E> {
    let group = start()?;
    let result = f(&group).and_then(|result| {
        group.leave()?;
        Ok(result)
    });
    if let (Err(error), 2..) = (&result, group.size()) {
        eprintln!("rank {} ends the job: {error}", group.rank());
        group.abort(1);
    }
    result
}

#[cfg(feature = "mpi")]
fn start() -> Result<Group, DistributedError> {
    Ok(Group::new(Box::new(crate::mpi::Mpi::start()?)))
}

/// One rank, unless several processes were started.
#[cfg(not(feature = "mpi"))]
fn start() -> Result<Group, DistributedError> {
    // Set by Open MPI, and by MPICH and its relatives.
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        if let Some(ranks) = std::env::var(name).ok().filter(|ranks| ranks != "1") {
            return Err(DistributedError::Start(format!(
                "this is one of {ranks} processes ({name}), built without the feature `mpi` of gradus-distributed: each would \
                 train a model of its own"
            )));
        }
    }
    Ok(Group::single())
}
