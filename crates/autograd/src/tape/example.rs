//! Variables that stand for one example of a batch while [`vmap`](crate::vmap) records a function, and whether somebody
//! reads their numbers.
//!
//! What depends on an example is deeper than everything else: the leaf of an example begins a range of depths of its own, one
//! range for each `vmap` inside of another. So a node tells by its depth alone what it depends on.

use std::cell::Cell;
use std::sync::Arc;

use gradus_tensor::Float;

use super::mode;
use super::node::Node;

/// The position of the level among the bits of a depth.
const SHIFT: u32 = usize::BITS - 6;

/// The number of `vmap`s that can run inside of each other.
const MOST: usize = 60;

thread_local! {
    /// The number of `vmap`s that record now.
    static LEVEL: Cell<usize> = const { Cell::new(0) };
    /// For each level whether numbers that depend on its examples were read.
    static READS: Cell<u64> = const { Cell::new(0) };
}

/// Whether a node depends on an example.
#[inline]
pub(crate) fn depends<T: Float>(node: &Node<T>) -> bool {
    node.depth >> SHIFT != 0
}

/// Notes that somebody reads the numbers of a variable: they may differ between the examples.
#[inline]
pub(super) fn note<T: Float>(node: Option<&Arc<Node<T>>>) {
    if let Some(node) = node
        && depends(node)
    {
        note_depth(node.depth);
    }
}

#[cold]
fn note_depth(depth: usize) {
    READS.set(READS.get() | 1 << (depth >> SHIFT));
}

/// Runs `f`, which records something for the examples of a batch; `f` gets the depth of their leaves. Also gives whether
/// their numbers were read.
#[track_caller]
pub(crate) fn record<R>(f: impl FnOnce(usize) -> R) -> (R, bool) {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            READS.set(READS.get() & !(1 << LEVEL.get()));
            LEVEL.set(LEVEL.get() - 1);
        }
    }
    let level = LEVEL.get() + 1;
    assert!(
        level <= MOST,
        "vmap: there are {MOST} levels of it inside of each other, and no more are possible"
    );
    LEVEL.set(level);
    let _restore = Restore;
    let result = mode::with_examples(|| f(level << SHIFT));
    (result, READS.get() & 1 << level != 0)
}

/// Runs `f`, and gives whether it read numbers that depend on examples. Then it is as if it had not, if `forgives` says so.
pub(crate) fn reads<R>(f: impl FnOnce() -> R, forgives: impl FnOnce(&R) -> bool) -> (R, bool) {
    let before = READS.replace(0);
    let result = f();
    let read = READS.get();
    let forgiven = read != 0 && forgives(&result);
    READS.set(if forgiven { before } else { before | read });
    (result, forgiven)
}
