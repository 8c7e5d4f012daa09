//! Which tensors hold memory, and which operation made them: counted only while somebody looks.
//!
//! A thread keeps a list of the blocks that it has taken since the beginning, each with the number of the event in which it
//! was taken and given back. The blocks at the peak follow from these numbers, so that a new peak copies nothing.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::buffer;

/// The operation that asked for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MemoryOrigin {
    /// The name of the operation, or of the rule of an optimizer.
    pub operation: &'static str,
    /// Whether its gradient was computed, and not its value.
    pub backward: bool,
    /// The line that called the operation, where it is known.
    pub line: Option<&'static Location<'static>>,
}

/// Tensors of one size and origin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryGroup {
    /// The operation that made them; `None` for tensors that no operation on variables made, such as data.
    pub origin: Option<MemoryOrigin>,
    /// The number of buffers.
    pub count: usize,
    /// The bytes of the elements of each.
    pub each: usize,
}

/// The memory of tensors during a piece of a program; made by [`track_memory`], and printed as two tables.
///
/// Views and clones share a buffer, which counts once. Tensors made before count as they are held: with the rest of their
/// block, which has at least 128 bytes, and is up to a quarter larger than many elements.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryReport {
    /// The most bytes that tensors held at once, those made before included.
    pub peak: usize,
    /// The bytes of `peak` that are held by tensors made before, such as parameters.
    pub before: usize,
    /// The tensors made meanwhile that were alive at the peak, the most bytes first.
    pub at_peak: Vec<MemoryGroup>,
    /// The tensors made meanwhile that are still alive, the most bytes first.
    pub live: Vec<MemoryGroup>,
    /// The number of all buffers made meanwhile.
    pub made: usize,
    /// Their bytes.
    pub made_bytes: usize,
}

impl MemoryGroup {
    /// The bytes of all together.
    pub fn bytes(&self) -> usize {
        self.count * self.each
    }
}

impl MemoryReport {
    /// The bytes of tensors made meanwhile that are still alive: in the result, and whatever else was kept.
    pub fn live_bytes(&self) -> usize {
        self.live.iter().map(MemoryGroup::bytes).sum()
    }
}

/// A block that was taken.
struct Record {
    bytes: usize,
    origin: Option<MemoryOrigin>,
    /// The events in which it was taken and given back.
    taken: usize,
    given_back: usize,
}

/// The memory of this thread since one call of [`track_memory`].
struct Tracking {
    thread: usize,
    records: Vec<Record>,
    /// The place among the records of the block at an address.
    held: HashMap<usize, usize>,
    event: usize,
    /// The bytes that are held now: of blocks taken before, and since.
    before: usize,
    bytes: usize,
    peak: Peak,
}

#[derive(Clone, Copy)]
struct Peak {
    event: usize,
    before: usize,
    bytes: usize,
}

/// The number of calls of [`track_memory`] that run.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Blocks that were given back on other threads than had taken them: the number of the latter, and the address.
static STRAYED: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

thread_local! {
    static TRACKINGS: RefCell<Vec<Tracking>> = const { RefCell::new(Vec::new()) };
    static ORIGIN: Cell<Option<MemoryOrigin>> = const { Cell::new(None) };
}

impl Tracking {
    fn new(thread: usize, before: usize) -> Self {
        let peak = Peak { event: 0, before, bytes: 0 };
        Self { thread, records: Vec::new(), held: HashMap::new(), event: 0, before, bytes: 0, peak }
    }

    fn take(&mut self, address: usize, bytes: usize, origin: Option<MemoryOrigin>) {
        self.event += 1;
        self.held.insert(address, self.records.len());
        self.records.push(Record { bytes, origin, taken: self.event, given_back: usize::MAX });
        self.bytes += bytes;
        if self.before + self.bytes > self.peak.before + self.peak.bytes {
            self.peak = Peak { event: self.event, before: self.before, bytes: self.bytes };
        }
    }

    /// Whether the block is one of those taken since.
    fn give_back(&mut self, address: usize) -> bool {
        let Some(place) = self.held.remove(&address) else { return false };
        self.event += 1;
        self.records[place].given_back = self.event;
        self.bytes -= self.records[place].bytes;
        true
    }

    fn groups(&self, is_alive: impl Fn(&Record) -> bool) -> Vec<MemoryGroup> {
        let mut groups: Vec<MemoryGroup> = Vec::new();
        let mut places = HashMap::new();
        for record in self.records.iter().filter(|record| is_alive(record)) {
            let place = *places.entry((record.origin, record.bytes)).or_insert(groups.len());
            if place == groups.len() {
                groups.push(MemoryGroup { origin: record.origin, count: 0, each: record.bytes });
            }
            groups[place].count += 1;
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.bytes()));
        groups
    }

    fn report(&self) -> MemoryReport {
        let event = self.peak.event;
        MemoryReport {
            peak: self.peak.before + self.peak.bytes,
            before: self.peak.before,
            at_peak: self.groups(|record| record.taken <= event && event < record.given_back),
            live: self.groups(|record| record.given_back == usize::MAX),
            made: self.records.len(),
            made_bytes: self.records.iter().map(|record| record.bytes).sum(),
        }
    }
}

/// Counts the blocks that other threads have given back meanwhile.
fn settle(trackings: &mut [Tracking]) {
    let Some(thread) = trackings.first().map(|tracking| tracking.thread) else { return };
    STRAYED.lock().unwrap_or_else(PoisonError::into_inner).retain(|&(home, address)| {
        if home == thread {
            for tracking in &mut *trackings {
                tracking.give_back(address);
            }
        }
        home != thread
    });
}

/// This thread has taken a block, for this number of bytes of elements.
#[cold]
pub(super) fn taken(address: usize, bytes: usize) {
    let origin = ORIGIN.get();
    let _ = TRACKINGS.try_with(|trackings| {
        let mut trackings = trackings.borrow_mut();
        settle(&mut trackings);
        trackings.iter_mut().for_each(|tracking| tracking.take(address, bytes, origin));
    });
}

/// This thread has given a block back, of this size in all, that the thread `home` had taken.
#[cold]
pub(super) fn given_back(address: usize, bytes: usize, home: usize) {
    let settled = TRACKINGS.try_with(|trackings| {
        let mut trackings = trackings.borrow_mut();
        settle(&mut trackings);
        let mut is_ours = false;
        for tracking in trackings.iter_mut().filter(|tracking| tracking.thread == home) {
            is_ours = true;
            if !tracking.give_back(address) {
                tracking.before = tracking.before.saturating_sub(bytes);
            }
        }
        is_ours
    });
    if settled != Ok(true) && RUNNING.load(Ordering::Relaxed) > 0 {
        STRAYED.lock().unwrap_or_else(PoisonError::into_inner).push((home, address));
    }
}

/// Runs `f`, and reports on the memory of the tensors that this thread made meanwhile.
///
/// The result of `f` is still alive when the report is made, so that its tensors are in [`live`](MemoryReport::live). Calls
/// may be nested. Tensors that other threads make are not counted. A report costs time for each tensor that is made; outside,
/// a tensor costs the test of a flag.
///
/// ```
/// use gradus_tensor::{Tensor, track_memory};
///
/// let x = Tensor::<f32>::ones([1000]);
/// let (y, report) = track_memory(|| {
///     let double = &x * 2.0;
///     double.exp()
/// });
/// assert_eq!(report.peak - report.before, 8000); // `double` and its exponential
/// assert_eq!(report.live_bytes(), 4000); // the exponential
/// # drop(y);
/// ```
pub fn track_memory<R>(f: impl FnOnce() -> R) -> (R, MemoryReport) {
    /// Ends the counting, also if `f` panics.
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            let is_last = TRACKINGS.with_borrow_mut(|trackings| {
                trackings.pop();
                trackings.is_empty()
            });
            buffer::track(!is_last);
            // Under the lock: a tracking that begins now may lose none of its buffers.
            let mut strayed = STRAYED.lock().unwrap_or_else(PoisonError::into_inner);
            if RUNNING.fetch_sub(1, Ordering::Relaxed) == 1 {
                strayed.clear();
            }
        }
    }
    RUNNING.fetch_add(1, Ordering::Relaxed);
    let (thread, before) = buffer::track(true);
    TRACKINGS.with_borrow_mut(|trackings| trackings.push(Tracking::new(thread, before)));
    let _ended = Ended;
    let result = f();
    let report = TRACKINGS.with_borrow_mut(|trackings| {
        settle(trackings);
        trackings.last().expect("it is popped only after this").report()
    });
    (result, report)
}

/// Until it is dropped, memory is counted for an operation; within another one, for the outer one.
#[derive(Debug)]
pub struct CountedFor {
    is_outermost: bool,
}

impl CountedFor {
    /// For this operation.
    pub fn new(operation: &'static str, backward: bool, line: Option<&'static Location<'static>>) -> Self {
        let is_outermost = ORIGIN.get().is_none();
        if is_outermost {
            ORIGIN.set(Some(MemoryOrigin { operation, backward, line }));
        }
        Self { is_outermost }
    }
}

impl Drop for CountedFor {
    fn drop(&mut self) {
        if self.is_outermost {
            ORIGIN.set(None);
        }
    }
}

/// Bytes with a unit.
#[doc(hidden)]
#[derive(Debug)]
pub struct Bytes(pub usize);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let thousands = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
        let text = match thousands.iter().find(|(size, _)| self.0 as f64 >= *size) {
            Some((size, unit)) => format!("{:.1} {unit}", self.0 as f64 / size),
            None => format!("{} B", self.0),
        };
        f.pad(&text)
    }
}

/// `gradient of linear, src/main.rs:12:9`
impl Display for MemoryOrigin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.backward { "gradient of " } else { "" }, self.operation)?;
        self.line.map_or(Ok(()), |line| write!(f, ", {line}"))
    }
}

impl Display for MemoryReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [before, new] = [self.before, self.peak - self.before].map(Bytes);
        writeln!(f, "peak: {} = {before} made before + {new} made meanwhile", Bytes(self.peak))?;
        write_groups(f, &self.at_peak)?;
        writeln!(f, "still alive: {}", Bytes(self.live_bytes()))?;
        write_groups(f, &self.live)?;
        write!(f, "all made meanwhile: {} in {} tensors", Bytes(self.made_bytes), self.made)
    }
}

fn write_groups(f: &mut Formatter<'_>, groups: &[MemoryGroup]) -> fmt::Result {
    for group in groups {
        let origin = group.origin.map_or_else(|| "other".into(), |origin| origin.to_string());
        let [all, each] = [group.bytes(), group.each].map(Bytes);
        writeln!(f, "  {all:>9} = {:>5} x {each:<9} {origin}", group.count)?;
    }
    Ok(())
}
