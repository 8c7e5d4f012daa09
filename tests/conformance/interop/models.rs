//! Models that `PyTorch` saved: built from the description of their architecture, loaded by name, and run.

use std::path::Path;

use gradus::{
    BatchNorm1d, BatchNorm2d, Conv, Conv1d, Conv2d, Dims, Dropout, Element, Embedding, Flatten, Float, Gelu,
    Gru, Layer, LayerNorm, LeakyRelu, Linear, Lstm, Member, MemberMut, Module, MultiheadAttention,
    Path as Name, Pool, Relu, Rnn, Sigmoid, State, StateTensor, Tanh, Tensor, TransformerBlock, Var, seeded,
};
use serde_json::Value;

use super::failed;
use crate::compare::{self, Nan, Tolerance};
use crate::data::{integers, sizes};
use crate::report::Outcome;

/// Loads the model in single and in double precision, and holds its outputs against the stored ones.
pub(super) fn run(folder: &Path, case: &Value) -> Outcome {
    let read = |name: &str| State::read(folder.join(name)).unwrap_or_else(|error| panic!("{error}"));
    let io = read(case["file"].as_str().expect("a file"));
    let weights = read(case["model_file"].as_str().expect("a model file"));
    let outcomes = [run_in::<f32>(case, &io, &weights, ""), run_in::<f64>(case, &io, &weights, "_f64")];
    let mut faults = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(found) => faults.extend(found),
            Err(outcome) => return outcome,
        }
    }
    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
}

/// The faults in one precision.
fn run_in<T: Float>(case: &Value, io: &State, weights: &State, suffix: &str) -> Result<Vec<String>, Outcome> {
    let double = T::NAME == <f64 as Element>::NAME;
    let convert = |state: &State| if double { state.convert::<f64>().0 } else { state.convert::<f32>().0 };
    let io = convert(io);
    let stored = |role: &str| {
        let key = case["tensors"][role]["key"].as_str().unwrap_or_else(|| panic!("no tensor {role}"));
        io.get(key).unwrap_or_else(|| panic!("no tensor {key} in the file")).clone()
    };
    let input = |role: &str| case["tensors"].get(role).map(|_| stored(role));
    let Some(outputs) = outputs::<T>(case, &convert(weights), &input) else {
        return Err(Outcome::Unsupported);
    };
    let outputs = outputs.map_err(failed)?;
    let [relative, absolute] =
        [0, 1].map(|i| case[&format!("tol{suffix}")][i].as_f64().expect("a tolerance"));
    let tolerance = Tolerance { relative, absolute, nan: Nan::Agrees };
    let mut faults = Vec::new();
    for (i, name) in case["outputs"].as_array().into_iter().flatten().enumerate() {
        let name = format!("{}{suffix}", name.as_str().expect("a name"));
        let want = double_of(&stored(&name));
        let Some(got) = outputs.get(i) else { return Err(failed(format!("no output {name}"))) };
        faults.extend(compare::floats(&name, &got.value().cast(), &want, tolerance));
    }
    Ok(faults)
}

fn double_of(tensor: &StateTensor) -> Tensor<f64> {
    match tensor {
        StateTensor::F64(tensor) => tensor.clone(),
        StateTensor::F32(tensor) | StateTensor::F16(tensor) | StateTensor::Bf16(tensor) => tensor.cast(),
        other => panic!("{:?} are not floats", other.dtype()),
    }
}

/// A recurrent layer from its description.
macro_rules! recurrent {
    ($layer:ident, $architecture:expr) => {{
        let [features, hidden, layers] =
            ["input_size", "hidden_size", "num_layers"].map(|name| size($architecture, name));
        let make = if $architecture["bidirectional"] == true {
            $layer::<T>::bidirectional
        } else {
            $layer::<T>::new
        };
        let mut layer = make(features, hidden, layers, &mut seeded(0));
        layer.batch_first = $architecture["batch_first"] == true;
        layer
    }};
}

/// The outputs of the model, or why it cannot be loaded; `None` if its architecture is not known.
fn outputs<T: Float>(
    case: &Value,
    weights: &State,
    input: &dyn Fn(&str) -> Option<StateTensor>,
) -> Option<Result<Vec<Var<T>>, String>> {
    let architecture = &case["architecture"];
    let float = |role: &str| input(role).map(|tensor| Var::constant(double_of(&tensor).cast::<T>()));
    let x = || float("x").expect("an input x");
    Some(match architecture["type"].as_str()? {
        "sequential" | "cnn" => {
            let layers = architecture["layers"].as_array()?.iter();
            let model: Option<Vec<_>> = layers.map(|layer| named_layer(layer, case)).collect();
            loaded(Named(model?), weights, |model| {
                vec![model.0.iter().fold(x(), |x, (_, layer)| layer.forward(&x))]
            })
        }
        "lstm" => {
            let model = recurrent!(Lstm, architecture);
            let state = float("h0").zip(float("c0"));
            loaded(model, weights, |model| {
                let (y, [h, c]) = model.forward(x(), state.as_ref().map(|(h, c)| [h, c]));
                vec![y, h, c]
            })
        }
        "gru" => {
            let model = recurrent!(Gru, architecture);
            loaded(model, weights, |model| {
                <[Var<T>; 2]>::from(model.forward(x(), float("h0").as_ref())).into()
            })
        }
        "rnn" => {
            let model = recurrent!(Rnn, architecture);
            let model = if architecture["nonlinearity"] == "relu" { model.activation(Relu) } else { model };
            loaded(model, weights, |model| {
                <[Var<T>; 2]>::from(model.forward(x(), float("h0").as_ref())).into()
            })
        }
        "transformer_encoder_layer" => {
            let [width, heads, hidden] =
                ["d_model", "nhead", "dim_feedforward"].map(|name| size(architecture, name));
            let mut model = TransformerBlock::new(width, heads, hidden, &mut seeded(0));
            model.norm_first = architecture["norm_first"] == true;
            model = match architecture["activation"].as_str()? {
                "relu" => model.activation(Relu),
                "gelu" => model.activation(Gelu),
                _ => return None,
            };
            for norm in [&mut model.norm1, &mut model.norm2] {
                norm.eps = architecture["layer_norm_eps"].as_f64().unwrap_or(1e-5);
            }
            let seen = input("padding").map(|padding| seen_keys(&padding));
            let is_causal = architecture["mask"] == "causal";
            loaded(model, weights, |model| {
                let mut x = x();
                if architecture["batch_first"] == false {
                    x = x.transpose(0, 1);
                }
                let y = model.forward(&x, seen.as_ref().map(Into::into), is_causal);
                vec![if architecture["batch_first"] == false { y.transpose(0, 1) } else { y }]
            })
        }
        "embedding_attention" => {
            let [width, heads] = ["embed_dim", "num_heads"].map(|name| size(architecture, name));
            let Some(StateTensor::I64(tokens)) = input("tokens") else { panic!("no integers `tokens`") };
            let rng = &mut seeded(0);
            let words = parameter_shape(case, "embed.weight")?[0];
            let outputs = parameter_shape(case, "out.weight")?[0];
            let padding = architecture["padding_idx"].as_i64().unwrap_or(0) as isize;
            let mut model = EmbeddingAttention {
                embed: Embedding::new(words, width, rng).padding_idx(padding),
                attn: MultiheadAttention::new(width, heads, rng),
                norm: LayerNorm::new([width]),
                out: Linear::new(width, outputs, rng),
            };
            model.norm.eps = architecture["layer_norm_eps"].as_f64().unwrap_or(1e-5);
            loaded(model, weights, |model| model.forward(&tokens, padding as i64))
        }
        _ => return None,
    })
}

fn size(architecture: &Value, name: &str) -> usize {
    architecture[name].as_u64().unwrap_or_else(|| panic!("no {name}")) as usize
}

/// Keys that queries see, `[batch, 1, 1, keys]`, from a mask that is true where a key is ignored.
fn seen_keys(padding: &StateTensor) -> Tensor<bool> {
    let ignored = match padding {
        StateTensor::Bool(padding) => padding.clone(),
        other => panic!("padding is {:?}", other.dtype()),
    };
    ignored.logical_not().unsqueeze(1).unsqueeze(1)
}

/// An embedding, self-attention among the words that are no padding, and a dense layer of the mean.
#[derive(Module)]
struct EmbeddingAttention<T: Float> {
    embed: Embedding<T>,
    attn: MultiheadAttention<T>,
    norm: LayerNorm<T>,
    out: Linear<T>,
}

impl<T: Float> EmbeddingAttention<T> {
    /// The output, the output of the attention, and its weights.
    fn forward(&self, tokens: &Tensor<i64>, padding: i64) -> Vec<Var<T>> {
        let seen = tokens.ne(padding).unsqueeze(1).unsqueeze(1);
        let x = self.embed.forward(tokens);
        let (attention, attention_weights) =
            self.attn.forward_with_weights([&x; 3], Some((&seen).into()), false);
        let output = self.out.forward(self.norm.forward(&(x + &attention)).mean(-2));
        vec![output, attention, attention_weights]
    }
}

/// The outputs of a model with these weights, in evaluation mode.
fn loaded<T: Float, M: Module<T>>(
    mut model: M,
    weights: &State,
    run: impl FnOnce(&M) -> Vec<Var<T>>,
) -> Result<Vec<Var<T>>, String> {
    model.load_state(weights).map_err(|error| error.to_string())?;
    Ok(model.evaluate(run))
}

/// Layers under names of their own, such as `features.0`.
struct Named<T: Float>(Vec<(String, Box<dyn Layer<T>>)>);

impl<T: Float> Module<T> for Named<T> {
    fn visit<'a>(&'a self, path: Name<'_>, visitor: &mut dyn FnMut(Name<'_>, Member<'a, T>)) {
        for (name, layer) in &self.0 {
            layer.visit(path.field(name), visitor);
        }
    }
    fn visit_mut<'a>(&'a mut self, path: Name<'_>, visitor: &mut dyn FnMut(Name<'_>, MemberMut<'a, T>)) {
        for (name, layer) in &mut self.0 {
            layer.visit_mut(path.field(name), visitor);
        }
    }
}

fn parameter_shape(case: &Value, name: &str) -> Option<Vec<usize>> {
    let found = case["parameters"].as_array()?.iter().find(|parameter| parameter["name"] == *name)?;
    Some(sizes(&found["shape"]))
}

/// A layer from its description; sizes follow from the shapes of its parameters.
fn named_layer<T: Float>(layer: &Value, case: &Value) -> Option<(String, Box<dyn Layer<T>>)> {
    let name = layer["name"].as_str()?;
    let rng = &mut seeded(0);
    let shape = |parameter: &str| parameter_shape(case, &format!("{name}.{parameter}"));
    let dims = |option: &str, default: isize, axes: usize| match &layer[option] {
        Value::Null => vec![default; axes],
        Value::Number(number) => vec![number.as_i64().unwrap_or(0) as isize; axes],
        list => integers(list),
    };
    let conv = |axes: usize| {
        let groups = layer["groups"].as_u64().unwrap_or(1) as usize;
        Conv::new()
            .stride(Dims::from(dims("stride", 1, axes)))
            .padding(Dims::from(dims("padding", 0, axes)))
            .dilation(Dims::from(dims("dilation", 1, axes)))
            .groups(groups)
    };
    let pool = || {
        let kernel = dims("kernel", 1, 2);
        let stride = if layer["stride"].is_null() { kernel.clone() } else { dims("stride", 1, 2) };
        Pool::new(Dims::from(kernel)).stride(Dims::from(stride)).padding(Dims::from(dims("padding", 0, 2)))
    };
    let bias = shape("bias").is_some();
    Some((
        name.into(),
        match layer["type"].as_str()? {
            "linear" => {
                let weight = shape("weight")?;
                let linear = Linear::new(weight[1], weight[0], rng);
                Box::new(if bias { linear } else { linear.without_bias() })
            }
            "conv1d" => {
                let (weight, conv) = (shape("weight")?, conv(1));
                let layer =
                    Conv1d::new(weight[1] * conv.group_count(), weight[0], weight[2] as isize, conv, rng);
                Box::new(if bias { layer } else { layer.without_bias() })
            }
            "conv2d" => {
                let (weight, conv) = (shape("weight")?, conv(2));
                let kernel = [weight[2] as isize, weight[3] as isize];
                let layer = Conv2d::new(weight[1] * conv.group_count(), weight[0], kernel, conv, rng);
                Box::new(if bias { layer } else { layer.without_bias() })
            }
            "batch_norm1d" => {
                let mut norm = BatchNorm1d::new(shape("running_mean")?[0]);
                norm.eps = layer["eps"].as_f64().unwrap_or(1e-5);
                Box::new(norm)
            }
            "batch_norm2d" => {
                let mut norm = BatchNorm2d::new(shape("running_mean")?[0]);
                norm.eps = layer["eps"].as_f64().unwrap_or(1e-5);
                Box::new(norm)
            }
            "layer_norm" => {
                let mut norm = LayerNorm::new(shape("weight")?);
                norm.eps = layer["eps"].as_f64().unwrap_or(1e-5);
                Box::new(norm)
            }
            "max_pool2d" => Box::new(gradus::MaxPool2d(pool())),
            "avg_pool2d" => Box::new(gradus::AvgPool2d(pool())),
            "dropout" => Box::new(Dropout::new(layer["p"].as_f64().unwrap_or(0.5), 0)),
            "flatten" => Box::new(Flatten),
            "relu" => Box::new(Relu),
            "leaky_relu" => {
                Box::new(LeakyRelu { negative_slope: layer["negative_slope"].as_f64().unwrap_or(0.01) })
            }
            "gelu" => Box::new(Gelu),
            "sigmoid" => Box::new(Sigmoid),
            "tanh" => Box::new(Tanh),
            _ => return None,
        },
    ))
}
