//! Things with a state that a checkpoint keeps.

use gradus_autograd::Float;

use crate::optim::{Descent, ReduceLrOnPlateau, Rule};
use crate::state::{State, StateError};

/// Everything that training changes in a thing, as a [`State`]: optimizers, plateaus, early stopping, loaders of data.
///
/// The loop of `gradus::train` asks it of optimizers, to put them into its checkpoints. An optimizer of your own implements it
/// with the values that it keeps from step to step.
///
/// ```
/// use gradus_nn::{AdamW, State, StateError, Stateful};
///
/// /// A checkpoint of some things by their names.
/// fn checkpoint(things: &[(&str, &dyn Stateful)]) -> State {
///     let mut state = State::new();
///     for (name, thing) in things {
///         state.insert_part(&format!("{name}."), &thing.state());
///     }
///     state
/// }
///
/// let mut adam: AdamW = AdamW::new(1e-3);
/// let state = checkpoint(&[("adam", &adam)]);
/// adam.load_state(&state.part("adam."))?;
/// # Ok::<(), StateError>(())
/// ```
pub trait Stateful {
    /// The state.
    fn state(&self) -> State;

    /// Loads a state of a thing with the same options.
    ///
    /// # Errors
    /// If the state does not fit. The thing is then as it was.
    fn load_state(&mut self, state: &State) -> Result<(), StateError>;
}

impl<R: Rule, T: Float> Stateful for Descent<R, T> {
    fn state(&self) -> State {
        self.state()
    }

    fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        self.load_state(state)
    }
}

impl Stateful for ReduceLrOnPlateau {
    fn state(&self) -> State {
        self.state()
    }

    fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        self.load_state(state)
    }
}
