//! States of models: taken, compared and loaded.

use std::collections::BTreeSet;

use gradus_autograd::{Float, Tensor};

use super::State;
use super::error::{Difference, StateError};
use super::value::{Dtype, StateTensor, dtype_of};
use crate::module::{Member, MemberMut, Module};
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
            Member::Mode(_) => return,
        };
        members.push((path.to_string(), tensor));
    });
    of_members(members)
}

/// Apart from [`of_model`], which is compiled in every program for each of its models.
#[track_caller]
fn of_members(members: Vec<(String, StateTensor)>) -> State {
    let mut state = State::new();
    let mut twice = None;
    for (name, tensor) in members {
        if state.get(&name).is_some() {
            twice = Some(name);
        } else {
            state.insert(name, tensor);
        }
    }
    if let Some(name) = twice {
        panic!("state: the model has two members of the name {name}; names must differ to be loaded again");
    }
    state
}

/// A member that a state may be loaded into.
struct Target {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    optional: bool,
}

/// Without the counters that files of weights do not hold.
#[cfg(feature = "safetensors")]
#[track_caller]
pub(crate) fn weights<T: Float>(model: &impl Module<T>) -> State {
    let mut state = of_model(model);
    model.visit(Path::ROOT, &mut |path, member| {
        if matches!(member, Member::Counter(counter) if !counter.is_persistent()) {
            state.remove(&path.to_string());
        }
    });
    state
}

/// Loads the members whose names are selected. Those that the state lacks are differences if `strict`, except for
/// counters; so are names that the model lacks.
pub(crate) fn load<T: Float>(
    model: &mut (impl Module<T> + ?Sized),
    state: &State,
    select: impl Fn(&str) -> bool,
    strict: bool,
) -> Result<PartialLoad, StateError> {
    let mut targets = Vec::new();
    model.visit(Path::ROOT, &mut |path, member| {
        let (shape, dtype, optional): (Vec<usize>, Dtype, bool) = match member {
            Member::Parameter(parameter) => (parameter.shape().into(), dtype_of::<T>(), false),
            Member::Buffer(buffer) => (buffer.value().shape().into(), dtype_of::<T>(), false),
            Member::Counter(_) => (Vec::new(), Dtype::I64, true),
            Member::Mode(_) => return,
        };
        targets.push(Target { name: path.to_string(), shape, dtype, optional });
    });
    let report = compare(targets, state, &select, strict)?;
    model.visit_mut(Path::ROOT, &mut |path, member| {
        let name = path.to_string();
        let Some(found) = state.get(&name).filter(|_| select(&name)) else { return };
        match member {
            // Numbers are replaced in place: a weight keeps its order in memory, and products their bits.
            MemberMut::Parameter(parameter) => parameter.update(|value| replace(value, found)),
            MemberMut::Buffer(buffer) => buffer.update(|value| replace(value, found)),
            MemberMut::Counter(counter) => {
                if let StateTensor::I64(value) = found {
                    counter.set(value.item());
                }
            }
            MemberMut::Mode(_) => (),
        }
    });
    Ok(report)
}

/// The report of [`load`], or everything that speaks against it.
fn compare(
    targets: Vec<Target>,
    state: &State,
    select: &dyn Fn(&str) -> bool,
    strict: bool,
) -> Result<PartialLoad, StateError> {
    let mut report = PartialLoad::default();
    let mut differences = Vec::new();
    let mut unused: BTreeSet<&str> = state.names().collect();
    for Target { name, shape, dtype, optional } in targets {
        if !select(&name) {
            continue;
        }
        let Some(found) = state.get(&name) else {
            if strict && !optional {
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
    if strict {
        differences.extend(report.unused.iter().cloned().map(Difference::Unexpected));
    }
    if differences.is_empty() { Ok(report) } else { Err(StateError::Mismatch(differences)) }
}

fn replace<T: Float>(value: &mut Tensor<T>, found: &StateTensor) {
    let found: &Tensor<T> = found.float().expect("types were compared");
    value.zip_inplace(
        found,
        #[inline(always)]
        |_, new| new,
    );
}
