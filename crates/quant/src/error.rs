//! Errors of quantisation.

use std::fmt;

/// Numbers that cannot be quantised, or parameters that quantise nothing.
#[derive(thiserror::Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum QuantError {
    /// Parameters were asked for before anything was observed.
    #[error("{0}: no numbers were observed: run the model on some batches of data first")]
    NoData(String),
    /// A number is NaN or infinite, for which there is no level.
    #[error("{name}: the number at {index:?} is {value}: all numbers must be finite")]
    NotFinite {
        /// The tensor, or the function that was given it.
        name: String,
        /// The place of the number.
        index: Vec<usize>,
        /// NaN or an infinity.
        value: f64,
    },
    /// A range has no order, or bounds that are not finite.
    #[error("range: {low} to {high} of channel {channel}: both ends must be finite, the lower one first")]
    Range {
        /// The place along the axis of channels; 0 if there is one range.
        channel: usize,
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// A scale is zero, negative or not finite.
    #[error("scale {scale} of channel {channel}: scales must be positive and finite")]
    Scale {
        /// The place along the axis of channels; 0 if there is one scale.
        channel: usize,
        /// The scale.
        scale: f32,
    },
    /// A zero point is not among the levels.
    #[error("zero point {zero_point} of channel {channel}: it must be one of the levels, {low} to {high}")]
    ZeroPoint {
        /// The place along the axis of channels; 0 if there is one zero point.
        channel: usize,
        /// The zero point.
        zero_point: i32,
        /// The lowest level.
        low: i32,
        /// The highest level.
        high: i32,
    },
    /// There are more or fewer channels than before.
    #[error("{channels} channels along axis {axis}: there must be {expected}, as in the first batch")]
    Channels {
        /// The axis of channels.
        axis: usize,
        /// Their number.
        channels: usize,
        /// The number that it must be.
        expected: usize,
    },
    /// A layer of a model cannot be quantised.
    #[error("{name}: {error}")]
    Layer {
        /// The name of the layer.
        name: String,
        /// The error.
        error: Box<QuantError>,
    },
    /// Levels are asked for that a layer cannot compute with.
    #[error("{what}: it has {found}; {expected}")]
    Unsupported {
        /// The layer or its part.
        what: String,
        /// The property that does not fit.
        found: String,
        /// The properties that would.
        expected: &'static str,
    },
}

/// The message: `unwrap` shows it, and so does `main` if it returns the error.
impl fmt::Debug for QuantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
