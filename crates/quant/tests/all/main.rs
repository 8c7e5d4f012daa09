//! Tests of quantisation.

mod errors;
mod layers;
mod models;
mod observers;
mod products;
