//! Layers that are run again for the backward pass.

use std::sync::{Arc, Mutex, PoisonError};

use gradus_autograd::{AsVar, Float, Var, checkpoint, compile};

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
/// As `forward` does.
#[track_caller]
pub fn checkpoint_layer<T: Float, M: Module<T> + Clone + Send + Sync + 'static>(
    layer: &M,
    x: impl AsVar<T>,
    forward: impl Fn(&M, &Var<T>) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    checkpoint_layers(std::slice::from_ref(layer), &x.as_var(), move |layers, x| forward(&layers[0], x))
}

/// The result of a chain of layers, in about as many checkpoints as the square root of their number, each of as many layers:
/// so the memory that a step takes grows with the square root, and the time by one more forward pass (Chen et al., "Training
/// deep nets with sublinear memory cost", 2016). The last part of the chain keeps its values, as it is the first that the
/// backward pass needs.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_nn::{Linear, Sequential, Tanh, checkpoint_sequential};
///
/// let rng = &mut seeded(0);
/// let blocks: Vec<Sequential> = (0..16).map(|_| Sequential::new().push(Linear::new(8, 8, rng)).push(Tanh)).collect();
/// let x = Tensor::randn([4, 8], rng);
/// let y = checkpoint_sequential(&blocks, &x, |block, x| block.forward(x));
/// let plain = blocks.iter().fold(x.into(), |x, block| block.forward(&x));
/// assert_eq!(y.value(), plain.value());
/// ```
///
/// The layers of a [`Sequential`](crate::Sequential) are its field `layers`.
///
/// # Panics
/// Like [`checkpoint_layer`].
#[track_caller]
pub fn checkpoint_sequential<T: Float, M: Module<T> + Clone + Send + Sync + 'static>(
    layers: &[M],
    x: impl AsVar<T>,
    forward: impl Fn(&M, &Var<T>) -> Var<T> + Clone + Send + Sync + 'static,
) -> Var<T> {
    let length = layers.len().isqrt().max(1);
    let kept = layers.len().saturating_sub(length);
    let run = move |layers: &[M], x: &Var<T>| layers.iter().fold(x.clone(), |x, layer| forward(layer, &x));
    let parts = layers[..kept].chunks(length);
    let x = parts.fold(x.as_var().into_owned(), |x, part| checkpoint_layers(part, &x, run.clone()));
    run(&layers[kept..], &x)
}

#[track_caller]
fn checkpoint_layers<T: Float, M: Module<T> + Clone + Send + Sync + 'static>(
    layers: &[M],
    x: &Var<T>,
    forward: impl Fn(&[M], &Var<T>) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    let parameters: Vec<&Parameter<T>> = layers.iter().flat_map(Module::parameters).collect();
    let inputs: Vec<&Var<T>> = std::iter::once(x).chain(parameters.iter().map(|p| &***p)).collect();
    // Every run starts with the counters of now: the masks of a dropout are the same.
    let start = compile::untraced(|| layers.to_vec());
    let state = compile::is_tracing().then(|| state_of(layers));
    let after = Arc::new(Mutex::new(None));
    let first_run = Arc::downgrade(&after);
    let y = checkpoint(&inputs, move |inputs| {
        let mut bound = compile::untraced(|| start.clone());
        let parameters = bound.iter_mut().flat_map(Module::parameters_mut);
        for (parameter, input) in parameters.zip(&inputs[1..]) {
            *parameter = Parameter::bind(input.clone());
        }
        let y = match &state {
            Some(state) => {
                let copies = stand_ins(&bound, state, first_run.strong_count() > 0);
                compile::with_stand_ins(copies, || forward(&bound, &inputs[0]))
            }
            None => forward(&bound, &inputs[0]),
        };
        if let Some(first_run) = first_run.upgrade() {
            *first_run.lock().unwrap_or_else(PoisonError::into_inner) = Some(bound);
        }
        y
    });
    if let Some(after) = after.lock().unwrap_or_else(PoisonError::into_inner).take() {
        compile::untraced(|| layers.iter().zip(&after).for_each(|(layer, after)| take_over(layer, after)));
    }
    y
}

/// The addresses of the buffers and counters, and the value of each buffer, in a compiled step.
fn state_of<T: Float>(layers: &[impl Module<T>]) -> Vec<(usize, Option<Var<T>>)> {
    let mut state = Vec::new();
    for layer in layers {
        layer.visit(Path::ROOT, &mut |_, member| match member {
            Member::Buffer(buffer) => state.push((buffer.address(), Some(buffer.var()))),
            Member::Counter(counter) => state.push((counter.address(), None)),
            _ => (),
        });
    }
    state
}

/// The addresses of the buffers and counters of copies, with the members that they stand for: in the first run the layers'
/// own, whose changes the plan repeats.
fn stand_ins<T: Float>(
    copies: &[impl Module<T>],
    state: &[(usize, Option<Var<T>>)],
    is_first_run: bool,
) -> Vec<compile::StandIn<T>> {
    let of = |(address, value): &(usize, Option<Var<T>>)| {
        if is_first_run { Ok(*address) } else { Err(value.clone()) }
    };
    let mut addresses = Vec::new();
    for layer in copies {
        layer.visit(Path::ROOT, &mut |_, member| match member {
            Member::Buffer(buffer) => addresses.push(buffer.address()),
            Member::Counter(counter) => addresses.push(counter.address()),
            _ => (),
        });
    }
    addresses.into_iter().zip(state.iter().map(of)).collect()
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
