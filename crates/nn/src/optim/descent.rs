//! Gradient descent by a rule: the common part of all optimizers.

use std::any::type_name;
use std::collections::HashSet;
use std::fmt::{self, Debug, Formatter};
use std::panic::Location;
use std::sync::Arc;

use gradus_autograd::{Float, Gradients, Tensor, compile, watch};

use super::{LearningRate, Optimizer, non_negative};
use crate::inside::name_layers;
use crate::member::MemberMut;
use crate::module::Module;
use crate::path::Path;

/// The formula by which an optimizer changes a parameter, with its options. [`Descent`] makes it an optimizer.
///
/// This rule follows the sign of a running mean of the gradients ("Lion", Chen et al., "Symbolic discovery of
/// optimization algorithms", 2023):
///
/// ```
/// use gradus_autograd::{Float, Tensor};
/// use gradus_nn::{Descent, Optimizer, Parameter, Rule, Step};
///
/// #[derive(Debug, Clone)]
/// struct Lion {
///     betas: [f64; 2],
/// }
///
/// impl Rule for Lion {
///     fn slots(&self) -> usize {
///         1
///     }
///     fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
///         let [lr, beta1, beta2] = [step.lr, self.betas[0], self.betas[1]].map(T::from_f64);
///         let shrink = T::from_f64(1.0 - step.lr * step.weight_decay);
///         Tensor::zip_inplace_many([p, &mut state[0]], g, |[p, m], g| {
///             let direction = (g + beta1 * (m - g)).sign();
///             [p * shrink - lr * direction, g + beta2 * (m - g)]
///         });
///     }
/// }
///
/// let mut p = Parameter::new([3.0_f64]);
/// let mut lion = Descent::with_rule(0.5, Lion { betas: [0.9, 0.99] });
/// let loss = p.square().sum(..);
/// lion.step(&mut p, &loss.backward());
/// assert_eq!(p.item(), 2.5);
/// ```
pub trait Rule: Debug + Clone + Send + Sync + 'static {
    /// The default weight decay.
    const WEIGHT_DECAY: f64 = 0.0;

    /// The number of state tensors per parameter, each in the parameter's shape.
    fn slots(&self) -> usize;

    /// The initial value of the elements of these tensors.
    fn initial(&self) -> f64 {
        0.0
    }

    /// Changes a parameter `p` with the gradient `g`, and its state tensors, in one pass.
    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]);
}

/// The numbers of one step of a [`Rule`].
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The number of the parameter's step: 1, 2, ...
    pub t: i32,
    /// The learning rate.
    pub lr: f64,
    /// The weight decay.
    pub weight_decay: f64,
}

impl Step {
    /// The function that adds weight decay to the gradient g of a parameter p: `g + weight_decay * p`.
    pub fn decayed<T: Float>(self) -> impl Fn(T, T) -> T + Copy + Sync {
        let decay = T::from_f64(self.weight_decay);
        #[inline(always)]
        move |p, g| if decay == T::ZERO { g } else { g + decay * p }
    }
}

/// The optimizer of a [`Rule`], with options and the state of each parameter. [`Sgd`](super::Sgd),
/// [`Adam`](super::Adam) and the others are `Descent` with their rules.
///
/// State belongs to the name of a parameter, so an optimizer is for one model, or always the same part of one; clones
/// of a model and its optimizer continue as the originals. A new parameter of the same name and shape takes over the
/// state; a new shape, or a step without the parameter, resets it. A frozen parameter stays as it is, without weight decay,
/// and its state waits until it is trainable again (see [`Module::freeze`]). A clone of a model is another model, whose
/// gradients are refused; to take its numbers back, with an optimizer that goes on, use [`Module::copy_from`].
///
/// Rules that scale steps by squares of gradients keep these in the type of the parameter: the square of an `f32`
/// above 1.8e19 is infinite, and the parameter does not move; the square of one below 1e-23 is 0, which matters only
/// if `eps` is as small.
#[derive(Debug, Clone)]
pub struct Descent<R: Rule, T: Float = f32> {
    /// One for each group.
    pub(super) rates: Vec<LearningRate>,
    /// The first is for parameters in no group.
    pub(super) groups: Vec<Group<R>>,
    /// In the order of the last visit of the model.
    pub(super) states: Vec<ParameterState<T>>,
}

/// The options of a group of parameters.
#[derive(Clone)]
pub(super) struct Group<R> {
    pub(super) weight_decay: f64,
    pub(super) rule: R,
    matches: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// The caller's line, for messages.
    made_at: &'static Location<'static>,
}

/// The state of a parameter.
#[derive(Debug, Clone)]
pub(super) struct ParameterState<T: Float> {
    pub(super) name: Arc<str>,
    pub(super) group: usize,
    /// The number of steps with a gradient; before the first there are no slots.
    pub(super) steps: i32,
    pub(super) slots: Vec<Tensor<T>>,
}

impl<R: Rule, T: Float> Descent<R, T> {
    /// With PyTorch's default options.
    ///
    /// # Panics
    /// If the learning rate is negative or not finite.
    #[track_caller]
    pub fn new(learning_rate: f64) -> Self
    where
        R: Default,
    {
        Self::with_rule(learning_rate, R::default())
    }

    /// With a rule of your own; see [`Rule`] for an example.
    ///
    /// # Panics
    /// If the learning rate is negative or not finite.
    #[track_caller]
    pub fn with_rule(learning_rate: f64, rule: R) -> Self {
        let rates = vec![LearningRate::new(learning_rate)];
        let (matches, made_at) = (Arc::new(|_: &str| true), Location::caller());
        let groups = vec![Group { weight_decay: R::WEIGHT_DECAY, rule, matches, made_at }];
        Self { rates, groups, states: Vec::new() }
    }

    /// Sets the learning rate, for a [group](Self::group).
    ///
    /// # Panics
    /// If it is negative or not finite, or after a group or a step.
    #[must_use]
    #[track_caller]
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.check_options_come_first("learning_rate");
        self.rates[0] = LearningRate::new(learning_rate);
        self
    }

    /// Sets the weight decay.
    ///
    /// # Panics
    /// If it is negative or not finite, or after a group or a step.
    #[must_use]
    #[track_caller]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.check_options_come_first("weight_decay");
        self.groups[0].weight_decay = non_negative("weight_decay: the decay", weight_decay);
        self
    }

    /// Adds a group with options of its own, which `change` makes from the common ones: the parameters whose name
    /// `matches`, unless an earlier group has claimed them. A parameter is assigned to its group in its first step.
    ///
    /// ```
    /// use gradus_autograd::{Var, seeded};
    /// use gradus_nn::{AdamW, Linear, Module, Optimizer};
    ///
    /// // No weight decay for biases.
    /// let mut adam = AdamW::new(1e-3)
    ///     .weight_decay(0.5)
    ///     .group(|name| name.ends_with("bias"), |adam| adam.weight_decay(0.0));
    /// let mut layer = Linear::<f64>::new(2, 1, &mut seeded(0));
    /// let [weight, bias] = [layer.weight.value(), layer.bias.as_ref().unwrap().value()].map(|p| p.clone());
    /// let loss = layer.forward(&Var::constant([0.0, 0.0])).sum(..) * 0.0; // all gradients are 0
    /// adam.step(&mut layer, &loss.backward());
    /// assert_eq!(layer.weight.value(), &(weight * (1.0 - 1e-3 * 0.5)));
    /// assert_eq!(layer.bias.unwrap().value(), &bias);
    /// ```
    ///
    /// # Panics
    /// If `change` adds a group, or after a step. The first step panics if the group has no parameters.
    #[must_use]
    #[track_caller]
    pub fn group(
        mut self,
        matches: impl Fn(&str) -> bool + Send + Sync + 'static,
        change: impl FnOnce(Self) -> Self,
    ) -> Self {
        assert!(self.states.is_empty(), "group: the optimizer has made steps; groups must come before");
        let changed = change(Self {
            rates: vec![self.rates[0]],
            groups: vec![self.groups[0].clone()],
            states: Vec::new(),
        });
        let ([rate], [group]) = (&changed.rates[..], &changed.groups[..]) else {
            panic!("group: the options of a group have groups; give each group to the optimizer itself")
        };
        self.rates.push(*rate);
        self.groups.push(Group { matches: Arc::new(matches), made_at: Location::caller(), ..group.clone() });
        self
    }

    /// Changes the options of the rule.
    #[track_caller]
    pub(super) fn change(mut self, option: &str, change: impl FnOnce(&mut R)) -> Self {
        self.check_options_come_first(option);
        change(&mut self.groups[0].rule);
        self
    }

    /// The rule for parameters in no group.
    pub(super) fn rule(&self) -> &R {
        &self.groups[0].rule
    }

    /// Panics after a group or a step, which would not see a change.
    #[track_caller]
    fn check_options_come_first(&self, option: &str) {
        assert!(
            self.groups.len() == 1 && self.states.is_empty(),
            "{option}: the option is set after a group was made or a step; options must come before"
        );
    }

    /// The first group whose predicate matches a name, or 0.
    pub(super) fn group_of(groups: &[Group<R>], name: &str) -> usize {
        groups.iter().skip(1).position(|group| (group.matches)(name)).map_or(0, |place| place + 1)
    }

    #[track_caller]
    fn check_groups(&self, model: &dyn Module<T>) {
        let names: Vec<String> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
        let used: HashSet<usize> = names.iter().map(|name| Self::group_of(&self.groups, name)).collect();
        for (place, group) in self.groups.iter().enumerate().skip(1) {
            assert!(
                used.contains(&place),
                "step: the group made at {} holds for no parameter of the model: its predicate \
                 matches no name that an earlier group has not already claimed; the names are {names:?}",
                group.made_at
            );
        }
    }
}

/// The state of the parameter that is visited at this place. While the model's parameters stay the same, it is found
/// there; otherwise it is moved there, or created.
fn state_at<'s, R: Rule, T: Float>(
    states: &'s mut Vec<ParameterState<T>>,
    place: usize,
    path: Path<'_>,
    groups: &[Group<R>],
) -> &'s mut ParameterState<T> {
    let is_named = |state: &ParameterState<T>| path == *state.name;
    if states.get(place).is_some_and(is_named) {
        return &mut states[place];
    }
    if let Some(distance) = states.iter().skip(place).position(is_named) {
        states[place..=place + distance].rotate_right(1);
    } else {
        let name = path.to_string();
        let group = Descent::<R, T>::group_of(groups, &name);
        states.insert(place, ParameterState { name: name.into(), group, steps: 0, slots: Vec::new() });
    }
    &mut states[place]
}

impl<R: Rule, T: Float> Optimizer<T> for Descent<R, T> {
    #[track_caller]
    #[inline(never)]
    fn step(&mut self, model: &mut dyn Module<T>, gradients: &Gradients<T>) {
        name_layers(&*model);
        let _frame = watch::update(type_name::<R>());
        if self.groups.len() > 1 && self.states.is_empty() {
            self.check_groups(model);
        }
        if cfg!(debug_assertions)
            && !compile::is_tracing()
            && let Err(error) = model.check_finite(gradients)
        {
            panic!("step: {error}");
        }
        let optimizer = std::ptr::from_ref(self) as usize;
        let Self { rates, groups, states } = self;
        let (mut place, mut trainable, mut changed) = (0, 0, 0);
        model.visit_mut(Path::ROOT, &mut |path, member| {
            let MemberMut::Parameter(parameter) = member else { return };
            let state = state_at(states, place, path, groups);
            place += 1;
            trainable += usize::from(parameter.is_trainable());
            let Some(gradient) = gradients.var(parameter) else { return };
            changed += 1;
            compile::update(parameter, gradient, optimizer, place - 1);
            let lr = rates[state.group].current;
            state.update(&groups[state.group], lr, parameter.numbers_mut(), gradient.numbers());
        });
        states.truncate(place);
        assert!(
            changed > 0 || trainable == 0 || gradients.is_empty(),
            "step: none of the {trainable} {}parameters of the model has one of the {} gradients: they are of another model \
             (a clone has parameters of its own)",
            if trainable < place { "trainable " } else { "" },
            gradients.len()
        );
    }

    fn learning_rates(&self) -> &[LearningRate] {
        &self.rates
    }

    #[track_caller]
    fn learning_rates_mut(&mut self) -> &mut [LearningRate] {
        assert!(
            !compile::is_tracing(),
            "learning_rates_mut: a function that is being compiled sets a learning rate, which later calls would not: set it \
             between calls"
        );
        &mut self.rates
    }

    fn parameter_at(&self, place: usize) -> Option<&Arc<str>> {
        self.states.get(place).map(|state| &state.name)
    }

    fn update_at(&mut self, place: usize, parameter: &mut Tensor<T>, gradient: &Tensor<T>) {
        let state = &mut self.states[place];
        state.update(&self.groups[state.group], self.rates[state.group].current, parameter, gradient);
    }
}

impl<T: Float> ParameterState<T> {
    /// Makes a step of the parameter.
    #[inline]
    fn update<R: Rule>(&mut self, group: &Group<R>, lr: f64, p: &mut Tensor<T>, gradient: &Tensor<T>) {
        let Group { weight_decay, rule, .. } = group;
        let is_other_shape = |slot: &Tensor<T>| slot.shape() != gradient.shape();
        if self.steps == 0 || self.slots.iter().any(is_other_shape) {
            let slot = || Tensor::full(gradient.shape(), T::from_f64(rule.initial()));
            (self.steps, self.slots) = (0, (0..rule.slots()).map(|_| slot()).collect());
        }
        self.steps += 1;
        let step = Step { t: self.steps, lr, weight_decay: *weight_decay };
        rule.update(step, p, gradient, &mut self.slots);
    }
}

impl<R: Debug> Debug for Group<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { weight_decay, rule, matches: _, made_at } = self;
        write!(f, "{rule:?} with weight decay {weight_decay}, made at {made_at}")
    }
}
