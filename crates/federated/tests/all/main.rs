//! Federations in one process, privacy, secure aggregation.

mod common;
mod federation;
mod privacy;
mod sound;
