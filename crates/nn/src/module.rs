//! Modules: layers and models as trees of named parameters and buffers.

use std::marker::PhantomData;

use gradus_autograd::{Float, Gradients, Tape};

use crate::buffer::Buffer;
use crate::counter::Counter;
use crate::parameter::Parameter;
use crate::path::Path;
use crate::state::{self, PartialLoad, State, StateError};

/// A member of a [`Module`], as a visitor sees it.
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
}

/// A member of a [`Module`], as a visitor that may change it sees it.
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

/// A layer, or a model made of layers: the owner of parameters.
///
/// `#[derive(Module)]` implements it for a struct of modules, field by field:
///
/// ```standalone_crate
/// use gradus_autograd::{Var, seeded};
/// use gradus_nn::{Linear, Module};
/// # extern crate gradus_nn as gradus;
///
/// #[derive(Module, Clone)]
/// struct Mlp {
///     hidden: Vec<Linear>,
///     out: Linear,
///     #[module(skip)]
///     name: String,
/// }
///
/// let rng = &mut seeded(0);
/// let mlp = Mlp { hidden: vec![Linear::new(2, 3, rng)], out: Linear::new(3, 1, rng), name: "xor".into() };
/// let names: Vec<String> = mlp.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["hidden.0.weight", "hidden.0.bias", "out.weight", "out.bias"]);
/// assert_eq!(mlp.parameter_count(), 13);
/// ```
///
/// An implementation by hand is two methods that pass the visitor on to each part:
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Module<{T}>`",
    note = "`#[derive(Module)]` makes a struct of layers a module; a field that is none is left out with `#[module(skip)]`",
    note = "a layer of `f32` is no module of `f64`: all layers of a model have one element type"
)]
pub trait Module<T: Float = f32> {
    /// Calls `visitor` for every parameter, buffer, counter and mode, with its path below `path`, always in the same order.
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>));

    /// Like [`visit`](Self::visit), with members that can be changed, in the same order.
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>));

    /// Sets the mode of every layer that has one: in training mode, [`Dropout`](crate::Dropout) drops elements, and
    /// batch normalisation uses and records the statistics of the batch.
    fn set_training(&mut self, training: bool) {
        self.visit_mut(Path::ROOT, &mut |_, member| {
            if let MemberMut::Mode(mode) = member {
                *mode = training;
            }
        });
    }

    /// Puts the model in training mode, the mode of new layers.
    fn train(&mut self) {
        self.set_training(true);
    }

    /// Puts the model in evaluation mode. [`evaluate`](Self::evaluate) does so for the length of a call.
    fn eval(&mut self) {
        self.set_training(false);
    }

    /// Runs `f` with the model in evaluation mode. Afterwards, even after a panic, every layer is in its old mode.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{Dropout, Module, Sequential};
    ///
    /// let mut model = Sequential::new().push(Dropout::new(0.5, 0));
    /// let y = model.evaluate(|model| model.forward(&Var::constant([1.0, 2.0])));
    /// assert_eq!(y.value().to_vec(), [1.0, 2.0]);
    /// assert!(model.is_training());
    /// ```
    fn evaluate<R>(&mut self, f: impl FnOnce(&Self) -> R) -> R
    where
        Self: Sized,
    {
        let mut modes = Vec::new();
        self.visit(Path::ROOT, &mut |_, member| {
            if let Member::Mode(mode) = member {
                modes.push(*mode);
            }
        });
        let restore = Restore { model: self, modes, element: PhantomData };
        restore.model.eval();
        f(restore.model)
    }

    /// Whether any layer of the model is in training mode.
    fn is_training(&self) -> bool {
        let mut training = false;
        self.visit(Path::ROOT, &mut |_, member| training |= matches!(member, Member::Mode(true)));
        training
    }

    /// The buffers with their names, such as `norm.running_mean`.
    fn named_buffers(&self) -> Vec<(String, &Buffer<T>)> {
        let mut named = Vec::new();
        self.visit(Path::ROOT, &mut |path, member| {
            if let Member::Buffer(buffer) = member {
                named.push((path.to_string(), buffer));
            }
        });
        named
    }

    /// The parameters with their names, such as `hidden.0.weight`.
    fn named_parameters(&self) -> Vec<(String, &Parameter<T>)> {
        let mut named = Vec::new();
        self.visit(Path::ROOT, &mut |path, member| {
            if let Member::Parameter(parameter) = member {
                named.push((path.to_string(), parameter));
            }
        });
        named
    }

    /// The parameters, in the order of their names.
    fn parameters(&self) -> Vec<&Parameter<T>> {
        let mut parameters = Vec::new();
        self.visit(Path::ROOT, &mut |_, member| {
            if let Member::Parameter(parameter) = member {
                parameters.push(parameter);
            }
        });
        parameters
    }

    /// The parameters, to change them, in the order of [`parameters`](Self::parameters).
    fn parameters_mut(&mut self) -> Vec<&mut Parameter<T>> {
        let mut parameters = Vec::new();
        self.visit_mut(Path::ROOT, &mut |_, member| {
            if let MemberMut::Parameter(parameter) = member {
                parameters.push(parameter);
            }
        });
        parameters
    }

    /// The total number of elements of the parameters.
    fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.len()).sum()
    }

    /// Everything that a training step changes in the model, by name: parameters, buffers and counters.
    ///
    /// The tensors are shared until one of the two changes.
    ///
    /// # Panics
    /// If two members have one name.
    #[track_caller]
    fn state(&self) -> State {
        state::of_model(self)
    }

    /// Loads a state of a model of the same architecture. Identities stay: an optimizer goes on with its own state. A
    /// counter that the state does not have stays as it is.
    ///
    /// # Errors
    /// [`StateError::Mismatch`] with all names that are missing or unexpected and all shapes and types that differ. The
    /// model is then as it was.
    fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        state::load(self, state, |_| true, true).map(drop)
    }

    /// Loads the parameters, buffers and counters whose names are selected, as far as the state has them, and reports what
    /// was loaded, missing and unused.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_nn::{Linear, Module, Sequential};
    ///
    /// let rng = &mut seeded(0);
    /// let trained = Sequential::<f32>::new().push(Linear::new(3, 2, rng)).push(Linear::new(2, 5, rng));
    /// // Another head on the same body:
    /// let mut model = Sequential::<f32>::new().push(Linear::new(3, 2, rng)).push(Linear::new(2, 7, rng));
    /// let report = model.load_partial(&trained.state(), |name| name.starts_with("0."))?;
    /// assert_eq!(report.loaded, ["0.weight", "0.bias"]);
    /// assert_eq!(report.unused, ["1.bias", "1.weight"]);
    /// # Ok::<(), gradus_nn::StateError>(())
    /// ```
    ///
    /// # Errors
    /// [`StateError::Mismatch`] if the shape or type of a selected tensor differs. The model is then as it was.
    fn load_partial(
        &mut self,
        state: &State,
        select: impl Fn(&str) -> bool,
    ) -> Result<PartialLoad, StateError>
    where
        Self: Sized,
    {
        state::load(self, state, select, false)
    }

    /// Writes the weights to a file in safetensors format, under PyTorch's names; see [`State::write`]. It is the
    /// [`state`](Self::state) without counters that PyTorch does not have.
    ///
    /// # Errors
    /// If the file cannot be written.
    #[cfg(feature = "safetensors")]
    fn save(&self, path: impl AsRef<std::path::Path>) -> Result<(), StateError>
    where
        Self: Sized,
    {
        state::weights(self).write(path)
    }

    /// Reads weights from a file in safetensors format; see [`State::read`] and [`load_state`](Self::load_state).
    ///
    /// # Errors
    /// If the file cannot be read, or does not fit the model, which is then as it was.
    #[cfg(feature = "safetensors")]
    fn load(&mut self, path: impl AsRef<std::path::Path>) -> Result<(), StateError>
    where
        Self: Sized,
    {
        self.load_state(&State::read(path)?)
    }

    /// The tape, with parameters labelled by their names.
    fn label_tape(&self, tape: Tape<T>) -> Tape<T> {
        let named = self.named_parameters().into_iter();
        named.fold(tape, |tape, (name, parameter)| tape.label(parameter, name))
    }

    /// The names of the parameters without a gradient: the loss does not depend on them.
    fn names_without_gradient(&self, gradients: &Gradients<T>) -> Vec<String> {
        let missing =
            |(name, parameter): (String, &Parameter<T>)| gradients.get(parameter).is_none().then_some(name);
        self.named_parameters().into_iter().filter_map(missing).collect()
    }
}

/// When dropped, puts every layer back into its old mode.
struct Restore<'m, T: Float, M: Module<T>> {
    model: &'m mut M,
    /// The old modes, in the order of a visit.
    modes: Vec<bool>,
    element: PhantomData<T>,
}

impl<T: Float, M: Module<T>> Drop for Restore<'_, T, M> {
    fn drop(&mut self) {
        let mut modes = self.modes.iter();
        self.model.visit_mut(Path::ROOT, &mut |_, member| {
            if let MemberMut::Mode(mode) = member {
                *mode = *modes.next().expect("the model has the layers it had");
            }
        });
    }
}

/// Containers: elements of a `Vec` or an array are named by their index; an `Option` or `Box` adds no name.
macro_rules! impl_container {
    ($([$($generics:tt)*] $container:ty, |$container_:ident, $path:ident| $elements:expr, $elements_mut:expr;)*) => {$(
        impl<$($generics)*, T: Float> Module<T> for $container {
            fn visit<'a>(&'a self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                let $container_ = self;
                for (path, module) in $elements {
                    module.visit(path, visitor);
                }
            }
            fn visit_mut<'a>(&'a mut self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
                let $container_ = self;
                for (path, module) in $elements_mut {
                    module.visit_mut(path, visitor);
                }
            }
        }
    )*};
}

impl_container! {
    [M: Module<T>] Vec<M>,
        |container, path| container.iter().enumerate().map(|(i, module)| (path.index(i), module)),
        container.iter_mut().enumerate().map(|(i, module)| (path.index(i), module));
    [M: Module<T>, const N: usize] [M; N],
        |container, path| container.iter().enumerate().map(|(i, module)| (path.index(i), module)),
        container.iter_mut().enumerate().map(|(i, module)| (path.index(i), module));
    [M: Module<T>] Option<M>,
        |container, path| container.iter().map(|module| (path, module)),
        container.iter_mut().map(|module| (path, module));
    [M: Module<T> + ?Sized] Box<M>,
        |container, path| [(path, &**container)],
        [(path, &mut **container)];
}

/// Tuples: members are named by their index.
macro_rules! impl_tuple {
    ($($($module:ident $i:tt)+;)*) => {$(
        impl<T: Float, $($module: Module<T>),+> Module<T> for ($($module,)+) {
            fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                $(self.$i.visit(path.index($i), visitor);)+
            }
            fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
                $(self.$i.visit_mut(path.index($i), visitor);)+
            }
        }
    )*};
}

impl_tuple! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
}
