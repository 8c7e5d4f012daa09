//! Noise, and what is counted.

use gradus_autograd::{Examples, Gradients, Indices, Operand, Tensor, Var, seeded};
use gradus_nn::{
    Adam, BatchNorm2d, Buffer, Compiled, Flatten, Layer, Linear, Module, Optimizer, Sequential, Sgd, Stateful,
};
use gradus_privacy::{Clipping, DpSgd, PrivacyError};

use super::caught::panic_of;
use super::sensitivity::{batch, clipped, cnn, loss};

type Result<T> = std::result::Result<T, PrivacyError>;

fn gradients(private: &mut DpSgd, model: &Sequential<f64>, size: usize) -> Result<Gradients<f64>> {
    let (x, y) = batch(size, 1.0, 7);
    let (x, y) = (Var::constant(x), Indices::constant(y));
    private.gradients(model, loss, &[Operand::Var(&x), Operand::Indices(&y)], &[Some(0), Some(0)])
}

fn numbers(model: &Sequential<f64>, gradients: &Gradients<f64>) -> Vec<f64> {
    model.parameters().into_iter().flat_map(|parameter| gradients.get(parameter).unwrap().to_vec()).collect()
}

/// Normal numbers of the standard deviation `noise_multiplier * max_norm / expected_batch`, from the secure generator.
#[test]
fn noise_has_its_deviation() {
    let rng = &mut seeded(0);
    let model = Sequential::<f64>::new().push(Flatten).push(Linear::new(36, 600, rng));
    for clipping in [Clipping::Flat, Clipping::PerTensor] {
        let private = DpSgd::new(1000, 0.02).unwrap().max_norm(0.3).unwrap().noise_multiplier(1.7).unwrap();
        let mut private = private.clipping(clipping);
        let mut draw = || {
            let found = gradients(&mut private, &model, 0).unwrap();
            numbers(&model, &found).into_iter().map(|x| x / (1.7 * 0.3 / 20.0)).collect::<Vec<_>>()
        };
        let (first, second) = (draw(), draw());
        let n = first.len() as f64;
        assert_eq!(n, 36.0 * 600.0 + 600.0);
        let mean = |of: &dyn Fn(f64, f64) -> f64| {
            first.iter().zip(&second).map(|(&x, &y)| of(x, y)).sum::<f64>() / n
        };
        // Each within seven of its own standard deviations.
        let within = |value: f64, want: f64, variance: f64| {
            assert!((value - want).abs() < 7.0 * (variance / n).sqrt(), "{value} {want}");
        };
        within(mean(&|x, _| x), 0.0, 1.0);
        within(mean(&|x, _| x * x), 1.0, 2.0);
        within(mean(&|x, _| x.powi(4)), 3.0, 96.0);
        within(mean(&|x, y| x * y), 0.0, 1.0);
        within(mean(&|x, _| f64::from(u8::from(x.abs() > 2.0))), 0.0455, 0.0455);
    }
}

/// Noise is the same under a seed, another in each step, and never the same without.
#[test]
fn noise_repeats_under_a_seed_alone() {
    let model = cnn::<f64>(0);
    let private = || DpSgd::new(100, 0.1).unwrap();
    let two =
        |mut private: DpSgd| [0, 1].map(|_| numbers(&model, &gradients(&mut private, &model, 3).unwrap()));
    let seeded = two(private().seeded_for_tests(1));
    assert_eq!(seeded, two(private().seeded_for_tests(1)));
    assert_ne!(seeded[0], seeded[1]);
    assert_ne!(seeded, two(private().seeded_for_tests(2)));
    let (first, second) = (two(private()), two(private()));
    for (x, y) in first.iter().flatten().zip(second.iter().flatten()) {
        assert_ne!(x, y);
    }
    assert!(format!("{:?}", private()).ends_with("(secure)"));
    assert!(format!("{:?}", private().seeded_for_tests(1)).ends_with("(not secure)"));
}

/// The sum plus noise, by the expected size: for a batch of any size, also none.
#[test]
fn sums_are_divided_by_the_expected_size() {
    let model = cnn::<f64>(0);
    for size in [0, 1, 9] {
        let private = || DpSgd::new(50, 0.1).unwrap().max_norm(0.2).unwrap().noise_multiplier(3.0).unwrap();
        assert_eq!(private().expected_batch(), 5.0);
        let sum = clipped(&private(), &model, &batch(size, 1.0, 7));
        let mut count = 0.0;
        let mut noisy = private().noise_for_tests(move |shape| {
            count += 1.0;
            Tensor::full(shape, count)
        });
        let found = gradients(&mut noisy, &model, size).unwrap();
        for (i, parameter) in model.parameters().into_iter().enumerate() {
            let want = (sum.gradients().get(parameter).unwrap() + 0.2 * 3.0 * (i + 1) as f64) / 5.0;
            assert!(found.get(parameter).unwrap().allclose(&want, 1e-14, 1e-14));
        }
        assert!((found.loss() * 5.0 - sum.gradients().loss()).abs() < 1e-12);
    }
}

/// Frozen parameters get nothing, others all get noise; any optimizer takes the gradients.
#[test]
fn optimizers_and_frozen_parameters() {
    let mut model = cnn::<f64>(0);
    model.freeze(|name| name.starts_with("0."));
    let mut private = DpSgd::new(100, 0.1).unwrap();
    for clipping in [Clipping::Flat, Clipping::PerTensor] {
        private = private.clipping(clipping);
        let found = gradients(&mut private, &model, 4).unwrap();
        assert_eq!(found.len(), 4);
        let before = model.state();
        Sgd::new(0.1).step(&mut model, &found);
        Adam::new(0.1).step(&mut model, &found);
        for (name, tensor) in before.iter() {
            assert_eq!(model.state().get(name) == Some(tensor), name.starts_with("0."), "{name}");
        }
    }
    assert_eq!(private.steps().steps(), 2);
}

/// With the epsilon of an accountant on the side; a resumed run goes on from it.
#[test]
fn steps_are_counted_and_saved() {
    let model = cnn::<f64>(0);
    let mut private = DpSgd::new(100, 0.1).unwrap().noise_multiplier(1.3).unwrap();
    assert_eq!(private.epsilon(1e-5).unwrap(), 0.0);
    for _ in 0..3 {
        let _ = gradients(&mut private, &model, 2).unwrap();
    }
    let plan = gradus_privacy::Plan { sampling_rate: 0.1, steps: 3, delta: 1e-5 };
    assert_eq!(private.epsilon(1e-5).unwrap(), plan.epsilon(1.3).unwrap());
    let mut resumed = DpSgd::new(100, 0.1).unwrap().noise_multiplier(1.3).unwrap();
    resumed.load_state(&private.state()).unwrap();
    let _ = gradients(&mut resumed, &model, 2).unwrap();
    assert_eq!(
        resumed.epsilon(1e-5).unwrap(),
        gradus_privacy::Plan { steps: 4, ..plan }.epsilon(1.3).unwrap()
    );
    let noiseless = DpSgd::new(100, 0.1).unwrap().noise_multiplier(0.0).unwrap();
    let mut going_on = noiseless.accountant(private.steps().clone());
    let _ = gradients(&mut going_on, &model, 2).unwrap();
    assert_eq!(going_on.epsilon(1e-5).unwrap(), f64::INFINITY);
}

/// A layer that remembers the largest number that it saw.
#[derive(Debug, Clone, Module)]
struct Largest {
    seen: Buffer<f64>,
}

impl Layer<f64> for Largest {
    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        self.seen.set([x.value().max(..).item()]);
        x.clone()
    }
}

/// A layer inside of a model inside of a model.
fn with(layer: impl Layer<f64> + 'static) -> Sequential<f64> {
    Sequential::new().push(Sequential::new().push(layer)).push(cnn(0))
}

#[test]
fn statistics_of_examples_are_refused() {
    let mut private = DpSgd::new(100, 0.1).unwrap();
    let mut model = with(BatchNorm2d::new(1));
    let error = gradients(&mut private, &model, 4).unwrap_err();
    assert!(
        matches!(&error, PrivacyError::Layer { name, kind } if name == "0.0" && kind == "BatchNorm2d"),
        "{error}"
    );
    model.eval();
    let _ = gradients(&mut private, &model, 4).unwrap();

    let model = with(Largest { seen: Buffer::new([0.0]) });
    let (before, error) = (model.state(), gradients(&mut private, &model, 4).unwrap_err());
    assert!(matches!(&error, PrivacyError::Buffer { name } if name == "0.0.seen"), "{error}");
    assert_eq!(model.state(), before);
    assert_eq!(private.steps().steps(), 1);
}

/// Nothing is counted, and nothing leaves.
#[test]
fn gradients_that_are_not_finite_are_errors() {
    let rng = &mut seeded(0);
    let model = Linear::<f64>::new(2, 1, rng);
    let mut private = DpSgd::new(100, 0.1).unwrap();
    let loss = |model: &Linear<f64>, x: &Examples<f64>| (model.forward(&x[0]) * x[0].sum(..)).sum(..);
    for bad in [f64::NAN, f64::INFINITY, 1e200] {
        let x = Var::constant([[1.0, 2.0], [bad, 1.0], [1.0, 1.0], [1.0, bad]]);
        for clipping in [Clipping::Flat, Clipping::PerTensor] {
            private = private.clipping(clipping);
            let error = private.gradients(&model, loss, &[&x], &[Some(0)]).unwrap_err();
            assert!(matches!(error, PrivacyError::NotFinite { count: 2, batch: 4, first: 1 }), "{error}");
        }
    }
    assert_eq!(private.steps().steps(), 0);
    let mut few = DpSgd::new(3, 0.5).unwrap();
    let x = Var::constant(Tensor::ones([4, 2]));
    let error = few.gradients(&model, loss, &[&x], &[Some(0)]).unwrap_err();
    assert!(matches!(error, PrivacyError::Batch { batch: 4, samples: 3 }), "{error}");
}

/// A plan would add the noise of its first call again and again.
#[test]
fn compiled_steps_are_refused() {
    let mut model = Linear::<f64>::new(2, 1, &mut seeded(0));
    let mut step = Compiled::new(|model: &mut Linear<f64>, (): &mut (), x: Var<f64>| {
        let mut private = DpSgd::new(100, 0.1).unwrap();
        let loss = |model: &Linear<f64>, x: &Examples<f64>| model.forward(&x[0]).sum(..);
        let found = private.gradients(&*model, loss, &[&x], &[Some(0)]).unwrap();
        found.var(&model.weight).unwrap().clone()
    });
    let x = Var::constant(Tensor::ones([3, 2]));
    let (message, ..) = panic_of(|| step.call(&mut model, &mut (), x));
    assert!(message.contains("compiled"), "{message}");
}
