//! The progress of a run, and its page, if they were asked for.

use gradus_autograd::Float;
use gradus_nn::Module;

use super::{Fit, Position};
#[cfg(feature = "report")]
use crate::error::TrainError;
#[cfg(feature = "progress")]
use crate::metrics::Metric;
#[cfg(feature = "progress")]
use crate::progress::described;

impl<M: Module<T>, T: Float> Fit<'_, M, T> {
    /// Tells the report and the progress of a batch.
    pub(super) fn tell(&self, at: &Position, samples: usize) {
        #[cfg(feature = "report")]
        if let Some(report) = self.report {
            report.samples(samples);
        }
        self.tell_progress(at, samples);
    }

    /// Writes the page of the run, with the row of an epoch.
    #[cfg(feature = "report")]
    pub(super) fn write_report(
        &self,
        model: &M,
        at: &Position,
        row: &[(&str, f64)],
    ) -> Result<(), TrainError> {
        let Some(report) = self.report else { return Ok(()) };
        if !report.has_model() {
            report.model(&model.summary());
        }
        report.row(at.epoch, row)
    }
}

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
    fn tell_progress(&self, at: &Position, samples: usize) {
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

    fn tell_progress(&self, _: &Position, _: usize) {}

    pub(super) fn say(&self, _: &Position, _: &[(&str, f64)]) {}
}
