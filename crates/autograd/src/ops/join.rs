//! Joining and splitting variables along an axis.

use gradus_tensor::shapes::{cat_shape, chunk_ranges, split_ranges, stack_shape};
use gradus_tensor::{Float, OrPanic, SplitSizes, Tensor};

use super::operations::operations;
use crate::tape::{Var, apply};

operations! {
    Linear Cat { axis: usize }: "cat",
        shape |x| cat_shape(x.iter().copied(), *axis as isize),
        forward |x| Tensor::cat(&x.numbers().collect::<Vec<_>>(), *axis as isize),
        vjps |context| {
            let mut start = 0;
            let part = |i| {
                let range = start..start + context.shape(i)[*axis];
                start = range.end;
                Some(context.cotangent().slice(*axis as isize, range))
            };
            (0..context.inputs()).map(part).collect()
        },
        batched |batch| batch.apply(Self { axis: axis + 1 });
}

/// The variables one after another along an axis; their other sizes must be equal.
///
/// ```
/// use gradus_autograd::{Tensor, Var, cat};
///
/// let (x, y) = (Var::leaf(Tensor::from([1.0, 2.0])), Var::leaf(Tensor::from([3.0])));
/// assert_eq!(cat(&[&x, &y], 0).value(), &Tensor::from([1.0, 2.0, 3.0]));
/// ```
///
/// # Panics
/// If there are no variables, the axis is out of range or another size differs.
#[track_caller]
pub fn cat<T: Float>(vars: &[&Var<T>], axis: isize) -> Var<T> {
    let rank = vars.first().map_or(0, |var| var.rank()) as isize;
    // An axis out of range goes through as it is, for the tensor to refuse.
    let from_front = if (-rank..0).contains(&axis) { axis + rank } else { axis };
    apply(Cat { axis: from_front as usize }, vars)
}

/// The variables, all of one shape, along a new axis.
///
/// # Panics
/// If there are no variables, the axis is out of range or the shapes differ.
#[track_caller]
pub fn stack<T: Float>(vars: &[&Var<T>], axis: isize) -> Var<T> {
    stack_shape(vars.iter().map(|var| var.shape()), axis).or_panic();
    let raised: Vec<Var<T>> = vars.iter().map(|var| var.unsqueeze(axis)).collect();
    cat(&raised.iter().collect::<Vec<_>>(), axis)
}

/// Stacked along a new first axis: a function of each row is `rows`, `map`, `collect`.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
///
/// let x = Var::leaf(Tensor::from([[3.0, 4.0], [6.0, 8.0]]));
/// let units: Var<f64> = x.rows().map(|row| &row / row.norm(2.0, ..)).collect();
/// assert_eq!(units.value(), &Tensor::from([[0.6, 0.8], [0.6, 0.8]]));
/// ```
///
/// # Panics
/// If there are no variables or the shapes differ.
impl<T: Float> FromIterator<Self> for Var<T> {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = Self>>(vars: I) -> Self {
        let vars: Vec<Self> = vars.into_iter().collect();
        stack(&vars.iter().collect::<Vec<_>>(), 0)
    }
}

impl<T: Float> Var<T> {
    /// Consecutive parts of an axis: of one size, the last part perhaps smaller, or of the listed sizes.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([1.0, 2.0, 3.0]));
    /// let parts = x.split([1, 2], 0);
    /// assert_eq!(parts[0].value(), &Tensor::from([1.0]));
    /// assert_eq!(parts[1].value(), &Tensor::from([2.0, 3.0]));
    /// assert_eq!(x.split(2, 0)[1].value(), &Tensor::from([3.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, the one size is 0, or the listed ones do not add up to the size of the axis.
    #[track_caller]
    pub fn split(&self, sizes: impl Into<SplitSizes>, axis: isize) -> Vec<Self> {
        let ranges = split_ranges(self.shape(), &sizes.into(), axis).or_panic();
        ranges.into_iter().map(|range| self.slice(axis, range)).collect()
    }

    /// At most `chunks` consecutive parts of an axis, of its size divided by `chunks` and rounded up; the last part may
    /// be smaller.
    ///
    /// See [`Tensor::chunk`](gradus_tensor::Tensor::chunk) for shapes and panics.
    #[track_caller]
    pub fn chunk(&self, chunks: usize, axis: isize) -> Vec<Self> {
        let ranges = chunk_ranges(self.shape(), chunks, axis).or_panic();
        ranges.into_iter().map(|range| self.slice(axis, range)).collect()
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, joinable, shapes};
    let any = || shapes(0..=4, 0..=4);
    let ranked = || shapes(1..=4, 1..=4);
    vec![
        case!("split", shape in ranked(), [shape], |x| {
            let (first, rest) = (x.shape()[0] / 2, x.shape()[0] - x.shape()[0] / 2);
            let parts = x.split([first, rest], 0);
            let pairs = x.split(2, 0);
            parts[0].sum(..) * parts[1].sin() * pairs[pairs.len() - 1].mean(..)
        }),
        case!("chunk", shape in ranked(), [shape], |x| {
            let parts = x.chunk(3, -1);
            parts[0].sum(..) * parts[parts.len() - 1].sin()
        }),
        case!("cat", (a, b, axis) in joinable(), [a, b], |x, y| cat(&[x, y, x], axis)),
        case!("stack", shape in any(), [shape.clone(), shape], |x, y| stack(&[x, y, y], -1)),
    ]
}
