//! Operations of a tape, run again on other inputs.

use std::fmt::Debug;
use std::sync::Arc;

use gradus_tensor::{Float, Tensor};

use crate::entry::Entry;
use crate::operation::{Context, Operation};
use crate::saves::Saves;
use crate::var::Var;

/// The operation of an entry that exists already, to be run again on other inputs.
pub(crate) struct Replayed<T: Float>(pub(crate) Arc<Entry<T>>);

impl<T: Float> Replayed<T> {
    fn operation(&self) -> &dyn Operation<T> {
        self.0.operation.as_deref().expect("a leaf is not replayed")
    }
}

impl<T: Float> Debug for Replayed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.operation().fmt(f)
    }
}

impl<T: Float> Operation<T> for Replayed<T> {
    fn name(&self) -> &'static str {
        self.operation().name()
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        self.operation().forward(inputs)
    }
    fn saves(&self) -> Saves {
        self.operation().saves()
    }
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        self.operation().vjp(context, input)
    }
}
