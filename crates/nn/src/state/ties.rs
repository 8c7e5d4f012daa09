//! Parameters with several names, in states and files.

use std::collections::{BTreeMap, BTreeSet};

use gradus_autograd::Float;

use super::State;
use super::error::Difference;
use crate::member::Member;
use crate::module::Module;
use crate::path::Path;

/// For each parameter that has several names, by its own: the others.
pub(super) type Ties = BTreeMap<String, Vec<String>>;

/// The ties of a model.
#[track_caller]
pub(super) fn ties<T: Float>(model: &(impl Module<T> + ?Sized)) -> Ties {
    let (mut parameters, mut tied) = (Vec::new(), Vec::new());
    model.visit(Path::ROOT, &mut |path, member| match member {
        Member::Parameter(_) => parameters.push(path.to_string()),
        Member::Tied(tie) => tied.push((path.to_string(), tie.parameter())),
        Member::Buffer(_) | Member::Counter(_) | Member::Packed(_) | Member::Mode(_) | Member::Layer(_) => {}
    });
    tie(parameters, tied)
}

/// Apart from [`ties`], which is compiled in every program for each of its models.
#[track_caller]
fn tie(parameters: Vec<String>, tied: Vec<(String, &str)>) -> Ties {
    let parameters: BTreeSet<String> = parameters.into_iter().collect();
    let mut ties = Ties::new();
    for (name, parameter) in tied {
        let Some(owner) = around(&name, parameter).find(|name| parameters.contains(name)) else {
            panic!(
                "Tied: `{name}` is tied to `{parameter}`, which is no parameter of the model; its parameters are {parameters:?}"
            );
        };
        ties.entry(owner).or_default().push(name);
    }
    ties
}

/// The names that a parameter may have, seen from a member: in the struct that holds the member, in the one around it, ...
fn around(member: &str, parameter: &str) -> impl Iterator<Item = String> {
    let ends = member.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
    ends.map(move |end| format!("{}{parameter}", &member[..end]))
}

/// The state with each selected parameter of several names under its own; adds a difference where two of them hold
/// different numbers.
pub(super) fn under_own_names(
    mut state: State,
    ties: &Ties,
    select: impl Fn(&str) -> bool,
    differences: &mut Vec<Difference>,
) -> State {
    for (owner, others) in ties.iter().filter(|(owner, _)| select(owner)) {
        let mut kept: Option<(&String, _)> = state.remove(owner).map(|tensor| (owner, tensor));
        for other in others {
            let Some(tensor) = state.remove(other) else { continue };
            match &kept {
                None => kept = Some((other, tensor)),
                Some((_, first)) if first.same_bits(&tensor) => {}
                Some((first, _)) => {
                    differences.push(Difference::Untied { name: other.clone(), other: (*first).clone() });
                }
            }
        }
        if let Some((_, tensor)) = kept {
            state.insert(owner, tensor);
        }
    }
    state
}

/// The state as `save_model` of `safetensors.torch` stores it: of each parameter's names the alphabetically first, with
/// the others in the metadata.
#[cfg(feature = "safetensors")]
pub(super) fn under_first_names(mut state: State, ties: &Ties) -> State {
    for (owner, others) in ties {
        let names = || others.iter().chain([owner]);
        let (Some(first), Some(tensor)) = (names().min(), state.remove(owner)) else { continue };
        state.insert(first, tensor);
        let dropped = names().filter(|name| *name != first);
        state.metadata_mut().extend(dropped.map(|name| (name.clone(), first.clone())));
    }
    state
}
