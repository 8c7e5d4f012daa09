//! Numbers that a function takes from counters, such as the keys of dropout: a second run gets the numbers of
//! the first one, so that it computes the same.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// A number of a counter.
#[derive(Clone)]
pub(crate) struct Draw {
    pub(crate) number: i64,
    /// The `Indices` that stand for it in a compiled step.
    pub(crate) key: Option<Arc<dyn Any + Send + Sync>>,
}

/// The numbers of a run, in order.
pub(crate) type Draws = Arc<[Draw]>;

#[derive(Default)]
struct State {
    /// The numbers that this run gets again, and how many it got so far.
    again: Option<(Draws, usize)>,
    /// The numbers so far, if somebody remembers them.
    remembered: Option<Vec<Draw>>,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { again: None, remembered: None }) };
}

/// Puts back what was there before, also after a panic.
struct Restore<F: FnMut()>(F);

impl<F: FnMut()> Drop for Restore<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The next number of a counter: from `next`, or the number that the first run got.
///
/// # Panics
/// If the first run took fewer.
#[doc(hidden)]
#[track_caller]
pub fn drawn(next: impl FnOnce() -> i64) -> i64 {
    drawn_again_or(|| Draw { number: next(), key: None }).number
}

/// The number that the first run got here, or the next one.
#[track_caller]
pub(crate) fn drawn_again_or(next: impl FnOnce() -> Draw) -> Draw {
    STATE.with_borrow_mut(|state| {
        let drawn = match &mut state.again {
            None => next(),
            Some((draws, place)) => {
                *place += 1;
                let drawn = draws.get(*place - 1).cloned();
                drawn.expect(
                    "checkpoint: the function draws more numbers when it runs again for the backward pass",
                )
            }
        };
        state.remembered.iter_mut().for_each(|remembered| remembered.push(drawn.clone()));
        drawn
    })
}

/// Whether this is the second run of a function: what it counts was counted.
#[doc(hidden)]
pub fn is_run_again() -> bool {
    STATE.with_borrow(|state| state.again.is_some())
}

/// Runs `f`, and gives the numbers that it drew.
pub(crate) fn remember<R>(f: impl FnOnce() -> R) -> (R, Draws) {
    let outer = STATE.with_borrow_mut(|state| state.remembered.replace(Vec::new()));
    let mut outer = Some(outer);
    let mut own = None;
    let restore = Restore(|| {
        STATE.with_borrow_mut(|state| {
            let drawn = std::mem::replace(&mut state.remembered, outer.take().flatten()).unwrap_or_default();
            state.remembered.iter_mut().for_each(|remembered| remembered.extend(drawn.iter().cloned()));
            own = Some(drawn);
        });
    });
    let result = f();
    drop(restore);
    (result, own.unwrap_or_default().into())
}

/// Runs `f` with the numbers of another run.
pub(crate) fn repeat<R>(draws: &Draws, f: impl FnOnce() -> R) -> R {
    let again = State { again: Some((Arc::clone(draws), 0)), remembered: None };
    let mut before = Some(STATE.replace(again));
    let _restore = Restore(|| drop(STATE.replace(before.take().unwrap_or_default())));
    f()
}
