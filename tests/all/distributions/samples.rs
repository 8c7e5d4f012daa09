//! Samples: moments, frequencies, and the gradients that flow through them.

use gradus::distributions::{Bernoulli, Categorical, Gamma, Normal, Uniform};
use gradus::{Tensor, Var, seeded};

use super::{Family, for_each_family};

const COUNT: usize = 40_000;

/// The mean of the numbers is this, within five standard errors.
#[track_caller]
fn mean_is(x: &Tensor<f64>, expected: f64) {
    let error = 5.0 * (x.var(.., 1).item() / x.len() as f64).sqrt();
    let mean = x.mean(..).item();
    assert!((mean - expected).abs() <= error, "{mean} +- {error} instead of {expected}");
}

for_each_family! {
    /// The mean of samples and of their squares is the formula.
    moments;
}

fn moments<F: Family>() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for seed in 0..4 {
        let parameters = proptest::strategy::Strategy::new_tree(&F::parameters(), &mut runner).unwrap();
        let family = F::new(proptest::strategy::ValueTree::current(&parameters));
        let x = family.sample(&[COUNT], seed);
        let mean = family.mean().item();
        mean_is(&x, mean);
        mean_is(&(&x - mean).square(), family.variance().item());
        assert_eq!(family.sample(&[COUNT], seed), x);
        assert!(family.log_prob(&Var::constant(&x)).value().isfinite().all(..).item());
    }
}

#[test]
fn frequencies_of_categories() {
    let p = Tensor::from([[0.2, 0.5, 0.3], [0.6, 0.0, 0.4]]);
    let samples = Categorical::from_probs(&p).expand([COUNT, 2]).sample(&mut seeded(1));
    assert_eq!(samples.shape(), [COUNT, 2]);
    for row in 0..2 {
        for category in 0..3 {
            let hits = samples.select(1, row).eq(category).cast::<f64>();
            mean_is(&hits, p[[row as usize, category as usize]]);
        }
    }
}

/// The gradient of the mean of squares is the one of its formula, on average.
#[test]
fn pathwise_gradients() {
    let rng = &mut seeded(2);
    // A parameter for each number, so that each has a gradient of its own.
    let leaf = |x: f64| Var::leaf(Tensor::full([COUNT], x));
    let (loc, scale) = (leaf(0.5), leaf(2.0));
    let gradients = Normal::new(&loc, &scale).rsample(rng).square().sum(..).backward();
    mean_is(gradients.get(&loc).unwrap(), 2.0 * 0.5);
    mean_is(gradients.get(&scale).unwrap(), 2.0 * 2.0);
    let (low, high) = (leaf(-1.0), leaf(2.0));
    let gradients = Uniform::new(&low, &high).rsample(rng).square().sum(..).backward();
    mean_is(gradients.get(&low).unwrap(), (-2.0 + 2.0) / 3.0);
    mean_is(gradients.get(&high).unwrap(), (2.0 * 2.0 - 1.0) / 3.0);
}

/// The mean of the gradient of `log_prob` times a function is the gradient of the mean of the function.
#[test]
fn score_functions() {
    let rng = &mut seeded(3);
    let leaf = |x: f64| Var::leaf(Tensor::full([COUNT], x));
    let (a, b) = (leaf(2.0), leaf(0.5));
    let gamma = Gamma::new(&a, &b);
    let x = gamma.sample(rng);
    let gradients = (gamma.log_prob(&x) * &x).sum(..).backward();
    mean_is(gradients.get(&a).unwrap(), 1.0 / 0.5);
    mean_is(gradients.get(&b).unwrap(), -2.0 / 0.25);
    let logit = leaf(0.3);
    let coin = Bernoulli::from_logits(&logit);
    let x = coin.sample(rng);
    let p = coin.probs().value()[[0]];
    mean_is((coin.log_prob(&x) * &x).sum(..).backward().get(&logit).unwrap(), p * (1.0 - p));
}

/// `rsample` draws the numbers of `sample`.
#[test]
fn one_stream() {
    let normal: Normal = Normal::new(Tensor::from([1.0, 2.0]), 0.5);
    assert_eq!(normal.rsample(&mut seeded(4)).value(), &normal.sample(&mut seeded(4)));
    let uniform: Uniform = Uniform::new(Tensor::from([1.0, 2.0]), 4.5);
    assert_eq!(uniform.rsample(&mut seeded(4)).value(), &uniform.sample(&mut seeded(4)));
}
