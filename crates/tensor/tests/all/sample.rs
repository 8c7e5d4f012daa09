//! Random choices: the right frequencies, the right choices, and streams that never change.

use crate::caught::panics;
use crate::common::*;
use gradus_tensor::{Tensor, seeded};
use proptest::prelude::*;

/// Weights with zeros, of every magnitude, at least one of them positive.
fn weights(count: usize) -> impl Strategy<Value = Vec<f64>> {
    let weight =
        prop_oneof![2 => Just(0.0), 3 => 0.1..1.0_f64, 1 => (-300..300).prop_map(|e| 10.0_f64.powi(e))];
    (prop::collection::vec(weight, count), 0..count.max(1)).prop_map(|(mut weights, place)| {
        weights[place] += 0.5;
        weights
    })
}

/// Some rows of weights.
fn rows() -> impl Strategy<Value = Tensor<f64>> {
    (0..4_usize, 1..7_usize).prop_flat_map(|(rows, size)| {
        prop::collection::vec(weights(size), rows)
            .prop_map(move |x| Tensor::from(x.concat()).reshape([rows, size]))
    })
}

proptest! {
    /// Elements that are drawn have positive weights, and rows continue the stream of the rows before them.
    #[test]
    fn draws_are_possible(x in rows(), count in 0..6_usize, seed: u64) {
        let rng = &mut seeded(seed);
        let drawn = x.multinomial(count, true, &mut seeded(seed));
        prop_assert_eq!(drawn.shape(), [x.shape()[0], count]);
        for row in 0..x.shape()[0] as isize {
            let (row, drawn) = (x.select(0, row), drawn.select(0, row));
            prop_assert!(drawn.iter().all(|i| row.to_vec()[i as usize] > 0.0));
            prop_assert_eq!(row.multinomial(count, true, rng), drawn);
        }
    }

    /// Without replacement, nothing comes twice, and as many as there are come all.
    #[test]
    fn nothing_is_drawn_twice(weights in (1..7_usize).prop_flat_map(weights), seed: u64) {
        let possible: Vec<i64> = (0..weights.len() as i64).filter(|&i| weights[i as usize] > 0.0).collect();
        let x = Tensor::from(weights);
        let all = x.multinomial(possible.len(), false, &mut seeded(seed)).to_vec();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&sorted, &possible);
        // Fewer are the first of them.
        for count in 0..possible.len() {
            prop_assert_eq!(x.multinomial(count, false, &mut seeded(seed)).to_vec(), &all[..count]);
        }
    }

    /// Neither a factor nor a layout nor a type that holds the weights changes a choice.
    #[test]
    fn only_proportions_matter(
        x in full_shape(1..=3).prop_flat_map(|shape| laid_of(&shape, &(1..100_i8).prop_map(f32::from).boxed())),
        exponent in -1000..1000_i32, replacement: bool, seed: u64,
    ) {
        let x = x.tensor;
        let count = if replacement { 5 } else { x.shape()[x.rank() - 1] };
        let expected = x.contiguous().multinomial(count, replacement, &mut seeded(seed));
        prop_assert_eq!(&x.multinomial(count, replacement, &mut seeded(seed)), &expected);
        let scaled = x.cast::<f64>() * 2.0_f64.powi(exponent);
        let drawn = scaled.multinomial(count, replacement, &mut seeded(seed));
        if replacement {
            prop_assert_eq!(drawn, expected);
        } else {
            prop_assert_eq!(drawn.shape(), expected.shape());
        }
    }

    /// A truth value is whether a uniform number is less than the probability.
    #[test]
    fn coins_are_comparisons(
        p in shape(0..=3).prop_flat_map(|shape| laid_of(&shape, &(0.0..=1.0_f64).boxed())), seed: u64,
    ) {
        let u = Tensor::<f64>::rand(&p.naive.shape, &mut seeded(seed));
        let expected = u.lt(&p.tensor).cast::<f64>();
        prop_assert_eq!(p.tensor.bernoulli(&mut seeded(seed)), expected);
    }
}

/// The statistic of Pearson's test: the sum of squared deviations from the expected counts, divided by these.
fn chi_squared(counts: &[f64], probabilities: &[f64]) -> f64 {
    let total: f64 = counts.iter().sum();
    let term = |(count, p): (&f64, &f64)| (count - total * p).powi(2) / (total * p);
    counts.iter().zip(probabilities).map(term).sum()
}

/// With three degrees of freedom, a statistic above 30 would be an accident of one in 700,000.
#[test]
fn frequencies_with_replacement() {
    let probabilities = [0.1, 0.2, 0.3, 0.4];
    for scale in [1.0, 1e-300, 1.7e308] {
        let x = Tensor::from(probabilities) * scale;
        let drawn = x.multinomial(40_000, true, &mut seeded(5));
        let counts: Vec<f64> = (0..4).map(|i| drawn.iter().filter(|&j| i == j).count() as f64).collect();
        assert!(chi_squared(&counts, &probabilities) < 30.0, "{counts:?}");
    }
}

/// The probability of an ordered pair without replacement is the weight of its first element by the sum of all weights, times
/// the weight of its second by the sum of the others. With five degrees of freedom, a statistic above 35 would be an accident
/// of one in 700,000.
#[test]
fn frequencies_without_replacement() {
    let p = [0.2, 0.3, 0.5];
    let drawn = Tensor::from(p).expand([40_000, 3]).multinomial(2, false, &mut seeded(6));
    let pairs = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)];
    let drawn = drawn.to_vec();
    let count = |&(i, j): &(usize, usize)| {
        drawn.chunks(2).filter(|pair| pair == &[i as i64, j as i64]).count() as f64
    };
    let counts: Vec<f64> = pairs.iter().map(count).collect();
    let probabilities: Vec<f64> = pairs.iter().map(|&(i, j)| p[i] * p[j] / (1.0 - p[i])).collect();
    assert!(chi_squared(&counts, &probabilities) < 35.0, "{counts:?}");
}

#[test]
fn frequencies_of_coins() {
    const COUNT: usize = 40_000;
    for p in [0.0, 0.1, 0.5, 1.0_f32] {
        let mean = Tensor::full([COUNT], p).bernoulli(&mut seeded(7)).mean(..).item();
        let error = (p * (1.0 - p) / COUNT as f32).sqrt();
        assert!((mean - p).abs() <= 5.0 * error, "{mean} instead of {p}");
    }
}

/// Gamma and beta variables have the right mean and variance, within five standard errors, for shapes below and above 1.
#[test]
fn moments_of_gamma_and_beta() {
    const COUNT: usize = 100_000;
    let rng = &mut seeded(9);
    let holds = |x: &Tensor<f64>, mean: f64, variance: f64, fourth: f64| {
        let n = COUNT as f64;
        let error = (x.mean(..).item() - mean).abs();
        assert!(error < 5.0 * (variance / n).sqrt(), "the mean is off by {error}");
        let error = ((x - mean).square().mean(..).item() - variance).abs();
        assert!(error < 5.0 * ((fourth - variance * variance) / n).sqrt(), "the variance is off by {error}");
    };
    for a in [0.1, 0.7, 1.0, 3.0, 50.0] {
        let x = Tensor::full([COUNT], a).standard_gamma(rng);
        holds(&x, a, a, 3.0 * a * (a + 2.0));
        for b in [0.2, 1.0, 5.0] {
            let x = Tensor::beta(&Tensor::full([COUNT], a), &Tensor::from(b), rng);
            let sum: f64 = a + b;
            let variance = a * b / (sum * sum * (sum + 1.0));
            let excess = 6.0 * ((a - b).powi(2) * (sum + 1.0) - a * b * (sum + 2.0))
                / (a * b * (sum + 2.0) * (sum + 3.0));
            holds(&x, a / sum, variance, (excess + 3.0) * variance * variance);
        }
    }
    // The exponential distribution: each tenth of the numbers lies where it should.
    let x = Tensor::<f64>::ones([COUNT]).standard_gamma(rng);
    for tenth in 1..10 {
        let p = f64::from(tenth) / 10.0;
        let below = x.lt(-(1.0 - p).ln()).cast::<f64>().mean(..).item();
        assert!((below - p).abs() < 5.0 * (p * (1.0 - p) / COUNT as f64).sqrt());
    }
    // No number is 0 or 1, however small the shape.
    let small = Tensor::<f32>::full([1000], 1e-3);
    assert!(small.standard_gamma(rng).iter().all(|x| x >= f32::MIN_POSITIVE));
    assert!(Tensor::beta(&small, &small, rng).iter().all(|x| 0.0 < x && x < 1.0));
}

/// The number of threads has no influence.
#[test]
fn streams_are_the_same_on_all_threads() {
    let _settings = settings();
    let draw = || {
        let rng = &mut seeded(8);
        let x = Tensor::<f32>::uniform([300, 300], 0.0, 1.0, rng);
        let coins = x.bernoulli(rng);
        (Tensor::<f64>::normal([300, 300], 1.0, 2.0, rng), x.multinomial(4, false, rng), coins)
    };
    gradus_tensor::set_num_threads(1);
    let one = draw();
    gradus_tensor::set_num_threads(4);
    assert_eq!(draw(), one);
}

/// The first choices for one seed. They are promised never to change: not by a platform, not by a release.
#[test]
fn frozen_streams() {
    let weights = Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(weights.multinomial(8, true, &mut seeded(42)).to_vec(), [5, 3, 5, 4, 5, 4, 1, 4]);
    assert_eq!(weights.multinomial(6, false, &mut seeded(42)).to_vec(), [5, 1, 3, 4, 2, 0]);
    let shapes = Tensor::from([0.5, 2.0]);
    assert_eq!(shapes.standard_gamma(&mut seeded(42)).to_vec(), [0.04623047715698021, 0.3780560165587754]);
    assert_eq!(
        Tensor::beta(&shapes, &Tensor::from(3.0), &mut seeded(42)).to_vec(),
        [0.049803296424935646, 0.34666909009436375]
    );
    assert_eq!((weights / 6.0).bernoulli(&mut seeded(42)).to_vec(), [0.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn messages() {
    let rng = &mut seeded(0);
    let x = Tensor::from([[0.5, 0.5], [1.5, f64::NAN]]);
    panics(
        || x.bernoulli(&mut seeded(0)),
        "bernoulli: the probability at [1, 0] is 1.5: it must be between 0 and 1",
    );
    panics(
        || x.multinomial(1, true, &mut seeded(0)),
        "multinomial: the weight at [1, 1] is NaN: weights must be finite and not negative",
    );
    panics(
        || Tensor::from([1.0, -2.0]).multinomial(1, true, &mut seeded(0)),
        "multinomial: the weight at [1] is -2: weights must be finite and not negative",
    );
    panics(
        || Tensor::from([[1.0, 2.0], [0.0, 0.0]]).multinomial(1, false, &mut seeded(0)),
        "multinomial: all weights of row [1] are 0: one at least must be positive",
    );
    panics(
        || Tensor::<f32>::zeros([0]).multinomial(1, true, &mut seeded(0)),
        "multinomial: all weights are 0: one at least must be positive",
    );
    panics(
        || Tensor::from([0.0, 2.0, 1.0]).multinomial(3, false, &mut seeded(0)),
        "multinomial: `count` is 3 and only 2 weights are positive: without replacement, nothing can be drawn twice",
    );
    panics(
        || Tensor::from(1.0).multinomial(1, true, &mut seeded(0)),
        "multinomial: the weights have no axis: the last one must run over what is drawn",
    );
    panics(
        || Tensor::from([1.0, 0.0]).standard_gamma(&mut seeded(0)),
        "standard_gamma: a parameter is 0 for shape [2]: it must be positive and finite",
    );
    panics(
        || Tensor::beta(&Tensor::from(1.0), &Tensor::from(f64::NAN), &mut seeded(0)),
        "beta: a parameter is NaN for shape []: it must be positive and finite",
    );
    panics(
        || Tensor::randint([2], 3..3, &mut seeded(0)),
        "randint: the range is 3..3: its start must be below its end, which is not drawn",
    );
    panics(
        || Tensor::<f32>::uniform([2], 1.0, f64::NAN, &mut seeded(0)),
        "uniform: `low` is 1 and `high` NaN: `low` must not be above `high`",
    );
    panics(
        || Tensor::<f32>::uniform([2], -3e38, 3e38, &mut seeded(0)),
        "uniform: `low` is -300000000000000000000000000000000000000 and `high` 300000000000000000000000000000000000000: \
         the distance between them must be finite in f32",
    );
    panics(
        || Tensor::<f32>::normal([2], 0.0, -1.0, &mut seeded(0)),
        "normal: `std` is -1: it must be 0 or larger",
    );
    let huge = "shape [18446744073709551615, 2] is too large for this machine: its sizes (a 0 counts as 1) must not \
                multiply to more than 1152921504606846975";
    let shape = [usize::MAX, 2];
    panics(|| Tensor::<f32>::uniform(shape, 0.0, 1.0, &mut seeded(0)), &format!("uniform: {huge}"));
    panics(|| Tensor::<f32>::normal(shape, 0.0, 1.0, &mut seeded(0)), &format!("normal: {huge}"));
    panics(|| Tensor::randint(shape, 0..2, &mut seeded(0)), &format!("randint: {huge}"));
    let large = Tensor::<f32>::ones([1, 2]).multinomial(0, true, rng);
    assert_eq!(large.shape(), [1, 0]);
}
