//! The record of a step: effects in the order in which they happened. The operations are nodes of the tape, which the
//! effects and the results hold.

use std::any::Any;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use crate::tape::node::{Input, Node, Saved, next_number};
use crate::tape::{Indices, Var, mode};

/// A change that a step makes, besides computing its results.
pub(crate) enum Effect<T: Float> {
    /// An optimizer changed a parameter.
    Update { parameter: Arc<Node<T>>, before: Tensor<T>, gradient: Input<T>, optimizer: usize, place: usize },
    /// A buffer of a model got a new value.
    Assign { buffer: usize, value: Input<T> },
    /// A counter gave a number, and is one larger.
    Draw { counter: usize, key: Arc<Node<T>> },
    /// A result that must not be NaN.
    NotNan { value: Input<T>, call: &'static Location<'static> },
}

/// A counter is one larger.
struct Count(usize);

#[derive(Default)]
struct Record {
    /// [`Effect`]s and [`Count`]s, with their numbers.
    effects: Vec<(u64, Box<dyn Any>)>,
    /// The variables that stand for buffers of the model, by the buffers' addresses: for the value before the step, and for
    /// values that it assigned.
    buffers: Vec<(usize, Version, Box<dyn Any>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    BeforeTheStep,
    Assigned,
}

thread_local! {
    static RECORD: RefCell<Record> = RefCell::default();
}

/// The record of a step.
pub struct Trace<T: Float> {
    pub(super) effects: Vec<(u64, TracedEffect<T>)>,
    /// The addresses of buffers, with the nodes that stand for their values before the step.
    pub(super) buffers: Vec<(usize, Arc<Node<T>>)>,
    /// Nodes with smaller numbers were made before.
    pub(super) start: u64,
}

impl<T: Float> std::fmt::Debug for Trace<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trace of {} effects", self.effects.len())
    }
}

/// An effect of a trace.
pub(super) enum TracedEffect<T: Float> {
    Of(Box<Effect<T>>),
    Count(usize),
}

/// Whether this thread traces a step.
pub fn is_tracing() -> bool {
    mode::is_tracing()
}

/// Runs `f` and records what it does.
pub fn trace<T: Float, R>(f: impl FnOnce() -> R) -> (R, Trace<T>) {
    RECORD.set(Record::default());
    let start = next_number();
    let result = mode::with_tracing(true, f);
    let Record { effects, buffers } = RECORD.take();
    let effect = |effect: Box<dyn Any>| match effect.downcast::<Effect<T>>() {
        Ok(effect) => TracedEffect::Of(effect),
        Err(other) => {
            let Ok(count) = other.downcast::<Count>() else {
                panic!(
                    "a step that is compiled changes a model of another element type than its own, {}",
                    T::NAME
                )
            };
            TracedEffect::Count(count.0)
        }
    };
    let effects = effects.into_iter().map(|(number, of)| (number, effect(of))).collect();
    let before = buffers.into_iter().filter(|(_, version, _)| *version == Version::BeforeTheStep);
    let node = |(address, _, var): (usize, Version, Box<dyn Any>)| {
        Some((address, var.downcast::<Var<T>>().ok()?.node().cloned()?))
    };
    let buffers = before.filter_map(node).collect();
    (result, Trace { effects, buffers, start })
}

fn note<T: Float>(effect: Effect<T>) {
    RECORD.with_borrow_mut(|record| record.effects.push((next_number(), Box::new(effect))));
}

fn input<T: Float>(var: &Var<T>) -> Input<T> {
    Input { node: var.node().cloned(), value: Saved::Value(var.numbers().clone()) }
}

/// Notes that an optimizer changes a parameter, before it does. `optimizer` is its address, `place` the place of the
/// parameter among its states.
pub fn update<T: Float>(parameter: &Var<T>, gradient: &Var<T>, optimizer: usize, place: usize) {
    let Some(node) = parameter.node().filter(|_| is_tracing()) else { return };
    // Held, so that the change is made to a copy, which tells old numbers from new ones.
    let before = parameter.numbers().clone();
    note(Effect::Update { parameter: Arc::clone(node), before, gradient: input(gradient), optimizer, place });
}

/// The variable that stands for a buffer with this address and value.
pub fn buffer<T: Float>(address: usize, value: impl FnOnce() -> Tensor<T>) -> Var<T> {
    if !is_tracing() {
        return Var::constant(value());
    }
    RECORD.with_borrow_mut(|record| {
        let known = record.buffers.iter().rev().find(|(other, ..)| *other == address);
        if let Some(var) = known.and_then(|(.., var)| var.downcast_ref::<Var<T>>()) {
            return var.clone();
        }
        let var = Var::input(value());
        record.buffers.push((address, Version::BeforeTheStep, Box::new(var.clone())));
        var
    })
}

/// Notes that a buffer gets a new value.
pub fn assign<T: Float>(address: usize, value: &Var<T>) {
    if is_tracing() {
        note(Effect::Assign { buffer: address, value: input(value) });
        RECORD.with_borrow_mut(|record| {
            record.buffers.push((address, Version::Assigned, Box::new(value.clone())));
        });
    }
}

/// The number that a counter gives, which is then one larger.
pub fn draw<T: Float>(counter: usize, value: i64) -> Indices<T> {
    if !is_tracing() {
        return Indices::constant(Tensor::scalar(value));
    }
    let key = Indices::input(Tensor::scalar(value));
    note(Effect::Draw::<T> { counter, key: Arc::clone(key.node().expect("it is an input")) });
    key
}

/// Notes that a counter is one larger.
pub fn count(counter: usize) {
    if is_tracing() {
        RECORD.with_borrow_mut(|record| record.effects.push((next_number(), Box::new(Count(counter)))));
    }
}

/// Notes that the result of a backward pass must not be NaN.
#[track_caller]
pub(crate) fn note_finite<T: Float>(value: &Var<T>) {
    if is_tracing() {
        note(Effect::NotNan { value: input(value), call: Location::caller() });
    }
}
