//! From a trained model to a network of integers.

use std::ops::RangeInclusive;

use gradus_autograd::{Float, Tensor, no_grad};
use gradus_nn::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv1d, Conv2d,
    ConvTranspose1d, ConvTranspose2d, Dropout, Flatten, Layer, Linear, Module, Sequential, Square,
};

use crate::error::EncryptedError;
use crate::network::{AffineMap, IntegerNetwork};

/// The levels of inputs and weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    low: f64,
    high: f64,
    inputs: u32,
    weights: u32,
}

/// Inputs from 0 to 1 with 15 levels above 0, weights with 15 on both sides of it.
impl Default for Quantization {
    fn default() -> Self {
        Self { low: 0.0, high: 1.0, inputs: 15, weights: 15 }
    }
}

impl Quantization {
    /// The default levels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inputs in a range, rounded to multiples of a step: the end that is further from 0 is `levels` steps from it.
    ///
    /// # Panics
    /// If the range is empty, not finite or only 0, or there are no levels or more than 2^20.
    #[must_use]
    #[track_caller]
    pub fn inputs(self, range: RangeInclusive<f64>, levels: u32) -> Self {
        let (low, high) = range.into_inner();
        assert!(
            low <= high && low.is_finite() && high.is_finite() && (low, high) != (0.0, 0.0),
            "inputs: the range is {low}..={high}: it must be finite and not empty, and have more than 0"
        );
        assert!(
            (1..=1 << 20).contains(&levels),
            "inputs: there are {levels} levels: there must be 1 to 2^20"
        );
        Self { low, high, inputs: levels, ..self }
    }

    /// Weights rounded to multiples of a step, one for each stage of the network: the largest absolute weight is `levels` steps.
    ///
    /// # Panics
    /// If there are no levels or more than 2^20.
    #[must_use]
    #[track_caller]
    pub fn weights(self, levels: u32) -> Self {
        assert!(
            (1..=1 << 20).contains(&levels),
            "weights: there are {levels} levels: there must be 1 to 2^20"
        );
        Self { weights: levels, ..self }
    }

    /// The number that one level of the inputs stands for.
    fn input_step(&self) -> f64 {
        self.low.abs().max(self.high.abs()) / f64::from(self.inputs)
    }
}

/// Layers in sequence without a square between them, and the shape of their input.
struct Segment<T: Float> {
    layers: Sequential<T>,
    names: Vec<String>,
    shape: Vec<usize>,
}

impl IntegerNetwork {
    /// A trained model as integers: affine layers between two squares become one map, whose matrix is rounded to levels;
    /// convolutions and average pooling are matrices, too, mostly of zeros. Each layer computes as in evaluation. Inputs
    /// have the shape `[...]` of one sample.
    ///
    /// Layers may be [`Linear`], convolutions, average pooling, batch normalisation, [`Flatten`], [`Square`], [`Dropout`] and
    /// [`Sequential`]s of these.
    ///
    /// # Errors
    /// [`EncryptedError::Layer`] if a layer is of another type, or has weights that are not finite;
    /// [`EncryptedError::Bound`] if values may be too large for 64 bits.
    ///
    /// # Panics
    /// If the shape does not fit the model.
    #[track_caller]
    pub fn quantize<T: Float>(
        model: &Sequential<T>,
        shape: &[usize],
        levels: &Quantization,
    ) -> Result<Self, EncryptedError> {
        let mut model = model.clone();
        model.eval();
        let step = levels.input_step();
        let range = (levels.low / step).round() as i64..=(levels.high / step).round() as i64;
        let mut network = Self::new(shape.iter().product(), range)?;
        (network.input_step, network.output_step) = (step, step);
        let mut layers = Vec::new();
        flatten(&model, "", &mut layers);
        let empty = |shape: Vec<usize>| Segment { layers: Sequential::new(), names: Vec::new(), shape };
        let mut segment = empty(shape.to_vec());
        for (name, layer) in layers {
            if layer.as_any().is::<Square>() {
                let shape;
                (network, shape) = segment.append_to(network, levels.weights)?;
                network = network.square()?;
                network.output_step *= network.output_step;
                segment = empty(shape);
            } else if is_affine(layer) {
                segment.layers.layers.push(layer.clone_layer());
                segment.names.push(name);
            } else {
                let fault = "it has no integer form: layers may be `Linear`, convolutions, average pooling, batch \
                             normalisation, `Flatten`, `Square` and `Dropout`";
                return Err(EncryptedError::Layer { layer: name, fault: fault.into() });
            }
        }
        Ok(segment.append_to(network, levels.weights)?.0)
    }
}

impl<T: Float> Segment<T> {
    /// The network with this segment behind it, and the shape of its output.
    #[track_caller]
    fn append_to(
        self,
        network: IntegerNetwork,
        levels: u32,
    ) -> Result<(IntegerNetwork, Vec<usize>), EncryptedError> {
        if self.names.is_empty() {
            return Ok((network, self.shape));
        }
        let inputs: usize = self.shape.iter().product();
        let batch = |rows: usize| [&[rows], &self.shape[..]].concat();
        let units = Tensor::<T>::eye(inputs).reshape(batch(inputs));
        let (images, bias) = no_grad(|| {
            (
                self.layers.forward(units).value().clone(),
                self.layers.forward(Tensor::zeros(batch(1))).value().clone(),
            )
        });
        let shape = bias.shape()[1..].to_vec();
        let numbers = |tensor: &Tensor<T>| tensor.cast::<f64>().to_vec();
        let (images, bias) = (numbers(&images), numbers(&bias));
        let outputs = bias.len();
        let name = name(&self.names);
        if images.iter().chain(&bias).any(|x| !x.is_finite()) {
            let fault = "it has weights that are not finite".into();
            return Err(EncryptedError::Layer { layer: name, fault });
        }
        // A weight is the image of a unit less the image of 0.
        let weight = |output: usize, input: usize| images[input * outputs + output] - bias[output];
        let pairs = (0..outputs).flat_map(|output| (0..inputs).map(move |input| (output, input)));
        let largest = pairs.map(|(output, input)| weight(output, input).abs()).fold(0.0, f64::max);
        let step = if largest == 0.0 { 1.0 } else { largest / f64::from(levels) };
        let row = |output| {
            let levels = (0..inputs).map(|input| (input, (weight(output, input) / step).round() as i64));
            levels.filter(|&(_, level)| level != 0).collect()
        };
        let output_step = network.output_step * step;
        let bias = bias.iter().map(|b| (b / output_step).round() as i64).collect();
        let map = AffineMap { inputs, rows: (0..outputs).map(row).collect(), bias };
        let mut network = network.affine(name, map)?;
        network.output_step = output_step;
        Ok((network, shape))
    }
}

/// The layers of a sequence and of those in it, with their places.
fn flatten<'a, T: Float>(
    model: &'a Sequential<T>,
    prefix: &str,
    layers: &mut Vec<(String, &'a dyn Layer<T>)>,
) {
    for (place, layer) in model.iter().enumerate() {
        match layer.as_any().downcast_ref::<Sequential<T>>() {
            Some(inner) => flatten(inner, &format!("{prefix}{place}."), layers),
            None => layers.push((format!("{prefix}{place} ({})", type_name(layer.type_name())), layer)),
        }
    }
}

/// The name of a type without its path and its arguments.
fn type_name(full: &str) -> &str {
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path)
}

/// The names of the first and the last layer of a segment.
fn name(names: &[String]) -> String {
    match names {
        [name] => name.clone(),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    }
}

/// Whether a layer is an affine map in evaluation.
fn is_affine<T: Float>(layer: &dyn Layer<T>) -> bool {
    let layer = layer.as_any();
    macro_rules! is {
        ($($type:ty),*) => { $(layer.is::<$type>())||* };
    }
    is!(
        Linear<T>,
        Conv1d<T>,
        Conv2d<T>,
        ConvTranspose1d<T>,
        ConvTranspose2d<T>,
        BatchNorm1d<T>,
        BatchNorm2d<T>,
        AvgPool1d,
        AvgPool2d,
        AdaptiveAvgPool1d,
        AdaptiveAvgPool2d,
        Flatten,
        Dropout
    )
}
