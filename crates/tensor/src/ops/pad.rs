//! Padding.

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::kernels::for_each_run;
use crate::layout::Layout;
use crate::runtime::Buffer;
use crate::shape::{Shape, checked_count};
use crate::slice::Slice;
use crate::tensor::Tensor;

/// The values of padding.
///
/// ```
/// use gradus_tensor::{PadMode, Tensor};
///
/// let x = Tensor::from([1, 2, 3]);
/// assert_eq!(x.pad([[2, 1]], PadMode::Constant(0)), Tensor::from([0, 0, 1, 2, 3, 0]));
/// assert_eq!(x.pad([[2, 1]], PadMode::Reflect), Tensor::from([3, 2, 1, 2, 3, 2]));
/// assert_eq!(x.pad([[2, 1]], PadMode::Replicate), Tensor::from([1, 1, 1, 2, 3, 3]));
/// assert_eq!(x.pad([[-1, 0]], PadMode::Replicate), Tensor::from([2, 3]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode<T> {
    /// A constant.
    Constant(T),
    /// A reflection at the edge; the edge itself is not repeated.
    Reflect,
    /// The edge, repeated.
    Replicate,
}

impl<T: Element> Tensor<T> {
    /// This tensor with `pads[i][0]` elements added before axis `i` and `pads[i][1]` after it, or removed where the number
    /// is negative.
    ///
    /// # Panics
    /// If there is not a pair for each axis, if more is taken away than there is, if a reflection would reach beyond
    /// the other edge, or if there is nothing to replicate.
    #[track_caller]
    pub fn pad(&self, pads: impl AsRef<[[isize; 2]]>, mode: PadMode<T>) -> Self {
        let pads = pads.as_ref();
        let shape = pad_shape(self.shape(), pads, mode).or_panic();
        let PadMode::Constant(value) = mode else {
            let padded = pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]);
            return padded.fold(self.clone(), |x, (axis, &[before, _])| {
                let size = x.shape()[axis] as isize;
                let from = (0..shape[axis] as isize).map(|i| match (mode, i - before) {
                    (PadMode::Reflect, i) if i < 0 => -i,
                    (PadMode::Reflect, i) if i >= size => 2 * (size - 1) - i,
                    (_, i) => i.clamp(0, size - 1),
                });
                let from: Vec<i64> = from.map(|i| i as i64).collect();
                x.index_select(axis as isize, &Tensor::from(from))
            });
        };
        let count = shape.iter().product();
        // The elements that are kept: their layout here, and in the result.
        let (mut from, mut to) = (self.layout().clone(), Layout::contiguous(&shape));
        for (axis, &[before, after]) in pads.iter().enumerate() {
            let kept = |[before, after]: [isize; 2], size: usize| {
                let start = before.max(0);
                Slice::from(start..(size as isize - after.max(0)).max(start))
            };
            from = from.slice(axis, kept([-before, -after], self.shape()[axis]));
            to = to.slice(axis, kept([before, after], shape[axis]));
        }
        let mut data = Buffer::filled(count, value);
        let padded = data.get_mut().expect("nobody else has it");
        let source = self.buffer();
        let place = |start: usize, i: usize, stride: isize| start.wrapping_add_signed(i as isize * stride);
        for_each_run(&to.shape, [&from, &to], |[from, to], length, strides| {
            if strides == [1, 1] {
                padded[to..to + length].copy_from_slice(&source[from..from + length]);
            } else {
                for i in 0..length {
                    padded[place(to, i, strides[1])] = source[place(from, i, strides[0])];
                }
            }
        });
        Self::from_buffer(data, &shape)
    }
}

/// The shape of [`Tensor::pad`].
#[doc(hidden)]
pub fn pad_shape<T>(shape: &[usize], pads: &[[isize; 2]], mode: PadMode<T>) -> Result<Shape, TensorError> {
    let error = |expected: String| TensorError::argument("pad", "pads", format!("{pads:?}"), shape, expected);
    if pads.len() != shape.len() {
        return Err(error(format!("there must be {} of them, one for each axis", shape.len())));
    }
    let mut padded = Shape::from_slice(shape);
    for (axis, &[before, after]) in pads.iter().enumerate() {
        let size = shape[axis] as isize;
        let total = size.saturating_add(before).saturating_add(after);
        // Neither side may remove more than the whole axis.
        if total < 0 || before < -size || after < -size {
            return Err(error(format!("axis {axis} has only {size} to take away")));
        }
        match mode {
            PadMode::Reflect if before.max(after) > (size - 1).max(0) => {
                let most = (size - 1).max(0);
                let expected = format!("along axis {axis}, reflections may reach {most}, its size less 1");
                return Err(error(expected));
            }
            PadMode::Replicate if size == 0 && total > 0 => {
                return Err(error(format!("axis {axis} has size 0 and nothing to replicate")));
            }
            _ => padded[axis] = total as usize,
        }
    }
    checked_count("pad", &padded)?;
    Ok(padded)
}
