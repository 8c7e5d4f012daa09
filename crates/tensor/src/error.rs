//! Errors, in words that name the operation, the argument and the remedy.

use std::fmt::{self, Display};

use crate::shape::Shape;

/// An operation that cannot be done on these operands.
///
/// Functions that take data from outside the program return this error; methods panic with its message at the caller's
/// line, as a wrong shape is a mistake in the program.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let error = Tensor::from_vec(vec![1.0, 2.0, 3.0], [2, 2]).unwrap_err();
/// assert_eq!(error.to_string(), "from_vec: shape [2, 2] needs 4 elements, the data has 3");
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// Two shapes cannot be combined element by element.
    #[error(
        "{operation}: shapes {left:?} and {right:?} do not broadcast: counted from the end, \
         sizes must be equal or one of them 1"
    )]
    Broadcast {
        /// The name of the operation.
        operation: &'static str,
        /// The shape of the first operand.
        left: Shape,
        /// The shape of the second operand.
        right: Shape,
    },
    /// Two shapes do not fit each other.
    #[error("{operation}: shapes {left:?} and {right:?} do not fit: {expected}")]
    Mismatch {
        /// The name of the operation.
        operation: &'static str,
        /// The shape of the first operand.
        left: Shape,
        /// The shape of the second operand.
        right: Shape,
        /// The remedy.
        expected: &'static str,
    },
    /// An axis that the tensor does not have.
    #[error("{operation}: axis {axis} is out of range for shape {shape:?}: {}", allowed_axes(shape.len()))]
    Axis {
        /// The name of the operation.
        operation: &'static str,
        /// The axis asked for.
        axis: isize,
        /// The shape of the tensor.
        shape: Shape,
    },
    /// The same axis named twice.
    #[error("{operation}: axes {axes:?} of shape {shape:?} name an axis twice")]
    RepeatedAxis {
        /// The name of the operation.
        operation: &'static str,
        /// The axes asked for.
        axes: Vec<isize>,
        /// The shape of the tensor.
        shape: Shape,
    },
    /// The number of elements does not fit the shape.
    #[error("{operation}: shape {shape:?} needs {} elements, the data has {length}", product(shape))]
    Length {
        /// The name of the operation.
        operation: &'static str,
        /// The number of elements given.
        length: usize,
        /// The shape asked for.
        shape: Shape,
    },
    /// A reshape to another number of elements.
    #[error(
        "reshape: shape {shape:?} has {0} elements and does not fit {requested:?}: the sizes must multiply \
         to {0}; one may be -1, to be inferred, if no other is 0",
        product(shape)
    )]
    Reshape {
        /// The shape that was to be changed.
        shape: Shape,
        /// The sizes asked for, -1 for one to be inferred.
        requested: Vec<isize>,
    },
    /// A shape whose sizes, a 0 counted as 1, multiply to more than can be addressed.
    #[error(
        "{operation}: shape {shape:?} is too large for this machine: its sizes (a 0 counts as 1) \
         must not multiply to more than {}",
        crate::shape::MAX_COUNT
    )]
    TooLarge {
        /// The name of the operation.
        operation: &'static str,
        /// The shape asked for.
        shape: Shape,
    },
    /// An index outside an axis.
    #[error("{operation}: index {index} is out of bounds for axis {axis} of shape {shape:?}: {}", allowed_indices(shape, *axis))]
    Index {
        /// The name of the operation.
        operation: &'static str,
        /// The index asked for.
        index: i64,
        /// The axis it was used on.
        axis: usize,
        /// The shape of the indexed tensor.
        shape: Shape,
    },
    /// An argument that makes no sense for this tensor.
    #[error("{operation}: {argument} is {got} for shape {shape:?}: {expected}")]
    Argument {
        /// The name of the operation.
        operation: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The value given.
        got: String,
        /// The shape of the tensor.
        shape: Shape,
        /// The remedy.
        expected: String,
    },
    /// A matrix for which there is no such result.
    #[error("{operation}: {} {fault}; {expected}", which_matrix(index))]
    Matrix {
        /// The name of the operation.
        operation: &'static str,
        /// Which matrix of a stack it is; empty if there is only one.
        index: Shape,
        /// The fault.
        fault: String,
        /// The remedy.
        expected: &'static str,
    },
    /// Operands or options that the operation describes in its own words.
    #[error("{operation}: {fault}")]
    Invalid {
        /// The name of the operation.
        operation: &'static str,
        /// The fault and its remedy.
        fault: String,
    },
}

/// The message, which `unwrap` and an error that `main` returns show.
impl fmt::Debug for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TensorError {
    pub(crate) fn invalid(operation: &'static str, fault: impl Into<String>) -> Self {
        Self::Invalid { operation, fault: fault.into() }
    }

    pub(crate) fn argument(
        operation: &'static str,
        argument: &'static str,
        got: impl Display,
        shape: &[usize],
        expected: impl Into<String>,
    ) -> Self {
        Self::Argument {
            operation,
            argument,
            got: got.to_string(),
            shape: shape.into(),
            expected: expected.into(),
        }
    }

    pub(crate) fn mismatch(
        operation: &'static str,
        left: &[usize],
        right: &[usize],
        expected: &'static str,
    ) -> Self {
        Self::Mismatch { operation, left: left.into(), right: right.into(), expected }
    }

    /// Stops the program with this message at the line of the caller.
    #[track_caller]
    pub(crate) fn panic(self) -> ! {
        panic!("{self}")
    }
}

fn product(shape: &[usize]) -> String {
    crate::shape::element_count(shape).map_or_else(|| "too many".into(), |n| n.to_string())
}

fn which_matrix(index: &[usize]) -> String {
    if index.is_empty() { "the matrix".into() } else { format!("matrix {index:?} of the batch") }
}

fn allowed_axes(rank: usize) -> String {
    match rank {
        0 => "a 0-d tensor has no axes".into(),
        _ => format!("allowed are -{rank} to {}", rank - 1),
    }
}

fn allowed_indices(shape: &[usize], axis: usize) -> String {
    match shape.get(axis) {
        Some(0) => "the axis is empty".into(),
        None => "allowed is 0".into(),
        Some(size) => format!("allowed are 0 to {}", size - 1),
    }
}

/// Turns the mistake of a caller into a panic at the caller's line.
///
/// ```
/// use gradus_tensor::{OrPanic, broadcast_shapes};
///
/// let shape = broadcast_shapes("add", &[2, 1], &[3]).or_panic();
/// assert_eq!(shape.as_slice(), [2, 3]);
/// ```
pub trait OrPanic {
    /// The value on success.
    type Output;
    /// The value, or a panic with the message of the error.
    fn or_panic(self) -> Self::Output;
}

impl<V, E: Display> OrPanic for Result<V, E> {
    type Output = V;
    #[inline]
    #[track_caller]
    fn or_panic(self) -> V {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }
}
