//! Layers on their way: numbers that are watched, or rounded as integers will be.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gradus_autograd::{AsVar, Float, Tensor, Var};
use gradus_nn::{Buffer, Conv2d, Layer, LayerId, Linear, Member, MemberMut, Module, Path, layer_scope};

use crate::error::QuantError;
use crate::layers::{QConv2d, QLinear};
use crate::observer::Observer;
use crate::params::{Params, Scheme};

/// A layer that has an integer form.
#[derive(Debug, Clone)]
pub(crate) enum Floating<T: Float> {
    Linear(Linear<T>),
    Conv2d(Conv2d<T>),
}

impl<T: Float> Floating<T> {
    /// The layer, if it has an integer form.
    pub(crate) fn of(layer: &dyn Layer<T>) -> Option<Self> {
        let layer = layer.as_any();
        let linear = layer.downcast_ref::<Linear<T>>().cloned().map(Self::Linear);
        linear.or_else(|| layer.downcast_ref::<Conv2d<T>>().cloned().map(Self::Conv2d))
    }

    fn weight(&self) -> &Var<T> {
        match self {
            Self::Linear(layer) => &layer.weight,
            Self::Conv2d(layer) => &layer.weight,
        }
    }

    #[track_caller]
    fn forward_with(&self, x: &Var<T>, weight: &Var<T>) -> Var<T> {
        match self {
            Self::Linear(layer) => x.linear(weight, layer.bias.as_deref()),
            Self::Conv2d(layer) => x.conv2d(weight, layer.bias.as_deref(), layer.conv.clone()),
        }
    }

    /// The integer layer; without parameters of its input a dynamic one.
    pub(crate) fn quantized(
        &self,
        weights: &Scheme,
        input: Option<Params>,
    ) -> Result<Box<dyn Layer<T>>, QuantError> {
        let weight = Params::of(self.weight().value(), weights)?;
        Ok(match self {
            Self::Linear(layer) => {
                let layer = QLinear::with_params(layer, weight)?;
                Box::new(if let Some(input) = input { layer.input(input) } else { layer })
            }
            Self::Conv2d(layer) => {
                let layer = QConv2d::with_params(layer, weight)?;
                Box::new(if let Some(input) = input { layer.input(input) } else { layer })
            }
        })
    }

    fn module(&self) -> &dyn Module<T> {
        match self {
            Self::Linear(layer) => layer,
            Self::Conv2d(layer) => layer,
        }
    }
}

/// How a layer is prepared.
#[derive(Debug)]
enum Watch<T: Float> {
    /// It computes with the numbers, and an observer sees its inputs; with the first error.
    Calibrating(Mutex<(Observer, Option<QuantError>)>),
    /// It rounds weights and inputs to levels; the moving average of the least and the largest input, `[2]`, NaN at first.
    Training(Buffer<T>),
}

/// The part of the way to the range of a batch that a moving average goes, PyTorch's.
const CONSTANT: f64 = 0.01;

/// A [`Linear`] layer or a [`Conv2d`] on its way to an integer layer, made by [`Quantizer`](crate::Quantizer).
#[derive(Debug)]
pub struct Prepared<T: Float = f32> {
    layer: Floating<T>,
    watch: Watch<T>,
    weights: Scheme,
    input: Scheme,
    training: bool,
}

impl<T: Float> Clone for Prepared<T> {
    fn clone(&self) -> Self {
        let watch = match &self.watch {
            Watch::Calibrating(observer) => Watch::Calibrating(Mutex::new(lock(observer).clone())),
            Watch::Training(range) => Watch::Training(range.clone()),
        };
        let (weights, input) = (self.weights.clone(), self.input.clone());
        Self { layer: self.layer.clone(), watch, weights, input, training: self.training }
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Float> Prepared<T> {
    /// A layer whose inputs an observer sees.
    pub(crate) fn calibrating(
        layer: Floating<T>,
        weights: &Scheme,
        input: &Scheme,
        observer: Observer,
    ) -> Self {
        let watch = Watch::Calibrating(Mutex::new((observer, None)));
        Self { layer, watch, weights: weights.clone(), input: input.clone(), training: true }
    }

    /// A layer that is trained to be rounded.
    pub(crate) fn training(layer: Floating<T>, weights: &Scheme, input: &Scheme) -> Self {
        let watch = Watch::Training(Buffer::new(Tensor::full([2], T::NAN)));
        Self { layer, watch, weights: weights.clone(), input: input.clone(), training: true }
    }

    /// The output, in the shapes of the layer. A calibrating layer gives what the layer does, and looks at its input; a
    /// trained one rounds inputs and weights, with straight-through gradients, and in training mode moves the range of its inputs.
    ///
    /// # Panics
    /// If the shape does not fit.
    #[track_caller]
    pub fn forward(&self, x: impl AsVar<T>) -> Var<T> {
        let scope = layer_scope(self);
        let x = &*x.as_var();
        scope.gives(match &self.watch {
            Watch::Calibrating(observer) => {
                let (observer, fault) = &mut *lock(observer);
                if let Err(error) = observer.observe(x.value()) {
                    fault.get_or_insert(error);
                }
                self.layer.forward_with(x, self.layer.weight())
            }
            Watch::Training(range) => {
                if self.training {
                    move_range(range, x.value());
                }
                let x = self.input_params().map_or_else(|_| x.clone(), |params| params.fake_quantize(x));
                let weight = self.layer.weight();
                // Weights that are not finite stay as they are, and the loss shows it.
                let rounded =
                    Params::of(weight.value(), &self.weights).map(|params| params.fake_quantize(weight));
                self.layer.forward_with(&x, rounded.as_ref().unwrap_or(weight))
            }
        })
    }

    /// The parameters for the inputs that were seen.
    fn input_params(&self) -> Result<Params, QuantError> {
        match &self.watch {
            Watch::Calibrating(observer) => {
                let (observer, fault) = &*lock(observer);
                fault.clone().map_or_else(|| observer.params(), Err)
            }
            Watch::Training(range) => {
                let range: Vec<f64> = range.value().cast::<f64>().to_vec();
                if range.iter().any(|x| x.is_nan()) {
                    return Err(QuantError::NoData("input".into()));
                }
                Params::of_range(&range[..1], &range[1..], &self.input)
            }
        }
    }

    /// The integer layer, with parameters for the inputs that were seen.
    pub(crate) fn quantized(&self) -> Result<Box<dyn Layer<T>>, QuantError> {
        self.layer.quantized(&self.weights, Some(self.input_params()?))
    }
}

/// Moves a range to the one of a batch; one that is empty or not finite changes nothing.
fn move_range<T: Float>(range: &Buffer<T>, x: &Tensor<T>) {
    if x.is_empty() {
        return;
    }
    let seen = [x.min(..).item(), x.max(..).item()];
    if seen.iter().all(|x| x.is_finite()) {
        range.update(|range| {
            let seen = Tensor::from(seen.to_vec());
            *range = range.zip(
                "range",
                &seen,
                #[inline(always)]
                |old, new| if old.is_nan() { new } else { old + (new - old) * T::from_f64(CONSTANT) },
            );
        });
    }
}

/// Members are those of the layer, and `input_range` of one that is trained.
impl<T: Float> Module<T> for Prepared<T> {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
        visitor(path, Member::Layer(LayerId::of(self)));
        self.layer.module().visit(path, visitor);
        if let Watch::Training(range) = &self.watch {
            visitor(path.field("input_range"), Member::Buffer(range));
        }
        visitor(path, Member::Mode(&self.training));
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
        match &mut self.layer {
            Floating::Linear(layer) => layer.visit_mut(path, visitor),
            Floating::Conv2d(layer) => layer.visit_mut(path, visitor),
        }
        if let Watch::Training(range) = &mut self.watch {
            visitor(path.field("input_range"), MemberMut::Buffer(range));
        }
        visitor(path, MemberMut::Mode(&mut self.training));
    }
}

impl<T: Float> Layer<T> for Prepared<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>) -> Var<T> {
        self.forward(x)
    }
}
