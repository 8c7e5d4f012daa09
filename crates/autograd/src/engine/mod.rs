//! The passes over the tape: from a result back to its origins, and from the origins forward to a result.

mod checks;
mod composed;
mod forward;
mod gradients;
mod jacobian;
mod pieces;
#[cfg(feature = "proptest")]
mod replay;
mod reverse;
mod rules;
mod vmap;

pub(crate) use composed::{forward_of_composition, gradients_of_composition};
#[cfg(feature = "proptest")]
pub(crate) use forward::apply_to_numbers;
pub use forward::{jvp, jvp_create_graph};
pub(crate) use gradients::gradients_within;
pub use gradients::{Gradients, grad, grad_create_graph, hvp, vjp, vjp_create_graph};
pub use jacobian::{batched_hessian, batched_jacobian, hessian, jacobian};
#[cfg(feature = "proptest")]
pub(crate) use replay::replay;
pub use rules::vjp_with;
pub(crate) use vmap::batched_composition;
pub use vmap::{Examples, PerExampleGradients, Results, VmapPlan, gradients_per_example, vmap, vmap_plan};
