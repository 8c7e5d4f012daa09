//! A loop of training, for those who would rather not write it.

#[cfg(feature = "safetensors")]
use std::path::PathBuf;

use gradus_autograd::{Float, no_grad};
use gradus_nn::{Module, Optimizer, ReduceLrOnPlateau, Schedule, Stateful, clip_grad_norm};

use crate::error::TrainError;
use crate::interrupt::Interrupt;
use crate::log::Log;
use crate::mean_gradients::MeanGradients;
use crate::metrics::{Mean, Metric};
#[cfg(feature = "progress")]
use crate::progress::Progress;
#[cfg(feature = "report")]
use crate::report::Report;
use crate::stopping::{EarlyStopping, Goal};

mod results;
mod resume;
mod shown;

pub use results::{IntoRow, Loss, Row};

/// A loop of training: epochs of steps, and what was asked for around them.
///
/// [`run`](Self::run) gives the same bits as the loop written by hand. For each epoch it
///
/// 1. sets the learning rates by the schedule;
/// 2. for each batch, computes the loss, its gradients, clips them and makes a step;
/// 3. computes the metrics, with the model in evaluation mode and nothing recorded;
/// 4. writes the row of the epoch: `loss`, the mean over its samples, `lr`, and the metrics;
/// 5. keeps the best model, reduces the rates on a plateau, writes a checkpoint, and ends if there is a reason.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::{Linear, Losses, Sgd, Tensor, keepdim, schedule, seeded};
/// use gradus::train::Fit;
///
/// let rng = &mut seeded(0);
/// let (mut model, mut sgd) = (Linear::new(2, 1, rng), Sgd::new(0.1));
/// let x = Tensor::<f32>::randn([40, 2], rng);
/// let y = x.sum(keepdim(1));
/// let fitted = Fit::new(20)
///     .clip_norm(1.0)
///     .schedule(schedule::cosine(20, 0.0))
///     .validate(|model: &Linear| vec![("test", model.forward(&x).mse_loss(&y).item().into())])
///     .watch_min("test")
///     .patience(5)
///     .run(
///         &mut model,
///         &mut sgd,
///         // An order that depends on the epoch alone goes on after an interruption.
///         |epoch| Tensor::randperm(40, &mut seeded(epoch as u64)).split(8, 0),
///         |model, rows| model.forward(x.index_select(0, &rows)).mse_loss(&y.index_select(0, &rows)),
///     )?;
/// assert!(fitted.values("test").last().unwrap() < &fitted.values("test")[0]);
/// # Ok::<(), gradus::train::TrainError>(())
/// ```
pub struct Fit<'a, M, T: Float = f32> {
    epochs: usize,
    accumulate: usize,
    clip_norm: Option<f64>,
    schedule: Option<Box<dyn Schedule + 'a>>,
    /// Whether the schedule counts steps, not epochs.
    by_step: bool,
    plateau: Option<ReduceLrOnPlateau>,
    validate: Option<Validation<'a, M>>,
    watched: (&'static str, Goal),
    stopping: Option<EarlyStopping>,
    #[cfg(feature = "safetensors")]
    best: Option<PathBuf>,
    #[cfg(feature = "safetensors")]
    checkpoint: Option<PathBuf>,
    logs: Vec<Box<dyn Log + 'a>>,
    interrupt: Interrupt,
    #[cfg(feature = "progress")]
    progress: Option<Progress>,
    #[cfg(feature = "progress")]
    label: String,
    #[cfg(feature = "report")]
    report: Option<&'a Report>,
    element: std::marker::PhantomData<T>,
}

type Validation<'a, M> = Box<dyn FnMut(&M) -> Result<Row, TrainError> + 'a>;

/// The course of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fitted {
    /// For each epoch that this run has ended, its number and its row.
    pub rows: Vec<(usize, Row)>,
    /// The reason for the end.
    pub end: End,
}

/// The reason for the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Done,
    /// The watched value did not improve for as long as the patience lasted.
    Stopped,
    /// Somebody asked for it; the checkpoint, if there is one, has the last step.
    Interrupted,
}

impl Fitted {
    /// The numbers of one name, by epoch.
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.curve(name).into_iter().map(|(_, value)| value).collect()
    }

    /// The points (epoch, number) of one name, for a chart.
    pub fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        let value =
            |row: &[(&str, f64)]| row.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        self.rows.iter().filter_map(|(epoch, row)| Some((*epoch as f64, value(row)?))).collect()
    }
}

/// How far a run is: all that a checkpoint has beside the model, the optimizer and the options.
#[derive(Debug, Default)]
struct Position {
    /// The epochs that are done.
    epoch: usize,
    /// The batches of the next epoch that are done.
    batch: usize,
    /// The steps that are done.
    step: usize,
    /// Over the batches of the next epoch.
    loss: Mean,
    /// The best watched value.
    best: Option<f64>,
}

impl<'a, M: Module<T>, T: Float> Fit<'a, M, T> {
    /// Makes steps, and nothing else, for this number of epochs.
    pub fn new(epochs: usize) -> Self {
        Self {
            epochs,
            accumulate: 1,
            clip_norm: None,
            schedule: None,
            by_step: false,
            plateau: None,
            validate: None,
            watched: ("loss", Goal::Min),
            stopping: None,
            #[cfg(feature = "safetensors")]
            best: None,
            #[cfg(feature = "safetensors")]
            checkpoint: None,
            logs: Vec::new(),
            interrupt: Interrupt::new(),
            #[cfg(feature = "progress")]
            progress: None,
            #[cfg(feature = "progress")]
            label: String::new(),
            #[cfg(feature = "report")]
            report: None,
            element: std::marker::PhantomData,
        }
    }

    /// Makes one step for several batches, with the mean of their gradients ([`MeanGradients`]). The last step of an epoch
    /// may have fewer.
    ///
    /// # Panics
    /// If the number is 0.
    #[must_use]
    #[track_caller]
    pub fn accumulate(self, batches: usize) -> Self {
        assert!(batches > 0, "accumulate: the number of batches is 0: it must be 1 or larger");
        Self { accumulate: batches, ..self }
    }

    /// Clips the norm of the gradients before each step; see [`clip_grad_norm`].
    #[must_use]
    pub fn clip_norm(self, max_norm: f64) -> Self {
        Self { clip_norm: Some(max_norm), ..self }
    }

    /// Sets the learning rates at the beginning of each epoch (0, 1, ...).
    #[must_use]
    pub fn schedule(self, schedule: impl Schedule + 'a) -> Self {
        Self { schedule: Some(Box::new(schedule)), by_step: false, ..self }
    }

    /// Sets the learning rates before each step (0, 1, ... over all epochs).
    #[must_use]
    pub fn schedule_by_step(self, schedule: impl Schedule + 'a) -> Self {
        Self { schedule: Some(Box::new(schedule)), by_step: true, ..self }
    }

    /// Reduces the learning rates when the watched value stops improving. It does not go together with a schedule, which
    /// sets the rates again.
    #[must_use]
    pub fn plateau(self, plateau: ReduceLrOnPlateau) -> Self {
        Self { plateau: Some(plateau), ..self }
    }

    /// Computes named numbers at the end of each epoch, with the model in evaluation mode and nothing recorded. They may be
    /// a result, whose error ends the run.
    #[must_use]
    pub fn validate<R: IntoRow>(self, mut metrics: impl FnMut(&M) -> R + 'a) -> Self {
        Self { validate: Some(Box::new(move |model| metrics(model).into_row())), ..self }
    }

    /// Names the value that should fall, for the patience, the plateau and the best model; `loss` if nothing is said.
    #[must_use]
    pub fn watch_min(self, name: &'static str) -> Self {
        Self { watched: (name, Goal::Min), ..self }
    }

    /// Names the value that should rise, for the patience, the plateau and the best model.
    #[must_use]
    pub fn watch_max(self, name: &'static str) -> Self {
        Self { watched: (name, Goal::Max), ..self }
    }

    /// Ends after this number of epochs in a row in which the watched value did not improve; see [`EarlyStopping`].
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn patience(self, epochs: usize) -> Self {
        let stopping = EarlyStopping::min().patience(epochs);
        Self { stopping: Some(stopping), ..self }
    }

    /// Writes the state of the model whenever the watched value is the best so far; see
    /// [`BestCheckpoint`](crate::BestCheckpoint). `model.load(path)` reads it.
    #[cfg(feature = "safetensors")]
    #[must_use]
    pub fn best(self, path: impl Into<PathBuf>) -> Self {
        Self { best: Some(path.into()), ..self }
    }

    /// Writes everything that training changes to a file after each epoch and at an interruption; goes on from the file if
    /// it is there, in the middle of an epoch, too, with the batches that come then.
    ///
    /// The run that goes on gives the same bits as one that was never interrupted, if its batches and whatever else
    /// `batches` and `loss` draw are functions of the epoch, as they are with `seeded(epoch)`: the batches that are done
    /// are asked for again, and dropped.
    #[cfg(feature = "safetensors")]
    #[must_use]
    pub fn checkpoint(self, path: impl Into<PathBuf>) -> Self {
        Self { checkpoint: Some(path.into()), ..self }
    }

    /// Writes the row of each epoch to a log, and to others that were given before.
    #[must_use]
    pub fn log(mut self, log: impl Log + 'a) -> Self {
        self.logs.push(Box::new(log));
        self
    }

    /// Shows each epoch behind the label of `progress`, and writes its row, which is a line that stays.
    #[cfg(feature = "progress")]
    #[must_use]
    pub fn progress(self, progress: Progress) -> Self {
        Self { label: progress.current_label(), progress: Some(progress), ..self }
    }

    /// Writes a page with the course of the run after each epoch, and the samples a second; see [`Report`].
    #[cfg(feature = "report")]
    #[must_use]
    pub fn report(self, report: &'a Report) -> Self {
        Self { report: Some(report), ..self }
    }

    /// Ends after the step in which it is requested, or before the first step if it has been. The request stays: later runs
    /// with it, of other folds for example, end at once.
    #[must_use]
    pub fn interrupt(self, interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), ..self }
    }

    /// Trains: `batches` gives the batches of an epoch (1, 2, ...), `loss` the loss of a batch.
    ///
    /// # Errors
    /// If a file cannot be read or written, the checkpoint does not fit, or a loss or the validation is an error.
    ///
    /// # Panics
    /// If there are a plateau and a schedule, an epoch has no batches, or no row has the name that is watched; and as the loss, its gradient and the step do.
    #[track_caller]
    pub fn run<O, I, L>(
        mut self,
        model: &mut M,
        optimizer: &mut O,
        mut batches: impl FnMut(usize) -> I,
        mut loss: impl FnMut(&M, I::Item) -> L,
    ) -> Result<Fitted, TrainError>
    where
        O: Optimizer<T> + Stateful,
        I: IntoIterator,
        L: Loss<T>,
    {
        assert!(
            self.plateau.is_none() || self.schedule.is_none(),
            "Fit: there are a plateau and a schedule: the schedule would undo the reductions of the plateau"
        );
        self.stopping = self.stopping.map(|stopping| stopping.towards(self.watched.1));
        let mut at = self.resume(model, optimizer)?;
        let mut rows = Vec::new();
        while at.epoch < self.epochs {
            if self.stopping.is_some_and(|stopping| stopping.stopped()) {
                return Ok(Fitted { rows, end: End::Stopped });
            }
            if self.interrupt.requested() {
                return Ok(Fitted { rows, end: End::Interrupted });
            }
            if let (Some(schedule), false) = (&self.schedule, self.by_step) {
                optimizer.follow(&**schedule, at.epoch);
            }
            let mut gradients = MeanGradients::new();
            for batch in self.shown(batches(at.epoch + 1), &at).skip(at.batch) {
                let (value, samples) = loss(model, batch).into_parts()?;
                at.loss.update(value.item().to_f64(), samples);
                gradients.add(value.backward(), samples);
                at.batch += 1;
                self.tell(&at, samples);
                if at.batch.is_multiple_of(self.accumulate) {
                    self.step(model, optimizer, &mut gradients, &mut at);
                    if self.interrupt.requested() {
                        self.save(model, optimizer, &at)?;
                        return Ok(Fitted { rows, end: End::Interrupted });
                    }
                }
            }
            self.step(model, optimizer, &mut gradients, &mut at);

            assert!(at.batch > 0, "Fit: epoch {} has no batches", at.epoch + 1);
            let mut row = vec![("loss", at.loss.value()), ("lr", optimizer.lr())];
            if let Some(validate) = &mut self.validate {
                row.extend(model.evaluate(|model| no_grad(|| validate(model)))?);
            }
            at = Position { epoch: at.epoch + 1, step: at.step, best: at.best, ..Position::default() };
            self.end_epoch(model, optimizer, &mut at, &row)?;
            rows.push((at.epoch, row));
        }
        let stopped = self.stopping.is_some_and(|stopping| stopping.stopped());
        Ok(Fitted { rows, end: if stopped { End::Stopped } else { End::Done } })
    }

    /// A step with the gradients, if there are any.
    #[track_caller]
    fn step(
        &self,
        model: &mut M,
        optimizer: &mut impl Optimizer<T>,
        gradients: &mut MeanGradients<T>,
        at: &mut Position,
    ) {
        let Some(mut gradients) = gradients.take() else { return };
        if let (Some(schedule), true) = (&self.schedule, self.by_step) {
            optimizer.follow(&**schedule, at.step);
        }
        if let Some(max_norm) = self.clip_norm {
            clip_grad_norm(&mut gradients, model, max_norm);
        }
        optimizer.step(model, &gradients);
        at.step += 1;
    }
}
