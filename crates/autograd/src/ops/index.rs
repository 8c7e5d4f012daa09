//! Reading and adding at places that indices name, and choosing by masks.
//!
//! Indices and masks are the last inputs of an operation, and have no gradient.

use gradus_tensor::shapes::{
    broadcast_shapes, gather_shape, index_add_shape, index_select_shape, scatter_shape, where_shape,
};
use gradus_tensor::{Float, OrPanic, Shape, Tensor, TensorError, lane_axis};

use super::operations::operations;
use crate::scalar::{Expression, Real};
use crate::tape::{
    Batch, DiscreteOperation, Fusion, Indices, Inputs, Mask, Operand, Saves, Var, apply, apply_inplace,
    decide,
};

operations! {
    /// The inputs are x and the index.
    Linear Gather { axis: isize }: "gather",
        shape |x| gather_shape(x[0], *axis, x[1]),
        forward |x| x[0].gather(*axis, x.indices(1)),
        vjp |context, _| {
            let (axis, index, g) = (*axis, context.indices(1), context.cotangent());
            let others = [Operand::Var(g), Operand::Indices(&index)];
            apply_inplace(ScatterAdd { axis }, context.gradient_so_far(0), &others, |sum| {
                sum.scatter_add_inplace(axis, index.raw(), g.raw());
            })
        },
        batched |batch| batch.apply(Self { axis: axis + 1 });

    /// The inputs are x, the source and the index.
    Linear ScatterAdd { axis: isize }: "scatter_add",
        shape |x| scatter_shape("scatter_add", x[0], *axis, x[2], x[1]),
        forward |x| x[0].scatter_add(*axis, x.indices(2), x[1]),
        vjp |context, input| {
            let g = context.cotangent();
            if input == 0 { g.clone() } else { g.gather(*axis, context.indices(2)) }
        },
        batched |batch| batch.apply(Self { axis: axis + 1 });

    /// The inputs are x, the source and the index.
    Linear Scatter { axis: isize }: "scatter",
        shape |x| scatter_shape("scatter", x[0], *axis, x[2], x[1]),
        forward |x| x[0].scatter(*axis, x.indices(2), x[1]),
        vjp |context, input| {
            let (axis, g, index) = (*axis, context.cotangent(), context.indices(2));
            if input == 0 {
                g.scatter(axis, &index, &zeros(index.shape()))
            } else {
                let lost = decide(Overwritten { axis, shape: g.shape().into() }, &[&index]);
                g.gather(axis, index).masked_fill(lost, T::ZERO)
            }
        },
        batched |batch| batch.apply(Self { axis: axis + 1 });

    /// The inputs are x and the index.
    Linear IndexSelect { axis: isize }: "index_select",
        shape |x| index_select_shape(x[0], *axis, x[1]),
        forward |x| x[0].index_select(*axis, x.indices(1)),
        vjp |context, _| {
            add_at(context.gradient_so_far(0), *axis, &context.indices(1), context.cotangent())
        },
        batched |batch| {
            let x = with_an_axis(batch, 0);
            if !batch.is_batched(1) {
                let y = x.index_select(axis + 1, batch.given_indices(1));
                return Some(y.reshape(batch.raised(batch.output_shape())));
            }
            let mut shape = Shape::from_slice(x.shape());
            shape[*axis as usize + 1] = batch.shape(1).iter().product();
            x.gather(axis + 1, places(batch, 1, *axis, shape)).reshape(batch.raised(batch.output_shape()))
        };

    /// The inputs are x, the source and the index.
    Linear IndexAdd { axis: isize }: "index_add",
        shape |x| index_add_shape(x[0], *axis, x[2], x[1]),
        forward |x| x[0].index_add(*axis, x.indices(2), x[1]),
        vjp |context, input| {
            let g = context.cotangent();
            if input == 0 { g.clone() } else { g.index_select(*axis, context.indices(2)) }
        },
        batched |batch| {
            let (x, source) = (with_an_axis(batch, 0), with_an_axis(batch, 1));
            let y = if batch.is_batched(2) {
                let shape = Shape::from_slice(source.shape());
                x.scatter_add(axis + 1, places(batch, 2, *axis, shape), &source)
            } else {
                x.index_add(axis + 1, batch.given_indices(2), &source)
            };
            y.reshape(batch.raised(batch.output_shape()))
        };

    /// The inputs are the values where the condition is true, those where it is false, and the condition.
    Linear Where {}: "where",
        shape |x| where_shape(x[2], x[0], x[1]),
        forward |x| x.mask(2).where_(x[0], x[1]),
        vjp |context, input| {
            let (condition, g, zero) = (context.mask(2), context.cotangent(), Var::from(T::ZERO));
            if input == 0 { Var::where_(condition, g, zero) } else { Var::where_(condition, zero, g) }
        },
        batched |batch| batch.apply_each(Self),
        fusion Fusion::Select(Expression::of(3, &|x| x[2].select(x[0], x[1])));

    /// The inputs are x and the mask.
    Nonlinear<T> MaskedFill { value: T }: "masked_fill", saves Saves::NOTHING,
        shape |x| broadcast_shapes("masked_fill", x[0], x[1]),
        forward |x| x[0].masked_fill(x.mask(1), *value),
        vjp |context, _| context.cotangent().masked_fill(context.mask(1), T::ZERO),
        jvp |context, _| context.tangent().masked_fill(context.mask(1), T::ZERO),
        batched |batch| batch.apply_each(Self { value: *value }),
        fusion Fusion::Select(Expression::of(2, &|x| x[1].select(x[0].constant(value.to_f64()), x[0])));
}

/// Numbers with the axis of the batch in front, and at least one behind it.
fn with_an_axis<T: Float>(batch: &Batch<T>, input: usize) -> Var<T> {
    let x = batch.var(input);
    if x.rank() == 1 { x.unsqueeze(-1) } else { x }
}

/// For each example a list of indices along an axis, repeated over the other axes of a shape with the batch in front.
fn places<T: Float>(batch: &Batch<T>, input: usize, axis: isize, shape: Shape) -> Indices<T> {
    let mut list = Shape::from_elem(1, shape.len());
    list[0] = batch.size();
    list[axis as usize + 1] = shape[axis as usize + 1];
    batch.indices(input).reshape(list).expand(shape)
}

/// Which elements of the source of a [`Scatter`] another one for the same place replaces. The input is the index.
#[derive(Debug)]
struct Overwritten {
    axis: isize,
    shape: Shape,
}

impl<T: Float> DiscreteOperation<T, bool> for Overwritten {
    fn name(&self) -> &'static str {
        "overwritten"
    }
    fn shape(&self, inputs: &[&[usize]]) -> Option<Result<Shape, TensorError>> {
        Some(Ok(inputs[0].into()))
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<bool> {
        let index = inputs.indices(0);
        // The last one stays: the one whose number is found there.
        let numbers = Tensor::arange(0, index.len() as i64, 1).reshape(index.shape());
        let stayed =
            Tensor::zeros(&self.shape[..]).scatter(self.axis, index, &numbers).gather(self.axis, index);
        stayed.ne(numbers)
    }
    fn batched(&self, batch: &Batch<T>) -> Option<Mask<T>> {
        Some(batch.decide(Self { axis: self.axis + 1, shape: batch.raised(&self.shape) }))
    }
}

/// The places of the true elements of a mask, expanded to a shape, in logical order.
#[derive(Debug)]
struct Chosen {
    shape: Shape,
}

impl<T: Float> DiscreteOperation<T, i64> for Chosen {
    fn name(&self) -> &'static str {
        "chosen"
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<i64> {
        inputs.mask(0).expand(&self.shape).reshape(-1).nonzero().reshape(-1)
    }
}

/// Like [`Var::index_add`], in the memory of `x`.
pub(super) fn add_at<T: Float>(x: Var<T>, axis: isize, index: &Indices<T>, source: &Var<T>) -> Var<T> {
    apply_inplace(IndexAdd { axis }, x, &[Operand::Var(source), Operand::Indices(index)], |x| {
        x.index_add_inplace(axis, index.raw(), source.raw());
    })
}

/// Zeros that take no memory.
pub(super) fn zeros<T: Float>(shape: &[usize]) -> Var<T> {
    Var::constant(Tensor::scalar(T::ZERO).expand(shape))
}

impl<T: Float> Var<T> {
    /// The elements that `index` names along an axis; see [`Tensor::gather`].
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let y = x.gather(1, &Tensor::from([[1], [0]]));
    /// assert_eq!(y.value(), &Tensor::from([[2.0], [3.0]]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([[0.0, 1.0], [1.0, 0.0]])));
    /// ```
    ///
    /// # Panics
    /// If the axis or an index is out of range, or the shape of `index` does not fit.
    #[track_caller]
    pub fn gather(&self, axis: isize, index: impl Into<Indices<T>>) -> Self {
        let axis = lane_axis("gather", axis, self.shape()).or_panic() as isize;
        apply(Gather { axis }, &[Operand::Var(self), Operand::Indices(&index.into())])
    }

    /// This variable with the elements of `source` added where `index` says; see [`Tensor::scatter_add`] for shapes
    /// and panics.
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: impl Into<Indices<T>>, source: &Self) -> Self {
        let axis = lane_axis("scatter_add", axis, self.shape()).or_panic() as isize;
        apply(
            ScatterAdd { axis },
            &[Operand::Var(self), Operand::Var(source), Operand::Indices(&index.into())],
        )
    }

    /// This variable with the elements of `source` where `index` says; see [`Tensor::scatter`] for shapes and panics.
    /// Of several for one place the last stays, and it alone has a gradient.
    #[track_caller]
    pub fn scatter(&self, axis: isize, index: impl Into<Indices<T>>, source: &Self) -> Self {
        let axis = lane_axis("scatter", axis, self.shape()).or_panic() as isize;
        apply(Scatter { axis }, &[Operand::Var(self), Operand::Var(source), Operand::Indices(&index.into())])
    }

    /// `value` where the mask is true, and these elements where it is not; variable and mask broadcast.
    ///
    /// See [`Tensor::masked_fill`](gradus_tensor::Tensor::masked_fill) for shapes and panics.
    #[track_caller]
    pub fn masked_fill(&self, mask: impl Into<Mask<T>>, value: T) -> Self {
        apply(MaskedFill { value }, &[Operand::Var(self), Operand::Mask(&mask.into())])
    }

    /// The elements where the mask is true, in logical order; variable and mask broadcast. The result has one axis, whose
    /// size depends on the mask.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, -2.0], [-3.0, 4.0]]));
    /// let y = x.masked_select(x.gt(0.0));
    /// assert_eq!(y.value(), &Tensor::from([1.0, 4.0]));
    /// assert_eq!(y.square().sum(..).backward().get(&x), Some(&Tensor::from([[2.0, 0.0], [0.0, 8.0]])));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn masked_select(&self, mask: impl Into<Mask<T>>) -> Self {
        let mask = mask.into();
        let shape = broadcast_shapes("masked_select", self.shape(), mask.shape()).or_panic();
        let elements = self.expand(&shape).reshape([shape.iter().product::<usize>()]);
        elements.index_select(0, decide(Chosen { shape }, &[&mask]))
    }

    /// The slices that `index`, one axis of integers, names along an axis.
    ///
    /// See [`Tensor::index_select`](gradus_tensor::Tensor::index_select) for shapes and panics.
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: impl Into<Indices<T>>) -> Self {
        let axis = lane_axis("index_select", axis, self.shape()).or_panic() as isize;
        apply(IndexSelect { axis }, &[Operand::Var(self), Operand::Indices(&index.into())])
    }

    /// This variable with the slices of `source` added to those that `index` names; see
    /// [`Tensor::index_add`] for shapes and panics.
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: impl Into<Indices<T>>, source: &Self) -> Self {
        let axis = lane_axis("index_add", axis, self.shape()).or_panic() as isize;
        apply(IndexAdd { axis }, &[Operand::Var(self), Operand::Var(source), Operand::Indices(&index.into())])
    }

    /// Elements of `if_true` where the condition is true and of `if_false` where it is not; all three
    /// broadcast.
    ///
    /// An element that is not chosen has no influence, even if it is infinite or NaN, or its own derivative is: its
    /// cotangent is 0, and a cotangent of 0 stays 0 through every elementwise operation.
    ///
    /// See [`Tensor::where_`](gradus_tensor::Tensor::where_) for shapes and panics.
    #[track_caller]
    pub fn where_(
        condition: impl Into<Mask<T>>,
        if_true: impl Into<Self>,
        if_false: impl Into<Self>,
    ) -> Self {
        let (condition, if_true, if_false) = (condition.into(), if_true.into(), if_false.into());
        apply(Where, &[Operand::Var(&if_true), Operand::Var(&if_false), Operand::Mask(&condition)])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case, gathers, index_selects};
    vec![
        case!("gather", (shape, axis, index) in gathers(), [shape], |x| x.gather(axis, &index)),
        case!(
            "scatter_add", (shape, axis, index) in gathers(),
            [shape, index.shape().to_vec()],
            |x, source| x.scatter_add(axis, &index, source)
        ),
        case!(
            "scatter", (shape, axis, index) in gathers(),
            [shape, index.shape().to_vec()],
            |x, source| x.scatter(axis, &index, source)
        ),
        case!("masked_fill", (shape, mask) in broadcast_pair(), [shape], |x| {
            let count = mask.iter().product::<usize>() as i64;
            x.masked_fill(Tensor::arange(0, count, 1).map(|i| i % 3 == 1).reshape(mask.clone()), 7.0)
        }),
        case!("masked_select", (shape, mask) in broadcast_pair(), [shape], |x| {
            let count = mask.iter().product::<usize>() as i64;
            x.masked_select(Tensor::arange(0, count, 1).map(|i| i % 3 == 1).reshape(mask.clone()))
        }),
        case!(
            "index_select", (shape, axis, index) in index_selects(),
            [shape], |x| x.index_select(axis, &index)
        ),
        case!(
            "index_add", (shape, axis, index) in index_selects(),
            [shape.clone(), { let mut taken = shape; taken[axis as usize] = index.len(); taken }],
            |x, source| x.index_add(axis, &index, source)
        ),
        case!("where_", (a, b) in broadcast_pair(), [a, b], |x, y| {
            // Any condition will do that does not change with the values.
            let condition = Tensor::arange(0, y.len() as i64, 1).map(|i| i % 3 != 1).reshape(y.shape());
            Var::where_(&condition, x, y)
        }),
    ]
}
