//! A physics-informed network (Raissi, Perdikaris and Karniadakis, 2019): it solves `u'' = -u`, `u(0) = 0`, `u'(0) = 1`, by making
//! the equation itself the loss. Derivatives of the network are recorded, and differentiated again by the training step.
//!
//! ```sh
//! cargo run --release --example physics
//! ```

use gradus::prelude::*;

fn main() {
    let rng = &mut seeded(0);
    let mut u = Sequential::<f64>::new()
        .push(Linear::new(1, 32, rng))
        .push(Tanh)
        .push(Linear::new(32, 32, rng))
        .push(Tanh)
        .push(Linear::new(32, 1, rng));
    let (mut adam, decay) = (Adam::new(5e-3), schedule::cosine(3000, 1e-5));
    for step in 0..3000 {
        adam.follow(&decay, step);
        let t = Var::leaf(Tensor::uniform([64, 1], 0.0, 3.0, rng));
        // The loss of one point depends on this point alone, so the gradient of the sum has all derivatives.
        let y = u.forward(&t);
        let velocity = grad_create_graph(&y.sum(..), &[&t]).remove(0);
        let acceleration = grad_create_graph(&velocity.sum(..), &[&t]).remove(0);
        let start = Var::leaf(Tensor::zeros([1, 1]));
        let y0 = u.forward(&start);
        let v0 = grad_create_graph(&y0.sum(..), &[&start]).remove(0);
        let loss = (acceleration + y).square().mean(..) + y0.square().sum(..) + (v0 - 1.0).square().sum(..);
        adam.step(&mut u, &loss.backward());
    }
    let t = Tensor::linspace(0.0, 3.0, 31).unsqueeze(1);
    let error = (no_grad(|| u.forward(&t)).into_value() - t.sin()).abs().max(..).item();
    println!("the largest error of u(t) = sin(t) for t from 0 to 3 is {error:.1e}");
    assert!(error < 1e-2, "the network has not learnt the equation");
}
