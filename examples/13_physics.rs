//! A physics-informed network (Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks", 2019): it solves
//! `u'' = -u`, `u(0) = 0`, `u'(0) = 1`, whose solution is the sine, by making the equation itself the loss. Derivatives of the
//! network are recorded, and differentiated again by the training step. It never sees a value of the solution.
//!
//! ```sh
//! cargo run --release --example physics
//! ```

use std::error::Error;

use gradus::prelude::*;
use gradus::train::{Chart, Scale};
use gradus_examples::{Options, out, require};

/// The network and its derivative at times `[n, 1]`.
fn with_derivative(u: &Sequential<f64>, t: &Var<f64>) -> (Var<f64>, Var<f64>) {
    // The value at one time depends on this time alone, so the gradient of the sum has the derivatives of all.
    let y = u.forward(t);
    let derivative = grad_create_graph(&y.sum(..), &[t]).remove(0);
    (y, derivative)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, rng) = (Options::read()?, &mut seeded(0));
    let mut u = Sequential::<f64>::new()
        .push(Linear::new(1, 32, rng))
        .push(Tanh)
        .push(Linear::new(32, 32, rng))
        .push(Tanh)
        .push(Linear::new(32, 1, rng));
    // Where the solution is looked at: the training knows neither these times nor these values.
    let times = Tensor::linspace(0.0, 3.0, 121).unsqueeze(1);
    let solution = times.sin();
    let error =
        |u: &Sequential<f64>| (no_grad(|| u.forward(&times)).into_value() - &solution).abs().max(..).item();

    let steps = options.unless_quick(3000, 600);
    let (mut adam, decay, mut errors, mut losses) =
        (Adam::new(5e-3), schedule::cosine(steps, 1e-5), vec![], vec![]);
    for step in 0..steps {
        adam.follow(&decay, step);
        let t = Var::leaf(Tensor::uniform([64, 1], 0.0, 3.0, rng));
        let (y, velocity) = with_derivative(&u, &t);
        let acceleration = grad_create_graph(&velocity.sum(..), &[&t]).remove(0);
        let (y0, v0) = with_derivative(&u, &Var::leaf(Tensor::zeros([1, 1])));
        let loss = (acceleration + y).square().mean(..) + y0.square().sum(..) + (v0 - 1.0).square().sum(..);
        let gradients = loss.backward();
        adam.step(&mut u, &gradients);
        if step % 20 == 0 || step == steps - 1 {
            losses.push((step as f64, gradients.loss()));
            errors.push((step as f64, error(&u)));
        }
    }

    let error = error(&u);
    println!("the largest error of u(t) = sin(t) for t from 0 to 3 is {error:.1e}");
    let learnt = no_grad(|| u.forward(&times)).into_value();
    let line = |y: &Tensor<f64>| times.iter().zip(y.iter()).collect::<Vec<_>>();
    Chart {
        title: "A solution from its equation alone",
        subtitle: "u'' = -u, u(0) = 0, u'(0) = 1: the lines lie on each other",
        x: "t",
        y: "u",
        scale: Scale::Linear,
        lines: &[("sin t", line(&solution)), ("network", line(&learnt))],
    }
    .save(out("13_physics.svg")?)?;
    Chart {
        title: "The equation is the loss",
        subtitle: &format!("the largest error, which training does not see, falls to {error:.1e}"),
        x: "step",
        y: "loss, error",
        scale: Scale::Logarithmic,
        lines: &[("loss", losses), ("largest error", errors)],
    }
    .save(out("13_physics_error.svg")?)?;
    println!("pictures out/13_physics.svg, out/13_physics_error.svg");
    require("the largest error", error, ..options.unless_quick(1e-2, 0.1))
}
