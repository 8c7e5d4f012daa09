//! Every layer, in one list: its values at random options, against a slow composition of basic operations; its
//! gradients; the names of its members; its messages; and the initial distribution of its parameters.
//!
//! A layer of the sources that is missing from the list fails the suite.

mod activations;
mod attention;
mod images;
mod norms;
mod padded;
mod recurrent;
mod simple;

use std::collections::BTreeSet;
use std::rc::Rc;

use gradus::prelude::*;
use gradus::testing::{GradientError, check_module};
use gradus::{Member, Path, Phase, Xoshiro256PlusPlus, name_layers, profile};

use super::init::has_moments;

/// The tests of a layer.
struct Entry {
    name: &'static str,
    /// The names of parameters, buffers and modes.
    members: &'static [&'static str],
    /// A layer with random options, and inputs for it.
    sample: fn(&mut Source) -> Sample,
    /// New layers of random sizes, and the distribution of each parameter and buffer.
    initial: fn(&mut Source) -> Initial,
    /// Asserts the message of a panic; absent if the layer takes any input.
    refuses: Option<fn()>,
}

/// The list of all layers, file by file.
fn layers() -> Vec<Entry> {
    [
        activations::layers(),
        attention::layers(),
        images::layers(),
        norms::layers(),
        recurrent::layers(),
        simple::layers(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Random options.
struct Source(Xoshiro256PlusPlus);

impl Source {
    fn new(seed: u64) -> Self {
        Self(seeded(seed))
    }

    /// From `low` to `high`, both included.
    fn size(&mut self, low: usize, high: usize) -> usize {
        low + (self.number() * (high - low + 1) as f64) as usize
    }

    fn flag(&mut self) -> bool {
        self.number() < 0.5
    }

    /// From 0 to 1.
    fn number(&mut self) -> f64 {
        Tensor::<f64>::rand([1], &mut self.0).item()
    }

    fn randn(&mut self, shape: &[usize]) -> Tensor<f64> {
        Tensor::randn(shape, &mut self.0)
    }
}

/// Layers by path and type.
type Paths = BTreeSet<(String, String)>;

/// A layer with its options and inputs.
struct Sample {
    members: Vec<String>,
    /// The output of the layer and its buffers after the pass, and what they should be.
    values: Box<dyn Fn() -> [Vec<Tensor<f64>>; 2]>,
    check: Box<dyn Fn() -> Result<(), GradientError>>,
    /// The layers that a visit shows and those that run, by path and type, of a list with the layer alone.
    ran: Box<dyn Fn() -> [Paths; 2]>,
}

impl Sample {
    /// Parameters and buffers get random numbers, so that none of them can be left out unseen. `slow` has a clone of
    /// the model, whose buffers it changes as the layer should.
    fn new<M: Module<f64> + Clone + 'static, const N: usize>(
        source: &mut Source,
        mut model: M,
        inputs: [Tensor<f64>; N],
        fast: impl Fn(&M, [&Var<f64>; N]) -> Var<f64> + 'static,
        slow: impl Fn(&M, [&Var<f64>; N]) -> Var<f64> + 'static,
    ) -> Self {
        for parameter in model.parameters_mut() {
            parameter.set(source.randn(parameter.shape()));
        }
        for (_, buffer) in model.named_buffers() {
            buffer.set(Tensor::rand(buffer.value().shape(), &mut source.0) + 0.5);
        }
        let mut members = Vec::new();
        model.visit(Path::ROOT, &mut |path, member| {
            if !matches!(member, Member::Layer(_)) {
                members.push(path.to_string());
            }
        });
        let fast = Rc::new(fast);
        let values = {
            let (model, inputs, fast) = (model.clone(), inputs.clone(), Rc::clone(&fast));
            move || {
                let vars = inputs.clone().map(Var::constant);
                let vars = std::array::from_fn(|i| &vars[i]);
                let after = |model: M, y: Var<f64>| {
                    let buffers = model.named_buffers().into_iter().map(|(_, buffer)| buffer.value());
                    [y.into_value()].into_iter().chain(buffers).collect()
                };
                let [of_layer, other] = [model.clone(), model.clone()];
                let [got, expected] = [fast(&of_layer, vars), slow(&other, vars)];
                [after(of_layer, got), after(other, expected)]
            }
        };
        let ran = {
            let (model, inputs, fast) = (vec![model.clone()], inputs.clone(), Rc::clone(&fast));
            move || {
                let vars = inputs.clone().map(Var::constant);
                let ((), profile) = profile(|| {
                    name_layers::<f64>(&model);
                    drop(fast(&model[0], std::array::from_fn(|i| &vars[i])));
                });
                let mut visited = BTreeSet::new();
                model.visit(Path::ROOT, &mut |path, member| {
                    if let Member::Layer(id) = member {
                        let name = id.type_name().split('<').next().unwrap().rsplit("::").next().unwrap();
                        visited.insert((path.to_string(), name.to_string()));
                    }
                });
                let scopes = profile.events().iter().filter(|event| event.phase == Phase::Scope);
                [visited, scopes.map(|event| (event.path.to_string(), event.name.to_string())).collect()]
            }
        };
        let check = move || check_module(&model, |model, vars| fast(model, vars), inputs.clone());
        Self { members, values: Box::new(values), check: Box::new(check), ran: Box::new(ran) }
    }
}

/// The distribution of the elements of a new parameter.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// Uniform between minus a bound and the bound.
    Within(f64),
    All(f64),
    Normal,
}

/// The elements of parameters and buffers, each with its distribution.
type Initial = Vec<(String, Tensor<f64>, Start)>;

fn initial(model: &dyn Module<f64>, expected: impl AsRef<[Start]>) -> Initial {
    let parameters = model.named_parameters().into_iter().map(|(name, p)| (name, p.value().clone()));
    let buffers = model.named_buffers().into_iter().map(|(name, buffer)| (name, buffer.value()));
    let all: Vec<_> = parameters.chain(buffers).collect();
    assert_eq!(all.len(), expected.as_ref().len(), "a distribution for each: {all:?}");
    all.into_iter().zip(expected.as_ref()).map(|((name, numbers), start)| (name, numbers, *start)).collect()
}

/// The distributions of a layer without parameters.
fn nothing(_: &mut Source) -> Initial {
    Vec::new()
}

#[test]
fn every_layer_is_in_the_list() {
    /// Public items that are no layers: traits, and a part of the recurrent ones.
    const NO_LAYERS: [&str; 3] = ["CloneLayer", "Layer", "RecurrentLayer"];
    let source = include_str!("../../../../crates/nn/src/layers/mod.rs");
    let items =
        source.split("\npub use ").skip(1).filter_map(|item| item.split(';').next()?.split_once("::"));
    let names = items.flat_map(|(_, names)| names.split(|c: char| !c.is_alphanumeric()));
    let declared: BTreeSet<&str> =
        names.filter(|name| !name.is_empty() && !NO_LAYERS.contains(name)).collect();
    assert!(declared.contains("Linear") && declared.contains("Gru"), "the scan finds layers: {declared:?}");
    let listed: BTreeSet<&str> = layers().iter().map(|entry| entry.name).collect();
    assert_eq!(declared, listed, "declared and listed");
    assert_eq!(listed.len(), layers().len(), "each once");
}

#[test]
fn values_are_those_of_slow_compositions() {
    for entry in layers() {
        for seed in 0..40 {
            let [got, expected] = ((entry.sample)(&mut Source::new(seed)).values)();
            for (got, expected) in got.into_iter().zip(expected) {
                let what = format!("{} of seed {seed}", entry.name);
                assert_eq!(got.shape(), expected.shape(), "{what}");
                assert!(got.allclose(&expected, 1e-10, 1e-10), "{what}: {got:?} instead of {expected:?}");
            }
        }
    }
}

#[test]
fn gradients_are_right() {
    for entry in layers() {
        for seed in 0..3 {
            let checked = ((entry.sample)(&mut Source::new(seed)).check)();
            assert!(checked.is_ok(), "{} of seed {seed}: {}", entry.name, checked.unwrap_err());
        }
    }
}

#[test]
fn members_have_the_names_of_pytorch() {
    for entry in layers() {
        // An option may leave a member out; each occurs with some seed.
        let seen: BTreeSet<String> =
            (0..20).flat_map(|seed| (entry.sample)(&mut Source::new(seed)).members).collect();
        let expected: BTreeSet<String> = entry.members.iter().map(ToString::to_string).collect();
        assert_eq!(seen, expected, "{}", entry.name);
    }
}

/// Whoever looks finds a layer that runs, and the layers in it, under their paths.
#[test]
fn layers_are_found_by_their_paths() {
    for entry in layers() {
        for seed in 0..5 {
            let [visited, ran] = ((entry.sample)(&mut Source::new(seed)).ran)();
            let what = format!("{} of seed {seed}: visited {visited:?}, ran {ran:?}", entry.name);
            assert!(ran.contains(&("0".to_string(), entry.name.to_string())), "{what}");
            assert!(ran.is_subset(&visited), "{what}");
            // Of one recurrent layer, there is no output between two of them to drop.
            let is_idle = |(path, _): &&(String, String)| path != "0.dropout";
            assert!(visited.difference(&ran).filter(is_idle).count() == 0, "{what}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for refuses in layers().iter().filter_map(|entry| entry.refuses) {
        refuses();
    }
}

#[test]
fn parameters_start_as_documented() {
    for entry in layers() {
        for seed in 0..8 {
            for (name, numbers, start) in (entry.initial)(&mut Source::new(seed)) {
                let right = match start {
                    Start::All(number) => numbers.iter().all(|x| x == number),
                    Start::Normal => has_moments(&numbers, 0.0, 1.0),
                    Start::Within(bound) => {
                        numbers.iter().all(|x| x.abs() <= bound)
                            && has_moments(&numbers, 0.0, bound * bound / 3.0)
                            // The largest of n elements is above (1 - 20 / n) of the bound, except once in e^20.
                            && numbers.abs().max(..).item() > bound * (1.0 - 20.0 / numbers.len() as f64)
                    }
                };
                let what = format!("{}, {name} {:?} of seed {seed}", entry.name, numbers.shape());
                assert!(right, "{what}: not {start:?}: largest {}", numbers.abs().max(..).item());
            }
        }
    }
}
