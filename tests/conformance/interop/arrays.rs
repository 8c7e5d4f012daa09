//! Arrays that `NumPy` saved.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use gradus::npy::{Array, NpyError};
use gradus::{npy, npz};
use serde_json::Value;

use super::failed;
use crate::data::sizes;
use crate::report::Outcome;

/// A file `.npy`: its one array must be as described, or it must be refused.
pub(super) fn npy(folder: &Path, case: &Value) -> Outcome {
    outcome(case, npy::read(path(folder, case)), |array| faults("array", array, &case["array"]))
}

/// A file `.npz`, likewise.
pub(super) fn npz(folder: &Path, case: &Value) -> Outcome {
    outcome(case, npz::read(path(folder, case)), |arrays| {
        let wanted = case["arrays"].as_object().expect("arrays by name");
        let extra = arrays.keys().filter(|name| !wanted.contains_key(*name));
        let mut found: Vec<String> = extra.map(|name| format!("an extra {name}")).collect();
        for (name, want) in wanted {
            match arrays.get(name) {
                Some(array) => found.extend(faults(name, array, want)),
                None => found.push(format!("no {name}")),
            }
        }
        found
    })
}

fn path(folder: &Path, case: &Value) -> PathBuf {
    folder.join(case["path"].as_str().expect("a path"))
}

fn outcome<T>(case: &Value, result: Result<T, NpyError>, faults: impl FnOnce(&T) -> Vec<String>) -> Outcome {
    match (result, case["expect"] == "error") {
        (Err(_), true) => Outcome::Passed,
        (Ok(_), true) => failed("read, and should be refused"),
        (Ok(read), false) => match faults(&read) {
            faults if faults.is_empty() => Outcome::Passed,
            faults => Outcome::Failed(faults),
        },
        (Err(error), false) => failed(error.to_string()),
    }
}

/// The differences between an array and its description, to the bit but for the payloads of NaN.
fn faults(name: &str, array: &Array, want: &Value) -> Vec<String> {
    let (kind, shape) = (want["dtype"].as_str().expect("a dtype"), sizes(&want["shape"]));
    let expected = match kind {
        "float64" => "f64",
        "bool" => "bool",
        "uint64" => "u64",
        kind if kind.starts_with("float") => "f32",
        _ => "i64",
    };
    if array.dtype() != expected || array.shape() != shape {
        return vec![format!("{name}: got {} {:?}, want {kind} {shape:?}", array.dtype(), array.shape())];
    }
    let values = want["values"].as_array().expect("a list of values");
    let count = shape.iter().product::<usize>();
    if values.len() != count {
        return vec![format!("{name}: {} values are stored for {count} elements", values.len())];
    }
    let mut found = Vec::new();
    let mut compare = |agree: bool, got: &dyn Debug, want: &Value| {
        if !agree {
            found.push(format!("{name}: got {got:?}, want {want}"));
        }
    };
    match array {
        Array::F32(_) | Array::F64(_) => {
            for (got, want) in array.cast::<f64>().iter().zip(values) {
                let number = float(want);
                let same = got.to_bits() == number.to_bits() || got.is_nan() && number.is_nan();
                compare(same, &got, want);
            }
        }
        Array::I64(tensor) => {
            for (got, want) in tensor.iter().zip(values) {
                compare(want.as_i64() == Some(got), &got, want);
            }
        }
        Array::U64(tensor) => {
            for (got, want) in tensor.iter().map(i64::cast_unsigned).zip(values) {
                compare(want.as_u64() == Some(got), &got, want);
            }
        }
        Array::Bool(tensor) => {
            for (got, want) in tensor.iter().zip(values) {
                compare(want.as_bool() == Some(got), &got, want);
            }
        }
    }
    found
}

fn float(value: &Value) -> f64 {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.unwrap_or_else(|| panic!("{value} is not a number"))
}
