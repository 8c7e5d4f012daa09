//! An allocator that tells the memory of tensors apart and counts it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Blocks of tensors ever taken from the system, and the bytes of those not yet given back.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicIsize = AtomicIsize::new(0);
/// Other allocations of at least [`LARGE`] bytes.
static OTHERS: AtomicUsize = AtomicUsize::new(0);
const LARGE: usize = 4096;

thread_local! {
    /// All allocations of this thread, but for those in `gemm`.
    static OF_THREAD: Cell<usize> = const { Cell::new(0) };
}

/// Blocks of tensors begin at a cache line or, if they are large, at a huge page.
fn is_tensor(layout: Layout) -> bool {
    layout.align() == 64 || layout.align() == 2 << 20
}

/// `gemm` makes and drops space to reorder operands in with every product, in lines of 128 bytes.
fn is_workspace(layout: Layout) -> bool {
    layout.align() == 128
}

/// `gemm` also makes and drops a list of flags.
fn is_of_gemm(layout: Layout) -> bool {
    is_workspace(layout) || layout.align() == 1
}

fn count(layout: Layout) {
    if !is_of_gemm(layout) {
        // A thread that ends may allocate after its counter is gone.
        let _ = OF_THREAD.try_with(|count| count.set(count.get() + 1));
    }
    if is_tensor(layout) {
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
    } else if layout.size() >= LARGE && !is_workspace(layout) {
        OTHERS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: all work is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: the caller keeps the contract of this same method.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_tensor(layout) {
            BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        assert!(!is_tensor(layout), "blocks of tensors keep their size");
        let _ = OF_THREAD.try_with(|count| count.set(count.get() + 1));
        if size >= LARGE {
            OTHERS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Allocations of this thread so far, without those in `gemm`.
pub(crate) fn allocations_of_thread() -> usize {
    OF_THREAD.get()
}

/// Blocks of tensors, and other large ones, that the system was asked for so far.
pub(crate) fn allocations() -> (usize, usize) {
    (BLOCKS.load(Ordering::Relaxed), OTHERS.load(Ordering::Relaxed))
}

/// Bytes of tensors that the process holds, in use or waiting for their next use.
pub(crate) fn held() -> usize {
    usize::try_from(BYTES.load(Ordering::Relaxed)).expect("as many taken as given back")
}

/// Runs a test while no other one does, on a thread of its own, whose end gives back all that it held.
pub(crate) fn alone(test: impl FnOnce() + Send) {
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let before = held();
    let result = thread::scope(|scope| scope.spawn(test).join());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(held(), before, "bytes that outlive the thread");
}
