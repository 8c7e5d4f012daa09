//! Integer networks of trained models.

use gradus_autograd::{Conv, Tensor, no_grad, seeded};
use gradus_encrypted::{IntegerNetwork, Packing, Plan, Quantization};
use gradus_nn::{AvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, Relu, Sequential, Square};
use proptest::prelude::*;

use crate::samples::equals_plain;

fn levels(weights: u32) -> Quantization {
    Quantization::new().inputs(-1.0..=1.0, 8).weights(weights)
}

/// Multiples of an eighth from -1 to 1.
fn inputs(count: usize, rng: &mut impl gradus_autograd::Rng) -> Tensor<i64> {
    Tensor::randint([count], -8..9, rng)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn outputs_are_those_of_the_model(seed: u64, channels in 1_usize..3, side in 3_usize..6, padding in 0_usize..2) {
        let rng = &mut seeded(seed);
        let outer = side + 2 * padding - 2;
        let pooled = outer / 2;
        prop_assume!(pooled > 0);
        let inner = Sequential::new()
            .push(Conv2d::new(channels, 2, 3, Conv::new().padding(padding), rng))
            .push(BatchNorm2d::new(2))
            .push(AvgPool2d::new(2))
            .push(Square)
            .push(Dropout::new(0.5, 0));
        let model: Sequential<f64> =
            Sequential::new().push(inner).push(Flatten).push(Linear::new(2 * pooled * pooled, 3, rng));
        let shape = [channels, side, side];
        let network = IntegerNetwork::quantize(&model, &shape, &levels(1 << 12))?;
        prop_assert_eq!((network.inputs(), network.outputs(), network.degree()), (channels * side * side, 3, 2));

        let x = inputs(network.inputs(), rng);
        let mut model = model;
        gradus_nn::Module::eval(&mut model);
        let float = no_grad(|| model.forward((x.cast::<f64>() / 8.0).reshape([1, channels, side, side]))).value().to_vec();
        for (y, float) in network.evaluate(&x.to_vec())?.into_iter().zip(float) {
            let y = y as f64 * network.output_step();
            prop_assert!((y - float).abs() < 5e-3, "{y} {float}");
        }
    }
}

#[test]
fn convolutions_are_evaluated_on_ciphertexts() {
    let rng = &mut seeded(3);
    let model: Sequential = Sequential::new()
        .push(Conv2d::new(1, 2, 2, Conv::new().stride(2), rng))
        .push(Square)
        .push(Flatten)
        .push(Linear::new(8, 3, rng));
    let network = IntegerNetwork::quantize(&model, &[1, 4, 4], &levels(3)).unwrap();
    let sample = inputs(16, rng).to_vec();
    for packing in [Packing::Batch, Packing::Single] {
        equals_plain(&network, packing, std::slice::from_ref(&sample));
    }
    let names: Vec<_> =
        Plan::new(&network, Packing::Batch).unwrap().rows().iter().map(|row| row.layer.clone()).collect();
    assert_eq!(names, ["0 (Conv2d)", "2 (Flatten) to 3 (Linear)"]);
}

#[test]
fn weights_have_the_levels_that_were_asked_for() {
    let mut layer = Linear::new(2, 1, &mut seeded(0));
    layer.weight.set([[1.0, -0.4]]);
    layer.bias.as_mut().unwrap().set([0.5]);
    let model: Sequential = Sequential::new().push(layer);
    let network = IntegerNetwork::quantize(&model, &[2], &levels(5)).unwrap();
    // Levels 5 and -2; the bias is 0.5 / (0.2 / 8) = 20.
    assert_eq!(network.evaluate(&[8, 0]).unwrap(), [60]);
    assert_eq!(network.evaluate(&[0, 8]).unwrap(), [4]);
    assert!((network.output_step() - 0.025).abs() < 1e-9);
    assert_eq!(network.output_ranges(), [(-36, 76)]);
}

#[test]
fn layers_without_an_integer_form() {
    let rng = &mut seeded(0);
    let model: Sequential = Sequential::new().push(Sequential::new().push(Linear::new(2, 2, rng)).push(Relu));
    assert_eq!(
        IntegerNetwork::quantize(&model, &[2], &levels(5)).unwrap_err().to_string(),
        "layer 0.1 (Relu): it has no integer form: layers may be `Linear`, convolutions, average pooling, batch \
         normalisation, `Flatten`, `Square` and `Dropout`"
    );
    let mut broken = Linear::new(1, 1, rng);
    broken.weight.set([[f32::NAN]]);
    let model: Sequential = Sequential::new().push(Square).push(broken);
    assert_eq!(
        IntegerNetwork::quantize(&model, &[1], &levels(5)).unwrap_err().to_string(),
        "layer 1 (Linear): it has weights that are not finite"
    );
}
