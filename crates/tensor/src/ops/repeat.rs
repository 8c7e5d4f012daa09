//! Elements repeated, and moved around.

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::shape::{Axes, Dims, Shape, checked_count, element_count, from_front, resolve_axis};
use crate::slice::Slice;
use crate::tensor::Tensor;

/// Elements repeated, and moved around.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// assert_eq!(x.tile([2]), Tensor::from([[1, 2, 1, 2], [3, 4, 3, 4]]));
/// assert_eq!(x.repeat_interleave(2, 0), Tensor::from([[1, 2], [1, 2], [3, 4], [3, 4]]));
/// assert_eq!(x.repeat_interleave(2, ..), Tensor::from([1, 1, 2, 2, 3, 3, 4, 4]));
/// assert_eq!(x.roll([1, -1], [0, 1]), Tensor::from([[4, 3], [2, 1]]));
/// assert_eq!(x.roll(1, ..), Tensor::from([[4, 1], [2, 3]]));
/// ```
impl<T: Element> Tensor<T> {
    /// The whole tensor repeated, `repeats[i]` times along axis `i`; the shorter of shape and repeats is padded
    /// with ones in front.
    ///
    /// # Panics
    /// If the result has more elements than a machine can hold.
    #[track_caller]
    pub fn tile(&self, repeats: impl AsRef<[usize]>) -> Self {
        let repeats = repeats.as_ref();
        let tiled = tile_shape(self.shape(), repeats).or_panic();
        let [shape, repeats] = with_one_rank(self.shape(), repeats);
        let single = Shape::from_elem(1, shape.len());
        self.reshape(interleaved(&single, &shape)).expand(interleaved(&repeats, &shape)).reshape(tiled)
    }

    /// Each slice of an axis repeated in its place; for `..`, each element in logical order.
    ///
    /// # Panics
    /// If the axis is out of range, or there are several.
    #[track_caller]
    pub fn repeat_interleave(&self, repeats: usize, axis: impl Into<Axes>) -> Self {
        let axis = axis.into();
        let Some(named) = axis.named() else { return self.flatten(..).repeat_interleave(repeats, 0) };
        let shape = repeat_interleave_shape(self.shape(), repeats, &axis).or_panic();
        let axis = from_front(named.as_slice()[0], self.rank());
        let mut repeated = Shape::from_slice(self.shape());
        repeated.insert(axis + 1, repeats);
        self.unsqueeze(axis as isize + 1).expand(repeated).reshape(shape)
    }

    /// The elements moved by `shifts[i]` along `axes[i]`, and from the end to the start; for `..` and one shift, moved in
    /// logical order.
    ///
    /// # Panics
    /// If an axis is out of range or named twice, or the numbers of shifts and axes differ.
    #[track_caller]
    pub fn roll(&self, shifts: impl Into<Dims>, axes: impl Into<Axes>) -> Self {
        let (shifts, axes) = (shifts.into(), axes.into());
        roll_shape(self.shape(), &shifts, &axes).or_panic();
        let Some(named) = axes.named() else {
            return self.flatten(..).roll_axis(0, shifts.as_slice()[0]).reshape(self.shape());
        };
        let each = named.as_slice().iter().zip(shifts.as_slice());
        each.fold(self.clone(), |x, (&axis, &shift)| x.roll_axis(from_front(axis, self.rank()), shift))
    }

    fn roll_axis(&self, axis: usize, shift: isize) -> Self {
        let size = self.shape()[axis] as isize;
        if self.is_empty() || shift % size == 0 {
            return self.clone();
        }
        let cut = size - shift.rem_euclid(size);
        let part = |part: Slice| self.slice(axis as isize, part);
        Self::cat(&[&part((cut..).into()), &part((..cut).into())], axis as isize)
    }
}

/// Both lists, the shorter one padded with ones in front.
fn with_one_rank(shape: &[usize], repeats: &[usize]) -> [Shape; 2] {
    let rank = shape.len().max(repeats.len());
    [shape, repeats].map(|list| {
        let ones = std::iter::repeat_n(1, rank - list.len());
        ones.chain(list.iter().copied()).collect()
    })
}

/// Each number of the first list before its partner in the second.
fn interleaved(first: &[usize], second: &[usize]) -> Shape {
    first.iter().zip(second).flat_map(|(&a, &b)| [a, b]).collect()
}

/// The shape of [`Tensor::tile`].
#[doc(hidden)]
pub fn tile_shape(shape: &[usize], repeats: &[usize]) -> Result<Shape, TensorError> {
    let [shape, repeats] = with_one_rank(shape, repeats);
    // As a view, each axis lies behind another one along which it is repeated.
    checked_count("tile", &interleaved(&repeats, &shape))?;
    let tiled: Shape = repeats.iter().zip(&shape).map(|(&a, &b)| a.saturating_mul(b)).collect();
    checked_count("tile", &tiled)?;
    Ok(tiled)
}

/// The shape of [`Tensor::repeat_interleave`].
#[doc(hidden)]
pub fn repeat_interleave_shape(shape: &[usize], repeats: usize, axis: &Axes) -> Result<Shape, TensorError> {
    let Some(named) = axis.named() else {
        let count = element_count(shape).unwrap_or(usize::MAX);
        return repeat_interleave_shape(&[count], repeats, &Axes::from(0));
    };
    let &[axis] = named.as_slice() else {
        let fault = format!("the axes are {:?}: allowed are one axis, or `..`", named.as_slice());
        return Err(TensorError::invalid("repeat_interleave", fault));
    };
    let axis = resolve_axis("repeat_interleave", axis, shape)?;
    let mut repeated = Shape::from_slice(shape);
    repeated.insert(axis + 1, repeats);
    checked_count("repeat_interleave", &repeated)?;
    repeated.remove(axis + 1);
    repeated[axis] *= repeats;
    Ok(repeated)
}

/// The shape of [`Tensor::roll`].
#[doc(hidden)]
pub fn roll_shape(shape: &[usize], shifts: &Dims, axes: &Axes) -> Result<Shape, TensorError> {
    let named = axes.named();
    let count = named.map_or(1, |axes| axes.as_slice().len());
    if shifts.as_slice().len() != count {
        let got = format!("{:?}", shifts.as_slice());
        let expected = format!("there must be {count} of them, one for each axis, or one for `..`");
        return Err(TensorError::argument("roll", "shifts", got, shape, expected));
    }
    if let Some(named) = named {
        named.resolve("roll", shape)?;
    }
    Ok(shape.into())
}
