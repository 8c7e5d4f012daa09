//! Parts of your own, beside the built-in ones and as good as they are: an operation with its gradient, a layer with a learnt
//! parameter, and an optimizer. The operation is the activation "snake" (Ziyin, Hartwig and Ueda, "Neural networks fail to learn
//! periodic functions and how to fix it", 2020), with which a network continues a wave where one of `relu`s draws a straight
//! line; the optimizer is Yogi (Zaheer et al., "Adaptive methods for nonconvex optimization", 2018). The tests at the end
//! hold all three against their laws at random points: `cargo test -p gradus-tests --test extend`.
//!
//! ```sh
//! cargo run --release --example extend
//! ```

use std::error::Error;

use gradus::prelude::*;
use gradus::train::{Chart, Scale};
use gradus::{Context, Float, Inputs, Operation, apply};
use gradus_examples::{Options, out, require};

/// `x + sin(a x)^2 / a`, of `x` and `a`, which broadcast.
#[derive(Debug)]
struct SnakeOperation;

impl<T: Float> Operation<T> for SnakeOperation {
    fn name(&self) -> &'static str {
        "snake"
    }

    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        let (x, a) = (inputs[0], inputs[1]);
        x + (a * x).sin().square() / a
    }

    /// Written in operations that have a gradient themselves: so this gradient has one, too, and forward mode needs no rule.
    fn vjp(&self, context: &Context<T>, input: usize) -> Option<Var<T>> {
        let (x, a) = (context.input(0), context.input(1));
        let angle = &x * &a;
        let slope = (&angle * T::from_f64(2.0)).sin();
        let slope = if input == 0 { slope + T::ONE } else { x * slope / &a - (angle.sin() / a).square() };
        Some(context.cotangent() * slope)
    }
}

/// A layer with one `a` for each feature. `derive(Module)` gives it names, saving, freezing and the rest.
#[derive(Debug, Clone, Module)]
struct Snake<T: Float = f32> {
    a: Parameter<T>,
}

impl<T: Float> Snake<T> {
    fn new(features: usize) -> Self {
        Self { a: Parameter::new(Tensor::ones([features])) }
    }
}

impl<T: Float> Layer<T> for Snake<T> {
    fn forward(&self, x: &Var<T>) -> Var<T> {
        apply(SnakeOperation, &[x, &self.a])
    }
}

/// Like Adam, with a mean square that moves by a part of the new square, not of its distance to the old ones: it cannot
/// shrink at once when gradients do.
#[derive(Debug, Clone)]
struct Yogi {
    betas: [f64; 2],
    eps: f64,
}

impl Rule for Yogi {
    /// The mean and the mean square of the gradients.
    fn slots(&self) -> usize {
        2
    }

    fn update<T: Float>(&self, step: Step, p: &mut Tensor<T>, g: &Tensor<T>, state: &mut [Tensor<T>]) {
        let [beta1, beta2] = self.betas;
        let (first, fresh1, fresh2) = (step.t == 1, T::from_f64(1.0 - beta1), T::from_f64(1.0 - beta2));
        let lr = T::from_f64(step.lr / (1.0 - beta1.powi(step.t)));
        let (eps, decayed) = (T::from_f64(self.eps), step.decayed());
        let [mean, square] = state else { unreachable!("two slots") };
        Tensor::zip_inplace_many([p, mean, square], g, |[p, m, v], g| {
            let g = decayed(p, g);
            let m = m + fresh1 * (g - m);
            let v = if first { g * g } else { v - fresh2 * (v - g * g).sign() * g * g };
            [p - lr * m / (v.sqrt() + eps), m, v]
        });
    }
}

fn yogi<T: Float>(learning_rate: f64) -> Descent<Yogi, T> {
    Descent::with_rule(learning_rate, Yogi { betas: [0.9, 0.99], eps: 1e-3 })
}

/// The function to learn, from -8 to 8, and to continue from there to 14.
fn wave(x: &Tensor) -> Tensor {
    (x * 1.5).sin() + x * 0.2
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(0));
    let (first, last) = ([Linear::new(1, 64, rng), Linear::new(64, 64, rng)], Linear::new(64, 1, rng));
    let [one, two] = &first;
    let networks = [
        Sequential::new().push(one.clone()).push(Snake::new(64)).push(two.clone()).push(Snake::new(64)),
        Sequential::new().push(one.clone()).push(Relu).push(two.clone()).push(Relu),
    ];
    let x = Tensor::linspace(-8.0, 14.0, 221).unsqueeze(1);
    let beyond = x.gt(8.5).cast::<f32>();
    let steps = options.unless_quick(3000, 600);
    let [(snake, error), (relu, relu_error)] = networks.map(|network| {
        let (mut network, mut optimizer) = (network.push(last.clone()), yogi(3e-3));
        for step in 0..steps {
            optimizer.follow(&schedule::cosine(steps, 0.0), step);
            let x = Tensor::uniform([128, 1], -8.0, 8.0, rng);
            let gradients = network.forward(&x).mse_loss(wave(&x)).backward();
            optimizer.step(&mut network, &gradients);
        }
        let y = no_grad(|| network.forward(&x)).into_value();
        let squares = (&y - wave(&x)).square() * &beyond;
        (y, (squares.sum(..) / beyond.sum(..)).sqrt().item())
    });
    println!("error beyond the training data: {error:.3} with snake, {relu_error:.3} with relu");

    let line = |y: &Tensor| x.iter().zip(y.iter()).map(|(x, y)| (x.into(), y.into())).collect::<Vec<_>>();
    Chart {
        title: "A wave continued",
        subtitle: "trained on x from -8 to 8",
        x: "x",
        y: "y",
        scale: Scale::Linear,
        lines: &[("truth", line(&wave(&x))), ("relu", line(&relu)), ("snake", line(&snake))],
    }
    .save(out("14_extend.svg")?)?;
    println!("picture out/14_extend.svg");
    require("the error with snake", error.into(), ..options.unless_quick(0.9, 1.2))
}

#[cfg(test)]
mod tests {
    use gradus::testing::{check_gradients, check_module, shapes, tensors};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_operation_differentiates(x in tensors(shapes(0..=3, 1..=4), -2.0..2.0), a in 0.3..3.0) {
            check_gradients(|[x, a]| apply(SnakeOperation, &[x, a]), [x, Tensor::from([a])])?;
        }

        #[test]
        fn the_layer_differentiates(x in tensors(shapes(2..=2, 3..=3), -2.0..2.0), seed: u64) {
            let layers = Sequential::new().push(Linear::new(3, 4, &mut seeded(seed))).push(Snake::new(4));
            check_module(&layers, |layers, [x]| layers.forward(x), [x])?;
        }

        /// Whatever its sign and size, a gradient that stays the same moves a parameter by the learning rate.
        #[test]
        fn the_optimizer_makes_steps_of_one_size(g in prop_oneof![-1e3_f64..-1.0, 1.0..1e3], steps in 1..20_i32) {
            let (mut parameter, mut optimizer) = (Parameter::new([0.0_f64]), yogi(0.1));
            for _ in 0..steps {
                let gradients = (&*parameter * g).sum(..).backward();
                optimizer.step(&mut parameter, &gradients);
            }
            let expected = -0.1 * f64::from(steps) * g.signum();
            prop_assert!((parameter.item() - expected).abs() < 2e-3 * f64::from(steps));
        }
    }
}
