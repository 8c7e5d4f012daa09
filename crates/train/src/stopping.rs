//! The end of training when a metric no longer improves.

use gradus_nn::{State, StateError, Stateful};

/// Whether a metric should fall or rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Smaller is better, as for a loss.
    Min,
    /// Larger is better, as for an accuracy.
    Max,
}

impl Goal {
    /// Whether a metric is better than the best so far by more than a margin. NaN is never better; any other first metric is.
    pub(crate) fn improves(self, metric: f64, best: Option<f64>, margin: f64) -> bool {
        match (self, best) {
            (_, None) => !metric.is_nan(),
            (Self::Min, Some(best)) => metric < best - margin,
            (Self::Max, Some(best)) => metric > best + margin,
        }
    }
}

/// Stops training when a metric has not improved for a number of observations in a row (Prechelt, "Early stopping - but
/// when?", 1998).
///
/// A metric improves if it is better than the best one by more than `min_delta`. NaN never is: a run whose metric has
/// become NaN stops when its patience ends.
///
/// ```
/// # mod gradus { pub use {gradus_autograd::*, gradus_nn::*, gradus_train::metrics}; pub mod train { pub use gradus_train::*; } }
/// use gradus::train::EarlyStopping;
///
/// let mut stopping = EarlyStopping::max().patience(2);
/// let stops = [0.5, 0.7, 0.6, f64::NAN].map(|accuracy| stopping.observe(accuracy));
/// assert_eq!(stops, [false, false, false, true]);
/// assert_eq!(stopping.best(), Some(0.7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyStopping {
    goal: Goal,
    patience: usize,
    min_delta: f64,
    best: Option<f64>,
    bad: usize,
}

impl EarlyStopping {
    /// For a metric that should improve towards a goal, with a patience of 10 and a margin of 0.
    pub fn new(goal: Goal) -> Self {
        Self { goal, patience: 10, min_delta: 0.0, best: None, bad: 0 }
    }

    /// For a metric that should fall.
    pub fn min() -> Self {
        Self::new(Goal::Min)
    }

    /// For a metric that should rise.
    pub fn max() -> Self {
        Self::new(Goal::Max)
    }

    /// Sets the number of observations without improvement in a row after which training stops.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn patience(self, patience: usize) -> Self {
        assert!(patience > 0, "patience: the patience is 0: it must be 1 or larger");
        Self { patience, ..self }
    }

    /// Sets the margin by which a metric must be better than the best one to count.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn min_delta(self, min_delta: f64) -> Self {
        assert!(
            min_delta >= 0.0 && min_delta.is_finite(),
            "min_delta: the margin is {min_delta}: it must be 0 or larger, and finite"
        );
        Self { min_delta, ..self }
    }

    /// With another goal.
    pub(crate) fn towards(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    /// Records a metric; returns whether training should stop.
    pub fn observe(&mut self, metric: f64) -> bool {
        if self.goal.improves(metric, self.best, self.min_delta) {
            (self.best, self.bad) = (Some(metric), 0);
        } else {
            self.bad += 1;
        }
        self.stopped()
    }

    /// Whether the patience has ended.
    pub fn stopped(&self) -> bool {
        self.bad >= self.patience
    }

    /// The best metric so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    /// Everything that an observation changes.
    pub fn state(&self) -> State {
        let mut state = State::new();
        state.insert("bad", self.bad as i64);
        if let Some(best) = self.best {
            state.insert("best", best);
        }
        state
    }

    /// Loads a state. The options stay: a run may go on with more patience.
    ///
    /// # Errors
    /// If the state is not one of early stopping. This one is then as it was.
    pub fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        let count: i64 = state.value("bad")?;
        let negative = |_| StateError::Schedule(format!("`bad` is {count}: it must be 0 or larger"));
        let bad = usize::try_from(count).map_err(negative)?;
        let best = state.get("best").map(|_| state.value("best")).transpose()?;
        (self.best, self.bad) = (best, bad);
        Ok(())
    }
}

impl Stateful for EarlyStopping {
    fn state(&self) -> State {
        self.state()
    }

    fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        self.load_state(state)
    }
}
