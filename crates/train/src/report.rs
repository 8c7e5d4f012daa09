//! The course of a run as a page to be looked at.

mod curve;
mod page;
mod run;
mod tables;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gradus_autograd::file;
use gradus_nn::Summary;

pub use run::{Epoch, OperationTime, Run};

use crate::error::TrainError;
use crate::log::Log;
use crate::metrics::ConfusionMatrix;

/// A run of training as one HTML page, which needs no other file and no script: curves of losses and metrics, whose numbers
/// show under the pointer, the confusion matrix, settings, the slowest operations, and the table of the model.
///
/// [`Fit::report`](crate::Fit::report) writes the page anew after each epoch; a loop written by hand calls
/// [`row`](Self::row), which does the same. The file is replaced at once, so a browser never finds half of it. All that
/// is shared by reference: the closures of a [`Fit`](crate::Fit) may hand over a confusion matrix meanwhile.
///
/// ```
/// use gradus_autograd::seeded;
/// use gradus_nn::{Linear, Module};
/// use gradus_train::{Report, Run};
///
/// # let folder = std::env::temp_dir().join(format!("gradus-report-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("small.html");
/// let model = Linear::<f32>::new(2, 1, &mut seeded(0));
/// let report = Report::new(&path).title("A line").setting("batch size", 32).setting("optimizer", "Adam");
/// report.model(&model.summary());
/// for epoch in 1..=3 {
///     report.samples(320);
///     report.row(epoch, &[("loss", 1.0 / epoch as f64), ("test loss", 1.2 / epoch as f64)])?;
/// }
/// // The page has its data, for a comparison with another run:
/// let old = Run::read(&path)?;
/// assert_eq!(old.curve("loss"), [(1.0, 1.0), (2.0, 0.5), (3.0, 1.0 / 3.0)]);
/// # let path = folder.join("compared.html");
/// Report::compare(&path, "Two runs", &[old, report.run()])?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    run: Run,
    /// When the row before was written.
    last: Instant,
    /// The samples since then.
    samples: usize,
    /// Whether there was a row: the first one keeps the rows of an earlier page.
    started: bool,
}

impl Report {
    /// In a file, which the first row touches. Its name is the title if nothing else is said.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let title = path.file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned());
        let run = Run { title, ..Run::default() };
        let state = State { run, last: Instant::now(), samples: 0, started: false };
        Self { path, state: Mutex::new(state) }
    }

    /// Sets the title, which also names the run in a comparison.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        self.state().run.title = title.into();
        self
    }

    /// Adds a setting, such as the size of a batch.
    #[must_use]
    pub fn setting(self, name: impl Into<String>, value: impl Display) -> Self {
        self.state().run.settings.push((name.into(), value.to_string()));
        self
    }

    /// Names the classes of the confusion matrix; those without a name are numbered.
    #[must_use]
    pub fn classes(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.state().run.classes = names.into_iter().map(Into::into).collect();
        self
    }

    /// Draws the lines of these names in one chart. Of other names, those with the same last word share one, such as `loss`
    /// and `test loss`.
    #[must_use]
    pub fn chart<'n>(self, title: impl Into<String>, names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = names.into_iter().map(String::from).collect();
        self.state().run.charts.push((title.into(), names));
        self
    }

    /// Shows the parameters and buffers of a model. [`Fit`](crate::Fit) does this by itself.
    pub fn model(&self, summary: &Summary) {
        self.state().run.model = Run::model_of(&summary.rows);
    }

    /// Shows a confusion matrix, in place of the one before.
    pub fn confusion(&self, matrix: &ConfusionMatrix) {
        let counts = matrix.counts();
        let classes = counts.shape()[0];
        let counts: Vec<u64> = counts.iter().map(|count| count as u64).collect();
        let run = &mut self.state().run;
        if run.classes.is_empty() {
            run.classes = matrix.names().to_vec();
        }
        run.confusion = counts.chunks_exact(classes).map(<[u64]>::to_vec).collect();
    }

    /// Shows the times of operations, in place of the ones before: of a profile, for example, they are
    /// `profile.by_operation()`.
    pub fn operations(&self, times: impl IntoIterator<Item = impl Into<OperationTime>>) {
        self.state().run.operations = times.into_iter().map(Into::into).collect();
    }

    /// Counts samples towards the samples a second of the epoch. [`Fit`](crate::Fit) does this by itself.
    pub fn samples(&self, count: usize) {
        self.state().samples += count;
    }

    /// Adds the numbers of an epoch (1, 2, ...), and writes the page. The time of the epoch is the time since the row before, or
    /// since the report was made.
    ///
    /// As a [`Log`] does, the first row of a run that is resumed keeps the rows of earlier epochs in the file.
    ///
    /// # Errors
    /// If the file cannot be written, or rows should be kept and it is not the page of one report.
    pub fn row(&self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        let mut state = self.state();
        if !state.started && epoch > 1 && self.path.exists() {
            state.run.epochs = Run::read(&self.path)?.epochs;
        }
        state.started = true;
        state.run.epochs.retain(|row| row.epoch < epoch);
        let values = values.iter().map(|&(name, value)| (name.into(), value)).collect();
        let seconds = state.last.elapsed().as_secs_f64();
        let samples = std::mem::take(&mut state.samples);
        state.run.epochs.push(Epoch { epoch, values, seconds, samples });
        state.last = Instant::now();
        drop(state);
        self.write()
    }

    /// Writes the page as it is now: after a confusion matrix or times that came after the last row, for example.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self) -> Result<(), TrainError> {
        write(&self.path, &self.run().to_html())
    }

    /// The data so far.
    pub fn run(&self) -> Run {
        self.state().run.clone()
    }

    /// Writes a page with several runs side by side: their lines in the same charts, a column for each in the tables, and the
    /// settings that differ marked. [`Run::read`] gives the runs of earlier pages.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn compare(path: impl AsRef<Path>, title: &str, runs: &[Run]) -> Result<(), TrainError> {
        write(path.as_ref(), &page::page(title, runs))
    }

    /// Whether the model is shown already.
    pub(crate) fn has_model(&self) -> bool {
        !self.state().run.model.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(path: &Path, page: &str) -> Result<(), TrainError> {
    file::replace(path, page.as_bytes()).map_err(TrainError::io("write", path))
}

impl Log for Report {
    fn row(&mut self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        Report::row(self, epoch, values)
    }
}

impl Log for &Report {
    fn row(&mut self, epoch: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        Report::row(self, epoch, values)
    }
}
