//! Batches that are made ahead of time on other threads.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::batches::Batches;

/// Batches made ahead of time, from [`Batches::prefetch`]: the same in the same order for any number of threads.
///
/// The threads begin when the first batch is asked for. With n threads at most n + 1 batches are ready or being made beside
/// those that the caller has. If making one panics, `next` goes on with the panic when its turn comes. Dropping it,
/// also in the middle, waits for the batches being made and ends the threads.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
/// use gradus::Tensor;
/// use gradus::data::Batches;
///
/// let x = Tensor::from(0..10);
/// let sums = Batches::of(x, 4).transform(|x| x.sum(..).item()).prefetch(2);
/// assert_eq!(sums.collect::<Vec<_>>(), [6, 22, 17]);
/// ```
#[derive(Debug)]
pub struct Prefetch<B> {
    batches: Batches<'static, B>,
    threads: usize,
    /// Once they have begun.
    workers: Option<Workers<B>>,
}

#[derive(Debug)]
struct Workers<B> {
    shared: Arc<Shared<B>>,
    threads: Vec<JoinHandle<()>>,
}

/// A batch, or the payload of the panic that came in its place.
type Made<B> = Result<B, Box<dyn Any + Send>>;

#[derive(Debug)]
struct Shared<B> {
    desk: Mutex<Desk<B>>,
    /// Something is ready.
    ready: Condvar,
    /// There is something to do, or nothing more.
    wanted: Condvar,
}

#[derive(Debug)]
struct Desk<B> {
    /// The batches that no thread has begun with.
    left: Batches<'static, B>,
    /// Batches by number.
    made: BTreeMap<usize, Made<B>>,
    /// How many more may be begun with before the caller takes one.
    room: usize,
    stop: bool,
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, Desk<B>> {
        // Batches are made outside the lock, so a panic cannot leave the desk half changed.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each thread does.
    fn work(&self, batches: &Batches<'static, B>) {
        loop {
            let mut desk = self.lock();
            while desk.room == 0 && !desk.stop {
                desk = self.wanted.wait(desk).unwrap_or_else(PoisonError::into_inner);
            }
            if desk.stop {
                return;
            }
            let Some(number) = desk.left.advance() else { return };
            desk.room -= 1;
            drop(desk);
            let made = catch_unwind(AssertUnwindSafe(|| batches.batch(number)));
            self.lock().made.insert(number, made);
            self.ready.notify_one();
        }
    }

    /// Waits for a batch, and makes room for another one.
    fn take(&self, number: usize) -> Made<B> {
        let mut desk = self.lock();
        loop {
            if let Some(made) = desk.made.remove(&number) {
                desk.room += 1;
                self.wanted.notify_one();
                return made;
            }
            desk = self.ready.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<B: Send + 'static> Workers<B> {
    fn begin(batches: &Batches<'static, B>, threads: usize) -> Self {
        let desk = Desk { left: batches.clone(), made: BTreeMap::new(), room: threads + 1, stop: false };
        let shared =
            Arc::new(Shared { desk: Mutex::new(desk), ready: Condvar::new(), wanted: Condvar::new() });
        let begin = |_| {
            let (shared, batches) = (shared.clone(), batches.clone());
            thread::spawn(move || shared.work(&batches))
        };
        let threads = (0..threads).map(begin).collect();
        Self { shared, threads }
    }
}

impl<B> Drop for Workers<B> {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wanted.notify_all();
        for thread in self.threads.drain(..) {
            // A panic in a batch was caught, and is in its place.
            let _ = thread.join();
        }
    }
}

impl<B: Send + 'static> Prefetch<B> {
    pub(crate) fn new(batches: Batches<'static, B>, threads: usize) -> Self {
        Self { batches, threads, workers: None }
    }
}

impl<B: Send + 'static> Iterator for Prefetch<B> {
    type Item = B;

    /// # Panics
    /// With the panic of the thread that made the batch.
    fn next(&mut self) -> Option<B> {
        if self.threads == 0 {
            return self.batches.next();
        }
        if self.workers.is_none() && self.batches.len() > 0 {
            self.workers = Some(Workers::begin(&self.batches, self.threads.min(self.batches.len())));
        }
        let number = self.batches.advance()?;
        let made = self.workers.as_ref()?.shared.take(number);
        if made.is_err() || self.batches.len() == 0 {
            // The threads have nothing more to do.
            self.workers = None;
        }
        Some(made.unwrap_or_else(|panic| {
            self.batches.skip_ahead(usize::MAX);
            resume_unwind(panic)
        }))
    }

    /// Before the first batch, without making the batches before.
    fn nth(&mut self, n: usize) -> Option<B> {
        if self.workers.is_none() {
            self.batches.skip_ahead(n);
        } else {
            self.by_ref().take(n).for_each(drop);
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

impl<B: Send + 'static> ExactSizeIterator for Prefetch<B> {}
