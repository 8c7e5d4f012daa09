//! Sorting, and the most extreme elements, each with the indices.

use gradus_tensor::shapes::{lanes_shape, topk_shape};
use gradus_tensor::{Float, Shape, Tensor, TensorError};

use crate::tape::{DiscreteOperation, Indices, Inputs, Var, decide};

#[derive(Debug)]
struct Argsort {
    axis: isize,
    descending: bool,
}

impl<T: Float> DiscreteOperation<T, i64> for Argsort {
    fn name(&self) -> &'static str {
        "argsort"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(lanes_shape("sort", inputs[0], self.axis))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        inputs[0].sort(self.axis, self.descending).1
    }
}

/// The indices of the most extreme elements.
#[derive(Debug)]
struct Topk {
    k: usize,
    axis: isize,
    largest: bool,
}

impl<T: Float> DiscreteOperation<T, i64> for Topk {
    fn name(&self) -> &'static str {
        "topk"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(topk_shape(inputs[0], self.k, self.axis))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        inputs[0].topk(self.k, self.axis, self.largest).1
    }
}

impl<T: Float> Var<T> {
    /// The elements in rising order along an axis, or falling if `descending`, and the index of each. Equal elements
    /// stay in their order, so that each gets the gradient of its own place; NaN counts as larger than all numbers.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([3.0, 1.0, 2.0]));
    /// let (values, indices) = x.sort(0, false);
    /// assert_eq!(values.value(), &Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(indices, Tensor::from([1, 2, 0]));
    /// let gradients = values.backward_with(&Tensor::from([10.0, 20.0, 30.0]));
    /// assert_eq!(gradients.get(&x), Some(&Tensor::from([30.0, 10.0, 20.0])));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn sort(&self, axis: isize, descending: bool) -> (Self, Indices<T>) {
        let indices = decide(Argsort { axis, descending }, &[self]);
        (self.gather(axis, &indices), indices)
    }

    /// The `k` largest elements along an axis, or the smallest unless `largest`, the most extreme first, and the
    /// index of each. The first of equals come first, and have the gradient; NaN counts as larger than all numbers.
    ///
    /// See [`Tensor::topk`](gradus_tensor::Tensor::topk) for shapes and panics.
    #[track_caller]
    pub fn topk(&self, k: usize, axis: isize, largest: bool) -> (Self, Indices<T>) {
        let indices = decide(Topk { k, axis, largest }, &[self]);
        (self.gather(axis, &indices), indices)
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{axes_of, case};
    use proptest::prelude::*;
    vec![
        case!(
            "sort", ((shape, axis), descending) in (axes_of(0), any::<bool>()), [shape => -2.0..2.0],
            |x| x.sort(axis, descending).0
        ),
        case!(
            "topk", ((shape, axis), k, largest) in (axes_of(0), 0..=4_usize, any::<bool>()), [shape => -2.0..2.0],
            |x| {
                let size = x.shape()[axis.rem_euclid(x.rank() as isize) as usize];
                x.topk(k.min(size), axis, largest).0
            }
        ),
    ]
}
