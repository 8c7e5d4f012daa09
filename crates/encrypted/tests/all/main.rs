//! Tests of encrypted inference: what is proven, what is computed, and what is refused.

mod bounds;
mod equality;
mod messages;
mod quantized;
mod refused;
mod samples;
