//! Federations in one process, privacy, secure aggregation.

mod common;
mod federation;
#[cfg(feature = "flower")]
mod flower;
mod privacy;
#[cfg(feature = "secure-aggregation")]
mod secure;
mod sound;
