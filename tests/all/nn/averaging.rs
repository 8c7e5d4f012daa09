//! Averaged models against averages written out.

use gradus::prelude::*;
use proptest::prelude::*;

use super::model;
use crate::messages::panics;

/// Takes a step, and returns the parameters.
fn step(model: &mut Sequential<f64>, sgd: &mut Sgd<f64>, batch: u64) -> Vec<Tensor<f64>> {
    let x = Var::constant(Tensor::randn([5, 3], &mut seeded(batch)));
    let gradients = model.forward(&x).square().sum(..).backward();
    sgd.step(model, &gradients);
    values(model)
}

fn values(model: &Sequential<f64>) -> Vec<Tensor<f64>> {
    model.parameters().into_iter().map(|parameter| parameter.value().clone()).collect()
}

/// The weighted sums of the parameters of several models.
fn weighted(models: &[Vec<Tensor<f64>>], weights: &[f64]) -> Vec<Tensor<f64>> {
    let sum = |i: usize| models.iter().zip(weights).map(|(model, &w)| &model[i] * w).reduce(|x, y| x + y);
    (0..models[0].len()).map(|i| sum(i).unwrap()).collect()
}

fn close(found: &Sequential<f64>, expected: &[Tensor<f64>]) -> bool {
    values(found).iter().zip(expected).all(|(found, expected)| found.allclose(expected, 1e-12, 1e-14))
}

fn average() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), Just(Some(0.0)), (0.0..0.9999).prop_map(Some)]
}

fn averaged(model: &Sequential<f64>, decay: Option<f64>) -> AveragedModel<Sequential<f64>> {
    decay.map_or_else(|| AveragedModel::mean(model), |decay| AveragedModel::ema(model, decay))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn averages_follow_their_formulas(seed: u64, n in 1..9_usize, decay in average()) {
        let (mut model, mut sgd) = (model(seed), Sgd::new(0.05).momentum(0.5));
        let mut average = averaged(&model, decay);
        // The first model does not count.
        let mut seen = Vec::new();
        for batch in 0..n {
            seen.push(step(&mut model, &mut sgd, batch as u64));
            average.update(&model);
            let weights: Vec<f64> = (0..=batch).map(|i| match decay {
                None => 1.0 / (batch as f64 + 1.0),
                Some(decay) => decay.powi((batch - i) as i32) * if i == 0 { 1.0 } else { 1.0 - decay },
            }).collect();
            prop_assert!(close(&average.module, &weighted(&seen, &weights)));
            prop_assert_eq!(&values(&model), seen.last().unwrap());
        }
        prop_assert_eq!(average.updates(), n as i64);
        // Buffers and counters are the source's, and stay apart.
        let (source, mean) = (model.state(), average.module.state());
        for name in ["1.running_mean", "1.running_var", "1.num_batches_tracked", "2.key"] {
            prop_assert_eq!(source.get(name), mean.get(name));
        }
        step(&mut model, &mut sgd, 99);
        prop_assert_eq!(average.module.state(), mean);
    }

    /// An average of equal models is that model, to the bit.
    #[test]
    fn equal_models_are_their_average(seed: u64, n in 1..9, decay in average()) {
        let model = model(seed);
        let mut average = averaged(&model, decay);
        for _ in 0..n {
            average.update(&model);
            prop_assert_eq!(average.module.state(), model.state());
        }
    }

    /// A checkpoint goes on to the bit.
    #[test]
    fn averages_resume(seed: u64, stop in 0..4_u64, decay in average()) {
        let (mut model, mut sgd) = (model(seed), Sgd::new(0.05));
        let mut average = averaged(&model, decay);
        for batch in 0..stop {
            step(&mut model, &mut sgd, batch);
            average.update(&model);
        }
        let mut checkpoint = State::new();
        checkpoint.insert_part("average.", &average.state());
        let checkpoint = State::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap().part("average.");
        let mut resumed = averaged(&self::model(!seed), decay);
        resumed.load_state(&checkpoint).unwrap();
        prop_assert_eq!(resumed.updates(), stop as i64);
        for batch in stop..stop + 3 {
            step(&mut model, &mut sgd, batch);
            average.update(&model);
            resumed.update(&model);
            prop_assert_eq!(resumed.state(), average.state());
        }
    }
}

/// PyTorch's names; and the averaged model is a model of its own.
#[test]
fn an_average_is_a_model() {
    let source = model(0);
    let mut average = AveragedModel::mean(&source);
    let state = average.state();
    let names: Vec<&str> = state.names().collect();
    assert_eq!(names.len(), source.state().len() + 1);
    assert!(
        names[..10].iter().all(|name| name.starts_with("module.")) && names[10] == "n_averaged",
        "{names:?}"
    );
    let x = Var::constant(Tensor::ones([1, 3]));
    let y = average.evaluate(|average| average.module.forward(&x));
    let gradients = y.sum(..).backward();
    assert!(source.parameters().iter().all(|p| gradients.get(p).is_none()));
    let mut model = model(1);
    model.copy_from(&average.module);
    assert_eq!(model.state(), source.state());
    // Frozen parameters are averaged and stay frozen.
    model.freeze(|name| name.starts_with("0."));
    let mut average = AveragedModel::ema(&model, 0.5);
    average.update(&model);
    average.update(&source);
    assert_eq!(average.trainable_parameter_count(), model.trainable_parameter_count());
    assert_eq!(average.module.state(), source.state());
}

#[test]
fn wrong_averages_are_refused() {
    let mut average = AveragedModel::mean(&Linear::<f64>::new(2, 1, &mut seeded(0)));
    average.update(&Linear::new(2, 1, &mut seeded(1)));
    let before = average.state();
    let other = Linear::new(3, 1, &mut seeded(0)).without_bias();
    panics(
        || average.update(&other),
        "update: the state of the other model does not fit this model\n  \
         weight: shape [1, 3] in the state, [1, 2] in the model\n  \
         bias: missing in the state",
    );
    assert_eq!(average.state(), before);
    for decay in [1.0, -0.1, f64::NAN] {
        panics(
            || AveragedModel::ema(&other, decay),
            &format!("ema: the decay is {decay}: it must be from 0 to below 1"),
        );
    }
    // A number of updates that no average has, from a file: the next update is the first.
    let mut strange = before;
    strange.insert("n_averaged", i64::MAX);
    average.load_state(&strange).unwrap();
    average.update(&Linear::new(2, 1, &mut seeded(2)));
    assert_eq!(average.updates(), i64::MAX);
    strange.insert("n_averaged", Tensor::from(-1_i64));
    average.load_state(&strange).unwrap();
    let source = Linear::new(2, 1, &mut seeded(2));
    average.update(&source);
    assert_eq!((average.module.state(), average.updates()), (source.state(), 1));
}
