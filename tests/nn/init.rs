//! Where parameters start: bounds and variances, and the first numbers of the stream.

use gradus::init::{fans, kaiming_normal, kaiming_uniform, normal, uniform, xavier_normal, xavier_uniform};
use gradus::prelude::*;
use proptest::prelude::*;

/// The mean and variance of many numbers must be within six standard errors of what is expected; the sixth
/// moments of both distributions are small enough for that.
fn has_moments(numbers: &Tensor<f64>, mean: f64, variance: f64) -> bool {
    let count = numbers.len() as f64;
    let got_mean = numbers.mean(..).item();
    let got_variance = (numbers - mean).square().mean(..).item();
    (got_mean - mean).abs() < 6.0 * (variance / count).sqrt()
        && (got_variance - variance).abs() < 6.0 * variance * (2.0 / count).sqrt()
}

/// Within the bounds, and nearly up to them.
fn fills(numbers: &Tensor<f64>, low: f64, high: f64) -> bool {
    let (min, max, gap) = (numbers.min(..).item(), numbers.max(..).item(), (high - low) / 50.0);
    low <= min && min < low + gap && high - gap < max && max <= high
}

proptest! {
    #[test]
    fn moments(seed: u64, out in 20..60_usize, inputs in 20..60_usize, gain in 0.5..2.0_f64) {
        let rng = &mut seeded(seed);
        let shape = [out, inputs];
        let xavier = gain * gain * 2.0 / (out + inputs) as f64;
        let kaiming = gain * gain / inputs as f64;
        for (numbers, variance) in [
            (xavier_uniform::<f64>(shape, gain, rng), xavier),
            (kaiming_uniform(shape, gain, rng), kaiming),
        ] {
            let bound = (3.0 * variance).sqrt();
            prop_assert!(has_moments(&numbers, 0.0, variance) && fills(&numbers, -bound, bound));
        }
        prop_assert!(has_moments(&xavier_normal(shape, gain, rng), 0.0, xavier));
        prop_assert!(has_moments(&kaiming_normal(shape, gain, rng), 0.0, kaiming));
        prop_assert!(has_moments(&normal(shape, gain, 0.5, rng), gain, 0.25));
        let numbers = uniform(shape, -1.0, gain, rng);
        prop_assert!(has_moments(&numbers, (gain - 1.0) / 2.0, (gain + 1.0).powi(2) / 12.0));
        prop_assert!(fills(&numbers, -1.0, gain));
        let layer = Linear::<f64>::new(inputs, out, rng);
        let bound = 1.0 / (inputs as f64).sqrt();
        prop_assert!(fills(layer.weight.value(), -bound, bound));
        prop_assert!(layer.bias.unwrap().value().abs().max(..).item() <= bound);
    }

    /// Axes after the second count for both sides.
    #[test]
    fn fans_of_any_shape(out in 0..9_usize, inputs in 0..9_usize, field in prop::collection::vec(0..4_usize, 0..3)) {
        let size: usize = field.iter().product();
        prop_assert_eq!(fans(&[&[out, inputs], &field[..]].concat()), (inputs * size, out * size));
    }

    /// The same seed gives the same numbers, and the weight does not depend on whether there is a bias.
    #[test]
    fn layers_are_reproducible(seed: u64) {
        let layer = |seed| Linear::<f32>::new(3, 4, &mut seeded(seed));
        let weight = |layer: Linear| layer.weight.value().clone();
        prop_assert_eq!(weight(layer(seed)), weight(layer(seed).without_bias()));
        prop_assert_ne!(weight(layer(seed)), weight(layer(seed.wrapping_add(1))));
    }
}

/// The default stream is part of what a release promises.
#[test]
fn the_first_numbers_of_a_layer() {
    let layer = Linear::<f32>::new(2, 3, &mut seeded(42));
    let bits = |parameter: &Parameter| parameter.value().iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(&layer.weight), [1055102154, 3196268550, 1060057145, 1049731906, 1054115098, 1040132368]);
    assert_eq!(bits(layer.bias.as_ref().unwrap()), [3204948750, 1041775564, 3201540778]);
}
