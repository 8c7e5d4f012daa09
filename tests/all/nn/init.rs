//! Initial values of parameters: bounds, variances, and the first numbers of the stream.

use gradus::init::{
    fans, kaiming_normal, kaiming_uniform, normal, orthogonal, uniform, xavier_normal, xavier_uniform,
};
use gradus::prelude::*;
use proptest::prelude::*;

/// Whether the mean and the variance of many numbers are within seven standard errors of the expected ones.
pub(super) fn has_moments(numbers: &Tensor<f64>, mean: f64, variance: f64) -> bool {
    let count = numbers.len() as f64;
    let got_mean = numbers.mean(..).item();
    let got_variance = (numbers - mean).square().mean(..).item();
    (got_mean - mean).abs() < 7.0 * (variance / count).sqrt()
        && (got_variance - variance).abs() < 7.0 * variance * (2.0 / count).sqrt()
}

fn close(got: &Tensor<f64>, expected: &Tensor<f64>) -> bool {
    got.allclose(expected, 1e-14, 1e-15)
}

proptest! {
    /// All functions scale one stream: uniform from 0 to 1, or standard normal.
    #[test]
    fn bounds_and_variances(seed: u64, out in 1..40_usize, inputs in 1..40_usize, gain in 0.5..2.0_f64) {
        let (shape, rng) = ([out, inputs], || seeded(seed));
        let (flat, bell) = (Tensor::<f64>::rand(shape, &mut rng()), Tensor::<f64>::randn(shape, &mut rng()));
        // Uniform from -b to b has variance b^2 / 3.
        let between = |variance: f64| (&flat * 2.0 - 1.0) * (3.0 * variance).sqrt();
        let xavier = gain * gain * 2.0 / (out + inputs) as f64;
        let kaiming = gain * gain / inputs as f64;
        prop_assert!(close(&xavier_uniform(shape, gain, &mut rng()), &between(xavier)));
        prop_assert!(close(&kaiming_uniform(shape, gain, &mut rng()), &between(kaiming)));
        prop_assert!(close(&xavier_normal(shape, gain, &mut rng()), &(&bell * xavier.sqrt())));
        prop_assert!(close(&kaiming_normal(shape, gain, &mut rng()), &(&bell * kaiming.sqrt())));
        prop_assert!(close(&uniform(shape, -1.0, gain, &mut rng()), &(&flat * (gain + 1.0) - 1.0)));
        prop_assert!(close(&normal(shape, gain, 0.5, &mut rng()), &(&bell * 0.5 + gain)));
        // A layer draws its weight and then its bias, between -1 / sqrt(inputs) and 1 / sqrt(inputs).
        let layer = Linear::new(inputs, out, &mut rng());
        let all = Tensor::<f64>::rand([out * (inputs + 1)], &mut rng()) * 2.0 - 1.0;
        let got = Tensor::cat(&[&layer.weight.value().flatten(..), layer.bias.unwrap().value()], 0);
        prop_assert!(close(&got, &(all / (inputs as f64).sqrt())));
    }

    /// Measured bounds and variances are the documented ones.
    #[test]
    fn moments(seed: u64, gain in 0.5..2.0_f64) {
        let (shape, rng) = ([50, 40], &mut seeded(seed));
        let (xavier, kaiming) = (gain * gain * 2.0 / 90.0, gain * gain / 40.0);
        prop_assert!(has_moments(&xavier_uniform(shape, gain, rng), 0.0, xavier));
        prop_assert!(has_moments(&kaiming_uniform(shape, gain, rng), 0.0, kaiming));
        prop_assert!(has_moments(&xavier_normal(shape, gain, rng), 0.0, xavier));
        prop_assert!(has_moments(&kaiming_normal(shape, gain, rng), 0.0, kaiming));
        prop_assert!(has_moments(&normal(shape, gain, 0.5, rng), gain, 0.25));
        prop_assert!(has_moments(&orthogonal(shape, gain, rng), 0.0, gain * gain / 50.0));
        prop_assert!(has_moments(&uniform(shape, -1.0, gain, rng), (gain - 1.0) / 2.0, (gain + 1.0).powi(2) / 12.0));
    }

    /// The shorter side of the matrix is orthonormal, times the gain.
    #[test]
    fn orthogonal_weights(
        seed: u64, out in 0..12_usize, inputs in 0..12_usize, field in 1..4_usize, gain in 0.5..2.0_f64,
    ) {
        let weight: Tensor<f64> = orthogonal([out, inputs, field], gain, &mut seeded(seed));
        prop_assert_eq!(weight.shape(), [out, inputs, field]);
        let matrix = weight.reshape((out, inputs * field));
        let matrix = if out > inputs * field { matrix.t() } else { matrix };
        let expected = Tensor::eye(matrix.shape()[0]) * (gain * gain);
        prop_assert!(matrix.matmul(&matrix.t()).allclose(&expected, 0.0, 1e-13), "{}", matrix);
        // Another seed gives another matrix, but there are only two of one element.
        if out > 0 && inputs > 0 && out.max(inputs * field) > 1 {
            prop_assert_ne!(&weight, &orthogonal([out, inputs, field], gain, &mut seeded(seed ^ 1)));
        }
    }

    /// Axes after the second count for fan-in and fan-out.
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

/// A release promises the default stream.
#[test]
fn the_first_numbers_of_a_layer() {
    let layer = Linear::<f32>::new(2, 3, &mut seeded(42));
    let bits = |parameter: &Parameter| parameter.value().iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(&layer.weight), [1055102154, 3196268550, 1060057145, 1049731906, 1054115098, 1040132368]);
    assert_eq!(bits(layer.bias.as_ref().unwrap()), [3204948750, 1041775564, 3201540778]);
}
