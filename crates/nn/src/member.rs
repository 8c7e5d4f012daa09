//! Members of modules, as visitors see them.

use gradus_autograd::Float;

use crate::buffer::Buffer;
use crate::counter::Counter;
use crate::parameter::Parameter;
use crate::tied::Tied;

/// A member of a [`Module`](crate::Module), as a visitor sees it.
#[derive(Debug)]
pub enum Member<'a, T: Float = f32> {
    /// A parameter.
    Parameter(&'a Parameter<T>),
    /// A tensor that is part of the model's state, but is not trained by gradients.
    Buffer(&'a Buffer<T>),
    /// A number that forward passes count up.
    Counter(&'a Counter),
    /// Whether a layer is in training mode.
    Mode(&'a bool),
    /// A second name of a parameter.
    Tied(&'a Tied),
}

/// A member of a [`Module`](crate::Module), as a visitor that may change it sees it. A second name has nothing to change.
#[derive(Debug)]
pub enum MemberMut<'a, T: Float = f32> {
    /// A parameter.
    Parameter(&'a mut Parameter<T>),
    /// A tensor that is part of the model's state, but is not trained by gradients.
    Buffer(&'a mut Buffer<T>),
    /// A number that forward passes count up.
    Counter(&'a mut Counter),
    /// Whether a layer is in training mode.
    Mode(&'a mut bool),
}
