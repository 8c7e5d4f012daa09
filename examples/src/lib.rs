//! What the examples share: data, a chart, a progress bar.

pub mod chart;
pub mod digits;
mod progress;

pub use progress::Progress;
