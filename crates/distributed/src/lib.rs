//! Data-parallel training: several processes train one model, each on a part of every batch.
//!
//! Each process, a *rank*, has the whole model. For each batch it computes the gradients of its part; the ranks add their
//! gradients up, and all make the same step. So the models stay equal to the last bit, and the step is the one that a single
//! process would make with the whole batch, up to rounding.
//!
//! | task | items |
//! | --- | --- |
//! | begin and end a job | [`run`] |
//! | equal models at the beginning | [`Group::broadcast`]; [`Group::check_same`] later |
//! | a part of each batch | [`Group::sharding`], [`Sharding::of`] |
//! | gradients of the whole batch | [`Group::backward`], [`Group::reduce`] |
//! | metrics of all ranks | [`Group::mean`], [`Group::sum`], [`Group::gather`] |
//! | checkpoints | [`Group::save`], [`Group::load`] |
//! | tests without MPI | [`Threads`] |
//!
//! ```
//! use gradus_autograd::{Tensor, seeded};
//! use gradus_distributed::{DistributedError, run};
//! use gradus_nn::{Linear, Losses, Module, Optimizer, Sgd};
//!
//! # fn main() -> Result<(), DistributedError> {
//! run(|group| {
//!     // The same on every rank: data, order, model.
//!     let rng = &mut seeded(0);
//!     let x = Tensor::<f32>::randn([100, 3], rng);
//!     let y = x.sum(gradus_autograd::keepdim(1));
//!     let (mut model, mut sgd) = (Linear::new(3, 1, rng), Sgd::new(0.1));
//!     group.broadcast(&mut model)?;
//!     for epoch in 0..20 {
//!         let order: Vec<usize> = Tensor::randperm(100, &mut seeded(epoch)).iter().map(|i| i as usize).collect();
//!         for part in group.sharding(10)?.of(order) {
//!             let gradients = group.backward(&model, &part, |model, rows| {
//!                 let rows: Tensor<i64> = rows.iter().map(|&i| i as i64).collect();
//!                 model.forward(x.index_select(0, &rows)).mse_loss(&y.index_select(0, &rows))
//!             })?;
//!             sgd.step(&mut model, &gradients);
//!         }
//!     }
//!     assert!(model.forward(&x).mse_loss(&y).item() < 1e-3);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # Processes
//! With the feature `mpi` the ranks are processes under any MPI library (Debian: `libopenmpi-dev openmpi-bin
//! libclang-dev`); without it there is one rank and nothing to install. Each rank computes with threads of its own, so on one
//! machine the ranks share the processors: `GRADUS_NUM_THREADS` is processors by ranks.
//!
//! ```sh
//! cargo build --release --features gradus-distributed/mpi
//! GRADUS_NUM_THREADS=1 mpirun -n 2 target/release/program
//! ```
//!
//! The feature belongs to this crate, so that a program names it as a dependency of its own, beside `gradus`.
//!
//! # The same bits
//! MPI carries bytes from one rank to another, and nothing else: its own reductions may add in another order from call to
//! call. Here each rank adds up one part of the gradients, in the order of the ranks and in double precision, and hands the
//! result on. A run repeated with the same number of ranks gives the same bits, on threads or processes, with any buckets; on
//! one rank it gives the bits of a program without a group. Another number of ranks rounds in another way.
//!
//! # Costs
//! With n ranks and a model of S bytes (4 for each parameter in `f32`), a step sends and receives `2 (n - 1) / n * S` bytes on
//! each rank, which is the least that any all-reduce needs (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for
//! clusters of workstations", 2009), in `2 (n - 1)` rounds for each bucket and `n - 1` rounds of 64 bytes before and after. On a
//! network with latency L and bandwidth B in each direction
//!
//! ```text
//! time of a step = time of a part + (n - 1) L (2 + 2 buckets) + 2 (n - 1) / n * S / B
//! ```
//!
//! A bucket has 1 MiB or a little more at first ([`Group::set_bucket`]). With [`Group::set_overlap`] the reduction runs beside the
//! backward pass, and up to the time of that pass is saved.
#![doc = include_str!("costs.md")]
//!
//! # Failures
//! A rank that panics, fails, exits or is killed ends the whole job within seconds; see [`run`]. One that no longer answers,
//! because its machine is gone for example, ends it after half an hour, or the seconds in `GRADUS_PEER_TIMEOUT`. Ranks that do
//! different things get errors that name the difference: other calls, other batches, other models.
//!
//! # Limits
//! A model and its batch must fit into the memory of each process. Compiled
//! steps and `gradus::train::Fit` make their steps without a group. Ranks trust each other: bytes are neither encrypted nor
//! signed.

#![forbid(unsafe_code)]

mod buckets;
mod communicator;
mod error;
mod files;
mod gradients;
mod group;
mod model;
#[cfg(feature = "mpi")]
mod mpi;
mod reduce;
mod run;
mod shards;
mod threads;
mod wire;

pub use communicator::Communicator;
pub use error::DistributedError;
pub use group::Group;
pub use run::run;
pub use shards::{Part, Sharding, Shards};
pub use threads::Threads;
pub use wire::Wire;
