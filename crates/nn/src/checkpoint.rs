//! Layers that are run again for the backward pass.

use std::sync::{Arc, Mutex, PoisonError};

use gradus_autograd::{AsVar, Float, Var, checkpoint};

use crate::member::Member;
use crate::module::Module;
use crate::parameter::Parameter;
use crate::path::Path;

/// The result of `forward` of a layer, as one node of the tape that keeps no values inside the layer: they are computed again
/// for the backward pass, from the same parameters, with the same masks of [`Dropout`](crate::Dropout). Running statistics and
/// counters change once. See [`checkpoint`] for functions without parameters.
///
/// ```
/// use gradus_autograd::{Tape, Tensor, seeded};
/// use gradus_nn::{Dropout, Linear, Sequential, Tanh, checkpoint_layer};
///
/// let rng = &mut seeded(0);
/// let block = Sequential::new().push(Linear::new(4, 8, rng)).push(Tanh).push(Dropout::new(0.5, 0));
/// let (x, twin) = (Tensor::<f64>::randn([2, 4], rng), block.clone());
/// let thrifty = checkpoint_layer(&block, &x, |block, x| block.forward(x));
/// let plain = twin.forward(&x);
/// assert_eq!(thrifty.value(), plain.value());
/// assert!(Tape::of(&thrifty).iter().any(|node| node.operation() == "checkpoint"));
/// ```
///
/// # Panics
/// As `forward` does, and if it reads a tracked variable that belongs neither to the layer nor to `x`.
#[track_caller]
pub fn checkpoint_layer<T: Float, M: Module<T> + Clone + Send + Sync + 'static>(
    layer: &M,
    x: impl AsVar<T>,
    forward: impl Fn(&M, &Var<T>) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    let x = x.as_var();
    let parameters = layer.parameters();
    let inputs: Vec<&Var<T>> = std::iter::once(&*x).chain(parameters.iter().map(|p| &***p)).collect();
    // Every run starts with the counters of now: the masks of a dropout are the same.
    let start = layer.clone();
    let after = Arc::new(Mutex::new(None));
    let first_run = Arc::downgrade(&after);
    let y = checkpoint(&inputs, move |inputs| {
        let mut bound = start.clone();
        for (parameter, input) in bound.parameters_mut().into_iter().zip(&inputs[1..]) {
            *parameter = Parameter::bind(input.clone());
        }
        let y = forward(&bound, &inputs[0]);
        if let Some(first_run) = first_run.upgrade() {
            *first_run.lock().unwrap_or_else(PoisonError::into_inner) = Some(bound);
        }
        y
    });
    if let Some(after) = after.lock().unwrap_or_else(PoisonError::into_inner).take() {
        take_over(layer, &after);
    }
    y
}

/// Takes over buffers and counters.
fn take_over<T: Float>(layer: &dyn Module<T>, other: &dyn Module<T>) {
    let mut members = Vec::new();
    other.visit(Path::ROOT, &mut |_, member| members.push(member));
    let mut members = members.into_iter();
    layer.visit(Path::ROOT, &mut |_, member| match (member, members.next()) {
        (Member::Buffer(buffer), Some(Member::Buffer(other))) => buffer.set(other.value()),
        (Member::Counter(counter), Some(Member::Counter(other))) => counter.set(other.get()),
        _ => (),
    });
}
