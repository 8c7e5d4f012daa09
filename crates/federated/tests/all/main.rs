//! Federations in one process, privacy, secure aggregation.

mod common;
mod federation;
#[cfg(feature = "flower")]
mod flower;
#[cfg(feature = "flower")]
mod flower_private;
#[cfg(feature = "flower")]
mod flower_server;
mod privacy;
#[cfg(feature = "secure-aggregation")]
mod secure;
mod sound;
