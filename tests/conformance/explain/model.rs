//! Models as layers in order.

use std::path::Path;

use gradus::{Conv, Pool, Tensor, Var};
use serde_json::Value;

use super::pair;
use crate::cases::text;
use crate::data::{Archive, Result};

/// A model: layers with their names.
pub(crate) struct Model(Vec<(String, Layer)>);

enum Layer {
    Linear(Parameters),
    Conv2d(Parameters, Conv),
    MaxPool2d(Pool),
    AvgPool2d(Pool),
    /// A function without options.
    Function(fn(&Var<f64>) -> Var<f64>),
}

/// The weight and the bias.
struct Parameters(Tensor<f64>, Option<Tensor<f64>>);

impl Model {
    /// The model of a description; `None` if there is a layer that is not known.
    pub(crate) fn read(folder: &Path, described: &Value) -> Result<Option<Self>> {
        let weights = Archive::open(&folder.join(text(described, "file")))?;
        let layers = described["layers"].as_array().ok_or("a model without layers")?;
        let layer = |layer: &Value| Some((text(layer, "name").into(), Layer::of(layer, &weights)?));
        Ok(layers.iter().map(layer).collect::<Option<Vec<_>>>().map(Self))
    }

    pub(crate) fn forward(&self, x: &Var<f64>) -> Var<f64> {
        self.0.iter().fold(x.clone(), |x, (_, layer)| layer.forward(&x))
    }

    /// The output of a layer, and of the model.
    pub(crate) fn with_layer(&self, x: &Var<f64>, wanted: &str) -> (Var<f64>, Var<f64>) {
        let (mut x, mut activation) = (x.clone(), None);
        for (name, layer) in &self.0 {
            x = layer.forward(&x);
            if name == wanted {
                activation = Some(x.clone());
            }
        }
        (activation.unwrap_or_else(|| panic!("there is no layer {wanted}")), x)
    }
}

impl Layer {
    fn of(layer: &Value, weights: &Archive) -> Option<Self> {
        let name = text(layer, "name");
        let parameters = || {
            let bias = (layer["bias"] != false).then(|| weights.f64(&format!("{name}.bias")));
            Parameters(weights.f64(&format!("{name}.weight")), bias)
        };
        let given = |key: &str, default: Vec<isize>| match &layer[key] {
            Value::Null => default,
            sizes => pair(sizes),
        };
        let pool = || {
            let kernel = given("kernel", vec![2; 2]);
            Pool::new(kernel.clone()).stride(given("stride", kernel)).padding(given("padding", vec![0; 2]))
        };
        Some(match text(layer, "type") {
            "linear" => Self::Linear(parameters()),
            "conv2d" => {
                let conv = Conv::new()
                    .stride(given("stride", vec![1; 2]))
                    .padding(given("padding", vec![0; 2]))
                    .dilation(given("dilation", vec![1; 2]))
                    .groups(layer["groups"].as_u64().unwrap_or(1) as usize);
                Self::Conv2d(parameters(), conv)
            }
            "max_pool2d" => Self::MaxPool2d(pool()),
            "avg_pool2d" => Self::AvgPool2d(pool()),
            "flatten" => Self::Function(|x| x.flatten(1..)),
            "relu" => Self::Function(Var::relu),
            "tanh" => Self::Function(Var::tanh),
            "sigmoid" => Self::Function(Var::sigmoid),
            "softplus" => Self::Function(|x| x.softplus(1.0, 800.0)),
            "gelu" => Self::Function(Var::gelu),
            "silu" => Self::Function(Var::silu),
            "elu" => Self::Function(|x| x.elu(1.0)),
            "softmax" => Self::Function(|x| x.softmax(-1)),
            _ => return None,
        })
    }

    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        let variables =
            |Parameters(weight, bias): &Parameters| (Var::constant(weight), bias.as_ref().map(Var::constant));
        match self {
            Self::Linear(parameters) => {
                let (weight, bias) = variables(parameters);
                x.linear(&weight, bias.as_ref())
            }
            Self::Conv2d(parameters, conv) => {
                let (weight, bias) = variables(parameters);
                x.conv2d(&weight, bias.as_ref(), conv.clone())
            }
            Self::MaxPool2d(pool) => x.max_pool2d(pool.clone()),
            Self::AvgPool2d(pool) => x.avg_pool2d(pool.clone()),
            Self::Function(function) => function(x),
        }
    }
}
