//! Checking the gradients of a user's own layers.

use gradus::prelude::*;
use gradus::testing::{Law, check_module, shapes, tensors};
use proptest::prelude::*;

/// Layer normalisation with a gain for each feature, and a gate.
#[derive(Module, Clone)]
struct Normalised {
    gain: Parameter<f64>,
    gate: Linear<f64>,
    #[module(skip)]
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    DetachedGain,
    DetachedInput,
    ForgottenBias,
}

impl Normalised {
    fn new(features: usize, seed: u64, fault: Fault) -> Self {
        let rng = &mut seeded(seed);
        Self {
            gain: Parameter::new(Tensor::randn([features], rng)),
            gate: Linear::new(features, features, rng),
            fault,
        }
    }

    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        let input = if self.fault == Fault::DetachedInput { &x.detach() } else { x };
        let centred = input - input.mean(keepdim(-1));
        let normal = &centred / (centred.square().mean(keepdim(-1)) + 0.1).sqrt();
        let gain = if self.fault == Fault::DetachedGain { self.gain.detach() } else { Var::from(&self.gain) };
        let gate = match (self.fault, &self.gate.bias) {
            // The same value, unrecorded.
            (Fault::ForgottenBias, Some(bias)) => x.matmul(&self.gate.weight.t()) + no_grad(|| &**bias * 1.0),
            _ => self.gate.forward(x),
        };
        normal * gain * gate.sigmoid()
    }
}

proptest! {
    #[test]
    fn a_right_layer_is_accepted(x in tensors(shapes(1..=3, 1..=4), -2.0..2.0), seed: u64) {
        let layer = Normalised::new(*x.shape().last().unwrap(), seed, Fault::None);
        check_module(&layer, |layer, [x]| layer.forward(x), [x])?;
    }

    /// The report names the input or parameter: the input, then gain, gate.weight, gate.bias.
    #[test]
    fn a_severed_gradient_is_found(x in tensors((1..4_usize).prop_map(|rows| vec![rows, 3]), -2.0..2.0), seed: u64) {
        for (fault, place) in [(Fault::DetachedInput, 0), (Fault::DetachedGain, 1), (Fault::ForgottenBias, 3)] {
            let layer = Normalised::new(3, seed, fault);
            let error = check_module(&layer, |layer, [x]| layer.forward(x), [x.clone()]).unwrap_err();
            prop_assert_eq!((error.law, error.input), (Law::FirstOrder, place));
            prop_assert_eq!(error.inputs.len(), 4);
            prop_assert!(place == 0 || error.analytic == 0.0);
        }
    }

    /// Sequences, losses and stateless layers, too.
    #[test]
    fn sequences_and_losses(x in tensors((1..4_usize).prop_map(|rows| vec![rows, 3]), -2.0..2.0), seed: u64) {
        let rng = &mut seeded(seed);
        let model = Sequential::new()
            .push(Linear::<f64>::new(3, 4, rng))
            .push(gradus::Gelu)
            .push(Linear::new(4, 2, rng).without_bias());
        let targets = Tensor::full([x.shape()[0]], 1_i64);
        check_module(&model, |model, [x]| model.forward(x).cross_entropy(&targets), [x])?;
    }
}
