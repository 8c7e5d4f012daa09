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
    let mut state = State::new();
    let mut twice = None;
    model.visit(Path::ROOT, &mut |path, member| {
        let tensor = match member {
            Member::Parameter(parameter) => StateTensor::of(parameter.value()),
            Member::Buffer(buffer) => StateTensor::of(&buffer.value()),
            Member::Counter(counter) => Tensor::from(counter.get()).into(),
            Member::Mode(_) => return,
        };
        let name = path.to_string();
        if state.get(&name).is_some() {
            twice = Some(name);
        } else {
            state.insert(name, tensor);
        }
    });
    if let Some(name) = twice {
        panic!("state: the model has two members of the name {name}; names must differ to be loaded again");
    }
    state
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
    let mut report = PartialLoad::default();
    let mut differences = Vec::new();
    let mut unused: BTreeSet<&str> = state.names().collect();
    model.visit(Path::ROOT, &mut |path, member| {
        let name = path.to_string();
        let (shape, dtype, optional): (Vec<usize>, Dtype, bool) = match member {
            Member::Parameter(parameter) => (parameter.shape().into(), dtype_of::<T>(), false),
            Member::Buffer(buffer) => (buffer.value().shape().into(), dtype_of::<T>(), false),
            Member::Counter(_) => (Vec::new(), Dtype::I64, true),
            Member::Mode(_) => return,
        };
        if !select(&name) {
            return;
        }
        let Some(found) = state.get(&name) else {
            if strict && !optional {
                differences.push(Difference::Missing(name));
            } else {
                report.missing.push(name);
            }
            return;
        };
        unused.remove(name.as_str());
        if found.shape() != shape {
            differences.push(Difference::Shape { name, state: found.shape().into(), model: shape });
        } else if found.dtype() != dtype {
            differences.push(Difference::Dtype { name, state: found.dtype(), model: dtype });
        } else {
            report.loaded.push(name);
        }
    });
    report.unused = unused.into_iter().map(String::from).collect();
    if strict {
        differences.extend(report.unused.iter().cloned().map(Difference::Unexpected));
    }
    if !differences.is_empty() {
        return Err(StateError::Mismatch(differences));
    }
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

fn replace<T: Float>(value: &mut Tensor<T>, found: &StateTensor) {
    let found: &Tensor<T> = found.float().expect("types were compared");
    value.zip_inplace(
        found,
        #[inline(always)]
        |_, new| new,
    );
}
