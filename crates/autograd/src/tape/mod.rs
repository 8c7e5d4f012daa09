//! The tape: variables, the operations that happened, and what is kept of them.

mod context;
mod list;
pub(crate) mod mode;
pub(crate) mod node;
mod operation;
mod saves;
mod var;

pub use context::Context;
pub(crate) use context::Found;
pub use list::{Tape, TapeNode};
pub use mode::{is_recording, keep_values, no_grad};
pub use node::live_nodes;
pub use operation::{Linearity, Operation, apply};
pub(crate) use operation::{apply_again, apply_inplace};
pub use saves::Saves;
pub use var::{Identity, Var};
