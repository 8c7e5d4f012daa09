//! Reading and writing parts of a variable by subscripts.

use gradus_tensor::shapes::{index_put_shape, index_shape, select_shape};
use gradus_tensor::{Dims, Float, OrPanic, Slice, Subscript, Subscripts};

use super::operations::operations;
use crate::tape::{Batch, Operand, Operation, Var, apply, apply_inplace};

operations! {
    Linear Index { subscripts: Subscripts }: "index",
        shape |x| index_shape(x[0], subscripts),
        forward |x| x[0].index(subscripts),
        vjp |context, _| {
            // The cotangent is added at the places that it was taken from.
            let (subscripts, g) = (subscripts.clone(), context.cotangent());
            let put = IndexPutAdd { subscripts: subscripts.clone() };
            apply_inplace(put, context.gradient_so_far(0), &[Operand::Var(g)], |sum| {
                sum.index_put_add_inplace(subscripts, g.raw());
            })
        },
        batched |batch| batch.given(0).index(behind_batch(subscripts));

    /// The inputs are x and the value.
    Linear IndexPut { subscripts: Subscripts }: "index_put",
        shape |x| index_put_shape("index_put", x[0], subscripts, x[1]),
        forward |x| x[0].index_put(subscripts, x[1]),
        vjp |context, input| {
            let g = context.cotangent();
            if input == 0 { g.index_put(subscripts, T::ZERO) } else { g.index(subscripts) }
        },
        batched |batch| put(batch, Self { subscripts: behind_batch(subscripts) }, subscripts);

    /// The inputs are x and the value.
    Linear IndexPutAdd { subscripts: Subscripts }: "index_put_add",
        shape |x| index_put_shape("index_put_add", x[0], subscripts, x[1]),
        forward |x| x[0].index_put_add(subscripts, x[1]),
        vjp |context, input| {
            let g = context.cotangent();
            if input == 0 { g.clone() } else { g.index(subscripts) }
        },
        batched |batch| put(batch, Self { subscripts: behind_batch(subscripts) }, subscripts);
}

/// The same part of each example, where the batch is in front.
fn behind_batch(subscripts: &Subscripts) -> Subscripts {
    let all: Vec<Subscript> =
        std::iter::once(Subscript::from(..)).chain(subscripts.as_slice().iter().copied()).collect();
    all.into()
}

/// An operation that puts a value at a part of each example; the value broadcasts to the part.
fn put<T: Float>(batch: &Batch<T>, operation: impl Operation<T>, subscripts: &Subscripts) -> Var<T> {
    let part = index_shape(batch.shape(0), subscripts).or_panic();
    apply(operation, &[&batch.var(0), &batch.aligned(1, part.len())])
}

impl<T: Float> Var<T> {
    /// A part by [`Subscripts`], one for each axis; a view, without a copy.
    ///
    /// ```
    /// use gradus_autograd::{NewAxis, Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    /// assert_eq!(x.index((.., 1..=2)).value(), &Tensor::from([[2.0, 3.0], [5.0, 6.0]]));
    /// assert_eq!(x.index((NewAxis, -1)).value(), &Tensor::from([[4.0, 5.0, 6.0]]));
    /// let gradients = x.index((.., 0)).square().sum(..).backward();
    /// assert_eq!(gradients.get(&x), Some(&Tensor::from([[2.0, 0.0, 0.0], [8.0, 0.0, 0.0]])));
    /// ```
    ///
    /// # Panics
    /// If there are more subscripts than axes, more than one ellipsis, or an index is out of range.
    #[track_caller]
    pub fn index(&self, subscripts: impl Into<Subscripts>) -> Self {
        apply(Index { subscripts: subscripts.into() }, &[self])
    }

    /// This variable with `value`, which is expanded to the shape of the part, in the place of the part that
    /// [`index`](Self::index) reads.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let y = x.index_put((.., 0), x.index((0, 1)) * 5.0);
    /// assert_eq!(y.value(), &Tensor::from([[10.0, 2.0], [10.0, 4.0]]));
    /// assert_eq!(y.sum(..).backward().get(&x), Some(&Tensor::from([[0.0, 11.0], [0.0, 1.0]])));
    /// ```
    ///
    /// # Panics
    /// As `index` does, or if the value does not broadcast to the shape of the part.
    #[track_caller]
    pub fn index_put(&self, subscripts: impl Into<Subscripts>, value: impl Into<Self>) -> Self {
        apply(IndexPut { subscripts: subscripts.into() }, &[self, &value.into()])
    }

    /// This variable with `value`, which is expanded to the shape of the part, added to the part that
    /// [`index`](Self::index) reads.
    ///
    /// See [`Tensor::index_put_add`](gradus_tensor::Tensor::index_put_add) for shapes and panics.
    #[track_caller]
    pub fn index_put_add(&self, subscripts: impl Into<Subscripts>, value: impl Into<Self>) -> Self {
        apply(IndexPutAdd { subscripts: subscripts.into() }, &[self, &value.into()])
    }

    /// Part of one axis: a range, or every n-th index of it, also backwards; see [`Slice`].
    ///
    /// See [`Tensor::slice`](gradus_tensor::Tensor::slice) for shapes and panics.
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl Into<Slice>) -> Self {
        self.part("slice", axis, range.into().into())
    }

    /// The part at one index of an axis, which goes; a negative index counts from the end.
    ///
    /// See [`Tensor::select`](gradus_tensor::Tensor::select) for shapes and panics.
    #[track_caller]
    pub fn select(&self, axis: isize, index: isize) -> Self {
        select_shape(self.shape(), axis, index).or_panic();
        self.part("select", axis, index.into())
    }

    /// The parts at every index of an axis, without the axis.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let x = Var::leaf(Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let product = x.unbind(1).iter().fold(Var::from(1.0), |product, column| product * column);
    /// assert_eq!(product.value(), &Tensor::from([2.0, 12.0]));
    /// ```
    ///
    /// See [`Tensor::unbind`](gradus_tensor::Tensor::unbind) for shapes and panics.
    #[track_caller]
    pub fn unbind(&self, axis: isize) -> Vec<Self> {
        self.parts("unbind", axis).collect()
    }

    /// Goes through the parts along the first axis, without the axis.
    ///
    /// See [`Tensor::rows`](gradus_tensor::Tensor::rows) for shapes and panics.
    #[track_caller]
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + use<T> {
        self.parts("rows", 0)
    }

    #[track_caller]
    fn part(&self, operation: &'static str, axis: isize, subscript: Subscript) -> Self {
        let axis = Dims::from(axis).resolve(operation, self.shape()).or_panic()[0];
        self.index(Subscripts::along(axis, subscript))
    }

    #[track_caller]
    fn parts(
        &self,
        operation: &'static str,
        axis: isize,
    ) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + use<T> {
        let axis = Dims::from(axis).resolve(operation, self.shape()).or_panic()[0];
        let whole = self.clone();
        (0..self.shape()[axis]).map(move |i| whole.index(Subscripts::along(axis, i)))
    }
}

#[cfg(feature = "proptest")]
fn part_shape(shape: &[usize], subscripts: &Subscripts) -> Vec<usize> {
    index_shape(shape, subscripts).or_panic().to_vec()
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{case, shapes, slices, subscripts};
    let ranked = || shapes(1..=4, 1..=4);
    vec![
        case!("index", (shape, subscripts) in subscripts(), [shape], |x| x.index(&subscripts)),
        case!(
            "index_put", (shape, subscripts) in subscripts(), [shape.clone(), part_shape(&shape, &subscripts)],
            |x, value| x.index_put(&subscripts, value)
        ),
        case!(
            "index_put_add", (shape, subscripts) in subscripts(),
            // Without the first axis, the value broadcasts.
            [shape.clone(), part_shape(&shape, &subscripts).into_iter().skip(1).collect::<Vec<_>>()],
            |x, value| x.index_put_add(&subscripts, value)
        ),
        case!("slice", (shape, axis, slice) in slices(), [shape], |x| x.slice(axis, slice)),
        case!("select", shape in ranked(), [shape], |x| x.select(0, -1).sum(..) + x.select(-1, 0)),
        case!("unbind", shape in ranked(), [shape], |x| {
            let parts = x.unbind(-1);
            parts[1..].iter().fold(parts[0].clone(), |product, part| product * part)
        }),
        case!("rows", shape in ranked(), [shape], |x| {
            x.rows().rev().fold(x.index(0), |sum, row| sum.sin() + row)
        }),
    ]
}
