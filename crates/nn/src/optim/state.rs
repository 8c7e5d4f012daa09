//! States of optimizers and schedules: their form, and an optimizer's by the names of parameters.

use gradus_autograd::{Float, Tensor};

use super::descent::{Descent, Group, ParameterState, Rule};
use crate::state::{State, StateError, StateTensor, Value as _};

/// The form of the states; a change makes old ones unreadable.
const VERSION: &str = "1";

/// Notes the form of a state and the options in its metadata.
pub(super) fn describe(state: &mut State, options: String) {
    state.metadata_mut().extend([("version".into(), VERSION.into()), ("options".into(), options)]);
}

/// The fault of a state of another form, or with other options than this `kind` of thing has.
pub(super) fn check(state: &State, kind: &str, options: &str) -> Result<(), String> {
    let metadata = |key: &str| state.metadata().get(key).map(String::as_str);
    match (metadata("version"), metadata("options")) {
        (Some(VERSION), Some(found)) if found == options => Ok(()),
        (Some(VERSION), Some(found)) => {
            Err(format!("its options are {found}, and this {kind} has {options}"))
        }
        (Some(VERSION), None) => Err("it has no options".into()),
        (Some(version), _) => Err(format!("its version is {version}; version {VERSION} can be loaded")),
        (None, _) => Err(format!("it has no version; version {VERSION} can be loaded")),
    }
}

impl<R: Rule, T: Float> Descent<R, T> {
    /// Everything that changes in the optimizer as it trains: for a parameter `hidden.weight` that has made steps,
    /// `parameters.hidden.weight.steps` and its tensors `parameters.hidden.weight.0`, ...; and `learning_rates`,
    /// `[groups, 2]`, the initial and the current ones. The metadata has the options, for
    /// [`load_state`](Self::load_state) to compare.
    ///
    /// ```
    /// use gradus_autograd::{Var, seeded};
    /// use gradus_nn::{Adam, Linear, Module, Optimizer, State};
    ///
    /// let mut model = Linear::<f32>::new(2, 1, &mut seeded(0));
    /// let mut adam = Adam::new(0.1);
    /// let train = |model: &mut Linear, adam: &mut Adam| {
    ///     let loss = model.forward(&Var::constant([1.0, 2.0])).square().sum(..);
    ///     adam.step(model, &loss.backward());
    /// };
    /// train(&mut model, &mut adam);
    ///
    /// let mut checkpoint = State::new();
    /// checkpoint.insert_part("model.", &model.state());
    /// checkpoint.insert_part("adam.", &adam.state());
    /// let (mut again, mut adam_again) = (Linear::<f32>::new(2, 1, &mut seeded(1)), Adam::new(0.1));
    /// again.load_state(&checkpoint.part("model."))?;
    /// adam_again.load_state(&checkpoint.part("adam."))?;
    ///
    /// train(&mut model, &mut adam);
    /// train(&mut again, &mut adam_again);
    /// assert_eq!(again.state(), model.state());
    /// # Ok::<(), gradus_nn::StateError>(())
    /// ```
    pub fn state(&self) -> State {
        let mut state = State::new();
        for parameter in self.states.iter().filter(|parameter| parameter.steps > 0) {
            let name = format!("parameters.{}", parameter.name);
            state.insert(format!("{name}.steps"), Tensor::from(i64::from(parameter.steps)));
            for (i, slot) in parameter.slots.iter().enumerate() {
                state.insert(format!("{name}.{i}"), StateTensor::of(slot));
            }
        }
        let rates: Vec<f64> = self.rates.iter().flat_map(|rate| [rate.initial, rate.current]).collect();
        state.insert("learning_rates", Tensor::from(rates).reshape([self.rates.len(), 2]));
        describe(&mut state, self.options());
        state
    }

    /// Loads a state of an optimizer with the same rule, options and groups.
    ///
    /// # Errors
    /// If the options are other ones, or the state is not one of an optimizer, or of another type of number or another
    /// version. The optimizer is then as it was.
    pub fn load_state(&mut self, state: &State) -> Result<(), StateError> {
        let wrong = |fault: String| Err(StateError::Optimizer(fault));
        check(state, "optimizer", &self.options()).map_err(StateError::Optimizer)?;
        let fits = |rates: &&Tensor<f64>| {
            rates.shape() == [self.rates.len(), 2] && rates.iter().all(|rate| rate.is_finite() && rate >= 0.0)
        };
        let Some(rates) = state.tensor::<f64>("learning_rates").filter(fits) else {
            return wrong(format!(
                "`learning_rates` must be an f64 tensor of shape [{}, 2], of finite numbers that are not negative",
                self.rates.len()
            ));
        };
        let parameters = state.part("parameters.");
        let mut states = Vec::new();
        for (key, steps) in parameters.iter() {
            let Some(name) = key.strip_suffix(".steps") else { continue };
            let group = Self::group_of(&self.groups, name);
            let slots = (0..self.groups[group].rule.slots()).map(|i| {
                let slot = parameters.get(&format!("{name}.{i}")).and_then(StateTensor::float::<T>);
                slot.cloned()
                    .ok_or_else(|| format!("`parameters.{name}.{i}` must be a tensor of {}", T::NAME))
            });
            let slots = match slots.collect::<Result<Vec<Tensor<T>>, String>>() {
                Ok(slots) => slots,
                Err(fault) => return wrong(fault),
            };
            let steps = i64::of(steps).and_then(|steps| i32::try_from(steps).ok()).filter(|steps| *steps > 0);
            match steps {
                Some(steps) if slots.windows(2).all(|pair| pair[0].shape() == pair[1].shape()) => {
                    states.push(ParameterState { name: name.into(), group, steps, slots });
                }
                _ => {
                    return wrong(format!(
                        "`parameters.{name}`: a number of steps and tensors of one shape are needed"
                    ));
                }
            }
        }
        let known: usize = states.iter().map(|state| 1 + state.slots.len()).sum();
        if known < parameters.len() {
            return wrong(
                "`parameters` has tensors that belong to no parameter with a number of steps".into(),
            );
        }
        for (rate, numbers) in self.rates.iter_mut().zip(rates.to_vec().chunks(2)) {
            (rate.initial, rate.current) = (numbers[0], numbers[1]);
        }
        self.states = states;
        Ok(())
    }

    /// The options of all groups, in words.
    fn options(&self) -> String {
        let group = |Group { weight_decay, rule, .. }: &Group<R>| {
            format!("{rule:?} with weight decay {weight_decay}")
        };
        self.groups.iter().map(group).collect::<Vec<_>>().join("; ")
    }
}
