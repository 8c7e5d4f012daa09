//! Reading and adding at places given by integers, and choosing by truth values.
//!
//! Indices and conditions are attributes of an operation, not inputs: they have no gradient.

use gradus_tensor::{Float, OrPanic, Tensor, lane_axis};

use crate::tape::{Context, Linearity, Operation, Saves, Var, apply, apply_inplace};

#[derive(Debug)]
struct Gather {
    axis: isize,
    index: Tensor<i64>,
}

impl<T: Float> Operation<T> for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].gather(self.axis, &self.index)
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        let operation = ScatterAdd { axis: self.axis, index: self.index.clone() };
        let add = |sum: &mut Tensor<T>, g: &Tensor<T>| sum.scatter_add_inplace(self.axis, &self.index, g);
        Some(apply_inplace(operation, context.gradient_so_far(0), context.cotangent(), add))
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[derive(Debug)]
struct ScatterAdd {
    axis: isize,
    index: Tensor<i64>,
}

impl<T: Float> Operation<T> for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].scatter_add(self.axis, &self.index, inputs[1])
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let g = context.cotangent();
        Some(if input == 0 { g.clone() } else { g.gather(self.axis, &self.index) })
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[derive(Debug)]
struct Scatter {
    axis: isize,
    index: Tensor<i64>,
}

impl<T: Float> Operation<T> for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].scatter(self.axis, &self.index, inputs[1])
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (g, index) = (context.cotangent(), &self.index);
        if input == 0 {
            return Some(g.scatter(self.axis, index, &zeros(index.shape())));
        }
        // Of several for one place only the last one counts: the one whose number stays there.
        let numbers = Tensor::arange(0, index.len() as i64, 1).reshape(index.shape());
        let stayed = Tensor::zeros(g.shape()).scatter(self.axis, index, &numbers).gather(self.axis, index);
        Some(g.gather(self.axis, index).masked_fill(&stayed.ne(numbers), T::ZERO))
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[derive(Debug)]
struct MaskedFill<T> {
    mask: Tensor<bool>,
    value: T,
}

impl<T: Float> Operation<T> for MaskedFill<T> {
    fn name(&self) -> &'static str {
        "masked_fill"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].masked_fill(&self.mask, self.value)
    }
    fn saves(&self) -> Saves {
        Saves::NOTHING
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        Some(context.cotangent().masked_fill(&self.mask, T::ZERO))
    }
    fn jvp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        Some(context.tangent().masked_fill(&self.mask, T::ZERO))
    }
}

#[derive(Debug)]
struct IndexSelect {
    axis: isize,
    index: Tensor<i64>,
}

impl<T: Float> Operation<T> for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].index_select(self.axis, &self.index)
    }
    fn vjp(&self, context: &Context<T>, _input: usize) -> Option<Var<T>> {
        Some(add_at(context.gradient_so_far(0), self.axis, &self.index, context.cotangent()))
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[derive(Debug)]
struct IndexAdd {
    axis: isize,
    index: Tensor<i64>,
}

impl<T: Float> Operation<T> for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].index_add(self.axis, &self.index, inputs[1])
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let g = context.cotangent();
        Some(if input == 0 { g.clone() } else { g.index_select(self.axis, &self.index) })
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

#[derive(Debug)]
struct Where {
    condition: Tensor<bool>,
}

impl<T: Float> Operation<T> for Where {
    fn name(&self) -> &'static str {
        "where"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        self.condition.where_(inputs[0], inputs[1])
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (g, zero) = (context.cotangent(), Var::from(T::ZERO));
        Some(if input == 0 {
            Var::where_(&self.condition, g, zero)
        } else {
            Var::where_(&self.condition, zero, g)
        })
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
}

/// Like [`Var::index_add`], in the memory of the first one.
pub(super) fn add_at<T: Float>(x: Var<T>, axis: isize, index: &Tensor<i64>, source: &Var<T>) -> Var<T> {
    let operation = IndexAdd { axis, index: index.clone() };
    apply_inplace(operation, x, source, |x, source| x.index_add_inplace(axis, index, source))
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
    pub fn gather(&self, axis: isize, index: &Tensor<i64>) -> Self {
        let axis = lane_axis("gather", axis, self.shape()).or_panic() as isize;
        apply(Gather { axis, index: index.clone() }, &[self])
    }

    /// This variable with the elements of `source` added where `index` says; see [`Tensor::scatter_add`].
    ///
    /// # Panics
    /// If the axis or an index is out of range, or the shapes do not fit.
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let axis = lane_axis("scatter_add", axis, self.shape()).or_panic() as isize;
        apply(ScatterAdd { axis, index: index.clone() }, &[self, source])
    }

    /// This variable with the elements of `source` where `index` says; see [`Tensor::scatter`]. Of several for one
    /// place the last stays, and it alone has a gradient.
    ///
    /// # Panics
    /// If the axis or an index is out of range, or the shapes do not fit.
    #[track_caller]
    pub fn scatter(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let axis = lane_axis("scatter", axis, self.shape()).or_panic() as isize;
        apply(Scatter { axis, index: index.clone() }, &[self, source])
    }

    /// `value` where the mask is true, and these elements where it is not; variable and mask broadcast.
    ///
    /// See [`Tensor::masked_fill`](gradus_tensor::Tensor::masked_fill).
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor<bool>, value: T) -> Self {
        apply(MaskedFill { mask: mask.clone(), value }, &[self])
    }

    /// The slices that `index`, one axis of integers, names along an axis.
    ///
    /// See [`Tensor::index_select`](gradus_tensor::Tensor::index_select).
    ///
    /// # Panics
    /// If the axis or an index is out of range, or `index` has not just one axis.
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Tensor<i64>) -> Self {
        let axis = lane_axis("index_select", axis, self.shape()).or_panic() as isize;
        apply(IndexSelect { axis, index: index.clone() }, &[self])
    }

    /// This variable with the slices of `source` added to those that `index` names; see
    /// [`Tensor::index_add`].
    ///
    /// # Panics
    /// If the axis or an index is out of range, or the shapes do not fit.
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: &Tensor<i64>, source: &Self) -> Self {
        let axis = lane_axis("index_add", axis, self.shape()).or_panic() as isize;
        apply(IndexAdd { axis, index: index.clone() }, &[self, source])
    }

    /// Elements of `if_true` where the condition is true and of `if_false` where it is not; all three
    /// broadcast.
    ///
    /// An element that is not chosen has no influence, even if it is infinite or NaN, or its own derivative is: its
    /// cotangent is 0, and a cotangent of 0 stays 0 through every elementwise operation.
    ///
    /// See [`Tensor::where_`](gradus_tensor::Tensor::where_).
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn where_(condition: &Tensor<bool>, if_true: impl Into<Self>, if_false: impl Into<Self>) -> Self {
        apply(Where { condition: condition.clone() }, &[&if_true.into(), &if_false.into()])
    }
}

#[cfg(feature = "proptest")]
pub(crate) fn cases() -> Vec<crate::testing::Case> {
    use crate::testing::{broadcast_pair, case, gathers, index_selects};
    vec![
        case!("gather", (shape, axis, index) in gathers(), [shape => -2.0..2.0], |x| x.gather(axis, &index)),
        case!(
            "scatter_add", (shape, axis, index) in gathers(),
            [shape => -2.0..2.0, index.shape().to_vec() => -2.0..2.0],
            |x, source| x.scatter_add(axis, &index, source)
        ),
        case!(
            "scatter", (shape, axis, index) in gathers(),
            [shape => -2.0..2.0, index.shape().to_vec() => -2.0..2.0],
            |x, source| x.scatter(axis, &index, source)
        ),
        case!("masked_fill", (shape, mask) in broadcast_pair(), [shape => -2.0..2.0], |x| {
            let count = mask.iter().product::<usize>() as i64;
            x.masked_fill(&Tensor::arange(0, count, 1).map(|i| i % 3 == 1).reshape(mask.clone()), 7.0)
        }),
        case!(
            "index_select", (shape, axis, index) in index_selects(),
            [shape => -2.0..2.0], |x| x.index_select(axis, &index)
        ),
        case!(
            "index_add", (shape, axis, index) in index_selects(),
            [shape.clone() => -2.0..2.0, { let mut taken = shape; taken[axis as usize] = index.len(); taken } => -2.0..2.0],
            |x, source| x.index_add(axis, &index, source)
        ),
        case!("where_", (a, b) in broadcast_pair(), [a => -2.0..2.0, b => -2.0..2.0], |x, y| {
            // Any condition will do that does not change with the values.
            let condition = Tensor::arange(0, y.len() as i64, 1).map(|i| i % 3 != 1).reshape(y.shape());
            Var::where_(&condition, x, y)
        }),
    ]
}
