//! Independent work on several threads.

use std::thread;

use gradus_autograd::num_threads;

use crate::error::EncryptedError;

/// The results of `work` for each of `0..count`, in order; the first error, if there is one.
pub(crate) fn map<R: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<R, EncryptedError> + Sync,
) -> Result<Vec<R>, EncryptedError> {
    let share = count.div_ceil(num_threads()).max(1);
    let part = |first: usize| (first..count.min(first + share)).map(&work).collect::<Result<Vec<R>, _>>();
    if share >= count {
        return part(0);
    }
    let parts: Vec<_> = thread::scope(|scope| {
        let part = &part;
        let handles: Vec<_> =
            (0..count).step_by(share).map(|first| scope.spawn(move || part(first))).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let parts: Vec<Vec<R>> = parts.into_iter().collect::<Result<_, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}
