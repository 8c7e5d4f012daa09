//! Tests of quantisation.

// The derive macro refers to the facade, `gradus`.
extern crate gradus_nn as gradus;

mod errors;
mod layers;
mod models;
mod observers;
mod products;
