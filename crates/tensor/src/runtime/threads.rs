//! Work shared among threads: pieces, and who does them.
//!
//! The pieces depend on the shapes alone, never on the number of threads, and no piece looks at what
//! another one wrote. So any number of threads gives the same bits.
//!
//! Nobody waits for a thread that has not begun: the caller does pieces itself until none is left, then
//! closes the job, and waits only for those who are inside. On a machine that is busy with something else
//! it loses nothing but help.

#![allow(unsafe_code, reason = "a borrowed closure is lent to threads that outlive it; see SAFETY")]

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// More threads than this are not used.
const MOST: usize = 64;
/// How long a worker looks for more work before it sleeps.
const PATIENCE: Duration = Duration::from_micros(50);

/// The number of threads asked for; 0 until it is first needed.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// How many threads an operation may use, the calling one included.
///
/// ```
/// use gradus_tensor::num_threads;
///
/// assert!(num_threads() >= 1);
/// ```
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => {
            let asked = std::env::var("GRADUS_NUM_THREADS").ok().and_then(|number| number.parse().ok());
            let number = asked.or_else(|| thread::available_parallelism().ok().map(usize::from));
            set_num_threads(number.unwrap_or(1));
            num_threads()
        }
        number => number,
    }
}

/// Sets how many threads an operation may use, the calling one included: 1 for none but that, at most 64.
///
/// At first it is the environment variable `GRADUS_NUM_THREADS`, or else the number of processors. Small
/// work stays on the calling thread. The number has no influence on results.
///
/// ```
/// use gradus_tensor::{Tensor, num_threads, set_num_threads};
///
/// let x = Tensor::<f32>::ones([300, 300]);
/// set_num_threads(1);
/// let alone = x.matmul(&x);
/// set_num_threads(4);
/// assert_eq!((num_threads(), x.matmul(&x)), (4, alone));
/// ```
pub fn set_num_threads(number: usize) {
    THREADS.store(number.clamp(1, MOST), Ordering::Relaxed);
}

/// The job, or the last one: 1 if it is open, twice the number of workers inside, and from bit 32 its number.
type State = u64;
const OPEN: State = 1;
const INSIDE: State = 2;
const NUMBER: State = 1 << 32;

#[derive(Clone, Copy)]
struct Job {
    /// The lifetime is not true: see `run`.
    piece: &'static (dyn Fn(usize) + Sync),
    pieces: usize,
    threads: usize,
}

/// On a line of its own, for threads to count without disturbing each other.
#[repr(align(128))]
struct Counter(AtomicUsize);

struct Pool {
    state: AtomicU64,
    /// Written by the owner alone, while the state is closed and nobody is inside.
    job: UnsafeCell<Option<Job>>,
    /// For each thread the next of the pieces that are its own.
    next: [Counter; MOST],
    /// The payload of a panic in a piece.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    asleep: [AtomicBool; MOST],
    /// The workers so far. Whoever holds the lock owns the pool.
    workers: Mutex<Vec<Thread>>,
}

// SAFETY: `job` is read only by workers that have counted themselves in while the state was open, and written
// only by the owner when it is closed and their number is 0; the state orders these.
unsafe impl Sync for Pool {}

static POOL: OnceLock<&'static Pool> = OnceLock::new();

fn pool() -> &'static Pool {
    POOL.get_or_init(|| {
        Box::leak(Box::new(Pool {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            next: [const { Counter(AtomicUsize::new(0)) }; MOST],
            panic: Mutex::new(None),
            asleep: [const { AtomicBool::new(false) }; MOST],
            workers: Mutex::new(Vec::new()),
        }))
    })
}

impl Job {
    /// Does pieces until none is left: first those of this thread, which stay with it from job to job and so in
    /// its cache, then those of others.
    fn help(&self, pool: &Pool, thread: usize) {
        for turn in 0..self.threads {
            let owner = (thread + turn) % self.threads;
            let end = self.first(owner + 1);
            loop {
                let piece = pool.next[owner].0.fetch_add(1, Ordering::Relaxed);
                if piece >= end {
                    break;
                }
                (self.piece)(piece);
            }
        }
    }

    fn first(&self, thread: usize) -> usize {
        self.pieces * thread / self.threads
    }
}

/// Calls `piece` with each number below `pieces`, on several threads if there are some to spare.
pub(crate) fn for_each_piece(pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
    let threads = num_threads().min(pieces);
    if threads < 2 || !run(threads, pieces, piece) {
        (0..pieces).for_each(piece);
    }
}

/// Does a job with workers; false if they are busy with another one (maybe the one that calls this).
fn run(threads: usize, pieces: usize, piece: &(dyn Fn(usize) + Sync)) -> bool {
    let pool = pool();
    let mut workers = match pool.workers.try_lock() {
        Ok(workers) => workers,
        // Whatever has panicked, the list is as good as before.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return false,
    };
    while workers.len() + 1 < threads {
        let number = workers.len() + 1;
        let worker =
            thread::Builder::new().name(format!("gradus {number}")).spawn(move || work(pool, number));
        let Ok(worker) = worker else { return false };
        workers.push(worker.thread().clone());
    }
    // SAFETY: only the lifetime changes. `Close` ends the job before this function returns or unwinds, and
    // waits for every worker that is inside; later ones find it closed.
    let piece =
        unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(piece) };
    let job = Job { piece, pieces, threads };
    for thread in 0..threads {
        pool.next[thread].0.store(job.first(thread), Ordering::Relaxed);
    }
    // SAFETY: this thread holds the lock, the state is closed, and nobody is inside.
    unsafe { *pool.job.get() = Some(job) };
    let number = (pool.state.load(Ordering::Relaxed) / NUMBER).wrapping_add(1);
    // Sequentially consistent, so that a worker falls asleep before this, and is seen asleep, or sees the job.
    pool.state.store(number.wrapping_mul(NUMBER) | OPEN, Ordering::SeqCst);
    let close = Close(pool);
    for (worker, asleep) in workers.iter().zip(&pool.asleep).take(threads - 1) {
        if asleep.load(Ordering::SeqCst) {
            worker.unpark();
        }
    }
    let own = catch_unwind(AssertUnwindSafe(|| job.help(pool, 0)));
    drop(close);
    // Taken out in any case: the next job is not to find it.
    let of_workers = pool.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(workers);
    if let Some(panic) = own.err().or(of_workers) {
        resume_unwind(panic);
    }
    true
}

/// Closes the job and waits for those inside, also if the owner panics.
struct Close(&'static Pool);

impl Drop for Close {
    fn drop(&mut self) {
        let mut state = self.0.state.fetch_and(!OPEN, Ordering::AcqRel) & !OPEN;
        let mut rounds = 0_u32;
        while !state.is_multiple_of(NUMBER) {
            rounds += 1;
            // Whoever is inside may have lost its processor.
            if rounds.is_multiple_of(1024) {
                thread::yield_now();
            } else {
                spin_loop();
            }
            state = self.0.state.load(Ordering::Acquire);
        }
    }
}

fn work(pool: &'static Pool, thread: usize) {
    let mut done = 0;
    loop {
        let state = wait_for_job(pool, thread, done);
        if pool.state.compare_exchange(state, state + INSIDE, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // Another worker came in or left meanwhile, or the job is closed.
            continue;
        }
        done = state / NUMBER;
        // SAFETY: this worker has counted itself in while the job was open, so the owner waits before it writes.
        let job = unsafe { (*pool.job.get()).expect("an open job") };
        if thread < job.threads {
            let help = catch_unwind(AssertUnwindSafe(|| job.help(pool, thread)));
            if let Err(panic) = help {
                let mut first = pool.panic.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none() {
                    *first = Some(panic);
                } else {
                    // To drop it would run a caller's code, which might panic again before this worker is out.
                    std::mem::forget(panic);
                }
            }
        }
        pool.state.fetch_sub(INSIDE, Ordering::Release);
    }
}

/// Returns the state once it is open with another number than `done`.
fn wait_for_job(pool: &Pool, thread: usize, done: u64) -> State {
    let is_new = |state: State| state & OPEN != 0 && state / NUMBER != done;
    loop {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..32 {
                let state = pool.state.load(Ordering::Acquire);
                if is_new(state) {
                    return state;
                }
                spin_loop();
            }
        }
        let asleep = &pool.asleep[thread - 1];
        asleep.store(true, Ordering::SeqCst);
        if !is_new(pool.state.load(Ordering::SeqCst)) {
            thread::park();
        }
        asleep.store(false, Ordering::Relaxed);
    }
}

/// Calls `f(start, part)` for the parts of `out` that are `length` long (the last may be shorter), on several
/// threads if there are several parts.
#[inline]
pub(crate) fn for_each_part<U: Send>(out: &mut [U], length: usize, f: impl Fn(usize, &mut [U]) + Sync) {
    if out.len() <= length {
        return f(0, out);
    }
    let all = out.len();
    let base = Pointer(out.as_mut_ptr());
    for_each_piece(all.div_ceil(length), &|piece| {
        let start = piece * length;
        // SAFETY: pieces are distinct, so parts do not overlap; each lies within `out`, which is borrowed
        // uniquely until all are done.
        f(start, unsafe { slice::from_raw_parts_mut(base.at(start), length.min(all - start)) });
    });
}

/// Where threads write, each what belongs to its pieces alone.
pub(crate) struct Pointer<U>(pub(crate) *mut U);

// SAFETY: it is only used to write elements that belong to one piece alone, and that may be sent.
unsafe impl<U: Send> Sync for Pointer<U> {}

impl<U> Pointer<U> {
    /// # Safety
    /// The place must be within the allocation.
    pub(crate) unsafe fn at(&self, start: usize) -> *mut U {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(start) }
    }
}

/// Like [`for_each_part`] for several buffers of one length, cut at the same places.
pub(crate) fn for_each_part_of<U: Send, const N: usize>(
    buffers: [&mut [U]; N],
    length: usize,
    f: impl Fn(usize, [&mut [U]; N]) + Sync,
) {
    let all = buffers.first().map_or(0, |buffer| buffer.len());
    assert!(buffers.iter().all(|buffer| buffer.len() == all), "buffers of different lengths");
    if all <= length {
        return f(0, buffers);
    }
    let bases = buffers.map(|buffer| Pointer(buffer.as_mut_ptr()));
    for_each_piece(all.div_ceil(length), &|piece| {
        let start = piece * length;
        // SAFETY: as in `for_each_part`, for each of the buffers, which are borrowed uniquely and so distinct.
        let parts = bases
            .each_ref()
            .map(|base| unsafe { slice::from_raw_parts_mut(base.at(start), length.min(all - start)) });
        f(start, parts);
    });
}

/// Calls `f(piece, parts)` for each of `pieces`, with the piece's part of every buffer: beside each is the length of
/// its parts, of which the last may be shorter. On several threads if the work is to be `shared`.
pub(crate) fn for_each_piece_with<U: Send, const N: usize>(
    pieces: usize,
    shared: bool,
    buffers: [(&mut [U], usize); N],
    f: impl Fn(usize, [&mut [U]; N]) + Sync,
) {
    let lengths = buffers.each_ref().map(|(buffer, length)| (buffer.len(), *length));
    let bases = buffers.map(|(buffer, _)| Pointer(buffer.as_mut_ptr()));
    let piece = |piece: usize| {
        let parts = std::array::from_fn(|k| {
            let (all, length) = lengths[k];
            let start = all.min(piece * length);
            // SAFETY: as in `for_each_part`, for each of the buffers, which are borrowed uniquely and so distinct.
            unsafe { slice::from_raw_parts_mut(bases[k].at(start), length.min(all - start)) }
        });
        f(piece, parts);
    };
    for_each_piece_of(pieces, shared, &piece);
}

/// Calls `piece` with each number below `pieces`; on several threads only if the work is to be `shared`.
pub(crate) fn for_each_piece_of(pieces: usize, shared: bool, piece: &(dyn Fn(usize) + Sync)) {
    if shared { for_each_piece(pieces, piece) } else { (0..pieces).for_each(piece) }
}
