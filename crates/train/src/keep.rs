//! Checkpoints that are worth keeping.

use std::fs;
use std::path::{Path, PathBuf};

use gradus_nn::{State, StateError};

use crate::error::TrainError;
use crate::stopping::Goal;

/// The file of the best state so far, by a metric.
///
/// The file is replaced at once ([`State::write`]), and its metadata has `epoch` and `metric`. NaN is never the best, and of
/// equal metrics the first is: an accuracy over few samples is soon the best that it can be, and then the loss, or
/// `accuracy - 0.001 * loss`, tells more.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::{Linear, Module, State, seeded};
/// use gradus::train::BestCheckpoint;
///
/// # let folder = std::env::temp_dir().join(format!("gradus-best-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("best.safetensors");
/// let mut model = Linear::<f32>::new(2, 1, &mut seeded(0));
/// let mut best = BestCheckpoint::max(&path);
/// for (epoch, accuracy) in [(1, 0.5), (2, 0.7), (3, 0.6)] {
///     best.observe(epoch, accuracy, || model.state())?;
/// }
/// assert_eq!(State::read(&path)?.metadata()["epoch"], "2");
/// model.load(&path)?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BestCheckpoint {
    path: PathBuf,
    goal: Goal,
    best: Option<f64>,
}

impl BestCheckpoint {
    /// For a metric that should improve towards a goal. The first state replaces a file that is there already; see
    /// [`resume`](Self::resume).
    pub fn new(path: impl Into<PathBuf>, goal: Goal) -> Self {
        Self { path: path.into(), goal, best: None }
    }

    /// With the best metric of an earlier run.
    pub(crate) fn with_best(path: &Path, goal: Goal, best: Option<f64>) -> Self {
        Self { path: path.into(), goal, best }
    }

    /// For a metric that should fall.
    pub fn min(path: impl Into<PathBuf>) -> Self {
        Self::new(path, Goal::Min)
    }

    /// For a metric that should rise.
    pub fn max(path: impl Into<PathBuf>) -> Self {
        Self::new(path, Goal::Max)
    }

    /// Goes on with the file, if it is there: only a better metric than the one in its metadata replaces it.
    ///
    /// # Errors
    /// If the file cannot be read, or has no metric.
    pub fn resume(mut self) -> Result<Self, StateError> {
        if self.path.exists() {
            let metric =
                State::read(&self.path)?.metadata().get("metric").and_then(|metric| metric.parse().ok());
            let fault = || "it has no metric in its metadata, which a best checkpoint has".into();
            self.best = Some(
                metric.ok_or_else(|| StateError::Malformed { path: self.path.clone(), fault: fault() })?,
            );
        }
        Ok(self)
    }

    /// Writes the state if the metric is the best so far; returns whether it is.
    ///
    /// # Errors
    /// If the file cannot be written. The old one is as it was.
    pub fn observe(
        &mut self,
        epoch: usize,
        metric: f64,
        state: impl FnOnce() -> State,
    ) -> Result<bool, StateError> {
        let better = self.goal.improves(metric, self.best, 0.0);
        if better {
            let mut state = state();
            let notes = [("epoch".into(), epoch.to_string()), ("metric".into(), format!("{metric:?}"))];
            state.metadata_mut().extend(notes);
            state.write(&self.path)?;
            self.best = Some(metric);
        }
        Ok(better)
    }

    /// The best metric so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }
}

/// The checkpoints of the last epochs: files `epoch-000012.safetensors` in a folder.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::State;
/// use gradus::train::LastCheckpoints;
///
/// # let folder = std::env::temp_dir().join(format!("gradus-last-{}", std::process::id()));
/// let last = LastCheckpoints::new(&folder, 2);
/// for epoch in 1..=3 {
///     let mut state = State::new();
///     state.insert("epoch", epoch);
///     last.write(epoch as usize, state)?;
/// }
/// let names = last.files()?.into_iter().map(|(epoch, _)| epoch).collect::<Vec<_>>();
/// assert_eq!(names, [2, 3]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LastCheckpoints {
    folder: PathBuf,
    count: usize,
}

impl LastCheckpoints {
    /// Keeps this number of files in a folder, which is made if it is not there.
    ///
    /// # Panics
    /// If the number is 0.
    #[track_caller]
    pub fn new(folder: impl Into<PathBuf>, count: usize) -> Self {
        assert!(count > 0, "LastCheckpoints: the number of files is 0: it must be 1 or larger");
        Self { folder: folder.into(), count }
    }

    /// Writes the file of an epoch at once, with `epoch` in its metadata, then removes the files of later epochs, which a
    /// resumed run has not reached, and of the oldest ones.
    ///
    /// # Errors
    /// If a file cannot be written or removed.
    pub fn write(&self, epoch: usize, mut state: State) -> Result<PathBuf, TrainError> {
        fs::create_dir_all(&self.folder).map_err(TrainError::io("write", &self.folder))?;
        let path = self.folder.join(format!("epoch-{epoch:06}.safetensors"));
        state.metadata_mut().insert("epoch".into(), epoch.to_string());
        state.write(&path)?;
        let (earlier, later): (Vec<_>, Vec<_>) =
            self.files()?.into_iter().partition(|(other, _)| *other <= epoch);
        let old = earlier.len().saturating_sub(self.count);
        for (_, path) in earlier.iter().take(old).chain(&later) {
            fs::remove_file(path).map_err(TrainError::io("write", path))?;
        }
        Ok(path)
    }

    /// The epochs and files that are there, in order; the last is the one to resume from.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn files(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let epoch = |path: &Path| {
            path.file_name()?.to_str()?.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(TrainError::io("read", &self.folder))? {
            let path = entry.map_err(TrainError::io("read", &self.folder))?.path();
            files.extend(epoch(&path).map(|epoch| (epoch, path)));
        }
        files.sort();
        Ok(files)
    }
}
