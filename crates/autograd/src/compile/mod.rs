//! A step that is recorded once and run again without recording.
//!
//! `trace` collects the operations of a function, its backward passes included, and its effects on a model; `program`
//! makes a list of instructions of them, and `run` runs the list on other numbers. The user's side, with models and
//! optimizers, is `Compiled` of `gradus-nn`.

mod fuse;
mod print;
mod program;
mod run;
mod trace;
mod variables;

pub use program::{Member, Program};
pub use run::{External, UpdateFunction};
pub(crate) use trace::note_finite;
pub use trace::{Trace, assign, buffer, count, draw, is_tracing, trace, update, without_trace};
pub use variables::{Exchange, Variables};
