//! Requests to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop, which a loop asks about between two steps, to save and end as it likes. Clones share the request.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::train::Interrupt;
///
/// let interrupt = Interrupt::new(); // or `Interrupt::listen()?`, which Ctrl-C makes the request of
/// let mut steps = 0;
/// while !interrupt.requested() {
///     steps += 1;
///     if steps == 3 {
///         interrupt.request();
///     }
/// }
/// assert_eq!(steps, 3);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Without a signal: [`request`](Self::request) makes the request, from any thread.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, the first Ctrl-C (`SIGINT`) is a request to stop and does nothing else; the second one ends the
    /// program as it always does. All listeners of a program share one request.
    ///
    /// ```no_run
    /// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
    /// # use gradus::train::Interrupt;
    /// let interrupt = Interrupt::listen()?;
    /// for epoch in 0..100 {
    ///     // train
    ///     if interrupt.requested() {
    ///         // save
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), gradus::train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// If the system does not allow it.
    #[cfg(feature = "interrupt")]
    pub fn listen() -> Result<Self, crate::TrainError> {
        use std::sync::{Mutex, PoisonError};

        use signal_hook::consts::SIGINT;
        use signal_hook::flag;

        static LISTENER: Mutex<Option<Interrupt>> = Mutex::new(None);
        let mut listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &*listener {
            return Ok(listener.clone());
        }
        let interrupt = Self::new();
        // In this order: the signal that makes the request does not find it made.
        flag::register_conditional_default(SIGINT, interrupt.0.clone())
            .and_then(|_| flag::register(SIGINT, interrupt.0.clone()))
            .map_err(crate::TrainError::Signal)?;
        Ok(listener.insert(interrupt).clone())
    }

    /// Makes the request.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the request was made.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
