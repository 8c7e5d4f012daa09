//! Any function on every element, of one tensor or of several that broadcast.

use std::any::Any;

use crate::element::Element;
use crate::error::{OrPanic, TensorError};
use crate::kernels;
use crate::layout::{copied, same};
use crate::shape::{Shape, broadcast_shapes, expands};
use crate::tensor::Tensor;

/// Any function on every element, of one tensor or of several that broadcast. The methods panic if the shapes do not fit.
///
/// ```
/// use gradus_tensor::Tensor;
///
/// let (x, y) = (Tensor::from([4, 6]), Tensor::from([[2], [3]]));
/// assert_eq!(x.map(|x| x > 4), Tensor::from([false, true]));
/// assert_eq!(x.gt(4).cast::<f32>(), Tensor::from([0.0, 1.0]));
/// assert_eq!(Tensor::from([1.7, -1.7]).cast::<i64>(), Tensor::from([1, -1]));
/// assert_eq!(x.zip("divides", &y, |x, y| x % y == 0), Tensor::from([[true, true], [false, true]]));
/// assert_eq!(Tensor::zip_many("sum", [&x, &x, &y], |[a, b, c]| a + b + c), Tensor::from([[10, 14], [11, 15]]));
///
/// // A step of gradient descent, and a step with momentum.
/// let (mut weight, mut velocity) = (Tensor::from([1.0, 2.0]), Tensor::from([4.0, 0.0]));
/// let gradient = Tensor::from([1.0, -1.0]);
/// weight.zip_inplace(&gradient, |w, g| w - 0.5 * g);
/// assert_eq!(weight, Tensor::from([0.5, 2.5]));
/// Tensor::zip_inplace_many([&mut weight, &mut velocity], &gradient, |[w, v], g| {
///     let v = 0.5 * v + g;
///     [w - 0.5 * v, v]
/// });
/// assert_eq!((weight, velocity), (Tensor::from([-1.0, 3.0]), Tensor::from([3.0, -1.0])));
/// ```
impl<T: Element> Tensor<T> {
    /// The elements converted to another type: to the nearest number, or to an integer by dropping the fraction,
    /// saturating at the bounds and turning NaN into 0. Truth values become 1 and 0; all numbers but 0, and NaN, are true.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "only a closure is inlined into every loop"
    )]
    pub fn cast<U: Element>(&self) -> Tensor<U> {
        match (self as &dyn Any).downcast_ref::<Tensor<U>>() {
            Some(same) => same.clone(),
            None => self.map(
                #[inline(always)]
                |x| x.into_element(),
            ),
        }
    }

    /// A tensor of the results of `f` on every element.
    pub fn map<U: Element>(&self, f: impl Fn(T) -> U + Sync) -> Tensor<U> {
        Tensor::from_buffer(kernels::map(self.strided(), f), self.shape())
    }

    /// Replaces every element by the result of `f`; copies first if the buffer is shared.
    pub fn map_inplace(&mut self, f: impl Fn(T) -> T + Sync) {
        if let Some(elements) = self.writable() {
            kernels::map_inplace(elements, f);
        } else if let Some(order) = self.memory_order() {
            let turned = self.turned(&order);
            turned.tensor.map_inplace(f);
        } else {
            *self = self.map(f);
        }
    }

    /// Replaces every element by the result of `f` on it and its partner in `other`, which is expanded to
    /// this tensor's shape; copies first if the buffer is shared.
    #[track_caller]
    pub fn zip_inplace<U: Element>(&mut self, other: &Tensor<U>, f: impl Fn(T, U) -> T + Sync) {
        self.zip_assign("zip_inplace", other, f);
    }

    /// The elements of this tensor and of one that lies in its buffer as this one does, both filling theirs; `None` also if
    /// this one's is shared.
    #[inline]
    fn beside<'a, U: Element>(&'a mut self, other: &'a Tensor<U>) -> Option<(&'a mut [T], &'a [U])> {
        let (own, others) = (self.layout(), other.layout());
        if own.offset != 0 || others.offset != 0 {
            return None;
        }
        let (len, others) = (own.dense_len_as(others)?, other.buffer());
        let own = self.memory()?;
        (own.len() == len && others.len() == len).then_some((own, others))
    }

    /// [`zip_inplace`](Self::zip_inplace) under another name.
    #[track_caller]
    pub(crate) fn zip_assign<U: Element>(
        &mut self,
        operation: &'static str,
        other: &Tensor<U>,
        f: impl Fn(T, U) -> T + Sync,
    ) {
        // In the order of the memory, whatever the axes are.
        if let Some((own, others)) = self.beside(other) {
            return kernels::zip_slices_inplace(own, others, f);
        }
        let shape = copied(self.shape());
        if !expands(other.shape(), &shape) {
            let expected = "counted from the end, sizes must be equal or the second one 1";
            TensorError::mismatch(operation, &shape, other.shape(), expected).panic()
        }
        if let Some(elements) = self.writable() {
            kernels::zip_inplace(elements, &shape, other.strided(), f);
        } else if let Some(order) = self.memory_order() {
            let turned = self.turned(&order);
            turned.tensor.zip_assign(operation, &other.expand(&shape).permuted(&order), f);
        } else {
            *self = Self::from_buffer(kernels::zip(&shape, self.strided(), other.strided(), f), &shape);
        }
    }

    /// Like [`zip`](Self::zip), in the memory of this tensor where possible.
    #[track_caller]
    pub(crate) fn zip_reusing<U: Element>(
        mut self,
        operation: &'static str,
        other: &Tensor<U>,
        f: impl Fn(T, U) -> T + Sync,
    ) -> Self {
        if expands(other.shape(), self.shape()) && self.writable().is_some() {
            self.zip_assign(operation, other, f);
            self
        } else {
            self.zip(operation, other, f)
        }
    }

    /// A tensor of the results of `f` on the elements of two tensors, broadcast to one shape.
    ///
    /// `operation` is named in the panic message.
    #[track_caller]
    pub fn zip<U: Element, V: Element>(
        &self,
        operation: &'static str,
        other: &Tensor<U>,
        f: impl Fn(T, U) -> V + Sync,
    ) -> Tensor<V> {
        if same(self.shape(), other.shape()) {
            return Tensor::from_buffer(
                kernels::zip(self.shape(), self.strided(), other.strided(), f),
                self.shape(),
            );
        }
        let shape = broadcast_shapes(operation, self.shape(), other.shape()).or_panic();
        Tensor::from_buffer(kernels::zip(&shape, self.strided(), other.strided(), f), &shape)
    }

    /// A tensor of the results of `f` on the elements of several tensors, broadcast to one shape.
    #[track_caller]
    pub fn zip_many<U: Element, const N: usize>(
        operation: &'static str,
        tensors: [&Self; N],
        f: impl Fn([T; N]) -> U + Sync,
    ) -> Tensor<U> {
        let mut shape = Shape::new();
        for tensor in tensors {
            shape = broadcast_shapes(operation, &shape, tensor.shape()).or_panic();
        }
        let tensors = tensors.map(|tensor| tensor.expand(&shape).contiguous());
        let elements = tensors.each_ref().map(Tensor::data);
        Tensor::from_buffer(kernels::zip_many(shape.iter().product(), elements, f), &shape)
    }
}

impl<T: Element> Tensor<T> {
    /// Replaces the elements of several tensors, in one pass, by a function of these elements and the elements of
    /// another tensor, all of one shape; a shared buffer is copied first.
    #[track_caller]
    pub fn zip_inplace_many<U: Element, const N: usize>(
        targets: [&mut Self; N],
        other: &Tensor<U>,
        f: impl Fn([T; N], U) -> [T; N] + Sync,
    ) {
        for target in &targets {
            if target.shape() != other.shape() {
                let shapes = (target.shape(), other.shape());
                TensorError::mismatch("zip_inplace_many", shapes.0, shapes.1, "they must be equal").panic();
            }
        }
        let Some(order) = targets.first().and_then(|target| target.memory_order()) else {
            return kernels::zip_inplace_many(targets.map(Self::make_mut), other.strided(), f);
        };
        let mut turned = targets.map(|target| target.turned(&order));
        let elements = turned.each_mut().map(|turned| turned.tensor.make_mut());
        kernels::zip_inplace_many(elements, other.permuted(&order).strided(), f);
    }

    /// This tensor with its axes in another order, for as long as the result lives.
    fn turned(&mut self, order: &[usize]) -> Turned<'_, T> {
        self.permute_inplace(order);
        Turned { tensor: self, back: inverse(order) }
    }

    /// The axes in another order.
    fn permuted(&self, order: &[usize]) -> Self {
        self.with_layout(self.layout().permute(order))
    }
}

/// A tensor whose axes return to their order when this is dropped, also if a caller's function panics.
struct Turned<'a, T: Element> {
    tensor: &'a mut Tensor<T>,
    back: Shape,
}

impl<T: Element> Drop for Turned<'_, T> {
    fn drop(&mut self) {
        self.tensor.permute_inplace(&self.back);
    }
}

/// The order of axes that undoes another one.
fn inverse(order: &[usize]) -> Shape {
    let mut inverse = Shape::from_elem(0, order.len());
    for (place, &axis) in order.iter().enumerate() {
        inverse[axis] = place;
    }
    inverse
}
