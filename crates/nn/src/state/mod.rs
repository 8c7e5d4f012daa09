//! The state of models as named tensors: to save and load, to compare, to copy.

mod error;
#[cfg(feature = "safetensors")]
mod file;
mod model;
mod ties;
mod value;

use std::collections::BTreeMap;

use gradus_autograd::Float;

pub use error::{Difference, StateError};
pub use model::PartialLoad;
#[cfg(feature = "safetensors")]
pub(crate) use model::weights;
pub(crate) use model::{Need, copy, load, of_model, replace};
pub(crate) use value::Value;
pub use value::{Dtype, StateTensor};

/// Tensors with names, in the order of the names, and metadata.
///
/// [`Module::state`](crate::Module::state) gives a model's, under PyTorch's names;
/// [`Module::load_state`](crate::Module::load_state) puts one into a model. With the feature `safetensors`, which is on by
/// default, [`read`](Self::read) and [`write`](Self::write) exchange it with a file.
///
/// ```
/// use gradus_autograd::{Tensor, seeded};
/// use gradus_nn::{Linear, Module, State};
///
/// let model = Linear::<f32>::new(2, 1, &mut seeded(0));
/// let state = model.state();
/// assert_eq!(state.names().collect::<Vec<_>>(), ["bias", "weight"]);
/// assert_eq!(state.tensor::<f32>("bias"), Some(model.bias.as_ref().unwrap().value()));
///
/// let mut other = Linear::<f32>::new(2, 1, &mut seeded(1));
/// other.load_state(&state)?;
/// assert_eq!(other.state(), state);
/// # Ok::<(), gradus_nn::StateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    tensors: BTreeMap<String, StateTensor>,
    metadata: BTreeMap<String, String>,
}

impl State {
    /// No tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor, in place of another one of this name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: impl Into<StateTensor>) {
        self.tensors.insert(name.into(), tensor.into());
    }

    /// The tensor of a name, if there is one.
    pub fn get(&self, name: &str) -> Option<&StateTensor> {
        self.tensors.get(name)
    }

    /// The tensor of a name, if there is one with these elements.
    pub fn tensor<E: value::Stored>(&self, name: &str) -> Option<&gradus_autograd::Tensor<E>> {
        E::of(self.get(name)?)
    }

    /// A number (`f32`, `f64`, `i32`, `i64`, `u32`, `u64` or `usize`), a truth value or a generator that was
    /// [inserted](Self::insert) under a name. Integers are stored as `i64`, and read as any type in whose range they are.
    ///
    /// # Errors
    /// If there is no tensor of this name, or it holds something else.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Xoshiro256PlusPlus, seeded};
    /// use gradus_nn::State;
    ///
    /// let rng = &mut seeded(0);
    /// let mut state = State::new();
    /// state.insert("epoch", 3);
    /// state.insert("rng", &*rng);
    /// let mut resumed: Xoshiro256PlusPlus = state.value("rng")?;
    /// assert_eq!(Tensor::randperm(9, &mut resumed), Tensor::randperm(9, rng));
    /// assert_eq!(state.value::<i64>("epoch")?, 3);
    /// assert!(state.value::<f64>("epoch").is_err());
    /// # Ok::<(), gradus_nn::StateError>(())
    /// ```
    pub fn value<V: value::Value>(&self, name: &str) -> Result<V, StateError> {
        let tensor = self.get(name);
        tensor.and_then(V::of).ok_or_else(|| StateError::Value {
            name: name.into(),
            form: V::FORM,
            found: tensor.map(|tensor| (tensor.dtype(), tensor.shape().into())),
        })
    }

    /// Takes a tensor out.
    pub fn remove(&mut self, name: &str) -> Option<StateTensor> {
        self.tensors.remove(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Names and tensors, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &StateTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Text that is kept beside the tensors.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Text that is kept beside the tensors, to change it.
    pub fn metadata_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.metadata
    }

    /// Adds another state as a part: with the prefix before every name, in the metadata too. A checkpoint is one state of
    /// several parts, and numbers beside them.
    ///
    /// ```
    /// use gradus_autograd::Tensor;
    /// use gradus_nn::State;
    ///
    /// let mut head = State::new();
    /// head.insert("weight", Tensor::from([1.0_f32]));
    /// let mut checkpoint = State::new();
    /// checkpoint.insert_part("head.", &head);
    /// checkpoint.insert("epoch", Tensor::from(3_i64));
    /// assert!(checkpoint.get("head.weight").is_some());
    /// assert_eq!(checkpoint.part("head."), head);
    /// ```
    pub fn insert_part(&mut self, prefix: &str, part: &Self) {
        let named = |name: &String| format!("{prefix}{name}");
        self.tensors.extend(part.tensors.iter().map(|(name, tensor)| (named(name), tensor.clone())));
        self.metadata.extend(part.metadata.iter().map(|(name, text)| (named(name), text.clone())));
    }

    /// The tensors and metadata whose names begin with the prefix, without it.
    #[must_use]
    pub fn part(&self, prefix: &str) -> Self {
        fn under<V: Clone>(map: &BTreeMap<String, V>, prefix: &str) -> BTreeMap<String, V> {
            map.iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.into(), value.clone())))
                .collect()
        }
        Self { tensors: under(&self.tensors, prefix), metadata: under(&self.metadata, prefix) }
    }

    /// Floating-point tensors of every other type converted to `T`; integers and truth values stay. The second result is
    /// the largest relative error that rounding made: 0 from half to single precision, at most 6e-8 from `f64` to `f32`;
    /// infinite if a number became infinite, or 0.
    ///
    /// ```
    /// use gradus_autograd::Tensor;
    /// use gradus_nn::State;
    ///
    /// let mut state = State::new();
    /// state.insert("third", Tensor::from(1.0_f64 / 3.0));
    /// let (single, error) = state.convert::<f32>();
    /// assert_eq!(single.tensor::<f32>("third"), Some(&Tensor::from(1.0_f32 / 3.0)));
    /// assert!(error > 0.0 && error < 6e-8);
    /// ```
    #[must_use]
    pub fn convert<T: Float + value::Stored>(&self) -> (Self, f64) {
        let mut worst = 0.0_f64;
        let mut converted = |(name, tensor): (&String, &StateTensor)| {
            let (tensor, error) = tensor.convert::<T>();
            worst = worst.max(error);
            (name.clone(), tensor)
        };
        let tensors = self.tensors.iter().map(&mut converted).collect();
        (Self { tensors, metadata: self.metadata.clone() }, worst)
    }
}
