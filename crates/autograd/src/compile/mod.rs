//! A step that is recorded once and run again without recording.
//!
//! `trace` collects the operations of a function, its backward passes included, and its effects on a model. `build` makes the
//! instructions of a `plan` of them, `masks` puts comparisons into what they select, `fuse` makes one pass of instructions over the same elements, `routines` puts small
//! instructions together, and `memory` says where results go. `run` runs the plan on other numbers. The user's side, with
//! models and optimizers, is `Compiled` of `gradus-nn`.

mod build;
mod fuse;
mod masks;
mod memory;
mod plan;
mod print;
mod routines;
mod run;
mod trace;
mod variables;
mod watch;

pub use plan::{Member, Plan};
pub use run::{External, UpdateFunction};
pub use trace::{
    StandIn, Trace, assign, buffer, count, draw, is_tracing, refuse_draws, trace, untraced, update,
    with_stand_ins,
};
pub(crate) use trace::{note_constants, note_finite, recompute};
pub use variables::{Exchange, Variables};
