//! Subscripts: the list in the brackets of `x[.., 1:3, -1]`, as other languages write it.

use std::fmt::{self, Debug, Formatter};

use smallvec::SmallVec;

use crate::slice::Slice;

/// One subscript of [`Tensor::index`](crate::Tensor::index): for one axis, for a new one, or for all that are left.
///
/// Made from an integer or a range; see [`Subscripts`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subscript {
    /// One index of an axis, which goes; a negative index counts from the end.
    At(isize),
    /// Part of an axis.
    Slice(Slice),
    /// A new axis of size 1.
    NewAxis,
    /// All axes that the other subscripts leave, as they are. Without it, they are the last ones.
    Ellipsis,
}

/// Subscripts, one for each axis, for [`Tensor::index`](crate::Tensor::index) and
/// [`Tensor::index_put`](crate::Tensor::index_put).
///
/// Made from a tuple of up to six, from a single one, or, if their number is known only at run time, from an array, a slice
/// or a `Vec` of [`Subscript`]s:
///
/// | | in Python | stands for |
/// | --- | --- | --- |
/// | `2`, `-1` | `2`, `-1` | one index, from the front or from the end; the axis goes |
/// | `..` | `:` | the whole axis |
/// | `1..3`, `1..=2` | `1:3` | a range |
/// | `..-1`, `-2..` | `:-1`, `-2:` | a range, with bounds that count from the end |
/// | `step(1..9, 2)`, `step(.., -1)` | `1:9:2`, `::-1` | every n-th index, perhaps backwards |
/// | [`NewAxis`](Subscript::NewAxis) | `None` | a new axis of size 1 |
/// | [`Ellipsis`](Subscript::Ellipsis) | `...` | all axes that the others leave |
///
/// Bounds of a range that are beyond the axis are clamped, by Python's rules; a single index must be within it.
///
/// ```
/// use gradus_tensor::{Ellipsis, NewAxis, Subscript, Tensor, step};
///
/// let x = Tensor::arange(0, 24, 1).reshape([2, 3, 4]);
/// assert_eq!(x.index((.., 1..=2, -1)), Tensor::from([[7, 11], [19, 23]]));
/// assert_eq!(x.index((1, step(.., -2), 0)), Tensor::from([20, 12]));
/// assert_eq!(x.index((Ellipsis, 0)).shape(), [2, 3]);
/// assert_eq!(x.index((0, NewAxis)).shape(), [1, 3, 4]);
/// assert_eq!(x.index(1..), x.slice(0, 1..));
///
/// let mut last_of_each = vec![Subscript::from(-1); x.rank()];
/// assert_eq!(x.index(&last_of_each[..]).item(), 23);
/// last_of_each[0] = Subscript::from(..);
/// assert_eq!(x.index(last_of_each), Tensor::from([11, 23]));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Subscripts(SmallVec<[Subscript; 4]>);

/// Every n-th index of a range, backwards if `step` is negative: `step(1..9, 2)`; see [`Slice::step`].
///
/// # Panics
/// If `step` is 0.
#[track_caller]
pub fn step(range: impl Into<Slice>, step: isize) -> Slice {
    range.into().step(step)
}

impl Subscripts {
    /// One subscript for an axis, counted from the front; all others are taken whole.
    pub fn along(axis: usize, subscript: impl Into<Subscript>) -> Self {
        let whole = std::iter::repeat_n(Subscript::from(..), axis);
        Self(whole.chain([subscript.into()]).collect())
    }

    /// The subscripts.
    pub fn as_slice(&self) -> &[Subscript] {
        &self.0
    }
}

impl<S: Into<Slice>> From<S> for Subscript {
    fn from(slice: S) -> Self {
        Self::Slice(slice.into())
    }
}

macro_rules! from_integers {
    ($($int:ty)*) => {$(
        impl From<$int> for Subscript {
            /// An integer that is too large for an `isize` is beyond every axis.
            fn from(index: $int) -> Self {
                Self::At(index.try_into().unwrap_or(isize::MAX))
            }
        }
    )*};
}
from_integers!(isize usize i32 i64);

impl<S: Into<Subscript>> From<S> for Subscripts {
    fn from(subscript: S) -> Self {
        Self(SmallVec::from_elem(subscript.into(), 1))
    }
}

impl From<&Self> for Subscripts {
    fn from(subscripts: &Self) -> Self {
        subscripts.clone()
    }
}

impl From<&[Subscript]> for Subscripts {
    fn from(list: &[Subscript]) -> Self {
        Self(list.into())
    }
}

impl From<Vec<Subscript>> for Subscripts {
    fn from(list: Vec<Subscript>) -> Self {
        Self(list.into())
    }
}

impl<const N: usize> From<[Subscript; N]> for Subscripts {
    fn from(list: [Subscript; N]) -> Self {
        list.as_slice().into()
    }
}

macro_rules! from_tuples {
    ($(($($name:ident)+))*) => {$(
        impl<$($name: Into<Subscript>),+> From<($($name,)+)> for Subscripts {
            fn from(tuple: ($($name,)+)) -> Self {
                #[allow(non_snake_case, reason = "values under the names of their types")]
                let ($($name,)+) = tuple;
                [$($name.into()),+].into()
            }
        }
    )*};
}
from_tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

/// As in a program: `-1`, `1..3`, `NewAxis`.
impl Debug for Subscript {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(index) => write!(f, "{index}"),
            Self::Slice(slice) => write!(f, "{slice:?}"),
            Self::NewAxis => f.write_str("NewAxis"),
            Self::Ellipsis => f.write_str("Ellipsis"),
        }
    }
}

/// As in a program: `(.., 1..3, -1)`.
impl Debug for Subscripts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = &self.0[..] else { return f.write_str("()") };
        write!(f, "({first:?}")?;
        rest.iter().try_for_each(|subscript| write!(f, ", {subscript:?}"))?;
        f.write_str(")")
    }
}
