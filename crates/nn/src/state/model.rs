//! States of models: taken, compared and loaded.

use std::collections::BTreeSet;

use gradus_autograd::{Float, Tensor};

use super::State;
use super::error::{Difference, StateError, list};
use super::ties::{Ties, ties, under_own_names};
use super::value::{Dtype, StateTensor, dtype_of};
use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// The report of [`Module::load_partial`](crate::Module::load_partial).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartialLoad {
    /// The names that were loaded.
    pub loaded: Vec<String>,
    /// The names that were asked for and that the state does not have: they are as they were.
    pub missing: Vec<String>,
    /// The names of the state that were not asked for, or that the model does not have.
    pub unused: Vec<String>,
}

/// Parameters, buffers and counters.
#[track_caller]
pub(crate) fn of_model<T: Float>(model: &(impl Module<T> + ?Sized)) -> State {
    let mut members = Vec::new();
    model.visit(Path::ROOT, &mut |path, member| {
        let tensor = match member {
            Member::Parameter(parameter) => StateTensor::of(parameter.value()),
            Member::Buffer(buffer) => StateTensor::of(&buffer.value()),
            Member::Counter(counter) => Tensor::from(counter.get()).into(),
            Member::Packed(packed) => packed.to_state(),
            Member::Mode(_) | Member::Tied(_) | Member::Layer(_) => return,
        };
        members.push((path.to_string(), tensor));
    });
    of_members(members, ties(model))
}

/// Apart from [`of_model`], which is compiled in every program for each of its models.
#[track_caller]
fn of_members(members: Vec<(String, StateTensor)>, ties: Ties) -> State {
    let mut state = State::new();
    let mut twice = None;
    for (name, tensor) in members {
        if state.get(&name).is_some() {
            twice = Some(name);
        } else {
            state.insert(name, tensor);
        }
    }
    let second_names = ties.into_values().flatten();
    let twice = twice.or_else(|| second_names.into_iter().find(|name| state.get(name).is_some()));
    if let Some(name) = twice {
        panic!("state: the model has two members of the name {name}; names must differ to be loaded again");
    }
    state
}

/// As files of weights hold it: without the counters that they do not have, and with tied weights under PyTorch's names.
#[cfg(feature = "safetensors")]
#[track_caller]
pub(crate) fn weights<T: Float>(model: &impl Module<T>) -> State {
    let mut state = of_model(model);
    model.visit(Path::ROOT, &mut |path, member| {
        if matches!(member, Member::Counter(counter) if !counter.is_persistent()) {
            state.remove(&path.to_string());
        }
    });
    super::ties::under_first_names(state, &ties(model))
}

/// The members that a state must have. If it must have any, it may have no others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    All,
    AllButCounters,
    Nothing,
}

/// Loads the members whose names are selected, as far as the state has them.
#[track_caller]
pub(crate) fn load<T: Float>(
    model: &mut (impl Module<T> + ?Sized),
    state: &State,
    select: impl Fn(&str) -> bool,
    need: Need,
) -> Result<PartialLoad, StateError> {
    let (state, report) = compare(model, state.clone(), &select, need).map_err(StateError::Mismatch)?;
    assign(model, &state, select, replace);
    Ok(report)
}

/// Copies buffers and counters of another model of the same architecture; `change` changes a parameter, given the other
/// model's.
#[track_caller]
pub(crate) fn copy<T: Float>(
    function: &str,
    model: &mut (impl Module<T> + ?Sized),
    other: &(impl Module<T> + ?Sized),
    change: impl Fn(&mut Tensor<T>, &Tensor<T>),
) {
    match compare(model, of_model(other), |_| true, Need::All) {
        Ok((state, _)) => assign(model, &state, |_| true, change),
        Err(differences) => {
            panic!("{function}: the state of the other model does not fit this model{}", list(&differences))
        }
    }
}

/// The state under the names of the model's members, and a report as if it were loaded; or all differences.
#[track_caller]
fn compare<T: Float>(
    model: &(impl Module<T> + ?Sized),
    state: State,
    select: impl Fn(&str) -> bool,
    need: Need,
) -> Result<(State, PartialLoad), Vec<Difference>> {
    let (mut targets, mut faults) = (Vec::new(), Vec::new());
    model.visit(Path::ROOT, &mut |path, member| {
        let (shape, dtype, needed): (Vec<usize>, Dtype, bool) = match member {
            Member::Parameter(parameter) => {
                (parameter.shape().into(), dtype_of::<T>(), need != Need::Nothing)
            }
            Member::Buffer(buffer) => (buffer.value().shape().into(), dtype_of::<T>(), need != Need::Nothing),
            Member::Counter(_) => (Vec::new(), Dtype::I64, need == Need::All),
            Member::Packed(packed) => {
                let (own, name) = (packed.to_state(), path.to_string());
                let found = state.get(&name).filter(|_| select(&name));
                let fault = found.and_then(|found| packed.check(found));
                faults.extend(fault.map(|fault| Difference::Value { name, fault }));
                // Files have no other integers than `i64` once they are read.
                let is_integer = matches!(own.dtype(), Dtype::I8 | Dtype::U8);
                let dtype = found.map_or(own.dtype(), StateTensor::dtype);
                let dtype = if is_integer && dtype == Dtype::I64 { dtype } else { own.dtype() };
                (own.shape().into(), dtype, need != Need::Nothing)
            }
            Member::Mode(_) | Member::Tied(_) | Member::Layer(_) => return,
        };
        targets.push(Target { name: path.to_string(), shape, dtype, needed });
    });
    let (state, report) = compare_targets(targets, state, &ties(model), &select, need)?;
    if faults.is_empty() { Ok((state, report)) } else { Err(faults) }
}

/// A member that a state may be loaded into.
struct Target {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    needed: bool,
}

/// [`compare`], compiled once for all models.
fn compare_targets(
    targets: Vec<Target>,
    state: State,
    ties: &Ties,
    select: &dyn Fn(&str) -> bool,
    need: Need,
) -> Result<(State, PartialLoad), Vec<Difference>> {
    let mut report = PartialLoad::default();
    let mut differences = Vec::new();
    let state = under_own_names(state, ties, select, &mut differences);
    let mut unused: BTreeSet<&str> = state.names().collect();
    for Target { name, shape, dtype, needed } in targets {
        if !select(&name) {
            continue;
        }
        let Some(found) = state.get(&name) else {
            if needed {
                differences.push(Difference::Missing(name));
            } else {
                report.missing.push(name);
            }
            continue;
        };
        unused.remove(name.as_str());
        if found.shape() != shape {
            differences.push(Difference::Shape { name, state: found.shape().into(), model: shape });
        } else if found.dtype() != dtype {
            differences.push(Difference::Dtype { name, state: found.dtype(), model: dtype });
        } else {
            report.loaded.push(name);
        }
    }
    report.unused = unused.into_iter().map(String::from).collect();
    if need != Need::Nothing {
        differences.extend(report.unused.iter().cloned().map(Difference::Unexpected));
    }
    if differences.is_empty() { Ok((state, report)) } else { Err(differences) }
}

/// Changes the selected members to the numbers of a state that was compared with them; `change` changes a parameter.
fn assign<T: Float>(
    model: &mut (impl Module<T> + ?Sized),
    state: &State,
    select: impl Fn(&str) -> bool,
    change: impl Fn(&mut Tensor<T>, &Tensor<T>),
) {
    let float = |found: &StateTensor| found.float().expect("types were compared").clone();
    model.visit_mut(Path::ROOT, &mut |path, member| {
        let name = path.to_string();
        let Some(found) = state.get(&name).filter(|_| select(&name)) else { return };
        match member {
            MemberMut::Parameter(parameter) => parameter.update(|value| change(value, &float(found))),
            MemberMut::Buffer(buffer) => buffer.update(|value| replace(value, &float(found))),
            MemberMut::Counter(counter) => {
                if let StateTensor::I64(value) = found {
                    counter.set(value.item());
                }
            }
            MemberMut::Packed(packed) => packed.set_state(found),
            MemberMut::Mode(_) => (),
        }
    });
}

/// Replaces numbers in place: a weight keeps its order in memory, and products their bits.
pub(crate) fn replace<T: Float>(value: &mut Tensor<T>, new: &Tensor<T>) {
    value.zip_inplace(
        new,
        #[inline(always)]
        |_, new| new,
    );
}
