//! Whole models: conversion, training, files.

use gradus_autograd::{Conv, Tensor, no_grad, seeded};
use gradus_nn::{
    Adam, BatchNorm2d, Conv2d, Flatten, Layer, Linear, Losses, Module, Optimizer, Relu, Rnn, Sequential,
    State, Tanh,
};
use gradus_quant::{QRnn, Quantizer, Replaceable, Scheme, fold_batch_norms};

fn cnn(seed: u64) -> Sequential {
    let rng = &mut seeded(seed);
    let body = Sequential::new()
        .push(Conv2d::new(1, 8, 3, Conv::new().padding(1), rng))
        .push(BatchNorm2d::new(8))
        .push(Relu);
    Sequential::new()
        .push(body)
        .push(Conv2d::new(8, 8, 3, Conv::new().stride(2), rng))
        .push(Relu)
        .push(Flatten)
        .push(Linear::new(8 * 9, 10, rng))
}

#[test]
fn a_model_is_converted_saved_and_loaded() {
    let quantizer = Quantizer::new().histogram(256);
    let images = Tensor::<f32>::randn([64, 1, 8, 8], &mut seeded(9));
    let prepare = |seed| {
        let mut model = cnn(seed);
        let _ = model.forward(&images);
        model.eval();
        assert_eq!(fold_batch_norms(&mut model), 1);
        let folded = model.forward(&images);
        assert_eq!(quantizer.observe(&mut model).replaced(), 3);
        assert_eq!(no_grad(|| model.forward(&images)).value(), folded.value());
        let report = quantizer.convert(&mut model).unwrap();
        assert_eq!(report.rows[0].name, "0.0");
        (model, folded)
    };
    let (model, folded) = prepare(0);
    let y = model.forward(&images);
    assert!(y.value().allclose(folded.value(), 0.0, 0.1));

    let bytes = model.state().to_bytes().unwrap();
    let floats = cnn(0).state().to_bytes().unwrap();
    assert!(bytes.len() < floats.len(), "{} {}", bytes.len(), floats.len());
    let (mut other, _) = prepare(1);
    assert_ne!(other.forward(&images).value(), y.value());
    other.load_state(&State::from_bytes(&bytes).unwrap()).unwrap();
    assert_eq!(other.forward(&images).value(), y.value());
    let clone = other.clone();
    assert_eq!(clone.forward(&images).value(), y.value());
}

/// With levels of 2 bits, training with rounding in it finds what rounding afterwards does not.
#[test]
fn training_knows_of_rounding() {
    let rng = &mut seeded(3);
    let x = Tensor::<f32>::randn([256, 8], rng);
    let y = (x.slice(1, ..4).sum(1) - x.slice(1, 4..).prod(1)).tanh().unsqueeze(1);
    let mut model: Sequential =
        Sequential::new().push(Linear::new(8, 16, rng)).push(Tanh).push(Linear::new(16, 1, rng));
    let learn = |model: &mut Sequential, steps| {
        let mut adam = Adam::new(0.01);
        for _ in 0..steps {
            let gradients = model.forward(&x).mse_loss(&y).backward();
            adam.step(model, &gradients);
        }
    };
    learn(&mut model, 200);
    let quantizer = Quantizer::new().schemes(Scheme::weights().levels(-1..=1), Scheme::uint8());
    let loss = |model: &Sequential| no_grad(|| model.forward(&x).mse_loss(&y)).item();

    let mut rounded = model.clone();
    quantizer.observe(&mut rounded);
    loss(&rounded);
    quantizer.convert(&mut rounded).unwrap();

    quantizer.train(&mut model);
    let names: Vec<String> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias"]);
    learn(&mut model, 200);
    let trained = model.evaluate(loss);
    quantizer.convert(&mut model).unwrap();
    // The integer layer does what the rounded one did.
    assert!((loss(&model) - trained).abs() < 1e-3 * trained, "{trained} {}", loss(&model));
    assert!(loss(&model) < 0.8 * loss(&rounded), "{} {}", loss(&model), loss(&rounded));
}

/// A recurrent layer has an integer form of its own, a type; the dense layer is replaced.
#[derive(Module, Clone)]
struct Reader<R> {
    recurrent: R,
    out: Box<dyn Layer>,
}

impl<R> Replaceable for Reader<R> {
    fn layers_mut(&mut self) -> Vec<(String, &mut Box<dyn Layer>)> {
        vec![("out".into(), &mut self.out)]
    }
}

/// Sequences `[steps, batch, 2]` to the sign of the sum of all numbers, after training.
#[test]
fn a_model_with_a_plain_recurrent_layer_is_converted_saved_and_loaded() {
    let rng = &mut seeded(4);
    let x = Tensor::<f32>::randn([6, 200, 2], rng);
    let y = x.sum([0, 2]).gt(0.0).cast::<i64>();
    let mut model = Reader { recurrent: Rnn::new(2, 24, 1, rng), out: Box::new(Linear::new(24, 2, rng)) };
    let mut adam = Adam::new(0.01);
    for _ in 0..100 {
        let (_, h) = model.recurrent.forward(&x, None);
        let gradients = model.out.forward(&h.select(0, -1)).cross_entropy(&y).backward();
        adam.step(&mut model, &gradients);
    }
    let expected = model.out.forward(&model.recurrent.forward(&x, None).1.select(0, -1));
    let right = |logits: &Tensor| logits.argmax(1).eq(&y).cast::<f32>().mean(..).item();
    assert!(right(expected.value()) > 0.95, "{}", right(expected.value()));

    let quantizer = Quantizer::new();
    let convert = |model: &Reader<Rnn>, x: &Tensor| {
        let recurrent = QRnn::new(&model.recurrent).unwrap().calibrated(std::slice::from_ref(x)).unwrap();
        let mut integers = Reader { recurrent, out: model.out.clone() };
        assert_eq!(quantizer.observe(&mut integers).replaced(), 1);
        let _ = integers.out.forward(&integers.recurrent.forward(x, None).1.select(0, -1));
        assert!(quantizer.convert(&mut integers).unwrap().left().is_empty());
        integers
    };
    let pass = |model: &Reader<QRnn>| model.out.forward(&model.recurrent.forward(&x, None).1.select(0, -1));
    let integers = convert(&model, &x);
    let got = pass(&integers);
    assert!(got.value().allclose(expected.value(), 0.0, 0.3));
    assert!(right(got.value()) > right(expected.value()) - 0.02);

    let bytes = integers.state().to_bytes().unwrap();
    assert_eq!(integers.parameter_count(), 0);
    let other = Reader { recurrent: Rnn::new(2, 24, 1, rng), out: Box::new(Linear::new(24, 2, rng)) };
    let mut other = convert(&other, &(&x * 0.5));
    assert_ne!(pass(&other).value(), got.value());
    other.load_state(&State::from_bytes(&bytes).unwrap()).unwrap();
    assert_eq!(pass(&other).value(), got.value());
}
