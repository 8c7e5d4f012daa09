//! Tied weights: one parameter in training, one tensor in files, several names.

use std::fs;

use gradus::prelude::*;
use gradus::{AveragedModel, Difference, Embedding, Member, MemberMut, Path, State, StateError, Tied};
use proptest::prelude::*;

use crate::messages::panics;

/// A language model whose embedding and output layer share a matrix.
#[derive(Module, Clone)]
struct Language {
    encoder: Embedding<f64>,
    body: Linear<f64>,
    decoder: Head,
}

#[derive(Module, Clone)]
struct Head {
    weight: Tied,
    bias: Parameter<f64>,
}

const WORDS: usize = 6;

impl Language {
    fn new(seed: u64) -> Self {
        let rng = &mut seeded(seed);
        Self {
            encoder: Embedding::new(WORDS, 3, rng),
            body: Linear::new(3, 3, rng),
            decoder: Head {
                weight: Tied::to("encoder.weight"),
                bias: Parameter::new(Tensor::zeros([WORDS])),
            },
        }
    }

    fn loss(&self) -> Var<f64> {
        self.loss_with(&self.encoder.weight)
    }

    fn loss_with(&self, out: &Var<f64>) -> Var<f64> {
        let hidden = self.body.forward(self.encoder.forward(Tensor::from([0, 1, 2]))).tanh();
        hidden.linear(out, Some(&self.decoder.bias)).cross_entropy(Tensor::from([1, 2, 3]))
    }
}

/// The same in one field: the output layer has no parameters of its own.
#[derive(Module, Clone)]
struct Flat {
    wte: Embedding<f64>,
    lm_head: Tied,
}

fn flat(seed: u64) -> Flat {
    let wte = Embedding::new(WORDS, 3, &mut seeded(seed));
    Flat { wte, lm_head: Tied::to("wte.weight").field("weight") }
}

fn names<M: Module<f64>>(model: &M) -> Vec<String> {
    model.named_parameters().into_iter().map(|(name, _)| name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The gradient is the sum of the gradients of both uses, and a step moves both.
    #[test]
    fn both_uses_are_trained(seed: u64, steps in 1..4) {
        let (mut model, mut adam) = (Language::new(seed), AdamW::new(0.05));
        for _ in 0..steps {
            let apart = Var::leaf(model.encoder.weight.value());
            let of_apart = model.loss_with(&apart).backward();
            let sum = of_apart.get(&model.encoder.weight).unwrap() + of_apart.get(&apart).unwrap();
            let loss = model.loss();
            let gradients = loss.clone().backward();
            prop_assert!(gradients.get(&model.encoder.weight).unwrap().allclose(&sum, 1e-12, 1e-15));
            prop_assert_eq!(gradients.len(), 4);
            adam.step(&mut model, &gradients);
            prop_assert!(model.loss().item() < loss.item());
        }
        prop_assert_eq!(names(&model), ["encoder.weight", "body.weight", "body.bias", "decoder.bias"]);
        prop_assert_eq!(model.parameter_count(), WORDS * 3 + 12 + WORDS);
        // Once in the optimizer's state.
        let state = adam.state();
        prop_assert_eq!(state.names().filter(|name| name.contains(".steps")).count(), 4);
    }

    /// Files of either order of the names are loaded, and so are both names with equal numbers.
    #[test]
    fn every_name_is_loaded(seed: u64, first: bool, both: bool, other_seed: u64) {
        let trained = Language::new(seed);
        let mut state = trained.state();
        prop_assert!(state.get("encoder.weight").is_some() && state.get("decoder.weight").is_none());
        let weight = state.get("encoder.weight").unwrap().clone();
        if both || first {
            state.insert("decoder.weight", weight);
        }
        if first && !both {
            state.remove("encoder.weight");
        }
        let state = State::from_bytes(&state.to_bytes().unwrap()).unwrap();
        let mut model = Language::new(other_seed);
        let identity = model.encoder.weight.identity();
        model.load_state(&state).unwrap();
        prop_assert_eq!(model.state(), trained.state());
        prop_assert_eq!(model.encoder.weight.identity(), identity);
        // A part: by the parameter's own name.
        let mut part = Language::new(other_seed);
        let report = part.load_partial(&state, |name| name.starts_with("encoder.")).unwrap();
        prop_assert_eq!((report.loaded, report.missing), (vec!["encoder.weight".to_string()], vec![]));
        prop_assert_eq!(part.encoder.weight.value(), trained.encoder.weight.value());
        prop_assert_eq!(report.unused, ["body.bias", "body.weight", "decoder.bias"]);
        let mut part = Language::new(other_seed);
        let report = part.load_partial(&state, |name| name.starts_with("decoder.")).unwrap();
        prop_assert_eq!(report.loaded, ["decoder.bias"]);
        prop_assert_eq!(report.unused.contains(&"decoder.weight".into()), first || both);
        prop_assert_ne!(part.encoder.weight.value(), trained.encoder.weight.value());
    }

    /// A tie that is broken in one bit is found, also for zeros of two signs; NaN is equal to itself.
    #[test]
    fn broken_ties_are_found(seed: u64, place in 0..WORDS * 3, bit in 0..64) {
        let mut state = Language::new(seed).state();
        let weight = state.tensor::<f64>("encoder.weight").unwrap();
        let mut numbers = weight.to_vec();
        numbers[place] = f64::from_bits(numbers[place].to_bits() ^ (1_u64 << bit));
        state.insert("decoder.weight", Tensor::from(numbers.clone()).reshape([WORDS, 3]));
        let mut model = Language::new(!seed);
        let before = model.state();
        let error = model.load_state(&state).unwrap_err();
        prop_assert_eq!(error.to_string(), "load_state: the state does not fit the model\n  \
            decoder.weight: not equal to encoder.weight in the state; in the model they are one parameter");
        let StateError::Mismatch(differences) = error else { panic!("a mismatch") };
        let untied = Difference::Untied { name: "decoder.weight".into(), other: "encoder.weight".into() };
        prop_assert_eq!(differences, [untied]);
        prop_assert_eq!(model.state(), before);
        prop_assert!(model.load_partial(&state, |name| name.starts_with("encoder.")).is_err());
        prop_assert!(model.load_partial(&state, |name| name.starts_with("body.")).is_ok());
        numbers[place] = f64::NAN;
        for name in ["encoder.weight", "decoder.weight"] {
            state.insert(name, Tensor::from(numbers.clone()).reshape([WORDS, 3]));
        }
        model.load_state(&state).unwrap();
    }

    /// Copies and averages have one weight, too.
    #[test]
    fn copies_and_averages(seed: u64) {
        let (mut model, source) = (Language::new(seed), Language::new(!seed));
        let (mut average, mut sgd) = (AveragedModel::mean(&model), Sgd::new(0.1));
        average.update(&model);
        model.copy_from(&source);
        prop_assert_eq!(model.state(), source.state());
        let gradients = model.loss().backward();
        sgd.step(&mut model, &gradients);
        average.update(&model);
        let mean = (Language::new(seed).encoder.weight.value() + model.encoder.weight.value()) / 2.0;
        prop_assert!(average.module.encoder.weight.value().allclose(&mean, 1e-14, 1e-15));
        prop_assert!(average.module.loss().backward().get(&average.module.encoder.weight).is_some());
        // The names of an averaged model begin with `module.`, and the tie holds there.
        let mut state = average.state();
        let weight = state.remove("module.encoder.weight").unwrap();
        state.insert("module.decoder.weight", weight);
        let mut other = AveragedModel::mean(&source);
        other.load_state(&state).unwrap();
        prop_assert_eq!(other.state(), average.state());
        // A clone's gradients are refused, although it has the same ties.
        let clone = model.clone();
        let gradients = clone.loss().backward();
        panics(|| sgd.step(&mut model, &gradients), "step: none of the 4 parameters of the model has one of the 4 gradients: \
            they are of another model (a clone has parameters of its own)");
        model.freeze(|name| name == "encoder.weight");
        prop_assert_eq!(model.loss().backward().len(), 3);
        prop_assert!(!model.clone().encoder.weight.is_trainable());
    }
}

/// Files are as `save_model` of `safetensors.torch` writes them: the alphabetically first name is kept, the others are in the
/// metadata.
#[test]
fn files_are_those_of_pytorch() {
    let path = std::env::temp_dir().join(format!("gradus-tied-{}.safetensors", std::process::id()));
    let model = Language::new(0);
    model.save(&path).unwrap();
    let state = State::read(&path).unwrap();
    let kept = ["body.bias", "body.weight", "decoder.bias", "decoder.weight"];
    assert_eq!(state.names().collect::<Vec<_>>(), kept);
    let metadata =
        |state: &State| -> Vec<(String, String)> { state.metadata().clone().into_iter().collect() };
    assert_eq!(metadata(&state), [("encoder.weight".into(), "decoder.weight".into())]);
    assert_eq!(state.tensor("decoder.weight"), Some(model.encoder.weight.value()));
    let mut other = Language::new(1);
    other.load(&path).unwrap();
    assert_eq!(other.state(), model.state());

    flat(0).save(&path).unwrap();
    let state = State::read(&path).unwrap();
    assert_eq!(state.names().collect::<Vec<_>>(), ["lm_head.weight"]);
    assert_eq!(metadata(&state), [("wte.weight".into(), "lm_head.weight".into())]);
    let mut other = flat(1);
    other.load(&path).unwrap();
    assert_eq!(other.state(), flat(0).state());
    fs::remove_file(&path).unwrap();
}

/// A part of a larger model: names are looked up in the struct of the tie, then in those around it.
#[test]
fn ties_hold_in_parts_of_models() {
    let mut models = vec![Language::new(0), Language::new(1)];
    let mut state = models.state();
    assert_eq!(state.len(), 8);
    for i in 0..2 {
        let weight = state.remove(&format!("{i}.encoder.weight")).unwrap();
        state.insert(format!("{i}.decoder.weight"), weight);
    }
    let expected = models.state();
    models.reverse();
    models.load_state(&state).unwrap();
    assert_eq!(models.state(), expected);
}

/// Several second names of one parameter, a name in an `Option`, and what is wrong with a state of other shapes.
#[test]
fn several_names() {
    #[derive(Module)]
    struct Several {
        b: Parameter<f64>,
        a: Option<Tied>,
        c: [Tied; 2],
    }
    let new = |x: f64| {
        let tied = || Tied::to("b");
        Several { b: Parameter::new([x, 2.0]), a: Some(tied()), c: [tied(), tied()] }
    };
    let mut model = new(1.0);
    assert_eq!((names(&model), model.parameter_count()), (vec!["b".into()], 2));
    let path = std::env::temp_dir().join(format!("gradus-several-{}.safetensors", std::process::id()));
    model.save(&path).unwrap();
    let state = State::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(state.names().collect::<Vec<_>>(), ["a"]);
    let dropped: Vec<_> = state.metadata().iter().map(|(name, kept)| (&**name, &**kept)).collect();
    assert_eq!(dropped, [("b", "a"), ("c.0", "a"), ("c.1", "a")]);
    for name in ["a", "b", "c.0", "c.1"] {
        let mut state = State::new();
        state.insert(name, Tensor::from([5.0, 6.0]));
        model.load_state(&state).unwrap();
        assert_eq!(model.b.value().to_vec(), [5.0, 6.0]);
    }
    let mut state = State::new();
    state.insert("c.0", Tensor::<f64>::zeros([3]));
    state.insert("c.1", Tensor::<f32>::zeros([3]));
    assert_eq!(
        model.load_state(&state).unwrap_err().to_string(),
        "load_state: the state does not fit the model\n  \
         c.1: not equal to c.0 in the state; in the model they are one parameter\n  \
         b: shape [3] in the state, [2] in the model"
    );
    assert_eq!(
        model.load_state(&State::new()).unwrap_err().to_string(),
        "load_state: the state does not fit the model\n  b: missing in the state"
    );
}

#[test]
fn ties_to_nothing_are_refused() {
    let mut model = flat(0);
    let state = model.state();
    let message = "Tied: `lm_head.weight` is tied to `wte.wieght`, which is no parameter of the model; its parameters are \
                   {\"wte.weight\"}";
    model.lm_head = Tied::to("wte.wieght").field("weight");
    panics(|| model.state(), message);
    panics(|| model.load_state(&state), message);
    panics(|| model.load_partial(&state, |_| true), message);
    panics(|| model.save("unused"), message);
    panics(|| model.copy_from(&flat(1)), message);
    panics(|| flat(1).copy_from(&model), message);
    let mut average = AveragedModel::mean(&model);
    panics(|| average.update(&model), message);
    // A tie of a part alone: its parameter is elsewhere.
    panics(
        || Language::new(0).decoder.state(),
        "Tied: `weight` is tied to `encoder.weight`, which is no parameter of the model; its parameters are {\"bias\"}",
    );
    let same = Same(Parameter::new(1.0), Tied::to("weight"));
    panics(
        || same.state(),
        "state: the model has two members of the name weight; names must differ to be loaded again",
    );
}

/// A parameter whose second name is equal to its own.
struct Same(Parameter<f64>, Tied);

impl Module<f64> for Same {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, f64>)) {
        self.0.visit(path.field("weight"), visitor);
        self.1.visit(path.field("weight"), visitor);
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, f64>)) {
        self.0.visit_mut(path.field("weight"), visitor);
    }
}
