//! Errors of explanations.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// An input, a model or an option that cannot be explained; the message says what would be right.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// There is nothing to explain.
    #[error("the input has shape {shape:?}: it must be [batch, ...], with a row and a number in it")]
    Empty {
        /// The shape of the input.
        shape: Vec<usize>,
    },
    /// The output of the model is not one row of classes for each row of the input.
    #[error("the model's output has shape {shape:?}: for {rows} rows it must be [{rows}, classes]")]
    Output {
        /// The shape of the output.
        shape: Vec<usize>,
        /// The rows that the model was given.
        rows: usize,
    },
    /// A target is no class of the model.
    #[error("the target of row {row} is {target}: the model has {classes} classes, so it must be from 0 to {}", classes - 1)]
    Target {
        /// The row.
        row: usize,
        /// Its target.
        target: i64,
        /// The number of classes.
        classes: usize,
    },
    /// There is not one target for each row.
    #[error("there are {given} targets for {rows} rows: give one for all rows, or one for each")]
    Targets {
        /// The number of targets.
        given: usize,
        /// The number of rows.
        rows: usize,
    },
    /// A baseline, noise or deviations of another shape.
    #[error("the {kind} has shape {shape:?}: it must be {}", either(expected))]
    Shape {
        /// `baseline`, for example.
        kind: &'static str,
        /// Its shape.
        shape: Vec<usize>,
        /// The right shapes.
        expected: Vec<Vec<usize>>,
    },
    /// An output or a gradient is infinite or NaN.
    #[error("the {kind} of row {row} is {value}: only finite numbers can be explained")]
    NotFinite {
        /// `output`, for example.
        kind: &'static str,
        /// The row.
        row: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// No gradient leads from the output to the input.
    #[error(
        "no gradient leads from the model's output to {to}: the model must compute with the variable that it is given, \
         outside of `no_grad` and without `detach`"
    )]
    NoGradient {
        /// `its input` or `the activation`.
        to: &'static str,
    },
    /// Features of another shape than a row.
    #[error("the features have shape {features:?}, a row of the input {row:?}: they must be equal")]
    Features {
        /// The shape of the features.
        features: Vec<usize>,
        /// The shape of a row.
        row: Vec<usize>,
    },
    /// The groups of a mask of features have gaps.
    #[error("the groups of a feature mask must be numbered from 0 without gaps: there is no group {missing}")]
    Group {
        /// The number that is missing.
        missing: i64,
    },
    /// A group of a mask of features has a negative number.
    #[error(
        "a group of the feature mask has the number {group}: groups must be numbered from 0 without gaps"
    )]
    NegativeGroup {
        /// The number.
        group: i64,
    },
    /// Exact Shapley values of too many groups.
    #[error(
        "exact Shapley values of {groups} groups take 2^{groups} passes: there may be at most {most} groups; use \
         `KernelShap`, or larger groups"
    )]
    TooManyGroups {
        /// The number of groups.
        groups: usize,
        /// The largest number.
        most: usize,
    },
    /// Coalitions that do not fit the groups.
    #[error(
        "the coalitions have shape {shape:?}: it must be [n, {groups}], with 1 for a group that is kept, else 0"
    )]
    Coalitions {
        /// The shape of the coalitions.
        shape: Vec<usize>,
        /// The number of groups.
        groups: usize,
    },
    /// A regression without one solution.
    #[error(
        "{samples} samples do not determine {groups} coefficients: take more samples, other ones, or a ridge penalty \
         above 0"
    )]
    Underdetermined {
        /// The number of samples.
        samples: usize,
        /// The number of coefficients.
        groups: usize,
    },
    /// A window or its stride has other axes than a row, or is larger.
    #[error(
        "the window {window:?} with stride {stride:?} does not fit a row of shape {row:?}: each axis needs a size from 1 to the row's, and a stride"
    )]
    Window {
        /// The window.
        window: Vec<usize>,
        /// The stride.
        stride: Vec<usize>,
        /// The shape of a row.
        row: Vec<usize>,
    },
    /// An activation that is not `[batch, channels, height, width]`.
    #[error(
        "the activation has shape {shape:?}: for {rows} rows it must be [{rows}, channels, height, width]"
    )]
    Activation {
        /// The shape of the activation.
        shape: Vec<usize>,
        /// The rows that the model was given.
        rows: usize,
    },
    /// The model did other operations for the baseline than for the input.
    #[error(
        "the model runs other operations on the baseline than on the input ({at}): DeepLIFT needs the same, so no random \
         numbers and no branches; set it to evaluation"
    )]
    Tapes {
        /// The first operation that differs.
        at: String,
    },
    /// A picture of other numbers than it can show.
    #[error("{picture} of shape {shape:?}: it must be {expected}")]
    Picture {
        /// The kind of picture.
        picture: &'static str,
        /// The shape of the numbers.
        shape: Vec<usize>,
        /// The right shape.
        expected: &'static str,
    },
    /// A picture could not be written.
    #[error("write {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `[2] or [3]`
fn either(shapes: &[Vec<usize>]) -> String {
    shapes.iter().map(|shape| format!("{shape:?}")).collect::<Vec<_>>().join(" or ")
}

pub(crate) type Result<T> = std::result::Result<T, ExplainError>;
