//! The memory of a step, by operation.

use gradus_tensor::MemoryReport;

use super::mode;

/// Runs `f`, a step of training for example, and reports on the memory of the tensors that this thread made meanwhile: the
/// peak, the tensors that were alive at the peak, and those that are still alive, by size and by the operation that made them,
/// with the line of the program that called it.
///
/// The result of `f` is still alive when the report is made. Parameters are among the bytes made before. What grows from step
/// to step, such as a list of losses that keeps their tapes, is in [`live`](MemoryReport::live). The tensors inside of an
/// operation, and inside of its gradient, count for the operation. Tensors that other threads make are not counted. While
/// nobody asks, nothing is counted.
///
/// ```
/// use gradus_autograd::{Tensor, Var, track_memory};
///
/// let x = Var::leaf(Tensor::<f32>::ones([1000]));
/// let mut losses = Vec::new();
/// let ((), report) = track_memory(|| {
///     let loss = x.exp().sum(..);
///     losses.push(loss); // keeps the exponential; `loss.item()` would not
/// });
/// let kept = report.live[0].origin.as_ref().unwrap();
/// assert_eq!((kept.operation, report.live[0].bytes()), ("exp", 4000));
/// assert_eq!(report.peak, report.before + 4004);
/// ```
pub fn track_memory<R>(f: impl FnOnce() -> R) -> (R, MemoryReport) {
    mode::with_watching(|| gradus_tensor::track_memory(f))
}
