//! The state of optimizers: it belongs to the name of a parameter, as long as the model has the parameter.

use std::collections::HashMap;

use gradus::prelude::*;
use gradus::{BatchNorm1d, Dropout, Member, MemberMut, Path};
use proptest::prelude::*;

/// Parameters and buffers, as bits.
fn bits(model: &Sequential<f64>) -> Vec<u64> {
    let parameters = model.parameters().into_iter().map(|parameter| parameter.value().clone());
    let buffers = model.named_buffers().into_iter().map(|(_, buffer)| buffer.value());
    parameters.chain(buffers).flat_map(|x| x.to_vec()).map(f64::to_bits).collect()
}

/// Trains a model, then the model and a clone in turns, each with its own optimizer.
fn clone_continues(mut optimizer: impl Optimizer<f64> + Clone, seed: u64, before: usize) {
    let rng = &mut seeded(seed);
    let mut model = Sequential::new()
        .push(Linear::new(3, 4, rng))
        .push(BatchNorm1d::new(4))
        .push(Dropout::new(0.3, seed))
        .push(Linear::new(4, 2, rng));
    let batches: Vec<_> = (0..before + 3)
        .map(|_| (Var::constant(Tensor::randn([5, 3], rng)), Tensor::randn([5, 2], rng)))
        .collect();
    let step = |model: &mut Sequential<f64>, optimizer: &mut dyn Optimizer<f64>, batch: usize| {
        let (x, y) = &batches[batch];
        let loss = model.forward(x).mse_loss(y);
        optimizer.step(model, &loss.backward());
    };
    for batch in 0..before {
        step(&mut model, &mut optimizer, batch);
    }
    let (mut clone, mut its_optimizer) = (model.clone(), optimizer.clone());
    assert_eq!(bits(&model), bits(&clone));
    for batch in before..before + 3 {
        step(&mut model, &mut optimizer, batch);
        assert_ne!(bits(&model), bits(&clone));
        step(&mut clone, &mut its_optimizer, batch);
        assert_eq!(bits(&model), bits(&clone));
    }
}

/// Some of several named parameters, in any order.
struct Named(Vec<(char, Parameter<f64>)>);

impl Module<f64> for Named {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, f64>)) {
        for (name, parameter) in &self.0 {
            parameter.visit(path.field(&name.to_string()), visitor);
        }
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, f64>)) {
        for (name, parameter) in &mut self.0 {
            parameter.visit_mut(path.field(&name.to_string()), visitor);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn clones_continue_with_every_optimizer(seed: u64, before in 0..3_usize) {
        clone_continues(Sgd::new(0.1).momentum(0.9).nesterov(), seed, before);
        clone_continues(Adam::new(0.1).amsgrad(), seed, before);
        clone_continues(AdamW::new(0.1).weight_decay(0.1), seed, before);
        clone_continues(RmsProp::new(0.1).momentum(0.5).centered(), seed, before);
        clone_continues(Adagrad::new(0.1).lr_decay(0.1), seed, before);
        clone_continues(Adadelta::new(1.0), seed, before);
        let grouped = Adam::new(0.1).group(|name| name.ends_with("bias"), |adam| adam.learning_rate(0.3));
        clone_continues(grouped, seed, before);
    }
}

proptest! {
    /// In each step the model has some of four parameters, in any order, new each time, of one or two elements, and
    /// some have a gradient. The state of a parameter that is missing, or has another shape, is dropped.
    #[test]
    fn state_follows_the_name(
        steps in prop::collection::vec(
            prop::sample::subsequence(vec!['a', 'b', 'c', 'd'], 0..=4).prop_shuffle().prop_flat_map(|names| {
                prop::collection::vec((1..=2_usize, -2.0..2.0_f64, any::<bool>()), names.len())
                    .prop_map(move |each| names.iter().copied().zip(each).collect::<Vec<_>>())
            }),
            1..12,
        ),
    ) {
        let mut sgd = Sgd::new(1.0).momentum(0.5);
        let mut states: HashMap<char, (usize, f64)> = HashMap::new();
        for step in steps {
            let new = |&(name, (len, _, _)): &(char, (usize, f64, bool))| (name, Parameter::new(Tensor::zeros([len])));
            // One more, which always has a gradient: without any, they would be the gradients of another model.
            let always = ('_', Parameter::new(0.0));
            let mut model = Named(step.iter().map(new).chain([always]).collect());
            let terms = model.0.iter().zip(&step).filter(|(_, (_, (_, _, some)))| *some);
            let zero = &model.0[step.len()].1 * 0.0;
            let loss = terms.map(|((_, p), (_, (_, g, _)))| (p * *g).sum(..)).fold(zero, |x, y| x + y);
            let gradients = loss.backward();
            sgd.step(&mut model, &gradients);
            states.retain(|name, _| step.iter().any(|(other, _)| other == name));
            for ((name, p), (_, (len, g, some))) in model.0.iter().zip(&step) {
                let mut expected = 0.0;
                if *some {
                    let old = states.get(name).filter(|(old, _)| old == len);
                    let momentum = old.map_or(*g, |(_, b)| 0.5 * b + g);
                    states.insert(*name, (*len, momentum));
                    expected = -momentum;
                }
                prop_assert!(p.value().iter().all(|p| (p - expected).abs() < 1e-14), "{}: {:?}, {}", name, p, expected);
            }
            // No other state is kept.
            prop_assert_eq!(format!("{sgd:?}").matches("steps:").count(), model.0.len());
        }
    }
}

#[derive(Module, Clone)]
struct Two {
    left: Parameter<f64>,
    right: Parameter<f64>,
}

impl Two {
    fn new() -> Self {
        Self { left: Parameter::new(1.0), right: Parameter::new(1.0) }
    }

    fn gradients(&self) -> Gradients<f64> {
        (&self.left * &self.left * &self.right).backward()
    }

    fn numbers(&self) -> [f64; 2] {
        [self.left.item(), self.right.item()]
    }
}

/// Two optimizers, each for a part of the model, against one with a group for each part.
#[test]
fn optimizers_of_parts_are_groups() {
    let (mut parts, mut grouped) = (Two::new(), Two::new());
    let (sgd, mut of_left) = (|| Sgd::new(0.1).momentum(0.9), Sgd::new(0.1).momentum(0.9));
    let mut of_right = sgd().learning_rate(0.01);
    let mut one = sgd()
        .group(|name| name == "left", |sgd| sgd)
        .group(|name| name == "right", |sgd| sgd.learning_rate(0.01));
    for _ in 0..4 {
        let gradients = parts.gradients();
        of_left.step(&mut parts.left, &gradients);
        of_right.step(&mut parts.right, &gradients);
        let gradients = grouped.gradients();
        one.step(&mut grouped, &gradients);
        assert_eq!(parts.numbers(), grouped.numbers());
    }
    assert_ne!(parts.numbers(), [1.0, 1.0]);
}

/// All parameters may be in groups.
#[test]
fn groups_that_leave_no_parameter_over_are_stepped() {
    let (mut model, mut alone) = (Two::new(), Two::new());
    let mut grouped = Sgd::new(99.0).group(|_| true, |sgd| sgd.learning_rate(0.25));
    let mut sgd = Sgd::new(0.25);
    for _ in 0..3 {
        let gradients = model.gradients();
        grouped.step(&mut model, &gradients);
        let gradients = alone.gradients();
        sgd.step(&mut alone, &gradients);
    }
    assert_eq!(model.numbers(), alone.numbers());
}
