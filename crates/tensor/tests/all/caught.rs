//! Panics caught quietly, with their words and their place. The messages of the other crates are tested with it too.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<(String, String, u32)>> = const { RefCell::new(None) };
}

/// Catches panics of actions quietly, and leaves those of the tests themselves to the harness.
fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CATCHING.get() {
                return previous(info);
            }
            let location = info.location().expect("always known");
            let text = info.payload().downcast_ref::<String>().cloned();
            let message =
                text.unwrap_or_else(|| (*info.payload().downcast_ref::<&str>().expect("a text")).into());
            CAUGHT.set(Some((message, location.file().to_string(), location.line())));
        }));
    });
}

/// The message of the panic of an action, and where it says that it was; nothing if there is no panic.
pub(crate) fn caught<R>(action: impl FnOnce() -> R) -> Option<(String, String, u32)> {
    install_hook();
    CATCHING.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| drop(action())));
    CATCHING.set(false);
    result.err().map(|_| CAUGHT.take().expect("the hook has run"))
}

/// The message of the panic of an action, and where it says that it was.
#[track_caller]
pub(crate) fn panic_of<R>(action: impl FnOnce() -> R) -> (String, String, u32) {
    caught(action).expect("there was no panic")
}

/// The action must panic with this message, at its own line: that of the call, or the next if it is long.
#[track_caller]
pub(crate) fn panics<R>(action: impl FnOnce() -> R, expected: &str) {
    let (message, file, line) = panic_of(action);
    assert_eq!(message, expected);
    let caller = Location::caller();
    assert_eq!(file, caller.file(), "the file named by: {message}");
    assert!((0..=1).contains(&(line - caller.line())), "line {line} named by: {message}");
}
