//! Whether operations on this thread write to the tape, and how much of it they keep.

use std::cell::Cell;

use super::watch;

/// Independent switches. Each scope sets one of them, and restores both.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "the switches are independent")]
struct Mode {
    /// Whether nodes are made.
    recording: bool,
    /// Whether nodes keep all their inputs and their output, and not only the values that their rules read.
    keeping_values: bool,
    /// Whether passes look for numbers that are not finite.
    detecting: bool,
    /// Whether anybody looks on: operations and layers tell what they do.
    watching: bool,
    /// Whether variables may stand for one example of a batch.
    examples: bool,
    /// Whether a step is being traced, to be run again: all passes make nodes, which keep all values.
    tracing: bool,
}

thread_local! {
    static MODE: Cell<Mode> = const {
        Cell::new(Mode {
            recording: true,
            keeping_values: false,
            detecting: false,
            watching: false,
            tracing: false,
            examples: false,
        })
    };
}

/// Whether operations make nodes: the thread records, or traces.
#[inline]
pub(crate) fn makes_nodes() -> bool {
    let mode = MODE.get();
    mode.recording || mode.tracing
}

/// Whether a step is being traced.
#[inline]
pub(crate) fn is_tracing() -> bool {
    MODE.get().tracing
}

thread_local! {
    /// Whether a gradient rule that runs while the thread traces has read numbers; `None` outside of rules.
    static LOOKED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Runs a gradient rule, and tells whether it read numbers, which another run of the step would have to read again.
pub(crate) fn looking<R>(rule: impl FnOnce() -> R) -> (R, bool) {
    struct Restore(Option<bool>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LOOKED.set(self.0);
        }
    }
    let _restore = Restore(LOOKED.replace(Some(false)));
    let result = rule();
    (result, LOOKED.get() == Some(true))
}

/// Says that numbers of the tape are read. While a step is traced, only gradient rules may: they run again as a whole.
///
/// # Panics
/// Outside of rules, while the thread traces.
#[inline]
#[track_caller]
pub(crate) fn look(what: &str) {
    if MODE.get().tracing {
        look_at_traced(what);
    }
}

#[cold]
#[track_caller]
fn look_at_traced(what: &str) {
    assert!(
        LOOKED.get().is_some(),
        "{what}: a function that is being compiled reads numbers, which would stay the same in later calls: return the \
         variable and read it outside, or choose with operations such as `where_` and `masked_fill`"
    );
    LOOKED.set(Some(true));
}

/// Runs `f`, all of whose operations make nodes that keep all values.
pub(crate) fn with_tracing<R>(f: impl FnOnce() -> R) -> R {
    with_mode(Mode { tracing: true, keeping_values: true, recording: true, ..MODE.get() }, f)
}

/// Whether random numbers may be drawn: while a step is traced, in gradient rules alone, which then run again as a whole.
pub(crate) fn may_draw() -> Result<(), String> {
    if !MODE.get().tracing {
        return Ok(());
    }
    let reason = "a function that is being compiled draws random numbers, which would stay the same in later calls: draw them \
                  outside and give them as an input, or take a mask from the model, as `Dropout` does and `Var::dropout` \
                  with a key from a `Counter`";
    LOOKED.get().map(|_| LOOKED.set(Some(true))).ok_or_else(|| reason.into())
}

/// Runs `f` as if no step were traced.
pub(crate) fn without_tracing<R>(f: impl FnOnce() -> R) -> R {
    with_mode(Mode { tracing: false, ..MODE.get() }, f)
}

/// Whether a node that is made now keeps all values.
#[inline]
pub(crate) fn is_keeping_values() -> bool {
    MODE.get().keeping_values
}

/// Whether passes look for numbers that are not finite.
#[inline]
pub(crate) fn is_detecting() -> bool {
    MODE.get().detecting
}

/// Whether anybody looks on.
#[inline]
pub(crate) fn is_watching() -> bool {
    MODE.get().watching
}

/// Whether variables may stand for one example of a batch.
#[inline]
pub(crate) fn has_examples() -> bool {
    MODE.get().examples
}

/// Runs `f` while variables may stand for one example of a batch: everything is recorded, with all values.
pub(super) fn with_examples<R>(f: impl FnOnce() -> R) -> R {
    with_mode(Mode { recording: true, keeping_values: true, examples: true, ..MODE.get() }, f)
}

/// Runs `f` in a mode, and returns to the one before, even if `f` panics.
fn with_mode<R>(mode: Mode, f: impl FnOnce() -> R) -> R {
    struct Restore(Mode);
    impl Drop for Restore {
        fn drop(&mut self) {
            MODE.set(self.0);
        }
    }
    let _restore = Restore(MODE.replace(mode));
    f()
}

/// Runs `f` with recording on or off: a pass decides for itself whether it is recorded.
pub(crate) fn with_recording<R>(recording: bool, f: impl FnOnce() -> R) -> R {
    with_mode(Mode { recording, ..MODE.get() }, f)
}

/// Runs `f` without recording: its results are constants, and cost no memory beyond their values.
///
/// Scopes nest: [`keep_values`] inside of this one does not record again, and at its end each scope restores the mode
/// that it found, also after a panic. Only the functions that differentiate twice record in here, during their own
/// pass: [`grad_create_graph`](crate::grad_create_graph) and its like, and [`hvp`](crate::hvp).
///
/// It holds for this thread; a thread started by `f` records.
///
/// ```
/// use gradus_autograd::{Tensor, Var, no_grad};
///
/// let weight = Var::leaf(Tensor::from([1.0, 2.0]));
/// let prediction = no_grad(|| &weight * 3.0);
/// assert!(!prediction.is_tracked());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    with_recording(false, f)
}

/// Runs `f` so that every node of the tape keeps its inputs and its output, and not only the values that its
/// gradient rule reads.
///
/// With it the tape shows all values, and an error message finds the first operation that made a NaN. Inside
/// [`no_grad`] no nodes are made, and there is nothing to keep; nodes that
/// [`grad_create_graph`](crate::grad_create_graph) makes inside of this scope keep their values, too.
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var, keep_values};
///
/// let x = Var::leaf(Tensor::from(2.0));
/// let y = keep_values(|| (&x * 3.0).exp());
/// let kept: Vec<f64> = Tape::of(&y).iter().filter_map(|node| node.output()).map(|y| y.item()).collect();
/// assert_eq!(kept, [6.0, 6.0_f64.exp()]);
/// ```
pub fn keep_values<R>(f: impl FnOnce() -> R) -> R {
    with_mode(Mode { keeping_values: true, ..MODE.get() }, f)
}

/// Runs `f` while somebody looks on; see [`watch`].
pub(crate) fn with_watching<R>(f: impl FnOnce() -> R) -> R {
    watch::until_the_last(is_watching(), || with_mode(Mode { watching: true, ..MODE.get() }, f))
}

/// Runs `f`, forward and backward passes, and panics where a number first is infinite or NaN.
///
/// In the forward pass it is the first operation with such a result, unless an infinity was among its inputs or its
/// attributes: a mask of minus infinity is meant so. In the backward pass it is the operation whose rule made such a
/// gradient from a finite one. The message names the operation, the place in its result or input, the line of the
/// program that called it and the layer that it ran in; with `Module::name_layers` of `gradus-nn`, called inside of `f`,
/// under its path in the model. Values are kept as by [`keep_values`], and all numbers are looked through, so a step takes
/// several times as long.
///
/// ```should_panic
/// use gradus_autograd::{Tensor, Var, detect_anomaly};
///
/// // backward: the gradient of `sqrt` for element [1] of input 0 is inf, from finite gradients;
/// // there the input is 0; `sqrt` was called at src/main.rs:6:22
/// let x = Var::leaf(Tensor::from([1.0, 0.0]));
/// detect_anomaly(|| x.sqrt().sum(..).backward());
/// ```
///
/// # Panics
/// As said.
pub fn detect_anomaly<R>(f: impl FnOnce() -> R) -> R {
    with_watching(|| with_mode(Mode { keeping_values: true, detecting: true, ..MODE.get() }, f))
}

/// Whether operations on this thread write to the tape: true outside [`no_grad`] and outside a backward pass.
#[inline]
pub fn is_recording() -> bool {
    MODE.get().recording
}
