//! Probability distributions: sums and integrals, divergences, gradients, samples and messages.

mod formulas;
mod gradients;
mod messages;
mod samples;

use gradus::distributions::{Bernoulli, Beta, Categorical, Gamma, KlDivergence, Normal, Uniform};
use gradus::{Tensor, Var};
use proptest::prelude::*;

/// A family of two parameters, or of one and another that it ignores.
trait Family: KlDivergence<f64> {
    fn of(x: &Var<f64>, y: &Var<f64>) -> Self;
    fn log_prob(&self, value: &Var<f64>) -> Var<f64>;
    fn entropy(&self) -> Var<f64>;
    fn mean(&self) -> Var<f64>;
    fn variance(&self) -> Var<f64>;
    fn sample(&self, shape: &[usize], seed: u64) -> Tensor<f64>;
    fn parameters() -> BoxedStrategy<[f64; 2]>;
    /// Values, and the weights with which a sum over them is the sum or integral over the support.
    fn points(parameters: [f64; 2]) -> (Tensor<f64>, Tensor<f64>);

    fn new([x, y]: [f64; 2]) -> Self
    where
        Self: Sized,
    {
        Self::of(&Var::constant(x), &Var::constant(y))
    }
}

/// For an integral over all numbers of a function that vanishes quickly on both sides, the rule of trapezoids: points a
/// step apart, and f of each with its derivative.
fn integral(range: std::ops::Range<f64>, f: impl Fn(f64) -> [f64; 2]) -> (Tensor<f64>, Tensor<f64>) {
    let count = 4000;
    let step = (range.end - range.start) / f64::from(count);
    let pairs: Vec<[f64; 2]> = (0..=count).map(|i| f(range.start + step * f64::from(i))).collect();
    let pairs = Tensor::from(pairs);
    (pairs.select(1, 0), pairs.select(1, 1) * step)
}

macro_rules! families {
    ($($family:ident: |$x:ident, $y:ident| $new:expr, $parameters:expr, |$p:pat_param| $points:expr;)*) => {$(
        impl Family for $family<f64> {
            fn of($x: &Var<f64>, $y: &Var<f64>) -> Self {
                $new
            }
            fn log_prob(&self, value: &Var<f64>) -> Var<f64> {
                $family::log_prob(self, value)
            }
            fn entropy(&self) -> Var<f64> {
                $family::entropy(self)
            }
            fn mean(&self) -> Var<f64> {
                $family::mean(self)
            }
            fn variance(&self) -> Var<f64> {
                $family::variance(self)
            }
            fn sample(&self, shape: &[usize], seed: u64) -> Tensor<f64> {
                self.expand(shape).sample(&mut gradus::seeded(seed))
            }
            fn parameters() -> BoxedStrategy<[f64; 2]> {
                $parameters.boxed()
            }
            fn points($p: [f64; 2]) -> (Tensor<f64>, Tensor<f64>) {
                $points
            }
        }
    )*};
}

families! {
    Normal: |x, y| Normal::new(x, y), [-2.0..2.0, 0.3..3.0_f64],
        |p| integral(-14.0..14.0, |t| [p[0] + p[1] * t, p[1]]);
    Uniform: |x, y| Uniform::new(x, y), (-2.0..2.0, 0.5..3.0).prop_map(|(low, width)| [low, low + width]),
        |p| {
            // The rule of Gauss with two points, which is exact for squares.
            let (middle, half) = (f64::midpoint(p[0], p[1]), (p[1] - p[0]) / 2.0);
            let x = Tensor::from([-1.0, 1.0]) * (half / 3.0_f64.sqrt()) + middle;
            (x, Tensor::full([2], half))
        };
    Bernoulli: |x, y| {
        // The sign of the other parameter decides between both forms.
        if y.item() > 0.0 { Bernoulli::from_probs(x) } else { Bernoulli::from_logits((x / (-x + 1.0)).log()) }
    }, [0.02..0.98, -1.0..1.0],
        |_| (Tensor::from([0.0, 1.0]), Tensor::ones([2]));
    // The logarithm of x runs over all numbers.
    Gamma: |x, y| Gamma::new(x, y), [0.5..5.0, 0.3..3.0],
        |p| integral(-80.0..6.0, |t| [t.exp() / p[1], t.exp() / p[1]]);
    // So does the logit of x.
    Beta: |x, y| Beta::new(x, y), [0.7..4.0, 0.7..4.0],
        |_| integral(-60.0..36.0, |t| {
            let x = 1.0 / (1.0 + (-t).exp());
            [x, x / (1.0 + t.exp())]
        });
}

/// Calls generic functions for every family, each in a test of its own.
macro_rules! for_each_family {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::$name as check;
            use gradus::distributions::{Bernoulli, Beta, Gamma, Normal, Uniform};

            #[test]
            fn normal() {
                check::<Normal<f64>>();
            }
            #[test]
            fn uniform() {
                check::<Uniform<f64>>();
            }
            #[test]
            fn bernoulli() {
                check::<Bernoulli<f64>>();
            }
            #[test]
            fn gamma() {
                check::<Gamma<f64>>();
            }
            #[test]
            fn beta() {
                check::<Beta<f64>>();
            }
        }
    )*};
}
use for_each_family;

/// Holds a property for random parameters.
fn holds<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner.run(&strategy, property).unwrap_or_else(|error| panic!("{error}"));
}

/// Logits of some rows of categories, one of which may be impossible.
fn categories() -> impl Strategy<Value = Tensor<f64>> {
    let logit = prop_oneof![8 => -3.0..3.0_f64, 1 => Just(f64::NEG_INFINITY)];
    (1..4_usize, 1..5_usize).prop_flat_map(move |(rows, size)| {
        prop::collection::vec(logit.clone(), rows * size).prop_map(move |mut logits| {
            logits.iter_mut().step_by(size).for_each(|first| *first = first.max(-3.0));
            Tensor::from(logits).reshape([rows, size])
        })
    })
}

/// The probability of every category of each row: `[rows, n]`.
fn all_probabilities(of: &Categorical<f64>) -> Tensor<f64> {
    let size = of.logits().shape()[1];
    let each = Tensor::arange(0, size as i64, 1).unsqueeze(-1).expand([size, of.shape()[0]]);
    of.log_prob(each).exp().into_value().t()
}
