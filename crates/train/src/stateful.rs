//! Things with a state that a checkpoint keeps.

use gradus_autograd::Float;
use gradus_nn::{Descent, ReduceLrOnPlateau, Rule, State, StateError};

use crate::stopping::EarlyStopping;

/// Everything that training changes in a thing, as a [`State`]: optimizers, plateaus, early stopping.
///
/// [`Fit`](crate::Fit) asks it of optimizers, to put them into its checkpoints. An optimizer of your own implements it
/// with what it remembers from step to step.
pub trait Stateful {
    /// The state.
    fn state(&self) -> State;

    /// Loads a state of a thing with the same options.
    ///
    /// # Errors
    /// If the state does not fit. The thing is then as it was.
    fn load_state(&mut self, state: &State) -> Result<(), StateError>;
}

macro_rules! stateful {
    ($([$($generics:tt)*] $thing:ty;)*) => {$(
        impl<$($generics)*> Stateful for $thing {
            fn state(&self) -> State {
                self.state()
            }

            fn load_state(&mut self, state: &State) -> Result<(), StateError> {
                self.load_state(state)
            }
        }
    )*};
}
stateful! {
    [R: Rule, T: Float] Descent<R, T>;
    [] ReduceLrOnPlateau;
    [] EarlyStopping;
}
