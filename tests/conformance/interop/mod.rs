//! Files that other programs wrote: models of `PyTorch` loaded by name, malformed files, arrays of `NumPy`.

mod arrays;
mod models;

use std::path::Path;

use gradus::{State, StateTensor, Tensor};
use serde_json::Value;

use crate::caught;
use crate::compare::{self, Nan, Tolerance};
use crate::data::{Result, cases, sizes};
use crate::report::{Outcome, Report};

/// Runs every case of a folder, one line each.
pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    for case in cases(&folder.join("index.json"))? {
        let name = case["case"].as_str().unwrap_or("a case without a name");
        report.begin(name);
        let outcome = caught(|| match case["method"].as_str() {
            Some("model") => models::run(folder, &case),
            Some("malformed") => malformed(folder, &case),
            Some("npy") => arrays::npy(folder, &case),
            Some("npz") => arrays::npz(folder, &case),
            _ => Outcome::Unsupported,
        });
        if case["convention"] == true {
            report.add_convention(name, outcome, None);
        } else {
            report.add(name, outcome);
        }
    }
    Ok(())
}

/// A file that must be refused, or one that is unusual and must be read.
fn malformed(folder: &Path, case: &Value) -> Outcome {
    let path = folder.join(case["path"].as_str().expect("a path"));
    match (State::read(&path), case["expect"] == "error") {
        (Err(_), true) => Outcome::Passed,
        (Err(error), false) => failed(error.to_string()),
        (Ok(_), true) => failed("read, and should be refused"),
        (Ok(state), false) => contents(&state, case),
    }
}

fn contents(state: &State, case: &Value) -> Outcome {
    let Some(values) = case["values"].as_object() else { return Outcome::Passed };
    let mut faults: Vec<String> = state
        .names()
        .filter(|name| !values.contains_key(*name))
        .map(|name| format!("an extra {name}"))
        .collect();
    for (name, value) in values {
        let numbers = numbers(&value["data"]);
        let want =
            Tensor::from_vec(numbers, sizes(&value["shape"])).expect("as many numbers as the shape has");
        let fault = match state.convert::<f64>().0.get(name) {
            Some(StateTensor::F64(got)) => compare::floats(name, got, &want, exactly()),
            Some(StateTensor::I64(got)) => compare::floats(name, &got.cast(), &want, exactly()),
            other => Some(format!("{name}: {other:?}")),
        };
        faults.extend(fault);
    }
    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
}

fn exactly() -> Tolerance {
    Tolerance { relative: 0.0, absolute: 0.0, nan: Nan::Agrees }
}

/// Numbers of any depth, in order; those that are not finite are strings.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::String(text) => vec![text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))],
        Value::Bool(truth) => vec![f64::from(*truth)],
        value => vec![value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))],
    }
}

fn failed(fault: impl Into<String>) -> Outcome {
    Outcome::Failed(vec![fault.into()])
}
