//! A forward pass with numbers and with 8-bit integers.

use gradus::prelude::*;
use gradus::quant::{Quantizer, Scheme};

use crate::bench::Bench;

const BATCH: usize = 256;

/// Times `infer_256`, a perceptron 784-512-256-10 on 256 rows, with numbers, dynamic and static integers, and static ones whose inputs have
/// 7 bits.
pub(crate) fn all(bench: &mut Bench) {
    let rng = &mut seeded(0);
    let x = Tensor::<f32>::randn([BATCH, 784], rng);
    let model: Sequential = Sequential::new()
        .push(Linear::new(784, 512, rng))
        .push(Relu)
        .push(Linear::new(512, 256, rng))
        .push(Relu)
        .push(Linear::new(256, 10, rng));
    let quantizer = Quantizer::new();
    let mut dynamic = model.clone();
    quantizer.dynamic(&mut dynamic).expect("weights are finite");
    let fixed = |quantizer: &Quantizer| {
        let mut fixed = model.clone();
        quantizer.observe(&mut fixed);
        let _ = no_grad(|| fixed.forward(&x));
        quantizer.convert(&mut fixed).expect("it was observed");
        fixed
    };
    let seven = Quantizer::new().schemes(Scheme::weights(), Scheme::uint8().levels(0..=127));
    let (eight, seven) = (fixed(&quantizer), fixed(&seven));
    for (name, model) in [
        ("infer_256_f32", model),
        ("infer_256_dynamic", dynamic),
        ("infer_256_static", eight),
        ("infer_256_static7", seven),
    ] {
        let (model, x) = (&model, &x);
        bench.time(name, || move || no_grad(|| model.forward(x)));
    }
    cnn(bench, rng);
}

/// `cnn_256`, two convolutions of 32 and 64 channels and two dense layers on 256 images of 28 x 28.
fn cnn(bench: &mut Bench, rng: &mut impl Rng) {
    let images = Tensor::<f32>::rand([BATCH, 1, 28, 28], rng);
    let mut conv = |inputs, outputs| Conv2d::new(inputs, outputs, 3, Conv::new().padding(1), rng);
    let (first, second) = (conv(1, 32), conv(32, 64));
    let model: Sequential = Sequential::new()
        .push(first)
        .push(Relu)
        .push(MaxPool2d(Pool::new(2)))
        .push(second)
        .push(Relu)
        .push(MaxPool2d(Pool::new(2)))
        .push(Flatten)
        .push(Linear::new(64 * 49, 128, rng))
        .push(Relu)
        .push(Linear::new(128, 10, rng));
    let (quantizer, mut fixed) = (Quantizer::new(), model.clone());
    quantizer.observe(&mut fixed);
    let _ = no_grad(|| fixed.forward(&images));
    quantizer.convert(&mut fixed).expect("it was observed");
    for (name, model) in [("cnn_256_f32", model), ("cnn_256_static", fixed)] {
        let (model, images) = (&model, &images);
        bench.time(name, || move || no_grad(|| model.forward(images)));
    }
}
