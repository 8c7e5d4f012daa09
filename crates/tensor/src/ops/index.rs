//! Reading and adding at places given by integer tensors.

use crate::element::{Element, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels::Additions;
use crate::layout::{Layout, place_of};
use crate::runtime::Buffer;
use crate::shape::{Shape, broadcast_shapes, checked_count, from_front, lane_axis, spans};
use crate::tensor::Tensor;

/// The places in a buffer, seen through this layout, of the elements that `index` names along `axis`.
fn positions(
    operation: &'static str,
    layout: &Layout,
    axis: usize,
    index: &Tensor<i64>,
) -> Result<Vec<usize>, TensorError> {
    let Layout { shape, strides, offset } = layout;
    // The place that each element of `index` would have if it pointed to 0.
    let base = Layout {
        shape: index.shape().into(),
        strides: (0..shape.len()).map(|i| if i == axis { 0 } else { strides[i] }).collect(),
        offset: *offset,
    };
    let mut bases = Vec::with_capacity(index.len());
    crate::kernels::for_each_run(index.shape(), [&base], |[start], length, [stride]| {
        bases.extend((0..length).map(|i| start.wrapping_add_signed(i as isize * stride)));
    });
    let size = shape[axis] as i64;
    index
        .iter()
        .zip(bases)
        .map(|(index, base)| {
            if (0..size).contains(&index) {
                Ok(base.wrapping_add_signed(index as isize * strides[axis]))
            } else {
                Err(TensorError::Index { operation, index, axis, shape: shape.clone() })
            }
        })
        .collect()
}

/// Reading and writing at places given by integer tensors.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// assert_eq!(x.gather(1, &Tensor::from([[1], [0]])), Tensor::from([[2], [3]]));
/// assert_eq!(x.scatter(1, &Tensor::from([[1], [0]]), &Tensor::from([[7], [8]])), Tensor::from([[1, 7], [8, 4]]));
/// assert_eq!(x.scatter_add(1, &Tensor::from([[1, 1]]), &Tensor::from([[7, 8]])), Tensor::from([[1, 17], [3, 4]]));
/// assert_eq!(x.index_select(0, &Tensor::from([1, 1])), Tensor::from([[3, 4], [3, 4]]));
/// assert_eq!(x.index_add(0, &Tensor::from([1]), &Tensor::from([[10, 20]])), Tensor::from([[1, 2], [13, 24]]));
/// assert_eq!(x.masked_fill(&Tensor::from([true, false]), 0), Tensor::from([[0, 2], [0, 4]]));
/// assert_eq!(x.masked_select(&x.gt(2)), Tensor::from([3, 4]));
/// assert_eq!(x.gt(1).nonzero(), Tensor::from([[0, 1], [1, 0], [1, 1]]));
/// ```
///
/// # Panics
/// Every method panics if the axis or an index is out of range, or the shapes do not fit.
impl<T: Element> Tensor<T> {
    /// The elements that `index` names along an axis:
    /// `out[i, j, ...] = self[i, index[i, j, ...], ...]` for axis 1, and so on.
    ///
    /// `index` has this tensor's rank and is nowhere larger, except along the axis; the result has its shape.
    #[track_caller]
    pub fn gather(&self, axis: isize, index: &Tensor<i64>) -> Self {
        let shape = gather_shape(self.shape(), axis, index.shape()).or_panic();
        let axis = from_front(axis, self.rank());
        let (x, raised) = (self.at_least_1d(), index.at_least_1d());
        // Read in place: a contiguous copy may cost more than the few elements that are read.
        let positions = positions("gather", x.layout(), axis, &raised).or_panic();
        let data = x.buffer();
        let elements = positions.iter().map(|&position| data[position]);
        Self::from_buffer(Buffer::collect(positions.len(), elements), &shape)
    }

    /// The slices that `index`, one axis of integers, names along an axis, in its order.
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Tensor<i64>) -> Self {
        let shape = index_select_shape(self.shape(), axis, index.shape()).or_panic();
        let axis = from_front(axis, self.rank());
        let places = places("index_select", self.shape(), axis, index).or_panic();
        self.select_slices(axis, &places, &shape)
    }

    /// The slices of an axis at these places, one after another.
    pub(crate) fn select_slices(&self, axis: usize, places: &[usize], shape: &[usize]) -> Self {
        let [outer, size, inner] = spans(self.shape(), axis);
        if !places.is_empty() && 8 * places.len() < size && !self.is_contiguous() {
            // A few slices cost less than a copy of all.
            let slice = |&place: &usize| self.slice(axis as isize, place..place + 1);
            let slices: Vec<Self> = places.iter().map(slice).collect();
            return Self::cat(&slices.iter().collect::<Vec<_>>(), axis as isize).reshape(shape);
        }
        let source = self.contiguous();
        let blocks = source.data().chunks_exact((size * inner).max(1));
        let slices =
            blocks.flat_map(|block| places.iter().map(move |&place| &block[place * inner..][..inner]));
        Self::from_buffer(Buffer::concat(outer * places.len() * inner, slices), shape)
    }

    /// This tensor with the elements of `source` where `index` says along an axis:
    /// `out[i, index[i, j, ...], ...] = source[i, j, ...]` for axis 1, and so on. Where several elements go to
    /// one place, the last one stays.
    ///
    /// `index` and `source` have one shape, of this tensor's rank and nowhere larger except along the axis.
    #[track_caller]
    pub fn scatter(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let mut result = self.clone();
        result.put("scatter", axis, index, source, |data, positions| {
            for (&position, value) in positions.iter().zip(source.iter()) {
                data[position] = value;
            }
        });
        result
    }

    /// Passes the elements to `put`, with the place that `index` names along an axis for each element of `source`.
    #[track_caller]
    fn put(
        &mut self,
        operation: &'static str,
        axis: isize,
        index: &Tensor<i64>,
        source: &Self,
        put: impl FnOnce(&mut [T], &[usize]),
    ) {
        scatter_shape(operation, self.shape(), axis, index.shape(), source.shape()).or_panic();
        let axis = from_front(axis, self.rank());
        let layout = Layout::contiguous(at_least_1d(self.shape()));
        let positions = positions(operation, &layout, axis, &index.at_least_1d()).or_panic();
        put(self.make_mut(), &positions);
    }

    /// `value` where the mask is true, and these elements where it is not; tensor and mask broadcast.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor<bool>, value: T) -> Self {
        self.zip("masked_fill", mask, |x, masked| if masked { value } else { x })
    }

    /// The elements where the mask is true, in logical order; tensor and mask broadcast. The result has one axis, whose
    /// size depends on the mask.
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor<bool>) -> Self {
        let shape = broadcast_shapes("masked_select", self.shape(), mask.shape()).or_panic();
        let (x, mask) = (self.expand(&shape), mask.expand(&shape));
        let chosen: Vec<T> = x.iter().zip(&mask).filter(|(_, chosen)| *chosen).map(|(x, _)| x).collect();
        chosen.into()
    }

    /// The index of each element that is not 0 (or is true), in logical order: shape `[count, rank]`.
    pub fn nonzero(&self) -> Tensor<i64> {
        let zero = T::default();
        let places: Vec<usize> =
            self.iter().enumerate().filter(|(_, x)| *x != zero).map(|(place, _)| place).collect();
        let index = places.iter().flat_map(|&place| place_of(place, self.shape())).map(|i| i as i64);
        let shape = [places.len(), self.rank()];
        Tensor::from_buffer(Buffer::collect(shape[0] * shape[1], index), &shape)
    }

    /// This tensor, with an axis of size 1 if it is 0-d.
    fn at_least_1d(&self) -> Self {
        if self.rank() == 0 { self.reshape([1]) } else { self.clone() }
    }
}

impl<T: Number> Tensor<T> {
    /// This tensor with the elements of `source` added where `index` says along an axis:
    /// `out[i, index[i, j, ...], ...] += source[i, j, ...]` for axis 1, and so on.
    ///
    /// `index` and `source` have one shape, of this tensor's rank and nowhere larger except along the axis.
    /// Additions to one place happen in logical order; many of them are as accurate as a [`sum`](Self::sum).
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let mut result = self.clone();
        result.scatter_add_inplace(axis, index, source);
        result
    }

    /// [`scatter_add`](Self::scatter_add) in place; copies first if the buffer is shared.
    #[track_caller]
    pub fn scatter_add_inplace(&mut self, axis: isize, index: &Tensor<i64>, source: &Self) {
        self.put("scatter_add", axis, index, source, |data, positions| {
            Additions::new::<T>(positions).add(data, 1, source.contiguous().data());
        });
    }

    /// This tensor with the slices of `source` added to the slices that `index`, one axis of integers, names. Additions
    /// happen in order; many of them are as accurate as a [`sum`](Self::sum).
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let mut result = self.clone();
        result.index_add_inplace(axis, index, source);
        result
    }

    /// [`index_add`](Self::index_add) in place; copies first if the buffer is shared.
    #[track_caller]
    pub fn index_add_inplace(&mut self, axis: isize, index: &Tensor<i64>, source: &Self) {
        index_add_shape(self.shape(), axis, index.shape(), source.shape()).or_panic();
        let axis = from_front(axis, self.rank());
        let places = places("index_add", self.shape(), axis, index).or_panic();
        let [_, size, inner] = spans(self.shape(), axis);
        let source = source.contiguous();
        let additions = Additions::new::<T>(&places);
        let sources = source.data().chunks_exact((places.len() * inner).max(1));
        for (block, source) in self.make_mut().chunks_exact_mut((size * inner).max(1)).zip(sources) {
            additions.add(block, inner, source);
        }
    }
}

/// The indices in logical order, checked against the size of the axis.
pub(crate) fn places(
    operation: &'static str,
    shape: &[usize],
    axis: usize,
    index: &Tensor<i64>,
) -> Result<Vec<usize>, TensorError> {
    let size = shape.get(axis).copied().unwrap_or(1);
    let place = |index| match usize::try_from(index) {
        Ok(place) if place < size => Ok(place),
        _ => Err(TensorError::Index { operation, index, axis, shape: shape.into() }),
    };
    index.iter().map(place).collect()
}

/// The shape, with an axis of size 1 for a 0-d tensor.
fn at_least_1d(shape: &[usize]) -> &[usize] {
    if shape.is_empty() { &[1] } else { shape }
}

fn check_index(
    operation: &'static str,
    shape: &[usize],
    axis: isize,
    index: &[usize],
) -> Result<(), TensorError> {
    let axis = lane_axis(operation, axis, shape)?;
    let (shape, index) = (at_least_1d(shape), at_least_1d(index));
    if index.len() == shape.len() && (0..shape.len()).all(|i| i == axis || index[i] <= shape[i]) {
        return Ok(());
    }
    let expected = "the index must have as many axes and be nowhere larger, except along the axis";
    Err(TensorError::mismatch(operation, shape, index, expected))
}

fn check_source(operation: &'static str, index: &[usize], source: &[usize]) -> Result<(), TensorError> {
    if index == source {
        return Ok(());
    }
    let expected = "there must be one source element for each place the index names";
    Err(TensorError::mismatch(operation, index, source, expected))
}

/// The shape with one slice along the axis for each index.
fn selected_shape(
    operation: &'static str,
    shape: &[usize],
    axis: isize,
    index: &[usize],
) -> Result<Shape, TensorError> {
    let axis = lane_axis(operation, axis, shape)?;
    let error = |argument, got: usize, expected: &str| {
        Err(TensorError::argument(operation, argument, got, index, expected))
    };
    if index.len() > 1 {
        return error("the number of axes of the index", index.len(), "it must be 1");
    }
    let count = index.iter().product();
    let mut selected = Shape::from_slice(shape);
    match selected.get_mut(axis) {
        Some(size) => *size = count,
        None if count == 1 => {}
        None => return error("the number of indices", count, "for a 0-d tensor it must be 1"),
    }
    checked_count(operation, &selected)?;
    Ok(selected)
}

/// The shape of [`Tensor::gather`].
#[doc(hidden)]
pub fn gather_shape(shape: &[usize], axis: isize, index: &[usize]) -> Result<Shape, TensorError> {
    check_index("gather", shape, axis, index)?;
    Ok(index.into())
}

/// The shape of [`Tensor::scatter`] and [`Tensor::scatter_add`], by the name of either.
#[doc(hidden)]
pub fn scatter_shape(
    operation: &'static str,
    shape: &[usize],
    axis: isize,
    index: &[usize],
    source: &[usize],
) -> Result<Shape, TensorError> {
    check_index(operation, shape, axis, index)?;
    check_source(operation, index, source)?;
    Ok(shape.into())
}

/// The shape of [`Tensor::index_select`].
#[doc(hidden)]
pub fn index_select_shape(shape: &[usize], axis: isize, index: &[usize]) -> Result<Shape, TensorError> {
    selected_shape("index_select", shape, axis, index)
}

/// The shape of [`Tensor::index_add`].
#[doc(hidden)]
pub fn index_add_shape(
    shape: &[usize],
    axis: isize,
    index: &[usize],
    source: &[usize],
) -> Result<Shape, TensorError> {
    let selected = selected_shape("index_add", shape, axis, index)?;
    check_source("index_add", &selected, source)?;
    Ok(shape.into())
}
