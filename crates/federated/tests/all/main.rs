//! Federations in one process, privacy, secure aggregation.

mod common;
mod federation;
mod privacy;
#[cfg(feature = "secure-aggregation")]
mod secure;
mod sound;
