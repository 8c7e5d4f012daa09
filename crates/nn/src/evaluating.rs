//! A model in evaluation mode for a while.

use std::marker::PhantomData;

use gradus_autograd::Float;

use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// A model in evaluation mode; when dropped, puts every layer back into its old mode.
pub(crate) struct Evaluating<'m, T: Float, M: Module<T>> {
    pub(crate) model: &'m mut M,
    /// The old modes, in the order of a visit.
    modes: Vec<bool>,
    element: PhantomData<T>,
}

impl<'m, T: Float, M: Module<T>> Evaluating<'m, T, M> {
    pub(crate) fn new(model: &'m mut M) -> Self {
        let mut modes = Vec::new();
        model.visit(Path::ROOT, &mut |_, member| {
            if let Member::Mode(mode) = member {
                modes.push(*mode);
            }
        });
        model.eval();
        Self { model, modes, element: PhantomData }
    }
}

impl<T: Float, M: Module<T>> Drop for Evaluating<'_, T, M> {
    fn drop(&mut self) {
        let mut modes = self.modes.iter();
        self.model.visit_mut(Path::ROOT, &mut |_, member| {
            if let MemberMut::Mode(mode) = member {
                *mode = *modes.next().expect("the model has the layers it had");
            }
        });
    }
}
