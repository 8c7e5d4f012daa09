//! Data on its way into a model: data sets, batches, scaling, and readers of files.

#![forbid(unsafe_code)]

pub mod read;
