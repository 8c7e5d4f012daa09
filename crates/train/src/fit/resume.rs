//! The end of an epoch: its row, the best model, and checkpoints to go on from.

use gradus_autograd::Float;
#[cfg(feature = "safetensors")]
use gradus_autograd::Tensor;
use gradus_nn::{Module, Optimizer, Stateful};
#[cfg(feature = "safetensors")]
use gradus_nn::{State, StateError};

use super::{Fit, Position};
use crate::error::TrainError;
#[cfg(feature = "safetensors")]
use crate::keep::BestCheckpoint;

impl<M: Module<T>, T: Float> Fit<'_, M, T> {
    /// Everything that follows from the row of an epoch.
    #[track_caller]
    pub(super) fn end_epoch(
        &mut self,
        model: &M,
        optimizer: &mut (impl Optimizer<T> + Stateful),
        at: &mut Position,
        row: &[(&'static str, f64)],
    ) -> Result<(), TrainError> {
        let (watched, goal) = self.watched;
        let names: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
        let value = row.iter().find(|(name, _)| *name == watched).map(|(_, value)| *value);
        let Some(value) = value else {
            panic!("Fit: no value {watched:?} to watch: the row has {names:?}");
        };
        for log in &mut self.logs {
            log.row(at.epoch, row)?;
        }
        #[cfg(feature = "report")]
        self.write_report(model, at, row)?;
        self.say(at, row);
        #[cfg(feature = "safetensors")]
        if let Some(path) = &self.best {
            BestCheckpoint::with_best(path, goal, at.best).observe(at.epoch, value, || model.state())?;
        }
        if goal.improves(value, at.best, 0.0) {
            at.best = Some(value);
        }
        if let Some(plateau) = &mut self.plateau {
            plateau.observe(value, optimizer);
        }
        if let Some(stopping) = &mut self.stopping {
            stopping.observe(value);
        }
        self.save(model, optimizer, at)
    }

    #[cfg(feature = "safetensors")]
    pub(super) fn save(&self, model: &M, optimizer: &impl Stateful, at: &Position) -> Result<(), TrainError> {
        let Some(path) = &self.checkpoint else { return Ok(()) };
        let mut state = State::new();
        state.insert_part("model.", &model.state());
        state.insert_part("optimizer.", &optimizer.state());
        if let Some(plateau) = &self.plateau {
            state.insert_part("plateau.", &plateau.state());
        }
        if let Some(stopping) = &self.stopping {
            state.insert_part("stopping.", &stopping.state());
        }
        for (name, count) in [("epoch", at.epoch), ("batch", at.batch), ("step", at.step)] {
            state.insert(name, count as i64);
        }
        state.insert("loss", Tensor::from(at.loss.to_array()));
        if let Some(best) = at.best {
            state.insert("best", best);
        }
        Ok(state.write(path)?)
    }

    /// Loads everything from the checkpoint and returns its position; without a checkpoint, the beginning.
    #[cfg(feature = "safetensors")]
    pub(super) fn resume(
        &mut self,
        model: &mut M,
        optimizer: &mut impl Stateful,
    ) -> Result<Position, TrainError> {
        let Some(path) = self.checkpoint.as_ref().filter(|path| path.exists()) else {
            return Ok(Position::default());
        };
        let state = State::read(path)?;
        let malformed = |fault: String| StateError::Malformed { path: path.clone(), fault };
        let count = |name: &str| -> Result<usize, StateError> {
            let count: i64 = state.value(name)?;
            usize::try_from(count)
                .map_err(|_| malformed(format!("`{name}` is {count}: it must be 0 or larger")))
        };
        let loss = state.tensor::<f64>("loss").and_then(|loss| loss.to_vec().try_into().ok());
        let loss = loss.ok_or_else(|| malformed("`loss` must be four f64".into()))?;
        let best = state.get("best").map(|_| state.value("best")).transpose()?;
        let at = Position {
            epoch: count("epoch")?,
            batch: count("batch")?,
            step: count("step")?,
            loss: crate::metrics::Mean::from_array(loss),
            best,
        };
        if let Some(plateau) = &mut self.plateau {
            plateau.load_state(&state.part("plateau."))?;
        }
        if let Some(stopping) = &mut self.stopping {
            stopping.load_state(&state.part("stopping."))?;
        }
        optimizer.load_state(&state.part("optimizer."))?;
        model.load_state(&state.part("model."))?;
        Ok(at)
    }

    #[cfg(not(feature = "safetensors"))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "as it is with the feature")]
    pub(super) fn save(&self, _: &M, _: &impl Stateful, _: &Position) -> Result<(), TrainError> {
        Ok(())
    }

    #[cfg(not(feature = "safetensors"))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "as it is with the feature")]
    pub(super) fn resume(&mut self, _: &mut M, _: &mut impl Stateful) -> Result<Position, TrainError> {
        Ok(Position::default())
    }
}
