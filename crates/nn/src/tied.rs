//! Tied weights: one parameter under several names.

use gradus_autograd::Float;

use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// A second name of a parameter that a model uses in two places, as language models share one matrix between their
/// embedding and their last layer (Press and Wolf, "Using the output embedding to improve language models", 2017).
///
/// The weights are tied by construction: the model owns one parameter and uses it twice in `forward`. So it is one leaf with
/// the sum of both gradients, listed, counted and stepped once, under its own name. A field of type `Tied` has no numbers; it
/// tells the name that the second place has in PyTorch's files.
///
/// ```standalone_crate
/// use gradus_autograd::{Float, Indices, Tensor, Var, seeded};
/// use gradus_nn::{Embedding, Linear, Losses, Module, Optimizer, Sgd, Tied};
/// # extern crate gradus_nn as gradus;
///
/// #[derive(Module, Clone)]
/// struct LanguageModel {
///     encoder: Embedding,
///     body: Linear,
///     decoder: Tied,
/// }
///
/// impl LanguageModel {
///     fn forward(&self, words: &Tensor<i64>) -> Var {
///         let hidden = self.body.forward(&self.encoder.forward(words)).tanh();
///         hidden.linear(&self.encoder.weight, None)
///     }
/// }
///
/// let rng = &mut seeded(0);
/// let mut model = LanguageModel {
///     encoder: Embedding::new(10, 4, rng),
///     body: Linear::new(4, 4, rng),
///     decoder: Tied::to("encoder.weight").field("weight"), // named decoder.weight
/// };
/// let loss = model.forward(&Tensor::from([1, 2, 3])).cross_entropy(&Tensor::from([2, 3, 4]));
/// Sgd::new(0.1).step(&mut model, &loss.backward());
/// assert_eq!(model.state().names().collect::<Vec<_>>(), ["body.bias", "body.weight", "encoder.weight"]);
/// ```
///
/// # In states and files
/// [`Module::state`] holds the parameter once, under its own name. [`Module::save`] stores it as `save_model` of
/// `safetensors.torch` does: once, under the alphabetically first of its names (here `decoder.weight`); the metadata has the
/// others, each with the name that was stored. `load_model` of `safetensors.torch` reads these files. Loading takes the
/// parameter from whichever name is there. If there are several, as in a `state_dict` of PyTorch, they must be equal bit for
/// bit: otherwise [`Difference::Untied`](crate::Difference::Untied) says that the tie is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tied {
    parameter: String,
    field: Option<String>,
}

impl Tied {
    /// A second name of this parameter: the path of the field of type `Tied`.
    ///
    /// The name is looked up from the struct that holds the field, then from the struct around it, and so on. So a model
    /// stays right as a part of another one.
    pub fn to(parameter: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), field: None }
    }

    /// Adds a field to the second name, as if the `Tied` were in a struct of its own: `weight` for `decoder.weight`.
    #[must_use]
    pub fn field(self, name: impl Into<String>) -> Self {
        Self { field: Some(name.into()), ..self }
    }

    /// The parameter that it is a second name of, as it was given.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }
}

impl<T: Float> Module<T> for Tied {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        match &self.field {
            Some(field) => visitor(path.field(field), Member::Tied(self)),
            None => visitor(path, Member::Tied(self)),
        }
    }
    fn visit_mut<'a>(&'a mut self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {}
}
