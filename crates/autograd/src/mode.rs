//! Whether operations on this thread write to the tape.

use std::cell::Cell;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Entries are made, and keep what their rules read.
    Record,
    /// Entries are made, and keep all their inputs and outputs.
    KeepValues,
    /// No entries are made.
    Off,
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Record) };
}

pub(crate) fn current() -> Mode {
    MODE.get()
}

/// Runs `f` in a mode, and returns to the one before, even if `f` panics.
pub(crate) fn with_mode<R>(mode: Mode, f: impl FnOnce() -> R) -> R {
    struct Restore(Mode);
    impl Drop for Restore {
        fn drop(&mut self) {
            MODE.set(self.0);
        }
    }
    let _restore = Restore(MODE.replace(mode));
    f()
}

/// Runs `f` without recording: its results are constants, and cost no memory beyond their values.
///
/// It holds for this thread, and threads started by `f` record as usual.
///
/// ```
/// use gradus_autograd::{Tensor, Var, no_grad};
///
/// let weight = Var::leaf(Tensor::from([1.0, 2.0]));
/// let prediction = no_grad(|| &weight * 3.0);
/// assert!(!prediction.is_tracked());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    with_mode(Mode::Off, f)
}

/// Runs `f` so that every entry of the tape keeps its inputs and its output, not only those that its
/// gradient rule reads.
///
/// With it the tape shows all values, and an error message finds the first operation that made a NaN.
///
/// ```
/// use gradus_autograd::{Tape, Tensor, Var, keep_values};
///
/// let x = Var::leaf(Tensor::from(2.0));
/// let y = keep_values(|| (&x * 3.0).exp());
/// let kept: Vec<f64> = Tape::of(&y).iter().filter_map(|entry| entry.output()).map(|y| y.item()).collect();
/// assert_eq!(kept, [6.0, 6.0_f64.exp()]);
/// ```
pub fn keep_values<R>(f: impl FnOnce() -> R) -> R {
    with_mode(Mode::KeepValues, f)
}

/// Whether operations on this thread write to the tape: true outside [`no_grad`] and outside a backward pass.
///
/// ```
/// use gradus_autograd::{is_recording, no_grad};
///
/// assert!(is_recording());
/// assert!(!no_grad(is_recording));
/// ```
pub fn is_recording() -> bool {
    current() != Mode::Off
}
