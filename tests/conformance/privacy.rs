//! Gradients of each example of a batch, held against stored ones.

use std::path::Path;

use gradus::prelude::*;
use gradus::{Examples, Operand, PerExampleGradients, gradients_per_example};
use serde_json::Value;

use crate::cases::text;
use crate::caught;
use crate::compare::{Nan, Tolerance, floats};
use crate::data::{Archive, Result};
use crate::report::{Outcome, Report};

/// The output of a model for one example, `x` without an axis for the batch; the layers are those of the index.
fn output(layers: &[Value], weights: &[(String, Var<f64>)], x: &Var<f64>) -> Var<f64> {
    let weight = |layer: &Value, name: &str| {
        let name = format!("{}.{name}", text(layer, "name"));
        weights
            .iter()
            .find(|(other, _)| *other == name)
            .map_or_else(|| panic!("no weight {name}"), |(_, var)| var)
    };
    let apply = |x: Var<f64>, layer: &Value| match text(layer, "type") {
        "linear" => x.linear(weight(layer, "weight"), Some(weight(layer, "bias"))),
        "conv2d" => x.conv2d(weight(layer, "weight"), Some(weight(layer, "bias")), Conv::new()),
        "tanh" => x.tanh(),
        "flatten" => x.flatten(..),
        other => panic!("unknown layer {other}"),
    };
    layers.iter().fold(x.clone(), apply)
}

/// Runs every case of the method `dp_sgd` of a folder.
pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let path = folder.join("index.json");
    let index = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let index: Value =
        serde_json::from_str(&index).map_err(|error| format!("{}: {error}", path.display()))?;
    let archive = Archive::open(&folder.join("gradients.safetensors"))?;
    report.begin("gradients_per_example");
    for case in index["cases"].as_array().into_iter().flatten().filter(|case| case["method"] == "dp_sgd") {
        report.add(
            text(case, "case"),
            caught(|| compared(case, &archive, &gradients(folder, &index, case, &archive))),
        );
    }
    Ok(())
}

/// Results held against the stored ones of the same roles.
fn compared(case: &Value, archive: &Archive, results: &[(String, Tensor<f64>)]) -> Outcome {
    let [relative, absolute] = [0, 1].map(|i| case["tol"][i].as_f64().expect("a tolerance"));
    let tolerance = Tolerance { relative, absolute, nan: Nan::Agrees };
    let fault = |(role, got): &(String, Tensor<f64>)| {
        let want = archive.f64(text(&case["tensors"][role.as_str()], "key"));
        floats(role, got, &want, tolerance)
    };
    let faults: Vec<String> = results.iter().filter_map(fault).collect();
    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
}

/// Losses, norms, gradients and clipped sums of a case of the method `dp_sgd`, by role.
pub(crate) fn gradients(
    folder: &Path,
    index: &Value,
    case: &Value,
    archive: &Archive,
) -> Vec<(String, Tensor<f64>)> {
    let models = index["models"].as_array().expect("a list of models");
    let model = models.iter().find(|model| model["name"] == case["model"]).expect("a model of the index");
    let stored = Archive::open(&folder.join(text(model, "file"))).unwrap_or_else(|error| panic!("{error}"));
    let names = model["params"].as_array().expect("a list of names");
    let names = names.iter().map(|name| name.as_str().expect("a name").to_string());
    let weights: Vec<(String, Var<f64>)> =
        names.map(|name| (name.clone(), Var::leaf(stored.f64(&name)))).collect();
    let layers = model["layers"].as_array().expect("a list of layers");
    let key = |role: &str| text(&case["tensors"][role], "key").to_string();
    let (x, targets) =
        (Var::constant(archive.f64(&key("input"))), Indices::constant(archive.i64(&key("target"))));
    let parameters: Vec<&Var<f64>> = weights.iter().map(|(_, var)| var).collect();
    let loss = |example: &Examples<f64>| {
        output(layers, &weights, &example[0]).softmax_cross_entropy(0, example.indices(1), None)
    };
    let inputs = [Operand::Var(&x), Operand::Indices(&targets)];
    let found: PerExampleGradients<f64> =
        gradients_per_example(loss, &parameters, &inputs, &[Some(0), Some(0)]);
    let mut results = vec![("norms".to_string(), found.norms())];
    if case["tensors"].get("loss").is_some() {
        results.push(("loss".to_string(), found.losses().clone()));
    }
    for (name, var) in &weights {
        results.push((format!("per_example/{name}"), found.get(var).expect("a parameter")));
    }
    if case["options"]["clipping"] == "flat" {
        let most = case["options"]["max_norm"].as_f64().expect("a number");
        let sum = found.weighted(&found.norms().map(|norm| if norm > most { most / norm } else { 1.0 }));
        for (name, var) in &weights {
            results.push((format!("clipped_sum/{name}"), sum.get(var).expect("a parameter").clone()));
        }
    }
    results
}
