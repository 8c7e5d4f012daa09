//! Joining tensors along an axis, and taking them apart.

use std::ops::Range;

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::runtime::Buffer;
use crate::shape::{Shape, checked_count, resolve_axis, resolve_new_axis};
use crate::tensor::Tensor;

impl<T: Element> Tensor<T> {
    /// The tensors one after another along an axis; their other sizes must be equal.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// let y = Tensor::from([[5], [6]]);
    /// assert_eq!(Tensor::cat(&[&x, &y], 1), Tensor::from([[1, 2, 5], [3, 4, 6]]));
    /// ```
    ///
    /// # Panics
    /// If there are no tensors, the axis is out of range or another size differs.
    #[track_caller]
    pub fn cat(tensors: &[&Self], axis: isize) -> Self {
        let first = first("cat", tensors);
        let axis = resolve_axis("cat", axis, first.shape()).or_panic();
        for tensor in tensors {
            let differs = |i: usize| i != axis && tensor.shape()[i] != first.shape()[i];
            if tensor.rank() != first.rank() || (0..first.rank()).any(differs) {
                TensorError::mismatch(
                    "cat",
                    first.shape(),
                    tensor.shape(),
                    "all sizes but that of the joined axis must be equal",
                )
                .panic();
            }
        }
        let mut shape = Shape::from_slice(first.shape());
        shape[axis] = tensors.iter().fold(0, |sum: usize, tensor| sum.saturating_add(tensor.shape()[axis]));
        let count = checked_count("cat", &shape).or_panic();

        // For each index of the axes before the joined one, a stretch of every tensor in turn.
        let tensors: Vec<Self> = tensors.iter().map(|tensor| tensor.contiguous()).collect();
        let stretch = |tensor: &Self| tensor.shape()[axis..].iter().product::<usize>();
        // A tensor without elements has no stretches.
        let outer = if count == 0 { 0 } else { shape[..axis].iter().product() };
        let stretches = (0..outer).flat_map(|i| {
            tensors.iter().map(move |tensor| {
                let (elements, length) = (tensor.as_slice().expect("made contiguous"), stretch(tensor));
                &elements[i * length..][..length]
            })
        });
        Self::from_buffer(Buffer::concat(count, stretches), &shape)
    }

    /// The tensors, all of one shape, along a new axis.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let (x, y) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
    /// assert_eq!(Tensor::stack(&[&x, &y], 0), Tensor::from([[1, 2], [3, 4]]));
    /// ```
    ///
    /// # Panics
    /// If there are no tensors, the axis is out of range or the shapes differ.
    #[track_caller]
    pub fn stack(tensors: &[&Self], axis: isize) -> Self {
        let first = first("stack", tensors);
        if let Some(other) = tensors.iter().find(|tensor| tensor.shape() != first.shape()) {
            TensorError::mismatch("stack", first.shape(), other.shape(), "all shapes must be equal").panic();
        }
        let place = resolve_new_axis("stack", axis, first.shape()).or_panic();
        let mut shape = Shape::from_slice(first.shape());
        shape.insert(place, tensors.len());
        checked_count("stack", &shape).or_panic();
        let raised: Vec<Self> = tensors.iter().map(|tensor| tensor.unsqueeze(axis)).collect();
        Self::cat(&raised.iter().collect::<Vec<_>>(), axis)
    }

    /// Consecutive parts of an axis, of the listed sizes, without a copy.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let parts = Tensor::from([1, 2, 3]).split(&[1, 2], 0);
    /// assert_eq!(parts, [Tensor::from([1]), Tensor::from([2, 3])]);
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range or the sizes do not add up to its size.
    #[track_caller]
    pub fn split(&self, sizes: &[usize], axis: isize) -> Vec<Self> {
        let ranges = split_ranges(self.shape(), sizes, axis).or_panic();
        ranges.into_iter().map(|range| self.slice(axis, range)).collect()
    }

    /// Consecutive parts of an axis, all of the same size but for the last one, which may be smaller: as many as
    /// `chunks`, or fewer, where the size that is rounded up leaves nothing. No copy.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let sizes = |size, chunks| Tensor::<f32>::zeros([size]).chunk(chunks, 0).iter().map(Tensor::len).collect::<Vec<_>>();
    /// assert_eq!(sizes(7, 3), [3, 3, 1]);
    /// assert_eq!(sizes(6, 4), [2, 2, 2]);
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, or `chunks` is 0.
    #[track_caller]
    pub fn chunk(&self, chunks: usize, axis: isize) -> Vec<Self> {
        let ranges = chunk_ranges(self.shape(), chunks, axis).or_panic();
        ranges.into_iter().map(|range| self.slice(axis, range)).collect()
    }
}

/// The parts of an axis that [`Tensor::split`] gives for a tensor of this shape.
///
/// # Errors
/// [`TensorError`] if the axis is out of range or the sizes do not add up to its size.
pub fn split_ranges(shape: &[usize], sizes: &[usize], axis: isize) -> Result<Vec<Range<usize>>, TensorError> {
    let axis = resolve_axis("split", axis, shape)?;
    let total = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size));
    if total != Some(shape[axis]) {
        return Err(TensorError::argument(
            "split",
            "sizes",
            format!("{sizes:?}"),
            shape,
            format!("they must add up to {}, the size of axis {axis}", shape[axis]),
        ));
    }
    let mut end = 0;
    let range = |&size: &usize| {
        end += size;
        end - size..end
    };
    Ok(sizes.iter().map(range).collect())
}

/// The parts of an axis that [`Tensor::chunk`] gives for a tensor of this shape.
///
/// # Errors
/// [`TensorError`] if the axis is out of range, or `chunks` is 0.
pub fn chunk_ranges(shape: &[usize], chunks: usize, axis: isize) -> Result<Vec<Range<usize>>, TensorError> {
    let axis = resolve_axis("chunk", axis, shape)?;
    if chunks == 0 {
        return Err(TensorError::argument("chunk", "chunks", "0", shape, "it must be at least 1"));
    }
    let size = shape[axis];
    let part = size.div_ceil(chunks);
    let count = if size == 0 { chunks } else { size.div_ceil(part) };
    Ok((0..count).map(|i| i * part..size.min((i + 1) * part)).collect())
}

#[track_caller]
fn first<'a, T: Element>(operation: &'static str, tensors: &[&'a Tensor<T>]) -> &'a Tensor<T> {
    let Some(first) = tensors.first() else {
        panic!("{operation}: the list of tensors is empty; it needs at least one")
    };
    first
}
