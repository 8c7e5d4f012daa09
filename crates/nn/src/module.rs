//! Modules: layers and models as trees of named parameters and buffers.

use gradus_autograd::{Float, Gradients, Tape, Tensor};

use crate::buffer::Buffer;
use crate::evaluating::Evaluating;
use crate::gradients::{self, NonFiniteGradients};
use crate::member::{Member, MemberMut};
use crate::parameter::{self, Parameter};
use crate::path::Path;
use crate::state::{self, Need, PartialLoad, State, StateError};
use crate::summary::Summary;

/// A layer, or a model made of layers: the owner of parameters.
///
/// A clone is another model with the same numbers: its parameters have identities of their own, so gradients of one are not
/// gradients of the other. [`copy_from`](Self::copy_from) takes over the numbers of another model and keeps the identities.
/// One parameter in two places is a [`Tied`](crate::Tied) one.
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
/// An implementation by hand is two methods that pass the visitor on to each part; [`Member`] has an example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Module<{T}>`",
    note = "`#[derive(Module)]` makes a struct of layers a module; `#[module(skip)]` leaves out a field that is not a module",
    note = "a layer of `f32` is not a module of `f64`: all layers of a model have one element type"
)]
pub trait Module<T: Float = f32> {
    /// Calls `visitor` for every parameter, buffer, counter, mode, second name and layer, with its path below `path`, always
    /// in the same order.
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>));

    /// Like [`visit`](Self::visit), with the members that can be changed, in the same order.
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
        let guard = Evaluating::new(self);
        f(guard.model)
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

    /// The total number of elements of the parameters, frozen ones included.
    fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.len()).sum()
    }

    /// The number of elements of the parameters that training changes: those that are not [frozen](Self::freeze).
    fn trainable_parameter_count(&self) -> usize {
        self.parameters()
            .iter()
            .filter(|parameter| parameter.is_trainable())
            .map(|parameter| parameter.len())
            .sum()
    }

    /// Freezes the parameters whose names are selected: they take no gradient, and optimizers leave them as they are,
    /// without weight decay, and keep their state for later.
    ///
    /// A backward pass does no work for them: a part of a model is not recorded if all of its parameters are frozen and its
    /// inputs have no gradient. A clone has the same parameters frozen; loading a state changes their numbers and leaves
    /// them frozen. Buffers are not parameters: the running statistics of a frozen batch normalisation change unless it is
    /// in evaluation mode. PyTorch has `requires_grad_(False)`; see [`Parameter::set_trainable`] for a single one.
    ///
    /// ```
    /// use gradus_autograd::{Var, seeded};
    /// use gradus_nn::{AdamW, Linear, Module, Optimizer, Sequential};
    ///
    /// let rng = &mut seeded(0);
    /// let mut model = Sequential::<f64>::new().push(Linear::new(3, 2, rng)).push(Linear::new(2, 1, rng));
    /// model.freeze(|name| name.starts_with("0."));
    /// assert_eq!((model.parameter_count(), model.trainable_parameter_count()), (11, 3));
    ///
    /// let (before, mut adam) = (model.state(), AdamW::new(0.1));
    /// let gradients = model.forward(&Var::constant([1.0, 2.0, 3.0])).sum(..).backward();
    /// adam.step(&mut model, &gradients);
    /// assert_eq!(model.state().get("0.weight"), before.get("0.weight"));
    /// assert_ne!(model.state().get("1.weight"), before.get("1.weight"));
    /// model.unfreeze(|_| true);
    /// assert_eq!(model.trainable_parameter_count(), 11);
    /// ```
    ///
    /// # Panics
    /// If the model has parameters and none is selected: the names are other ones than expected.
    #[track_caller]
    fn freeze(&mut self, select: impl Fn(&str) -> bool)
    where
        Self: Sized,
    {
        parameter::set_trainable(self, "freeze", select, false);
    }

    /// Makes the parameters whose names are selected trainable again; the others stay as they are. A parameter that was
    /// frozen is a new leaf: gradients from before it was frozen are not its gradients.
    ///
    /// # Panics
    /// As [`freeze`](Self::freeze).
    #[track_caller]
    fn unfreeze(&mut self, select: impl Fn(&str) -> bool)
    where
        Self: Sized,
    {
        parameter::set_trainable(self, "unfreeze", select, true);
    }

    /// Takes over the parameters, buffers and counters of a model of the same architecture, a clone for example.
    ///
    /// Unlike `*self = other.clone()`, which puts new parameters in place of the old ones, it changes their numbers:
    /// identities stay, and so do modes and what is [frozen](Self::freeze). Tapes and gradients of this model remain its own.
    ///
    /// ```
    /// use gradus_autograd::{Var, seeded};
    /// use gradus_nn::{Linear, Module, Optimizer, Sgd};
    ///
    /// let mut model = Linear::<f64>::new(2, 1, &mut seeded(0));
    /// let loss = |model: &Linear<f64>| model.forward(&Var::constant([1.0, 2.0])).square().sum(..);
    /// let mut sgd = Sgd::new(0.01).momentum(0.9);
    /// let (mut best, mut least) = (model.clone(), f64::INFINITY);
    /// for _ in 0..100 {
    ///     let now = loss(&model);
    ///     if now.item() < least {
    ///         (best, least) = (model.clone(), now.item());
    ///     }
    ///     sgd.step(&mut model, &now.backward());
    /// }
    /// model.copy_from(&best);
    /// assert_eq!(loss(&model).item(), least);
    /// ```
    ///
    /// # Panics
    /// If names, shapes or types differ; the message lists all differences, and this model is as it was.
    #[track_caller]
    fn copy_from(&mut self, other: &dyn Module<T>) {
        state::copy("copy_from", self, other, state::replace);
    }

    /// Everything that a training step changes in the model, by name: parameters, buffers and counters.
    ///
    /// The tensors are shared until one of the two changes. A parameter with several names (see [`Tied`](crate::Tied)) is
    /// there once, under its own.
    ///
    /// # Panics
    /// If two members have one name, or a [`Tied`](crate::Tied) names no parameter of the model.
    #[track_caller]
    fn state(&self) -> State {
        state::of_model(self)
    }

    /// Loads a state of a model of the same architecture. Identities stay: an optimizer goes on with its own state. A
    /// counter that the state does not have stays as it is. For a parameter with several names (see [`Tied`](crate::Tied)),
    /// any of them will do.
    ///
    /// # Errors
    /// [`StateError::Mismatch`] with all names that are missing or unexpected, all shapes and types that differ, and all tied
    /// weights of which the state holds different ones. The model is then as it was.
    ///
    /// # Panics
    /// If a [`Tied`](crate::Tied) names no parameter of the model.
    #[track_caller]
    fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        state::load(self, state, |_| true, Need::AllButCounters).map(drop)
    }

    /// Loads the parameters, buffers and counters whose names are selected, as far as the state has them, and reports what
    /// was loaded, missing and unused. A parameter with several names (see [`Tied`](crate::Tied)) is selected and reported
    /// by its own.
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
    ///
    /// # Panics
    /// If a [`Tied`](crate::Tied) names no parameter of the model.
    #[track_caller]
    fn load_partial(
        &mut self,
        state: &State,
        select: impl Fn(&str) -> bool,
    ) -> Result<PartialLoad, StateError>
    where
        Self: Sized,
    {
        state::load(self, state, select, Need::Nothing)
    }

    /// Writes the weights to a file in safetensors format, under PyTorch's names; see [`State::write`]. It is the
    /// [`state`](Self::state) without counters that PyTorch does not have. Tied weights are stored as
    /// [`Tied`](crate::Tied) says.
    ///
    /// # Errors
    /// If the file cannot be written.
    ///
    /// # Panics
    /// As [`state`](Self::state).
    #[cfg(feature = "safetensors")]
    #[track_caller]
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
    ///
    /// # Panics
    /// If a [`Tied`](crate::Tied) names no parameter of the model.
    #[cfg(feature = "safetensors")]
    #[track_caller]
    fn load(&mut self, path: impl AsRef<std::path::Path>) -> Result<(), StateError>
    where
        Self: Sized,
    {
        self.load_state(&State::read(path)?)
    }

    /// The model as a table, to print: `println!("{}", model.summary())`.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_nn::{BatchNorm1d, Linear, Module, Sequential};
    ///
    /// let linear = Linear::<f32>::new(2, 4, &mut seeded(0));
    /// let mut model = Sequential::new().push(linear).push(BatchNorm1d::new(4));
    /// model.freeze(|name| name == "0.bias");
    /// assert_eq!(model.summary().to_string(), "\
    /// name            shape   numbers  kind
    /// 0.weight        [4, 2]        8  trainable
    /// 0.bias          [4]           4  frozen
    /// 1.weight        [4]           4  trainable
    /// 1.bias          [4]           4  trainable
    /// 1.running_mean  [4]           4  buffer
    /// 1.running_var   [4]           4  buffer
    /// 20 parameters, 16 trainable, 4 frozen; 8 in buffers");
    /// ```
    fn summary(&self) -> Summary {
        Summary::of(self)
    }

    /// The gradients of the parameters that have one, with their names.
    fn named_gradients<'g>(&self, gradients: &'g Gradients<T>) -> Vec<(String, &'g Tensor<T>)> {
        let named = self.named_parameters().into_iter();
        named.filter_map(|(name, parameter)| Some((name, gradients.get(parameter)?))).collect()
    }

    /// Checks that all numbers of the gradients are finite. An infinite loss, or a point such as 0 of `sqrt`, gives others,
    /// and a step with them makes parameters NaN. With debug assertions on, optimizers make this check in every step.
    ///
    /// ```
    /// use gradus_nn::{Module, Parameter};
    ///
    /// let scale = (Parameter::new([0.0, 4.0]),);
    /// let gradients = scale.0.sqrt().sum(..).backward();
    /// let error = scale.check_finite(&gradients).unwrap_err();
    /// assert_eq!(error.to_string(), "the gradients are not finite: `0` (0 NaN and 1 infinite of 2)");
    /// ```
    ///
    /// # Errors
    /// [`NonFiniteGradients`] with the names of the parameters.
    fn check_finite(&self, gradients: &Gradients<T>) -> Result<(), NonFiniteGradients> {
        gradients::check_finite(self, gradients)
    }

    /// The tape, with parameters labelled by their names. Frozen parameters are constants, and not on it.
    fn label_tape(&self, tape: Tape<T>) -> Tape<T> {
        let named = self.named_parameters().into_iter();
        named.fold(tape, |tape, (name, parameter)| tape.label(parameter, name))
    }

    /// The names of the parameters without a gradient, although they are not frozen: the loss does not depend on them.
    fn names_without_gradient(&self, gradients: &Gradients<T>) -> Vec<String> {
        let missing =
            |parameter: &Parameter<T>| parameter.is_trainable() && gradients.get(parameter).is_none();
        let named = self.named_parameters().into_iter();
        named.filter_map(|(name, parameter)| missing(parameter).then_some(name)).collect()
    }
}
