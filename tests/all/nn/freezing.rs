//! Frozen parameters: no gradient, no step, no work; and everything else as before.

use gradus::live_nodes;
use gradus::prelude::*;
use proptest::prelude::*;

use super::model;
use crate::messages::panics;

const NAMES: [&str; 6] = ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"];

fn gradients(model: &Sequential<f64>, batch: u64) -> Gradients<f64> {
    model.forward(Var::constant(Tensor::randn([5, 3], &mut seeded(batch)))).square().sum(..).backward()
}

/// Some of the names, but not all.
fn frozen() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(NAMES.to_vec(), 1..NAMES.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Frozen parameters stay as they are, without weight decay, and the others have the gradients that they have anyway.
    #[test]
    fn frozen_parameters_stay(seed: u64, names in frozen()) {
        let (mut model, mut free) = (model(seed), model(seed));
        let before = model.state();
        model.freeze(|name| names.contains(&name));
        let count: usize = names.iter().map(|name| before.get(name).unwrap().shape().iter().product::<usize>()).sum();
        prop_assert_eq!(model.parameter_count(), free.parameter_count());
        prop_assert_eq!(model.trainable_parameter_count(), free.parameter_count() - count);

        let (found, expected) = (gradients(&model, 0), gradients(&free, 0));
        for ((name, p), q) in model.named_parameters().into_iter().zip(free.parameters()) {
            let is_frozen = names.contains(&&*name);
            prop_assert_eq!(p.is_trainable(), !is_frozen);
            prop_assert_eq!(found.get(p), expected.get(q).filter(|_| !is_frozen), "{}", name);
        }
        prop_assert!(model.names_without_gradient(&found).is_empty());
        AdamW::new(0.1).weight_decay(0.5).step(&mut model, &found);
        AdamW::new(0.1).weight_decay(0.5).step(&mut free, &expected);
        let (after, expected) = (model.state(), free.state());
        for name in NAMES {
            prop_assert_eq!(after.get(name), if names.contains(&name) { &before } else { &expected }.get(name));
        }
    }

    /// The optimizer keeps the state of frozen parameters, and goes on with it when they are trainable again. Clones and
    /// loaded models have the same ones frozen.
    #[test]
    fn optimizers_wait(seed: u64, names in frozen(), before in 1..3_u64, between in 1..3_u64) {
        let (mut model, mut adam) = (model(seed), Adam::new(0.1).weight_decay(0.1));
        for batch in 0..before {
            let gradients = gradients(&model, batch);
            adam.step(&mut model, &gradients);
        }
        let kept = adam.state();
        model.freeze(|name| names.contains(&name));
        for batch in 0..between {
            let gradients = gradients(&model, batch);
            adam.step(&mut model, &gradients);
        }
        let state = adam.state();
        prop_assert_eq!(state.len(), kept.len());
        for name in NAMES {
            let slot = format!("parameters.{name}.0");
            prop_assert_eq!(state.get(&slot) == kept.get(&slot), names.contains(&name), "{}", name);
        }
        // A model from the checkpoint, frozen before it is loaded, and a clone.
        let (mut loaded, mut its_adam) = (self::model(!seed), Adam::new(0.1).weight_decay(0.1));
        loaded.freeze(|name| names.contains(&name));
        loaded.load_state(&model.state()).unwrap();
        its_adam.load_state(&state).unwrap();
        let (mut clone, mut copy) = (model.clone(), self::model(!seed));
        copy.freeze(|name| names.contains(&name));
        copy.copy_from(&model);
        for other in [&loaded, &clone, &copy] {
            let frozen = |model: &Sequential<f64>| model.parameters().iter().map(|p| p.is_trainable()).collect::<Vec<_>>();
            prop_assert_eq!(frozen(other), frozen(&model));
            prop_assert_eq!(other.state(), model.state());
        }
        let mut clone_adam = adam.clone();
        for (model, adam) in [(&mut model, &mut adam), (&mut loaded, &mut its_adam), (&mut clone, &mut clone_adam)] {
            model.unfreeze(|name| names.contains(&name));
            let gradients = gradients(model, 9);
            prop_assert!(model.names_without_gradient(&gradients).is_empty());
            adam.step(model, &gradients);
        }
        prop_assert_eq!(loaded.state(), model.state());
        prop_assert_eq!(clone.state(), model.state());
        prop_assert_eq!(its_adam.state(), adam.state());
        prop_assert_eq!(adam.state().tensor::<i64>("parameters.0.bias.steps").map(Tensor::item),
            Some((before + 1 + if names.contains(&"0.bias") { 0 } else { between }) as i64));
    }
}

#[derive(Module, Clone)]
struct Everything {
    embedding: Embedding<f64>,
    attention: MultiheadAttention<f64>,
    norm: LayerNorm<f64>,
    lstm: Lstm<f64>,
    gru: Gru<f64>,
    conv: Conv2d<f64>,
}

impl Everything {
    fn new(seed: u64) -> Self {
        let rng = &mut seeded(seed);
        Self {
            embedding: Embedding::new(5, 4, rng),
            attention: MultiheadAttention::new(4, 2, rng),
            norm: LayerNorm::new([4]),
            lstm: Lstm::new(4, 4, 2, rng),
            gru: Gru::new(4, 4, 1, rng),
            conv: Conv2d::new(1, 2, 2, Conv::new(), rng),
        }
    }

    fn loss(&self) -> Var<f64> {
        let x = self.embedding.forward(Tensor::from([[0, 1, 2], [3, 4, 0]]));
        let x = self.norm.forward(self.attention.forward(&x, None, true));
        let x = self.gru.forward(&self.lstm.forward(&x, None).0, None).0;
        self.conv.forward(x.unsqueeze(1)).square().sum(..)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever is frozen in layers of all kinds, the gradients of the rest keep their bits.
    #[test]
    fn the_rest_keeps_its_gradients(seed: u64, frozen in prop::collection::vec(any::<bool>(), 30)) {
        let (free, mut model) = (Everything::new(seed), Everything::new(seed));
        let expected = free.loss().backward();
        let frozen: Vec<bool> = frozen.into_iter().chain(std::iter::repeat(true)).take(free.parameters().len()).collect();
        for (parameter, &frozen) in model.parameters_mut().into_iter().zip(&frozen) {
            parameter.set_trainable(!frozen);
        }
        let loss = model.loss();
        if frozen.contains(&false) {
            let found = loss.backward();
            for (((name, p), q), frozen) in model.named_parameters().into_iter().zip(free.parameters()).zip(frozen) {
                prop_assert_eq!(found.get(p), expected.get(q).filter(|_| !frozen), "{}", name);
            }
        }
    }
}

/// A frozen body is not recorded at all, and a frozen model has no gradients.
#[test]
fn frozen_models_are_not_recorded() {
    let mut model = Everything::new(0);
    model.freeze(|_| true);
    assert_eq!(model.trainable_parameter_count(), 0);
    let before = live_nodes();
    let loss = model.loss();
    assert_eq!(live_nodes(), before);
    panics(
        || loss.backward(),
        "backward: the result is a constant: it was made from no `Var::leaf` and no trainable parameter, or inside \
         `no_grad`, or is a gradient that was not recorded (`grad_create_graph` records it)",
    );
    // With gradients of others, a step leaves it alone.
    let state = model.state();
    let x = Var::leaf(Tensor::from(2.0));
    Sgd::new(0.1).weight_decay(0.5).step(&mut model, &(&x * &x).backward());
    assert_eq!(model.state(), state);
    model.unfreeze(|name| name.starts_with("conv."));
    let gradients = model.loss().backward();
    assert_eq!(gradients.len(), 2);
}

#[test]
fn a_predicate_without_parameters_is_an_error() {
    let mut layer = Linear::<f64>::new(2, 1, &mut seeded(0));
    let message = |function: &str| {
        format!(
            "{function}: the predicate matches no parameter of the model; the names are [\"weight\", \"bias\"]"
        )
    };
    panics(|| layer.freeze(|name| name == "wieght"), &message("freeze"));
    panics(|| layer.unfreeze(|_| false), &message("unfreeze"));
    // To freeze twice is no error; and where there are no parameters, nothing is missing.
    layer.freeze(|name| name == "weight");
    layer.freeze(|name| name == "weight");
    assert!(!layer.weight.is_trainable() && layer.bias.as_ref().unwrap().is_trainable());
    Module::<f64>::freeze(&mut gradus::Relu {}, |_| false);
}

/// Values of a frozen parameter can be set; unfreezing makes a new leaf; what is trainable keeps its identity.
#[test]
fn single_parameters() {
    let mut p = Parameter::new([1.0, 2.0]);
    let identity = p.identity();
    p.set_trainable(true);
    assert_eq!(p.identity(), identity);
    let old = p.square().sum(..).backward();
    p.set_trainable(false);
    assert_eq!(p.identity(), None);
    p.set([3.0, 4.0]);
    p.update(|p| *p += 1.0);
    p.set_trainable(true);
    assert_eq!((p.value().to_vec(), old.get(&p)), (vec![4.0, 5.0], None));
    assert_eq!(p.square().sum(..).backward().get(&p), Some(&Tensor::from([8.0, 10.0])));
    // Bound to a constant it is frozen, bound to a leaf it is not; and so are clones.
    assert!(!Parameter::bind(Var::constant(1.0)).clone().is_trainable());
    let x = Var::leaf(1.0);
    let mut bound = Parameter::bind(&x * 2.0);
    assert!(bound.is_trainable() && bound.clone().is_leaf());
    bound.set_trainable(false);
    assert_eq!(bound.item(), 2.0);
}

/// Gradients of a clone are refused, whatever is frozen; gradients of others beside this model's are allowed.
#[test]
fn gradients_of_another_model() {
    let mut model = Linear::<f64>::new(2, 1, &mut seeded(0));
    let clone = model.clone();
    let x = Var::constant([1.0, 2.0]);
    let of_clone = clone.forward(&x).sum(..).backward();
    model.freeze(|name| name == "weight");
    panics(
        || Sgd::new(0.1).step(&mut model, &of_clone),
        "step: none of the 1 trainable parameters of the model has one of the 2 gradients: they are of another model (a \
         clone has parameters of its own)",
    );
    let before = model.state();
    let both = (model.forward(&x) * clone.forward(&x)).sum(..).backward();
    assert_eq!(both.len(), 3);
    Sgd::new(0.1).step(&mut model, &both);
    assert_eq!(model.state().get("weight"), before.get("weight"));
    assert_ne!(model.state().get("bias"), before.get("bias"));
    // A part of another model in place: its gradients are missed, and `names_without_gradient` tells.
    model.unfreeze(|_| true);
    let gradients = model.forward(&x).sum(..).backward();
    model.bias = clone.bias.clone();
    assert_eq!(model.names_without_gradient(&gradients), ["bias"]);
    Sgd::new(0.1).step(&mut model, &gradients);
    assert_eq!(model.state().get("bias"), clone.state().get("bias"));
    assert_ne!(model.state().get("weight"), before.get("weight"));
}
