//! Checking gradients: against differences, in every memory layout, to second order.
//!
//! [`check_gradients`] takes a function of tensors and inputs for it, and holds the gradients that the tape
//! gives against the laws that gradients obey. Together with the strategies for random tensors here it makes
//! a property test of a few lines:
//!
//! ```
//! use gradus_autograd::testing::{check_gradients, shapes, tensors};
//! use proptest::prelude::*;
//!
//! proptest! {
//!     # #![proptest_config(ProptestConfig::with_cases(10))]
//!     # /*
//!     #[test]
//!     # */
//!     fn softmax_of_squares(x in tensors(shapes(1..=3, 0..=5), -2.0..2.0)) {
//!         check_gradients(|[x]| x.square().softmax(-1), [x])?;
//!     }
//! }
//! # softmax_of_squares();
//! ```
//!
//! [`cases`] lists every differentiable operation of this crate with random inputs; the project's own test
//! suite walks it.

mod case;
mod check;
mod error;
mod laws;
mod layout;
mod measure;
mod strategies;
mod vmap;

pub use case::{Case, Functions, Sample, case};
pub use check::{check_function, check_gradients};
pub use error::{GradientError, Law};
pub use layout::relayout;
pub use strategies::*;

/// The test cases of every differentiable operation of this crate, by the name of its method.
///
/// ```
/// use gradus_autograd::testing::cases;
///
/// assert!(cases().iter().any(|case| case.name == "softmax"));
/// ```
pub fn cases() -> Vec<Case> {
    crate::ops::cases()
}
