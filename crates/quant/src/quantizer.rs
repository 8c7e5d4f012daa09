//! Whole models.

use std::fmt::{self, Display, Formatter};

use gradus_autograd::Float;
use gradus_nn::{Layer, Module, Sequential};

use crate::error::QuantError;
use crate::four::FourBit;
use crate::observer::Observer;
use crate::params::Scheme;
use crate::prepared::{Floating, Prepared};

/// A model whose layers can be replaced: a [`Sequential`], or a struct with fields of the type `Box<dyn Layer>`, which names them.
///
/// ```standalone_crate
/// use gradus_autograd::{AsVar, Var, seeded};
/// use gradus_nn::{Layer, Linear, Module};
/// use gradus_quant::{Quantizer, Replaceable};
/// # extern crate gradus_nn as gradus;
///
/// #[derive(Module)]
/// struct Mlp {
///     hidden: Box<dyn Layer>,
///     out: Box<dyn Layer>,
/// }
///
/// impl Mlp {
///     fn forward(&self, x: impl AsVar) -> Var {
///         self.out.forward(&self.hidden.forward(&x.as_var()).relu())
///     }
/// }
///
/// impl Replaceable for Mlp {
///     fn layers_mut(&mut self) -> Vec<(String, &mut Box<dyn Layer>)> {
///         vec![("hidden".into(), &mut self.hidden), ("out".into(), &mut self.out)]
///     }
/// }
///
/// let rng = &mut seeded(0);
/// let mut mlp = Mlp { hidden: Box::new(Linear::new(4, 8, rng)), out: Box::new(Linear::new(8, 2, rng)) };
/// assert_eq!(Quantizer::new().dynamic(&mut mlp)?.replaced(), 2);
/// assert_eq!(mlp.forward([[1.0, 2.0, 3.0, 4.0]]).shape(), [1, 2]);
/// # Ok::<(), gradus_quant::QuantError>(())
/// ```
pub trait Replaceable<T: Float = f32> {
    /// The layers, with their names.
    fn layers_mut(&mut self) -> Vec<(String, &mut Box<dyn Layer<T>>)>;
}

impl<T: Float> Replaceable<T> for Sequential<T> {
    fn layers_mut(&mut self) -> Vec<(String, &mut Box<dyn Layer<T>>)> {
        self.layers.iter_mut().enumerate().map(|(place, layer)| (place.to_string(), layer)).collect()
    }
}

/// Makes integer layers of the layers of a model, [`Linear`](gradus_nn::Linear) and [`Conv2d`](gradus_nn::Conv2d); others stay,
/// and the [`Conversion`] names them.
///
/// - *Dynamic* quantisation needs no data: [`dynamic`](Self::dynamic).
/// - *Static* quantisation: [`observe`](Self::observe), run the model on some batches, [`convert`](Self::convert).
/// - *Quantisation-aware training*: [`train`](Self::train), train the model as before, [`convert`](Self::convert).
///
/// Batch normalisation is [folded](crate::fold_batch_norms) before.
///
/// ```
/// use gradus_autograd::{Tensor, no_grad, seeded};
/// use gradus_nn::{Linear, Module, Relu, Sequential};
/// use gradus_quant::Quantizer;
///
/// let rng = &mut seeded(0);
/// let mut model: Sequential =
///     Sequential::new().push(Linear::new(16, 32, rng)).push(Relu).push(Linear::new(32, 4, rng));
/// let x = Tensor::randn([100, 16], rng);
/// let before = model.forward(&x);
///
/// let quantizer = Quantizer::new();
/// quantizer.observe(&mut model);
/// assert!(quantizer.convert(&mut model.clone()).is_err()); // without data
/// no_grad(|| model.forward(&x));
/// println!("{}", quantizer.convert(&mut model)?);
/// assert!(model.forward(&x).value().allclose(before.value(), 0.0, 0.05));
/// assert_eq!(model.parameter_count(), 0);
/// # Ok::<(), gradus_quant::QuantError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Quantizer {
    weights: Scheme,
    input: Scheme,
    bins: Option<usize>,
}

impl Default for Quantizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Quantizer {
    /// Weights from -127 to 127 with a scale for each output, inputs from 0 to 255 with a zero point, from the least to the largest
    /// number that is observed.
    pub fn new() -> Self {
        Self { weights: Scheme::weights(), input: Scheme::uint8(), bins: None }
    }

    /// Other levels of weights and inputs, fewer bits for example.
    ///
    /// # Panics
    /// If the levels of weights are not symmetric around 0, or have scales along another axis than the first; or inputs have several
    /// scales.
    #[must_use]
    #[track_caller]
    pub fn schemes(self, weights: Scheme, input: Scheme) -> Self {
        let is_around_zero = weights.symmetric && (-1..=0).contains(&(weights.low() + weights.high()));
        assert!(
            is_around_zero && matches!(weights.axis(), None | Some(0)),
            "schemes: weights have {weights:?}: they need symmetric levels around 0, one scale or one for each output, as in \
             `Scheme::weights`"
        );
        assert!(
            input.axis().is_none(),
            "schemes: inputs have {input:?}: they need one scale for all numbers"
        );
        Self { weights, input, ..self }
    }

    /// Chooses static ranges by a [histogram](Observer::histogram), which may cut a few numbers off.
    #[must_use]
    pub fn histogram(self, bins: usize) -> Self {
        Self { bins: Some(bins), ..self }
    }

    /// Makes dynamic integer layers of all layers that have such a form.
    ///
    /// # Errors
    /// If a weight is NaN or infinite; no layer is replaced then.
    pub fn dynamic<T: Float>(&self, model: &mut impl Replaceable<T>) -> Result<Conversion, QuantError> {
        replace(model, &|layer| {
            Floating::of(layer).map(|layer| layer.quantized(&self.weights, None)).transpose()
        })
    }

    /// Puts 4-bit weights into all layers that have such a form, with a scale for each `group` of numbers; see [`FourBit`].
    ///
    /// # Errors
    /// If a weight is NaN or infinite; no layer is replaced then.
    ///
    /// # Panics
    /// If the group is 0.
    #[track_caller]
    pub fn four_bit<T: Float>(
        &self,
        model: &mut impl Replaceable<T>,
        group: usize,
    ) -> Result<Conversion, QuantError> {
        replace(model, &|layer| {
            Ok(match Floating::of(layer) {
                Some(Floating::Linear(layer)) => Some(Box::new(FourBit::linear(&layer, group)?)),
                Some(Floating::Conv2d(layer)) => Some(Box::new(FourBit::conv2d(&layer, group)?)),
                None => None,
            })
        })
    }

    /// Puts observers before all layers that have an integer form. Run the model on some batches then, in evaluation mode.
    pub fn observe<T: Float>(&self, model: &mut impl Replaceable<T>) -> Conversion {
        self.prepare(model, |layer| {
            let observer = match self.bins {
                Some(bins) => Observer::histogram(bins, &self.input),
                None => Observer::min_max(&self.input),
            };
            Prepared::calibrating(layer, &self.weights, &self.input, observer)
        })
    }

    /// Rounds weights and inputs of all layers that have an integer form, with straight-through gradients. The parameters keep
    /// their names; they have new identities.
    pub fn train<T: Float>(&self, model: &mut impl Replaceable<T>) -> Conversion {
        self.prepare(model, |layer| Prepared::training(layer, &self.weights, &self.input))
    }

    #[allow(clippy::unused_self, reason = "the layers are prepared by it")]
    fn prepare<T: Float>(
        &self,
        model: &mut impl Replaceable<T>,
        prepared: impl Fn(Floating<T>) -> Prepared<T>,
    ) -> Conversion {
        let done = replace(model, &|layer| {
            Ok(Floating::of(layer).map(|layer| Box::new(prepared(layer)) as Box<dyn Layer<T>>))
        });
        done.expect("nothing is computed")
    }

    /// Makes integer layers of all prepared ones, with the ranges that they have seen.
    ///
    /// # Errors
    /// If a layer has seen no numbers, or some that are not finite, or a weight is not finite; no layer is replaced then.
    pub fn convert<T: Float>(&self, model: &mut impl Replaceable<T>) -> Result<Conversion, QuantError> {
        replace(model, &|layer| {
            layer.as_any().downcast_ref::<Prepared<T>>().map(Prepared::quantized).transpose()
        })
    }
}

/// A layer of a type that is not known.
type AnyLayer<T> = Box<dyn Layer<T>>;

/// The layer in place of another, if there is one.
type Replacement<T> = Result<Option<AnyLayer<T>>, QuantError>;

/// Looks at each layer in order, within sequential ones at each of theirs.
fn each_layer<T: Float>(
    layers: Vec<(String, &mut AnyLayer<T>)>,
    prefix: &str,
    look: &mut dyn FnMut(String, &mut AnyLayer<T>),
) {
    for (name, layer) in layers {
        let name = format!("{prefix}{name}");
        match layer.as_any_mut().downcast_mut::<Sequential<T>>() {
            Some(inner) => each_layer(inner.layers_mut(), &format!("{name}."), look),
            None => look(name, layer),
        }
    }
}

/// The name of a type without its path and parameters.
fn short_name<T: Float>(layer: &dyn Layer<T>) -> String {
    let name = layer.type_name().split('<').next().unwrap_or("");
    name.rsplit("::").next().unwrap_or("").to_string()
}

/// Replaces all layers, or after an error no layer.
fn replace<T: Float>(
    model: &mut impl Replaceable<T>,
    replacement: &dyn Fn(&dyn Layer<T>) -> Replacement<T>,
) -> Result<Conversion, QuantError> {
    let mut found = Vec::new();
    each_layer(model.layers_mut(), "", &mut |name, layer| found.push((name, replacement(&**layer))));
    let mut new = Vec::new();
    for (name, replacement) in found {
        new.push((
            name.clone(),
            replacement.map_err(|error| match error {
                QuantError::NoData(_) => QuantError::NoData(name),
                error => QuantError::Layer { name, error: Box::new(error) },
            })?,
        ));
    }
    let (mut new, mut rows) = (new.into_iter(), Vec::new());
    each_layer(model.layers_mut(), "", &mut |_, layer| {
        let (name, new) = new.next().expect("the layers are the same");
        let (was, has_parameters) = (short_name(&**layer), layer.parameter_count() > 0);
        let became = new.as_ref().map(|new| short_name(&**new));
        if let Some(new) = new {
            *layer = new;
        }
        if became.is_some() || has_parameters {
            rows.push(ConversionRow { name, was, became });
        }
    });
    Ok(Conversion { rows })
}

/// The layers that have parameters, before and after; printed as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The layers in order.
    pub rows: Vec<ConversionRow>,
}

/// A layer of a [`Conversion`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionRow {
    /// The name, such as `body.0`.
    pub name: String,
    /// The type of the layer before.
    pub was: String,
    /// The type of the layer after, if it was replaced.
    pub became: Option<String>,
}

impl Conversion {
    /// The number of layers that were replaced.
    pub fn replaced(&self) -> usize {
        self.rows.iter().filter(|row| row.became.is_some()).count()
    }

    /// The names of the layers with parameters that stay as they are.
    pub fn left(&self) -> Vec<&str> {
        self.rows.iter().filter(|row| row.became.is_none()).map(|row| row.name.as_str()).collect()
    }
}

impl Display for Conversion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let became = row.became.as_deref().unwrap_or("left as it is: there is no integer form of it");
            writeln!(f, "{:12} {:12} {became}", row.name, row.was)?;
        }
        write!(f, "{} of {} layers with parameters replaced", self.replaced(), self.rows.len())
    }
}
