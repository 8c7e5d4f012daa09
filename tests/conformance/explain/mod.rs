//! Explanations of small models, held against Captum and closed forms.

mod model;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gradus::explain::{
    Attribution, DeepLift, FeatureAblation, Features, GradCam, GroupAttribution, IntegratedGradients,
    Interpolation, KernelShap, Lime, Occlusion, Penalty, Quadrature, ShapleyValues, SmoothGrad, Smoothing,
    Target, gradient, guided_backprop, input_x_gradient, resize, saliency,
};
use gradus::{Tensor, Var};
use serde_json::Value;

use crate::cases::text;
use crate::caught;
use crate::compare::{self, Nan, Tolerance};
use crate::data::{Archive, Result, cases, integers, sizes};
use crate::report::{Outcome, Report};
use model::Model;

/// Whether a folder has the cases itself: no other index has a list of models.
pub(crate) fn is_at(folder: &Path) -> bool {
    let index = fs::read(folder.join("index.json")).ok();
    let json = index.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    json.is_some_and(|json| json["models"].is_array())
}

/// Runs every case of a folder, one line a method.
pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let index = folder.join("index.json");
    let mut by_method: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for case in cases(&index)? {
        by_method.entry(text(&case, "method").into()).or_default().push(case);
    }
    let index: Value = serde_json::from_slice(&fs::read(&index).map_err(|error| error.to_string())?)
        .map_err(|error| error.to_string())?;
    let models = index["models"].as_array().ok_or("an index without models")?;
    for (method, cases) in &by_method {
        report.begin(&format!("explain {method}"));
        for case in cases {
            let [model, file, name] = ["model", "file", "case"].map(|key| text(case, key));
            let described = models.iter().find(|described| described["name"] == model);
            let outcome =
                caught(|| match described.ok_or("no such model").map(|model| Model::read(folder, model)) {
                    Ok(Ok(Some(model))) => match Archive::open(&folder.join(file)) {
                        Ok(archive) => Case { json: case, archive, model }.run(),
                        Err(error) => Outcome::Failed(vec![error]),
                    },
                    Ok(Ok(None)) => Outcome::Unsupported,
                    Ok(Err(error)) => Outcome::Failed(vec![error]),
                    Err(error) => Outcome::Failed(vec![error.into()]),
                });
            let name = format!("{model}/{name}");
            if case["convention"] == true {
                report.add_convention(&name, outcome, None);
            } else {
                report.add(&name, outcome);
            }
        }
    }
    Ok(())
}

struct Case<'a> {
    json: &'a Value,
    archive: Archive,
    model: Model,
}

/// Numbers by their roles.
type Found = Vec<(&'static str, Tensor<f64>)>;

impl Case<'_> {
    fn run(&self) -> Outcome {
        let Some(found) = self.found() else { return Outcome::Unsupported };
        let mut faults = Vec::new();
        let mut expected =
            ["output", "attribution", "delta", "coefficients", "intercept", "alphas", "step_sizes"]
                .into_iter()
                .filter(|role| self.key(role).is_some())
                .collect::<Vec<_>>();
        for (role, got) in found {
            if let Some(want) = self.numbers(role) {
                expected.retain(|expected| *expected != role);
                faults.extend(compare::floats(role, &got, &want, self.tolerance()));
            }
        }
        faults.extend(expected.into_iter().map(|role| format!("{role} is not compared")));
        if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults) }
    }

    fn key(&self, role: &str) -> Option<&str> {
        self.json["tensors"][role]["key"].as_str()
    }

    fn numbers(&self, role: &str) -> Option<Tensor<f64>> {
        self.key(role).map(|key| self.archive.f64(key))
    }

    fn integers(&self, role: &str) -> Tensor<i64> {
        self.archive.i64(self.key(role).unwrap_or_else(|| panic!("a case without {role}")))
    }

    fn tolerance(&self) -> Tolerance {
        let [relative, absolute] =
            [0, 1].map(|i| self.json["tol"][i].as_f64().expect("tol is a pair of numbers"));
        Tolerance { relative, absolute, nan: Nan::Agrees }
    }

    fn target(&self) -> Target {
        sizes(&self.json["target"]).into()
    }

    fn option(&self, name: &str) -> &Value {
        &self.json["options"][name]
    }

    fn number(&self, name: &str) -> f64 {
        self.option(name).as_f64().unwrap_or_else(|| panic!("the option {name} is not a number"))
    }

    /// Whether an option has a value, or is not there.
    fn is(&self, name: &str, value: &str) -> bool {
        self.option(name).is_null() || self.option(name) == value
    }

    fn features(&self) -> Features {
        Features::from_mask(&self.integers("feature_mask")).expect("a right mask")
    }

    /// The results of the method; `None` if it, or an option, is not known.
    fn found(&self) -> Option<Found> {
        let x = &self.numbers("input").expect("a case has an input");
        let model = |x: &Var<f64>| self.model.forward(x);
        let target = || self.target();
        let values = |values| Some(vec![("attribution", values)]);
        let groups = |GroupAttribution { values, coefficients }| {
            Some(vec![("attribution", values), ("coefficients", coefficients)])
        };
        match text(self.json, "method") {
            "forward" => Some(vec![("output", model(&Var::constant(x)).into_value())]),
            "saliency" if self.option("abs") == true => values(saliency(model, x, target()).unwrap()),
            "saliency" => values(gradient(model, x, target()).unwrap()),
            "input_x_gradient" => values(input_x_gradient(model, x, target()).unwrap()),
            "guided_backprop" => values(guided_backprop(model, x, target()).unwrap()),
            "integrated_gradients" => {
                let nodes = self.quadrature()?.nodes(self.number("n_steps") as usize);
                let Attribution { values, delta } = self.integrated()?.explain(model, x, target()).unwrap();
                let (alphas, steps): (Vec<f64>, Vec<f64>) = nodes.into_iter().unzip();
                let rule = [("alphas", alphas.into()), ("step_sizes", steps.into())];
                Some([("attribution", values), ("delta", delta)].into_iter().chain(rule).collect())
            }
            "deep_lift" if self.is("rule", "rescale") => {
                let mut method = DeepLift::new().eps(self.number("eps"));
                if let Some(baseline) = self.numbers("baseline") {
                    method = method.baseline(baseline);
                }
                values(method.explain(model, x, target()).unwrap().values)
            }
            "layer_grad_cam" => values(self.grad_cam(x)?),
            "occlusion" => {
                let [window, stride] = ["window", "stride"].map(|name| sizes(self.option(name)));
                let mut method = Occlusion::new(window).stride(stride);
                if let Some(baseline) = self.numbers("baseline") {
                    method = method.baseline(baseline);
                }
                values(method.explain(model, x, target()).unwrap())
            }
            "feature_ablation" => {
                let mut method = FeatureAblation::new().features(self.features());
                if let Some(baseline) = self.numbers("baseline") {
                    method = method.baseline(baseline);
                }
                groups(method.explain(model, x, target()).unwrap())
            }
            "shapley_values" if self.is("permutations", "all") => {
                let mut method = ShapleyValues::new().features(self.features());
                if let Some(baseline) = self.numbers("baseline") {
                    method = method.baseline(baseline);
                }
                groups(method.explain(model, x, target()).unwrap())
            }
            "kernel_shap" => {
                let mut method = KernelShap::new().features(self.features());
                method = match self.option("coalitions").as_str()? {
                    "all" => method.samples(1 << self.features().len(), 0),
                    "given" => method.coalitions(self.integers("coalitions")),
                    _ => return None,
                };
                if let Some(baseline) = self.numbers("baseline") {
                    method = method.baseline(baseline);
                }
                groups(method.explain(model, x, target()).unwrap())
            }
            "lime" if self.is("distance", "euclidean") => {
                let surrogate = self.lime()?.explain(model, x, target()).unwrap();
                let [values, coefficients] = [surrogate.values, surrogate.coefficients];
                let numbers = [("attribution", values), ("coefficients", coefficients)];
                Some(numbers.into_iter().chain([("intercept", surrogate.intercept)]).collect())
            }
            "noise_tunnel" => values(self.smooth(x)?),
            _ => None,
        }
    }

    fn quadrature(&self) -> Option<Quadrature> {
        Some(match self.option("method").as_str()? {
            "gausslegendre" => Quadrature::GaussLegendre,
            "riemann_left" => Quadrature::Left,
            "riemann_right" => Quadrature::Right,
            "riemann_middle" => Quadrature::Middle,
            "trapezoid" => Quadrature::Trapezoid,
            "riemann_trapezoid" => Quadrature::CaptumTrapezoid,
            _ => return None,
        })
    }

    fn integrated(&self) -> Option<IntegratedGradients<f64>> {
        let method =
            IntegratedGradients::new().steps(self.number("n_steps") as usize).rule(self.quadrature()?);
        Some(match self.numbers("baseline") {
            Some(baseline) => method.baseline(baseline),
            None => method,
        })
    }

    fn grad_cam(&self, x: &Tensor<f64>) -> Option<Tensor<f64>> {
        let layer = self.option("layer").as_str()?;
        let method = if self.option("relu") == true { GradCam::new() } else { GradCam::new().signed() };
        let map = method.explain(|x| self.model.with_layer(x, layer), x, self.target()).unwrap();
        let interpolation = match self.option("upsample") {
            Value::Null => return Some(map),
            upsample if upsample == "nearest" => Interpolation::Nearest,
            upsample if upsample == "bilinear" => Interpolation::Bilinear,
            _ => return None,
        };
        let size = sizes(self.option("size")).try_into().expect("a height and a width");
        Some(resize(&map, size, interpolation).unwrap())
    }

    fn lime(&self) -> Option<Lime<f64>> {
        let alpha = self.number("alpha");
        let penalty = match self.option("regression").as_str()? {
            "ridge" => Penalty::Ridge { alpha },
            "lasso" => Penalty::Lasso { alpha },
            _ => return None,
        };
        let method = Lime::new(1, 0)
            .coalitions(self.integers("samples"))
            .euclidean(self.number("kernel_width"))
            .penalty(penalty)
            .features(self.features());
        Some(match self.numbers("baseline") {
            Some(baseline) => method.baseline(baseline),
            None => method,
        })
    }

    fn smooth(&self, x: &Tensor<f64>) -> Option<Tensor<f64>> {
        let smoothing = match self.option("type").as_str()? {
            "smoothgrad" => Smoothing::Mean,
            "smoothgrad_sq" => Smoothing::Square,
            "vargrad" => Smoothing::Variance,
            _ => return None,
        };
        let noise = self.numbers("noise").expect("the noise is given");
        let method = SmoothGrad::with_noise(noise).smoothing(smoothing);
        let model = |x: &Var<f64>| self.model.forward(x);
        let found = match self.option("of").as_str()? {
            "saliency_signed" => method.explain(model, x, self.target()),
            "saliency" => method.explain_by(x, |x| saliency(model, x, self.target())),
            "input_x_gradient" => method.explain_by(x, |x| input_x_gradient(model, x, self.target())),
            "integrated_gradients" => {
                let integrated = self.integrated()?;
                method.explain_by(x, |x| Ok(integrated.explain(model, x, self.target())?.values))
            }
            _ => return None,
        };
        Some(found.unwrap())
    }
}

/// A list of sizes, or one for all axes.
fn pair(value: &Value) -> Vec<isize> {
    value.as_i64().map_or_else(|| integers(value), |size| vec![size as isize; 2])
}
