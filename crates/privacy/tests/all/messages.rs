//! The words of errors and panics.

use gradus_autograd::{Examples, Tensor, Var, seeded};
use gradus_data::PoissonBatches;
use gradus_nn::{BatchNorm1d, Linear, Sequential};
use gradus_privacy::{Accountant, DpSgd, Plan, SecureRng, gaussian_epsilon, rdp};

use super::panics;

fn message<T>(result: Result<T, gradus_privacy::PrivacyError>) -> String {
    format!("{:?}", result.err().expect("an error"))
}

#[test]
fn numbers_out_of_range() {
    assert_eq!(message(rdp(1.5, 1.0, 2.0)), "sampling_rate is 1.5: it must be from 0 to 1");
    assert_eq!(message(rdp(f64::NAN, 1.0, 2.0)), "sampling_rate is NaN: it must be from 0 to 1");
    assert_eq!(message(rdp(0.5, -1.0, 2.0)), "noise_multiplier is -1: it must be 0 or larger");
    assert_eq!(message(rdp(0.5, 1.0, 1.0)), "order is 1: it must be from 1.000001 to 65536");
    let delta = "delta is 0: it must be between 0 and 1, and far below 1 / samples";
    assert_eq!(message(Accountant::new().epsilon(0.0)), delta);
    assert_eq!(message(gaussian_epsilon(1.0, 1, 0.0)), delta);
    assert_eq!(message(Accountant::with_orders([])), "the number of orders is 0: it must be 1 or larger");
    assert_eq!(message(DpSgd::new(0, 0.5)), "samples is 0: it must be 1 or larger");
    assert_eq!(message(DpSgd::new(5, 0.0)), "sampling_rate is 0: it must be above 0");
    let private = || DpSgd::new(5, 0.5).unwrap();
    assert_eq!(message(private().max_norm(0.0)), "max_norm is 0: it must be above 0 and finite");
    assert_eq!(
        message(private().noise_multiplier(f64::INFINITY)),
        "noise_multiplier is inf: it must be finite"
    );
}

#[test]
fn an_epsilon_that_cannot_be_met() {
    let plan = Plan { sampling_rate: 0.1, steps: 1000, delta: 1e-6 };
    assert_eq!(message(plan.noise_multiplier(-1.0)), "epsilon is -1: it must be above 0");
    let error = message(plan.noise_multiplier(0.001));
    let start = "epsilon 0.001 at delta 0.000001 cannot be met: with a noise multiplier of 1000000 it is still 0.005752";
    assert!(error.starts_with(start), "{error}");
    let end = ", the least that the orders of the accountant can show at this delta; ask for more, or take a larger delta";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn refused_layers_and_batches() {
    let rng = &mut seeded(0);
    let loss = |model: &Sequential<f64>, x: &Examples<f64>| model.forward(x[0].unsqueeze(0)).sum(..);
    let x = Var::constant(Tensor::ones([3, 2]));
    let of = |model: &Sequential<f64>, samples| {
        message(DpSgd::new(samples, 0.5).unwrap().gradients(model, loss, &[&x], &[Some(0)]))
    };
    let linear = Sequential::new().push(Linear::new(2, 2, rng));
    assert_eq!(
        of(&linear.clone().push(BatchNorm1d::new(2)), 9),
        "the layer `1` (BatchNorm1d) is in training mode and keeps statistics of the examples, which would leave training \
         without noise: use GroupNorm or LayerNorm in its place, or set the layer to evaluation"
    );
    assert_eq!(
        of(&linear, 2),
        "the batch has 3 examples, the data set 2: an example may be in a batch once at most"
    );
    let nan = linear.push_fn(|x| x * f64::NAN);
    assert_eq!(
        of(&nan, 9),
        "the gradients of 3 of 3 examples are not finite, first of example 0: nothing was added up, and the step does not \
         count"
    );
}

#[test]
fn mistakes_of_the_programmer() {
    let rng = &mut seeded(0);
    let (model, other) = (Linear::<f64>::new(2, 1, rng), Linear::<f64>::new(2, 1, rng));
    let loss = |model: &Linear<f64>, x: &Examples<f64>| model.forward(&x[0]).sum(..);
    let x = Var::constant(Tensor::ones([3, 2]));
    let private = |max_norm| DpSgd::new(9, 0.5).unwrap().max_norm(max_norm).unwrap();
    let sum = |max_norm: f64| private(max_norm).clipped_sum(&model, loss, &[&x], &[Some(0)]).unwrap();
    let clipped = sum(1.0);
    panics(
        || private(2.0).add_noise(&model, clipped),
        "add_noise: the sum is clipped to norm 1, the noise is for norm 2: they must be equal",
    );
    let clipped = sum(1.0);
    panics(
        || private(1.0).add_noise(&other, clipped),
        "add_noise: a trainable parameter of the model has no sum: it is of another model",
    );
    let (mut one, two) = (sum(1.0), sum(2.0));
    panics(
        || one.accumulate(two),
        "accumulate: one sum is clipped to norm 1, the other to 2: they must be equal",
    );
    let rng = SecureRng::seeded_for_tests(0);
    panics(
        || PoissonBatches::new(Tensor::from([1, 2]), 1.5, rng),
        "PoissonBatches: the rate is 1.5: it must be from 0 to 1",
    );
}
