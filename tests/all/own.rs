//! An operation, a layer and an optimizer of a user's own, as the documentation shows them, held against the laws.

use gradus::prelude::*;
use gradus::testing::{check_module, shapes, tensors};
use gradus::{Context, Float, Inputs, Operation, apply};
use proptest::prelude::*;

/// `x^2` for positive numbers, 0 for others (So et al., "Primer", 2021).
#[derive(Debug)]
struct SquaredRelu;

impl<T: Float> Operation<T> for SquaredRelu {
    fn name(&self) -> &'static str {
        "squared_relu"
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].relu().square()
    }
    fn vjp(&self, context: &Context<T>, _: usize) -> Option<Var<T>> {
        Some(context.cotangent() * context.input(0).relu() * T::from_f64(2.0))
    }
}

/// A gated layer with the operation inside.
#[derive(Module, Clone)]
struct Primer {
    up: Linear<f64>,
    down: Linear<f64>,
}

impl Primer {
    fn new(width: usize, rng: &mut impl Rng) -> Self {
        Self { up: Linear::new(width, 2 * width, rng), down: Linear::new(2 * width, width, rng) }
    }
    fn forward(&self, x: impl AsVar<f64>) -> Var<f64> {
        self.down.forward(apply(SquaredRelu, &[&self.up.forward(x)]))
    }
}

/// Steps of one size against the sign of a running mean (Chen et al., "Symbolic discovery of optimization algorithms", 2023).
#[derive(Debug, Clone)]
struct Lion;

impl Rule for Lion {
    fn slots(&self) -> usize {
        1
    }
    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
        let [lr, early, late] = [step.lr, 0.9, 0.99].map(T::from_f64);
        let update = |[p, m]: [T; 2], g| [p - lr * (g + early * (m - g)).sign(), g + late * (m - g)];
        Tensor::zip_inplace_many([p, &mut state[0]], g, update);
    }
}

proptest! {
    #[test]
    fn own_layer_differentiates(x in tensors(shapes(1..=1, 1..=4), -2.0..2.0), seed: u64) {
        let x = Tensor::stack(&[&x, &(&x * 0.5)], 1);
        check_module(&Primer::new(2, &mut seeded(seed)), |layer: &Primer, [x]| layer.forward(x), [x])?;
    }
}

#[test]
fn own_optimizer_learns() {
    let (mut p, mut lion) = (Parameter::new([0.0, 5.0]), Descent::with_rule(0.05, Lion));
    for step in 0..600 {
        lion.follow(&schedule::cosine(600, 0.0), step);
        let gradients = (&p - 3.0).square().sum(..).backward();
        lion.step(&mut p, &gradients);
    }
    assert!((p.value() - 3.0_f64).abs().lt(0.1).all(..).item());
}
