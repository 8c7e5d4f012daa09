//! Asking for gradients: `backward`, `grad`, `vjp`, `hvp`.

use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use gradus_tensor::{Float, OrPanic, Tensor};

use super::checks::{check_cotangent, check_directions, first_on_tape, not_tracked, require, scalar_seed};
use super::reverse::{LeafIsComplete, OtherRule, Reach, walk};
use crate::compile;
use crate::tape::node::{AddressSet, Node, address};
use crate::tape::{Found, Var, example, mode};

/// The gradients that a backward pass found: one tensor for each leaf that was reached.
///
/// They are a value, to be looked at and changed between the backward pass and the step of an optimizer: in place of
/// hooks, [`update`](Self::update) changes the gradient of any leaf.
///
/// ```
/// use gradus_autograd::{Tensor, Var};
///
/// let x = Var::leaf(Tensor::from([3.0, -4.0]));
/// let mut gradients = (&x * &x / 2.0).sum(..).backward();
/// assert_eq!((gradients.loss(), gradients.norm()), (12.5, 5.0));
/// gradients.update(&x, |gradient| *gradient = gradient.relu());
/// assert_eq!(gradients.get(&x), Some(&Tensor::from([3.0, 0.0])));
/// ```
#[derive(Debug)]
#[must_use]
pub struct Gradients<T: Float = f32> {
    pub(super) by_leaf: Found<T>,
    pub(super) loss: T,
}

impl<T: Float> Gradients<T> {
    /// The gradient with respect to a leaf, in its shape; `None` if the result does not depend on it.
    #[track_caller]
    pub fn get(&self, leaf: &Var<T>) -> Option<&Tensor<T>> {
        let gradient = self.var(leaf)?;
        Some(gradient.value())
    }

    /// The gradient with respect to a leaf as a variable: a constant, but in a compiled step, where it is on the tape.
    pub fn var(&self, leaf: &Var<T>) -> Option<&Var<T>> {
        let (_, gradient) = self.by_leaf.get(&address(leaf.node()?))?;
        Some(gradient)
    }

    /// Replaces the gradient with respect to a leaf, if the leaf was reached, by a function of it.
    ///
    /// In a compiled step this is the way to change gradients: [`update`](Self::update) works on numbers.
    ///
    /// # Panics
    /// If the new gradient has another shape.
    #[track_caller]
    pub fn map(&mut self, leaf: &Var<T>, f: impl FnOnce(&Var<T>) -> Var<T>) {
        if let Some((_, gradient)) = leaf.node().and_then(|node| self.by_leaf.get_mut(&address(node))) {
            let new = f(gradient);
            assert!(
                new.shape() == gradient.shape(),
                "map: the new gradient has shape {:?}, the leaf {:?}: they must be equal",
                new.shape(),
                gradient.shape()
            );
            *gradient = new;
        }
    }

    /// The number whose gradients these are: [`backward`](Var::backward) consumes the variable, usually a loss, and
    /// keeps its value here. Of [`backward_with`](Var::backward_with) it is <`cotangent`, variable>. It takes part in
    /// [`scale`](Self::scale) and [`accumulate`](Self::accumulate).
    ///
    /// # Panics
    /// In a compiled step: there a clone of the loss is returned in place of the number.
    #[track_caller]
    pub fn loss(&self) -> T {
        mode::look("loss");
        self.loss
    }

    /// The Euclidean norm of all gradients as one vector, in double precision; infinite or NaN if one of them is.
    pub fn norm(&self) -> f64 {
        let norms =
            self.by_leaf.values().map(|(_, gradient)| gradient.value().cast::<f64>().norm(2.0, ..).item());
        Tensor::from(norms.collect::<Vec<f64>>()).norm(2.0, ..).item()
    }

    /// The number of leaves that were reached.
    pub fn len(&self) -> usize {
        self.by_leaf.len()
    }

    /// Whether no leaf was reached.
    pub fn is_empty(&self) -> bool {
        self.by_leaf.is_empty()
    }

    /// Changes the gradient with respect to a leaf, if the leaf was reached.
    ///
    /// # Panics
    /// If the new gradient has another shape.
    #[track_caller]
    pub fn update(&mut self, leaf: &Var<T>, update: impl FnOnce(&mut Tensor<T>)) {
        mode::look("update");
        if let Some((_, gradient)) = leaf.node().and_then(|node| self.by_leaf.get_mut(&address(node))) {
            gradient.update(update);
        }
    }

    /// Multiplies all gradients by a number.
    pub fn scale(&mut self, factor: f64) {
        let factor = T::from_f64(factor);
        self.loss *= factor;
        for (_, gradient) in self.by_leaf.values_mut() {
            if mode::is_tracing() {
                *gradient = &*gradient * factor;
            } else {
                gradient.update(|gradient| *gradient *= factor);
            }
        }
    }

    /// Adds the gradients of another result: of a leaf that both reached, the sum, in place.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// // A batch in two parts.
    /// let x = Var::leaf(Tensor::from(3.0));
    /// let mut gradients = (&x * 2.0).backward();
    /// gradients.accumulate((&x * &x).backward());
    /// assert_eq!(gradients.get(&x), Some(&Tensor::from(8.0))); // 2 + 2 x
    /// ```
    pub fn accumulate(&mut self, other: Self) {
        self.loss += other.loss;
        for (address, (node, gradient)) in other.by_leaf {
            match self.by_leaf.entry(address) {
                Slot::Vacant(slot) => drop(slot.insert((node, gradient))),
                Slot::Occupied(mut slot) if mode::is_tracing() => {
                    let sum = &slot.get().1 + &gradient;
                    slot.get_mut().1 = sum;
                }
                Slot::Occupied(mut slot) => slot.get_mut().1.update(|sum| *sum += gradient.value()),
            }
        }
    }
}

impl<T: Float> Var<T> {
    /// The gradients of this scalar with respect to all leaves that it depends on.
    ///
    /// Consumes the variable: nodes of the tape that nothing else holds are freed as the walk goes. Its value stays at hand
    /// as [`Gradients::loss`]; a clone of the variable would keep the tape alive. An infinite result or gradient is found by
    /// [`detect_anomaly`](crate::detect_anomaly).
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var};
    ///
    /// let (x, y) = (Var::leaf(Tensor::from(2.0)), Var::leaf(Tensor::from(3.0)));
    /// let gradients = (&x * &y).backward();
    /// assert_eq!(gradients.get(&x), Some(&Tensor::from(3.0)));
    /// assert_eq!(gradients.get(&y), Some(&Tensor::from(2.0)));
    /// ```
    ///
    /// # Panics
    /// If there is more than one element (use [`backward_with`](Self::backward_with)), if it is NaN, or if
    /// no leaf was recorded behind it.
    #[track_caller]
    #[inline(never)]
    pub fn backward(self) -> Gradients<T> {
        self.backward_telling(None)
    }

    /// [`backward`](Self::backward), which tells of each leaf whose gradient is complete.
    #[track_caller]
    pub(super) fn backward_telling(self, complete: Option<&LeafIsComplete<T>>) -> Gradients<T> {
        let seed = scalar_seed("backward", &self);
        let loss = self.numbers().item();
        compile::note_finite(&self);
        assert!(
            !loss.is_nan(),
            "backward: the result is NaN, and so would be the gradients{}",
            first_on_tape(&self, "NaN", Tensor::isnan)
        );
        assert!(
            loss.is_finite() || !mode::is_detecting(),
            "backward: the result is {loss}{}",
            first_on_tape(&self, "infinite number", Tensor::isinf)
        );
        self.walk_back("backward", &seed, loss, complete)
    }

    /// The gradients of <`cotangent`, this variable> with respect to all leaves that it depends on.
    ///
    /// # Panics
    /// If the cotangent has another shape, or no leaf was recorded behind this variable.
    #[track_caller]
    pub fn backward_with(self, cotangent: &Tensor<T>) -> Gradients<T> {
        check_cotangent("backward_with", &self, cotangent);
        let loss = (self.numbers() * cotangent).sum(..).item();
        self.walk_back("backward_with", cotangent, loss, None)
    }

    #[track_caller]
    fn walk_back(
        self,
        function: &str,
        cotangent: &Tensor<T>,
        loss: T,
        complete: Option<&LeafIsComplete<T>>,
    ) -> Gradients<T> {
        let Some(root) = self.into_parts().1.filter(|node| node.is_differentiable) else {
            not_tracked(function)
        };
        let reach = Reach { wanted: &|_| false, floor: 0, ends: &|_| false, rule: None, complete };
        let by_leaf = mode::with_recording(false, || walk(root, cotangent.into(), reach)).or_panic();
        Gradients { by_leaf, loss }
    }
}

/// The gradients of a scalar with respect to some variables, leaves or intermediate results.
///
/// The tape stays, and the results are constants; [`grad_create_graph`] records them.
///
/// ```
/// use gradus_autograd::{Tensor, Var, grad};
///
/// let x = Var::leaf(Tensor::from(2.0));
/// let square = &x * &x;
/// let y = &square * 3.0;
/// let gradients = grad(&y, &[&x, &square]);
/// assert_eq!((gradients[0].item(), gradients[1].item()), (12.0, 3.0));
/// ```
///
/// # Panics
/// If `y` has more than one element (use [`vjp`]), if one of the variables is a constant, or if `y` does
/// not depend on it.
#[track_caller]
pub fn grad<T: Float>(y: &Var<T>, inputs: &[&Var<T>]) -> Vec<Var<T>> {
    let seed = scalar_seed("grad", y).into();
    require("grad", gradients_of("grad", y, &seed, inputs, false), inputs)
}

/// Like [`grad`], recorded, also inside [`no_grad`](crate::no_grad): the results can be differentiated again.
///
/// ```
/// use gradus_autograd::{Tensor, Var, grad, grad_create_graph};
///
/// let x = Var::leaf(Tensor::from(2.0));
/// let first = grad_create_graph(&(&x * &x * &x), &[&x]).remove(0); // 3 x^2
/// let second = grad(&first, &[&x]).remove(0); // 6 x
/// assert_eq!((first.item(), second.item()), (12.0, 12.0));
/// ```
///
/// # Panics
/// Like [`grad`].
#[track_caller]
pub fn grad_create_graph<T: Float>(y: &Var<T>, inputs: &[&Var<T>]) -> Vec<Var<T>> {
    let seed = scalar_seed("grad_create_graph", y).into();
    let gradients = gradients_of("grad_create_graph", y, &seed, inputs, true);
    require("grad_create_graph", gradients, inputs)
}

/// The vector-Jacobian product: the gradients of <`cotangent`, `y`> with respect to some variables, or
/// `None` for one that `y` does not depend on.
///
/// ```
/// use gradus_autograd::{Tensor, Var, vjp};
///
/// let (x, unused) = (Var::leaf(Tensor::from([1.0, 2.0])), Var::leaf(Tensor::from(1.0)));
/// let gradients = vjp(&(&x * &x), &Tensor::from([1.0, 10.0]), &[&x, &unused]);
/// assert_eq!(gradients[0].as_ref().unwrap().value(), &Tensor::from([2.0, 40.0]));
/// assert!(gradients[1].is_none());
/// ```
///
/// # Panics
/// If the cotangent has another shape than `y`, or one of the variables is a constant.
#[track_caller]
pub fn vjp<T: Float>(y: &Var<T>, cotangent: &Tensor<T>, inputs: &[&Var<T>]) -> Vec<Option<Var<T>>> {
    gradients_of("vjp", y, &cotangent.into(), inputs, false)
}

/// Like [`vjp`], recorded: the results can be differentiated with respect to the inputs and to the
/// cotangent.
///
/// # Panics
/// Like [`vjp`].
#[track_caller]
pub fn vjp_create_graph<T: Float>(y: &Var<T>, cotangent: &Var<T>, inputs: &[&Var<T>]) -> Vec<Option<Var<T>>> {
    gradients_of("vjp_create_graph", y, cotangent, inputs, true)
}

/// The Hessian-vector product: the derivative of the gradient of `f` at `inputs`, in the direction
/// `vectors`, without the Hessian (Pearlmutter, "Fast exact multiplication by the Hessian", 1994).
///
/// ```
/// use gradus_autograd::{Tensor, hvp};
///
/// // f = x0^2 x1 has the Hessian [[2 x1, 2 x0], [2 x0, 0]].
/// let f = |x: &[gradus_autograd::Var<f64>]| x[0].select(0, 0).square() * x[0].select(0, 1);
/// let product = hvp(f, &[Tensor::from([3.0, 5.0])], &[Tensor::from([1.0, 0.0])]);
/// assert_eq!(product, [Tensor::from([10.0, 6.0])]);
/// ```
///
/// # Panics
/// If the result of `f` is not one element, or the vectors differ in number or shape from the inputs.
#[track_caller]
pub fn hvp<T: Float>(
    f: impl FnOnce(&[Var<T>]) -> Var<T>,
    inputs: &[Tensor<T>],
    vectors: &[Tensor<T>],
) -> Vec<Tensor<T>> {
    check_directions("hvp", "vector", inputs.iter().map(Tensor::shape), vectors.iter().map(Tensor::shape));
    let leaves: Vec<Var<T>> = inputs.iter().map(Var::leaf).collect();
    let leaves_ref: Vec<&Var<T>> = leaves.iter().collect();
    let y = mode::with_recording(true, || f(&leaves));
    let seed = scalar_seed("hvp", &y).into();
    let gradients =
        if y.is_tracked() { gradients_of("hvp", &y, &seed, &leaves_ref, true) } else { Vec::new() };
    // <gradient, vector>, of which the gradient is wanted; a gradient that is constant adds nothing.
    let varying = |(gradient, vector): (Option<Var<T>>, _)| Some((gradient.filter(Var::is_tracked)?, vector));
    let pairs = gradients.into_iter().zip(vectors).filter_map(varying);
    let slope = mode::with_recording(true, || {
        pairs.map(|(gradient, vector)| (gradient * vector).sum(..)).reduce(|slope, term| slope + term)
    });
    let seed = Tensor::scalar(T::ONE).into();
    let products =
        slope.map(|slope| gradients_of("hvp", &slope, &seed, &leaves_ref, false)).unwrap_or_default();
    let mut products = products.into_iter();
    inputs
        .iter()
        .map(|input| products.next().flatten().map_or_else(|| Tensor::zeros(input.shape()), Var::into_value))
        .collect()
}

#[track_caller]
fn gradients_of<T: Float>(
    function: &'static str,
    y: &Var<T>,
    cotangent: &Var<T>,
    inputs: &[&Var<T>],
    recording: bool,
) -> Vec<Option<Var<T>>> {
    gradients_within(function, y, cotangent, inputs, (&[], None), recording)
}

/// The gradients with respect to the inputs, where no way to an input leads through one of `ends`, by another rule for
/// some nodes if there is one.
#[track_caller]
#[inline(never)]
pub(crate) fn gradients_within<T: Float>(
    function: &'static str,
    y: &Var<T>,
    cotangent: &Var<T>,
    inputs: &[&Var<T>],
    (ends, rule): (&[Var<T>], Option<&OtherRule<T>>),
    recording: bool,
) -> Vec<Option<Var<T>>> {
    check_cotangent(function, y, cotangent.numbers());
    let Some(root) = y.node().filter(|node| node.is_differentiable) else { not_tracked(function) };
    if let Some(i) = inputs.iter().position(|input| !input.is_tracked()) {
        panic!("{function}: input {i} is a constant; make it with `Var::leaf` to ask for its gradient");
    }
    let targets: Vec<&Arc<Node<T>>> = inputs.iter().filter_map(|input| input.node()).collect();
    // Nothing behind the shallowest target can lead to a target.
    let floor = targets.iter().map(|node| node.depth).min().unwrap_or(0);
    let wanted: AddressSet<usize> = targets.iter().map(|target| address(target)).collect();
    let ends: AddressSet<usize> = ends.iter().filter_map(Var::node).map(address).collect();
    let reach = Reach {
        wanted: &|node| wanted.contains(&address(node)),
        floor,
        ends: &|node| ends.contains(&address(node)),
        rule,
        complete: None,
    };
    // In `vmap`, all that depends on an example has to be recorded, to be run again on the others.
    let for_examples = !recording && mode::has_examples() && example::depends(root);
    let found =
        mode::with_recording(recording || for_examples, || walk(Arc::clone(root), cotangent.clone(), reach))
            .or_panic();
    let gradient = |target: &&Arc<Node<T>>| {
        let (_, gradient) = found.get(&address(target))?;
        Some(if for_examples { gradient.detach() } else { gradient.clone() })
    };
    targets.iter().map(gradient).collect()
}
