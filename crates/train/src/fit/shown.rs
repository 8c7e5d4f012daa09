//! The progress of a run, if it was asked for.

use gradus_autograd::Float;
use gradus_nn::Module;

use super::{Fit, Position};
#[cfg(feature = "progress")]
use crate::metrics::Metric;
#[cfg(feature = "progress")]
use crate::progress::described;

#[cfg(feature = "progress")]
impl<M: Module<T>, T: Float> Fit<'_, M, T> {
    /// The batches of the next epoch.
    pub(super) fn shown<'i, I: IntoIterator<IntoIter: 'i>>(
        &self,
        batches: I,
        at: &Position,
    ) -> Box<dyn Iterator<Item = I::Item> + 'i> {
        let Some(progress) = &self.progress else { return Box::new(batches.into_iter()) };
        progress.set_label(self.labelled(at.epoch + 1));
        Box::new(progress.over_silently(batches))
    }

    /// The loss so far, after a batch.
    pub(super) fn report(&self, at: &Position, samples: usize) {
        if let Some(progress) = &self.progress {
            progress.report(samples, &[("loss", at.loss.value())]);
        }
    }

    /// The row of an epoch.
    pub(super) fn say(&self, at: &Position, row: &[(&str, f64)]) {
        if let Some(progress) = &self.progress {
            progress.line(&format!("{}  {}", self.labelled(at.epoch), described(row)));
        }
    }

    /// The label of the user, and the number of an epoch.
    fn labelled(&self, epoch: usize) -> String {
        let space = if self.label.is_empty() { "" } else { "  " };
        format!("{}{space}epoch {epoch}/{}", self.label, self.epochs)
    }
}

#[cfg(not(feature = "progress"))]
#[allow(clippy::unused_self, reason = "as it is with the feature")]
impl<M: Module<T>, T: Float> Fit<'_, M, T> {
    pub(super) fn shown<'i, I: IntoIterator<IntoIter: 'i>>(
        &self,
        batches: I,
        _: &Position,
    ) -> Box<dyn Iterator<Item = I::Item> + 'i> {
        Box::new(batches.into_iter())
    }

    pub(super) fn report(&self, _: &Position, _: usize) {}

    pub(super) fn say(&self, _: &Position, _: &[(&str, f64)]) {}
}
