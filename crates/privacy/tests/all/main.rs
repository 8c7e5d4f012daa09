//! Tests of private training.

// The name that `#[derive(Module)]` knows.
extern crate gradus_nn as gradus;

mod accounting;
#[path = "../../../tensor/tests/all/caught.rs"]
mod caught;
mod messages;
mod sampling;
mod sensitivity;
mod steps;

pub(crate) use caught::panics;
