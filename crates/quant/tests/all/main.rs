//! Tests of quantisation.

mod products;
