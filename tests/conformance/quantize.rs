//! Quantisation: observers, fake quantisation, learned steps and integer layers, held against stored results.

use std::collections::BTreeSet;
use std::path::Path;

use gradus::quant::{LearnedStep, Observer, Params, QConv2d, QLinear, Scheme};
use gradus::{Conv, Conv2d, Linear, Parameter, Tensor, Var};
use serde_json::Value;

use crate::cases::text;
use crate::compare::{self, Nan, Tolerance};
use crate::data::{self, Archive, Result, integers};
use crate::report::{Outcome, Report};

/// A departure of [`Observer::histogram`], whose search is another one.
const OWN_SEARCH: &str =
    "the range is chosen by another search, whose parameters have an error that is not larger";

/// The methods that are known.
const METHODS: [&str; 6] =
    ["dynamic_linear", "fake_quantize", "lsq", "observer", "static_conv2d", "static_linear"];

/// Whether a folder is itself one of such cases.
pub(crate) fn is_folder(folder: &Path) -> bool {
    let cases = data::cases(&folder.join("index.json")).unwrap_or_default();
    cases.iter().any(|case| case["method"].as_str().is_some_and(|method| METHODS.contains(&method)))
}

/// Runs all cases, one line for each method.
pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let cases = data::cases(&folder.join("index.json"))?;
    let methods: BTreeSet<&str> = cases.iter().map(|case| text(case, "method")).collect();
    for method in methods {
        report.begin(method);
        for case in cases.iter().filter(|case| text(case, "method") == method) {
            let archive = Archive::open(&folder.join(text(case, "file")))?;
            let stored = Stored { case, archive: &archive };
            let outcome = crate::caught(|| stored.outcome());
            let name = text(case, "case");
            if case["convention"] != true {
                report.add(name, outcome);
                continue;
            }
            let own = case["observer"] == "histogram" && matches!(outcome, Outcome::Failed(_));
            let departure = (own && matches!(crate::caught(|| stored.error_is_small()), Outcome::Passed))
                .then_some(OWN_SEARCH);
            report.add_convention(name, outcome, departure);
        }
    }
    Ok(())
}

/// A case, and the file of its tensors.
struct Stored<'a> {
    case: &'a Value,
    archive: &'a Archive,
}

impl Stored<'_> {
    fn has(&self, role: &str) -> bool {
        !self.case["tensors"][role].is_null()
    }

    fn key(&self, role: &str) -> &str {
        self.case["tensors"][role]["key"].as_str().unwrap_or_else(|| panic!("no tensor {role}"))
    }

    fn floats(&self, role: &str) -> Tensor<f64> {
        self.archive.f64(self.key(role))
    }

    fn integers(&self, role: &str) -> Tensor<i64> {
        self.archive.integers(self.key(role))
    }

    fn option(&self, name: &str) -> &Value {
        &self.case["options"][name]
    }

    fn integer(&self, name: &str) -> i64 {
        self.option(name).as_i64().unwrap_or_else(|| panic!("no integer {name}"))
    }

    fn levels(&self) -> Scheme {
        let axis = self.option("axis").as_u64();
        let scheme =
            Scheme::int8().levels(self.integer("quant_min") as i32..=self.integer("quant_max") as i32);
        match axis {
            Some(axis) => scheme.per_channel(axis as usize),
            None => scheme,
        }
    }

    fn params(&self, scale: &str, zero_point: Option<&str>, scheme: &Scheme) -> Params {
        let scales: Vec<f32> = self.floats(scale).iter().map(|scale| scale as f32).collect();
        let zero_points = match zero_point.filter(|role| self.has(role)) {
            Some(role) => self.integers(role).iter().map(|zero| zero as i32).collect(),
            None => vec![0; scales.len()],
        };
        Params::new(scales, zero_points, scheme).unwrap_or_else(|error| panic!("{error}"))
    }

    fn tolerance(&self, key: &str) -> Tolerance {
        let [relative, absolute] = [0, 1].map(|i| self.case[key][i].as_f64().expect("a tolerance"));
        Tolerance { relative, absolute, nan: Nan::Agrees }
    }

    /// What is wrong with numbers, if anything.
    fn near(&self, role: &str, got: &Tensor<f64>) -> Option<String> {
        compare::floats(role, got, &self.floats(role), self.tolerance("tol"))
    }

    fn equal(&self, role: &str, got: &Tensor<i64>) -> Option<String> {
        compare::exact(role, got, &self.integers(role))
    }

    fn outcome(&self) -> Outcome {
        let faults = match text(self.case, "method") {
            "fake_quantize" => self.fake_quantize(),
            "observer" => match self.observed() {
                Some(observer) => self.observer(&observer),
                None => return Outcome::Unsupported,
            },
            "lsq" => self.lsq(),
            "static_linear" => self.linear(true),
            "dynamic_linear" => self.linear(false),
            "static_conv2d" => self.conv2d(),
            _ => return Outcome::Unsupported,
        };
        let faults: Vec<String> = faults.into_iter().flatten().collect();
        if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
    }

    fn fake_quantize(&self) -> Vec<Option<String>> {
        let scheme = self.levels();
        let (x, cotangent) = (self.floats("input"), self.floats("cotangent"));
        // The scale itself, not rounded to f32.
        let shape: Vec<usize> =
            (0..x.rank()).map(|axis| if Some(axis) == scheme.axis() { x.shape()[axis] } else { 1 }).collect();
        let (scale, zero_point) = (self.floats("scale").reshape(&shape[..]), self.integers("zero_point"));
        let zero_point = zero_point.reshape(&shape[..]);
        let levels = i64::from(scheme.low())..=i64::from(scheme.high());
        let leaf = Var::leaf(x.clone());
        let y = leaf.fake_quantize(scale.clone(), zero_point.cast::<f64>(), levels.clone());
        let value = y.value().clone();
        let gradient = y.backward_with(&cotangent);
        let single = Var::leaf(x.cast::<f32>());
        let y_single = single.fake_quantize(scale.cast::<f32>(), zero_point.cast::<f32>(), levels);
        let value_single: Tensor<f64> = y_single.value().cast();
        let gradient_single = y_single.backward_with(&cotangent.cast());
        let params = self.params("scale", Some("zero_point"), &scheme);
        let single_tolerance = self.tolerance("tol_f32");
        vec![
            self.near("output", &value),
            self.near("grad", gradient.get(&leaf).expect("a gradient")),
            self.equal("quantized", &params.quantize(&x).unwrap_or_else(|error| panic!("{error}"))),
            compare::floats("output in f32", &value_single, &self.floats("output"), single_tolerance),
            compare::floats(
                "grad in f32",
                &gradient_single.get(&single).expect("a gradient").cast(),
                &self.floats("grad"),
                single_tolerance,
            ),
        ]
    }

    fn batches(&self) -> Vec<Tensor<f64>> {
        let roles = (0..).map(|i| format!("batch{i}")).take_while(|role| self.has(role));
        roles.map(|role| self.floats(&role)).collect()
    }

    /// The observer after all batches, unless there is none of its name.
    fn observed(&self) -> Option<Observer> {
        let scheme = if self.option("symmetric") == true { self.levels().symmetric() } else { self.levels() };
        let mut observer = match text(self.case, "observer") {
            "min_max" | "per_channel_min_max" => Observer::min_max(&scheme),
            "moving_average_min_max" | "moving_average_per_channel_min_max" => {
                Observer::moving_average(self.option("averaging_constant").as_f64()?, &scheme)
            }
            "histogram" => Observer::histogram(self.integer("bins") as usize, &scheme),
            _ => return None,
        };
        for batch in self.batches() {
            observer.observe(&batch).unwrap_or_else(|error| panic!("{error}"));
        }
        Some(observer)
    }

    fn observer(&self, observer: &Observer) -> Vec<Option<String>> {
        let params = observer.params().unwrap_or_else(|error| panic!("{error}"));
        let (low, high) = observer.range().unwrap_or_else(|error| panic!("{error}"));
        let shape = self.floats("scale").shape().to_vec();
        let tensor = |numbers: Vec<f64>| Tensor::from(numbers).reshape(&shape[..]);
        let zero_points: Tensor<i64> = params.zero_points().iter().map(|&zero| i64::from(zero)).collect();
        let counts = observer.counts().map(|counts| self.near("histogram", &Tensor::from(counts.to_vec())));
        vec![
            self.near("min", &tensor(low.to_vec())),
            self.near("max", &tensor(high.to_vec())),
            self.near("scale", &tensor(params.scales().iter().map(|&scale| scale.into()).collect())),
            self.equal("zero_point", &zero_points.reshape(&shape[..])),
            counts.flatten(),
        ]
    }

    /// Whether counts and range are the stored ones, and the mean squared error is at most the stored one.
    fn error_is_small(&self) -> Outcome {
        let observer = self.observed().expect("a histogram");
        let params = observer.params().unwrap_or_else(|error| panic!("{error}"));
        let (mut sum, mut count) = (0.0, 0);
        for batch in self.batches() {
            let levels = params.quantize(&batch).unwrap_or_else(|error| panic!("{error}"));
            sum += (params.dequantize::<f64>(&levels) - &batch).square().sum(..).item();
            count += batch.len();
        }
        let most = self.case["squared_error"].as_f64().expect("an error");
        let mut faults: Vec<String> = self.observer(&observer).into_iter().flatten().collect();
        faults.retain(|fault| !fault.starts_with("scale") && !fault.starts_with("zero_point"));
        if sum / count as f64 > most {
            faults.push(format!("the squared error is {}, more than {most}", sum / count as f64));
        }
        if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
    }

    fn lsq(&self) -> Vec<Option<String>> {
        let (x, step) = (self.floats("input"), self.floats("step"));
        let (low, high) = (-self.integer("Qn"), self.integer("Qp"));
        let mut layer = LearnedStep::of(&x, low..=high).expect("finite numbers");
        let initial = layer.step.value().clone();
        layer.step.set(step.clone());
        let (leaf, step_leaf) = (Var::leaf(x), Var::leaf(step.clone()));
        let y = layer.forward(&leaf);
        let value = y.value().clone();
        let gradients = y.backward_with(&self.floats("cotangent"));
        let unscaled = leaf.lsq(&step_leaf, low..=high).backward_with(&self.floats("cotangent"));
        let levels = (&value / &step).round().cast::<i64>();
        vec![
            self.near("initial_step", &initial),
            self.near("output", &value),
            self.equal("integers", &levels),
            self.near("grad_input", gradients.get(&leaf).expect("a gradient")),
            self.near("grad_step", gradients.get(&layer.step).expect("a gradient")),
            self.near("grad_step_unscaled", unscaled.get(&step_leaf).expect("a gradient")),
        ]
    }

    /// Levels of the input from a description such as `int8 symmetric per row`.
    fn input_scheme(&self) -> Scheme {
        match text(&self.case["options"], "input") {
            "uint8 affine" => Scheme::uint8(),
            "int8 affine" => Scheme::int8(),
            "int8 symmetric per row" => Scheme::int8().levels(-127..=127).symmetric().per_channel(0),
            other => panic!("input {other}"),
        }
    }

    fn weight_params(&self) -> Params {
        let scheme = Scheme::weights();
        let per_channel = self.floats("weight_scale").rank() == 1;
        let scheme = if per_channel { scheme } else { Scheme::int8().levels(-127..=127).symmetric() };
        self.params("weight_scale", None, &scheme)
    }

    fn bias(&self) -> Option<Parameter<f64>> {
        self.has("bias").then(|| Parameter::new(self.floats("bias")))
    }

    fn output_params(&self) -> Params {
        self.params("output_scale", Some("output_zero_point"), &Scheme::uint8())
    }

    fn linear(&self, is_static: bool) -> Vec<Option<String>> {
        let x = self.floats("input");
        let float = Linear { weight: Parameter::new(self.floats("weight")), bias: self.bias() };
        let mut layer = QLinear::with_params(&float, self.weight_params()).expect("finite weights");
        let scheme = self.input_scheme();
        let mut faults = vec![self.equal("weight_q", &layer.weight_levels())];
        if is_static {
            let input = self.params("input_scale", Some("input_zero_point"), &scheme);
            layer = layer.input(input).output(self.output_params());
            faults.push(self.equal("output_q", &layer.output_levels(&x).expect("output parameters")));
            if self.has("bias") {
                faults.push(self.equal("bias_q", &layer.bias_levels().expect("a bias")));
            }
        } else {
            layer = layer.dynamic(&scheme);
        }
        faults.push(self.equal("input_q", &layer.input_levels(&x)));
        faults.push(self.equal("accumulator", &layer.sums(&x)));
        faults.push(self.near("output", layer.forward(&x).value()));
        if self.case["tol_f32"].is_array() {
            let float = Linear { weight: cast(&float.weight), bias: float.bias.as_ref().map(cast) };
            let layer = QLinear::with_params(&float, self.weight_params()).expect("finite weights");
            let y = layer.dynamic(&scheme).forward(x.cast::<f32>());
            let want = self.floats("output");
            faults.push(compare::floats(
                "output in f32",
                &y.value().cast(),
                &want,
                self.tolerance("tol_f32"),
            ));
        }
        faults
    }

    fn conv2d(&self) -> Vec<Option<String>> {
        let x = self.floats("input");
        let pair = |name: &str| {
            let numbers = integers(self.option(name));
            [numbers[0], numbers[1]]
        };
        let conv = Conv::new().stride(pair("stride")).padding(pair("padding")).dilation(pair("dilation"));
        let conv = conv.groups(self.integer("groups") as usize);
        let float = Conv2d { weight: Parameter::new(self.floats("weight")), bias: self.bias(), conv };
        let layer = QConv2d::with_params(&float, self.weight_params()).expect("finite weights");
        let input = self.params("input_scale", Some("input_zero_point"), &self.input_scheme());
        let layer = layer.input(input).output(self.output_params());
        vec![
            self.equal("weight_q", &layer.weight_levels()),
            self.equal("input_q", &layer.input_levels(&x)),
            self.equal("accumulator", &layer.sums(&x)),
            self.equal("output_q", &layer.output_levels(&x).expect("output parameters")),
            self.has("bias").then(|| self.equal("bias_q", &layer.bias_levels().expect("a bias"))).flatten(),
            self.near("output", layer.forward(&x).value()),
        ]
    }
}

fn cast(parameter: &Parameter<f64>) -> Parameter<f32> {
    Parameter::new(parameter.value().cast())
}
