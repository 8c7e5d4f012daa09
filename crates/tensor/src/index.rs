//! Reading and adding at places given by integer tensors.

use crate::dims::{Shape, checked_count, resolve_axis};
use crate::element::{Element, Number};
use crate::error::{OrPanic, TensorError};
use crate::kernels::Buffer;
use crate::tensor::Tensor;

/// Where in a row-major tensor of `shape` each element of `index` points along `axis`.
fn positions(
    operation: &'static str,
    shape: &[usize],
    axis: usize,
    index: &Tensor<i64>,
) -> Result<Vec<usize>, TensorError> {
    let strides = crate::layout::row_major(shape);
    // The place that each element of `index` would have in `shape` if it pointed to 0.
    let base = crate::layout::Layout {
        shape: index.shape().into(),
        strides: (0..shape.len()).map(|i| if i == axis { 0 } else { strides[i] }).collect(),
        offset: 0,
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
                Err(TensorError::Index { operation, index, axis, shape: shape.into() })
            }
        })
        .collect()
}

impl<T: Element> Tensor<T> {
    /// The elements that `index` names along an axis:
    /// `out[i, j, ...] = self[i, index[i, j, ...], ...]` for axis 1, and so on.
    ///
    /// `index` has this tensor's rank and is nowhere larger, except along the axis; the result has its shape.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.gather(1, &Tensor::from([[1], [0]])), Tensor::from([[2], [3]]));
    /// ```
    ///
    /// # Panics
    /// If the axis or an index is out of range, or the shape of `index` does not fit.
    #[track_caller]
    pub fn gather(&self, axis: isize, index: &Tensor<i64>) -> Self {
        let axis = resolve_axis("gather", axis, self.shape()).or_panic();
        check_index_shape("gather", self.shape(), axis, index).or_panic();
        let positions = positions("gather", self.shape(), axis, index).or_panic();
        let source = self.contiguous();
        let data = source.as_slice().expect("made contiguous");
        Self::from_buffer(
            Buffer::collect(positions.len(), positions.into_iter().map(|position| data[position])),
            index.shape(),
        )
    }

    /// The slices that `index`, one axis of integers, names along an axis, in its order.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.index_select(0, &Tensor::from([1, 1, 0])), Tensor::from([[3, 4], [3, 4], [1, 2]]));
    /// ```
    ///
    /// # Panics
    /// If the axis or an index is out of range, or `index` has not just one axis.
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Tensor<i64>) -> Self {
        let axis = resolve_axis("index_select", axis, self.shape()).or_panic();
        let index = spread_index("index_select", self.shape(), axis, index).or_panic();
        let positions = positions("index_select", self.shape(), axis, &index).or_panic();
        let source = self.contiguous();
        let data = source.as_slice().expect("made contiguous");
        Self::from_buffer(
            Buffer::collect(positions.len(), positions.into_iter().map(|position| data[position])),
            index.shape(),
        )
    }
}

impl<T: Number> Tensor<T> {
    /// This tensor with the elements of `source` added where `index` says along an axis:
    /// `out[i, index[i, j, ...], ...] += source[i, j, ...]` for axis 1, and so on.
    ///
    /// `index` and `source` have one shape, of this tensor's rank and nowhere larger except along the axis.
    /// Additions to one place happen in logical order.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([10, 20]);
    /// assert_eq!(x.scatter_add(0, &Tensor::from([0, 0, 1]), &Tensor::from([1, 2, 3])), Tensor::from([13, 23]));
    /// ```
    ///
    /// # Panics
    /// If the axis or an index is out of range, or the shapes do not fit.
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let axis = resolve_axis("scatter_add", axis, self.shape()).or_panic();
        check_index_shape("scatter_add", self.shape(), axis, index).or_panic();
        self.add_at("scatter_add", axis, index, source).or_panic()
    }

    /// This tensor with the slices of `source` added to those that `index`, one axis of integers, names.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    ///
    /// let x = Tensor::from([[1, 1], [2, 2]]);
    /// let added = x.index_add(0, &Tensor::from([1, 1]), &Tensor::from([[10, 20], [30, 40]]));
    /// assert_eq!(added, Tensor::from([[1, 1], [42, 62]]));
    /// ```
    ///
    /// # Panics
    /// If the axis or an index is out of range, or the shapes do not fit.
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let axis = resolve_axis("index_add", axis, self.shape()).or_panic();
        let index = spread_index("index_add", self.shape(), axis, index).or_panic();
        self.add_at("index_add", axis, &index, source).or_panic()
    }

    fn add_at(
        &self,
        operation: &'static str,
        axis: usize,
        index: &Tensor<i64>,
        source: &Self,
    ) -> Result<Self, TensorError> {
        if index.shape() != source.shape() {
            return Err(TensorError::Mismatch {
                operation,
                left: index.shape().into(),
                right: source.shape().into(),
                expected: "there must be one source element for each place the index names",
            });
        }
        let positions = positions(operation, self.shape(), axis, index)?;
        let mut data = self.to_vec();
        for (position, value) in positions.into_iter().zip(source.iter()) {
            data[position] += value;
        }
        Ok(Self::from_slice(&data, self.shape()))
    }
}

fn check_index_shape(
    operation: &'static str,
    shape: &[usize],
    axis: usize,
    index: &Tensor<i64>,
) -> Result<(), TensorError> {
    let fits =
        index.rank() == shape.len() && (0..shape.len()).all(|i| i == axis || index.shape()[i] <= shape[i]);
    if fits {
        return Ok(());
    }
    Err(TensorError::Mismatch {
        operation,
        left: shape.into(),
        right: index.shape().into(),
        expected: "the index must have as many axes and be nowhere larger, except along the axis",
    })
}

/// One axis of indices, repeated over all the other axes of `shape`.
fn spread_index(
    operation: &'static str,
    shape: &[usize],
    axis: usize,
    index: &Tensor<i64>,
) -> Result<Tensor<i64>, TensorError> {
    if index.rank() != 1 {
        return Err(TensorError::Argument {
            operation,
            argument: "the number of axes of the index",
            got: index.rank().to_string(),
            shape: index.shape().into(),
            expected: "it must be 1".into(),
        });
    }
    let mut column = Shape::from_elem(1, shape.len());
    column[axis] = index.len();
    let mut target = Shape::from_slice(shape);
    target[axis] = index.len();
    checked_count(operation, &target)?;
    Ok(index.reshape(column).expand(&target))
}
