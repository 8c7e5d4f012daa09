//! The state of a model as one vector of numbers, and updates as differences of two.

use std::collections::BTreeSet;

use gradus_autograd::{Element, Float, Tensor};
use gradus_nn::{Dtype, Module, State, StateTensor};

use crate::error::FederatedError;

/// The names, shapes and types of a model's state, and the place of each tensor in a vector of all numbers: first the
/// trainable parameters, then the buffers. Frozen parameters are not in the vector, counters stand beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    entries: Vec<Entry>,
    parameters: usize,
    len: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Trainable,
    Buffer,
    Frozen,
    Counter,
}

/// The changes of a client: the differences of its numbers, in the order of a [`Layout`], and its counters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) numbers: Vec<f64>,
    pub(crate) counters: Vec<i64>,
}

impl Layout {
    /// The layout of a model.
    ///
    /// # Errors
    /// If the model has tensors of 8 or 16 bits: means of quantised weights make no sense.
    pub fn of<T: Float>(model: &impl Module<T>) -> Result<Self, FederatedError> {
        let named = model.named_parameters();
        let parameters: BTreeSet<&String> = named.iter().map(|(name, _)| name).collect();
        let trainable = named.iter().filter(|(_, parameter)| parameter.is_trainable());
        let trainable: BTreeSet<&String> = trainable.map(|(name, _)| name).collect();
        let mut entries = Vec::new();
        for (name, tensor) in model.state().iter() {
            let name = name.to_string();
            let role = match tensor.dtype() {
                Dtype::F32 | Dtype::F64 if trainable.contains(&name) => Role::Trainable,
                Dtype::F32 | Dtype::F64 if parameters.contains(&name) => Role::Frozen,
                Dtype::F32 | Dtype::F64 => Role::Buffer,
                Dtype::I64 => Role::Counter,
                dtype => {
                    let fault = format!("has elements of type {dtype}: average models of f32 or f64 alone");
                    return Err(FederatedError::Model { name, fault });
                }
            };
            entries.push(Entry { name, shape: tensor.shape().into(), dtype: tensor.dtype(), role });
        }
        entries.sort_by_key(|entry| entry.role);
        let len = |last: Role| entries.iter().filter(|entry| entry.role <= last).map(Entry::len).sum();
        Ok(Self { parameters: len(Role::Trainable), len: len(Role::Buffer), entries })
    }

    /// The number of elements of trainable parameters and buffers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing can be learnt.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of elements of trainable parameters, which come first.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The difference of a client's state from the global one.
    ///
    /// # Errors
    /// The first name that is missing, unexpected, or has another shape or type, or a number that is not finite.
    pub(crate) fn change(
        &self,
        client: u64,
        global: &State,
        state: &State,
    ) -> Result<Change, FederatedError> {
        let refuse =
            |name: &str, fault: String| FederatedError::Update { client, name: name.to_string(), fault };
        let known: BTreeSet<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        if let Some(name) = state.names().find(|name| !known.contains(name)) {
            return Err(refuse(name, "is not in the model of the federation".into()));
        }
        let mut change = Change { numbers: Vec::with_capacity(self.len), counters: Vec::new() };
        for entry in &self.entries {
            let Some(tensor) = state.get(&entry.name) else {
                return Err(refuse(&entry.name, "is missing".into()));
            };
            if tensor.shape() != entry.shape {
                let fault = format!(
                    "has the shape {:?}, in the model of the federation {:?}",
                    tensor.shape(),
                    entry.shape
                );
                return Err(refuse(&entry.name, fault));
            }
            if tensor.dtype() != entry.dtype {
                let fault = format!(
                    "has elements of type {}, in the model of the federation {}",
                    tensor.dtype(),
                    entry.dtype
                );
                return Err(refuse(&entry.name, fault));
            }
            let start = global.get(&entry.name).expect("the layout is the global state's");
            match entry.role {
                Role::Trainable | Role::Buffer => {
                    let first = change.numbers.len();
                    change.numbers.extend(numbers(tensor).zip(numbers(start)).map(|(new, old)| new - old));
                    if let Some(at) = change.numbers[first..].iter().position(|x| !x.is_finite()) {
                        let value = numbers(tensor).nth(at).unwrap_or(f64::NAN);
                        let fault = format!("has {value} as element {at}: all numbers must be finite");
                        return Err(refuse(&entry.name, fault));
                    }
                }
                Role::Frozen => (),
                Role::Counter => change.counters.extend(integers(tensor)),
            }
        }
        Ok(change)
    }

    /// The name of the tensor that has a number of the vector, and its place there.
    #[cfg(feature = "secure-aggregation")]
    pub(crate) fn place(&self, index: usize) -> Option<(&str, usize)> {
        let mut start = 0;
        self.entries.iter().filter(|entry| entry.role <= Role::Buffer).find_map(|entry| {
            start += entry.len();
            (index < start).then(|| (entry.name.as_str(), index + entry.len() - start))
        })
    }

    /// Whether all trainable parameters and buffers of a state are finite.
    pub(crate) fn is_finite(&self, state: &State) -> bool {
        self.entries
            .iter()
            .filter(|entry| entry.role <= Role::Buffer)
            .all(|entry| state.get(&entry.name).is_some_and(|tensor| numbers(tensor).all(f64::is_finite)))
    }

    /// The global state, moved by a vector of differences; each sum is rounded once to the type of the parameter.
    pub(crate) fn moved(&self, global: &State, numbers_by: &[f64], counters: Option<&[i64]>) -> State {
        assert_eq!(numbers_by.len(), self.len, "as many differences as numbers");
        let (mut state, mut start, mut counted) = (global.clone(), 0, 0);
        for entry in &self.entries {
            let old = global.get(&entry.name).expect("the layout is the global state's");
            match entry.role {
                Role::Trainable | Role::Buffer => {
                    let by = &numbers_by[start..start + entry.len()];
                    start += entry.len();
                    let sums = numbers(old).zip(by).map(|(old, by)| old + by);
                    let tensor: StateTensor = match entry.dtype {
                        Dtype::F64 => shaped(sums.collect(), &entry.shape).into(),
                        _ => shaped(sums.map(|x| x as f32).collect(), &entry.shape).into(),
                    };
                    state.insert(entry.name.clone(), tensor);
                }
                Role::Frozen => (),
                Role::Counter => {
                    if let Some(counters) = counters {
                        let new = counters[counted..counted + entry.len()].to_vec();
                        state.insert(entry.name.clone(), shaped(new, &entry.shape));
                    }
                    counted += entry.len();
                }
            }
        }
        state
    }
}

impl Entry {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

fn shaped<E: Element>(data: Vec<E>, shape: &[usize]) -> Tensor<E> {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

fn numbers(tensor: &StateTensor) -> Box<dyn Iterator<Item = f64> + '_> {
    match tensor {
        StateTensor::F32(tensor) => Box::new(tensor.iter().map(f64::from)),
        StateTensor::F64(tensor) => Box::new(tensor.iter()),
        _ => unreachable!("types were compared"),
    }
}

fn integers(tensor: &StateTensor) -> impl Iterator<Item = i64> + '_ {
    match tensor {
        StateTensor::I64(tensor) => tensor.iter(),
        _ => unreachable!("types were compared"),
    }
}
