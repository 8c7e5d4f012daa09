//! Private training: accounting, clipped gradients and steps, held against stored ones.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use gradus::prelude::*;
use gradus::privacy::{Accountant, Clipping, DpSgd, gaussian_epsilon, rdp};
use gradus::{Examples, Operand, gradients_per_example};
use serde_json::Value;

use crate::cases::text;
use crate::caught;
use crate::compare::{Nan, Tolerance, floats};
use crate::data::{self, Archive, Result};
use crate::report::{Outcome, Report};

/// Whether a folder is itself one of such cases.
pub(crate) fn is_folder(folder: &Path) -> bool {
    let cases = data::cases(&folder.join("index.json")).unwrap_or_default();
    cases.iter().any(|case| matches!(case["method"].as_str(), Some("dp_sgd" | "rdp" | "epsilon")))
}

/// Runs every case of a folder, by method.
pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let path = folder.join("index.json");
    let index = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let index: Value =
        serde_json::from_str(&index).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut by_method: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for case in index["cases"].as_array().into_iter().flatten() {
        by_method.entry(text(case, "method")).or_default().push(case);
    }
    for (method, cases) in by_method {
        report.begin(&format!("privacy: {method}"));
        for case in cases {
            let outcome = caught(|| match method {
                "dp_sgd" => step(folder, &index, case),
                "rdp" => curve(folder, case),
                "epsilon" => epsilon(&index, case),
                _ => Outcome::Unsupported,
            });
            if case["convention"] == true {
                report.add_convention(text(case, "case"), outcome, None);
            } else {
                report.add(text(case, "case"), outcome);
            }
        }
    }
    Ok(())
}

fn outcome(faults: Vec<String>) -> Outcome {
    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
}

fn tolerance(case: &Value, key: &str) -> Tolerance {
    let [relative, absolute] = [0, 1].map(|i| case[key][i].as_f64().expect("a tolerance"));
    Tolerance { relative, absolute, nan: Nan::Agrees }
}

/// A number, which may be infinite or NaN.
fn number(value: &Value) -> f64 {
    let parsed = value.as_str().map(|text| text.parse().expect("a number"));
    value.as_f64().or(parsed).unwrap_or_else(|| panic!("{value} is no number"))
}

fn option(case: &Value, name: &str) -> f64 {
    number(&case["options"][name])
}

/// Whether a number agrees with the true one, or lies between it and a bound from above.
fn is_sound(tolerance: Tolerance, got: f64, truth: f64, bound: f64) -> bool {
    tolerance.accepts(got, truth) || truth <= got && got <= bound
}

/// A curve of Renyi differential privacy.
fn curve(folder: &Path, case: &Value) -> Outcome {
    let archive = Archive::open(&folder.join(text(case, "file"))).unwrap_or_else(|error| panic!("{error}"));
    let stored = |role: &str| archive.f64(text(&case["tensors"][role], "key")).to_vec();
    let (orders, truth, bound) = (stored("orders"), stored("rdp"), stored("rdp_dp_accounting"));
    let (q, s, steps) =
        (option(case, "sampling_rate"), option(case, "noise_multiplier"), option(case, "steps"));
    let mut accountant = Accountant::with_orders(orders.clone()).unwrap();
    accountant.add(q, s, steps as usize).unwrap();
    let mut faults = Vec::new();
    for (i, &order) in orders.iter().enumerate() {
        for got in [accountant.rdp()[i], steps * rdp(q, s, order).unwrap()] {
            if !is_sound(tolerance(case, "tol"), got, truth[i], bound[i]) {
                faults.push(format!("order {order}: got {got:?}, want {:?} to {:?}", truth[i], bound[i]));
            }
        }
    }
    outcome(faults)
}

/// What some steps give away.
fn epsilon(index: &Value, case: &Value) -> Outcome {
    let of = |name: &str| number(&case[name]);
    let orders: Vec<f64> = index["orders"].as_array().expect("a list of orders").iter().map(number).collect();
    let (q, s, delta) = (of("sampling_rate"), of("noise_multiplier"), of("delta"));
    let steps = of("steps") as usize;
    let mut accountant = Accountant::with_orders(orders).unwrap();
    accountant.add(q, s, steps).unwrap();
    let got = accountant.epsilon(delta).unwrap();
    let mut faults = Vec::new();
    let (truth, bound) = (of("epsilon_rdp"), of("epsilon_dp_accounting"));
    if !is_sound(tolerance(case, "tol"), got, truth, bound) {
        faults.push(format!("epsilon_rdp: got {got:?}, want {truth:?} to {bound:?}"));
    }
    if !case["epsilon_pld"].is_null() {
        let (got, want) = (accountant.tight_epsilon(delta).unwrap(), of("epsilon_pld"));
        if !is_sound(tolerance(case, "tol_pld"), got, want, truth) {
            faults.push(format!("epsilon_pld: got {got:?}, want {want:?} to {truth:?}"));
        }
    }
    if !case["epsilon_gaussian"].is_null() {
        let (got, want) = (gaussian_epsilon(s, steps, delta).unwrap(), of("epsilon_gaussian"));
        if !tolerance(case, "tol").accepts(got, want) {
            faults.push(format!("epsilon_gaussian: got {got:?}, want {want:?}"));
        }
    }
    outcome(faults)
}

/// The model of a case with its stored weights, and for each parameter its name in the data and here.
fn model(folder: &Path, index: &Value, case: &Value) -> (Sequential<f64>, Vec<(String, String)>) {
    let models = index["models"].as_array().expect("a list of models");
    let model = models.iter().find(|model| model["name"] == case["model"]).expect("a model of the index");
    let stored = Archive::open(&folder.join(text(model, "file"))).unwrap_or_else(|error| panic!("{error}"));
    let (mut layers, mut state, mut names) = (Sequential::new(), State::new(), Vec::new());
    for (place, layer) in model["layers"].as_array().expect("a list of layers").iter().enumerate() {
        let mut weights = || {
            let [weight, bias] = ["weight", "bias"].map(|part| {
                let (theirs, ours) = (format!("{}.{part}", text(layer, "name")), format!("{place}.{part}"));
                let value = stored.f64(&theirs);
                state.insert(&ours, value.clone());
                names.push((theirs, ours));
                value
            });
            (weight.shape().to_vec(), bias)
        };
        let rng = &mut seeded(0);
        layers = match text(layer, "type") {
            "linear" => {
                let (shape, _) = weights();
                layers.push(Linear::new(shape[1], shape[0], rng))
            }
            "conv2d" => {
                let (shape, _) = weights();
                layers.push(Conv2d::new(shape[1], shape[0], [shape[2], shape[3]], Conv::new(), rng))
            }
            "tanh" => layers.push(Tanh),
            "relu" => layers.push(Relu),
            "sigmoid" => layers.push(Sigmoid),
            "flatten" => layers.push(Flatten),
            other => panic!("unknown layer {other}"),
        };
    }
    layers.load_state(&state).unwrap_or_else(|error| panic!("{error}"));
    (layers, names)
}

/// Everything from the losses of single examples to the parameters after a private step.
fn step(folder: &Path, index: &Value, case: &Value) -> Outcome {
    let archive = Archive::open(&folder.join(text(case, "file"))).unwrap_or_else(|error| panic!("{error}"));
    let results = results(folder, index, case, &archive);
    let mut faults = Vec::new();
    for role in case["tensors"].as_object().expect("tensors by role").keys() {
        if ["input", "target"].contains(&role.as_str()) || role.starts_with("noise/") {
            continue;
        }
        let want = archive.f64(text(&case["tensors"][role], "key"));
        match results.get(role) {
            Some(got) => faults.extend(floats(role, got, &want, tolerance(case, "tol"))),
            None => faults.push(format!("{role}: not computed")),
        }
    }
    outcome(faults)
}

/// The results of a case of the method `dp_sgd`, by role.
fn results(folder: &Path, index: &Value, case: &Value, archive: &Archive) -> BTreeMap<String, Tensor<f64>> {
    let (mut model, names) = model(folder, index, case);
    let key = |role: &str| text(&case["tensors"][role], "key").to_string();
    let parameter = |model: &Sequential<f64>, ours: &str| -> Var<f64> {
        let named = model.named_parameters().into_iter().find(|(name, _)| name == ours);
        (**named.expect("a parameter of the model").1).clone()
    };
    let (x, targets) =
        (Var::constant(archive.f64(&key("input"))), Indices::constant(archive.i64(&key("target"))));
    let (inputs, axes) = ([Operand::Var(&x), Operand::Indices(&targets)], [Some(0), Some(0)]);
    let loss = |model: &Sequential<f64>, example: &Examples<f64>| {
        model.forward(example[0].unsqueeze(0)).cross_entropy(example.indices(1).reshape([1]))
    };
    let parameters: Vec<Var<f64>> = names.iter().map(|(_, ours)| parameter(&model, ours)).collect();
    let found = {
        let borrowed: Vec<&Var<f64>> = parameters.iter().collect();
        gradients_per_example(|example| loss(&model, example), &borrowed, &inputs, &axes)
    };
    let mut results = BTreeMap::new();
    results.insert("loss".to_string(), found.losses().clone());
    results.insert("norms".to_string(), found.norms());
    for ((theirs, _), (parameter, norms)) in names.iter().zip(parameters.iter().zip(found.norm_bounds())) {
        results.insert(format!("per_example/{theirs}"), found.get(parameter).expect("a parameter"));
        results.insert(format!("norms/{theirs}"), norms);
    }

    let clipping = match text(&case["options"], "clipping") {
        "flat" => Clipping::Flat,
        "per_tensor" => Clipping::PerTensor,
        other => panic!("unknown clipping {other}"),
    };
    let noise = |(theirs, _): &(String, String)| archive.f64(&key(&format!("noise/{theirs}")));
    let mut noises: VecDeque<Tensor<f64>> = names.iter().map(noise).collect();
    // A data set of any size whose expected batch is the stored one, to the bit.
    let samples = 1 << 20;
    let mut private = DpSgd::new(samples, option(case, "expected_batch") / samples as f64)
        .and_then(|private| private.max_norm(option(case, "max_norm")))
        .and_then(|private| private.noise_multiplier(option(case, "noise_multiplier")))
        .unwrap()
        .clipping(clipping)
        .noise_for_tests(move |_| noises.pop_front().expect("noise for each parameter"));
    let sum = private.clipped_sum(&model, loss, &inputs, &axes).unwrap();
    for ((theirs, _), parameter) in names.iter().zip(&parameters) {
        let sum = sum.gradients().get(parameter).expect("a parameter");
        results.insert(format!("clipped_sum/{theirs}"), sum.clone());
    }
    let gradients = private.add_noise(&model, sum).unwrap();
    for ((theirs, _), parameter) in names.iter().zip(&parameters) {
        let gradient = gradients.get(parameter).expect("a parameter");
        results.insert(format!("gradient/{theirs}"), gradient.clone());
    }
    Sgd::new(option(case, "lr")).step(&mut model, &gradients);
    for (theirs, ours) in &names {
        results.insert(format!("after/{theirs}"), parameter(&model, ours).value().clone());
    }
    results
}
