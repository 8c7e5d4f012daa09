//! The record of a step: effects in the order in which they happened. The operations are nodes of the tape, which the
//! effects and the results hold.

use std::any::Any;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::panic::Location;
use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use crate::tape::node::{Input, Node, Saved, next_number};
use crate::tape::{Draw, Indices, Operand, Var, drawn_again_or, mode};

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
    /// Buffers and counters that stand for others, or, with `None`, for nothing that is left after the step.
    stand_ins: Vec<(usize, Option<usize>)>,
    /// The numbers of the nodes that the backward pass of each checkpoint made.
    recomputations: Vec<RangeInclusive<u64>>,
    /// The values of constants, [`Saved`], that operations without any other input read.
    constants: Vec<Box<dyn Any>>,
}

impl Record {
    /// The buffer or counter that one stands for, by address, and whether it can be a member of the model, whose changes are
    /// effects of the step.
    fn original(&self, address: usize) -> (usize, bool) {
        match self.stand_ins.iter().rev().find(|(other, _)| *other == address) {
            Some((_, Some(of))) => self.original(*of),
            Some((_, None)) => (address, false),
            None => (address, true),
        }
    }
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
    /// The numbers of the nodes that the backward pass of each checkpoint made.
    pub(super) recomputations: Vec<RangeInclusive<u64>>,
    /// The constants that operations without any other input read.
    pub(super) constants: Vec<Saved<T>>,
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
    let result = mode::with_tracing(f);
    let Record { effects, buffers, recomputations, constants, .. } = RECORD.take();
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
    let constants = constants.into_iter().filter_map(|value| value.downcast().ok()).map(|value| *value);
    let constants = constants.collect();
    (result, Trace { effects, buffers, start, recomputations, constants })
}

/// Runs the function of a step that is traced; tensors of random numbers panic at its line.
pub fn refuse_draws<R>(f: impl FnOnce() -> R) -> R {
    gradus_tensor::with_draws_checked(mode::may_draw, f)
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
        let (address, _) = record.original(address);
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
        let (buffer, is_member) = RECORD.with_borrow(|record| record.original(address));
        if is_member {
            note(Effect::Assign { buffer, value: input(value) });
        }
        let version = (buffer, Version::Assigned, Box::new(value.clone()) as _);
        RECORD.with_borrow_mut(|record| record.buffers.push(version));
    }
}

/// The number that a counter gives, which is then one larger; in a second run, the number of the first one.
#[track_caller]
pub fn draw<T: Float>(counter: usize, next: impl FnOnce() -> i64) -> Indices<T> {
    let first = || {
        let number = next();
        let key = is_tracing().then(|| {
            let key = Indices::<T>::input(Tensor::scalar(number));
            let (counter, _) = RECORD.with_borrow(|record| record.original(counter));
            note(Effect::Draw::<T> { counter, key: Arc::clone(key.node().expect("it is an input")) });
            Arc::new(key) as _
        });
        Draw { number, key }
    };
    let Draw { number, key } = drawn_again_or(first);
    let key = key.as_ref().and_then(|key| key.downcast_ref::<Indices<T>>());
    key.cloned().unwrap_or_else(|| Indices::constant(Tensor::scalar(number)))
}

/// Notes that a counter is one larger.
pub fn count(counter: usize) {
    if is_tracing() {
        RECORD.with_borrow_mut(|record| {
            let (counter, _) = record.original(counter);
            record.effects.push((next_number(), Box::new(Count(counter))));
        });
    }
}

/// The address of a copy, and the address of its member, or its value if it is a buffer without one.
pub type StandIn<T> = (usize, Result<usize, Option<Var<T>>>);

/// Runs `f`, in which copies of buffers and counters stand for members of the model: each copy, by its address, for the member
/// with another one. A copy without a member begins with the value that is given, if it is a buffer, and its changes end with
/// `f`.
pub fn with_stand_ins<T: Float, R>(copies: Vec<StandIn<T>>, f: impl FnOnce() -> R) -> R {
    let (before, mut own) = (RECORD.with_borrow(|record| record.stand_ins.len()), Vec::new());
    RECORD.with_borrow_mut(|record| {
        for (copy, of) in copies {
            record.stand_ins.push((copy, of.as_ref().ok().copied()));
            if let Err(value) = of {
                own.push(copy);
                record.buffers.extend(value.map(|value| (copy, Version::Assigned, Box::new(value) as _)));
            }
        }
    });
    let result = f();
    RECORD.with_borrow_mut(|record| {
        record.stand_ins.truncate(before);
        record.buffers.retain(|(address, ..)| !own.contains(address));
    });
    result
}

/// Runs `f` as if this thread traced no step: for copies of layers, whose values are not read.
pub fn untraced<R>(f: impl FnOnce() -> R) -> R {
    mode::without_tracing(f)
}

/// Runs the backward pass of a checkpoint, whose nodes the plan does not take from elsewhere.
pub(crate) fn recompute<R>(f: impl FnOnce() -> R) -> R {
    let start = next_number();
    let result = f();
    let numbers = start..=next_number();
    RECORD.with_borrow_mut(|record| record.recomputations.push(numbers));
    result
}

/// Notes that an operation reads constants alone.
#[cold]
pub(crate) fn note_constants<'a, T: Float, A: Copy + Into<Operand<'a, T>>>(inputs: &[A]) {
    RECORD.with_borrow_mut(|record| {
        let value = |&input: &A| Box::new(Into::<Operand<'a, T>>::into(input).saved(true)) as _;
        record.constants.extend(inputs.iter().map(value));
    });
}

/// Notes that the result of a backward pass must not be NaN.
#[track_caller]
pub(crate) fn note_finite<T: Float>(value: &Var<T>) {
    if is_tracing() {
        note(Effect::NotNan { value: input(value), call: Location::caller() });
    }
}
