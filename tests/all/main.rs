//! What crosses the crates, in one binary: each would compile the same generic functions again.

mod borders;
mod calculus;
mod distributions;
mod fused;
mod guide;
mod hostile;
mod messages;
mod negative_controls;
mod nn;
mod npy;
mod own;
mod readme;
mod registry;
mod tape;
