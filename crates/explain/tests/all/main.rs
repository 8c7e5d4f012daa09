//! Tests of explanations.

// The name that `#[derive(Module)]` knows.
extern crate gradus_nn as gradus;

mod axioms;
#[path = "../../../tensor/tests/all/caught.rs"]
mod caught;
mod deep_lift;
mod messages;
mod networks;
mod passes;
mod pictures;
mod sanity;
mod shap;
mod surrogates;
mod text;

pub(crate) use caught::panics;
