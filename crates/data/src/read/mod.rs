//! Readers of files. A faulty file is a [`ReadError`] that names the file, the line and the column, and says
//! what would be right.
//!
//! | | feature | result |
//! | --- | --- | --- |
//! | [`csv`]: tables as text, also compressed | `csv` | features `[rows, columns]`, classes `[rows]`, texts |
//! | [`idx`]: MNIST and its kin, also compressed | | tensors of any shape |
//! | [`images`]: a folder of images for each class | `image` | images `[n, channels, height, width]`, classes `[n]` |
//! | `gradus::npy`, `gradus::npz`: arrays of NumPy | `npy` | tensors of any shape |
//!
//! Files compressed with gzip are recognised by their first bytes, whatever their names are; the feature `gzip` inflates
//! them. Memory is taken for the bytes that are there, never for a size that a file only claims to have.

mod contents;
#[cfg(feature = "csv")]
pub mod csv;
mod error;
pub mod idx;
#[cfg(feature = "image")]
pub mod images;

pub use error::{Place, ReadError};
