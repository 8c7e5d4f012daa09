//! Tests of data-parallel training: with threads as ranks, and with processes where MPI is found.

mod errors;
mod laws;
#[cfg(feature = "mpi")]
mod mpi;
mod training;
