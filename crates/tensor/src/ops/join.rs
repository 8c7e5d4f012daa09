//! Joining tensors along an axis, and taking them apart.

use std::ops::Range;

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::runtime::Buffer;
use crate::shape::{Shape, checked_count, from_front, resolve_axis, resolve_new_axis};
use crate::tensor::Tensor;

/// Joining along an axis, and taking apart.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let (x, y) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
/// let all = Tensor::cat(&[&x, &y], 0);
/// assert_eq!(all, Tensor::from([1, 2, 3, 4]));
/// assert_eq!(Tensor::stack(&[&x, &y], 0), Tensor::from([[1, 2], [3, 4]]));
/// assert_eq!(all.split([1, 3], 0), [Tensor::from([1]), Tensor::from([2, 3, 4])]);
/// assert_eq!(all.split(3, 0), [Tensor::from([1, 2, 3]), Tensor::from([4])]);
/// assert_eq!(all.chunk(2, 0), [x, y]);
/// ```
///
/// # Panics
/// Every method panics if the axis is out of range; joins also if there are no tensors or the other sizes differ, `split` if
/// the one size is 0 or the listed ones do not add up to the size of the axis, `chunk` if `chunks` is 0.
impl<T: Element> Tensor<T> {
    /// The tensors one after another along an axis; their other sizes must be equal.
    #[track_caller]
    pub fn cat(tensors: &[&Self], axis: isize) -> Self {
        let shape = cat_shape(tensors.iter().map(|tensor| tensor.shape()), axis).or_panic();
        Self::joined(tensors, from_front(axis, shape.len()), &shape)
    }

    /// The tensors, all of one shape, along a new axis.
    #[track_caller]
    pub fn stack(tensors: &[&Self], axis: isize) -> Self {
        let shape = stack_shape(tensors.iter().map(|tensor| tensor.shape()), axis).or_panic();
        Self::joined(tensors, from_front(axis, shape.len()), &shape)
    }

    /// For each index of the axes before the joined one, a stretch of every tensor in turn.
    fn joined(tensors: &[&Self], axis: usize, shape: &[usize]) -> Self {
        let tensors: Vec<Self> = tensors.iter().map(|tensor| tensor.contiguous()).collect();
        let count = shape.iter().product();
        // A tensor without elements has no stretches.
        let outer = if count == 0 { 0 } else { shape[..axis].iter().product() };
        let stretches = (0..outer).flat_map(|i| {
            tensors.iter().map(move |tensor| {
                let length = tensor.shape()[axis..].iter().product::<usize>();
                &tensor.data()[i * length..][..length]
            })
        });
        Self::from_buffer(Buffer::concat(count, stretches), shape)
    }

    /// Consecutive parts of an axis, without a copy: of one size, the last part perhaps smaller, or of the listed sizes.
    #[track_caller]
    pub fn split(&self, sizes: impl Into<SplitSizes>, axis: isize) -> Vec<Self> {
        let ranges = split_ranges(self.shape(), &sizes.into(), axis).or_panic();
        ranges.into_iter().map(|range| self.slice(axis, range)).collect()
    }

    /// At most `chunks` consecutive parts of an axis, of size `size / chunks` rounded up, the last one perhaps smaller;
    /// without a copy.
    #[track_caller]
    pub fn chunk(&self, chunks: usize, axis: isize) -> Vec<Self> {
        let ranges = chunk_ranges(self.shape(), chunks, axis).or_panic();
        ranges.into_iter().map(|range| self.slice(axis, range)).collect()
    }
}

/// The shape of [`Tensor::cat`].
#[doc(hidden)]
pub fn cat_shape<'a>(
    shapes: impl IntoIterator<Item = &'a [usize]>,
    axis: isize,
) -> Result<Shape, TensorError> {
    let mut shapes = shapes.into_iter();
    let first = shapes.next().ok_or_else(|| no_tensors("cat"))?;
    let axis = resolve_axis("cat", axis, first)?;
    let mut joined = Shape::from_slice(first);
    for shape in shapes {
        let differs = |i: usize| i != axis && shape[i] != first[i];
        if shape.len() != first.len() || (0..first.len()).any(differs) {
            let expected = "sizes must be equal on all axes but the joined one";
            return Err(TensorError::mismatch("cat", first, shape, expected));
        }
        joined[axis] = joined[axis].saturating_add(shape[axis]);
    }
    checked_count("cat", &joined)?;
    Ok(joined)
}

/// Stacked along a new first axis: a function of each row is `rows`, `map`, `collect`.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[3, 1, 2], [5, 6, 4]]);
/// let sorted: Tensor<i64> = x.rows().map(|row| row.sort(0, false).0).collect();
/// assert_eq!(sorted, Tensor::from([[1, 2, 3], [4, 5, 6]]));
/// ```
///
/// # Panics
/// If there are no tensors or the shapes differ.
impl<T: Element> FromIterator<Self> for Tensor<T> {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = Self>>(tensors: I) -> Self {
        let tensors: Vec<Self> = tensors.into_iter().collect();
        Self::stack(&tensors.iter().collect::<Vec<_>>(), 0)
    }
}

/// The shape of [`Tensor::stack`].
#[doc(hidden)]
pub fn stack_shape<'a>(
    shapes: impl IntoIterator<Item = &'a [usize]>,
    axis: isize,
) -> Result<Shape, TensorError> {
    let mut shapes = shapes.into_iter();
    let first = shapes.next().ok_or_else(|| no_tensors("stack"))?;
    let mut count = 1;
    for shape in shapes {
        if shape != first {
            return Err(TensorError::mismatch("stack", first, shape, "all shapes must be equal"));
        }
        count += 1;
    }
    let mut stacked = Shape::from_slice(first);
    stacked.insert(resolve_new_axis("stack", axis, first)?, count);
    checked_count("stack", &stacked)?;
    Ok(stacked)
}

fn no_tensors(operation: &'static str) -> TensorError {
    TensorError::invalid(operation, "the list of tensors is empty; it needs at least one")
}

/// The sizes of the parts of [`Tensor::split`]: made from one size, or from an array, a slice or a `Vec` of sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitSizes {
    /// One size for all parts; the last part may be smaller.
    Each(usize),
    /// The size of each part.
    Listed(Vec<usize>),
}

impl From<usize> for SplitSizes {
    fn from(size: usize) -> Self {
        Self::Each(size)
    }
}

macro_rules! split_sizes_from_lists {
    ($([$($generics:tt)*] $list:ty;)*) => {$(
        impl<$($generics)*> From<$list> for SplitSizes {
            fn from(sizes: $list) -> Self {
                Self::Listed(sizes.to_vec())
            }
        }
    )*};
}
split_sizes_from_lists! {
    [] &[usize];
    [] &Vec<usize>;
    [] Vec<usize>;
    [const N: usize] [usize; N];
    [const N: usize] &[usize; N];
}

/// The parts of an axis that [`Tensor::split`] gives for a tensor of this shape.
#[doc(hidden)]
pub fn split_ranges(
    shape: &[usize],
    sizes: &SplitSizes,
    axis: isize,
) -> Result<Vec<Range<usize>>, TensorError> {
    let axis = resolve_axis("split", axis, shape)?;
    let sizes = match sizes {
        SplitSizes::Each(0) => {
            return Err(TensorError::argument("split", "size", 0, shape, "it must be at least 1"));
        }
        // An empty axis is one part.
        SplitSizes::Each(size) => return Ok(parts(shape[axis], *size, shape[axis].div_ceil(*size).max(1))),
        SplitSizes::Listed(sizes) => sizes,
    };
    let total = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size));
    if total != Some(shape[axis]) {
        let expected = format!("they must add up to {}, the size of axis {axis}", shape[axis]);
        return Err(TensorError::argument("split", "sizes", format!("{sizes:?}"), shape, expected));
    }
    let mut end = 0;
    let range = |&size: &usize| {
        end += size;
        end - size..end
    };
    Ok(sizes.iter().map(range).collect())
}

/// The parts of an axis that [`Tensor::chunk`] gives for a tensor of this shape.
#[doc(hidden)]
pub fn chunk_ranges(shape: &[usize], chunks: usize, axis: isize) -> Result<Vec<Range<usize>>, TensorError> {
    let axis = resolve_axis("chunk", axis, shape)?;
    if chunks == 0 {
        return Err(TensorError::argument("chunk", "chunks", "0", shape, "it must be at least 1"));
    }
    let size = shape[axis];
    let part = size.div_ceil(chunks);
    let count = if size == 0 { chunks } else { size.div_ceil(part) };
    Ok(parts(size, part, count))
}

/// Parts of an axis of this size, all but the last of one size.
fn parts(size: usize, part: usize, count: usize) -> Vec<Range<usize>> {
    (0..count).map(|i| i * part..size.min((i + 1).saturating_mul(part))).collect()
}
