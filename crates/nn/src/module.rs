//! What a model is made of: parameters and buffers by name, and its two modes.

use std::fmt::{self, Display, Formatter};

use gradus_autograd::{Float, Gradients, Tape, Tensor};

use crate::parameter::Parameter;

/// Something that owns parameters: a layer, or a model made of layers.
///
/// `#[derive(Module)]` implements it for a struct of modules, field by field:
///
/// ```standalone_crate
/// use gradus_autograd::{Var, seeded};
/// use gradus_nn::{Linear, Module};
/// # extern crate gradus_nn as gradus;
///
/// #[derive(Module, Clone)]
/// struct Mlp {
///     hidden: Vec<Linear>,
///     out: Linear,
///     #[module(skip)]
///     name: String,
/// }
///
/// let rng = &mut seeded(0);
/// let mlp = Mlp { hidden: vec![Linear::new(2, 3, rng)], out: Linear::new(3, 1, rng), name: "xor".into() };
/// let names: Vec<String> = mlp.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["hidden.0.weight", "hidden.0.bias", "out.weight", "out.bias"]);
/// assert_eq!(mlp.parameter_count(), 13);
/// ```
pub trait Module<T: Float = f32> {
    /// Calls `visitor` with every parameter and its path below `path`, always in the same order.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_nn::{Linear, Module, Path};
    ///
    /// let layer: Linear = Linear::new(3, 2, &mut seeded(0));
    /// let mut seen = Vec::new();
    /// layer.visit(Path::ROOT, &mut |path, p| seen.push((path.to_string(), p.shape())));
    /// assert_eq!(seen, [("weight".into(), &[2, 3][..]), ("bias".into(), &[2][..])]);
    /// ```
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &'a Parameter<T>));

    /// Like [`visit`](Self::visit), to change the parameters.
    ///
    /// ```
    /// use gradus_autograd::{Tensor, seeded};
    /// use gradus_nn::{Linear, Module, Path};
    ///
    /// let mut layer: Linear = Linear::new(3, 2, &mut seeded(0));
    /// layer.visit_mut(Path::ROOT, &mut |_, parameter| parameter.update(|p| *p *= 0.0));
    /// assert_eq!(layer.weight.value(), &Tensor::zeros([2, 3]));
    /// ```
    fn visit_mut(&mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &mut Parameter<T>));

    /// Calls `visitor` with every buffer and its path below `path`: tensors that belong to the model's state and that no
    /// gradient changes, such as the running statistics of [`BatchNorm2d`](crate::BatchNorm2d).
    ///
    /// `#[derive(Module)]` writes it. By default there are none.
    ///
    /// ```
    /// use gradus_nn::{BatchNorm2d, Module, Path};
    ///
    /// let layer: BatchNorm2d = BatchNorm2d::new(3);
    /// let mut names = Vec::new();
    /// layer.visit_buffers(Path::ROOT, &mut |path, _| names.push(path.to_string()));
    /// assert_eq!(names, ["running_mean", "running_var"]);
    /// ```
    fn visit_buffers<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &'a Tensor<T>)) {
        let _ = (path, visitor);
    }

    /// Like [`visit_buffers`](Self::visit_buffers), to change them.
    ///
    /// ```
    /// use gradus_nn::{BatchNorm2d, Module, Path};
    ///
    /// let mut layer: BatchNorm2d = BatchNorm2d::new(3);
    /// layer.visit_buffers_mut(Path::ROOT, &mut |_, buffer| *buffer *= 0.5);
    /// assert_eq!(layer.running_var.to_vec(), [0.5; 3]);
    /// ```
    fn visit_buffers_mut(&mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &mut Tensor<T>)) {
        let _ = (path, visitor);
    }

    /// Sets the mode of every layer that has two: in training [`Dropout`](crate::Dropout) drops, and batch
    /// normalisation uses the batch's statistics and remembers them.
    ///
    /// `#[derive(Module)]` writes it. By default nothing has two.
    ///
    /// ```
    /// use gradus_nn::{Dropout, Module};
    ///
    /// let mut layer = Dropout::new(0.5, 0);
    /// Module::<f32>::set_training(&mut layer, false);
    /// assert!(!layer.training);
    /// ```
    fn set_training(&mut self, training: bool) {
        let _ = training;
    }

    /// Puts the model in training mode, in which layers start.
    ///
    /// ```
    /// use gradus_nn::{BatchNorm2d, Module, Sequential};
    ///
    /// let mut model = Sequential::<f32>::new().push(BatchNorm2d::new(3));
    /// model.eval();
    /// model.train();
    /// ```
    fn train(&mut self) {
        self.set_training(true);
    }

    /// Puts the model in evaluation mode. Layers that have two modes allow [`Layer::forward`](crate::Layer::forward) in
    /// this one only.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{Dropout, Module, Sequential};
    ///
    /// let mut model = Sequential::new().push(Dropout::new(0.5, 0));
    /// model.eval();
    /// assert_eq!(model.forward(&Var::constant([1.0, 2.0])).value().to_vec(), [1.0, 2.0]);
    /// ```
    fn eval(&mut self) {
        self.set_training(false);
    }

    /// The buffers with their names, such as `norm.running_mean`.
    ///
    /// ```
    /// use gradus_nn::{BatchNorm2d, Module};
    ///
    /// let layer: BatchNorm2d = BatchNorm2d::new(3);
    /// assert_eq!(layer.named_buffers()[0].0, "running_mean");
    /// ```
    fn named_buffers(&self) -> Vec<(String, &Tensor<T>)> {
        let mut named = Vec::new();
        self.visit_buffers(Path::ROOT, &mut |path, buffer| named.push((path.to_string(), buffer)));
        named
    }

    /// The parameters with their names, such as `hidden.0.weight`.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_nn::{Linear, Module};
    ///
    /// let layers: [Linear; 2] = [(); 2].map(|()| Linear::new(3, 3, &mut seeded(0)));
    /// let names: Vec<String> = layers.named_parameters().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["0.weight", "0.bias", "1.weight", "1.bias"]);
    /// ```
    fn named_parameters(&self) -> Vec<(String, &Parameter<T>)> {
        let mut named = Vec::new();
        self.visit(Path::ROOT, &mut |path, parameter| named.push((path.to_string(), parameter)));
        named
    }

    /// The parameters, in the order of their names.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_nn::{Linear, Module};
    ///
    /// let layer: Linear = Linear::new(3, 2, &mut seeded(0));
    /// let shapes: Vec<&[usize]> = layer.parameters().into_iter().map(|p| p.shape()).collect();
    /// assert_eq!(shapes, [&[2, 3][..], &[2]]);
    /// ```
    fn parameters(&self) -> Vec<&Parameter<T>> {
        let mut parameters = Vec::new();
        self.visit(Path::ROOT, &mut |_, parameter| parameters.push(parameter));
        parameters
    }

    /// The number of elements of all parameters.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_nn::{Linear, Module};
    ///
    /// let layer: Linear = Linear::new(3, 2, &mut seeded(0));
    /// assert_eq!(layer.parameter_count(), 2 * 3 + 2);
    /// ```
    fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.len()).sum()
    }

    /// The tape with the parameters under their names.
    ///
    /// ```
    /// use gradus_autograd::{Tape, Tensor, Var, seeded};
    /// use gradus_nn::{Linear, Module};
    ///
    /// let layer = Linear::<f32>::new(2, 1, &mut seeded(0)).without_bias();
    /// let y = layer.forward(&Var::constant([1.0, 2.0]));
    /// assert!(layer.label_tape(Tape::of(&y)).to_string().starts_with("%0 = weight : [1, 2] f32"));
    /// ```
    fn label_tape(&self, tape: Tape<T>) -> Tape<T> {
        let named = self.named_parameters().into_iter();
        named.fold(tape, |tape, (name, parameter)| tape.label(parameter, name))
    }

    /// The names of the parameters for which there is no gradient: the loss did not depend on them.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_nn::{Linear, Module};
    ///
    /// let layer: Linear = Linear::new(3, 2, &mut seeded(0));
    /// let gradients = layer.weight.square().sum(..).backward();
    /// assert_eq!(layer.names_without_gradient(&gradients), ["bias"]);
    /// ```
    fn names_without_gradient(&self, gradients: &Gradients<T>) -> Vec<String> {
        let missing =
            |(name, parameter): (String, &Parameter<T>)| gradients.get(parameter).is_none().then_some(name);
        self.named_parameters().into_iter().filter_map(missing).collect()
    }
}

/// Where a parameter is in a model; shown with dots, `hidden.0.weight`.
///
/// A path borrows the one above it, so that a walk over a model allocates nothing.
///
/// ```
/// use gradus_nn::Path;
///
/// assert_eq!(Path::ROOT.field("hidden").index(0).field("weight").to_string(), "hidden.0.weight");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl Path<'_> {
    /// The model itself, which has no name.
    ///
    /// ```
    /// use gradus_nn::Path;
    ///
    /// assert_eq!(Path::ROOT.to_string(), "");
    /// ```
    pub const ROOT: Path<'static> = Path { parent: None, segment: Segment::Root };

    /// A field of what is here.
    ///
    /// ```
    /// use gradus_nn::Path;
    ///
    /// assert_eq!(Path::ROOT.field("out").field("bias").to_string(), "out.bias");
    /// ```
    pub fn field<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), segment: Segment::Field(name) }
    }

    /// An element of what is here.
    ///
    /// ```
    /// use gradus_nn::Path;
    ///
    /// assert_eq!(Path::ROOT.field("hidden").index(2).to_string(), "hidden.2");
    /// ```
    pub fn index(&self, index: usize) -> Path<'_> {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| parent.parent.is_some()) {
            write!(f, "{parent}.")?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Field(name) => f.write_str(name),
            Segment::Index(index) => write!(f, "{index}"),
        }
    }
}

/// Containers: what is at an index has it as its name; an `Option` or `Box` adds none.
macro_rules! impl_container {
    ($([$($generics:tt)*] $container:ty, |$container_:ident, $path:ident| $elements:expr, $elements_mut:expr;)*) => {$(
        impl<$($generics)*, T: Float> Module<T> for $container {
            fn visit<'a>(&'a self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &'a Parameter<T>)) {
                let $container_ = self;
                for (path, module) in $elements {
                    module.visit(path, visitor);
                }
            }
            fn visit_mut(&mut self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &mut Parameter<T>)) {
                let $container_ = self;
                for (path, module) in $elements_mut {
                    module.visit_mut(path, visitor);
                }
            }
            fn visit_buffers<'a>(&'a self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &'a Tensor<T>)) {
                let $container_ = self;
                for (path, module) in $elements {
                    module.visit_buffers(path, visitor);
                }
            }
            fn visit_buffers_mut(&mut self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, &mut Tensor<T>)) {
                let $container_ = self;
                for (path, module) in $elements_mut {
                    module.visit_buffers_mut(path, visitor);
                }
            }
            fn set_training(&mut self, training: bool) {
                let ($container_, $path) = (self, Path::ROOT);
                for (_, module) in $elements_mut {
                    module.set_training(training);
                }
            }
        }
    )*};
}

impl_container! {
    [M: Module<T>] Vec<M>,
        |container, path| container.iter().enumerate().map(|(i, module)| (path.index(i), module)),
        container.iter_mut().enumerate().map(|(i, module)| (path.index(i), module));
    [M: Module<T>, const N: usize] [M; N],
        |container, path| container.iter().enumerate().map(|(i, module)| (path.index(i), module)),
        container.iter_mut().enumerate().map(|(i, module)| (path.index(i), module));
    [M: Module<T>] Option<M>,
        |container, path| container.iter().map(|module| (path, module)),
        container.iter_mut().map(|module| (path, module));
    [M: Module<T> + ?Sized] Box<M>,
        |container, path| [(path, &**container)],
        [(path, &mut **container)];
}

/// Layers without parameters.
macro_rules! no_parameters {
    ($($layer:ty),*) => {$(
        impl<T: gradus_autograd::Float> crate::module::Module<T> for $layer {
            fn visit<'a>(
                &'a self,
                _: crate::module::Path<'_>,
                _: &mut dyn FnMut(crate::module::Path<'_>, &'a crate::parameter::Parameter<T>),
            ) {
            }
            fn visit_mut(
                &mut self,
                _: crate::module::Path<'_>,
                _: &mut dyn FnMut(crate::module::Path<'_>, &mut crate::parameter::Parameter<T>),
            ) {
            }
        }
    )*};
}
pub(crate) use no_parameters;
