//! The ways over the tape: back from a result to its origins, and forward from these.

mod composed;
mod forward;
mod gradients;
mod jacobian;
mod reverse;

pub(crate) use composed::gradients_of_composition;
pub use forward::{jvp, jvp_create_graph};
pub use gradients::{Gradients, grad, grad_create_graph, hvp, vjp, vjp_create_graph};
pub use jacobian::{batched_hessian, batched_jacobian, hessian, jacobian};
