//! Models that `PyTorch` saved: built from the description of their architecture, loaded by name, and run.

use std::path::Path;

use gradus::{
    BatchNorm1d, BatchNorm2d, Conv, Conv1d, Conv2d, Dims, Dropout, Element, Flatten, Float, Gelu, Layer,
    LayerNorm, LeakyRelu, Linear, Member, MemberMut, Module, Path as Name, Pool, Relu, Sigmoid, State,
    StateTensor, Tanh, Tensor, Var, seeded,
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
        _ => return None,
    })
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

/// A layer from its description; sizes follow from the shapes of its parameters.
fn named_layer<T: Float>(layer: &Value, case: &Value) -> Option<(String, Box<dyn Layer<T>>)> {
    let name = layer["name"].as_str()?;
    let rng = &mut seeded(0);
    let shape = |parameter: &str| {
        let full = format!("{name}.{parameter}");
        let found = case["parameters"].as_array()?.iter().find(|parameter| parameter["name"] == *full)?;
        Some(sizes(&found["shape"]))
    };
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
            "flatten" => Box::new(Flatten {}),
            "relu" => Box::new(Relu::default()),
            "leaky_relu" => {
                Box::new(LeakyRelu { negative_slope: layer["negative_slope"].as_f64().unwrap_or(0.01) })
            }
            "gelu" => Box::new(Gelu::default()),
            "sigmoid" => Box::new(Sigmoid::default()),
            "tanh" => Box::new(Tanh::default()),
            _ => return None,
        },
    ))
}
