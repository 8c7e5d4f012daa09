//! Arrays of the crate `ndarray` in and out.

use ::ndarray::{ArrayBase, ArrayD, ArrayView, CowArray, Data, Dimension, IxDyn, ShapeBuilder};

use crate::element::Element;
use crate::tensor::Tensor;

/// The elements of an array, of any layout, copied in logical order.
///
/// ```
/// use gradus_tensor::Tensor;
/// use ndarray::{Array2, array};
///
/// let array: Array2<f64> = array![[1.0, 2.0], [3.0, 4.0]];
/// let x = Tensor::from(array.t());
/// assert_eq!(x, Tensor::from([[1.0, 3.0], [2.0, 4.0]]));
/// assert_eq!(x.to_ndarray(), array.t().into_dyn());
/// ```
impl<T: Element, S: Data<Elem = T>, D: Dimension> From<ArrayBase<S, D>> for Tensor<T> {
    fn from(array: ArrayBase<S, D>) -> Self {
        Self::from(&array)
    }
}

impl<T: Element, S: Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for Tensor<T> {
    fn from(array: &ArrayBase<S, D>) -> Self {
        match array.as_slice() {
            Some(elements) => Self::from_slice(elements, array.shape()),
            None => Self::from_slice(&array.iter().copied().collect::<Vec<_>>(), array.shape()),
        }
    }
}

impl<T: Element> Tensor<T> {
    /// The elements as an array of the crate `ndarray`: a view of the same memory, without a copy, unless an axis runs
    /// backwards. `to_ndarray().into_owned()` is an array of its own.
    pub fn to_ndarray(&self) -> CowArray<'_, T, IxDyn> {
        let strides: Option<Vec<usize>> = self.strides().iter().map(|&step| step.try_into().ok()).collect();
        let view = strides.and_then(|strides| {
            let shape = IxDyn(self.shape()).strides(IxDyn(&strides));
            ArrayView::from_shape(shape, self.buffer().get(self.offset()..)?).ok()
        });
        match view {
            Some(view) => view.into(),
            None => ArrayD::from(self).into(),
        }
    }
}

/// The elements, copied in logical order.
impl<T: Element> From<&Tensor<T>> for ArrayD<T> {
    fn from(tensor: &Tensor<T>) -> Self {
        Self::from_shape_vec(tensor.shape(), tensor.to_vec()).expect("as many elements as the shape has")
    }
}
