//! Errors of states and their files.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use super::value::Dtype;

/// A state that cannot be read, written or loaded.
#[derive(thiserror::Error)]
pub enum StateError {
    /// The file could not be read or written; the old one is as it was.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("read {path:?}: {fault}")]
    Malformed {
        /// The file; empty for bytes in memory.
        path: PathBuf,
        /// The fault, and where it is.
        fault: String,
    },
    /// The state is not one of such an optimizer.
    #[error("load_state: the state does not fit the optimizer: {0}")]
    Optimizer(String),
    /// The state is not one of such a schedule.
    #[error("load_state: the state does not fit the schedule: {0}")]
    Schedule(String),
    /// The state is not one of such a loader of data.
    #[error("load_state: the state does not fit the loader: {0}")]
    Loader(String),
    /// A value of the state is missing, or of another form.
    #[error("value {name:?}: {form} is needed; the state has {}", described(.found.as_ref()))]
    Value {
        /// The name.
        name: String,
        /// The form that was asked for.
        form: &'static str,
        /// The type and the shape that the tensor of this name has, if there is one.
        found: Option<(Dtype, Vec<usize>)>,
    },
    /// The state is one of another model. The model is as it was.
    #[error("load_state: the state does not fit the model{}", list(.0))]
    Mismatch(Vec<Difference>),
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One difference between a state and a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The model has it, and the state does not.
    Missing(String),
    /// The state has it, and the model does not.
    Unexpected(String),
    /// The shapes differ.
    Shape {
        /// The name.
        name: String,
        /// The shape in the state.
        state: Vec<usize>,
        /// The shape in the model.
        model: Vec<usize>,
    },
    /// The elements are of different types.
    Dtype {
        /// The name.
        name: String,
        /// The type in the state.
        state: Dtype,
        /// The type in the model.
        model: Dtype,
    },
    /// Numbers are out of range.
    Value {
        /// The name.
        name: String,
        /// The fault.
        fault: String,
    },
    /// The state has different numbers under two names that are [`Tied`](crate::Tied) in the model.
    Untied {
        /// One name.
        name: String,
        /// The other name.
        other: String,
    },
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "{name}: missing in the state"),
            Self::Unexpected(name) => write!(f, "{name}: not in the model"),
            Self::Shape { name, state, model } => {
                write!(f, "{name}: shape {state:?} in the state, {model:?} in the model")
            }
            Self::Dtype { name, state, model } => {
                write!(f, "{name}: {state} in the state, {model} in the model; `State::convert` converts")
            }
            Self::Value { name, fault } => write!(f, "{name}: {fault}"),
            Self::Untied { name, other } => {
                write!(f, "{name}: not equal to {other} in the state; in the model they are one parameter")
            }
        }
    }
}

/// The differences, each on a line of its own.
pub(super) fn list(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().map(|difference| format!("\n  {difference}")).collect();
    lines.concat()
}

fn described(found: Option<&(Dtype, Vec<usize>)>) -> String {
    found.map_or("nothing of this name".into(), |(dtype, shape)| format!("{dtype} of shape {shape:?} there"))
}
