//! The memory beneath tensors: counted, aligned to cache lines, and recycled.
//!
//! A training step asks for the same sizes again and again, and a page that the system hands out costs more to
//! touch for the first time than to compute on. So a block that nobody holds any more goes to a free list of
//! the thread that dropped it, and the next tensor of about its size gets it, uninitialised. Of the blocks that
//! other threads made, one of each size is kept.

#![allow(unsafe_code, reason = "memory that is counted and not initialised; see SAFETY")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use super::memory;
use super::pages::{HUGE, advise};
use super::threads::for_each_part;

/// The head of a block, before the elements. It is a cache line long, so that the elements begin at one.
#[repr(C, align(64))]
struct Header {
    owners: AtomicUsize,
    /// The size of the whole block in bytes: the size of a class.
    bytes: usize,
    /// The number of the thread that has taken it.
    home: usize,
    /// Whether somebody followed that thread's memory then.
    tracked: bool,
}

const HEADER: usize = size_of::<Header>();

/// Elements of one type, shared by all clones of this buffer.
pub(crate) struct Buffer<T> {
    block: NonNull<Header>,
    len: usize,
    elements: PhantomData<T>,
}

// SAFETY: elements may be read and sent by several threads, the count is atomic, and writing needs `&mut` and to be the
// only owner.
unsafe impl<T: Copy + Send + Sync> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Copy + Send + Sync> Sync for Buffer<T> {}

impl<T: Copy> Buffer<T> {
    /// A buffer of `len` elements, all of which `fill` has to write.
    ///
    /// # Safety
    /// When `fill` returns, every element must be initialised.
    pub(crate) unsafe fn build(len: usize, fill: impl FnOnce(&mut [MaybeUninit<T>])) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(HEADER));
        let block = take_block(bytes.expect("sizes are checked before memory is asked for"));
        // If `fill` panics, this gives the block back.
        let buffer = Self { block, len, elements: PhantomData };
        // SAFETY: the block has room for `len` elements after its header, aligned to 64 bytes; nobody else
        // knows it; and `MaybeUninit` may be uninitialised.
        fill(unsafe { slice::from_raw_parts_mut(buffer.data().cast(), len) });
        buffer
    }

    /// The first `len` items of an iterator.
    ///
    /// # Panics
    /// If there are fewer.
    pub(crate) fn collect(len: usize, items: impl IntoIterator<Item = T>) -> Self {
        // SAFETY: a count of `len` says that each element was written.
        unsafe {
            Self::build(len, |elements| {
                let written =
                    elements.iter_mut().zip(items).map(|(element, item)| element.write(item)).count();
                assert_eq!(written, len, "there are fewer items than elements");
            })
        }
    }

    /// One value throughout.
    pub(crate) fn filled(len: usize, value: T) -> Self {
        // SAFETY: `fill` writes all.
        unsafe { Self::build(len, |elements| elements.fill(MaybeUninit::new(value))) }
    }

    /// A buffer of `len` elements that `fill` writes in parts of `length`, on several threads if there are several parts.
    /// A part is `value` throughout before.
    pub(crate) fn in_parts(len: usize, length: usize, value: T, fill: impl Fn(usize, &mut [T]) + Sync) -> Self
    where
        T: Send + Sync,
    {
        // SAFETY: parts cover all elements, and each of them is written first.
        unsafe {
            Self::build(len, |elements| {
                for_each_part(elements, length, |start, part| {
                    part.fill(MaybeUninit::new(value));
                    // SAFETY: all elements of the part have just been written.
                    fill(start, slice::from_raw_parts_mut(part.as_mut_ptr().cast(), part.len()));
                });
            })
        }
    }

    /// The elements of slices one after another, `len` in all.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub(crate) fn concat<'a>(len: usize, slices: impl IntoIterator<Item = &'a [T]>) -> Self
    where
        T: 'a,
    {
        // SAFETY: nothing is left of the elements in the end, so each was written.
        unsafe {
            Self::build(len, |mut rest| {
                for slice in slices {
                    let elements;
                    (elements, rest) = rest.split_at_mut(slice.len());
                    for (element, &x) in elements.iter_mut().zip(slice) {
                        element.write(x);
                    }
                }
                assert!(rest.is_empty(), "there are fewer items than elements");
            })
        }
    }

    /// A copy of a slice.
    pub(crate) fn copy(data: &[T]) -> Self {
        Self::collect(data.len(), data.iter().copied())
    }

    /// Where the elements begin.
    fn data(&self) -> *mut T {
        // SAFETY: a block is at least a header long.
        unsafe { self.block.as_ptr().cast::<u8>().add(HEADER).cast() }
    }

    fn header(&self) -> &Header {
        // SAFETY: the header is initialised when the block is taken, and lives as long as a buffer owns it.
        unsafe { self.block.as_ref() }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `build` has initialised `len` elements, and nobody writes while there is a shared reference:
        // `get_mut` wants `&mut` on the only owner.
        unsafe { slice::from_raw_parts(self.data(), self.len) }
    }

    /// The elements to be written, if no other buffer shares them.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<&mut [T]> {
        // SAFETY: this is the only owner, and it is borrowed uniquely; the count pairs with the release in
        // `drop`, so what other owners read, they have read.
        (self.header().owners.load(Ordering::Acquire) == 1)
            .then(|| unsafe { slice::from_raw_parts_mut(self.data(), self.len) })
    }

    /// An identity of these elements, and the number of buffers that share them now.
    pub(crate) fn identity(&self) -> (usize, usize) {
        (self.block.as_ptr() as usize, self.header().owners.load(Ordering::Relaxed))
    }
}

impl<T> Clone for Buffer<T> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: as in `header`. Relaxed is enough, as for `Arc`: a new owner comes from an old one.
        unsafe { self.block.as_ref() }.owners.fetch_add(1, Ordering::Relaxed);
        Self { ..*self }
    }
}

impl<T> Drop for Buffer<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `header`.
        let owners = unsafe { &self.block.as_ref().owners };
        if owners.load(Ordering::Relaxed) != 1 && owners.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // What the other owners did happened before this, as in `Arc`. The only owner left cannot be cloned
        // meanwhile, so it need not count down to zero.
        fence(Ordering::Acquire);
        give_block_back(self.block);
    }
}

/// Four classes to each power of two, so that at most a fifth of a block is not asked for.
const CLASSES: usize = 4 * usize::BITS as usize;

/// The number and the size in bytes of the smallest class that holds `bytes`.
fn class(bytes: usize) -> (usize, usize) {
    let last = bytes.max(2 * HEADER) - 1;
    let power = last.ilog2() as usize;
    let quarter = (last >> (power - 2)) & 3;
    (4 * power + quarter, (4 + quarter + 1) << (power - 2))
}

/// The blocks that wait for their next use.
struct FreeLists {
    /// The number of this thread; 0 until it is first needed.
    thread: usize,
    lists: [Vec<NonNull<Header>>; CLASSES],
    /// When a class was last asked for; old ones are given up first.
    used: [u64; CLASSES],
    clock: u64,
    /// The bytes in all lists.
    waiting: usize,
    /// The bytes that this thread has taken and not given back, and the most there have been.
    in_use: usize,
    peak: usize,
    /// Whether [`memory`] hears of the blocks that this thread takes and gives back.
    tracked: bool,
}

/// Up to here blocks are kept whatever the peak.
const ALWAYS_KEPT: usize = 64 << 20;

/// The bytes of blocks that were given back on other threads than had taken them, by the number of the latter.
/// Threads far apart share a place, and then one may think that it uses less than it does.
static STRAYS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

fn strays(thread: usize) -> &'static AtomicUsize {
    &STRAYS[thread % STRAYS.len()]
}

fn new_thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(1);
    THREADS.fetch_add(1, Ordering::Relaxed)
}

thread_local! {
    static FREE: RefCell<FreeLists> = const {
        RefCell::new(FreeLists {
            thread: 0,
            lists: [const { Vec::new() }; CLASSES],
            used: [0; CLASSES],
            clock: 0,
            waiting: 0,
            in_use: 0,
            peak: 0,
            tracked: false,
        })
    };
}

impl FreeLists {
    fn take(&mut self, class: usize, bytes: usize) -> Option<NonNull<Header>> {
        self.clock += 1;
        self.used[class] = self.clock;
        self.in_use += bytes;
        if self.in_use > self.peak {
            if self.thread == 0 {
                self.thread = new_thread();
            }
            // Not all of that need still be in use.
            self.in_use =
                self.in_use.saturating_sub(strays(self.thread).swap(0, Ordering::Relaxed)).max(bytes);
            self.peak = self.peak.max(self.in_use);
        }
        let block = self.lists[class].pop()?;
        self.waiting -= bytes;
        Some(block)
    }

    fn put(&mut self, block: NonNull<Header>, class: usize, bytes: usize, home: usize) {
        let is_stray = home != self.thread;
        if is_stray {
            strays(home).fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.in_use = self.in_use.saturating_sub(bytes);
        }
        // A thread that only uses what others make would never need their blocks again.
        let is_enough = is_stray && !self.lists[class].is_empty();
        self.waiting += bytes;
        self.lists[class].push(block);
        if is_enough {
            self.free_one(class);
        }
        // No more waits than was in use at once, so a thread holds at most twice what it needs.
        while self.waiting > self.peak.max(ALWAYS_KEPT) {
            let filled = (0..CLASSES).filter(|&class| !self.lists[class].is_empty());
            let oldest = filled.min_by_key(|&class| self.used[class]).expect("some bytes wait");
            self.free_one(oldest);
        }
    }

    fn free_one(&mut self, class: usize) {
        let block = self.lists[class].pop().expect("a class that is not empty");
        // SAFETY: blocks in the lists are initialised and have no owner.
        let bytes = unsafe { block.as_ref().bytes };
        self.waiting -= bytes;
        // SAFETY: allocated by `take_block` with this layout; out of the list, nobody knows it.
        unsafe { dealloc(block.as_ptr().cast(), block_layout(bytes)) };
    }

    fn free_all(&mut self) {
        for class in 0..CLASSES {
            while !self.lists[class].is_empty() {
                self.free_one(class);
            }
            // The memory of the list itself.
            self.lists[class] = Vec::new();
        }
        self.peak = self.in_use;
    }
}

impl Drop for FreeLists {
    fn drop(&mut self) {
        self.free_all();
    }
}

fn block_layout(bytes: usize) -> Layout {
    let align = if bytes < HUGE { align_of::<Header>() } else { HUGE };
    Layout::from_size_align(bytes, align).expect("sizes are checked before memory is asked for")
}

/// A block of at least `asked` bytes, header included, with one owner.
fn take_block(asked: usize) -> NonNull<Header> {
    let (class, bytes) = class(asked);
    // Before anything is counted, as this panics for what no machine can hold.
    let layout = block_layout(bytes);
    // While a thread ends, its lists are gone.
    let taken = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        let waiting = free.take(class, bytes);
        (waiting, free.thread, free.tracked)
    });
    let (waiting, home, tracked) = taken.unwrap_or_default();
    let block = waiting.unwrap_or_else(|| {
        // SAFETY: the size is not 0.
        let block = unsafe { alloc(layout) };
        if !block.is_null() {
            advise(block, bytes);
        }
        NonNull::new(block.cast()).unwrap_or_else(|| handle_alloc_error(layout))
    });
    // SAFETY: the block is at least a header long and aligned to it, and nobody else knows it.
    unsafe { block.write(Header { owners: AtomicUsize::new(1), bytes, home, tracked }) };
    if tracked {
        memory::taken(block.as_ptr() as usize, asked - HEADER);
    }
    block
}

fn give_block_back(block: NonNull<Header>) {
    // SAFETY: the header is initialised, and the last owner has let go.
    let Header { bytes, home, tracked, .. } = *unsafe { block.as_ref() };
    if tracked {
        memory::given_back(block.as_ptr() as usize, bytes, home);
    }
    let kept = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        free.put(block, class(bytes).0, bytes, home);
        free.tracked && !tracked && home == free.thread
    });
    if kept == Ok(true) {
        memory::given_back(block.as_ptr() as usize, bytes, home);
    }
    if kept.is_err() {
        // SAFETY: allocated by `take_block` with this layout, and nobody knows it any more.
        unsafe { dealloc(block.as_ptr().cast(), block_layout(bytes)) };
    }
}

/// Sets whether [`memory`] hears of this thread's blocks; returns its number, and the bytes that it uses.
pub(super) fn track(tracked: bool) -> (usize, usize) {
    FREE.with(|free| {
        let mut free = free.borrow_mut();
        free.tracked = tracked;
        if free.thread == 0 {
            free.thread = new_thread();
        }
        (free.thread, free.in_use.saturating_sub(strays(free.thread).load(Ordering::Relaxed)))
    })
}

/// Gives the memory that waits on this thread for its next use back to the system; returns its bytes.
///
/// Memory of tensors that nobody holds is kept for the next ones, up to as much as the thread has used at
/// once. A program that is done with large tensors and goes on can let it go.
///
/// ```
/// use gradus_tensor::{Tensor, release_memory};
///
/// drop(Tensor::<f32>::zeros([1000, 1000]));
/// assert!(release_memory() >= 4_000_000);
/// assert_eq!(release_memory(), 0);
/// ```
pub fn release_memory() -> usize {
    FREE.with(|free| {
        let mut free = free.borrow_mut();
        let bytes = free.waiting;
        free.free_all();
        bytes
    })
}
