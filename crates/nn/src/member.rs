//! Members of modules, as visitors see them.

use gradus_autograd::Float;

use crate::buffer::Buffer;
use crate::counter::Counter;
use crate::inside::LayerId;
use crate::packed::Packed;
use crate::parameter::Parameter;
use crate::tied::Tied;

/// A member of a [`Module`](crate::Module), as a visitor sees it.
///
/// An implementation of a module by hand is two methods that pass the visitor on to each part:
///
/// ```
/// use gradus_autograd::{Float, seeded};
/// use gradus_nn::{Linear, Member, MemberMut, Module, Path};
///
/// enum Head<T: Float> {
///     Identity,
///     Dense(Linear<T>),
/// }
///
/// impl<T: Float> Module<T> for Head<T> {
///     fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
///         if let Head::Dense(layer) = self {
///             layer.visit(path.field("dense"), visitor);
///         }
///     }
///     fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
///         if let Head::Dense(layer) = self {
///             layer.visit_mut(path.field("dense"), visitor);
///         }
///     }
/// }
///
/// let head: Head<f32> = Head::Dense(Linear::new(3, 2, &mut seeded(0)));
/// assert_eq!(head.named_parameters()[0].0, "dense.weight");
/// assert_eq!(Head::<f32>::Identity.parameter_count(), 0);
/// ```
#[derive(Debug)]
pub enum Member<'a, T: Float = f32> {
    /// A parameter.
    Parameter(&'a Parameter<T>),
    /// A tensor that is part of the model's state, but is not trained by gradients.
    Buffer(&'a Buffer<T>),
    /// A number that forward passes count up.
    Counter(&'a Counter),
    /// Numbers that are no tensor of the model's type, such as quantised weights.
    Packed(&'a dyn Packed),
    /// Whether a layer is in training mode.
    Mode(&'a bool),
    /// A second name of a parameter.
    Tied(&'a Tied),
    /// A layer or a model, before its own members, under its path.
    Layer(LayerId),
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
    /// Numbers that are no tensor of the model's type, such as quantised weights.
    Packed(&'a mut dyn Packed),
    /// Whether a layer is in training mode.
    Mode(&'a mut bool),
}
