//! The tape: variables, the operations that happened, and what is kept of them.

pub(crate) mod anomaly;
mod as_var;
mod batch;
mod context;
mod discrete;
pub(crate) mod drawing;
mod draws;
pub(crate) mod example;
mod list;
mod memory;
pub(crate) mod mode;
pub(crate) mod node;
mod operand;
mod operation;
mod placing;
pub(crate) mod rule_call;
mod saves;
mod var;
#[doc(hidden)]
pub mod watch;

pub use as_var::AsVar;
pub use batch::Batch;
pub(crate) use batch::Lifted;
pub use context::Context;
pub(crate) use context::Found;
pub use discrete::{Discrete, DiscreteOperation, Discreteness, Indices, Mask, decide};
pub(crate) use draws::{Draw, Draws, drawn_again_or, remember as remember_draws, repeat as repeat_draws};
#[doc(hidden)]
pub use draws::{drawn, is_run_again};
pub use list::{Tape, TapeNode};
pub use memory::track_memory;
pub use mode::{detect_anomaly, is_recording, keep_values, no_grad};
pub use node::live_nodes;
#[doc(hidden)]
pub use operand::OperandValue;
pub(crate) use operand::OwnedOperand;
pub use operand::{Inputs, Operand};
pub use operation::{Fusion, InputGradients, Linearity, Operation, apply};
pub(crate) use operation::{apply_again, apply_computed, apply_inplace, is_recorded};
pub use saves::Saves;
pub use var::{Identity, Var};
pub use watch::{Event, Phase, scope};
