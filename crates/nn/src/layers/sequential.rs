//! Layers in sequence.

use std::any::Any;
use std::fmt::{self, Debug, Display, Formatter};
use std::ops::{Index, IndexMut};

use gradus_autograd::{AsVar, Float, Var};

use crate::inside::{self, LayerId};
use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// A module with one input and one output, which can be an element of a [`Sequential`].
///
/// ```standalone_crate
/// use gradus_autograd::{Float, Tensor, Var};
/// use gradus_nn::{Layer, Module, Parameter, Sequential};
/// # extern crate gradus_nn as gradus;
///
/// /// Multiplies by a learned factor.
/// #[derive(Debug, Clone, Module)]
/// struct Scale<T: Float> {
///     factor: Parameter<T>,
/// }
///
/// impl<T: Float> Layer<T> for Scale<T> {
///     fn forward(&self, x: &Var<T>) -> Var<T> {
///         x * &self.factor
///     }
/// }
///
/// let model = Sequential::new().push(Scale { factor: Parameter::new([2.0, 3.0]) });
/// let y = model.forward(&Var::constant([10.0, 10.0]));
/// assert_eq!(y.value(), &Tensor::from([20.0, 30.0]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Layer<{T}>`",
    note = "a function or closure goes into a `Sequential` with `push_fn`",
    note = "a struct that derives `Module` is a layer once it implements `Layer`; all layers of a model have one element type"
)]
pub trait Layer<T: Float = f32>: Module<T> + CloneLayer<T> + Debug + Send + Sync {
    /// The output for an input, in the layer's mode; see [`Module::evaluate`].
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T>;
}

/// The inherent `forward` of layers of any element type, which takes whatever turns into a variable.
macro_rules! inherent_forward {
    ($($layer:ident),*) => {$(
        impl $layer {
            /// The output for an input: a variable, or anything that turns into one.
            ///
            /// # Panics
            /// If the shape of the input does not fit.
            #[track_caller]
            pub fn forward<T: Float>(&self, x: impl AsVar<T>) -> Var<T> {
                Layer::forward(self, &x.as_var())
            }
        }
    )*};
}
pub(super) use inherent_forward;

/// Cloning into a box, and back to its own type, for `Box<dyn Layer>`; every layer that is `Clone` has it.
pub trait CloneLayer<T: Float> {
    /// A boxed clone.
    fn clone_layer(&self) -> Box<dyn Layer<T>>;
    /// The layer as a value of its own type, `layer.as_any().downcast_ref::<Linear>()`.
    fn as_any(&self) -> &dyn Any;
    /// [`as_any`](Self::as_any) to change it.
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// The name of the layer's type.
    fn type_name(&self) -> &'static str;
}

impl<T: Float, L: Layer<T> + Clone + 'static> CloneLayer<T> for L {
    fn clone_layer(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn type_name(&self) -> &'static str {
        std::any::type_name::<L>()
    }
}

impl<T: Float> Clone for Box<dyn Layer<T>> {
    fn clone(&self) -> Self {
        (**self).clone_layer()
    }
}

/// Layers in sequence, each applied to the output of the one before. Parameters are named by position: `0.weight`.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::{Layer, Linear, Module, Relu, Sequential};
///
/// let rng = &mut seeded(0);
/// let model = Sequential::new()
///     .push(Linear::new(4, 8, rng))
///     .push(Relu)
///     .push_fn(|x| x * 2.0)
///     .push(Linear::new(8, 3, rng));
/// assert_eq!(model.forward(Tensor::<f32>::ones([5, 4])).shape(), [5, 3]);
/// assert_eq!(model.named_parameters()[2].0, "3.weight");
/// assert_eq!(model.len(), 4);
/// let features = model.iter().take(2).fold(Var::constant([[0.0; 4]]), |x, layer| layer.forward(&x));
/// assert_eq!(model[1].forward(&features).shape(), [1, 8]);
/// ```
///
/// If the element type does not follow from the rest of the program, write it: `let model: Sequential = ..`, or
/// `Sequential::<f64>::new()`.
#[derive(Debug, Clone, Default)]
pub struct Sequential<T: Float = f32> {
    /// The layers, first to last.
    pub layers: Vec<Box<dyn Layer<T>>>,
}

impl<T: Float> Sequential<T> {
    /// Without layers, the identity.
    pub fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// Appends a layer.
    #[must_use]
    pub fn push(mut self, layer: impl Layer<T> + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Appends a function without parameters.
    #[must_use]
    pub fn push_fn(self, function: impl Fn(&Var<T>) -> Var<T> + Clone + Send + Sync + 'static) -> Self {
        self.push(Function(function))
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers, first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &dyn Layer<T>> + ExactSizeIterator {
        self.layers.iter().map(|layer| &**layer)
    }

    /// The output of the last layer for an input of the first.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let scope = inside::open(self);
        // A closure would hide the caller's line.
        let mut x = x.as_var().into_owned();
        for layer in &self.layers {
            x = layer.forward(&x);
        }
        scope.gives(x)
    }
}

/// Its [summary](Module::summary).
impl<T: Float> Display for Sequential<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.summary(), f)
    }
}

impl<T: Float> Index<usize> for Sequential<T> {
    type Output = dyn Layer<T>;
    #[track_caller]
    fn index(&self, place: usize) -> &Self::Output {
        &*self.layers[place]
    }
}

impl<T: Float> IndexMut<usize> for Sequential<T> {
    #[track_caller]
    fn index_mut(&mut self, place: usize) -> &mut Self::Output {
        &mut *self.layers[place]
    }
}

/// A function as a layer.
#[derive(Clone)]
struct Function<F>(F);

impl<F> Debug for Function<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Function")
    }
}

impl<T: Float, F> Module<T> for Function<F> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Layer(LayerId::of(self)));
    }
    fn visit_mut<'a>(&'a mut self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {}
}

impl<T: Float, F: Fn(&Var<T>) -> Var<T> + Clone + Send + Sync + 'static> Layer<T> for Function<F> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        inside::open(self).gives(self.0(x))
    }
}

/// Parameters have the names they have in `layers`.
impl<T: Float> Module<T> for Sequential<T> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Layer(LayerId::of(self)));
        self.layers.visit(path, visitor);
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        self.layers.visit_mut(path, visitor);
    }
}

impl<T: Float> Layer<T> for Sequential<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}
