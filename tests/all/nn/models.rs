//! Clones, sequences, and which parameters a loss depends on.

use gradus::prelude::*;
use gradus::{
    Celu, Elu, Gelu, GeluTanh, Hardsigmoid, Hardswish, Hardtanh, Layer, LeakyRelu, LogSoftmax, Logsigmoid,
    Mish, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softplus, Softsign, Tanh,
};
use proptest::prelude::*;

#[derive(Module, Clone)]
struct Mlp {
    hidden: Linear<f64>,
    out: Linear<f64>,
}

impl Mlp {
    fn new(seed: u64) -> Self {
        let rng = &mut seeded(seed);
        Self { hidden: Linear::new(3, 4, rng), out: Linear::new(4, 2, rng) }
    }

    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        self.out.forward(&self.hidden.forward(x).tanh())
    }
}

fn batch(seed: u64) -> (Var<f64>, Tensor<f64>) {
    let rng = &mut seeded(seed);
    (Var::constant(Tensor::randn([5, 3], rng)), Tensor::randn([5, 2], rng))
}

fn values(model: &dyn Module<f64>) -> Vec<Tensor<f64>> {
    model.parameters().into_iter().map(|parameter| parameter.value().clone()).collect()
}

proptest! {
    /// Training one of two clones leaves the other; they share numbers, and no gradients.
    #[test]
    fn clones_are_independent(seed: u64) {
        let (model, (x, y)) = (Mlp::new(seed), batch(!seed));
        let mut clone = model.clone();
        prop_assert_eq!(values(&model), values(&clone));
        let before = values(&model);
        let gradients = clone.forward(&x).mse_loss(&y).backward();
        for (original, clone) in model.parameters().into_iter().zip(clone.parameters()) {
            prop_assert_eq!(gradients.get(original), None);
            prop_assert!(gradients.get(clone).is_some());
            prop_assert_ne!(original.identity(), clone.identity());
        }
        let names = ["hidden.weight", "hidden.bias", "out.weight", "out.bias"];
        prop_assert_eq!(model.names_without_gradient(&gradients), names);
        prop_assert!(clone.names_without_gradient(&gradients).is_empty());
        Sgd::new(0.1).step(&mut clone, &gradients);
        prop_assert_eq!(values(&model), before.clone());
        prop_assert!(values(&clone).iter().zip(&before).all(|(after, before)| after != before));
    }

    /// A sequence is the composition of its layers, in values and gradients, however it is nested.
    #[test]
    fn sequences_are_compositions(seed: u64) {
        let (model, (x, y)) = (Mlp::new(seed), batch(!seed));
        let flat = Sequential::new().push(model.hidden.clone()).push(Tanh {}).push(model.out.clone());
        let inner = Sequential::new().push(Tanh {}).push(model.out.clone());
        let nested = Sequential::new().push(model.hidden.clone()).push(inner).push(Sequential::new());
        let names: Vec<String> = nested.named_parameters().into_iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names, ["0.weight", "0.bias", "1.1.weight", "1.1.bias"]);
        let expected = model.forward(&x).mse_loss(&y);
        let value = expected.item();
        let gradients = expected.backward();
        for sequence in [&flat, &nested, &nested.clone()] {
            let loss = sequence.forward(&x).mse_loss(&y);
            prop_assert_eq!(loss.item(), value);
            let found = loss.backward();
            for (original, copy) in model.parameters().into_iter().zip(sequence.parameters()) {
                prop_assert_eq!(found.get(copy), gradients.get(original));
            }
        }
        let identity = Sequential::new().forward(&x);
        prop_assert_eq!(identity.value(), x.value());
    }

    /// Activations are the methods of their names.
    #[test]
    fn activations_are_methods(seed: u64) {
        let (x, _) = batch(seed);
        let pairs: [(&dyn Layer<f64>, Var<f64>); 20] = [
            (&Sigmoid {}, x.sigmoid()),
            (&Tanh {}, x.tanh()),
            (&Relu {}, x.relu()),
            (&LeakyRelu { negative_slope: 0.2 }, x.leaky_relu(0.2)),
            (&Elu { alpha: 1.5 }, x.elu(1.5)),
            (&Gelu {}, x.gelu()),
            (&GeluTanh {}, x.gelu_tanh()),
            (&Silu {}, x.silu()),
            (&Softplus::default(), x.softplus(1.0, 20.0)),
            (&Logsigmoid {}, x.logsigmoid()),
            (&Hardsigmoid {}, x.hardsigmoid()),
            (&Hardtanh { low: -0.5, high: 0.25 }, x.hardtanh(-0.5, 0.25)),
            (&Softsign {}, x.softsign()),
            (&Relu6 {}, x.relu6()),
            (&Celu { alpha: 1.5 }, x.celu(1.5)),
            (&Selu {}, x.selu()),
            (&Hardswish {}, x.hardswish()),
            (&Mish {}, x.mish()),
            (&Softmax { axis: 0 }, x.softmax(0)),
            (&LogSoftmax { axis: -1 }, x.log_softmax(-1)),
        ];
        for (layer, expected) in pairs {
            let got = layer.forward(&x);
            prop_assert_eq!(got.value(), expected.value());
            prop_assert_eq!(layer.parameter_count(), 0);
        }
    }

    /// x w' + b, for any number of axes in front.
    #[test]
    fn linear_is_affine(front in gradus::testing::shapes(0..=3, 0..=3), seed: u64, bias: bool) {
        let rng = &mut seeded(seed);
        let mut layer = Linear::<f64>::new(3, 2, rng);
        if !bias {
            layer = layer.without_bias();
        }
        let x = Tensor::<f64>::randn([&front[..], &[3]].concat(), rng);
        let y = layer.forward(&Var::constant(&x));
        prop_assert_eq!(y.shape(), [&front[..], &[2]].concat());
        let (w, b) = (layer.weight.value(), layer.bias.as_ref().map_or(vec![0.0; 2], |bias| bias.value().to_vec()));
        for (row, got) in x.to_vec().chunks(3).zip(y.value().to_vec().chunks(2)) {
            for (j, got) in got.iter().enumerate() {
                let expected = (0..3).map(|i| row[i] * w[[j, i]]).sum::<f64>() + b[j];
                prop_assert!((got - expected).abs() < 1e-13);
            }
        }
    }
}

#[test]
fn parameters_without_a_gradient_are_named() {
    let model = Mlp::new(0);
    let gradients = model.hidden.forward(&batch(0).0).sum(..).backward();
    assert_eq!(model.names_without_gradient(&gradients), ["out.weight", "out.bias"]);
}
