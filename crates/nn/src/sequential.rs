//! Layers one after another.

use std::fmt::Debug;

use gradus_autograd::{Float, Var};

use crate::module::{Module, Path};
use crate::parameter::Parameter;

/// A module with one input and one output of the same kind, which can be put into a [`Sequential`].
pub trait Layer<T: Float = f32>: Module<T> + CloneLayer<T> + Debug + Send + Sync {
    /// The output for an input.
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T>;
}

/// Cloning behind a pointer; every layer that is `Clone` has it.
pub trait CloneLayer<T: Float> {
    /// A clone in a box.
    fn clone_layer(&self) -> Box<dyn Layer<T>>;
}

impl<T: Float, L: Layer<T> + Clone + 'static> CloneLayer<T> for L {
    fn clone_layer(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }
}

impl<T: Float> Clone for Box<dyn Layer<T>> {
    fn clone(&self) -> Self {
        (**self).clone_layer()
    }
}

/// Layers one after another; parameters are named by position, `0.weight`.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::{Linear, Module, Relu, Sequential};
///
/// let rng = &mut seeded(0);
/// let model = Sequential::new().push(Linear::new(4, 8, rng)).push(Relu {}).push(Linear::new(8, 3, rng));
/// assert_eq!(model.forward(&Var::constant(Tensor::<f32>::ones([5, 4]))).shape(), [5, 3]);
/// assert_eq!(model.named_parameters()[2].0, "2.weight");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sequential<T: Float = f32> {
    /// The layers, first to last.
    pub layers: Vec<Box<dyn Layer<T>>>,
}

impl<T: Float> Sequential<T> {
    /// No layers: the identity.
    pub fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// The same with one more layer at the end.
    #[must_use]
    pub fn push(mut self, layer: impl Layer<T> + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// The output of the last layer.
    #[track_caller]
    pub fn forward(&self, x: &Var<T>) -> Var<T> {
        self.layers.iter().fold(x.clone(), |x, layer| layer.forward(&x))
    }
}

impl<T: Float> Module<T> for Sequential<T> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &'a Parameter<T>)) {
        self.layers.visit(path, visitor);
    }
    fn visit_mut(&mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &mut Parameter<T>)) {
        self.layers.visit_mut(path, visitor);
    }
}

impl<T: Float> Layer<T> for Sequential<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}
