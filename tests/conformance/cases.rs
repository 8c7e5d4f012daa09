//! One case of an operation: its values, and its derivatives by every way that there is.

use gradus::{Tensor, Var, jvp, keepdim, vjp, vjp_create_graph};
use serde_json::Value as Json;

use crate::arguments::{Arguments, Value};
use crate::compare::{Nan, Tolerance, exact, floats};
use crate::data::{Archive, integers, sizes};
use crate::operations::apply;
use crate::report::Outcome;

/// An input that derivatives are asked for.
struct Differentiated {
    name: String,
    leaf: Var<f64>,
    want: Tensor<f64>,
    /// The weight of this input's `vjp` in the sum that is differentiated, and what comes of it.
    second: Option<[Tensor<f64>; 2]>,
}

/// An output that derivatives are taken of.
struct Seeded {
    what: String,
    output: Var<f64>,
    cotangent: Tensor<f64>,
    tangent: Option<Tensor<f64>>,
}

/// Runs a case; it panics if the case or the operation does.
pub(crate) fn run(case: &Json, archive: &Archive, nan: Nan) -> Outcome {
    let inputs: Vec<(String, Value)> =
        list(case, "inputs").iter().map(|input| (text(input, "name").into(), view(input, archive))).collect();
    let arguments = Arguments::new(&inputs, case["attrs"].as_object().expect("attrs is an object"));
    let Some(outputs) = apply(text(case, "op"), &arguments) else { return Outcome::Unsupported };
    arguments.check_all_used();
    let mut outputs = outputs.0;

    let stored = list(case, "outputs");
    assert!(outputs.len() == stored.len(), "got {} outputs, want {}", outputs.len(), stored.len());
    // Vectors of a decomposition may point either way. U and the rows of Vh turn together.
    let turned: &[(usize, bool)] = match text(case, "op") {
        "svd" => &[(0, false), (2, true)],
        "eigh" => &[(1, false)],
        _ => &[],
    };
    if let Some(&(first, _)) = turned.first() {
        let signs = signs(outputs[first].var().value(), &archive.f64(text(&stored[first], "key")));
        for &(place, rows) in turned {
            let signs = if rows { signs.t() } else { signs.clone() };
            outputs[place] = Value::Float(outputs[place].var() * signs);
        }
    }
    let tolerance = tolerance(&case["tol"]["out"], nan);
    let differing = outputs.iter().zip(stored).enumerate();
    let mut faults: Vec<String> = differing
        .filter_map(|(i, (got, want))| {
            let key = text(want, "key");
            match got {
                Value::Float(got) => floats(&format!("value {i}"), got.value(), &archive.f64(key), tolerance),
                Value::Integer(got) => exact(&format!("value {i}"), got, &archive.i64(key)),
                Value::Bool(got) => exact(&format!("value {i}"), got, &archive.bool(key)),
            }
        })
        .collect();
    if faults.is_empty() {
        faults = derivatives(case, archive, &inputs, &outputs, nan);
    }
    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
}

/// -1 for columns that point the other way than those stored, as a row for each matrix; 1 for all others.
fn signs(got: &Tensor<f64>, want: &Tensor<f64>) -> Tensor<f64> {
    let products = (got * want).sum(keepdim(-2));
    products.map(|product| if product < 0.0 { -1.0 } else { 1.0 })
}

fn derivatives(
    case: &Json,
    archive: &Archive,
    inputs: &[(String, Value)],
    outputs: &[Value],
    nan: Nan,
) -> Vec<String> {
    let optional = |item: &Json, name: &str| item[name].as_str().map(|key| archive.f64(key));
    let cotangents: Vec<Seeded> = outputs
        .iter()
        .zip(list(case, "outputs"))
        .enumerate()
        .filter_map(|(i, (output, stored))| {
            let cotangent = optional(stored, "cotangent")?;
            let output = output.var().clone();
            Some(Seeded {
                what: format!("tangent {i}"),
                output,
                cotangent,
                tangent: optional(stored, "tangent"),
            })
        })
        .collect();
    let differentiated: Vec<Differentiated> = inputs
        .iter()
        .zip(list(case, "inputs"))
        .filter(|(_, stored)| stored["diff"] == true && !cotangents.is_empty())
        .map(|((name, value), stored)| {
            let leaf = value.var().clone();
            let want = archive.f64(text(stored, "vjp"));
            let second = optional(stored, "weight").map(|weight| {
                let grad2 = optional(stored, "grad2").unwrap_or_else(|| Tensor::zeros(leaf.shape()));
                [weight, grad2]
            });
            Differentiated { name: name.clone(), leaf, want, second }
        })
        .collect();
    let tolerance = tolerance(&case["tol"]["grad"], nan);
    let leaves: Vec<&Var<f64>> = differentiated.iter().map(|input| &input.leaf).collect();
    let mut faults = Vec::new();
    let mut check = |what: String, got: &Tensor<f64>, want: &Tensor<f64>| {
        faults.extend(floats(&what, got, want, tolerance));
    };

    // Backward, in passes that do not record and in passes that do.
    let once =
        sum_over_outputs(&cotangents, &leaves, |output| vjp(&output.output, &output.cotangent, &leaves));
    let seeds: Vec<Var<f64>> = cotangents.iter().map(|output| Var::leaf(&output.cotangent)).collect();
    let mut seed = seeds.iter();
    let recorded = sum_over_outputs(&cotangents, &leaves, |output| {
        vjp_create_graph(&output.output, seed.next().expect("one for each output"), &leaves)
    });
    for ((input, once), recorded) in differentiated.iter().zip(&once).zip(&recorded) {
        check(format!("vjp {}", input.name), once.value(), &input.want);
        check(format!("vjp {} (recorded)", input.name), recorded.value(), &input.want);
    }

    // Forward.
    let weights: Option<Vec<Tensor<f64>>> =
        differentiated.iter().map(|input| input.second.as_ref().map(|[weight, _]| weight.clone())).collect();
    let Some(weights) = weights.filter(|weights| !weights.is_empty()) else { return faults };
    for output in &cotangents {
        if let Some(want) = &output.tangent {
            check(format!("jvp of {}", output.what), &jvp(&output.output, &leaves, &weights), want);
        }
    }

    // Backward over backward: with respect to inputs, and to cotangents.
    let terms = recorded.iter().zip(&weights).map(|(product, weight)| (product * weight).sum(..));
    let slope = terms.reduce(|sum, term| sum + term).expect("there are inputs");
    let targets: Vec<&Var<f64>> = leaves.iter().copied().chain(&seeds).collect();
    let second: Vec<Tensor<f64>> = if slope.is_tracked() {
        let found = vjp(&slope, &Tensor::scalar(1.0), &targets).into_iter().zip(&targets);
        found.map(|(found, target)| or_zeros(found, target).into_value()).collect()
    } else {
        targets.iter().map(|target| Tensor::zeros(target.shape())).collect()
    };
    let (of_inputs, of_cotangents) = second.split_at(leaves.len());
    for (input, got) in differentiated.iter().zip(of_inputs) {
        let [_, want] = input.second.as_ref().expect("all have weights");
        check(format!("grad2 {}", input.name), got, want);
    }
    for (output, got) in cotangents.iter().zip(of_cotangents) {
        if let Some(want) = &output.tangent {
            check(output.what.clone(), got, want);
        }
    }
    faults
}

/// For each leaf the sum of the gradients that flow to it from all outputs.
fn sum_over_outputs(
    outputs: &[Seeded],
    leaves: &[&Var<f64>],
    mut gradients: impl FnMut(&Seeded) -> Vec<Option<Var<f64>>>,
) -> Vec<Var<f64>> {
    let mut sums: Vec<Option<Var<f64>>> = vec![None; leaves.len()];
    for output in outputs {
        for (sum, gradient) in sums.iter_mut().zip(gradients(output)) {
            *sum = match (sum.take(), gradient) {
                (Some(sum), Some(gradient)) => Some(sum + gradient),
                (sum, gradient) => sum.or(gradient),
            };
        }
    }
    sums.into_iter().zip(leaves).map(|(sum, leaf)| or_zeros(sum, leaf)).collect()
}

fn or_zeros(gradient: Option<Var<f64>>, leaf: &Var<f64>) -> Var<f64> {
    gradient.unwrap_or_else(|| Tensor::zeros(leaf.shape()).into())
}

/// An input, as the view of its buffer that the case describes.
fn view(input: &Json, archive: &Archive) -> Value {
    let (shape, strides) = (sizes(&input["shape"]), integers(&input["strides"]));
    let offset = input["offset"].as_u64().expect("an offset is no integer") as usize;
    let key = text(input, "key");
    macro_rules! viewed {
        ($buffer:expr) => {
            $buffer.as_strided(&shape, &strides, offset).unwrap_or_else(|error| panic!("{key}: {error}"))
        };
    }
    match text(input, "dtype") {
        "F64" if input["diff"] == true => Value::Float(Var::leaf(viewed!(archive.f64(key)))),
        "F64" => Value::Float(Var::constant(viewed!(archive.f64(key)))),
        "I64" => Value::Integer(viewed!(archive.i64(key))),
        "BOOL" => Value::Bool(viewed!(archive.bool(key))),
        other => panic!("{key} is {other}"),
    }
}

fn tolerance(pair: &Json, nan: Nan) -> Tolerance {
    let number = |i: usize| pair[i].as_f64().unwrap_or_else(|| panic!("{pair} is no tolerance"));
    Tolerance { relative: number(0), absolute: number(1), nan }
}

/// A text in a case.
pub(crate) fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("{name} is {}, no text", json[name]))
}

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json[name].as_array().unwrap_or_else(|| panic!("{name} is {}, no list", json[name]))
}
